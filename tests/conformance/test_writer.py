"""The committer in a process of its own: all that holds of the one on the journal's thread, and what its end leads to."""

import inspect
import os
import signal
from collections.abc import Iterator

import pytest
from peewee import Database

from store import Committed, Refused
from store.writer import CommitterElsewhere, Writer
from tests.conformance import test_appended_facts, test_journal, test_journal_rows, test_pool
from tests.support.desk import Desk, created

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")

# What is promised of a commit is asked of this one too; not what a test makes go wrong in the committer at hand.
for _module in (test_appended_facts, test_journal, test_journal_rows, test_pool):
    globals().update(
        {
            f"{name}_elsewhere": test
            for name, test in vars(_module).items()
            if name.startswith("test_") and "monkeypatch" not in inspect.signature(test).parameters
        }
    )


@pytest.fixture
def writer() -> Iterator[Writer]:
    made = Writer()
    yield made
    made.close()


@pytest.fixture
def desk(database: Database, url: str, writer: Writer) -> Desk:
    return Desk(database, CommitterElsewhere(database, "me", writer, url))


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
