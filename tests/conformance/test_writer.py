"""The committer in a process of its own: all that holds of the one on the journal's thread, and what its end leads to."""

import asyncio
import inspect
import itertools
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest
from peewee import Database

from interlock.states import RunStatus
from store import Committed, Refused, Store, loop_journal, open_database, quiet_writer
from store.database import migrate
from store.entries import Change, job_change, run_change
from store.pool import NotWritten, is_of_one_row
from store.rows import JobRow, RunRow
from store.writer import CommitterElsewhere, Writer
from tests.conformance import test_appended_facts, test_journal, test_journal_rows, test_pool, test_store
from tests.conformance.test_postgres_commits import Holder
from tests.support.desk import Desk, created, moved
from tests.support.rows import job_row, run_row
from tests.support.told import Told, at_rest

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")

# What is promised of a commit is asked of this one too; not what a test makes go wrong in the committer at hand.
# Of the store's promises those that are kept on the loop.
for _module, _wanted in (
    (test_appended_facts, "desk"),
    (test_journal, "desk"),
    (test_journal_rows, "desk"),
    (test_pool, "desk"),
    (test_store, "store"),
):
    for _name, _test in vars(_module).items():
        if _name.startswith("test_"):
            _needs = inspect.signature(_test).parameters
            if _wanted in _needs and "monkeypatch" not in _needs:
                globals()[f"{_name}_elsewhere"] = _test


@pytest.fixture
def desk(database: Database, url: str, writer: Writer) -> Desk:
    return Desk(database, CommitterElsewhere(database, "me", writer, url))


@pytest.fixture
async def store(database: Database, url: str, writer: Writer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Store]:
    """One whose loop writes nothing by itself, however quiet it is."""
    monkeypatch.setattr(quiet_writer, "MOST_IN_A_ROW", 0)
    made = Store(database, "me", read_threads=2, elsewhere=CommitterElsewhere(database, "me", writer, url))
    await asyncio.to_thread(made.start, asyncio.get_running_loop())
    await at_rest(made)
    yield made
    await asyncio.to_thread(made.stop)


def test_what_it_writes_is_not_written_by_this_process(desk: Desk) -> None:
    desk.database.close()
    at = desk.host()
    desk.database.close()
    (outcome,) = desk.commit(at.entry(*created(*at.new_job())))
    assert isinstance(outcome, Committed)
    assert desk.database.is_closed()


def test_when_it_has_ended_the_outcome_is_unknown_and_this_process_writes_from_then_on(
    desk: Desk, writer: Writer
) -> None:
    one, other = desk.host(), desk.host()
    desk.committed(one.entry())
    os.kill(writer.pid, signal.SIGKILL)
    os.waitid(os.P_PID, writer.pid, os.WEXITED | os.WNOWAIT)
    outcomes = desk.commit(one.entry(*created(*one.new_job())), other.entry())
    assert [isinstance(outcome, Refused) and outcome.unknown for outcome in outcomes] == [True, True]
    assert one.incarnation.poisoned
    assert other.incarnation.poisoned
    assert isinstance(desk.commit(one.entry())[0], Refused)
    assert writer.pid == 0  # it has been waited for: nothing of it can still be written
    again = desk.claim(one.host.id)
    desk.committed(again.entry(*created(*again.new_job())))
    assert len(desk.rows("SELECT id FROM job")) == 1


def test_what_is_poisoned_never_goes_there(desk: Desk) -> None:
    sound, poisoned = desk.host(), desk.host()
    poisoned.incarnation.poisoned = True
    jobs = [claim.new_job() for claim in (poisoned, sound)]
    written = desk.committer.write([poisoned.entry(*created(*jobs[0])), sound.entry(*created(*jobs[1]))])
    assert [type(outcome) for outcome in written.outcomes] == [Refused, Committed]
    assert desk.rows("SELECT id FROM job") == [(jobs[1][0].id,)]


def test_what_cannot_be_sent_is_refused_here_for_itself_alone(desk: Desk) -> None:
    good, bad = desk.host(), desk.host()
    jobs = [good.new_job(), bad.new_job()]
    jobs[1][0].payload = '"\ud800"'  # the edge refuses it; were it to come so far, it must not sink the others
    outcomes = desk.commit(good.entry(*created(*jobs[0])), bad.entry(*created(*jobs[1])))
    assert [type(outcome) for outcome in outcomes] == [Committed, Refused]


