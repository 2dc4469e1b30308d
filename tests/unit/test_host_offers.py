"""Jobs that are pushed to a socket: offered, accepted, given back, and what comes of an agent that never accepts."""

from typing import Any

import pytest

from actors.messages import ExplainWait
from actors.policies import Policy, text_of
from interlock.errors import AlreadyTaken, InvalidState, NotFound, Superseded
from interlock.frames import CancelRun
from interlock.states import JobStatus, RunStatus
from interlock.wire import TakenJob
from tests.support.agent_sockets import Socket, SocketRig
from tests.support.hosts import answer_of

S = RunStatus


@pytest.fixture
def host() -> SocketRig:
    return SocketRig()


# ---- the offer ---------------------------------------------------------------------------------------------------------


def test_a_connected_host_is_pushed_its_job_with_the_payload_under_both_names(host: SocketRig) -> None:
    socket = host.connect()
    created = host.create(payload='{"map":"de_dust2"}')
    given = socket.offered()
    assert (given.job_id, given.job_run_id, given.attempt, given.run_no) == (created.job.id, created.run.id, 1, 1)
    assert bytes(given.payload) == bytes(given.input) == b'{"map":"de_dust2"}'
    assert host.status_of(created.run.id) is S.OFFERED
    assert created.job.status is JobStatus.PENDING
    assert "job_run.started" not in host.events


def test_a_job_that_finds_an_idle_socket_is_created_and_offered_in_one_commit(host: SocketRig) -> None:
    host.connect()
    created = host.create()
    assert host.rows.runs[created.run.id].offers == 1
    assert host.state.joining == 0


def test_what_waits_is_offered_at_connect_one_at_a_time_and_in_order(host: SocketRig) -> None:
    normal, urgent, last = host.create(), host.create(priority=9), host.create()
    socket = host.connect()
    order = []
    for _ in range(3):
        given = socket.offered()
        host.ack(socket, given.job_id)
        host.report(given.job_run_id)
        order.append(given.job_run_id)
    assert order == [urgent.run.id, normal.run.id, last.run.id]
    assert socket.events == ["job:new"] * 3


def test_an_offer_holds_the_hosts_slot(host: SocketRig) -> None:
    socket = host.connect()
    host.create()
    second = host.create()
    assert socket.events == ["job:new"]
    assert host.waiting() == [second.run.id]
    assert answer_of(host.poll()).taken is None


def test_a_parked_poll_is_served_before_a_socket(host: SocketRig) -> None:
    socket = host.connect()
    poll = host.poll(waits=True)
    created = host.create()
    assert answer_of(poll).job_run_id == created.run.id
    assert socket.events == []


@pytest.mark.parametrize("closed", [{"paused": True}, {"draining": True}, {"awaiting_idle": True, "declares": True}])
def test_a_host_that_may_take_nothing_is_offered_nothing(closed: dict[str, Any]) -> None:
    host = SocketRig(**closed)
    socket = host.connect()
    created = host.create()
    assert socket.events == []
    assert host.status_of(created.run.id) is S.PENDING


def test_a_retry_that_holds_the_host_lets_nothing_be_offered(host: SocketRig) -> None:
    socket = host.connect()
    created = host.create(policy=text_of(Policy(while_backing_off="hold")))
    host.ack(socket, created.job.id)
    host.create()
    host.report(created.run.id, "failed")
    assert socket.events == ["job:new"]
    host.wait(3)
    assert (socket.offered().job_id, socket.offered().attempt) == (created.job.id, 2)


def test_an_offered_job_says_until_when_it_waits(host: SocketRig) -> None:
    host.connect()
    created = host.create()
    wait = host.do(ExplainWait(job_id=created.job.id)).reply
    assert (wait.reason, wait.position) == ("offered", 1)
    assert wait.until is not None


def test_a_run_keeps_when_it_was_offered_and_forgets_it_where_the_offer_is_taken_back(host: SocketRig) -> None:
    created = host.create()
    host.wait(5)
    offered_at = host.now
    socket = host.connect()
    assert host.rows.runs[created.run.id].offered_at == offered_at
    host.drop(socket)
    assert host.rows.runs[created.run.id].offered_at is None
    host.wait(5)
    socket = host.connect()
    again_at = host.now
    host.wait(5)
    host.ack(socket, created.job.id)
    host.report(created.run.id)
    run = host.rows.runs[created.run.id]
    assert (run.offered_at, run.started_at, run.status) == (again_at, host.now, S.SUCCESS)


