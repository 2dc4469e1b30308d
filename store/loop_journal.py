"""The journal where a process of its own writes: the loop hands the batches over, and no thread takes turns with it.

A thread that waits for that process's answers would first have to wait for the interpreter, some ms of each batch while the
loop is busy, and the process would stand still meanwhile. Here the answer is one more thing that the loop reads. What is
not a batch, a transaction of its own, runs on the journal's thread as ever, between two batches; only changes to pools go
the way of batches. If the process ends, that thread takes over all of it.

A lone decision in a quiet moment needs no second process: the loop writes it by itself (`store/quiet_writer.py`).
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from queue import Empty

from store.committer import Written
from store.entries import Entry, Exclusive
from store.journal import HELD_SECONDS, LAST_SECONDS, Journal, report
from store.quiet_writer import QuietWriter
from store.writer import CommitterElsewhere

SENT_AT_ONCE = 65_536  # bytes of a message that the socket surely has room for; longer ones are sent from the thread
WORTH_WAITING = 32  # decisions: a commit takes much the same for one of them as for these
GATHER_SECONDS = 0.005  # for which so many are waited for, where the last batch shows that they will come
QUIET_SECONDS = 0.002  # after the last batch: a decision that comes then is likely to be alone in its turn of the loop
LONE_BATCHES = 3  # of one decision each, in a row: so is the next
_LOOKS = 0.5  # seconds between two looks at whether the loop is still there, for who waits for the end


class LoopJournal(Journal):
    """`start` and `stop` are called from threads, all else on the loop."""

    def __init__(
        self,
        committer: CommitterElsewhere,
        post: Callable[[Callable[[], None]], object],
        quiet: QuietWriter | None = None,
    ) -> None:
        super().__init__(committer, post)
        self._elsewhere = committer
        self._quiet = quiet
        self._loop: asyncio.AbstractEventLoop | None = None
        self._now: Callable[[], float] = time.monotonic  # the loop's own clock, once it has begun
        self._aside = ThreadPoolExecutor(1, thread_name_prefix="journal")
        self._sent: list[Entry] | Exclusive | None = None  # what the process has
        self._began = self._ended_at = 0.0  # when it got that, and when it last had answered
        self._lone = 0  # batches of one decision each, in a row
        self._many = False  # whether as much as is worth waiting for is likely to come
        self._gathering: asyncio.TimerHandle | None = None
        self._busy = False  # with a batch, or aside
        self._retry: asyncio.TimerHandle | None = None  # of what somebody else holds
        self._over: asyncio.Event | None = None  # set when nothing is left to be written, once the end has begun
        self._patience = 0.0  # until when what is held is waited for then, on the loop's clock

    @property
    def processes(self) -> int:
        """None any more once the thread has taken over."""
        return int(self._loop is not None and self._thread is None)

    def begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """Instead of `start`: begin to write, as this loop turns."""
        self._busy = True  # until the process has answered for the first time
        self._loop = loop
        self._now, self._soon = loop.time, loop.call_soon

        def listen() -> None:
            loop.add_reader(self._elsewhere.channel, self._readable)
            self._hand_over([])  # nothing: the process opens the database meanwhile, and not when somebody waits for it

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
        self._aside.submit(self._elsewhere.database.close)
        self._aside.shutdown()
        super().stop()

    async def _end(self) -> None:
        """Return when all that was decided is written, or in the hands of the thread."""
        self._over = asyncio.Event()
        self._patience = self._now() + LAST_SECONDS
        self._flush()
        if self._thread is None:
            await self._over.wait()
        if self._loop is not None and self._thread is None:
            self._loop.remove_reader(self._elsewhere.channel)
        if self._quiet is not None:
            self._quiet.close()
        self._loop = None

    def submit(self, entry: Entry) -> None:
        """Queue a decision. In a quiet moment it goes out at once: whoever decides has more to do in this turn of the loop,
        and the process begins meanwhile.
        """
        if self._is_quiet() and not self._may_write_here:
            self._busy = True
            self._hand_over([entry])
        else:
            super().submit(entry)

    def _is_quiet(self) -> bool:
        """Whether nothing is under way, nothing waits, and nothing has just been written."""
        writes = self._loop is not None and self._thread is None and not self._stopping
        waits = self._busy or self._decided or self._held or self._next is not None or not self._queue.empty()
        return writes and not waits and self._rested

    @property
    def _rested(self) -> bool:
        return self._now() - self._ended_at > QUIET_SECONDS

    @property
    def _may_write_here(self) -> bool:
        return self._quiet is not None and self._quiet.ready and not self._held

    def _flush(self) -> None:
        super()._flush()
        self._go_on(quiet=True)

    def _go_on(self, *, quiet: bool = False) -> None:
        """Hand the next batch over, unless one is under way. `quiet`: what comes now has waited for no other, so that none
        is left whose outcome is still to be told.
        """
        if self._busy or self._thread is not None or self._loop is None:
            return
        if self._gathers(self._loop):
            return
        try:
            first, self._next = self._next or self._queue.get_nowait(), None
        except Empty:
            first = None
        if first is None:
            self._rest(self._loop)
            return
        self._busy = True
        if isinstance(first, Exclusive):
            message = self._elsewhere.pool_message(first.work)
            if message is None:
                self._run_aside(partial(self._run_exclusive, first))
            else:
                self._send(first, message)
            return
        batch = self._cut(first)
        if not (quiet and self._written_here(batch)):
            self._hand_over(batch)

    def _written_here(self, batch: list[Entry]) -> bool:
        """Write it in this turn of the loop, if it is alone and will probably stay so."""
        alone = len(batch) == 1 and (self._rested or self._lone >= LONE_BATCHES)
        if self._quiet is None or not alone or not self._may_write_here:
            return False
        self._began = self._now()
        written = self._quiet.write(batch[0])
        if written is None:
            return False
        self._note(batch, written)
        report(written.entries, written.outcomes)
        self._done()
        return True

    def _hand_over(self, more: list[Entry]) -> None:
        """The next batch: what was held comes first."""
        batch, self._held = self._held + more, []
        message = self._elsewhere.message(batch)
        if message is None:
            self._run_aside(partial(self._write, batch))  # the committer here finds whose fault that is
        else:
            self._send(batch, message)

    def _rest(self, loop: asyncio.AbstractEventLoop) -> None:
        """Nothing waits but what is held: it is tried again after a moment, at the end not for ever."""
        if self._held and self._over is not None and self._now() >= self._patience:
            held, self._held = self._held, []
            for entry in held:
                self._refuse(entry)
        if self._held and self._retry is None:
            self._retry = loop.call_later(HELD_SECONDS, self._try_again)
        elif not self._held and self._over is not None:
            self._over.set()

    def _try_again(self) -> None:
        self._retry = None
        if self._held and not self._busy and self._thread is None and self._queue.empty():
            self._busy = True
            self._hand_over([])
        else:
            self._go_on()

    def _gathers(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Whether to wait for more decisions: after a batch of many more will come at once."""
        if not self._many or self._stopping or self._next is not None:
            return False
        if not 0 < self._queue.qsize() < WORTH_WAITING:
            return False
        left = self._ended_at + GATHER_SECONDS - self._now()
        if left > 0 and self._gathering is None:
            self._gathering = loop.call_later(left, self._gathered)
        return left > 0

    def _gathered(self) -> None:
        self._gathering, self._many = None, False
        self._go_on()

    def _send(self, what: list[Entry] | Exclusive, message: bytes) -> None:
        if self._gathering is not None:
            self._gathering.cancel()
            self._gathering = None
        self._sent, self._began = what, self._now()
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
        if self._loop is None:
            return
        try:
            answer = self._elsewhere.receive()
        except OSError as error:
            self._lost(self._loop, error)
            return
        sent = self._sent
        if answer is None or sent is None:
            return  # the rest is still to come
        self._sent = None
        if self._quiet is not None:
            self._quiet.others_wrote()
        if isinstance(sent, Exclusive):
            self._done()
            sent.done(*self._elsewhere.pool_written(answer))
            return
        written = self._elsewhere.written(sent, answer)
        self._note(sent, written)
        self._done()
        report(written.entries, written.outcomes)

    def _note(self, batch: list[Entry], written: Written) -> None:
        """What has become of it, and what that lets expect of the next one."""
        self._ended_at = self._now()
        self._many = len(batch) >= WORTH_WAITING // 2
        self._lone = self._lone + 1 if len(batch) == 1 else 0
        self._held = written.held
        if written.entries:
            self._count(written.entries, self._ended_at - self._began)

    def _lost(self, loop: asyncio.AbstractEventLoop, error: OSError) -> None:
        """The process has ended: the thread writes from now on."""
        loop.remove_reader(self._elsewhere.channel)
        sent, self._sent = self._sent, None
        batch = sent if isinstance(sent, list) else []
        written = self._elsewhere.lost(batch, error)
        self._busy = False
        self._take_over(loop)
        if self._over is not None:
            self._over.set()
        if isinstance(sent, Exclusive):
            sent.done(None, error)
        report(written.entries, written.outcomes)

    def _take_over(self, loop: asyncio.AbstractEventLoop) -> None:
        super().start(loop.call_soon)
