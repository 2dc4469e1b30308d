"""Looking at something every so often, for as long as the server runs."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from interlock.errors import InterlockError

log = logging.getLogger(__name__)


class Watch:
    """Looks every so many seconds until stopped; a look that fails is logged and the next one comes anyway."""

    def __init__(self, name: str, every_seconds: float, look: Callable[[], Awaitable[object]]) -> None:
        self._name = name
        self._every = every_seconds
        self._look = look
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; the first look comes after the first pause."""
        self._task = asyncio.create_task(self._run(), name=self._name)

    async def stop(self) -> None:
        """End; twice does no harm."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._every)
            try:
                await self._look()
            except InterlockError as error:
                log.warning("The %s could not look: %s", self._name, error.detail)
            except Exception:
                log.exception("A look of the %s failed", self._name)
