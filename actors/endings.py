"""How a run ends: what its row says then, whether its job is tried again, and what the job shows if it is not.

The next attempt is written in the same commit as the ending of the one before, so that no job is ever without a run
while something is left to try.
"""

from typing import NamedTuple

from actors.decision import Decision
from actors.documents import job_event
from actors.line import Attempt
from actors.messages import Caller
from actors.policies import policy_of
from actors.ports import Effect
from interlock.clock import Millis
from interlock.errors import InvalidState
from interlock.retry import decide_retry
from interlock.states import ERROR_CODES, JobStatus, RunEvent, RunStatus, job_status
from store.rows import JobRow, RunRow


class Ending(NamedTuple):
    """What is known of how a run ended, beside its status."""

    duration_ms: Millis | None = None
    error_code: str | None = None
    error_message: str | None = None
    output: str | None = None  # JSON text
    digest: str | None = None  # of the report
    retryable: bool = True


UNREPORTED = Ending()


def write_ending(run: RunRow, event: RunEvent, ending: Ending, now: Millis) -> None:
    """Fill in the row of a run whose status is its last one."""
    run.finished_at = now
    run.offered_until = None
    run.error_message, run.output, run.report_hash = ending.error_message, ending.output, ending.digest
    run.duration_ms = ending.duration_ms
    if run.duration_ms is None and run.started_at is not None:
        run.duration_ms = now - run.started_at
    unasked = event is RunEvent.STOPPED and run.status is RunStatus.FAILED
    run.error_code = ending.error_code or ("agent_cancelled" if unasked else ERROR_CODES.get(run.status))


def try_again(attempt: Attempt, d: Decision, *, retryable: bool) -> RunRow | None:
    """The next attempt, `scheduled` on the same host or (without one) in the pool; None when nothing is left to try."""
    job, run = attempt.job, attempt.run
    policy = policy_of(job.policy)
    decision = decide_retry(
        run.status,
        run.attempt,
        job.max_attempts,
        d.now,
        retryable=retryable,
        retry_unheard=policy.on_lost == "retry",
        cancel_requested=job.cancel_requested,
        backoff=policy.backoff,
        chance=d.chance,
    )
    if decision is None:
        return None
    if job.labels is None:
        d.alarms.append(decision.available_at)
    else:  # back to the pool
        d.leaves(job)
        job.host_id = None
        d.back(decision.available_at)
    job.status = JobStatus.PENDING
    job.progress = 0
    job.needs_user_action = False
    return new_run(job, d, decision.attempt, available_at=decision.available_at)


def may_start_afresh(job: JobRow) -> None:
    """Refuse, before anything has changed, to try a job afresh that has not failed or been cancelled."""
    if job.status not in {JobStatus.FAILED, JobStatus.CANCELLED}:
        why = f"The job is {job.status}: only a FAILED or CANCELLED one can be retried"
        raise InvalidState(why, current={"status": job.status})


def start_afresh(job: JobRow, by: Caller, d: Decision) -> RunRow:
    """The first attempt of a new count, for a user; a time that still lies ahead holds for it too."""
    job.status = JobStatus.PENDING
    job.attempts = job.progress = 0
    job.error_code = job.error_message = job.output = job.completed_at = job.started_at = None
    job.cancel_requested = False
    if job.start_before is not None and job.start_before <= d.now:
        job.start_before = None
    later = job.run_at is not None and job.run_at > d.now
    run = new_run(job, d, 1, available_at=job.run_at if later else None)
    d.audit(by, "job.retry", job.org_id, ("job", job.id))
    d.effects.append(Effect("job.updated", job_event(job, run)))
    return run


def close_job(attempt: Attempt, d: Decision) -> None:
    """The job ends as its last run did."""
    job, run = attempt.job, attempt.run
    job.status = job_status([run.status])
    job.completed_at = d.now
    job.needs_user_action = False
    job.error_code, job.error_message = run.error_code, run.error_message
    if run.output is not None:
        job.output = run.output
    if job.status is JobStatus.COMPLETED:
        job.progress = 100


def new_run(job: JobRow, d: Decision, attempt: int, *, available_at: Millis | None = None) -> RunRow:
    """The row of a job's next attempt: `scheduled` until `available_at`, else `pending`."""
    run = RunRow(
        id=d.ids.new(),
        job_id=job.id,
        org_id=job.org_id,
        host_id=job.host_id,
        attempt=attempt,
        created_at=d.now,
        status=RunStatus.PENDING if available_at is None else RunStatus.SCHEDULED,
        available_at=available_at,
        pool_labels=job.labels,
        pool_priority=None if job.labels is None else job.priority,
    )
    d.new_run(run)
    return run
