"""What a host's state makes of its users: creating, cancelling, forcing, trying afresh, and why a job waits."""

from typing import Any

import msgspec
import pytest

from actors.limits import Limits
from actors.messages import CreateJob, Describe, ExplainWait, Idempotency
from actors.policies import Policy, text_of
from interlock.errors import InvalidState, NotFound, QuotaExceeded
from interlock.states import JobStatus, RunStatus
from interlock.wire import Wait
from tests.support.hosts import NEW_JOB, USER, HostRig, answer_of

S = RunStatus


@pytest.fixture
def host() -> HostRig:
    return HostRig()


def running(host: HostRig, **changes: object) -> tuple[str, str]:
    """A job that runs: its id and its run's."""
    created = host.create(**changes)
    return created.job.id, host.take(instance="a", running=())


def actions(host: HostRig) -> list[str]:
    """What the audit trail says was done."""
    return [row[5] for row in host.rows.appended_to("audit_event")]


# ---- creating ----------------------------------------------------------------------------------------------------------


def test_a_new_job_gets_its_place_from_the_commit_and_stands_last(host: HostRig) -> None:
    first, second = host.create(), host.create()
    assert (first.job.seq, second.job.seq) == (1, 2)
    assert host.waiting() == [first.run.id, second.run.id]


def test_a_creation_is_audited_announced_and_answered_with_the_job(host: HostRig) -> None:
    d = host.do(CreateJob(job=NEW_JOB, by=USER))
    document = msgspec.json.decode(d.reply)
    assert (document["status"], document["attempts"], document["hostId"]) == ("PENDING", 0, "host")
    assert document["wait"]["reason"] == "host_offline"
    assert document["createdBy"]["name"] == "Ann"
    assert (actions(host), host.events) == (["job.create"], ["job.created"])


def test_a_job_that_goes_out_by_the_parked_poll_is_created_and_taken_in_one_step(host: HostRig) -> None:
    poll = host.poll(waits=True)
    created = host.create()
    assert answer_of(poll).job_run_id == created.run.id
    assert (created.job.seq, host.status_of(created.run.id)) == (1, S.RUNNING)
    assert [event for event in host.events if event.startswith("job")] == ["job.created", "job_run.started"]


def test_a_parked_poll_gets_the_first_of_the_jobs_that_are_created_while_it_waits(host: HostRig) -> None:
    poll = host.poll(waits=True)
    first, second = host.create(), host.create(priority=9)
    assert answer_of(poll).job_run_id == first.run.id
    assert host.waiting() == [second.run.id]


def test_a_job_for_later_waits_for_its_hour_and_has_an_alarm(host: HostRig) -> None:
    created = host.create(run_at=host.now + 60_000)
    poll = host.poll(waits=True)
    assert (host.status_of(created.run.id), host.alarms) == (S.SCHEDULED, [host.now + 60_000])
    host.wait(59)
    assert not poll.answer.done
    host.wait(1)
    assert answer_of(poll).job_run_id == created.run.id


def test_a_job_whose_hour_has_passed_already_stands_in_line_at_once(host: HostRig) -> None:
    created = host.create(run_at=host.now)
    assert host.status_of(created.run.id) is S.PENDING


def test_the_time_for_a_run_is_the_jobs_own_or_the_default(host: HostRig) -> None:
    assert host.create().job.timeout_ms == 600_000
    assert host.create(timeout_ms=5).job.timeout_ms == 5


def test_the_answer_is_kept_for_the_key_that_came_with_the_request(host: HostRig) -> None:
    d = host.do(CreateJob(job=NEW_JOB, by=USER, idempotency=Idempotency("ann", "key", "print")))
    ((_, org, user, key, fingerprint, response, at),) = host.rows.appended_to("idempotency_key")
    assert (org, user, key, fingerprint, at) == ("org", "ann", "key", "print", host.now)
    assert response.encode() == d.reply


def test_a_quota_counts_what_waits_in_line_and_for_its_hour() -> None:
    host = HostRig(limits=Limits(max_pending_per_host=2))
    host.create()
    host.create(run_at=host.now + 1000)
    d = host.do(CreateJob(job=NEW_JOB, by=USER))
    assert isinstance(d.reply, QuotaExceeded)
    assert not d.changes_anything
    host.take()
    host.create()


def test_a_quota_counts_jobs_whose_commit_is_still_under_way() -> None:
    host = HostRig(limits=Limits(max_pending_per_host=1))
    first, second = host.decide(CreateJob(job=NEW_JOB, by=USER)), host.decide(CreateJob(job=NEW_JOB, by=USER))
    assert isinstance(first.reply, bytes)
    assert isinstance(second.reply, QuotaExceeded)


