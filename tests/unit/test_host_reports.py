"""What a host's state makes of results, progress and logs: retries, the next job, replays and what comes too late."""

import msgspec
import pytest

from actors.messages import NOTHING
from actors.policies import Policy, text_of
from interlock.errors import InvalidState, NotFound
from interlock.retry import Backoff
from interlock.states import JobStatus, RunStatus
from tests.support.hosts import HostRig, answer_of, job_in

S = RunStatus


@pytest.fixture
def host() -> HostRig:
    return HostRig()


def running(host: HostRig, **changes: object) -> tuple[str, str]:
    """A job that runs: its id and its run's."""
    created = host.create(**changes)
    return created.job.id, host.take(instance="a", running=())


# ---- how a run ends ----------------------------------------------------------------------------------------------------


def test_a_success_completes_the_job_and_frees_the_host_in_the_same_step(host: HostRig) -> None:
    job_id, run_id = running(host)
    host.now += 1500
    reply = host.report(run_id, output={"players": 3})
    job, run = host.rows.jobs[job_id], host.rows.runs[run_id]
    assert (reply.status, reply.job_status, reply.will_retry, reply.replayed) == ("success", "COMPLETED", False, False)
    assert (job.status, job.progress, job.output, job.completed_at) == ("COMPLETED", 100, '{"players":3}', host.now)
    assert (run.status, run.duration_ms, run.finished_at) == (S.SUCCESS, 1500, host.now)
    assert host.state.current is None
    assert host.events[-1] == "job_run.done"


def test_the_agents_own_word_on_the_duration_counts(host: HostRig) -> None:
    _, run_id = running(host)
    host.report(run_id, durationMs=7)
    assert host.rows.runs[run_id].duration_ms == 7


def test_a_failure_and_the_row_of_its_retry_are_one_commit(host: HostRig) -> None:
    job_id, run_id = running(host)
    reply = host.report(run_id, "failed", errorMessage="no disk", errorCode="enospc")
    first, second = host.runs_of(job_id)
    assert (reply.status, reply.job_status, reply.will_retry) == ("failed", "PENDING", True)
    assert (first.status, first.error_code, first.error_message) == (S.FAILED, "enospc", "no disk")
    assert (second.status, second.attempt, second.available_at) == (S.SCHEDULED, 2, host.now + 2000)
    assert host.alarms == [host.now + 2000]
    assert host.rows.jobs[job_id].error_code is None


def test_attempts_come_two_and_four_seconds_apart_and_the_third_failure_is_the_last(host: HostRig) -> None:
    created = host.create()
    gaps: list[int] = []
    for _ in range(3):
        host.report(host.take(), "failed", errorMessage="no", errorCode="nope")
        if host.alarms[len(gaps) :]:
            gaps.append(host.alarms[-1] - host.now)
            host.wait(gaps[-1] / 1000)
    job = host.rows.jobs[created.job.id]
    assert gaps == [2000, 4000]
    assert (job.status, job.attempts, job.error_code, job.error_message) == ("FAILED", 3, "nope", "no")
    assert [run.attempt for run in host.runs_of(created.job.id)] == [1, 2, 3]


def test_a_job_that_succeeds_at_its_third_attempt_shows_no_error(host: HostRig) -> None:
    created = host.create()
    for status in ("failed", "failed", "success"):
        host.report(host.take(), status)
        host.wait(5)
    job = host.rows.jobs[created.job.id]
    assert (job.status, job.attempts, job.error_code) == ("COMPLETED", 3, None)


def test_a_job_shows_when_it_first_started_and_each_run_when_it_did(host: HostRig) -> None:
    began = host.now
    job_id, run_id = running(host)
    host.report(run_id, "failed")
    host.wait(5)
    host.take(instance="a", running=())
    assert host.rows.jobs[job_id].started_at == began
    assert [run.started_at for run in host.runs_of(job_id)] == [began, began + 5000]


