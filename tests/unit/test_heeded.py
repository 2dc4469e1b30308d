"""An answer that fails when nobody waits for it any more is no error in the log."""

import asyncio
import gc
from typing import Any

import pytest

from web.heeded import heeded


async def test_who_waits_is_told_and_who_has_left_is_not_missed() -> None:
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    fails = asyncio.Event()

    async def ask() -> None:
        await fails.wait()
        raise LookupError

    asking = heeded(asyncio.create_task(ask()))
    stays, leaves = (asyncio.ensure_future(asyncio.shield(asking)) for _ in range(2))
    leaves.cancel()
    fails.set()
    with pytest.raises(LookupError):
        await stays

    fails.clear()
    alone = heeded(asyncio.create_task(ask()))
    waiter = asyncio.ensure_future(asyncio.shield(alone))
    waiter.cancel()
    await asyncio.gather(waiter, return_exceptions=True)
    fails.set()
    await asyncio.wait({alone})
    del asking, alone, stays, leaves, waiter
    gc.collect()
    assert complaints == []
