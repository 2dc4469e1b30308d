"""One life of the server: the shipping directory, actors, committer, statements and sweep, over a store that fails."""

import random
from collections import Counter, deque
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
from peewee import Database, OperationalError

from actors import Directory, Limits, Surroundings
from actors.messages import RunDue
from runtime.sweep import Sweep
from store.claims import hosts_with_live_runs
from store.committer import Committer, CommitUnknown
from store.entries import Entry, Exclusive
from store.journal import report, run_exclusive
from tests.simulation.loop import CountingIds, ServerLoop, VirtualClock, VirtualLoop

SWEEP_SECONDS = 2.0


class Faults(NamedTuple):
    """How the world misbehaves; each seed draws its own mix. Probabilities, unless said otherwise."""

    commit_fails: float = 0.0
    commit_unknown: float = 0.0
    read_fails: float = 0.0
    request_lost: float = 0.0
    reply_lost: float = 0.0
    alarm_lost: float = 0.0
    alarm_twice: float = 0.0
    alarm_late: float = 0.0
    link_cut_per_minute: float = 0.0
    agent_dies_per_minute: float = 0.0
    server_dies_per_minute: float = 0.0

    @classmethod
    def drawn(cls, chance: random.Random) -> "Faults":
        def some(*values: float) -> float:
            return chance.choice(values)

        return cls(
            commit_fails=some(0, 0.01, 0.05),
            commit_unknown=some(0, 0.01, 0.05),
            read_fails=some(0, 0.02, 0.1),
            request_lost=some(0, 0.02, 0.1),
            reply_lost=some(0, 0.02, 0.1),
            alarm_lost=some(0, 0.2, 1),
            alarm_twice=some(0, 0.2),
            alarm_late=some(0, 0.3),
            link_cut_per_minute=some(0, 0.5, 2),
            agent_dies_per_minute=some(0, 1, 4),
            server_dies_per_minute=some(0, 0.5, 2),
        )


class FaultyCommitter(Committer):
    """The shipping committer, whose COMMIT fails, or succeeds without anybody learning of it."""

    def __init__(
        self, database: Database, owner: str, chance: random.Random, faults: Faults, stats: Counter[str]
    ) -> None:
        super().__init__(database, owner)
        self._chance = chance
        self.faults = faults
        self._stats = stats

    def _finish(self, connection: Any) -> None:
        draw = self._chance.random()
        if draw < self.faults.commit_fails:
            self._stats["commit failed"] += 1
            connection.rollback()
            raise OperationalError("disk full, says the simulation")
        if draw < self.faults.commit_fails + self.faults.commit_unknown:
            self._stats["commit unknown"] += 1
            if self._chance.random() < 0.5:
                connection.rollback()
            else:
                super()._finish(connection)
            raise CommitUnknown("says the simulation")
        super()._finish(connection)


class SimJournal:
    """The journal without its thread: batches of random size, each committed a moment after it was cut; outcomes come
    back a moment later, in order.
    """

    def __init__(self, loop: ServerLoop, committer: FaultyCommitter, chance: random.Random) -> None:
        self._loop = loop
        self._committer = committer
        self._chance = chance
        self._queue: deque[Entry | Exclusive] = deque()
        self._outcomes: deque[Callable[[], None]] = deque()
        self._writing = False
        self.on_commit: Callable[[list[Entry]], None] = lambda _: None
        self.before_commit: Callable[[], None] = lambda: None

    def submit(self, entry: Entry) -> None:
        self._put(entry)

    def exclusive(self, work: Callable[[Any], Any], done: Callable[[Any, BaseException | None], None]) -> None:
        self._put(Exclusive(work, done))

    def _put(self, item: Entry | Exclusive) -> None:
        self._queue.append(item)
        if not self._writing:
            self._writing = True
            self._loop.call_later(self._chance.uniform(0, 0.004), self._write)

    def _write(self) -> None:
        first = self._queue.popleft()
        if isinstance(first, Exclusive):
            self._exclusive(first)
        else:
            batch = [first]
            most = self._chance.choice((1, 4, 100))
            while self._queue and len(batch) < most and isinstance(self._queue[0], Entry):
                batch.append(self._queue.popleft())  # type: ignore[arg-type]  # just looked
            self.before_commit()
            outcomes = self._committer.commit(batch)
            self.on_commit(batch)
            self._later(lambda: report(batch, outcomes))
        if self._queue:
            self._loop.call_later(self._chance.uniform(0, 0.004), self._write)
        else:
            self._writing = False

    def _exclusive(self, item: Exclusive) -> None:
        result, error = run_exclusive(self._committer, item)
        if self._chance.random() < self._committer.faults.commit_unknown:
            result, error = None, OperationalError("the answer was lost, says the simulation")
        self._later(lambda: item.done(result, error))

    def _later(self, outcome: Callable[[], None]) -> None:
        self._outcomes.append(outcome)
        self._loop.call_later(self._chance.uniform(0, 0.002), lambda: self._outcomes.popleft()())  # noqa: PLW0108 - the oldest when it fires, not now


