"""Servers: the shipping directory, actors, sweep, cluster and journal, put together as `runtime/control_plane.py` does.

A `Node` is a machine: it has a name, a wall clock, and one process of the server after the other. A `Life` is such a
process, from its start to its death. All nodes of a world share one database. A single node is the embedded default,
which owns everything; several run the ownership protocol: claims, renewals by the database's clock, appended facts,
doorbells that get lost, and requests that are passed on to a host's owner.
"""

import asyncio
import random
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, NamedTuple

import msgspec
from peewee import Database

from actors import Directory, Limits, Surroundings
from actors.host import HostActor
from actors.messages import RunDue
from interlock.errors import InterlockError
from runtime.cluster import Cluster
from runtime.sweep import Sweep
from store.claims import hosts_with_live_runs
from tests.simulation.invariants import Invariants
from tests.simulation.loop import Process, VirtualLoop, WallClock, WallIds
from tests.simulation.loop_journal import SimLoopJournal
from tests.simulation.store import FaultyCommitter, SimJournal, SimStore, Weather
from web.idempotency import Idempotency

SWEEP_SECONDS = 2.0
STARTS_SECONDS = 30.0  # after which somebody ends a start that does not come to an end
LIMITS = Limits(
    heartbeat_ms=5_000,
    lease_ms=15_000,
    lost_after_ms=20_000,
    offline_after_ms=15_000,
    cancel_grace_ms=1_000,
    cancel_slack_ms=3_000,
    timeout_ms=30_000,
    startup_grace_ms=10_000,
    passivate_after_ms=8_000,
    claim_retry_ms=500,
)


class Unrest:
    """What has happened in actors since the world last looked."""

    def __init__(self) -> None:
        self.actors: dict[HostActor, Life] = {}
        self.errors: list[BaseException] = []


class Plane(NamedTuple):
    """What all nodes share."""

    loop: VirtualLoop
    database: Database
    weather: Weather
    invariants: Invariants
    numbers: Iterator[int]
    dice: Callable[[str], random.Random]
    time_offset: list[int]  # of the database's clock, in ms
    lives: dict[str, "Life"]  # by the names under which they own hosts
    unrest: Unrest


class SimAlarms:
    """Alarms that ring late, twice or never."""

    def __init__(self, process: Process, clock: WallClock, weather: Weather, chance: random.Random) -> None:
        self.ring: Callable[[str], None] = lambda _: None
        self._process = process
        self._clock = clock
        self._weather = weather
        self._chance = chance

    def set_alarm(self, host_id: str, due_at: int) -> None:
        strikes, mix = self._weather.strikes, self._weather.mix
        if self._weather.bells_are_down or strikes(mix.alarm_lost, "alarm lost"):
            return
        delay = max(due_at - self._clock.now(), 0) / 1000
        if strikes(mix.alarm_late, "alarm late"):
            delay += self._chance.uniform(0, 30)
        for _ in range(2 if strikes(mix.alarm_twice, "alarm twice") else 1):
            self._process.call_later(delay, self.ring, host_id)


class SimBell:
    """Doorbells between nodes, over something that loses them, brings them late, or is away for a while."""

    def __init__(self, plane: Plane, chance: random.Random) -> None:
        self._plane = plane
        self._chance = chance

    @property
    def up(self) -> bool:
        return not self._plane.weather.bells_are_down

    def ring(self, owner: str, host_id: str) -> None:
        weather, life = self._plane.weather, self._plane.lives.get(owner)
        if life is None or weather.bells_are_down or weather.strikes(weather.mix.bell_lost, "bell lost"):
            return
        late = weather.strikes(weather.mix.bell_late, "bell late")
        life.process.call_later(
            self._chance.uniform(*((1, 10) if late else (0.001, 0.02))), life.directory.rung, host_id
        )


