"""What a host's state makes of its agent's connections: what they declare, how they come and go, and who is alive."""

import pytest

from actors.messages import Connect, Describe, Disconnect, HandOutAgain
from interlock.errors import InvalidState, NotFound, Superseded
from interlock.frames import CancelRun, ResumeRun
from interlock.states import JobStatus, RunStatus
from interlock.wire import RunVerdict
from tests.support.agent_sockets import Socket, SocketRig
from tests.support.hosts import answer_of

S = RunStatus


@pytest.fixture
def host() -> SocketRig:
    return SocketRig()


# ---- presence ----------------------------------------------------------------------------------------------------------


def test_a_connected_host_is_online_however_silent(host: SocketRig) -> None:
    host.connect()
    host.wait(600)
    assert host.state.presence() == "online"
    assert host.events == ["host.online"]


def test_a_host_goes_offline_some_time_after_its_socket_has_gone(host: SocketRig) -> None:
    socket = host.connect()
    host.wait(600)
    host.drop(socket)
    host.wait(44)
    assert host.state.presence() == "online"
    host.wait(2)
    assert host.events == ["host.online", "host.offline"]


def test_a_snapshot_lists_the_connections(host: SocketRig) -> None:
    assert host.do(Describe()).reply["connections"] == []
    host.connect(instance="a")
    host.poll(waits=True)
    assert host.do(Describe()).reply["connections"] == [
        {"kind": "poll", "instanceId": None},
        {"kind": "socket", "instanceId": "a"},
    ]


def test_a_connection_that_has_gone_before_it_is_heard_of_is_none(host: SocketRig) -> None:
    socket = Socket()
    socket.session.open = False
    host.do(Connect(session=socket.session))
    host.create()
    assert (host.state.session, socket.frames) == (None, [])
    assert len(host.waiting()) == 1


def test_what_is_parked_when_a_declaring_agent_connects_is_an_old_poll_and_gets_no_job(host: SocketRig) -> None:
    poll = host.poll(waits=True, instance="a", running=())
    socket = host.connect(instance="a", running=())
    host.create()
    with pytest.raises(Superseded):
        answer_of(poll)
    assert socket.events == ["job:new"]


def test_every_connect_is_fenced(host: SocketRig) -> None:
    assert host.decide(Connect(session=Socket().session)).changes_anything


# ---- one after the other -----------------------------------------------------------------------------------------------


def test_a_newer_socket_is_offered_what_the_older_one_did_not_accept(host: SocketRig) -> None:
    old = host.connect(1)
    created = host.create()
    new = host.connect(2)
    assert new.offered().job_run_id == created.run.id
    assert host.rows.runs[created.run.id].offers == 2
    assert old.events == ["job:new"]


def test_the_late_close_of_an_older_socket_harms_nothing(host: SocketRig) -> None:
    old = host.connect(1)
    created = host.create()
    new = host.connect(2)
    host.drop(old)
    assert host.status_of(created.run.id) is S.OFFERED
    assert host.ack(new, created.job.id).job_run_id == created.run.id
    host.do(Disconnect(session=old.session))
    assert host.state.session is new.session


def test_a_heartbeat_on_an_older_socket_is_superseded(host: SocketRig) -> None:
    old = host.connect(1)
    host.connect(2)
    assert isinstance(host.beat_on(old), Superseded)


def test_a_poll_of_another_process_ends_the_socket_of_the_one_before(host: SocketRig) -> None:
    socket = host.connect(instance="a", running=())
    host.poll(instance="b", running=())
    assert [refused.code for refused in socket.of("error")] == ["superseded"]
    assert socket.closed == (1008, "superseded")
    created = host.create()
    assert socket.of("job:new") == []
    assert isinstance(host.ack(socket, created.job.id), Superseded)
    assert answer_of(host.poll(instance="b", running=())).job_run_id == created.run.id


def test_a_socket_of_another_process_sends_the_poll_of_the_one_before_away(host: SocketRig) -> None:
    poll = host.poll(waits=True, instance="a", running=())
    socket = host.connect(instance="b")
    with pytest.raises(Superseded):
        answer_of(poll)
    host.create()
    assert socket.events == ["job:new"]