def test_it_is_not_stopped_by_what_stops_the_server_but_goes_when_the_server_has(desk: Desk, writer: Writer) -> None:
    at = desk.host()
    desk.committed(at.entry())
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(writer.pid, number)
    desk.committed(at.entry())
    pid = writer.pid
    writer.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_stop_that_is_clean_leaves_all_in_one_file(tmp_path: Path) -> None:
    url, writer = f"sqlite:///{tmp_path}/interlock.db", Writer()
    database = open_database(url)
    migrate(database)
    desk = Desk(database, CommitterElsewhere(database, "me", writer, url))
    desk.committed(desk.host().entry())
    assert (tmp_path / "interlock.db-wal").stat().st_size > 16 * 1024 * 1024
    database.close()
    writer.close()
    assert [path.name for path in tmp_path.iterdir()] == ["interlock.db"]


def test_a_long_message_comes_whole(desk: Desk) -> None:
    at = desk.host()
    job, run = at.new_job()
    job.payload = '"' + "é" * 3_000_000 + '"'
    desk.committed(at.entry(*created(job, run)))
    assert desk.stored_job(job.id).payload == job.payload


# ---- as the loop's journal ---------------------------------------------------------------------------------------------


async def test_decisions_and_transactions_of_their_own_keep_their_order(desk: Desk, store: Store) -> None:
    at, told = desk.host(), Told(store)
    for number in range(3):
        told.submit(at.entry(*created(*at.new_job())))
        told.exclusive(f"between {number}")
    said = await told.all(6)
    assert [each if isinstance(each, str) else type(each) for each in said] == [
        Committed,
        "between 0",
        Committed,
        "between 1",
        Committed,
        "between 2",
    ]
    assert (store.journal.entries, store.journal.batches, store.journal.depth) == (3, 3, 0)
    assert store.journal.processes == 1


async def test_while_a_batch_is_written_the_next_one_grows(desk: Desk, store: Store) -> None:
    at, told = desk.host(), Told(store)
    told.submit(at.entry())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    for _ in range(5):
        told.submit(at.entry(*created(*at.new_job())))
    assert [type(each) for each in await told.all(6)] == [Committed] * 6
    assert store.journal.batches == 2


async def test_in_a_quiet_moment_a_decision_goes_out_while_its_turn_still_lasts(
    desk: Desk, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop_journal, "QUIET_SECONDS", 0.0)
    at, told = desk.host(), Told(store)
    told.submit(at.entry(*created(*at.new_job())))
    assert store.journal.depth == 0
    told.submit(at.entry(*created(*at.new_job())))  # behind one that is under way all that come are gathered
    told.submit(at.entry(*created(*at.new_job())))
    assert store.journal.depth == 2
    assert [type(each) for each in await told.all(3)] == [Committed] * 3
    assert (store.journal.batches, desk.count("job")) == (2, 3)