class Life:
    """A server from its start to its death."""

    def __init__(self, name: str, owner: str, plane: Plane, clock: WallClock, chance: random.Random) -> None:
        self.name = name
        self.process = Process(plane.loop)
        self.clock = clock
        self.has_started = False
        self.serves = False  # whether it listens
        self._chance = chance
        committer = FaultyCommitter(plane.database, owner, name, plane.weather, self.process)
        committer.begins = lambda: setattr(plane.invariants, "writer", owner)
        self._journal = self._make_journal(committer, plane)
        store = SimStore(self.process, self._journal, committer, chance)
        self.cluster = self._make_cluster(store, owner, plane) if plane.weather.mix.nodes > 1 else None
        ids = WallIds(clock, plane.numbers)
        around = Surroundings(
            scheduler=self.process,
            clock=clock,
            ids=ids,
            journal=self._journal,
            reader=store,
            events=_Events(plane.invariants),
            limits=LIMITS,
            ownership=self.cluster,
        )
        around.alarms = alarms = SimAlarms(self.process, clock, plane.weather, chance)
        self.directory = Directory(around, self.process, owner, started_at=clock.now())
        alarms.ring = lambda host_id: self.directory.tell(host_id, RunDue())
        if self.cluster is not None:
            self.cluster.directory, self.cluster.bell = self.directory, SimBell(plane, chance)
        self._sweep = Sweep(store, self.directory, alarms, clock, SWEEP_SECONDS, cluster=self.cluster)
        self.store = store
        self.idempotency = Idempotency(store, clock, ids)
        self._watch(around, plane.unrest)

    def _make_journal(self, committer: FaultyCommitter, plane: Plane) -> SimJournal | SimLoopJournal:
        journal: SimJournal | SimLoopJournal
        if plane.weather.mix.loop_writes:
            alone, errors = plane.weather.mix.nodes == 1, plane.unrest.errors
            journal = SimLoopJournal(plane.loop, committer, self._chance, errors.append, embedded=alone)
        else:
            journal = SimJournal(self.process, committer, self._chance)
        journal.was_told = plane.invariants.was_told
        return journal

    def _make_cluster(self, store: SimStore, owner: str, plane: Plane) -> Cluster:
        """By the database's clock, which may be set as any other, and differs from those of the nodes."""
        clock = WallClock(plane.loop, self._chance, plane.time_offset)
        return Cluster(store, clock, owner)

    def _watch(self, around: Surroundings, unrest: "Unrest") -> None:
        """Note every turn of an actor: its memory is compared once it has come to rest. And every error in one: it is
        answered to whoever asked, so nobody would see it otherwise.
        """
        settled, dropped = around.settled, around.dropped

        def has_settled(actor: HostActor) -> None:
            unrest.actors[actor] = self
            settled(actor)

        def was_dropped(actor: HostActor, why: str, error: BaseException | None) -> None:
            if error is not None:
                unrest.errors.append(error)
                unrest.actors[actor] = self
            dropped(actor, why, error)

        around.settled, around.dropped = has_settled, was_dropped

    # ---- as the composition root starts and stops it ---------------------------------------------------------------

    def start(self, failed: Callable[[], None]) -> None:
        """Begin to serve, as soon as all is there for that; `failed` is called when it cannot be, or takes too long."""
        self.process.call_later(STARTS_SECONDS, lambda: None if self.has_started else failed())
        self._run(self._start(), failed)

    async def _start(self) -> None:
        if self.cluster is not None:
            await self.cluster.start()
        self.directory.activate(await self.store.fetch(hosts_with_live_runs))
        self._sweep.start()
        await self.directory.all_claimed()
        if self.cluster is not None:
            await self.cluster.listens(self.name)
        self.serves = self.has_started = True

    def stop(self, stopped: Callable[[], None]) -> None:
        """As SIGTERM does: polls are answered, what was decided is written, hosts are given up."""
        self.serves = False
        self.directory.close()
        self._run(self._stop(), lambda: None, stopped)

    async def _stop(self) -> None:
        await asyncio.sleep(self._chance.uniform(0.05, 1))
        await self._sweep.stop()
        if self.cluster is not None:
            await self.cluster.stop()
        await self._journal.written()

    def _run(
        self, work: Coroutine[Any, Any, None], failed: Callable[[], None], done: Callable[[], None] = lambda: None
    ) -> None:
        def ended(task: "asyncio.Task[None]") -> None:
            error = None if task.cancelled() else task.exception()
            if error is None:
                done()
            elif isinstance(error, InterlockError | TimeoutError):
                failed()
            else:
                raise error

        self.process.create_task(work).add_done_callback(ended)