def test_the_late_close_of_a_replaced_process_leases_nothing(host: SocketRig) -> None:
    socket = host.connect(instance="a", running=())
    host.create(run_at=host.now + 1000)
    host.poll(instance="b", running=())
    host.wait(2)
    run_id = host.take(instance="b")
    host.drop(socket)
    host.wait(100)
    assert host.status_of(run_id) is S.RUNNING


def test_a_newer_socket_that_has_gone_before_it_is_heard_of_leaves_nobody_connected(host: SocketRig) -> None:
    old = host.connect(1)
    created = host.create()
    old.session.open = False  # the directory has closed it
    new = Socket(2)
    new.session.open = False
    host.do(Connect(session=new.session))
    assert host.state.session is None
    assert host.status_of(created.run.id) is S.PENDING


def test_a_poll_of_the_same_process_leaves_its_socket_alone(host: SocketRig) -> None:
    socket = host.connect(instance="a", running=())
    host.poll(instance="a", running=())
    host.poll()
    host.create()
    assert socket.events == ["job:new"]


# ---- what a connect declares -------------------------------------------------------------------------------------------


def test_a_connect_that_names_its_run_goes_on_with_it(host: SocketRig) -> None:
    run_id = host.start(host.connect(1, instance="a", running=()))
    host.create()
    socket = host.connect(2, instance="a", running=(run_id,))
    assert host.status_of(run_id) is S.RUNNING
    assert socket.events == []
    assert socket.session.run_of(host.rows.runs[run_id].job_id) == run_id


def test_a_connect_that_says_nothing_loses_nothing(host: SocketRig) -> None:
    run_id = host.start(host.connect(1))
    socket = host.connect(2)
    assert host.status_of(run_id) is S.RUNNING
    assert host.state.host.instance_id is None
    assert socket.session.run_of(host.rows.runs[run_id].job_id) == run_id


def test_the_same_process_that_connects_idle_is_handed_its_run_again(host: SocketRig) -> None:
    run_id = host.start(host.connect(1, instance="a", running=()))
    socket = host.connect(2, instance="a", running=())
    given = socket.offered()
    assert (given.job_run_id, given.run_no, given.attempt) == (run_id, 1, 1)
    assert host.status_of(run_id) is S.RUNNING
    assert host.ack(socket, given.job_id).job_run_id == run_id
    host.wait(100)
    assert socket.events == ["job:new"]


def test_the_same_process_that_connects_idle_has_confirmed_a_cancel(host: SocketRig) -> None:
    socket = host.connect(1, instance="a", running=())
    run_id = host.start(socket)
    host.cancel(socket.offered().job_id)
    assert host.connect(2, instance="a", running=()).events == []
    assert host.status_of(run_id) is S.CANCELLED


def test_a_new_process_without_the_run_has_lost_it_at_once(host: SocketRig) -> None:
    run_id = host.start(host.connect(1, instance="a", running=()))
    job_id = host.rows.runs[run_id].job_id
    following = host.create()
    socket = host.connect(2, instance="b", running=())
    assert [run.status for run in host.runs_of(job_id)] == [S.LOST, S.SCHEDULED]
    assert socket.offered().job_run_id == following.run.id
    assert socket.session.run_of(job_id) is None


def test_a_new_process_that_names_the_run_keeps_it(host: SocketRig) -> None:
    run_id = host.start(host.connect(1, instance="a", running=()))
    host.connect(2, instance="b", running=(run_id,))
    assert host.status_of(run_id) is S.RUNNING


def test_an_offer_is_none_of_a_new_process_and_counts(host: SocketRig) -> None:
    host.connect(1, instance="a", running=())
    created = host.create()
    socket = host.connect(2, instance="b", running=())
    assert socket.offered().job_run_id == created.run.id
    run = host.rows.runs[created.run.id]
    assert (run.status, run.offers, run.instance_id) == (S.OFFERED, 2, "b")