def test_what_a_poll_takes_was_never_offered(host: SocketRig) -> None:
    socket = host.connect()
    created = host.create()
    host.drop(socket)
    assert answer_of(host.poll()).job_run_id == created.run.id
    assert host.rows.runs[created.run.id].offered_at is None


# ---- the ack -----------------------------------------------------------------------------------------------------------


def test_an_ack_starts_the_run_and_is_answered_with_the_job(host: SocketRig) -> None:
    socket = host.connect()
    created = host.create()
    host.wait(4)
    taken = host.ack(socket, created.job.id)
    assert isinstance(taken, TakenJob)
    assert (taken.job_run_id, taken.run_no) == (created.run.id, socket.offered().run_no)
    run, job = host.rows.runs[created.run.id], host.rows.jobs[created.job.id]
    assert (run.status, run.started_at, run.offered_until) == (S.RUNNING, host.now, None)
    assert (job.status, job.assigned_agent_id, job.attempts) == (JobStatus.RUNNING, "host", 1)
    assert host.state.host.delivered_at == host.now
    assert "job_run.started" in host.events


def test_an_ack_said_twice_is_answered_twice_and_not_without_the_fence(host: SocketRig) -> None:
    socket = host.connect()
    run_id = host.start(socket)
    job_id = socket.offered().job_id
    first, second = host.ack(socket, job_id), host.ack(socket, job_id, run_id)
    assert first == second
    assert host.events.count("job_run.started") == 1
    assert host.rows.runs[run_id].offers == 1


def test_an_ack_of_a_run_that_is_being_stopped_does_not_unstop_it(host: SocketRig) -> None:
    socket = host.connect()
    run_id = host.start(socket)
    job_id = socket.offered().job_id
    host.cancel(job_id)
    assert host.ack(socket, job_id).job_run_id == run_id
    assert host.status_of(run_id) is S.CANCELLING


def test_an_ack_of_a_job_that_was_never_offered_is_refused(host: SocketRig) -> None:
    socket = host.connect()
    host.create()
    waiting = host.create()
    refusal = host.ack(socket, waiting.job.id)
    assert isinstance(refusal, InvalidState)
    assert host.waiting() == [waiting.run.id]


def test_an_ack_of_an_unknown_job_is_not_found(host: SocketRig) -> None:
    socket = host.connect()
    assert isinstance(host.ack(socket, "unknown"), NotFound)
    assert isinstance(host.ack(socket, "unknown", "unknown"), NotFound)


def test_an_ack_that_names_a_run_of_another_job_is_not_found(host: SocketRig) -> None:
    socket = host.connect()
    first = host.start(socket)
    host.report(first)
    second = host.create()
    assert isinstance(host.ack(socket, second.job.id, first), NotFound)


def test_an_ack_of_a_run_that_has_ended_is_refused(host: SocketRig) -> None:
    socket = host.connect()
    run_id = host.start(socket)
    host.report(run_id)
    for named in (None, run_id):
        refusal = host.ack(socket, socket.offered().job_id, named)
        assert isinstance(refusal, InvalidState)
        assert refusal.current.status == "success"


def test_an_ack_from_an_older_connection_is_superseded(host: SocketRig) -> None:
    old = host.connect(1)
    created = host.create()
    host.connect(2)
    assert isinstance(host.ack(old, created.job.id), Superseded)
    assert host.status_of(created.run.id) is S.OFFERED


def test_any_sign_of_life_that_names_the_offered_run_accepts_it(host: SocketRig) -> None:
    for say in (
        host.progress,
        lambda run_id: host.logs(run_id, "line"),
        host.beat,
        lambda run_id: host.poll(running=(run_id,)),
    ):
        host.connect()
        created = host.create()
        say(created.run.id)
        assert host.status_of(created.run.id) is S.RUNNING
        assert created.job.assigned_agent_id == "host"
        host.report(created.run.id)