class SimReader:
    """Reads of committed rows that take a moment, or fail."""

    def __init__(self, loop: ServerLoop, database: Database, chance: random.Random, faults: Faults) -> None:
        self._loop = loop
        self._database = database
        self._chance = chance
        self.faults = faults

    def read(self, work: Callable[[Any], Any], done: Callable[[Any, BaseException | None], None]) -> None:
        if self._chance.random() < self.faults.read_fails:
            self._loop.call_later(0.001, done, None, OperationalError("cannot read, says the simulation"))
        else:
            self._loop.call_later(self._chance.uniform(0, 0.003), self._read, work, done)

    def _read(self, work: Callable[[Any], Any], done: Callable[[Any, BaseException | None], None]) -> None:
        rows = work(self._database)
        self._loop.call_later(self._chance.uniform(0, 0.003), done, rows, None)


class SimAlarms:
    """Alarms that ring late, twice or never."""

    def __init__(self, loop: ServerLoop, clock: VirtualClock, chance: random.Random, faults: Faults) -> None:
        self._loop = loop
        self._clock = clock
        self._chance = chance
        self.faults = faults
        self.ring: Callable[[str], None] = lambda _: None

    def set_alarm(self, host_id: str, due_at: int) -> None:
        if self._chance.random() < self.faults.alarm_lost:
            return
        delay = max(due_at - self._clock.now(), 0) / 1000
        if self._chance.random() < self.faults.alarm_late:
            delay += self._chance.uniform(0, 30)
        for _ in range(2 if self._chance.random() < self.faults.alarm_twice else 1):
            self._loop.call_later(delay, self.ring, host_id)


class Life:
    """A server from its start to its death."""

    def __init__(
        self,
        number: int,
        loop: VirtualLoop,
        clock: VirtualClock,
        ids: CountingIds,
        database: Database,
        chance: random.Random,
        faults: Faults,
        limits: Limits,
        stats: Counter[str],
        publish: Callable[[str, msgspec.Struct], None],
    ) -> None:
        self.loop = ServerLoop(loop)
        self.committer = FaultyCommitter(database, f"life-{number}", chance, faults, stats)
        self.journal = SimJournal(self.loop, self.committer, chance)
        self.reader = SimReader(self.loop, database, chance, faults)
        self.alarms = SimAlarms(self.loop, clock, chance, faults)
        around = Surroundings(
            scheduler=self.loop,
            clock=clock,
            ids=ids,
            journal=self.journal,
            reader=self.reader,
            events=_Events(publish),
            limits=limits,
        )
        around.alarms = self.alarms
        self.directory = Directory(around, self.loop, self.committer.owner, started_at=clock.now())
        self.alarms.ring = lambda host_id: self.directory.tell(host_id, RunDue())
        self.sweep = Sweep(None, self.directory, self.alarms, clock, SWEEP_SECONDS)  # type: ignore[arg-type]  # only `looking` and `act` are used
        self._clock = clock
        self.directory.activate(hosts_with_live_runs(database))
        self._sweep()

    def _sweep(self) -> None:
        now = self._clock.now()

        def looked(found: Any, error: BaseException | None) -> None:
            if error is None:
                self.sweep.act(found, now)

        self.reader.read(self.sweep.looking(now), looked)
        self.loop.call_later(SWEEP_SECONDS, self._sweep)

    def heal(self) -> None:
        """No more faults."""
        calm = Faults()
        self.committer.faults = self.reader.faults = self.alarms.faults = calm


class _Events:
    def __init__(self, publish: Callable[[str, msgspec.Struct], None]) -> None:
        self._publish = publish

    def publish(self, _org_id: str, event: str, data: msgspec.Struct) -> None:
        self._publish(event, data)
