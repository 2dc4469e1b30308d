"""The shipping committer over a database that fails, and the journal and reader of one node without their threads."""

import asyncio
import random
from collections import Counter, deque
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any
from unittest.mock import patch

from peewee import Database, OperationalError

from interlock.errors import Unavailable
from store.committer import Committer, CommitUnknown, NotBegun
from store.dialect import Dialect
from store.entries import Done, Entry, Exclusive, Outcome
from store.journal import HELD_SECONDS, report, run_exclusive
from store.statements import JournalStatements
from store.store import Store
from tests.simulation.loop import Process
from tests.simulation.mix import Mix

compiled = cache(JournalStatements)  # once per process: all worlds share one database
forget_compiled = compiled.cache_clear  # for whoever patches what is compiled
AWAY = "the database is away, says the simulation"
LOST = "the answer was lost, says the simulation"


class Weather:
    """What fails at the moment, for all; healing replaces the mix."""

    def __init__(self, mix: Mix, chance: random.Random, stats: Counter[str]) -> None:
        self.mix = mix
        self.stats = stats
        self.bells_are_down = False  # what carries alarms and doorbells is away
        self.away: dict[str, int] = {}  # nodes that cannot reach the database, and how many outages cut them off
        self._draw = chance.random

    def strikes(self, probability: float, what: str) -> bool:
        """Whether this time it fails."""
        if probability and self._draw() < probability:
            self.stats[what] += 1
            return True
        return False


class _Locks:
    """The dialect, in a world in which others may hold a host's row: SQLite itself knows only one lock."""

    def __init__(self, dialect: Dialect, weather: Weather) -> None:
        self._dialect = dialect
        self._weather = weather

    def __getattr__(self, name: str) -> Any:
        return getattr(self._dialect, name)

    def lock(self, cursor: Any, host_ids: Sequence[str]) -> set[str]:
        """Those that somebody else holds."""
        self._dialect.lock(cursor, host_ids)
        return {host_id for host_id in host_ids if self._weather.strikes(self._weather.mix.rows_held, "row held")}


class FaultyCommitter(Committer):
    """The shipping committer, of whose statements any may fail, and whose COMMIT may succeed without its knowing."""

    def __init__(self, database: Database, owner: str, node: str, weather: Weather, process: Process) -> None:
        with patch("store.committer.JournalStatements", compiled):
            super().__init__(database, owner)
        self.dialect = _Locks(self.dialect, weather)  # type: ignore[assignment]  # it stands for the dialect
        self.node = node
        self.weather = weather
        self.process = process
        self.begins: Callable[[], None] = lambda: None  # called before each transaction

    @property
    def is_away(self) -> bool:
        """Whether this node cannot reach the database."""
        return self.weather.away.get(self.node, 0) > 0

    def _begin(self, *batches: Any) -> Any:
        if self.is_away:
            self.weather.stats["not begun"] += 1
            raise NotBegun(AWAY)
        self.begins()
        return super()._begin(*batches)

    def _write_runs(self, cursor: Any, batches: Any) -> None:
        if self.weather.strikes(self.weather.mix.statement_fails, "statement failed"):
            raise OperationalError("a statement failed, says the simulation")
        super()._write_runs(cursor, batches)

    def _finish(self, connection: Any) -> None:
        mix = self.weather.mix
        if self.weather.strikes(mix.commit_fails, "commit failed"):
            connection.rollback()
            raise OperationalError("disk full, says the simulation")
        if self.weather.strikes(mix.commit_unknown, "commit unknown"):
            if self.weather.strikes(0.5, "commit unknown, and it did not happen"):
                connection.rollback()
            else:
                super()._finish(connection)
            raise CommitUnknown("says the simulation")
        super()._finish(connection)

    def run(self, item: Exclusive) -> tuple[Any, BaseException | None]:
        """A transaction of its own: its result, or what went wrong."""
        self.begins()
        if self.is_away:
            return None, OperationalError(AWAY)
        came = run_exclusive(self, item)
        lost = self.weather.strikes(self.weather.mix.claim_unknown, "claim unknown")
        return (None, OperationalError(LOST)) if lost else came

    def _forget_connection(self) -> None:
        """The database lives in its one connection: only its faults come and go."""