def test_the_types_own_backoff_counts(host: HostRig) -> None:
    policy = text_of(Policy(backoff=Backoff(base_seconds=30, jitter=0)))
    _, run_id = running(host, policy=policy)
    host.report(run_id, "failed")
    assert host.alarms == [host.now + 30_000]


@pytest.mark.parametrize(("status", "code"), [("failed", "failed"), ("rejected", "rejected")])
def test_without_a_code_of_its_own_a_bad_end_has_that_of_its_status(host: HostRig, status: str, code: str) -> None:
    job_id, run_id = running(host, max_attempts=1)
    host.report(run_id, status)
    assert host.rows.jobs[job_id].error_code == host.rows.runs[run_id].error_code == code


def test_a_rejection_is_final(host: HostRig) -> None:
    job_id, run_id = running(host)
    assert host.report(run_id, "rejected").job_status == "FAILED"
    assert len(host.runs_of(job_id)) == 1


def test_an_agent_may_say_that_trying_again_is_no_use(host: HostRig) -> None:
    job_id, run_id = running(host)
    reply = host.report(run_id, "failed", retryable=False)
    assert (reply.will_retry, host.rows.jobs[job_id].status) == (False, JobStatus.FAILED)


def test_cancelled_without_having_been_asked_is_a_failure(host: HostRig) -> None:
    job_id, run_id = running(host, max_attempts=1)
    assert host.report(run_id, "cancelled").status == "failed"
    assert host.rows.jobs[job_id].error_code == "agent_cancelled"


def test_a_retry_starts_with_a_clean_slate(host: HostRig) -> None:
    job_id, run_id = running(host)
    host.progress(run_id, 80, needs_user_action=True)
    host.report(run_id, "failed")
    job = host.rows.jobs[job_id]
    assert (job.progress, job.needs_user_action, job.status) == (0, False, JobStatus.PENDING)


# ---- the next job ------------------------------------------------------------------------------------------------------


def test_a_report_may_take_the_next_job_along(host: HostRig) -> None:
    _, run_id = running(host)
    following = host.create()
    reply = host.report(run_id, take_next=True)
    assert (reply.next.job_run_id, reply.next.run_no) == (following.run.id, 2)
    assert host.rows.runs[following.run.id].taken_after == run_id
    assert host.state.current is following


def test_a_report_without_that_wish_takes_nothing(host: HostRig) -> None:
    _, run_id = running(host)
    host.create()
    assert host.report(run_id).next is None
    assert host.state.current is None


def test_there_may_be_no_next_job(host: HostRig) -> None:
    _, run_id = running(host)
    assert host.report(run_id, take_next=True).next is None


def test_a_report_never_takes_along_what_the_host_may_not_have(host: HostRig) -> None:
    _, run_id = running(host)
    host.create()
    host.state.host.draining = True
    assert host.report(run_id, take_next=True).next is None


def test_a_failure_whose_type_holds_the_host_takes_nothing_along(host: HostRig) -> None:
    _, run_id = running(host, policy=text_of(Policy(while_backing_off="hold")))
    host.create()
    assert host.report(run_id, "failed", take_next=True).next is None


def test_a_report_without_that_wish_leaves_the_next_job_to_the_parked_poll(host: HostRig) -> None:
    _, run_id = running(host)
    following = host.create()
    parked = host.poll(waits=True, instance="a", running=(run_id,))
    host.report(run_id)
    assert answer_of(parked).job_run_id == following.run.id


# ---- the same again, and too late --------------------------------------------------------------------------------------


def test_the_same_report_again_is_replayed_and_changes_nothing(host: HostRig) -> None:
    _, run_id = running(host)
    host.report(run_id, output=1)
    before = (dict(host.rows.runs), len(host.rows.appended), len(host.events))
    reply = host.report(run_id, output=1)
    assert (reply.status, reply.job_status, reply.replayed) == ("success", "COMPLETED", True)
    assert (dict(host.rows.runs), len(host.rows.appended), len(host.events)) == before


