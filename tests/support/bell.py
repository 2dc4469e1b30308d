"""Who hears alarms, and on which thread."""

import asyncio
import threading
from collections.abc import Callable

LONG = 20.0  # seconds: a bound for what should take none


class Bell:
    """Keeps what was rung, in order."""

    def __init__(self) -> None:
        self.rung: list[str] = []
        self.threads: set[int] = set()
        self._heard = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()

    def ring(self, host_id: str) -> None:
        self.rung.append(host_id)
        self.threads.add(threading.get_ident())
        task = asyncio.ensure_future(self._tell())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _tell(self) -> None:
        async with self._heard:
            self._heard.notify_all()

    async def until(self, holds: Callable[[], bool]) -> None:
        """Return when it holds."""
        async with asyncio.timeout(LONG), self._heard:
            await self._heard.wait_for(holds)
