"""What time alone brings about on a host: timeouts, deadlines, leases, loss, expiry, and the grace after a start."""

import pytest

from actors.host_times import next_deadline
from actors.messages import NoteProgress, RunDue, Tick
from actors.policies import Policy, text_of
from interlock.states import JobStatus, RunStatus
from tests.support.hosts import HostRig, answer_of

S = RunStatus


@pytest.fixture
def host() -> HostRig:
    return HostRig()


def running(host: HostRig, *, leased: bool = False, **changes: object) -> tuple[str, str]:
    """A job that runs: its id and its run's. `leased`: its agent heartbeats."""
    created = host.create(**changes)
    run_id = host.take(instance="a", running=())
    if leased:
        host.beat(run_id, instance="a")
    return created.job.id, run_id


def unreachable(host: HostRig, **changes: object) -> tuple[str, str]:
    """A job whose agent fell silent."""
    job_id, run_id = running(host, leased=True, **changes)
    host.wait(61)
    assert host.status_of(run_id) is S.UNREACHABLE
    return job_id, run_id


# ---- timeouts ----------------------------------------------------------------------------------------------------------


def test_a_run_that_takes_too_long_is_asked_to_stop_and_still_holds_the_host(host: HostRig) -> None:
    job_id, run_id = running(host)
    host.wait(599)
    assert host.status_of(run_id) is S.RUNNING
    host.wait(1)
    run = host.rows.runs[run_id]
    assert (run.status, run.stop_reason, run.stop_by) == (S.CANCELLING, "timeout", host.now + 30_000)
    assert not host.rows.jobs[job_id].cancel_requested


def test_a_parked_poll_hears_of_the_timeout(host: HostRig) -> None:
    _, run_id = running(host)
    parked = host.poll(waits=True, instance="a", running=(run_id,))
    host.wait(601)
    assert answer_of(parked).cancel == run_id


def test_a_timeout_that_nobody_confirms_ends_the_run_behind_the_idle_gate_and_is_retried(host: HostRig) -> None:
    job_id, _ = running(host)
    host.wait(631)
    assert [run.status for run in host.runs_of(job_id)] == [S.TIMED_OUT, S.SCHEDULED]
    assert host.state.host.awaiting_idle
    host.wait(10)
    assert answer_of(host.poll(instance="a")).taken is None
    assert answer_of(host.poll(instance="a", running=())).taken is not None


def test_a_jobs_own_time_counts(host: HostRig) -> None:
    _, run_id = running(host, timeout_ms=5000)
    host.wait(5)
    assert host.status_of(run_id) is S.CANCELLING


def test_each_attempt_has_the_whole_time(host: HostRig) -> None:
    _, run_id = running(host, timeout_ms=5000)
    host.wait(4)
    host.report(run_id, "failed")
    host.wait(3)
    second = host.take(instance="a", running=())
    host.wait(4)
    assert host.status_of(second) is S.RUNNING


# ---- silence -----------------------------------------------------------------------------------------------------------


def test_an_unreachable_run_still_holds_the_host(host: HostRig) -> None:
    unreachable(host)
    host.create()
    assert host.state.presence() == "unreachable"
    assert answer_of(host.poll()).taken is None


def test_an_agent_that_comes_back_goes_on_with_its_run(host: HostRig) -> None:
    job_id, run_id = unreachable(host)
    assert host.beat(run_id, instance="a")[0].verdict == "continue"
    assert host.status_of(run_id) is S.RUNNING
    host.wait(59)
    host.report(run_id)
    assert host.rows.jobs[job_id].status is JobStatus.COMPLETED
    assert len(host.runs_of(job_id)) == 1


def test_a_heartbeat_without_a_list_brings_a_run_back_too(host: HostRig) -> None:
    _, run_id = unreachable(host)
    host.beat(instance="a", silent=True)
    assert host.status_of(run_id) is S.RUNNING


def test_an_agent_that_is_back_and_idle_gets_its_run_again(host: HostRig) -> None:
    _, run_id = unreachable(host)
    assert answer_of(host.poll(instance="a", running=())).job_run_id == run_id
    assert host.status_of(run_id) is S.RUNNING


def test_a_run_whose_agent_stays_silent_is_lost_behind_the_idle_gate_and_retried(host: HostRig) -> None:
    job_id, run_id = unreachable(host)
    host.wait(298)
    assert host.status_of(run_id) is S.UNREACHABLE
    host.wait(2)
    assert [run.status for run in host.runs_of(job_id)] == [S.LOST, S.SCHEDULED]
    assert host.state.host.awaiting_idle


def test_a_lost_run_is_not_retried_where_nobody_may_do_the_work_twice(host: HostRig) -> None:
    job_id, _ = unreachable(host, policy=text_of(Policy(on_lost="fail")))
    host.wait(301)
    job = host.rows.jobs[job_id]
    assert (job.status, job.error_code) == (JobStatus.FAILED, "lost")