async def test_just_behind_another_the_decisions_of_a_turn_share_a_commit(
    desk: Desk, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    at, told = desk.host(), Told(store)
    told.submit(at.entry())
    await told.all(1)
    monkeypatch.setattr(loop_journal, "QUIET_SECONDS", 60.0)
    for _ in range(3):
        told.submit(at.entry(*created(*at.new_job())))
    assert store.journal.depth == 3
    await told.all(4)
    assert store.journal.batches == 2


async def test_behind_many_decisions_as_many_are_waited_for(
    desk: Desk, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop_journal, "QUIET_SECONDS", 60.0)
    monkeypatch.setattr(loop_journal, "GATHER_SECONDS", 60.0)
    monkeypatch.setattr(loop_journal, "WORTH_WAITING", 16)
    at, told = desk.host(), Told(store)

    async def decide(count: int) -> None:
        for _ in range(count):
            told.submit(at.entry())
        for _ in range(3):
            await asyncio.sleep(0)

    await decide(8)
    await told.all(8)
    await decide(1)
    await decide(14)
    assert (len(told.said), store.journal.depth) == (8, 15)
    await decide(1)
    await told.all(24)
    assert store.journal.batches == 2
    monkeypatch.setattr(loop_journal, "GATHER_SECONDS", 0.001)
    await decide(1)  # not so many any more: it goes after a moment
    await told.all(25)
    monkeypatch.setattr(loop_journal, "GATHER_SECONDS", 60.0)
    await decide(1)  # and behind a single one at once
    await told.all(26)
    await decide(20)
    await told.all(46)
    await decide(1)
    await asyncio.to_thread(store.stop)  # waits for nobody
    assert len(await told.all(47)) == 47


async def test_a_stop_writes_what_was_decided_and_refuses_what_comes_then(desk: Desk, store: Store) -> None:
    at, told = desk.host(), Told(store)
    for _ in range(3):
        told.submit(at.entry(*created(*at.new_job())))
        told.exclusive("mine")
    await asyncio.to_thread(store.stop)
    assert len(await told.all(6)) == 6
    assert desk.count("job") == 3
    told.submit(at.entry())
    assert isinstance((await told.all(7))[-1], Refused)
    await asyncio.to_thread(store.stop)


async def test_when_the_process_ends_under_way_the_thread_takes_over(desk: Desk, store: Store, writer: Writer) -> None:
    one, other, told = desk.host(), desk.host(), Told(store)
    told.submit(one.entry())
    await told.all(1)
    os.kill(writer.pid, signal.SIGSTOP)
    told.submit(one.entry(*created(*one.new_job())))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    told.submit(one.entry())  # behind it
    told.submit(other.entry(*created(*other.new_job())))
    told.exclusive("mine")
    os.kill(writer.pid, signal.SIGKILL)
    _, lost, behind, written, mine = await told.all(5)
    assert isinstance(lost, Refused)
    assert lost.unknown
    assert isinstance(behind, Refused)
    assert not behind.unknown
    assert isinstance(written, Committed)
    assert mine == "mine"
    assert (writer.pid, store.journal.processes) == (0, 0)
    assert desk.count("job") == 1
    await asyncio.to_thread(store.stop)


async def test_long_messages_and_what_cannot_be_sent_do_not_hold_the_loop(desk: Desk, store: Store) -> None:
    good, bad, told = desk.host(), desk.host(), Told(store)
    job, run = good.new_job()
    job.payload = '"' + "x" * 2_000_000 + '"'
    told.submit(good.entry(*created(job, run)))
    await told.all(1)
    job, run = bad.new_job()
    job.payload = '"\ud800"'
    told.submit(bad.entry(*created(job, run)))
    told.submit(good.entry(*created(*good.new_job())))
    assert [type(each) for each in await told.all(3)] == [Committed, Refused, Committed]


# ---- hosts that somebody else holds, on PostgreSQL -----------------------------------------------------------------------


class Held(NamedTuple):
    """A journal that writes elsewhere, and somebody who holds hosts."""

    desk: Desk
    told: Told
    holder: Holder
    store: Store


@pytest.fixture
async def held(postgres_url: str, writer: Writer) -> AsyncIterator[Held]:
    database = open_database(postgres_url)
    elsewhere = CommitterElsewhere(database, "me", writer, postgres_url)
    store, holder = Store(database, "me", read_threads=2, elsewhere=elsewhere), Holder(postgres_url)
    await asyncio.to_thread(store.start, asyncio.get_running_loop())
    yield Held(Desk(database, elsewhere), Told(store), holder, store)
    await asyncio.to_thread(store.stop)
    holder.close()
    database.close()


async def test_a_held_host_delays_nobody_and_its_decisions_keep_their_order(held: Held) -> None:
    desk, told = held.desk, held.told
    mine, free = desk.host(), desk.host()
    job, run = mine.new_job()
    held.holder.hold(mine)
    told.submit(mine.entry(*created(job, run)), "create")
    for number in range(3):
        told.submit(free.entry(*created(*free.new_job())), f"free {number}")
        await told.all(number + 1)
    told.submit(mine.entry(*moved(job, run, RunStatus.RUNNING)), "take")
    told.exclusive("exclusive")
    await told.all(4)
    told.submit(mine.entry(*moved(job, run, RunStatus.SUCCESS)), "end")
    told.submit(free.entry(), "free")
    await told.all(5)
    held.holder.let_go()
    said = await told.all(8)
    assert [each if isinstance(each, str) else each[0] for each in said] == [
        *(f"free {number}" for number in range(3)),
        "exclusive",
        "free",
        "create",
        "take",
        "end",
    ]
    assert all(isinstance(each[1], Committed) for each in said if not isinstance(each, str))
    assert (desk.status_of(run), held.store.journal.depth) == ("success", 0)


async def test_a_stop_waits_for_who_holds_a_host(held: Held) -> None:
    mine = held.desk.host()
    held.holder.hold(mine)
    held.told.submit(mine.entry(*created(*mine.new_job())), "held")
    held.told.submit(held.desk.host().entry(), "free")
    await held.told.hear("free")
    stopping = asyncio.create_task(asyncio.to_thread(held.store.stop))
    await asyncio.sleep(0)
    held.holder.let_go()
    await stopping
    assert isinstance(await held.told.hear("held"), Committed)
    assert held.desk.count("job") == 1


async def test_a_stop_refuses_in_the_end_what_somebody_goes_on_holding(
    held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop_journal, "LAST_SECONDS", 0)
    mine = held.desk.host()
    held.holder.hold(mine)
    held.told.submit(mine.entry(), "held")
    await asyncio.to_thread(held.store.stop)
    assert isinstance(await held.told.hear("held"), Refused)


async def test_what_was_held_when_the_process_ended_is_written_by_the_thread(held: Held, writer: Writer) -> None:
    mine, free = held.desk.host(), held.desk.host()
    held.holder.hold(mine)
    held.told.submit(mine.entry(*created(*mine.new_job())), "held")
    held.told.submit(free.entry(), "free")
    await held.told.all(1)
    os.kill(writer.pid, signal.SIGKILL)
    tries = itertools.count()
    while held.store.journal.processes:
        held.told.submit(free.entry(), name := f"later {next(tries)}")
        await held.told.hear(name)
    held.holder.let_go()
    outcome = await held.told.hear("held")  # it may just have been tried when the process ended
    assert isinstance(outcome, Committed) or outcome.unknown
    assert held.desk.count("job") == isinstance(outcome, Committed)


# ---- pools -------------------------------------------------------------------------------------------------------------


def pool_job() -> tuple[list[Change], JobRow, RunRow]:
    """What puts a job into the pool."""
    job = job_row(host_id=None, labels="{}")
    run = run_row(job, pool_labels="{}", pool_priority=0)
    return [job_change(job, None), run_change(run, None)], job, run


async def test_changes_to_pools_are_written_there_in_their_turn(desk: Desk, store: Store) -> None:
    at, told = desk.host(), Told(store)
    jobs = [pool_job() for _ in range(3)]
    told.submit(at.entry())
    told.pool(jobs[0][0], jobs[1][0])
    told.submit(at.entry())
    said = await told.all(3)
    assert [type(said[0]), said[1], type(said[2])] == [Committed, ([True, True], None), Committed]
    moved = replace(jobs[0][2], status=RunStatus.CANCELLED)
    told.pool([run_change(moved, RunStatus.PENDING)], [run_change(moved, RunStatus.PENDING)], jobs[2][0])
    assert (await told.all(4))[3] == ([True, False, True], None)
    assert desk.count("job") == 3
    assert store.journal.processes == 1


async def test_what_cannot_be_written_to_a_pool_says_whether_it_is_for_one_row(desk: Desk, store: Store) -> None:
    told = Told(store)
    changes, job, run = pool_job()
    told.pool(changes, changes)
    ((fits, error),) = await told.all(1)
    assert fits is None
    assert isinstance(error, NotWritten)
    assert is_of_one_row(error)
    assert "unique" in str(error).lower()
    assert desk.count("job") == 0
    job.payload = '"\ud800"'  # cannot be sent, so it is tried here
    told.pool([job_change(job, None), run_change(run, None)])
    assert (await told.all(2))[1][0] is None
    assert desk.count("job") == 0


async def test_when_the_process_ends_with_changes_to_a_pool_they_are_told_so(
    desk: Desk, store: Store, writer: Writer
) -> None:
    told = Told(store)
    told.pool(pool_job()[0])
    await told.all(1)
    os.kill(writer.pid, signal.SIGSTOP)
    told.pool(pool_job()[0])
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    told.pool(pool_job()[0])  # behind it
    os.kill(writer.pid, signal.SIGKILL)
    _, lost, behind = await told.all(3)
    assert lost[0] is None
    assert isinstance(lost[1], OSError)
    assert behind == ([True], None)
    assert desk.count("job") == 2
    assert store.journal.processes == 0
    await asyncio.to_thread(store.stop)