def test_a_replayed_failure_says_again_that_it_is_retried(host: HostRig) -> None:
    _, run_id = running(host)
    host.report(run_id, "failed")
    assert host.report(run_id, "failed").will_retry
    host.wait(3)
    second = host.take(instance="a", running=())
    assert host.report(run_id, "failed").will_retry
    host.report(second)
    assert host.report(run_id, "failed").will_retry


def test_a_replayed_report_gets_the_same_next_job(host: HostRig) -> None:
    _, run_id = running(host)
    host.create()
    host.create()
    first = host.report(run_id, take_next=True)
    again = host.report(run_id, take_next=True)
    assert again.replayed
    assert again.next.job_run_id == first.next.job_run_id
    assert len(host.waiting()) == 1


def test_a_replayed_report_gets_no_job_that_it_did_not_take(host: HostRig) -> None:
    _, run_id = running(host)
    host.report(run_id, take_next=True)
    host.create()
    assert host.report(run_id, take_next=True).next is None
    assert len(host.waiting()) == 1


def test_a_replayed_report_gets_no_job_that_a_poll_took(host: HostRig) -> None:
    _, run_id = running(host)
    host.report(run_id, take_next=True)
    host.create()
    host.take(instance="a", running=())
    assert host.report(run_id, take_next=True).next is None


def test_a_replayed_report_gets_no_job_that_has_ended_meanwhile(host: HostRig) -> None:
    _, run_id = running(host)
    host.create()
    following = host.report(run_id, take_next=True).next
    host.report(following.job_run_id)
    assert host.report(run_id, take_next=True).next is None


def test_a_replayed_report_gets_the_same_next_job_after_a_restart(host: HostRig) -> None:
    _, run_id = running(host)
    host.create()
    first = host.report(run_id, take_next=True)
    host.rebuild(cold=True)
    assert host.report(run_id, take_next=True).next.job_run_id == first.next.job_run_id


def test_another_report_about_a_run_that_has_ended_is_refused_and_kept(host: HostRig) -> None:
    job_id, run_id = running(host)
    host.report(run_id)
    refusal = host.report(run_id, "failed", errorMessage="on second thoughts")
    assert isinstance(refusal, InvalidState)
    assert refusal.current.status == "success"
    ((_, _, kept_job, kept_run, at, body, _),) = host.rows.appended_to("late_report")
    assert (kept_job, kept_run, at) == (job_id, run_id, host.now)
    assert "on second thoughts" in body


def test_a_report_about_an_attempt_that_the_server_had_given_up_is_kept_and_never_ends_the_next_one(
    host: HostRig,
) -> None:
    job_id, run_id = running(host)
    host.poll(instance="b", running=())
    host.wait(3)
    second = host.take(instance="b", running=())
    refusal = host.report(run_id)
    assert isinstance(refusal, InvalidState)
    assert refusal.current.status == "lost"
    assert host.status_of(second) is S.RUNNING
    assert host.rows.jobs[job_id].status is JobStatus.RUNNING
    assert len(host.rows.appended_to("late_report")) == 1


def test_a_report_about_a_run_that_has_not_started_is_refused(host: HostRig) -> None:
    created = host.create()
    refusal = host.report(created.run.id)
    assert isinstance(refusal, InvalidState)
    assert refusal.current.status == "pending"
    assert host.status_of(created.run.id) is S.PENDING
    assert host.rows.appended_to("late_report") == []


def test_a_report_about_a_run_of_nobody_is_not_found(host: HostRig) -> None:
    assert isinstance(host.report("unknown"), NotFound)


def test_a_report_about_a_run_of_another_host_is_not_found(host: HostRig) -> None:
    _, run_id = running(host)
    host.report(run_id)
    host.rows.runs[run_id].host_id = "another"
    assert isinstance(host.report(run_id, "failed"), NotFound)


def test_a_result_that_was_spooled_while_nobody_could_hear_it_counts(host: HostRig) -> None:
    job_id, run_id = running(host)
    host.beat(run_id, instance="a")
    host.wait(100)
    assert host.status_of(run_id) is S.UNREACHABLE
    host.report(run_id)
    assert host.rows.jobs[job_id].status is JobStatus.COMPLETED