def test_a_timeout_that_passes_while_nobody_can_be_asked_counts_at_the_return(host: HostRig) -> None:
    _, run_id = running(host, leased=True, timeout_ms=100_000)
    host.wait(200)
    assert host.status_of(run_id) is S.UNREACHABLE
    host.beat(run_id, instance="a")
    host.wait(0)
    assert host.status_of(run_id) is S.CANCELLING


def test_a_run_that_was_being_stopped_is_still_being_stopped_when_it_comes_back(host: HostRig) -> None:
    job_id, run_id = running(host, leased=True, timeout_ms=50_000)
    host.wait(70)
    assert host.status_of(run_id) is S.UNREACHABLE
    assert host.beat(run_id, instance="a")[0].verdict == "cancel"
    host.report(run_id, "cancelled")
    assert [run.status for run in host.runs_of(job_id)] == [S.TIMED_OUT, S.SCHEDULED]


def test_a_new_process_without_an_unreachable_run_has_lost_it(host: HostRig) -> None:
    job_id, _ = unreachable(host)
    host.poll(instance="b", running=())
    assert [run.status for run in host.runs_of(job_id)] == [S.LOST, S.SCHEDULED]
    assert not host.state.host.awaiting_idle


# ---- timers ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("message", [Tick(), RunDue()])
def test_a_look_at_the_clock_when_nothing_is_due_changes_nothing(host: HostRig, message: Tick | RunDue) -> None:
    running(host, leased=True)
    host.create()
    host.create(run_at=host.now + 5000)
    d = host.do(message)
    assert (d.changes_anything, d.effects, d.alarms) == (False, [], [])


def test_alarms_may_ring_early_twice_and_late(host: HostRig) -> None:
    job_id, run_id = running(host)
    host.report(run_id, "failed")
    due = host.alarms[0]
    host.do(RunDue())
    assert host.runs_of(job_id)[1].status is S.SCHEDULED
    host.now = due + 100_000
    for _ in range(3):
        host.do(RunDue())
    assert [run.status for run in host.runs_of(job_id)] == [S.FAILED, S.PENDING]
    assert len(host.waiting()) == 1


def test_all_that_is_due_stands_in_line_by_its_place_whatever_the_order_of_the_alarms(host: HostRig) -> None:
    jobs = [host.create(run_at=host.now + later) for later in (3000, 1000, 2000)]
    host.now += 10_000
    host.do(RunDue())
    assert host.waiting() == [each.run.id for each in jobs]


# ---- startBefore -------------------------------------------------------------------------------------------------------


def test_a_job_that_has_not_started_by_its_hour_is_expired(host: HostRig) -> None:
    created = host.create(start_before=host.now + 60_000)
    other = host.create()
    host.wait(59)
    assert host.status_of(created.run.id) is S.PENDING
    host.wait(1)
    job = host.rows.jobs[created.job.id]
    assert (job.status, job.error_code, host.status_of(created.run.id)) == (JobStatus.FAILED, "expired", S.EXPIRED)
    assert len(host.runs_of(created.job.id)) == 1
    assert host.waiting() == [other.run.id]


def test_each_of_several_hours_is_kept(host: HostRig) -> None:
    jobs = [host.create(start_before=host.now + later * 1000) for later in (30, 10, 20)]
    for expired in (1, 2, 0):
        assert host.status_of(jobs[expired].run.id) is S.PENDING
        host.wait(10)
        assert host.status_of(jobs[expired].run.id) is S.EXPIRED


def test_a_job_for_later_may_expire_before_its_time_comes(host: HostRig) -> None:
    created = host.create(run_at=host.now + 60_000, start_before=host.now + 30_000)
    host.wait(31)
    assert host.status_of(created.run.id) is S.EXPIRED


def test_a_job_that_has_started_does_not_expire_nor_do_its_retries(host: HostRig) -> None:
    job_id, run_id = running(host, start_before=host.now + 60_000)
    host.wait(30)
    host.report(run_id, "failed")
    host.create(start_before=host.now + 500_000)
    host.wait(100)
    assert [run.status for run in host.runs_of(job_id)] == [S.FAILED, S.PENDING]


def test_a_poll_that_comes_too_late_does_not_get_it(host: HostRig) -> None:
    created = host.create(start_before=host.now + 1000)
    other = host.create()
    host.now += 2000
    assert answer_of(host.poll()).job_run_id == other.run.id
    assert host.status_of(created.run.id) is S.EXPIRED


def test_the_hour_is_kept_over_a_restart(host: HostRig) -> None:
    created = host.create(start_before=host.now + 60_000)
    host.rebuild(cold=True)
    host.wait(61)
    assert host.status_of(created.run.id) is S.EXPIRED


# ---- the grace after a start -------------------------------------------------------------------------------------------


def cold_start(host: HostRig, *, down: float = 10) -> None:
    """The server was away for a while and has just started."""
    host.now += round(down * 1000)
    host.rebuild(cold=True)


def test_after_a_cold_start_no_older_run_becomes_unreachable_by_time_alone(host: HostRig) -> None:
    _, run_id = running(host, leased=True)
    cold_start(host, down=1000)
    host.wait(299)
    assert host.status_of(run_id) is S.RUNNING