def test_a_poll_of_a_new_process_takes_the_offer_over(host: SocketRig) -> None:
    host.connect(1, instance="a", running=())
    created = host.create()
    assert answer_of(host.poll(instance="b", running=())).job_run_id == created.run.id
    run = host.rows.runs[created.run.id]
    assert (run.status, run.run_no, run.instance_id) == (S.RUNNING, 2, "b")


def test_a_run_that_is_over_here_is_to_be_stopped_and_the_gate_stays_closed(host: SocketRig) -> None:
    socket = host.connect(1, instance="a", running=())
    run_id = host.start(socket)
    created = host.create()
    host.cancel(socket.offered().job_id, force=True)
    again = host.connect(2, instance="a", running=(run_id,))
    assert again.frames == [("job:cancel", CancelRun(job_id="", job_run_id=run_id, grace_seconds=10.0))]
    assert again.session.run_of(socket.offered().job_id) is None
    assert host.state.host.awaiting_idle
    host.beat_on(again)
    assert again.offered().job_run_id == created.run.id


def test_a_run_that_is_to_be_stopped_is_what_its_agent_means_even_if_its_job_goes_on(host: SocketRig) -> None:
    socket = host.connect(1, instance="a", running=())
    first = host.start(socket)
    job_id = socket.offered().job_id
    host.report(first, "failed")
    host.wait(3)
    assert host.ack(socket, job_id).attempt == 2
    again = Socket(2, instance="a", running=(first,))
    again.session.jobs_named = {first: job_id}
    host.tell_of(again)
    assert again.of("job:cancel") == [CancelRun(job_id=job_id, job_run_id=first, grace_seconds=10.0)]
    assert again.session.run_of(job_id) == first


def test_an_ack_of_a_run_that_is_over_is_refused_while_a_poll_has_the_next_one(host: SocketRig) -> None:
    socket = host.connect(1, instance="a", running=())
    first = host.start(socket)
    job_id = socket.offered().job_id
    host.report(first, "failed")
    again = Socket(2, instance="a", running=(first,))
    again.session.jobs_named = {first: job_id}
    host.tell_of(again)
    host.wait(3)
    second = answer_of(host.poll(instance="a", running=())).job_run_id
    assert second not in {first, None}
    assert isinstance(host.ack(again, job_id), InvalidState)
    assert host.status_of(second or "") is S.RUNNING


def test_heartbeats_on_a_socket_tell_what_to_do_with_each_run(host: SocketRig) -> None:
    socket = host.connect(1, instance="a", running=())
    run_id = host.start(socket)
    assert host.beat_on(socket, run_id) == [RunVerdict(job_run_id=run_id, verdict="continue")]
    host.cancel(socket.offered().job_id)
    verdicts = host.beat_on(socket, run_id, "gone")
    assert [(each.job_run_id, each.verdict) for each in verdicts] == [(run_id, "cancel"), ("gone", "abandon")]
    assert host.state.host.awaiting_idle


# ---- the idle gate of agents that never declare ------------------------------------------------------------------------


def forced(host: SocketRig) -> tuple[Socket, str]:
    """A plain socket whose run a user has ended by force, while another job waits; the run."""
    socket = host.connect(1)
    run_id = host.start(socket)
    host.create()
    host.cancel(socket.offered().job_id, force=True)
    assert host.state.host.awaiting_idle
    assert len(socket.of("job:new")) == 1
    return socket, run_id


def test_the_late_report_of_the_run_that_closed_the_gate_opens_it(host: SocketRig) -> None:
    socket, run_id = forced(host)
    assert isinstance(host.report(run_id, "failed"), InvalidState)
    assert not host.state.host.awaiting_idle
    assert len(socket.of("job:new")) == 2


def test_the_confirmation_that_the_run_was_stopped_opens_it_too_and_is_no_late_report(host: SocketRig) -> None:
    socket, run_id = forced(host)
    for _ in range(2):
        answer = host.report(run_id, "cancelled")
        assert (answer.status, answer.job_status, answer.replayed) == ("cancelled", "CANCELLED", True)
    assert not host.state.host.awaiting_idle
    assert len(socket.of("job:new")) == 2
    assert host.rows.appended_to("late_report") == []
    assert isinstance(host.report(run_id, "cancelled", errorMessage="no time"), InvalidState)
    assert len(host.rows.appended_to("late_report")) == 1