# ---- cancelling --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("later", [0, 60_000])
def test_a_job_that_waits_is_cancelled_at_once(host: HostRig, later: int, *, force: bool) -> None:
    created = host.create(run_at=host.now + later)
    assert host.cancel(created.job.id, force=force) is True
    job, run = host.rows.jobs[created.job.id], host.rows.runs[created.run.id]
    assert (job.status, run.status, job.completed_at) == (JobStatus.CANCELLED, S.CANCELLED, host.now)
    assert (job.error_code, run.started_at) == (None, None)
    assert host.events[-2:] == ["job_run.done", "job.cancelled"]
    assert not host.state.host.awaiting_idle
    assert actions(host) == ["job.create", "job.cancel"]


def test_a_retry_that_waits_is_cancelled_at_once(host: HostRig) -> None:
    job_id, run_id = running(host)
    host.report(run_id, "failed")
    assert host.cancel(job_id) is True
    host.wait(10)
    assert [run.status for run in host.runs_of(job_id)] == [S.FAILED, S.CANCELLED]


def test_a_running_job_is_asked_to_stop_and_still_holds_the_host(host: HostRig) -> None:
    job_id, run_id = running(host)
    host.create()
    assert host.cancel(job_id) is False
    job, run = host.rows.jobs[job_id], host.rows.runs[run_id]
    assert (job.status, run.status, run.stop_reason) == (JobStatus.RUNNING, S.CANCELLING, "user")
    assert (job.cancel_requested, run.stop_by) == (True, host.now + 30_000)
    assert answer_of(host.poll()).taken is None
    assert host.events[-1] == "job.updated"


def test_a_cancel_that_nobody_confirms_ends_at_its_deadline_behind_the_idle_gate(host: HostRig) -> None:
    job_id, run_id = running(host)
    host.cancel(job_id)
    host.wait(29)
    assert host.status_of(run_id) is S.CANCELLING
    host.wait(1)
    assert host.rows.jobs[job_id].status is JobStatus.CANCELLED
    assert host.state.host.awaiting_idle
    assert len(host.runs_of(job_id)) == 1


def test_a_second_cancel_gives_the_agent_no_more_time(host: HostRig) -> None:
    job_id, run_id = running(host)
    host.cancel(job_id)
    host.wait(20)
    assert host.cancel(job_id) is False
    host.wait(10)
    assert host.status_of(run_id) is S.CANCELLED


def test_a_user_who_cancels_what_has_run_out_of_time_has_the_last_word(host: HostRig) -> None:
    job_id, run_id = running(host)
    host.wait(601)
    host.cancel(job_id)
    host.report(run_id, "cancelled")
    assert host.rows.jobs[job_id].status is JobStatus.CANCELLED
    assert len(host.runs_of(job_id)) == 1


@pytest.mark.parametrize("state", ["running", "cancelling", "unreachable"])
def test_force_ends_a_live_run_at_once_behind_the_idle_gate(host: HostRig, state: str) -> None:
    job_id, run_id = running(host)
    if state == "cancelling":
        host.cancel(job_id)
    if state == "unreachable":
        host.beat(run_id, instance="a")
        host.wait(61)
    assert host.status_of(run_id) == state
    assert host.cancel(job_id, force=True) is True
    assert host.rows.jobs[job_id].status is JobStatus.CANCELLED
    assert host.state.host.awaiting_idle


def test_a_cancel_of_an_unreachable_run_is_noted_and_its_return_is_told(host: HostRig) -> None:
    job_id, run_id = running(host)
    host.beat(run_id, instance="a")
    host.wait(61)
    assert host.cancel(job_id) is False
    assert host.status_of(run_id) is S.UNREACHABLE
    assert host.beat(run_id, instance="a")[0].verdict == "cancel"
    assert host.status_of(run_id) is S.CANCELLING


def test_a_run_that_was_cancelled_while_it_was_unreachable_has_a_deadline_when_it_is_back(host: HostRig) -> None:
    job_id, run_id = running(host)
    host.beat(run_id, instance="a")
    host.wait(61)
    host.cancel(job_id)
    for _ in range(5):
        host.beat(run_id, instance="a")
        host.wait(10)
    assert host.rows.jobs[job_id].status is JobStatus.CANCELLED