def test_after_a_cold_start_no_older_run_is_lost_by_time_alone(host: HostRig) -> None:
    job_id, run_id = unreachable(host)
    cold_start(host, down=1000)
    host.wait(299)
    assert host.status_of(run_id) is S.UNREACHABLE
    host.wait(1)
    assert host.runs_of(job_id)[0].status is S.LOST


def test_after_a_cold_start_no_older_run_times_out(host: HostRig) -> None:
    _, run_id = running(host, timeout_ms=5000)
    cold_start(host, down=1000)
    host.wait(299)
    assert host.status_of(run_id) is S.RUNNING
    host.wait(2)
    assert host.status_of(run_id) is S.CANCELLING


def test_after_a_cold_start_no_older_run_ends_by_deadline(host: HostRig) -> None:
    job_id, run_id = running(host)
    host.cancel(job_id)
    cold_start(host, down=1000)
    host.wait(299)
    assert host.status_of(run_id) is S.CANCELLING
    host.wait(1)
    assert host.status_of(run_id) is S.CANCELLED


def test_what_agents_say_counts_at_once_after_a_cold_start(host: HostRig) -> None:
    job_id, run_id = running(host, leased=True)
    cold_start(host)
    host.report(run_id)
    assert host.rows.jobs[job_id].status is JobStatus.COMPLETED


def test_a_new_process_is_no_passing_of_time(host: HostRig) -> None:
    _, run_id = running(host)
    cold_start(host)
    host.poll(instance="b", running=())
    assert host.status_of(run_id) is S.LOST


def test_a_run_that_started_after_the_start_has_no_grace(host: HostRig) -> None:
    _, first = running(host, leased=True)
    cold_start(host)
    host.report(first)
    _, second = running(host, leased=True)
    host.wait(61)
    assert host.status_of(second) is S.UNREACHABLE


def test_a_rebuild_without_a_start_gives_no_grace(host: HostRig) -> None:
    _, run_id = running(host, timeout_ms=100_000)
    host.wait(50)
    host.rebuild()
    host.wait(51)
    assert host.status_of(run_id) is S.CANCELLING


def test_jobs_that_wait_are_started_within_the_grace(host: HostRig) -> None:
    created = host.create()
    cold_start(host)
    assert host.take(instance="a", running=()) == created.run.id


# ---- pauses ------------------------------------------------------------------------------------------------------------


def test_a_pause_that_ends_wakes_a_host_at_which_somebody_waits_even_without_a_line() -> None:
    host = HostRig(paused=True)
    host.state.host.paused_until = until = host.now + 30_000
    assert next_deadline(host.state) is None
    host.poll(waits=True)
    assert next_deadline(host.state) == until


def test_a_pause_that_has_ended_sets_no_timer_again() -> None:
    host = HostRig(paused=True)
    host.state.host.paused_until = host.now + 30_000
    host.create()
    host.create()
    parked = host.poll(waits=True)
    host.wait(30)
    assert answer_of(parked).taken is not None
    deadline = next_deadline(host.state)
    assert deadline is not None  # of the run; a job behind it is in line
    assert deadline > host.now


# ---- drains ------------------------------------------------------------------------------------------------------------


def drain(host: HostRig, seconds: float | None) -> None:
    """As the rows say it after a look."""
    host.state.host.draining = True
    host.state.host.drain_until = None if seconds is None else host.now + round(seconds * 1000)


def test_what_runs_on_a_draining_host_may_end_until_the_deadline(host: HostRig) -> None:
    _, run_id = running(host)
    drain(host, 60)
    host.wait(59)
    assert host.status_of(run_id) is S.RUNNING
    host.wait(1)
    run = host.rows.runs[run_id]
    assert (run.status, run.stop_reason) == (S.CANCELLING, "timeout")


def test_without_a_deadline_it_runs_on_as_long_as_its_own_time_lasts(host: HostRig) -> None:
    _, run_id = running(host)
    drain(host, None)
    host.wait(599)
    assert host.status_of(run_id) is S.RUNNING
    host.wait(1)
    assert host.status_of(run_id) is S.CANCELLING


def test_a_run_that_waits_for_its_user_is_stopped_at_the_deadline_too(host: HostRig) -> None:
    _, run_id = running(host)
    host.do(NoteProgress(job_run_id=run_id, progress=1, needs_user_action=True))
    drain(host, 60)
    host.wait(61)
    assert host.status_of(run_id) is S.CANCELLING


def test_a_drain_that_is_over_stops_nothing(host: HostRig) -> None:
    _, run_id = running(host)
    drain(host, 60)
    host.state.host.draining = False
    host.wait(61)
    assert host.status_of(run_id) is S.RUNNING


def test_a_deadline_that_passed_while_the_server_was_away_waits_for_the_agent(host: HostRig) -> None:
    _, run_id = running(host)
    drain(host, 1)
    host.now += 60_000
    host.rebuild(cold=True)
    host.wait(299)
    assert host.status_of(run_id) is S.RUNNING
    host.wait(2)
    assert host.status_of(run_id) is S.CANCELLING