def test_the_late_report_of_an_earlier_run_opens_no_gate(host: SocketRig) -> None:
    socket = host.connect()
    earlier = host.start(socket)
    host.report(earlier)
    host.start(socket)
    host.cancel(socket.offered().job_id, force=True)
    assert isinstance(host.report(earlier, "failed"), InvalidState)
    assert host.state.host.awaiting_idle


def test_the_late_report_of_an_agent_that_declares_opens_no_gate(host: SocketRig) -> None:
    socket = host.connect(running=())
    run_id = host.start(socket)
    host.cancel(socket.offered().job_id, force=True)
    host.report(run_id, "cancelled")
    assert host.state.host.awaiting_idle


def test_a_plain_connect_is_idle(host: SocketRig) -> None:
    forced(host)
    assert host.connect(2).events == ["job:new"]


def test_a_plain_connect_of_an_agent_that_has_declared_before_is_no_word(host: SocketRig) -> None:
    socket = host.connect(running=())
    host.start(socket)
    host.cancel(socket.offered().job_id, force=True)
    host.connect(2)
    assert host.state.host.awaiting_idle


# ---- who is alive ------------------------------------------------------------------------------------------------------


def test_an_agent_that_never_heartbeats_lives_while_it_is_connected(host: SocketRig) -> None:
    run_id = host.start(host.connect())
    host.wait(500)
    assert host.status_of(run_id) is S.RUNNING


def test_when_its_socket_goes_its_run_is_unreachable_after_a_minute_and_lost_after_five_more(host: SocketRig) -> None:
    socket = host.connect()
    run_id = host.start(socket)
    host.wait(100)
    host.drop(socket)
    host.wait(59)
    assert host.status_of(run_id) is S.RUNNING
    host.wait(2)
    assert host.status_of(run_id) is S.UNREACHABLE
    host.wait(300)
    assert host.status_of(run_id) is S.LOST
    assert host.state.host.awaiting_idle


def test_an_unreachable_run_is_back_when_its_plain_agent_connects_again(host: SocketRig) -> None:
    socket = host.connect()
    run_id = host.start(socket)
    host.drop(socket)
    host.wait(70)
    assert host.status_of(run_id) is S.UNREACHABLE
    host.connect(2)
    assert host.status_of(run_id) is S.RUNNING
    host.wait(400)
    assert host.status_of(run_id) is S.RUNNING


def test_an_agent_that_heartbeats_follows_its_lease_although_it_is_connected(host: SocketRig) -> None:
    socket = host.connect()
    run_id = host.start(socket)
    host.beat_on(socket, silent=True)
    host.wait(59)
    assert host.status_of(run_id) is S.RUNNING
    host.wait(2)
    assert host.status_of(run_id) is S.UNREACHABLE
    host.beat_on(socket, silent=True)
    assert host.status_of(run_id) is S.RUNNING


def test_silence_counts_from_the_first_heartbeat_on_not_from_before_it(host: SocketRig) -> None:
    socket = host.connect()
    run_id = host.start(socket)
    host.wait(300)
    host.beat_on(socket)
    host.wait(59)
    assert host.status_of(run_id) is S.RUNNING
    host.wait(2)
    assert host.status_of(run_id) is S.UNREACHABLE


def test_a_run_that_a_plain_poll_has_taken_is_leased_when_a_socket_beside_it_goes(host: SocketRig) -> None:
    socket = host.connect()
    host.poll(waits=True)
    created = host.create()
    assert not host.rows.runs[created.run.id].leased
    host.drop(socket)
    assert host.rows.runs[created.run.id].leased
    host.wait(61)
    assert host.status_of(created.run.id) is S.UNREACHABLE


# ---- a run that waits for its user -------------------------------------------------------------------------------------


