"""The sweep finds in the rows what no alarm rang for, and sets alarms for what soon will be due."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from peewee import Database

from actors.org import CountPending
from interlock.errors import Unavailable
from runtime.alarms import HORIZON
from runtime.sweep import KEPT, Sweep
from store import open_database
from store.database import migrate
from store.keys import take_key
from store.models import IdempotencyKey
from tests.support.rows import job_row, run_row, write_job, write_run

NOW = 1_700_000_000_000
LONG = 20.0  # seconds: a bound for what should take none


class Org:
    """A supervisor that is told counts."""

    def __init__(self, org_id: str, max_pending: int) -> None:
        self.org_id = org_id
        self.max_pending = max_pending
        self.told: list[int] = []
        self.actor_ref = self

    def tell(self, message: CountPending) -> None:
        self.told.append(message.pending)


class World:
    """The directory, the alarms, the clock and the store of a sweep, all in one."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.orgs: dict[str, Org] = {}
        self.woken: list[list[str]] = []
        self.pools: list[str] = []
        self.alarms: list[tuple[str, int]] = []
        self.fails: list[Exception] = []
        self.swept = asyncio.Event()
        self.changes = 0

    def now(self) -> int:
        return NOW

    def set_alarm(self, host_id: str, due_at: int) -> None:
        self.alarms.append((host_id, due_at))

    def sweep(self, due: Iterable[str]) -> None:
        self.woken.append(list(due))
        self.swept.set()

    def sweep_pools(self, orgs: Iterable[str]) -> None:
        self.pools += orgs

    def supervisor(self, org_id: str) -> Org:
        return self.orgs[org_id]

    async def fetch(self, work: Callable[[Database], Any]) -> Any:
        if self.fails:
            raise self.fails.pop(0)
        return work(self.database)

    async def change(self, work: Callable[[Database], Any]) -> Any:
        self.changes += 1
        return work(self.database)


def sweep_of(world: Any, every: float = 0.001) -> Sweep:
    return Sweep(world, world, world, world, every)


@pytest.fixture
def database() -> Iterator[Database]:
    made = open_database("sqlite:///:memory:")
    migrate(made)
    yield made
    made.close()


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


def scheduled(database: Database, host_id: str | None, at: int) -> None:
    """A retry or a job for later that is due then."""
    job = job_row(host_id=host_id)
    write_job(database, job)
    write_run(database, run_row(job, status="scheduled", available_at=at))


async def test_a_host_with_something_due_is_told_to_look_at_its_clock(world: World) -> None:
    scheduled(world.database, "late", NOW - 100_000)
    scheduled(world.database, "just", NOW)
    await sweep_of(world).once()
    assert world.woken == [["late", "just"]]
    assert world.alarms == []


async def test_what_will_be_due_within_the_horizon_gets_an_alarm(world: World) -> None:
    scheduled(world.database, "soon", NOW + 1)
    scheduled(world.database, "edge", NOW + HORIZON)
    scheduled(world.database, "far", NOW + HORIZON + 1)
    await sweep_of(world).once()
    assert world.woken == [[]]
    assert world.alarms == [("soon", NOW + 1), ("edge", NOW + HORIZON)]


async def test_a_host_is_told_once_a_round_however_much_is_due_there(world: World) -> None:
    for _ in range(3):
        scheduled(world.database, "host", NOW)
    job = job_row(host_id="host", start_before=NOW)
    write_job(world.database, job)
    write_run(world.database, run_row(job))
    await sweep_of(world).once()
    assert world.woken == [["host"]]


async def test_a_host_with_a_job_that_should_have_started_is_told(world: World) -> None:
    for host_id, start_before in (("passed", NOW), ("ahead", NOW + 1), ("none", None)):
        job = job_row(host_id=host_id, start_before=start_before)
        write_job(world.database, job)
        write_run(world.database, run_row(job))
    await sweep_of(world).once()
    assert world.woken == [["passed"]]


