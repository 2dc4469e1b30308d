"""Waiting for whichever comes first, and doing one thing beside another."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

logger = logging.getLogger(__name__)


async def first(*awaitables: Awaitable[object], timeout: float | None = None) -> bool:  # noqa: ASYNC109 - a plain bound
    """Wait until one of `awaitables` is done or `timeout` seconds have passed; False for the latter.

    Coroutines still waiting are cancelled, futures and tasks that were passed in are left alone. An exception of
    the one that is done is not raised here.
    """
    own: list[asyncio.Future[object]] = []  # made here, so ended here
    futures: list[asyncio.Future[object]] = []
    for awaitable in awaitables:
        future: asyncio.Future[object] = asyncio.ensure_future(awaitable)
        futures.append(future)
        if future is not awaitable:
            own.append(future)
    try:
        done, _ = await asyncio.wait(futures, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for future in own:
            future.cancel()
        await asyncio.gather(*own, return_exceptions=True)
    return bool(done)


@asynccontextmanager
async def beside(work: Coroutine[Any, Any, Any]) -> AsyncIterator[asyncio.Task[Any]]:
    """A task that lives no longer than the block; its result or error is the caller's to look at."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def told(work: Callable[[], Awaitable[None]]) -> None:
    """Do `work`, of which nobody looks at the end; an unexpected one is logged and does not touch the run."""
    try:
        await work()
    except Exception:
        logger.exception("a companion of the run ended unexpectedly")