# ---- truth wins over a cancel ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("report", "ended", "job"),
    [
        ("success", S.SUCCESS, "COMPLETED"),
        ("failed", S.FAILED, "FAILED"),
        ("rejected", S.REJECTED, "FAILED"),
        ("cancelled", S.CANCELLED, "CANCELLED"),
    ],
)
def test_what_is_reported_after_a_cancel_counts_and_is_never_retried(
    host: HostRig, report: str, ended: RunStatus, job: str
) -> None:
    job_id, run_id = running(host)
    host.cancel(job_id)
    reply = host.report(run_id, report)
    assert (reply.status, reply.job_status, reply.will_retry) == (ended, job, False)
    assert host.rows.jobs[job_id].cancel_requested
    assert len(host.runs_of(job_id)) == 1


@pytest.mark.parametrize("report", ["success", "failed", "rejected", "cancelled"])
def test_what_is_reported_after_a_timeout_is_a_timeout_and_is_retried(host: HostRig, report: str) -> None:
    job_id, run_id = running(host)
    host.wait(601)
    assert host.status_of(run_id) is S.CANCELLING
    reply = host.report(run_id, report)
    assert (reply.status, reply.will_retry) == (S.TIMED_OUT, True)
    assert [run.status for run in host.runs_of(job_id)] == [S.TIMED_OUT, S.SCHEDULED]


def test_a_timeout_is_not_retried_where_nobody_may_do_the_work_twice(host: HostRig) -> None:
    job_id, run_id = running(host, policy=text_of(Policy(on_lost="fail")))
    host.wait(601)
    host.report(run_id, "cancelled")
    job = host.rows.jobs[job_id]
    assert (job.status, job.error_code) == (JobStatus.FAILED, "timed_out")


# ---- progress and logs -------------------------------------------------------------------------------------------------


def test_progress_is_noted_and_answered_with_the_runs_state(host: HostRig) -> None:
    job_id, run_id = running(host)
    reply = host.progress(run_id, 40, message="unpacking")
    assert (reply.status, reply.cancel_requested) == ("running", False)
    assert host.rows.jobs[job_id].progress == 40
    ((_, _, _, _, seq, line_no, level, text, percent, _),) = host.rows.appended_to("job_log")
    assert (seq, line_no, level, text, percent) == (1, None, "info", "unpacking", 40)
    assert sorted(host.events[-2:]) == ["job.log", "job.updated"]
    host.progress(run_id, 50)
    assert host.events[-1] == "job.updated"
    assert host.events.count("job.log") == 1  # no message, no line


def test_a_cancel_travels_on_the_answers_to_progress_and_logs(host: HostRig) -> None:
    job_id, run_id = running(host)
    host.cancel(job_id)
    assert host.progress(run_id).cancel_requested
    assert host.logs(run_id, "still at it").cancel_requested


def test_a_timeout_travels_on_the_answers_too(host: HostRig) -> None:
    _, run_id = running(host)
    host.wait(601)
    assert host.progress(run_id).cancel_requested


def test_progress_about_a_run_that_has_ended_is_refused(host: HostRig) -> None:
    _, run_id = running(host)
    host.report(run_id)
    refusal = host.progress(run_id)
    assert isinstance(refusal, InvalidState)
    assert refusal.current.status == "success"


def test_progress_about_a_run_that_waits_is_refused_and_starts_nothing(host: HostRig) -> None:
    created = host.create()
    assert isinstance(host.progress(created.run.id), InvalidState)
    assert host.status_of(created.run.id) is S.PENDING


def test_log_lines_are_numbered_over_all_attempts(host: HostRig) -> None:
    job_id, run_id = running(host)
    host.logs(run_id, "one", "two")
    host.report(run_id, "failed")
    host.wait(3)
    host.logs(host.take(instance="a", running=()), "three")
    lines = [(row[4], row[5], row[7]) for row in host.rows.appended_to("job_log")]
    assert lines == [(1, 1, "one"), (2, 2, "two"), (3, 1, "three")]
    assert host.rows.jobs[job_id].log_seq == 3