def test_a_user_who_has_done_what_was_needed_lets_the_run_and_its_clock_go_on(host: SocketRig) -> None:
    socket = host.connect()
    run_id = host.start(socket)
    job_id = socket.offered().job_id
    host.wait(500)
    host.progress(run_id, 10, needs_user_action=True)
    host.wait(1000)
    assert host.rows.jobs[job_id].needs_user_action
    assert host.resolve(job_id) is None
    assert socket.of("job:resume") == [ResumeRun(job_id=job_id, job_run_id=run_id)]
    assert not host.rows.jobs[job_id].needs_user_action
    assert [row[5] for row in host.rows.appended_to("audit_event")][-1] == "job.resolve"
    host.wait(99)
    assert host.status_of(run_id) is S.RUNNING
    host.wait(2)
    assert host.status_of(run_id) is S.CANCELLING


def test_an_agent_that_was_away_is_told_to_go_on_when_it_is_back(host: SocketRig) -> None:
    socket = host.connect()
    run_id = host.start(socket)
    job_id = socket.offered().job_id
    host.progress(run_id, needs_user_action=True)
    host.drop(socket)
    host.resolve(job_id)
    host.rebuild()
    assert host.connect(2).of("job:resume") == [ResumeRun(job_id=job_id, job_run_id=run_id)]


def test_an_agent_that_went_on_by_itself_is_told_nothing(host: SocketRig) -> None:
    socket = host.connect()
    run_id = host.start(socket)
    host.progress(run_id, needs_user_action=True)
    host.progress(run_id, needs_user_action=False)
    host.resolve(socket.offered().job_id)
    assert host.connect(2).events == []
    assert socket.of("job:resume") == []


def test_a_run_that_is_being_stopped_is_not_told_to_go_on(host: SocketRig) -> None:
    socket = host.connect()
    run_id = host.start(socket)
    job_id = socket.offered().job_id
    host.progress(run_id, needs_user_action=True)
    host.cancel(job_id)
    host.resolve(job_id)
    assert socket.of("job:resume") == []
    assert not host.rows.jobs[job_id].needs_user_action


def test_nothing_is_to_be_resolved_of_a_job_that_has_ended_or_is_not_here(host: SocketRig) -> None:
    socket = host.connect()
    run_id = host.start(socket)
    host.report(run_id)
    assert isinstance(host.resolve(socket.offered().job_id), InvalidState)
    assert isinstance(host.resolve("unknown"), NotFound)


# ---- attempts ----------------------------------------------------------------------------------------------------------


def test_with_the_jobs_id_alone_an_agent_never_means_a_later_attempt(host: SocketRig) -> None:
    socket = host.connect()
    first = host.start(socket)
    job_id = socket.offered().job_id
    host.report(first, "failed")
    host.wait(3)
    second = socket.offered().job_run_id
    assert second != first
    assert socket.session.run_of(job_id) == first
    assert isinstance(host.report(socket.session.run_of(job_id) or "", "success"), InvalidState)
    assert host.status_of(second) is S.OFFERED
    assert host.ack(socket, job_id).job_run_id == second
    assert socket.session.run_of(job_id) == second


def test_with_the_jobs_id_alone_a_new_connection_does_not_mean_an_attempt_that_it_has_not_acked(
    host: SocketRig,
) -> None:
    old = host.connect(1)
    first = host.start(old)
    job_id = old.offered().job_id
    host.drop(old)
    host.report(first, "failed")  # or whatever else has ended it: its agent may still be at it
    host.wait(3)
    new = host.connect(2)
    second = new.offered().job_run_id
    assert (second != first, new.session.run_of(job_id)) == (True, None)
    host.ack(new, job_id)
    assert new.session.run_of(job_id) == second


def test_what_was_reported_without_an_ack_is_still_what_the_agent_means(host: SocketRig) -> None:
    socket = host.connect()
    created = host.create()
    host.report(created.run.id, "failed")
    host.wait(3)
    assert socket.offered().job_run_id != created.run.id
    assert socket.session.run_of(created.job.id) == created.run.id