class Node:
    """A machine for servers. `life` is None while none runs."""

    def __init__(self, name: str, plane: Plane) -> None:
        self.name = name
        self.life: Life | None = None
        self._plane = plane
        self._lives = 0
        self._chance = plane.dice(name)
        self._clock = WallClock(plane.loop, plane.dice(f"{name}/chance"))

    def start(self) -> None:
        """A new process of the server, unless one runs."""
        if self.life is not None:
            return
        plane = self._plane
        self._lives += 1
        owner = f"{self.name}/{self._lives}"
        if plane.weather.mix.nodes == 1:
            plane.invariants.cold_start(plane.loop.now_ms + LIMITS.startup_grace_ms)
        life = plane.lives[owner] = self.life = Life(self.name, owner, plane, self._clock, self._chance)
        life.start(lambda: self._end(life))

    def kill(self) -> None:
        """As `kill -9` does; somebody starts it again within seconds."""
        if self.life is not None:
            self._plane.weather.stats["node died"] += 1
            self._end(self.life)

    def stop(self) -> None:
        """As an operator does."""
        life = self.life
        if life is not None and life.serves and not life.process.paused:
            self._plane.weather.stats["node stopped"] += 1
            life.process.call_soon(life.stop, lambda: self._end(life))

    def _end(self, life: Life) -> None:
        if self.life is life:
            life.process.kill()
            self.life = None
            self._plane.loop.call_later(self._chance.uniform(0.1, 5), self.start)

    def pause(self) -> None:
        """The whole process stops for a while, and does not know it afterwards."""
        if self.life is not None:
            self._plane.weather.stats["node paused"] += 1
            self.life.process.pause(self._chance.choice((0.2, 1, 5, 20, 60, 120)))

    def step_clock(self) -> None:
        """Somebody sets its wall clock, or that of the database."""
        self._plane.weather.stats["clock stepped"] += 1
        step = round(self._chance.choice((-1, 1)) * self._chance.choice((0.3, 2, 10, 40, 120, 600)) * 1000)
        clock = self._clock.offset_ms if self._chance.random() < 0.8 else self._plane.time_offset
        clock[0] = step

    def lose_database(self) -> None:
        """For a while it cannot reach the database."""
        self._plane.weather.stats["outage"] += 1
        away = self._plane.weather.away
        away[self.name] = away.get(self.name, 0) + 1
        self._plane.loop.call_later(self._chance.choice((0.5, 3, 10, 30)), self._find_database)

    def _find_database(self) -> None:
        away = self._plane.weather.away
        away[self.name] = max(away.get(self.name, 0) - 1, 0)

    def bells_are_back(self) -> None:
        """Rings may have been lost: its server is told so."""
        life = self.life
        if life is not None and life.cluster is not None:
            life.process.call_soon(life.cluster.doubt)

    def heal(self) -> None:
        """It runs, its clock is right, and the database is there."""
        self._plane.weather.away.clear()
        self._clock.offset_ms[0] = self._plane.time_offset[0] = 0
        if self.life is not None:
            self.life.process.resume()
        self.start()


class _Events:
    def __init__(self, invariants: Invariants) -> None:
        self._invariants = invariants

    def publish(self, _org_id: str, event: str, data: msgspec.Struct) -> None:
        self._invariants.published(event, data)
