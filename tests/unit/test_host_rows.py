"""What others wrote to a host's rows comes into its owner's memory, in whatever order it is heard of."""

from dataclasses import replace

import pytest

from actors.messages import Look, Seen
from interlock.states import RunStatus, StopReason
from store.claims import Claimed
from store.rows import JobRow, RunRow
from tests.support.hosts import NOW, SECOND, HostRig
from tests.support.rows import job_row, run_row

S = RunStatus


def appended(rig: HostRig, **run: object) -> tuple[JobRow, RunRow]:
    """A job that another node has written."""
    job = job_row(host_id="host", seq=rig.state.host.next_seq)
    made = job, run_row(job, created_at=rig.now, **run)
    rig.rows.jobs[job.id], rig.rows.runs[made[1].id] = replace(job), replace(made[1])
    return made


def seen(rig: HostRig, *news: tuple[JobRow, RunRow], of: int | None = None, **host: object) -> object:
    """The rows, or the news of them, which say how many open runs there are."""
    claimed = Claimed(replace(rig.state.host, **host), [*news], of=None if of is None else births(rig, of))  # type: ignore[arg-type]
    return rig.do(Seen(claimed=claimed, asked_at=rig.now))


def births(rig: HostRig, count: int) -> tuple[int, int]:
    """What the open runs come to."""
    born = [run.created_at for run in rig.rows.runs.values() if run.finished_at is None]
    return count, sum(born[:count])


def waiting(rig: HostRig) -> list[str]:
    return [attempt.job.id for attempt in rig.state.line]


def test_an_owner_that_is_rung_asks_for_the_news_since_it_last_looked() -> None:
    rig = HostRig()
    rig.now += 5 * SECOND
    d = rig.decide(Look())
    assert isinstance(d.look_up, Look)
    assert (d.look_up.whole, d.look_up.run_id, d.look_up.asked_at) == (False, None, rig.now)
    assert d.look_up.since < NOW  # clocks of nodes differ


def test_appended_jobs_join_the_line_once() -> None:
    rig = HostRig()
    made = appended(rig)
    for _ in range(2):
        seen(rig, made, of=1)
    assert waiting(rig) == [made[0].id]


def test_appended_jobs_that_are_not_due_wait_for_their_time() -> None:
    rig = HostRig()
    seen(rig, appended(rig, status="scheduled", available_at=NOW + 1), of=1)
    assert (waiting(rig), len(rig.state.backoff)) == ([], 1)


def test_what_somebody_else_has_ended_leaves_the_line() -> None:
    rig = HostRig()
    first, second = appended(rig), appended(rig, status="scheduled", available_at=NOW + 1)
    seen(rig, first, second, of=2)
    rig.rows.runs.clear()
    seen(rig, of=None)
    assert (waiting(rig), rig.state.backoff) == ([], {})


def test_news_that_do_not_explain_how_many_runs_there_are_make_it_read_all() -> None:
    rig = HostRig()
    rig.state.stale = True
    seen(rig, appended(rig), of=1)
    rig.state.stale = True
    d = rig.decide(Seen(claimed=Claimed(rig.state.host, [], of=(0, 0)), asked_at=rig.now))
    assert isinstance(d.look_up, Look)
    assert (d.look_up.whole, rig.state.stale) == (True, True)


def test_what_belongs_to_others_is_taken_from_the_row_and_what_is_the_owners_is_not() -> None:
    rig = HostRig()
    rig.state.stale = True
    seen(rig, of=0, paused=True, rev=77, next_seq=9, run_no=5, instance_id="theirs")
    host = rig.state.host
    assert (host.paused, host.rev, host.next_seq) == (True, 77, 9)
    assert (host.run_no, host.instance_id, rig.state.stale) == (0, None, False)


def asked(rig: HostRig, word: str) -> tuple[JobRow, RunRow]:
    """The run in the slot, with a word that another node has left for it."""
    current = rig.state.current
    assert current is not None
    rig.rows.runs[current.run.id].asked_to_stop = word
    return replace(current.job), replace(current.run, asked_to_stop=word)


@pytest.mark.parametrize(("word", "status"), [("cancel", S.CANCELLING), ("force", S.CANCELLED)])
def test_a_word_is_heeded(word: str, status: S) -> None:
    rig = HostRig()
    rig.create()
    run_id = rig.take()
    seen(rig, asked(rig, word), of=1)
    assert (rig.status_of(run_id), rig.rows.runs[run_id].stop_reason) == (status, StopReason.USER)


@pytest.mark.parametrize(("word", "status"), [("cancel", S.CANCELLING), ("force", S.CANCELLED)])
def test_a_word_for_a_run_that_is_over_its_time_makes_it_the_users(word: str, status: S) -> None:
    rig = HostRig()
    rig.create(timeout_ms=SECOND)
    run_id = rig.take()
    rig.wait(1)
    assert rig.rows.runs[run_id].stop_reason is StopReason.TIMEOUT
    seen(rig, asked(rig, word), of=1)
    assert (rig.status_of(run_id), rig.rows.runs[run_id].stop_reason) == (status, StopReason.USER)


def test_a_word_that_was_heeded_changes_nothing_again() -> None:
    rig = HostRig()
    rig.create()
    rig.take()
    for changes in (True, False):
        claimed = Claimed(rig.state.host, [asked(rig, "cancel")], of=births(rig, 1))
        d = rig.decide(Seen(claimed=claimed, asked_at=rig.now))
        assert d.changes_anything is changes
        rig.rows.write(d, rig.state.host)