def test_a_heartbeat_without_a_list_accepts_nothing(host: SocketRig) -> None:
    socket = host.connect()
    created = host.create()
    host.beat_on(socket, silent=True)
    host.beat_on(socket)
    assert host.status_of(created.run.id) is S.OFFERED


@pytest.mark.parametrize(("said", "status"), [("success", S.SUCCESS), ("failed", S.FAILED), ("cancelled", S.FAILED)])
def test_a_report_is_an_ack_as_well(host: SocketRig, said: str, status: RunStatus) -> None:
    socket = host.connect()
    created, following = host.create(), host.create()
    host.report(created.run.id, said)
    assert host.status_of(created.run.id) is status
    assert host.rows.runs[created.run.id].started_at == host.now
    assert host.rows.jobs[created.job.id].attempts == 1
    assert host.events.index("job_run.started") < host.events.index("job_run.done")
    assert socket.offered().job_run_id == following.run.id


# ---- the reject --------------------------------------------------------------------------------------------------------


def test_a_rejected_offer_fails_its_job_and_is_not_tried_again(host: SocketRig) -> None:
    socket = host.connect()
    created, following = host.create(), host.create()
    assert host.reject(socket, created.job.id, reason="no such map") is None
    run, job = host.rows.runs[created.run.id], host.rows.jobs[created.job.id]
    assert (run.status, run.started_at) == (S.REJECTED, None)
    assert (job.status, job.error_code, job.error_message) == (JobStatus.FAILED, "rejected", "no such map")
    assert len(host.runs_of(created.job.id)) == 1
    assert socket.offered().job_run_id == following.run.id


def test_a_reject_said_twice_is_taken_twice_and_one_of_what_has_ended_otherwise_is_refused(host: SocketRig) -> None:
    socket = host.connect()
    created = host.create()
    assert host.reject(socket, created.job.id) is None
    assert host.reject(socket, created.job.id) is None
    run_id = host.start(socket)
    host.report(run_id)
    assert isinstance(host.reject(socket, socket.offered().job_id), InvalidState)


# ---- nobody accepts ----------------------------------------------------------------------------------------------------


def test_an_offer_that_nobody_accepts_in_time_goes_back_to_the_front_and_out_again(host: SocketRig) -> None:
    socket = host.connect()
    created = host.create()
    host.create()
    host.wait(29)
    assert socket.events == ["job:new"]
    host.wait(2)
    assert [given.job_run_id for given in socket.of("job:new")] == [created.run.id] * 2
    assert [given.run_no for given in socket.of("job:new")] == [1, 2]
    run = host.rows.runs[created.run.id]
    assert (run.status, run.offers) == (S.OFFERED, 2)


def test_an_offer_whose_socket_goes_is_back_in_line_at_once(host: SocketRig) -> None:
    socket = host.connect()
    created, second = host.create(), host.create()
    host.drop(socket)
    assert host.waiting() == [created.run.id, second.run.id]
    assert host.rows.runs[created.run.id].offered_until is None


def test_an_offer_whose_socket_goes_is_given_to_the_poll_that_waits(host: SocketRig) -> None:
    socket = host.connect()
    created = host.create()
    poll = host.poll(waits=True)
    host.drop(socket)
    assert answer_of(poll).job_run_id == created.run.id


def test_after_three_unaccepted_offers_the_host_is_unhealthy_and_is_offered_nothing(host: SocketRig) -> None:
    socket = host.connect()
    created = host.create()
    host.wait(91)
    assert len(socket.of("job:new")) == 3
    assert host.state.host.unhealthy is not None
    assert "host.updated" in host.events
    assert host.status_of(created.run.id) is S.PENDING
    assert host.do(ExplainWait(job_id=created.job.id)).reply.reason == "host_unhealthy"
    host.wait(300)
    assert len(socket.of("job:new")) == 3


def test_three_offers_of_different_jobs_count_as_well(host: SocketRig) -> None:
    socket = host.connect()
    host.create()
    host.wait(31)
    host.create(priority=9)
    host.wait(61)
    assert host.state.host.unhealthy is not None
    assert len({given.job_run_id for given in socket.of("job:new")}) == 2