@pytest.mark.parametrize("change", [{"started_at": NOW - 5}, {"status": "COMPLETED"}, {"host_id": None}])
async def test_a_job_that_has_started_or_ended_or_has_no_host_wakes_nobody(
    world: World, change: dict[str, Any]
) -> None:
    job = job_row(**{"host_id": "host", "start_before": NOW - 1} | change)
    write_job(world.database, job)
    write_run(world.database, run_row(job))
    await sweep_of(world).once()
    assert world.woken == [[]]


async def test_what_has_no_host_yet_wakes_no_host_but_the_supervisor_of_its_pool(world: World) -> None:
    scheduled(world.database, None, NOW)
    scheduled(world.database, None, NOW + 1)
    scheduled(world.database, None, NOW + HORIZON + 1)
    await sweep_of(world).once()
    assert world.woken == [[]]
    assert world.pools == ["org"]
    assert world.alarms == [("pool:org", NOW + 1)]


async def test_a_pool_with_a_job_that_should_have_started_is_looked_at(world: World) -> None:
    write_job(world.database, job_row(host_id=None, labels="{}", start_before=NOW))
    await sweep_of(world).once()
    assert world.pools == ["org"]


async def test_a_round_is_bounded_and_takes_the_earliest_first(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.sweep.MOST", 3)
    for number in range(5):
        scheduled(world.database, f"host-{number}", NOW - number)
    await sweep_of(world).once()
    assert world.woken == [["host-4", "host-3", "host-2"]]


async def test_orgs_with_a_quota_are_told_how_many_of_their_jobs_wait(world: World) -> None:
    world.orgs = {name: Org(name, limit) for name, limit in (("org", 10), ("empty", 10), ("free", 0))}
    for status in ("PENDING", "PENDING", "RUNNING"):
        write_job(world.database, job_row(org_id="org", status=status))
    await sweep_of(world).once()
    assert {name: org.told for name, org in world.orgs.items()} == {"org": [2], "empty": [0], "free": []}


def keyed(database: Database, number: int, at: int) -> None:
    """So many keys that were taken then."""
    for _ in range(number):
        name = f"{at}-{keys(database)}"
        take_key(database, name, "org", ("user", name, "print"), at)


def keys(database: Database) -> int:
    return IdempotencyKey.select().bind(database).count()


async def test_all_old_keys_are_forgotten_in_portions_and_younger_ones_stay(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.sweep.KEYS_AT_ONCE", 3)
    monkeypatch.setattr("runtime.sweep.KEYS_EVERY", 1)
    keyed(world.database, 10, NOW - KEPT - 1)
    keyed(world.database, 2, NOW - KEPT)
    await sweep_of(world).once()
    assert (keys(world.database), world.changes) == (2, 4)


async def test_old_keys_that_are_more_than_a_round_takes_are_left_to_the_next_round(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.sweep.KEYS_AT_ONCE", 2)
    monkeypatch.setattr("runtime.sweep.KEY_PORTIONS", 3)
    sweep = sweep_of(world)
    sweep.rounds = 29
    keyed(world.database, 10, 0)
    left = []
    for _ in range(3):
        await sweep.once()
        left.append(keys(world.database))
    assert (left, world.changes) == ([4, 0, 0], 6)


@pytest.mark.parametrize("failure", [Unavailable("the database is away"), RuntimeError("a bug")])
async def test_a_round_that_fails_is_logged_and_the_next_one_comes(
    world: World, failure: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    world.fails = [failure]
    sweep = sweep_of(world)
    sweep.start()
    await asyncio.wait_for(world.swept.wait(), LONG)
    await sweep.stop()
    assert "sweep" in caplog.text
    assert sweep.rounds == len(world.woken)


async def test_stopping_twice_or_before_the_start_does_no_harm(world: World) -> None:
    sweep = sweep_of(world)
    await sweep.stop()
    sweep.start()
    await asyncio.wait_for(world.swept.wait(), LONG)
    await sweep.stop()
    await sweep.stop()
