"""Counting requests in a Redis that servers share, by the library's own storage, which may come and go."""

import asyncio
import contextlib
import logging
from typing import Any

from limits import RateLimitItem
from limits.aio.storage import RedisStorage

from interlock.clock import Clock

log = logging.getLogger(__name__)

AT_ONCE = 8  # counts under way; each has a connection
PREFIX = "{interlock}:rates"


class CountsAway(Exception):
    """Redis does not answer, or not in time."""


class SharedCounts:
    """`timeout` for an answer and `pause` between two tries while it is away are in seconds. While it is away nobody waits
    for it: `up` is false then.
    """

    def __init__(self, url: str, clock: Clock, *, timeout: float, pause: float) -> None:
        self.up = False
        self._clock = clock
        self._timeout = timeout
        self._pause = pause
        scheme, _, rest = url.partition("://")
        known = "redis+unix" if scheme == "unix" else scheme
        self._storage = RedisStorage(
            f"async+{known}://{rest}",
            implementation="redispy",
            key_prefix=PREFIX,
            protocol=2,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
        )
        self._trouble: tuple[type[Exception], ...] = (OSError, *_tuple(self._storage.base_exceptions))
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._watch: asyncio.Task[None] | None = None
        self._went_down = asyncio.Event()

    async def hit(self, item: RateLimitItem, kind: str, name: str) -> tuple[int, float | None]:
        """What is left with this request counted, -1 when it is one too many; and then the seconds until the window ends.

        `CountsAway` when Redis does not say so in time: from then on nobody asks until it answers again.
        """
        try:
            async with asyncio.timeout(self._timeout), self._slots:
                key = item.key_for(kind, name)
                count = await self._storage.incr(key, item.get_expiry())
                if count <= item.amount:
                    return item.amount - count, None
                return -1, await self._storage.get_expiry(key) - self._clock.now() / 1000
        except self._trouble as error:
            self._fail(error)
            raise CountsAway from error

    async def start(self) -> None:
        """Try it once; from then on it comes and goes by itself."""
        await self._try()
        self._watch = asyncio.create_task(self._run(), name="shared-counts")

    async def stop(self) -> None:
        """Let go; twice does no harm."""
        task, self._watch = self._watch, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        self.up = False
        with contextlib.suppress(*self._trouble):
            bridge: Any = self._storage.bridge
            await bridge.storage.aclose()

    async def _run(self) -> None:
        while True:
            if self.up:
                await self._went_down.wait()
            await asyncio.sleep(self._pause)
            await self._try()

    async def _try(self) -> None:
        try:
            async with asyncio.timeout(self._timeout):
                there = await self._storage.check()
        except TimeoutError:
            there = False
        if there and not self.up:
            log.info("Requests are counted in Redis, together with other servers")
            self._went_down.clear()
        self.up = there

    def _fail(self, error: Exception) -> None:
        if self.up:
            log.warning("Redis is away for counting requests; each server counts for itself: %s", error)
        self.up = False
        self._went_down.set()


def _tuple(kinds: type[Exception] | tuple[type[Exception], ...]) -> tuple[type[Exception], ...]:
    return kinds if isinstance(kinds, tuple) else (kinds,)
