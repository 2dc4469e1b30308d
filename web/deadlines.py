"""No answer is waited for without end: a database that has fallen silent holds nobody for longer than so many seconds.

A timer for each request would cost each request some microseconds. Here each notes when it began, in the order in which
they began, and somebody looks at the oldest of them twice a second.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from aiohttp import web

from interlock.errors import Unavailable
from web.looks import keep_looking

LOOKS = 0.5  # seconds

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Deadlines:
    """Of the requests that are answered at once; those that wait for something to happen are not among them."""

    def __init__(self, seconds: float, time: Callable[[], float]) -> None:
        self._seconds = seconds
        self._time = time
        self._began: dict[asyncio.Task[None], float] = {}
        self._late: set[asyncio.Task[None]] = set()

    def around(self, handler: Handler) -> Handler:
        """The handler, which raises `Unavailable` when its time is over. A body that is still on its way has its own time."""

        async def answer(request: web.Request) -> web.StreamResponse:
            task = asyncio.current_task()
            if task is None or not request.content.is_eof():
                return await handler(request)
            self._began[task] = self._time()
            try:
                return await handler(request)
            except asyncio.CancelledError:
                if task not in self._late:
                    raise
                task.uncancel()
                raise Unavailable("The database did not answer in time: whether anything changed is open") from None
            finally:
                del self._began[task]
                self._late.discard(task)

        return answer

    @contextmanager
    def apart(self) -> Iterator[None]:
        """While a request waits for something to happen. Its time begins afresh behind that."""
        task = asyncio.current_task()
        counted = task is not None and self._began.pop(task, None) is not None
        try:
            yield
        finally:
            if task is not None and counted:
                self._began[task] = self._time()

    def look(self) -> None:
        """End the waiting of those whose time is over."""
        over = self._time() - self._seconds
        for task, began in list(self._began.items()):
            if began > over:
                return
            if task not in self._late:
                self._late.add(task)
                task.cancel()

    async def watch(self) -> None:
        """Look until cancelled."""
        await keep_looking("deadline-watch", LOOKS, self.look)
