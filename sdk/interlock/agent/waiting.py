"""Waiting for whichever comes first."""

import asyncio
from collections.abc import Awaitable


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