def test_a_run_that_comes_back_while_it_is_being_stopped_gets_its_time_to_stop(host: HostRig) -> None:
    job_id, run_id = running(host)
    host.beat(run_id, instance="a")
    host.wait(50)
    host.cancel(job_id)
    host.wait(11)
    assert host.status_of(run_id) is S.UNREACHABLE
    host.wait(100)
    host.beat(run_id, instance="a")
    host.wait(9)
    assert host.status_of(run_id) is S.CANCELLING
    host.report(run_id, "cancelled")
    assert not host.state.host.awaiting_idle


def test_an_unreachable_run_whose_cancel_was_noted_is_cancelled_when_it_is_lost(host: HostRig) -> None:
    job_id, run_id = running(host)
    host.beat(run_id, instance="a")
    host.wait(61)
    host.cancel(job_id)
    host.wait(301)
    assert host.rows.jobs[job_id].status is JobStatus.CANCELLED
    assert len(host.runs_of(job_id)) == 1


def test_cancelling_a_cancelled_job_again_is_fine_and_one_that_has_ended_otherwise_is_refused(host: HostRig) -> None:
    created = host.create()
    host.cancel(created.job.id)
    assert host.cancel(created.job.id) is True
    job_id, run_id = running(host)
    host.report(run_id)
    refusal = host.cancel(job_id)
    assert isinstance(refusal, InvalidState)
    assert refusal.current == {"status": "COMPLETED"}


def test_cancelling_what_is_not_there_is_not_found(host: HostRig) -> None:
    assert isinstance(host.cancel("unknown"), NotFound)


def test_the_job_behind_a_cancelled_one_goes_on(host: HostRig) -> None:
    job_id, run_id = running(host)
    following = host.create()
    host.cancel(job_id)
    host.report(run_id, "cancelled")
    assert host.take() == following.run.id


# ---- trying afresh -----------------------------------------------------------------------------------------------------


def failed(host: HostRig, **changes: object) -> str:
    """A job that has failed for good."""
    job_id, run_id = running(host, max_attempts=1, **changes)
    host.report(run_id, "failed", errorMessage="no")
    return job_id


def test_a_failed_job_can_be_tried_afresh_and_stands_behind_what_waits(host: HostRig) -> None:
    job_id = failed(host)
    waiting = host.create()
    assert host.retry(job_id) is None
    job = host.rows.jobs[job_id]
    first, second = host.runs_of(job_id)
    assert host.waiting() == [waiting.run.id, second.id]
    assert (first.status, second.status, second.attempt) == (S.FAILED, S.PENDING, 1)
    assert (job.status, job.attempts, job.error_code, job.error_message) == (JobStatus.PENDING, 0, None, None)
    assert (job.completed_at, job.started_at, job.cancel_requested) == (None, None, False)
    assert actions(host)[-1] == "job.retry"


def test_a_job_that_is_tried_afresh_has_all_its_attempts_again(host: HostRig) -> None:
    created = host.create()
    for _ in range(3):
        host.report(host.take(), "failed")
        host.wait(10)
    assert host.rows.jobs[created.job.id].status is JobStatus.FAILED
    host.retry(created.job.id)
    for _ in range(3):
        host.report(host.take(), "failed")
        host.wait(10)
    assert [run.attempt for run in host.runs_of(created.job.id)] == [1, 2, 3, 1, 2, 3]


def test_a_cancelled_job_can_be_tried_afresh(host: HostRig) -> None:
    created = host.create()
    host.cancel(created.job.id)
    host.retry(created.job.id)
    host.report(host.take(), "failed")
    assert [run.status for run in host.runs_of(created.job.id)] == [S.CANCELLED, S.FAILED, S.SCHEDULED]


def test_a_job_that_is_tried_afresh_goes_out_by_the_parked_poll(host: HostRig) -> None:
    job_id = failed(host)
    poll = host.poll(waits=True)
    host.retry(job_id)
    assert answer_of(poll).job_run_id == host.runs_of(job_id)[-1].id


@pytest.mark.parametrize("state", ["PENDING", "RUNNING", "COMPLETED"])
def test_only_an_ended_job_that_did_not_succeed_can_be_tried_afresh(host: HostRig, state: str) -> None:
    created = host.create()
    if state != "PENDING":
        run_id = host.take()
    if state == "COMPLETED":
        host.report(run_id)
    refusal = host.retry(created.job.id)
    assert isinstance(refusal, InvalidState)
    assert state in refusal.detail


def test_trying_afresh_what_is_not_there_is_not_found(host: HostRig) -> None:
    assert isinstance(host.retry("unknown"), NotFound)


