"""The shipping loop's journal, whose process is a few callbacks: it answers late and in pieces, dies, or outlives its server.

What the loop writes by itself in a quiet moment, what it sends, what it runs aside, and the thread that takes over when the
process has ended: all of that is `store/loop_journal.py` as it ships.
"""

import asyncio
import random
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any
from unittest.mock import patch

import msgspec

from store.committer import Written
from store.entries import Entry, Exclusive, Outcome
from store.loop_journal import LoopJournal
from store.quiet_writer import AlreadyBegun, QuietWriter
from store.writer import CommitterElsewhere, answer_to
from tests.simulation.invariants import must
from tests.simulation.loop import Process, Violation, VirtualLoop
from tests.simulation.store import AWAY, LOST, FaultyCommitter, compiled

_SLOW_SECONDS = 0.05  # of a commit that holds the loop


class SimWriter:
    """The process. What it has been sent it may still write when its server has died."""

    def __init__(self, loop: VirtualLoop, committer: FaultyCommitter, chance: random.Random) -> None:
        self.socket = self  # what its server listens to
        self.readable: Callable[[], None] = lambda: None
        self._loop = loop
        self._committer = committer
        self._server = committer.process
        self._chance = chance
        self._dead = False
        self._parts: deque[bytes | None] = deque()  # on their way; None: a part of an answer

    def send(self, message: bytes) -> None:
        self._loop.call_later(self._chance.random() * 0.004, self._work, message)

    def receive(self) -> bytes | None:
        if not self._parts:
            raise ConnectionResetError("it has died, says the simulation")
        return self._parts.popleft()

    def kill(self) -> None:
        self._dead = True

    def _work(self, message: bytes) -> None:
        weather = self._committer.weather
        if self._dead or not (self._server.alive or weather.strikes(0.5, "written after its server had died")):
            return
        died = weather.strikes(weather.mix.writer_dies, "writer died")
        if not died or weather.strikes(0.5, "writer died behind its commit"):
            _, plain, pools = msgspec.msgpack.decode(message)
            answer = answer_to(self._committer, plain, None) if pools is None else self._pools(pools)
            if not died:
                self._parts += [None, answer] if self._chance.random() < 0.2 else [answer]
        self._dead = died
        for _ in range(max(len(self._parts), 1)):
            self._server.call_later(self._chance.random() * 0.004, self._arrive)

    def _arrive(self) -> None:
        self.readable()  # whoever listens now

    def _pools(self, pools: Any) -> bytes:
        committer, weather = self._committer, self._committer.weather
        if committer.is_away:
            return msgspec.msgpack.encode((None, (AWAY, False)))
        committer.begins()
        answer = answer_to(committer, None, pools)
        lost = weather.strikes(weather.mix.claim_unknown, "claim unknown")
        return msgspec.msgpack.encode((None, (LOST, False))) if lost else answer


class _Elsewhere(CommitterElsewhere):
    """What it writes here, once its process has died or where there are no words for it, fails as everything does."""

    def __init__(self, here: FaultyCommitter, writer: Any) -> None:
        with patch("store.committer.JournalStatements", compiled):
            super().__init__(here.database, here.owner, writer, "sqlite:///:memory:")
        self.here = here

    def write(self, entries: Sequence[Entry]) -> Written:
        return self.here.write(entries)


class _Begun(AlreadyBegun, FaultyCommitter):
    """Who writes in quiet moments: somebody else may just be writing."""

    def begin_now(self) -> bool:
        return not self.weather.strikes(self.weather.mix.rows_held, "somebody else writes") and super().begin_now()


class _Quiet(QuietWriter):
    """It writes and tells in one step: what it has written is looked at in between."""

    looked: Callable[[], None]

    def write(self, entry: Entry) -> Written | None:
        written = super().write(entry)
        self.looked()
        return written

    def close(self) -> None:
        """The database lives in its one connection."""


class _InTurn:
    """Does what it is given, one after the other, each a moment after the one before."""

    def __init__(self, process: Process, chance: random.Random) -> None:
        self._process = process
        self._chance = chance
        self._work: deque[Callable[[], object]] = deque()
        self._idle = asyncio.Event()

    def submit(self, work: Callable[..., object], *args: Any) -> None:
        self._work.append(lambda: work(*args))
        self._process.call_later(self._chance.random() * 0.004, self._next)

    def _next(self) -> None:
        self._work.popleft()()  # the oldest now, not when this was called for
        if not self._work:
            self._idle.set()

    async def rested(self) -> None:
        """Return when all is done."""
        while self._work:
            self._idle.clear()
            await self._idle.wait()


class SimLoopJournal(LoopJournal):
    """As it ships, but for its thread and its process."""

    def __init__(
        self,
        loop: VirtualLoop,
        here: FaultyCommitter,
        chance: random.Random,
        failed: Callable[[BaseException], None],
        *,
        embedded: bool,
    ) -> None:
        self.was_told: Callable[[Entry, Outcome], None] = lambda _entry, _outcome: None
        self._here = here
        self._process = process = here.process
        self._failed = failed
        self._chance = chance
        self._posted = _InTurn(process, chance)
        self._thread_works = False
        self._thread_rests = asyncio.Event()
        writer: Any = SimWriter(loop, here, chance)
        quiet = self._quiet_writer(loop, here) if embedded else None
        super().__init__(_Elsewhere(here, writer), self._posted.submit, quiet)
        aside: Any = _InTurn(process, chance)
        self._aside = aside
        virtual: Any = process
        self.begin(virtual)

    def _quiet_writer(self, loop: VirtualLoop, here: FaultyCommitter) -> QuietWriter:
        committer = _Begun(here.database, here.owner, here.node, here.weather, self._process)
        committer.begins = here.begins
        writer = _Quiet(committer, self._time)
        writer.looked = loop.looked
        return writer

    def _time(self) -> float:
        """Now and then a commit takes long."""
        slow = self._chance.random() < 0.05
        return self._process.time() + _SLOW_SECONDS * slow

    def submit(self, entry: Entry) -> None:
        done, told = entry.done, False

        def hear(outcome: Outcome) -> None:
            nonlocal told
            try:
                must(not told, "told twice")
                self.was_told(entry, outcome)
            except Violation as violation:
                self._failed(violation)  # the journal would log it, and go on
            told = True
            done(outcome)

        entry.done = hear
        super().submit(entry)

    async def written(self) -> None:
        """Stop; return when nothing is to be written or told any more."""
        self._stopping = True
        await self._end()
        while self._thread_works:
            self._thread_rests.clear()
            await self._thread_rests.wait()
        await self._posted.rested()

    def _run_exclusive(self, item: Exclusive) -> None:
        result, error = self._here.run(item)
        self._tell(lambda: item.done(result, error))

    # ---- the thread that takes over when the process has died ------------------------------------------------------

    def _take_over(self, loop: Any) -> None:
        self._soon = loop.call_soon
        thread: Any = self
        self._thread = thread
        self._wake()

    def _flush(self) -> None:
        super()._flush()
        self._wake()

    def _wake(self) -> None:
        if self._thread is not None and not self._thread_works:
            self._thread_works = True
            self._process.call_later(self._chance.random() * 0.004, self._turn)

    def _turn(self) -> None:
        self._thread_works = False
        first = self._next or (None if self._queue.empty() else self._queue.get())
        self._next = None
        if first is not None:
            self._work_on(first)
        elif self._held:
            self._write([])
        if self._has_more:
            self._wake()
        else:
            self._thread_rests.set()

    @property
    def _has_more(self) -> bool:
        return self._next is not None or bool(self._held) or not self._queue.empty()
