"""How a task is ended for certain."""

import asyncio
from typing import Any

AGAIN_SECONDS = 0.1


async def end(*tasks: asyncio.Task[Any]) -> None:
    """Cancel them until they have ended; what they raised is nobody's business any more.

    Once is not enough: before Python 3.12 `asyncio.wait_for`, which redis-py uses, loses a cancellation that comes in the
    same turn as the result that it waits for.
    """
    pending = {task for task in tasks if not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=AGAIN_SECONDS)
    for task in tasks:
        if not task.cancelled():
            task.exception()
