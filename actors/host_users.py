"""What users ask of a host: a new job, a cancel, another try, and why a job is not running."""

from collections.abc import Callable
from typing import Any

from actors.decision import Decision
from actors.documents import encode, job_document, job_event
from actors.endings import may_start_afresh, new_run, start_afresh
from actors.host_polls import serve
from actors.host_state import HostState
from actors.line import Attempt
from actors.line_moves import move_in_line
from actors.messages import (
    CancelJob,
    CreateJob,
    ExplainWait,
    Found,
    Message,
    MoveInLine,
    NewJob,
    ResolveAction,
    RetryJob,
)
from actors.ports import Effect
from actors.user_action import resolve_action
from actors.waits import wait_of, wait_of_newcomer
from interlock.clock import Millis
from interlock.errors import InvalidState, NotFound, QuotaExceeded, Unavailable
from interlock.states import LIVE, TERMINAL, WAITING, JobStatus, RunEvent, RunStatus
from store.rows import JobRow


def create_job(state: HostState, message: CreateJob, d: Decision) -> None:
    """A new job: durable before the answer, in line once the commit has given it its place."""
    new, limits = message.job, state.limits
    waiting = len(state.line) + len(state.backoff) + state.joining
    if limits.max_pending_per_host and waiting >= limits.max_pending_per_host:
        raise QuotaExceeded(f"{limits.max_pending_per_host} jobs wait on this host, and no more may", retry_after=5)
    later = new.run_at is not None and new.run_at > d.now
    job = new_row(new, state.host.id, limits.timeout_ms, d)
    d.new_job(job)
    run = new_run(job, d, 1, available_at=new.run_at if later else None)
    attempt = Attempt(job, run)
    if later and new.run_at is not None:
        d.alarms.append(new.run_at)
    d.audit(message.by, "job.create", job.org_id, ("job", job.id), encode({"type": job.type}).decode())
    d.effects.append(Effect("job.created", job_event(job, run)))
    document = encode(job_document(job, [run], wait=wait_of_newcomer(state, attempt, d.now), creator=new.creator))
    if message.idempotency is not None:
        user_id, key, fingerprint = message.idempotency
        d.append("idempotency_key", d.ids.new(), job.org_id, user_id, key, fingerprint, document.decode(), d.now)
    d.reply = document
    if not later and state.takes_at_once(job, d.now):
        d.placed.append(attempt)
        state.line.add(attempt)
        serve(state, d)
    else:
        _let_join(state, attempt, d)


def new_row(new: NewJob, host_id: str | None, timeout_ms: Millis, d: Decision) -> JobRow:
    """The row of a job as it is created, on that host or in the pool; `timeout_ms` is for one that names none."""
    return JobRow(
        id=d.ids.new(),
        org_id=new.org_id,
        host_id=host_id,
        server_instance_id=new.server_instance_id,
        type=new.type,
        created_by_id=new.creator.id,
        created_at=d.now,
        payload=new.payload,
        policy=new.policy,
        timeout_ms=new.timeout_ms or timeout_ms,
        priority=new.priority,
        run_at=new.run_at,
        labels=new.labels if host_id is None else None,
        payload_shown=new.payload_shown,
        trace=new.trace,
        start_before=new.start_before,
        max_attempts=new.max_attempts,
    )


def _let_join(state: HostState, attempt: Attempt, d: Decision) -> None:
    d.joins.append(attempt)
    state.joining += 1


def join(state: HostState, committed: Decision, seqs: dict[str, int]) -> None:
    """The commit has given new jobs their places: now they stand in line."""
    for attempt in committed.placed:
        attempt.job.seq = seqs[attempt.job.id]
    for attempt in committed.joins:
        attempt.job.seq = seqs[attempt.job.id]
        state.joining -= 1
        state.place_waiting(attempt)


def cancel_job(state: HostState, message: CancelJob, d: Decision) -> None:
    """Waiting: at once. Running: its agent is asked, by poll, heartbeat and every reply about the run."""
    attempt = state.attempt_of_job(message.job_id)
    if attempt is None:
        d.look_up = message
        return
    event = RunEvent.FORCE if message.force else RunEvent.CANCEL
    state.stop(attempt, event, d)
    audit_cancel(message, attempt.job, d)
    d.reply = attempt.job.status is JobStatus.CANCELLED
    if attempt.run.status in LIVE:
        d.effects.append(Effect("job.updated", job_event(attempt.job, attempt.run)))
    serve(state, d)


def audit_cancel(message: CancelJob, job: JobRow, d: Decision) -> None:
    """Who wanted it to stop, and why."""
    detail = encode({"reason": message.reason, "force": message.force}).decode()
    d.audit(message.by, "job.cancel", job.org_id, ("job", job.id), detail)


def retry_job(state: HostState, message: RetryJob, d: Decision) -> None:
    """Only an ended job can be tried afresh; one that is open is refused here."""
    attempt = state.attempt_of_job(message.job_id)
    if attempt is not None:
        d.host_changed = True  # the refusal waits for the fence: by another node's rows the job may have ended
        status = attempt.job.status
        raise InvalidState(f"The job is {status}: only an ended one can be retried", current={"status": status})
    d.look_up = message


def found(state: HostState, message: Found, d: Decision) -> None:
    """The rows' answer for a job that is not in this memory."""
    asked, job, run = message.asked, message.job, message.run
    if job is None or run is None or job.host_id != state.host.id:
        raise NotFound("No such job")
    if state.attempt_of_job(job.id) is not None:
        of_a_job(state, asked, d)  # it has come to stand here while the rows were read
        return
    if run.status not in TERMINAL:
        if state.joining:
            d.look_up = asked  # its commit is under way: once that is done, it stands here
        elif run.status in WAITING:
            state.place_waiting(Attempt(job, run))  # another node has appended it, and its ring is on its way
            of_a_job(state, asked, d)
        else:
            raise Unavailable("The job is just being moved; ask again")
        return
    if isinstance(asked, CancelJob):
        if job.status is not JobStatus.CANCELLED:
            raise InvalidState(f"The job has ended: {job.status}", current={"status": job.status})
        d.reply = True
    elif isinstance(asked, RetryJob):
        _try_afresh(state, asked, job, d)
    else:
        raise InvalidState(f"The job has ended: {job.status}", current={"status": job.status})


def _try_afresh(state: HostState, message: RetryJob, job: JobRow, d: Decision) -> None:
    may_start_afresh(job)
    d.touch_job(job, new_seq=True)  # it stands behind what is in line now, as a new job would
    job.rank = None
    run = start_afresh(job, message.by, d)
    if run.available_at is not None:
        d.alarms.append(run.available_at)
    _let_join(state, Attempt(job, run), d)


def of_a_job(state: HostState, message: Message, d: Decision) -> None:
    """What a user asks of one open job."""
    _HANDLERS[type(message)](state, message, d)


def explain_wait(state: HostState, message: ExplainWait, d: Decision) -> None:
    """Why a waiting job is not running, from the actor's own state."""
    attempt = state.attempt_of_job(message.job_id)
    if attempt is not None and attempt.run.status in WAITING | {RunStatus.OFFERED}:
        d.reply = wait_of(state, attempt, d.now)


_HANDLERS: dict[type[Message], Callable[[HostState, Any, Decision], None]] = {
    CancelJob: cancel_job,
    RetryJob: retry_job,
    ResolveAction: resolve_action,
    MoveInLine: move_in_line,
}