def test_a_job_that_once_had_to_start_by_an_hour_is_not_expired_by_trying_it_afresh(host: HostRig) -> None:
    job_id = failed(host, start_before=host.now + 60_000)
    host.wait(120)
    host.retry(job_id)
    host.wait(1)
    assert host.rows.jobs[job_id].status is JobStatus.PENDING
    host.report(host.take())
    assert host.rows.jobs[job_id].status is JobStatus.COMPLETED


def test_an_expired_job_can_be_tried_afresh(host: HostRig) -> None:
    created = host.create(start_before=host.now + 60_000)
    host.wait(61)
    assert host.rows.jobs[created.job.id].error_code == "expired"
    host.retry(created.job.id)
    host.wait(1)
    assert host.take() == host.runs_of(created.job.id)[-1].id


# ---- why is it not running ---------------------------------------------------------------------------------------------


def wait_of(host: HostRig, job_id: str) -> Wait:
    """What the host says of a waiting job."""
    reply = host.do(ExplainWait(job_id=job_id)).reply
    assert isinstance(reply, Wait)
    return reply


def test_a_job_on_a_host_that_has_never_connected_says_so(host: HostRig) -> None:
    wait = wait_of(host, host.create().job.id)
    assert (wait.reason, wait.position) == ("host_offline", 1)
    assert "never connected" in wait.detail


def test_a_job_behind_others_knows_its_place(host: HostRig) -> None:
    running(host)
    jobs = [host.create(), host.create(), host.create(priority=9)]
    waits = [wait_of(host, each.job.id) for each in jobs]
    assert [(wait.reason, wait.position) for wait in waits] == [("behind", 2), ("behind", 3), ("host_busy", 1)]


def test_a_new_job_is_told_the_place_that_it_then_has(host: HostRig) -> None:
    running(host)
    for priority in (0, 5, 0, -1, 5):
        d = host.do(CreateJob(job=msgspec.structs.replace(NEW_JOB, priority=priority), by=USER))
        document = msgspec.json.decode(d.reply)
        assert document["wait"]["position"] == wait_of(host, document["id"]).position


@pytest.mark.parametrize(
    ("closed", "reason"),
    [
        ({"paused": True, "note": "new disks"}, "host_paused"),
        ({"draining": True}, "host_draining"),
        ({"unhealthy": "a cloned key"}, "host_unhealthy"),
        ({"awaiting_idle": True, "declares": True, "instance_id": "a"}, "awaiting_idle"),
    ],
)
def test_a_job_on_a_host_that_may_take_nothing_says_why(closed: dict[str, Any], reason: str) -> None:
    host = HostRig(**closed)
    host.beat(instance="a", silent=True)
    wait = wait_of(host, host.create().job.id)
    assert (wait.reason, wait.position) == (reason, 1)
    assert str(closed.get("note", "")) in wait.detail


def test_a_job_for_later_and_a_retry_say_until_when(host: HostRig) -> None:
    later = host.create(run_at=host.now + 60_000)
    assert wait_of(host, later.job.id).reason == "scheduled"
    job_id, run_id = running(host)
    host.report(run_id, "failed")
    wait = wait_of(host, job_id)
    assert (wait.reason, wait.until) == ("backoff", "2023-11-14T22:13:22.000Z")
    assert "Attempt 2 of 3" in wait.detail


def test_a_job_behind_a_retry_that_holds_the_host_says_so(host: HostRig) -> None:
    _, run_id = running(host, policy=text_of(Policy(while_backing_off="hold")))
    other = host.create()
    host.report(run_id, "failed")
    assert wait_of(host, other.job.id).reason == "held"


def test_a_job_that_is_next_on_an_idle_host_waits_for_a_poll(host: HostRig) -> None:
    host.poll()
    wait = wait_of(host, host.create().job.id)
    assert (wait.reason, wait.position) == ("behind", 1)


def test_a_job_that_does_not_wait_has_no_reason(host: HostRig) -> None:
    job_id, _ = running(host)
    assert host.do(ExplainWait(job_id=job_id)).reply is None
    assert host.do(ExplainWait(job_id="unknown")).reply is None


# ---- for operators -----------------------------------------------------------------------------------------------------


def test_a_host_describes_itself_without_payloads(host: HostRig) -> None:
    running(host, payload='{"secret":"hunter2"}')
    host.create(payload='{"secret":"hunter2"}')
    host.create(run_at=host.now + 1000)
    d = host.do(Describe())
    assert (d.reply["presence"], d.reply["pendingCount"], len(d.reply["backoff"])) == ("online", 1, 1)
    assert d.reply["current"]["status"] == "running"
    assert "hunter2" not in msgspec.json.encode(d.reply).decode()
    assert not d.changes_anything
