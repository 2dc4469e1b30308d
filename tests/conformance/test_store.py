"""The journal's thread and the store's door: order, exclusive work, a stop that writes all, errors in our own words."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from peewee import Database, IntegrityError, OperationalError

from interlock.errors import InterlockError, NotFound, Unavailable
from interlock.states import RunStatus
from store import Committed, Entry, Incarnation, Journal, Outcome, Refused, Store, open_database
from store.claims import claim
from store.committer import Committer, Written
from store.journal import MAX_BATCH
from store.models import Host, Organization
from tests.support.backends import Backend
from tests.support.desk import Claim, Desk, created, moved
from tests.support.rows import host_row, new_id, run_row, write_host

S = RunStatus
LONG = 20.0  # seconds: a bound for what should take none


class Gated(Committer):
    """Waits at the door of every batch until it is let in."""

    def __init__(self, database: Database, owner: str) -> None:
        super().__init__(database, owner)
        self.came = threading.Semaphore(0)
        self.go = threading.Semaphore(0)
        self.open = False
        self.sizes: list[int] = []

    def write(self, entries: Any) -> Written:
        self.sizes.append(len(entries))
        if not self.open:
            self.came.release()
            assert self.go.acquire(timeout=LONG)
        return super().write(entries)


class Desks(Desk):
    """A desk with the journal's thread behind it; outcomes are posted to the test's own thread."""

    def __init__(self, database: Database) -> None:
        self.gate = Gated(database, "me")
        super().__init__(database, self.gate)
        self.posted: list[Callable[[], None]] = []
        self.told = threading.Condition()
        self.journal = Journal(self.gate, self.post)
        self.heard: list[Any] = []

    def post(self, callback: Callable[[], None]) -> None:
        with self.told:
            self.posted.append(callback)
            self.told.notify()

    def listen(self, count: int) -> list[Any]:
        """Run what was posted until so many outcomes have come."""
        while len(self.heard) < count:
            with self.told:
                assert self.told.wait_for(lambda: self.posted, LONG)
                posted, self.posted = self.posted, []
            for callback in posted:
                callback()
        return self.heard

    def submit(self, at: Claim, *changes: Any) -> Entry:
        entry = at.entry(*changes, done=self.heard.append)
        self.journal.submit(entry)
        return entry

    def exclusive(self, work: Callable[[Database], Any]) -> None:
        self.journal.exclusive(work, lambda result, error: self.heard.append(error or result))


@pytest.fixture
def desks(database: Database) -> Iterator[Desks]:
    made = Desks(database)
    yield made
    made.gate.open = True
    made.gate.go.release(100)
    made.journal.stop()


# ---- the journal's thread ----------------------------------------------------------------------------------------------


def test_while_a_batch_is_written_the_next_one_grows(desks: Desks) -> None:
    at = desks.host()
    desks.journal.start()
    desks.submit(at)
    desks.gate.came.acquire(timeout=LONG)
    for _ in range(5):
        desks.submit(at)
    assert desks.journal.depth == 5
    desks.gate.go.release(2)
    assert all(isinstance(outcome, Committed) for outcome in desks.listen(6))
    assert (desks.gate.sizes, desks.journal.batches, desks.journal.entries) == ([1, 5], 2, 6)


def test_a_batch_has_its_bounds(desks: Desks) -> None:
    at = desks.host()
    for _ in range(MAX_BATCH + 1):
        desks.submit(at)
    desks.gate.open = True
    desks.journal.start()
    desks.listen(MAX_BATCH + 1)
    assert desks.gate.sizes == [MAX_BATCH, 1]


def test_outcomes_come_back_in_the_order_of_the_decisions(desks: Desks) -> None:
    at = desks.host()
    desks.gate.open = True
    order: list[int] = []
    for number in range(20):
        desks.journal.submit(at.entry(done=lambda _, number=number: order.append(number)))  # type: ignore[misc]
    desks.exclusive(lambda _: "the last")
    desks.journal.start()
    assert desks.listen(1) == ["the last"]
    assert order == list(range(20))


def test_a_listener_that_fails_silences_nobody(desks: Desks, caplog: pytest.LogCaptureFixture) -> None:
    at = desks.host()

    def deaf(_: Outcome) -> None:
        raise ValueError("deaf")

    desks.gate.open = True
    desks.journal.submit(at.entry(done=deaf))
    desks.submit(at)
    desks.journal.start()
    assert isinstance(desks.listen(1)[0], Committed)
    assert "was not taken" in caplog.text


def test_a_batch_behind_a_failed_one_finds_the_poison(desks: Desks) -> None:
    at = desks.host()
    job, run = at.new_job()
    stray = run_row(job, status="running")
    desks.journal.start()
    desks.submit(at, *created(job, run), *moved(job, stray, S.SUCCESS))
    desks.gate.came.acquire(timeout=LONG)
    desks.submit(at, *moved(job, run, S.RUNNING))  # decided before anybody knows
    desks.gate.go.release(2)
    outcomes = desks.listen(2)
    assert all(isinstance(outcome, Refused) for outcome in outcomes)
    assert desks.count("job_run") == 0


def test_exclusive_work_stands_in_its_place_between_decisions(desks: Desks) -> None:
    at = desks.host()
    desks.gate.open = True
    desks.submit(at, *created(*at.new_job()))
    desks.exclusive(lambda database: database.execute_sql("SELECT count(*) FROM job").fetchone()[0])
    desks.submit(at, *created(*at.new_job()))
    desks.journal.start()
    first, seen, second = desks.listen(3)
    assert (isinstance(first, Committed), seen, isinstance(second, Committed)) == (True, 1, True)


def test_a_claim_in_the_queue_fences_what_stands_behind_it(desks: Desks) -> None:
    at = desks.host()
    desks.gate.open = True
    desks.submit(at)
    desks.exclusive(lambda database: claim(database, "me", [at.host.id]))
    desks.submit(at)
    desks.journal.start()
    before, claimed, behind = desks.listen(3)
    assert isinstance(before, Committed)
    assert claimed[at.host.id].host.epoch == 2
    assert isinstance(behind, Refused)


def test_exclusive_work_that_fails_is_taken_back_and_told_and_the_rest_goes_on(desks: Desks) -> None:
    at = desks.host()
    desks.gate.open = True
    problem = NotFound("half way")

    def fails(database: Database) -> None:
        write_host(database, host_row(name="half way"))
        raise problem

    desks.exclusive(fails)
    desks.submit(at)
    desks.journal.start()
    told, outcome = desks.listen(2)
    assert told is problem
    assert isinstance(outcome, Committed)
    assert desks.count("host") == 1


def test_a_stop_writes_what_is_queued_and_twice_does_no_harm(desks: Desks) -> None:
    at = desks.host()
    jobs = [at.new_job() for _ in range(5)]
    for job in jobs:
        desks.submit(at, *created(*job))
    desks.exclusive(lambda _: "done")
    desks.gate.open = True
    desks.journal.start()
    desks.journal.stop()
    desks.journal.stop()
    assert len(desks.listen(6)) == 6
    assert desks.count("job") == 5


def test_a_journal_that_was_never_started_can_be_stopped(desks: Desks) -> None:
    desks.journal.stop()
    assert desks.journal.depth == 0


def test_a_loop_that_has_closed_is_no_reason_not_to_write(desks: Desks) -> None:
    at = desks.host()

    def closed(_: Callable[[], None]) -> None:
        raise RuntimeError("Event loop is closed")

    desks.gate.open = True
    journal = Journal(desks.gate, closed)
    journal.submit(at.entry(*created(*at.new_job())))
    journal.start()
    journal.stop()
    assert desks.count("job") == 1


# ---- the store's door --------------------------------------------------------------------------------------------------


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    made = Store(open_database(url), "me", read_threads=2)
    await asyncio.to_thread(made.start, asyncio.get_running_loop())
    yield made
    await asyncio.to_thread(made.stop)


def add_org(name: str) -> Callable[[Database], str]:
    """A change of one row; its id."""

    def work(database: Database) -> str:
        org_id = new_id()
        Organization.insert(id=org_id, name=name, created_at=1).execute(database)
        return org_id

    return work


def names(database: Database) -> list[str]:
    """The organizations."""
    return [name for (name,) in Organization.select(Organization.name).tuples().execute(database)]


def failing(error: BaseException) -> Callable[[Database], Any]:
    """Work that fails."""

    def work(_: Database) -> Any:
        raise error

    return work


async def test_what_was_changed_is_read_by_whoever_asks_next(store: Store) -> None:
    for number in range(5):
        await store.change(add_org(f"org-{number}"))
        assert len(await store.fetch(names)) == number + 1


async def test_a_change_that_fails_leaves_nothing_behind(store: Store) -> None:
    def half(database: Database) -> None:
        add_org("half")(database)
        raise NotFound("the other half")

    with pytest.raises(NotFound):
        await store.change(half)
    assert await store.fetch(names) == []


@pytest.mark.parametrize("error", [OperationalError("away"), IntegrityError("twice")])
async def test_a_database_that_fails_is_a_try_later(store: Store, error: Exception) -> None:
    for ask in (store.fetch, store.fetch_small, store.change):
        with pytest.raises(Unavailable) as refusal:
            await ask(failing(error))
        assert refusal.value.__cause__ is error


async def test_what_the_driver_itself_raises_is_a_try_later(store: Store, backend: Backend) -> None:
    for ask in (store.fetch, store.fetch_small, store.change):
        with pytest.raises(Unavailable):
            await ask(failing(backend.driver_error("disk I/O error")))


async def test_small_reads_that_are_wanted_at_once_are_told_their_own(store: Store) -> None:
    await store.change(add_org("acme"))
    wanted = (names, failing(OperationalError("away")), failing(NotFound("no such org")), lambda _: "last")
    found = await asyncio.gather(*map(store.fetch_small, wanted), return_exceptions=True)
    assert [each if isinstance(each, list | str) else type(each) for each in found] == [
        ["acme"],
        Unavailable,
        NotFound,
        "last",
    ]


async def test_our_own_refusals_and_bugs_come_through_as_they_are(store: Store) -> None:
    for error in (NotFound("no such org"), ZeroDivisionError("a bug")):
        for ask in (store.fetch, store.fetch_small, store.change):
            with pytest.raises(type(error)) as raised:
                await ask(failing(error))
            assert raised.value is error


async def test_after_a_failure_the_next_one_succeeds(store: Store) -> None:
    for ask in (store.fetch, store.fetch_small, store.change):
        with pytest.raises(Unavailable):
            await ask(lambda database: database.execute_sql("SELECT nonsense FROM nowhere"))
    await store.change(add_org("acme"))
    assert await store.fetch(names) == ["acme"]


async def test_who_gives_up_waiting_does_not_stop_the_change(store: Store) -> None:
    begun, go = threading.Event(), threading.Event()

    def slow(database: Database) -> None:
        begun.set()
        go.wait(LONG)
        add_org("slow")(database)

    task = asyncio.create_task(store.change(slow))
    await asyncio.to_thread(begun.wait, LONG)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    go.set()
    await store.change(add_org("next"))
    assert await store.fetch(names) == ["slow", "next"]


async def test_readers_do_not_wait_for_writers(store: Store) -> None:
    begun, go = threading.Event(), threading.Event()

    def slow(database: Database) -> None:
        add_org("slow")(database)
        begun.set()
        go.wait(LONG)

    task = asyncio.create_task(store.change(slow))
    await asyncio.to_thread(begun.wait, LONG)
    assert await store.fetch(names) == []
    go.set()
    await task
    assert await store.fetch(names) == ["slow"]


async def test_a_read_calls_back_on_the_loop_with_a_result_or_an_error(store: Store) -> None:
    loop = asyncio.get_running_loop()
    for work, expected in ((lambda _: 7, (7, None)), (failing(problem := NotFound("x")), (None, problem))):
        answer: asyncio.Future[tuple[Any, Any, int]] = loop.create_future()
        store.read(work, lambda *got, answer=answer: answer.set_result((*got, threading.get_ident())))
        got = await asyncio.wait_for(answer, LONG)
        assert got == (*expected, threading.get_ident())


async def test_a_decision_and_a_read_meet_in_the_same_database(store: Store) -> None:
    host = host_row()

    def come(database: Database) -> Any:
        write_host(database, host)
        return claim(database, "me", [host.id])[host.id]

    claimed = await store.change(come)
    at = Claim(claimed.host, Incarnation(host.id, claimed.host.epoch))
    outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
    store.journal.submit(at.entry(*created(*at.new_job()), done=outcome.set_result))
    assert isinstance(await asyncio.wait_for(outcome, LONG), Committed)
    rev = await store.fetch(lambda database: Host.select(Host.rev).scalar(database))
    assert rev == 2


async def test_a_stop_writes_what_is_queued_and_a_second_one_does_no_harm(url: str) -> None:
    store = Store(open_database(url), "me")
    await asyncio.to_thread(store.start, asyncio.get_running_loop())
    changes = [asyncio.create_task(store.change(add_org(f"org-{number}"))) for number in range(10)]
    await asyncio.sleep(0)
    for _ in range(2):
        await asyncio.to_thread(store.stop)
    assert len(await asyncio.wait_for(asyncio.gather(*changes), LONG)) == 10


@pytest.mark.parametrize("door", ["fetch", "fetch_small", "change"])
async def test_after_the_stop_everybody_is_told_to_try_later(url: str, door: str) -> None:
    store = Store(open_database(url), "me")
    await asyncio.to_thread(store.start, asyncio.get_running_loop())
    await asyncio.to_thread(store.stop)
    with pytest.raises(InterlockError):
        async with asyncio.timeout(2):
            await getattr(store, door)(names)


async def test_a_store_whose_database_cannot_be_opened_says_so(backend: Backend, tmp_path: Path) -> None:
    store = Store(open_database(backend.missing(tmp_path)), "me")
    with pytest.raises(InterlockError):
        await asyncio.to_thread(store.start, asyncio.get_running_loop())
    store.stop()
