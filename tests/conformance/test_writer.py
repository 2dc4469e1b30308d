"""The committer in a process of its own: all that holds of the one on the journal's thread, and what its end leads to."""

import asyncio
import inspect
import os
import signal
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from peewee import Database

from store import Committed, Entry, Outcome, Refused, Store
from store.writer import CommitterElsewhere, Writer
from tests.conformance import test_appended_facts, test_journal, test_journal_rows, test_pool, test_store
from tests.support.desk import Desk, created

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
def writer() -> Iterator[Writer]:
    made = Writer()
    yield made
    made.close()


@pytest.fixture
def desk(database: Database, url: str, writer: Writer) -> Desk:
    return Desk(database, CommitterElsewhere(database, "me", writer, url))


@pytest.fixture
async def store(database: Database, url: str, writer: Writer) -> AsyncIterator[Store]:
    made = Store(database, "me", read_threads=2, elsewhere=CommitterElsewhere(database, "me", writer, url))
    await asyncio.to_thread(made.start, asyncio.get_running_loop())
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


def test_a_long_message_comes_whole(desk: Desk) -> None:
    at = desk.host()
    job, run = at.new_job()
    job.payload = '"' + "é" * 3_000_000 + '"'
    desk.committed(at.entry(*created(job, run)))
    assert desk.stored_job(job.id).payload == job.payload


# ---- as the loop's journal ---------------------------------------------------------------------------------------------


class Told:
    """What the journal says, in the order in which it does."""

    def __init__(self, store: Store) -> None:
        self.journal = store.journal
        self.said: list[Any] = []
        self._news = asyncio.Event()

    def submit(self, entry: Entry) -> None:
        entry.done = self._hear
        self.journal.submit(entry)

    def exclusive(self, name: str) -> None:
        self.journal.exclusive(lambda _: name, lambda result, _: self._hear(result))

    def _hear(self, what: Any) -> None:
        self.said.append(what)
        self._news.set()

    async def all(self, count: int) -> list[Outcome | str]:
        while len(self.said) < count:
            self._news.clear()
            await asyncio.wait_for(self._news.wait(), 20)
        return self.said


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