def deaf(host: SocketRig) -> tuple[Socket, str]:
    """A connection that has accepted nothing, and the run that it was offered."""
    socket = host.connect()
    created = host.create()
    host.wait(91)
    assert host.state.host.unhealthy is not None
    return socket, created.run.id


def test_a_late_ack_makes_a_deaf_host_healthy_and_is_not_wasted(host: SocketRig) -> None:
    socket, run_id = deaf(host)
    assert host.ack(socket, socket.offered().job_id).job_run_id == run_id
    assert host.state.host.unhealthy is None
    assert host.status_of(run_id) is S.RUNNING


def test_a_reconnect_makes_a_deaf_host_healthy_and_it_is_offered_its_job_again(host: SocketRig) -> None:
    _, run_id = deaf(host)
    socket = host.connect(2)
    assert host.state.host.unhealthy is None
    assert socket.offered().job_run_id == run_id


def test_a_poll_makes_a_deaf_host_healthy(host: SocketRig) -> None:
    _, run_id = deaf(host)
    assert answer_of(host.poll()).job_run_id == run_id
    assert host.state.host.unhealthy is None


def test_a_reject_makes_a_deaf_host_healthy(host: SocketRig) -> None:
    socket, _ = deaf(host)
    host.reject(socket, socket.offered().job_id)
    assert host.state.host.unhealthy is None


def test_an_ack_in_between_starts_the_count_again(host: SocketRig) -> None:
    socket = host.connect()
    created = host.create()
    host.wait(61)
    host.ack(socket, created.job.id)
    host.report(created.run.id)
    host.create()
    host.wait(61)
    assert host.state.host.unhealthy is None


def test_a_run_that_was_offered_five_times_is_undeliverable(host: SocketRig) -> None:
    created = host.create(max_attempts=1)
    for number in range(5):
        socket = host.connect(number)
        assert socket.offered().job_run_id == created.run.id
        host.drop(socket)
    run, job = host.rows.runs[created.run.id], host.rows.jobs[created.job.id]
    assert (run.status, run.error_code) == (S.FAILED, "undeliverable")
    assert (job.status, job.error_code) == (JobStatus.FAILED, "undeliverable")
    assert not host.state.host.awaiting_idle
    assert host.connect(9).events == []


def test_an_undeliverable_run_is_retried_as_any_that_failed(host: SocketRig) -> None:
    created = host.create(max_attempts=2)
    for number in range(5):
        host.drop(host.connect(number))
    assert [run.status for run in host.runs_of(created.job.id)] == [S.FAILED, S.SCHEDULED]


# ---- late acks ---------------------------------------------------------------------------------------------------------


def test_an_ack_just_after_the_deadline_is_not_wasted(host: SocketRig) -> None:
    socket = host.connect(instance="a")
    created = host.create()
    host.wait(91)
    assert host.status_of(created.run.id) is S.PENDING
    assert host.ack(socket, created.job.id).job_run_id == created.run.id
    assert host.rows.runs[created.run.id].run_no == 4


def test_a_late_ack_while_the_host_has_got_something_else_is_refused_and_the_run_waits_on(host: SocketRig) -> None:
    socket = host.connect()
    created = host.create()
    host.wait(20)
    urgent = host.create(priority=9)
    host.wait(11)
    assert socket.offered().job_run_id == urgent.run.id
    assert isinstance(host.ack(socket, created.job.id), InvalidState)
    assert host.status_of(created.run.id) is S.PENDING
    assert host.ack(socket, urgent.job.id).job_run_id == urgent.run.id


def test_what_a_poll_has_taken_meanwhile_is_not_started_a_second_time(host: SocketRig) -> None:
    socket = host.connect()
    created = host.create()
    poll = host.poll(waits=True)
    host.wait(31)
    assert answer_of(poll).job_run_id == created.run.id
    assert isinstance(host.ack(socket, created.job.id), AlreadyTaken)
    assert host.status_of(created.run.id) is S.RUNNING


