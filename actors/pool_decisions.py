"""What becomes of jobs that wait in a pool, other than being taken. Pure, as `host_state` is, and by the same table.

Each decision is written only where the rows still are what it was made on; so these change copies of what was read.
"""

from actors.decision import Decision
from actors.documents import encode, job_document, job_event
from actors.endings import may_start_afresh, new_run, start_afresh
from actors.host_users import audit_cancel, new_row
from actors.messages import CancelJob, CreateJob, RetryJob
from actors.pool_waits import Census, wait_in_pool
from actors.ports import Effect
from interlock.clock import Millis
from interlock.errors import InvalidState
from interlock.states import ERROR_CODES, RunEvent, RunStatus, job_status, step
from store.rows import JobRow, RunRow


def create(message: CreateJob, d: Decision, *, timeout_ms: Millis, census: Census) -> tuple[JobRow, RunRow]:
    """A new job in the pool; the reply is its document. `timeout_ms` is for a job that names none."""
    new = message.job
    later = new.run_at is not None and new.run_at > d.now
    job = new_row(new, None, timeout_ms, d)
    d.new_job(job)
    run = new_run(job, d, 1, available_at=new.run_at if later else None)
    d.audit(message.by, "job.create", job.org_id, ("job", job.id), encode({"type": job.type}).decode())
    d.effects.append(Effect("job.created", job_event(job, run)))
    wait = wait_in_pool(job, run, census, None)
    document = encode(job_document(job, [run], wait=wait, creator=new.creator))
    if message.idempotency is not None:
        user_id, key, fingerprint = message.idempotency
        d.append("idempotency_key", d.ids.new(), job.org_id, user_id, key, fingerprint, document.decode(), d.now)
    d.reply = document
    return job, run


def cancel(message: CancelJob, job: JobRow, run: RunRow, d: Decision) -> None:
    """At once: nobody has begun with it."""
    job.cancel_requested = True
    _end(job, run, RunEvent.FORCE if message.force else RunEvent.CANCEL, d)
    audit_cancel(message, job, d)
    d.reply = True


def expire(job: JobRow, run: RunRow, d: Decision) -> None:
    """It should have started by now, and nobody has taken it."""
    _end(job, run, RunEvent.START_BEFORE_PASSED, d)


def stop(job: JobRow, run: RunRow, d: Decision) -> None:
    """A user has asked that its last attempt stop, and that had ended before its host heard of it."""
    job.cancel_requested = True
    _end(job, run, RunEvent.CANCEL, d)


def come_due(run: RunRow, d: Decision) -> None:
    """From now on it may be taken."""
    d.touch_run(run)
    _move(run, RunEvent.DUE)


def try_afresh(message: RetryJob, job: JobRow, d: Decision) -> RunRow:
    """An ended job goes back to the pool, as a new one would."""
    may_start_afresh(job)
    d.leaves(job, narrow=True)
    job.host_id = None
    return start_afresh(job, message.by, d)


def _move(run: RunRow, event: RunEvent) -> None:
    to = step(run.status, event)
    if to is None:
        raise InvalidState(f"The run is {run.status}", current={"status": run.status})
    run.status = to


def _end(job: JobRow, run: RunRow, event: RunEvent, d: Decision) -> None:
    d.touch_run(run)
    d.touch_job(job)
    _move(run, event)
    run.finished_at = job.completed_at = d.now
    run.error_code = job.error_code = ERROR_CODES.get(run.status)
    job.status = job_status([run.status])
    job.needs_user_action = False
    d.effects.append(Effect("job_run.done", job_event(job, run)))
    if run.status is RunStatus.CANCELLED:
        d.effects.append(Effect("job.cancelled", job_event(job, run)))
