"""Looking at something every so often, for as long as the server runs."""

import asyncio
from collections.abc import Awaitable, Callable

from web.looks import keep_looking


class Watch:
    """Looks every so many seconds until stopped; a look that fails is logged and the next one comes anyway."""

    def __init__(self, name: str, every_seconds: float, look: Callable[[], Awaitable[object]]) -> None:
        self._name = name
        self._every = every_seconds
        self._look = look
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; the first look comes after the first pause."""
        self._task = asyncio.create_task(keep_looking(self._name, self._every, self._look), name=self._name)

    async def stop(self) -> None:
        """End; twice does no harm."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