class SimJournal:
    """The journal without its thread: batches of random size, each committed a moment after it was cut; outcomes come
    back a moment later, in order. A pause of its node may fall between any two of these.
    """

    def __init__(self, process: Process, committer: FaultyCommitter, chance: random.Random) -> None:
        self.was_told: Callable[[Entry, Outcome], None] = lambda _entry, _outcome: None
        self._process = process
        self._committer = committer
        self._chance = chance
        self._queue: deque[Entry | Exclusive] = deque()
        self._outcomes: deque[Callable[[], None]] = deque()
        self._held: list[Entry] = []  # by somebody else: the front of the next batch
        self._writing = False
        self._idle = asyncio.Event()

    async def written(self) -> None:
        """Return when nothing is to be written or told any more."""
        while self._writing or self._outcomes:
            self._idle.clear()
            await self._idle.wait()

    def submit(self, entry: Entry) -> None:
        self._put(entry)

    def exclusive(self, work: Callable[[Any], Any], done: Done) -> None:
        self._put(Exclusive(work, done))

    def _put(self, item: Entry | Exclusive) -> None:
        self._queue.append(item)
        if not self._writing:
            self._writing = True
            self._soon(self._cut)

    def _soon(self, callback: Callable[..., None], *args: Any) -> None:
        self._process.call_later(self._chance.random() * 0.004, callback, *args)

    def _cut(self) -> None:
        first = self._queue.popleft() if self._queue else None
        if first is None:
            self._write([])
            return
        if isinstance(first, Exclusive):
            self._soon(self._exclusive, first)
            return
        batch = [first]
        most = self._chance.choice((1, 4, 100))
        while self._queue and len(batch) < most and isinstance(self._queue[0], Entry):
            batch.append(self._queue.popleft())  # type: ignore[arg-type]  # just looked
        self._soon(self._write, batch)

    def _write(self, batch: list[Entry]) -> None:
        entries, outcomes, self._held = self._committer.write(self._held + batch)
        if entries:
            self._later(lambda: self._report(entries, outcomes))
        self._next()

    def _report(self, batch: list[Entry], outcomes: list[Outcome]) -> None:
        for entry, outcome in zip(batch, outcomes, strict=True):
            self.was_told(entry, outcome)
        report(batch, outcomes)

    def _exclusive(self, item: Exclusive) -> None:
        result, error = self._committer.run(item)
        self._later(lambda: item.done(result, error))
        self._next()

    def _next(self) -> None:
        if self._queue:
            self._soon(self._cut)
        elif self._held:
            self._process.call_later(HELD_SECONDS, self._cut)
        else:
            self._writing = False

    def _later(self, outcome: Callable[[], None]) -> None:
        self._outcomes.append(outcome)
        self._soon(self._tell)

    def _tell(self) -> None:
        self._outcomes.popleft()()  # the oldest now, not when this was called for
        if not self._outcomes and not self._writing:
            self._idle.set()


class SimStore(Store):
    """The store without its threads: reads of committed rows take a moment, or fail; changes are the journal's."""

    def __init__(
        self, process: Process, journal: Any, committer: FaultyCommitter, chance: random.Random
    ) -> None:  # no threads, no super
        self.owner = committer.owner
        self.journal = journal
        self._process = process
        self._committer = committer
        self._draw = chance.random

    async def fetch(self, work: Callable[[Any], Any]) -> Any:
        answer: asyncio.Future[Any] = self._process.create_future()

        def done(result: Any, error: BaseException | None) -> None:
            if answer.cancelled():
                return
            if error is None:
                answer.set_result(result)
            else:
                answer.set_exception(Unavailable(f"The database cannot be read: {error}"))

        self.read(work, done)
        return await answer

    def read(self, work: Callable[[Any], Any], done: Done) -> None:
        self._process.call_later(self._draw() * 0.003, self._read, work, done)

    def _read(self, work: Callable[[Any], Any], done: Done) -> None:
        weather, rows, error = self._committer.weather, None, None
        if self._committer.is_away or weather.strikes(weather.mix.read_fails, "read failed"):
            error = OperationalError("cannot read, says the simulation")
        else:
            rows = work(self._committer.database)
        self._process.call_later(self._draw() * 0.003, done, rows, error)
