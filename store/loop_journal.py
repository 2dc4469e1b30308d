"""The journal where a process of its own writes: the loop hands the batches over, and no thread takes turns with it.

A thread that waits for that process's answers would first have to wait for the interpreter, some ms of each batch while the
loop is busy, and the process would stand still meanwhile. Here the answer is one more thing that the loop reads. What is
not a batch, a transaction of its own, runs on the journal's thread as ever, between two batches. If the process ends, that
thread takes over all of it.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from queue import Empty

from store.entries import Entry, Exclusive
from store.journal import Journal, report
from store.writer import CommitterElsewhere

SENT_AT_ONCE = 65_536  # bytes of a message that the socket surely has room for; longer ones are sent from the thread
_LOOKS = 0.5  # seconds between two looks at whether the loop is still there, for who waits for the end


class LoopJournal(Journal):
    """`start` and `stop` are called from threads, all else on the loop."""

    def __init__(self, committer: CommitterElsewhere, post: Callable[[Callable[[], None]], object]) -> None:
        super().__init__(committer, post)
        self._elsewhere = committer
        self._loop: asyncio.AbstractEventLoop | None = None
        self._aside = ThreadPoolExecutor(1, thread_name_prefix="journal")
        self._batch: list[Entry] | None = None  # that the process has
        self._began = 0.0  # when it got it
        self._busy = False  # with a batch, or aside
        self._over: asyncio.Event | None = None  # set when nothing is left to be written, once the end has begun

    @property
    def processes(self) -> int:
        """None any more once the thread has taken over."""
        return int(self._loop is not None and self._thread is None)

    def begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """Instead of `start`: begin to write, as this loop turns."""
        self._loop = loop
        self._soon = loop.call_soon

        def listen() -> None:
            loop.add_reader(self._elsewhere.channel, self._readable)

        loop.call_soon_threadsafe(listen)

    def stop(self) -> None:
        """Write what is queued, then end."""
        loop = self._loop
        if loop is None:
            super().stop()
            return
        self._stopping = True
        future = asyncio.run_coroutine_threadsafe(self._end(), loop)
        while not loop.is_closed():
            try:
                future.result(_LOOKS)
                break
            except TimeoutError:
                continue
        self._aside.shutdown()
        super().stop()

    async def _end(self) -> None:
        """Return when all that was decided is written, or in the hands of the thread."""
        self._over = asyncio.Event()
        self._flush()
        if self._thread is None:
            await self._over.wait()
        if self._loop is not None and self._thread is None:
            self._loop.remove_reader(self._elsewhere.channel)
        self._loop = None

    def _flush(self) -> None:
        super()._flush()
        self._go_on()

    def _go_on(self) -> None:
        """Hand the next batch over, unless one is under way."""
        if self._busy or self._thread is not None or self._loop is None:
            return
        try:
            first, self._next = self._next or self._queue.get_nowait(), None
        except Empty:
            first = None
        if first is None:
            if self._over is not None:
                self._over.set()
            return
        self._busy = True
        if isinstance(first, Exclusive):
            self._run_aside(partial(self._run_exclusive, first))
            return
        batch = self._cut(first)
        message = self._elsewhere.message(batch)
        if message is None:
            self._run_aside(partial(self._write, batch))  # the committer here finds whose fault that is
            return
        self._batch, self._began = batch, time.perf_counter()
        if len(message) <= SENT_AT_ONCE:
            self._elsewhere.send(message)
        else:
            self._aside.submit(self._elsewhere.send, message)

    def _run_aside(self, work: Callable[[], None]) -> None:
        """On the thread, and then go on."""

        def run() -> None:
            try:
                work()
            finally:
                self._tell(self._done)

        self._aside.submit(run)

    def _done(self) -> None:
        self._busy = False
        self._go_on()

    def _readable(self) -> None:
        """The process answers, or has ended."""
        batch, loop = self._batch, self._loop
        if loop is None:
            return
        try:
            written = self._elsewhere.answer(batch or [])
        except OSError as error:
            loop.remove_reader(self._elsewhere.channel)
            written = self._elsewhere.lost(batch or [], error)
            self._busy = False
            super().start(loop.call_soon)
            if self._over is not None:
                self._over.set()
        if written is None:
            return  # the rest is still to come
        self._batch = None
        if self._busy and batch is not None:
            self._count(batch, time.perf_counter() - self._began)
            self._done()
        report(written.entries, written.outcomes)