def test_the_connection_that_comes_back_naming_what_it_was_offered_has_accepted_it(host: SocketRig) -> None:
    host.drop(host.connect(1, instance="a", running=()))
    socket = host.connect(2, instance="a", running=())
    created = host.create()
    host.drop(socket)
    again = host.connect(3, instance="a", running=(created.run.id,))
    assert host.status_of(created.run.id) is S.RUNNING
    assert again.events == []


def test_another_process_cannot_accept_what_was_offered_to_the_one_before(host: SocketRig) -> None:
    socket = host.connect(1, instance="a")
    created = host.create()
    host.drop(socket)
    host.state.host.paused = True
    other = host.connect(2, instance="b")
    assert isinstance(host.ack(other, created.job.id, created.run.id), InvalidState)


def test_an_offer_that_is_back_in_line_may_still_be_accepted_after_a_restart(host: SocketRig) -> None:
    socket = host.connect(1, instance="a")
    created = host.create()
    host.drop(socket)
    host.rebuild(cold=True)
    host.state.host.paused = True  # so that it is not offered again
    assert host.ack(host.connect(2, instance="a"), created.job.id, created.run.id).job_run_id == created.run.id


def test_an_offer_that_was_cancelled_while_it_was_back_in_line_is_not_accepted(host: SocketRig) -> None:
    socket = host.connect()
    created = host.create()
    host.wait(91)
    host.cancel(created.job.id)
    assert isinstance(host.ack(socket, created.job.id), InvalidState)


# ---- cancels -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("force", [False, True])
def test_an_offered_run_that_is_cancelled_is_over_and_its_agent_is_told(host: SocketRig, *, force: bool) -> None:
    socket = host.connect()
    created, following = host.create(), host.create()
    assert host.cancel(created.job.id, force=force) is True
    assert host.status_of(created.run.id) is S.CANCELLED
    assert socket.of("job:cancel") == [
        CancelRun(job_id=created.job.id, job_run_id=created.run.id, grace_seconds=10.0),
    ]
    assert not host.state.host.awaiting_idle  # nothing has begun
    assert socket.offered().job_run_id == following.run.id
    assert isinstance(host.ack(socket, created.job.id, created.run.id), InvalidState)


def test_a_running_job_that_is_cancelled_is_pushed_to_its_agent(host: SocketRig) -> None:
    socket = host.connect()
    run_id = host.start(socket)
    assert host.cancel(socket.offered().job_id) is False
    assert [stop.job_run_id for stop in socket.of("job:cancel")] == [run_id]
    host.report(run_id, "cancelled")
    assert host.status_of(run_id) is S.CANCELLED


def test_a_run_that_is_ended_by_force_is_pushed_too_and_closes_the_gate(host: SocketRig) -> None:
    socket = host.connect()
    run_id = host.start(socket)
    host.create()
    assert host.cancel(socket.offered().job_id, force=True) is True
    assert [stop.job_run_id for stop in socket.of("job:cancel")] == [run_id]
    assert host.state.host.awaiting_idle
    assert len(socket.of("job:new")) == 1


def test_a_waiting_job_that_is_cancelled_is_pushed_to_nobody(host: SocketRig) -> None:
    socket = host.connect()
    host.start(socket)
    waiting = host.create()
    host.cancel(waiting.job.id)
    assert socket.of("job:cancel") == []


def test_a_run_whose_time_is_over_is_told_to_stop(host: SocketRig) -> None:
    socket = host.connect()
    run_id = host.start(socket)
    host.wait(601)
    assert [stop.job_run_id for stop in socket.of("job:cancel")] == [run_id]
    assert host.status_of(run_id) is S.CANCELLING
    host.wait(31)
    assert host.status_of(run_id) is S.TIMED_OUT


# ---- startBefore -------------------------------------------------------------------------------------------------------


def test_a_job_that_must_start_by_an_hour_expires_once_its_offer_is_back(host: SocketRig) -> None:
    host.create()
    socket = host.connect()
    late = host.create(start_before=host.now + 40_000)
    first = socket.offered()
    host.ack(socket, first.job_id)
    host.report(first.job_run_id)
    assert socket.offered().job_run_id == late.run.id
    host.wait(29)
    assert host.status_of(late.run.id) is S.OFFERED
    host.wait(2)
    host.wait(31)
    assert host.status_of(late.run.id) is S.EXPIRED
