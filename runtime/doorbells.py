"""Doorbells between nodes: "look at this host". They may be lost, and nobody waits for one: the rows say what is new."""

import asyncio
import contextlib
from collections.abc import Callable

from runtime.endings import end
from runtime.redis_link import RedisAway, RedisLink

AT_ONCE = 256  # rings sent in one round trip


class Doorbells:
    """Rings at other nodes, and hears who rings here.

    `on_ring(host_id)` is called on the loop. `on_doubt()` is called when rings may have been lost, once Redis is there
    (again): the node then looks at the rows of its hosts. At most `limit` rings wait; the same one waits once.
    """

    def __init__(
        self,
        link: RedisLink,
        node: str,
        on_ring: Callable[[str], None],
        *,
        limit: int,
        on_doubt: Callable[[], None] | None = None,
    ) -> None:
        self._link = link
        self._node = node
        self._on_ring = on_ring
        self._on_doubt = on_doubt
        self._limit = limit
        self._waiting: dict[tuple[str, str], None] = {}  # owner and host, oldest first
        self._filled = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.rung = 0  # rings sent
        self.heard = 0

    @property
    def up(self) -> bool:
        """Whether rings get through now; if not, look at the rows more often."""
        return self._link.up

    async def start(self) -> None:
        """Begin to send and to listen; Redis need not be there."""
        with contextlib.suppress(RedisAway):
            await self._link.subscribe(_channel(self._node), self._hear)
        self._task = asyncio.create_task(self._send(), name="doorbells")
        self._link.start(self)

    async def stop(self) -> None:
        """Twice does no harm."""
        task, self._task = self._task, None
        if task is not None:
            await end(task)
        await self._link.stop()

    def ring(self, owner: str, host_id: str) -> None:
        """Tell that node to look at that host; without Redis, nothing. Never blocks."""
        if owner == self._node:
            asyncio.get_running_loop().call_soon(self._on_ring, host_id)
        elif self._link.up and len(self._waiting) < self._limit:
            self._waiting[owner, host_id] = None
            self._filled.set()

    async def came_up(self) -> None:
        """Rings of the time before are lost."""
        if self._on_doubt is not None:
            self._on_doubt()

    def went_down(self) -> None:
        """What waits would come too late to be of use."""
        self._waiting.clear()

    async def _send(self) -> None:
        while True:
            await self._filled.wait()
            self._filled.clear()
            while self._waiting:
                batch = list(self._waiting)[:AT_ONCE]
                for ring in batch:
                    del self._waiting[ring]
                with contextlib.suppress(RedisAway):
                    await self._link.calls([("PUBLISH", _channel(owner), host_id) for owner, host_id in batch])
                    self.rung += len(batch)

    def _hear(self, message: bytes) -> None:
        self.heard += 1
        self._on_ring(message.decode(errors="replace"))


def _channel(node: str) -> str:
    return f"{{interlock}}:doorbell:{node}"


class NoDoorbells:
    """Without Redis nobody is rung: the rows are looked at."""

    up = False

    def ring(self, owner: str, host_id: str) -> None:
        """Nothing."""
