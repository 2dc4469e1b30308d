"""A lone decision that the loop writes by itself, and when that is for the process to do."""

import asyncio
import inspect
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from peewee import Database

from store import Committed, Refused, Store, loop_journal, open_database, quiet_writer
from store.writer import CommitterElsewhere, Writer
from tests.conformance import test_store
from tests.support.desk import Desk, created
from tests.support.told import Told, at_rest

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")

for _name, _test in vars(test_store).items():
    if _name.startswith("test_"):
        _needs = inspect.signature(_test).parameters
        if "store" in _needs and "monkeypatch" not in _needs:
            globals()[f"{_name}_quietly"] = _test


@pytest.fixture
def url(tmp_path: Path) -> str:
    """SQLite's alone: what PostgreSQL takes is not the loop's to wait for."""
    return f"sqlite:///{tmp_path}/interlock.db"


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    with closing(open_database(url)) as made:
        yield made


@pytest.fixture
async def store(database: Database, url: str, writer: Writer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Store]:
    """One to which each moment is quiet, and any disk quick."""
    monkeypatch.setattr(loop_journal, "QUIET_SECONDS", 0.0)
    monkeypatch.setattr(quiet_writer, "SWIFT_SECONDS", 60.0)
    made = Store(database, "me", read_threads=2, elsewhere=CommitterElsewhere(database, "me", writer, url))
    await asyncio.to_thread(made.start, asyncio.get_running_loop())
    await at_rest(made)
    yield made
    if writer.pid:
        go_on(writer)
    await asyncio.to_thread(made.stop)


@pytest.fixture
def desk(database: Database, url: str, writer: Writer, store: Store) -> Desk:
    return Desk(database, CommitterElsewhere(database, store.owner, writer, url))


def rest(writer: Writer) -> None:
    """It takes what it is sent, and writes nothing."""
    os.kill(writer.pid, signal.SIGSTOP)


def go_on(writer: Writer) -> None:
    os.kill(writer.pid, signal.SIGCONT)


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def turns(count: int = 4) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_a_lone_decision_needs_no_other_process(desk: Desk, store: Store, writer: Writer) -> None:
    at, told = desk.host(), Told(store)
    rest(writer)
    for _ in range(3):
        told.submit(at.entry(*created(*at.new_job())))
        await turns()
    assert [type(each) for each in told.said] == [Committed] * 3
    assert desk.count("job") == 3


async def test_several_decisions_of_a_turn_are_for_the_process(desk: Desk, store: Store, writer: Writer) -> None:
    one, other, told = desk.host(), desk.host(), Told(store)
    rest(writer)
    told.submit(one.entry(*created(*one.new_job())))
    told.submit(other.entry(*created(*other.new_job())))
    await turns()
    assert told.said == []
    go_on(writer)
    assert [type(each) for each in await told.all(2)] == [Committed] * 2


async def test_nobody_hears_of_his_decision_before_those_whose_own_were_made_before_it(
    desk: Desk, store: Store, writer: Writer
) -> None:
    at, told = desk.host(), Told(store)
    jobs = [at.new_job() for _ in range(3)]
    rest(writer)
    for job, run in jobs[:2]:
        told.submit(at.entry(*created(job, run)), job.id)
    await turns()
    told.submit(at.entry(*created(*jobs[2])), jobs[2][0].id)  # alone, while the process has the others
    told.pool()
    await turns()
    last = at.new_job()
    told.submit(at.entry(*created(*last)), last[0].id)
    go_on(writer)
    *said, _, (last_told, _) = await told.all(5)
    assert [name for name, _ in said] == [job.id for job, _ in jobs]
    assert [list(outcome.seqs) for _, outcome in said] == [[job.id for job, _ in jobs[:2]]] * 2 + [[jobs[2][0].id]]
    assert last_told == last[0].id


async def test_while_somebody_else_writes_the_process_waits_for_him(
    database: Database, desk: Desk, store: Store
) -> None:
    at, told = desk.host(), Told(store)
    with closing(open_database(f"sqlite:///{database.database}")) as theirs:
        theirs.connect()
        theirs.execute_sql("BEGIN IMMEDIATE")
        told.submit(at.entry(*created(*at.new_job())))
        await turns()
        assert told.said == []
        theirs.execute_sql("ROLLBACK")
        assert isinstance((await told.all(1))[0], Committed)


async def test_a_slow_disk_is_for_the_process(
    desk: Desk, store: Store, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quiet_writer, "SWIFT_SECONDS", 0.0)
    monkeypatch.setattr(quiet_writer, "RESPITE", 1_000_000)
    at, told = desk.host(), Told(store)
    rest(writer)
    for _ in range(2):
        told.submit(at.entry())
        await turns()
    assert len(told.said) == 1
    go_on(writer)
    await told.all(2)


async def test_now_and_then_the_process_has_its_turn_to_put_the_log_back(
    desk: Desk, store: Store, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quiet_writer, "MOST_IN_A_ROW", 2)
    at, told = desk.host(), Told(store)
    for said in (2, 5):
        rest(writer)
        for _ in range(3):
            told.submit(at.entry())
            await turns()
        assert len(told.said) == said
        go_on(writer)
        await told.all(said + 1)


async def test_what_is_refused_is_refused_as_ever(desk: Desk, store: Store, writer: Writer) -> None:
    bad, good, told = desk.host(), desk.host(), Told(store)
    (job, run), rightly = bad.new_job(), good.new_job()
    job.payload = '"\ud800"'
    rest(writer)
    told.submit(bad.entry(*created(job, run)))
    await turns()
    assert isinstance(told.said[0], Refused)
    assert bad.incarnation.poisoned
    told.submit(good.entry(*created(*rightly)))  # nothing of the other one is left open
    await turns()
    assert isinstance(told.said[1], Committed)
    assert desk.rows("SELECT id FROM job") == [(rightly[0].id,)]
    told.submit(bad.entry(*created(*bad.new_job())))
    await turns()
    go_on(writer)
    assert isinstance((await told.all(3))[2], Refused)
    assert desk.count("job") == 1


async def test_a_stop_that_is_clean_leaves_all_in_one_file(
    tmp_path: Path, desk: Desk, store: Store, writer: Writer
) -> None:
    at, told = desk.host(), Told(store)
    told.submit(at.entry(*created(*at.new_job())))
    await told.all(1)
    desk.database.close()
    await asyncio.to_thread(store.stop)
    await asyncio.to_thread(writer.close)
    assert names_in(tmp_path) == ["interlock.db"]
