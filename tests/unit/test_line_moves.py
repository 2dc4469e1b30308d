"""A host's line rearranged by hand: what goes out next, what the rows keep, and what is refused."""

from typing import Literal

import pytest

from actors.messages import MoveInLine, Poll, RunDue
from interlock.errors import InvalidState, NotFound
from interlock.states import RunStatus
from store.rows import HELD
from tests.support.hosts import USER, HostRig, answer_of

S = RunStatus


@pytest.fixture
def host() -> HostRig:
    return HostRig()


def move(host: HostRig, op: Literal["front", "hold", "release", "drop"], job_id: str) -> object:
    return host.do(MoveInLine(job_id=job_id, op=op, by=USER)).reply


def test_the_front_is_ahead_of_those_who_were_put_there_before(host: HostRig) -> None:
    a, b, c = (host.create() for _ in range(3))
    for attempt in (b, c):
        assert move(host, "front", attempt.job.id) is None
    assert host.waiting() == [c.run.id, b.run.id, a.run.id]
    assert host.rows.jobs[c.job.id].rank == 2
    host.rebuild()
    assert host.take() == c.run.id


def test_what_is_held_waits_through_a_rebuild_and_goes_out_to_a_parked_poll_when_released(host: HostRig) -> None:
    created = host.create()
    move(host, "hold", created.job.id)
    assert host.rows.jobs[created.job.id].rank == HELD
    host.rebuild()
    poll = host.poll(waits=True)
    assert is_parked(poll)
    move(host, "release", created.job.id)
    assert answer_of(poll).job_run_id == created.run.id


def is_parked(poll: Poll) -> bool:
    return not poll.answer.done


def test_a_new_job_overtakes_what_is_held(host: HostRig) -> None:
    held = host.create()
    move(host, "hold", held.job.id)
    other = host.create()
    assert host.take() == other.run.id


def test_a_held_retry_comes_back_held(host: HostRig) -> None:
    created = host.create()
    host.report(host.take(), "failed")
    move(host, "hold", created.job.id)
    host.wait(10)
    host.do(RunDue())
    (waiting,) = host.waiting()
    assert host.status_of(waiting) is S.PENDING
    assert answer_of(host.poll()).taken is None


def test_a_dropped_job_leaves_the_line_and_the_next_one_moves_up(host: HostRig) -> None:
    a, b = host.create(), host.create()
    move(host, "drop", a.job.id)
    assert (host.status_of(a.run.id), host.waiting()) == (S.CANCELLED, [b.run.id])


def test_what_runs_or_has_ended_or_is_not_here_cannot_be_moved(host: HostRig) -> None:
    created = host.create()
    run_id = host.take()
    assert isinstance(move(host, "front", created.job.id), InvalidState)
    host.report(run_id)
    assert isinstance(move(host, "front", created.job.id), InvalidState)
    assert isinstance(move(host, "front", "unknown"), NotFound)


def test_only_what_is_held_can_be_released(host: HostRig) -> None:
    created = host.create()
    assert isinstance(move(host, "release", created.job.id), InvalidState)
    move(host, "front", created.job.id)
    assert isinstance(move(host, "release", created.job.id), InvalidState)


def test_each_move_is_audited(host: HostRig) -> None:
    created = host.create()
    move(host, "front", created.job.id)
    move(host, "drop", created.job.id)
    actions = [line[5] for line in host.rows.appended_to("audit_event")]
    assert actions == ["job.create", "queue.front", "queue.drop"]