def test_log_lines_may_trail_the_result(host: HostRig) -> None:
    _, run_id = running(host)
    host.report(run_id)
    reply = host.logs(run_id, "last words")
    assert (reply.status, reply.cancel_requested) == ("success", False)
    assert [row[7] for row in host.rows.appended_to("job_log")] == ["last words"]


def test_log_lines_that_trail_a_failed_attempt_do_not_disturb_the_next(host: HostRig) -> None:
    job_id, run_id = running(host)
    host.report(run_id, "failed")
    host.logs(run_id, "last words")
    host.wait(3)
    second = host.take(instance="a", running=())
    host.logs(second, "first words")
    host.report(second)
    assert [row[4] for row in host.rows.appended_to("job_log")] == [1, 2]
    assert host.rows.jobs[job_id].status is JobStatus.COMPLETED


def test_no_lines_are_no_news(host: HostRig) -> None:
    _, run_id = running(host)
    before = len(host.events)
    host.logs(run_id)
    assert (host.rows.appended_to("job_log"), len(host.events)) == ([], before)


# ---- the user's turn ---------------------------------------------------------------------------------------------------


def test_while_a_run_waits_for_its_user_its_clock_stands(host: HostRig) -> None:
    _, run_id = running(host)
    host.wait(500)
    host.progress(run_id, needs_user_action=True)
    host.wait(100_000)
    assert host.status_of(run_id) is S.RUNNING
    host.progress(run_id, needs_user_action=False)
    host.wait(99)
    assert host.status_of(run_id) is S.RUNNING
    host.wait(2)
    assert host.status_of(run_id) is S.CANCELLING


def test_saying_twice_that_the_user_is_needed_gives_no_more_time(host: HostRig) -> None:
    _, run_id = running(host)
    host.wait(500)
    for _ in range(2):
        host.progress(run_id, needs_user_action=True)
        host.wait(50)
    for _ in range(2):
        host.progress(run_id, needs_user_action=False)
    host.wait(101)
    assert host.status_of(run_id) is S.CANCELLING


def test_the_clock_stands_over_a_restart(host: HostRig) -> None:
    _, run_id = running(host)
    host.wait(500)
    host.progress(run_id, needs_user_action=True)
    host.rebuild(cold=True)
    host.wait(10_000)
    assert host.status_of(run_id) is S.RUNNING
    host.progress(run_id, needs_user_action=False)
    host.wait(101)
    assert host.status_of(run_id) is S.CANCELLING


def test_whether_the_user_is_needed_stays_as_it_was_when_nothing_is_said(host: HostRig) -> None:
    job_id, run_id = running(host)
    host.progress(run_id, needs_user_action=True)
    host.progress(run_id, 60)
    assert host.rows.jobs[job_id].needs_user_action


def test_a_run_that_waits_for_its_user_still_needs_its_agents_word(host: HostRig) -> None:
    _, run_id = running(host)
    host.beat(run_id, instance="a")
    host.progress(run_id, needs_user_action=True)
    host.wait(61)
    assert host.status_of(run_id) is S.UNREACHABLE


# ---- documents ---------------------------------------------------------------------------------------------------------


def test_a_payload_goes_out_as_it_came_in(host: HostRig) -> None:
    payload = '{"n":123456789012345678,"text":"\\u0000 \\ud83d\\ude00","nested":[[1.50]]}'
    host.create(payload=payload)
    taken = answer_of(host.poll()).taken
    assert taken is not None
    assert payload.encode() in taken
    assert job_in(answer_of(host.poll(instance="a", running=()))).payload == msgspec.json.decode(payload)


def test_an_idle_host_answers_a_short_poll_with_nothing(host: HostRig) -> None:
    assert answer_of(host.poll()) == NOTHING