def test_a_reply_of_a_poll_that_was_never_written_is_pushed(host: SocketRig) -> None:
    host.poll(waits=True)
    created = host.create()
    socket = host.connect()
    host.do(HandOutAgain(job_run_id=created.run.id))
    assert socket.offered().job_run_id == created.run.id
    assert host.rows.jobs[created.job.id].status is JobStatus.RUNNING


# ---- other incarnations ------------------------------------------------------------------------------------------------


def test_a_new_incarnation_knows_the_socket_and_what_it_was_offered(host: SocketRig) -> None:
    socket = host.connect(instance="a", running=())
    created = host.create()
    host.wait(10)
    host.rebuild()
    host.tell_of(socket)
    assert socket.events == ["job:new"]
    assert host.status_of(created.run.id) is S.OFFERED
    assert host.ack(socket, created.job.id).job_run_id == created.run.id


def test_what_a_socket_said_at_its_connect_is_said_once(host: SocketRig) -> None:
    socket = host.connect(instance="a", running=())
    run_id = host.start(socket)
    host.rebuild()
    host.tell_of(socket)
    assert socket.events == ["job:new"]  # it is not handed out again: long ago it ran nothing
    host.cancel(socket.offered().job_id)
    host.rebuild()
    host.tell_of(socket)
    assert host.status_of(run_id) is S.CANCELLING
    assert socket.events == ["job:new", "job:cancel", "job:cancel"]


def test_an_offer_that_was_not_pushed_before_the_incarnation_ended_is_made_again(host: SocketRig) -> None:
    socket = host.connect()
    created = host.create()
    socket.session._handed = None  # its commit was known to nobody
    host.rebuild()
    host.tell_of(socket)
    assert [given.job_run_id for given in socket.of("job:new")] == [created.run.id] * 2
    assert host.rows.runs[created.run.id].offers == 2


def test_a_new_incarnation_is_not_told_of_a_process_that_was_replaced(host: SocketRig) -> None:
    socket = host.connect(instance="a", running=())
    host.poll(instance="b", running=())
    host.rebuild()
    host.tell_of(socket)
    assert host.state.session is None
    assert host.state.host.instance_id == "b"


def test_an_unaccepted_offer_outlives_a_restart_until_its_deadline(host: SocketRig) -> None:
    host.connect()
    created = host.create()
    host.wait(10)
    host.rebuild(cold=True)
    host.wait(19)
    assert host.status_of(created.run.id) is S.OFFERED
    host.wait(2)
    assert host.status_of(created.run.id) is S.PENDING


def test_after_a_restart_an_offer_is_made_again_to_who_connects(host: SocketRig) -> None:
    host.connect()
    created = host.create()
    host.rebuild(cold=True)
    assert host.connect(2).offered().job_run_id == created.run.id


def test_after_a_restart_an_offer_goes_to_who_polls(host: SocketRig) -> None:
    host.connect()
    created = host.create()
    host.rebuild(cold=True)
    assert answer_of(host.poll()).job_run_id == created.run.id


def test_after_a_restart_a_run_from_a_socket_is_unreachable_only_after_the_grace(host: SocketRig) -> None:
    run_id = host.start(host.connect())
    host.wait(1)
    host.rebuild(cold=True)
    host.wait(299)
    assert host.status_of(run_id) is S.RUNNING
    host.wait(2)
    assert host.status_of(run_id) is S.UNREACHABLE


def test_after_a_restart_the_agent_is_told_of_the_cancel_that_it_missed(host: SocketRig) -> None:
    socket = host.connect()
    run_id = host.start(socket)
    host.drop(socket)
    host.cancel(socket.offered().job_id)
    host.rebuild(cold=True)
    assert [stop.job_run_id for stop in host.connect(2).of("job:cancel")] == [run_id]


def test_a_deaf_host_stays_unhealthy_over_a_restart_until_it_is_heard_of(host: SocketRig) -> None:
    socket = host.connect()
    host.create()
    host.wait(91)
    host.drop(socket)
    host.rebuild(cold=True)
    assert host.state.host.unhealthy is not None
    assert host.connect(2).events == ["job:new"]
    assert host.state.host.unhealthy is None
