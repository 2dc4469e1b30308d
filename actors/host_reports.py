"""What agents say of a run: its result, its progress, its log. All are fenced by the run's id alone."""

from actors.decision import Decision
from actors.documents import encode, job_event, run_document
from actors.host_polls import next_document, serve, sign_of_life, take_next
from actors.host_state import Ending, HostState
from actors.line import Attempt
from actors.messages import AppendLogs, Found, Message, NoteProgress, ReportResult
from actors.ports import Effect
from interlock.errors import InvalidState, NotFound, Unavailable
from interlock.states import LIVE, TERMINAL, WAITING, JobStatus, RunEvent, StopReason
from interlock.wire import JobEvent, LogEvent, ReportAnswer, RunState, TakenJob
from store.rows import JobRow, RunRow

_EVENTS = {
    "success": RunEvent.SUCCEEDED,
    "failed": RunEvent.FAILED,
    "cancelled": RunEvent.STOPPED,
    "rejected": RunEvent.REJECTED,
}


def report_result(state: HostState, message: ReportResult, d: Decision) -> None:
    """A run has ended. Its retry, the host's freeing and the next take are one commit."""
    state.heard(d)
    attempt = _addressed(state, message.job_run_id)
    if attempt is None:
        d.look_up = message
        return
    report, run = message.report, attempt.run
    state.unread = False
    output = None if report.output is None else encode(report.output).decode()
    state.advance(
        attempt,
        _EVENTS[report.status],
        d,
        Ending(report.duration_ms, report.error_code, report.error_message, output, message.digest, report.retryable),
    )
    following = take_next(state, d, after=run.id) if message.take_next else None
    d.reply = ReportAnswer(
        status=run.status,
        job_status=attempt.job.status,
        will_retry=attempt.job.status is JobStatus.PENDING,
        replayed=False,
        next=next_document(following),
    )
    serve(state, d)


def note_progress(state: HostState, message: NoteProgress, d: Decision) -> None:
    """How far a run is, and perhaps that it waits for its user. Never re-queues."""
    attempt = _speaks(state, message, message.job_run_id, d)
    if attempt is None:
        return
    d.touch_job(attempt.job)
    attempt.job.progress = message.progress
    if message.needs_user_action is not None:
        _wait_for_user(attempt, d, needed=message.needs_user_action)
    if message.message:
        _log(d, attempt.job, attempt.run, None, "info", message.message, message.progress, d.now)
    event = _progress_event(attempt.job, attempt.run)
    d.effects.append(Effect("job.updated", event))
    d.reply = run_state(attempt)


def append_logs(state: HostState, message: AppendLogs, d: Decision) -> None:
    """Log lines; they may trail the result."""
    attempt = _speaks(state, message, message.job_run_id, d)
    if attempt is None:
        return
    _log_lines(d, attempt.job, attempt.run, message)
    d.reply = run_state(attempt)


def found(state: HostState, message: Found, d: Decision) -> None:
    """The rows' answer for a run that is not in this memory: it has ended, or never was this host's."""
    asked, job, run = message.asked, message.job, message.run
    if job is None or run is None or run.host_id != state.host.id:
        raise NotFound("No such run on this host")
    if run.status not in TERMINAL:
        if run.status in WAITING and state.attempt_of_run(run.id) is not None:
            raise InvalidState(f"The run is {run.status}: it has not started", current=run_document(run))
        raise Unavailable("The run is just being moved; ask again")  # by another node: this one's memory is old
    if isinstance(asked, ReportResult):
        _late(state, asked, job, run, d)
    elif isinstance(asked, AppendLogs):
        following = state.attempt_of_job(job.id)  # the next attempt is open: its job row is the one that counts
        job = job if following is None else following.job
        _log_lines(d, job, run, asked)
        d.reply = RunState(status=run.status, cancel_requested=job.cancel_requested)
    else:
        raise InvalidState(f"The run has ended: {run.status}", current=run_document(run))


def run_state(attempt: Attempt) -> RunState:
    """What every reply about a run carries: a cancel travels on it."""
    stopping = attempt.run.stop_reason is not StopReason.NONE
    return RunState(status=attempt.run.status, cancel_requested=stopping)


def _addressed(state: HostState, run_id: str) -> Attempt | None:
    """The attempt that an agent may speak of: the current one, or one that was last offered to this very process."""
    current = state.current
    if current is not None and current.run.id == run_id:
        return current
    waiting = state.line.find_run(run_id) if current is None else None
    offered = waiting is not None and waiting.run.offers > 0 and waiting.run.instance_id == state.host.instance_id
    return waiting if offered else None


def _speaks(state: HostState, message: Message, run_id: str, d: Decision) -> Attempt | None:
    state.heard(d)
    attempt = _addressed(state, run_id)
    if attempt is None:
        d.look_up = message
        return None
    sign_of_life(state, attempt, d)
    return attempt


def _late(state: HostState, message: ReportResult, job: JobRow, run: RunRow, d: Decision) -> None:
    if run.report_hash == message.digest:
        following = _same_next(state, run) if message.take_next else None
        d.host_changed = following is not None  # a run goes out again: not without the fence
        d.reply = ReportAnswer(
            status=run.status,
            job_status=job.status,
            will_retry=job.status is JobStatus.PENDING or job.attempts > run.attempt,
            replayed=True,
            next=following,
        )
        return
    d.append("late_report", d.ids.new(), job.org_id, job.id, run.id, d.now, message.body, message.digest)
    d.reply = InvalidState(f"The run had already ended: {run.status}", current=run_document(run))


def _same_next(state: HostState, reported: RunRow) -> TakenJob | None:
    current = state.current
    if current is not None and current.run.taken_after == reported.id and current.run.status in LIVE:
        state.undelivered = False
        return next_document(current)
    return None


def _wait_for_user(attempt: Attempt, d: Decision, *, needed: bool) -> None:
    """The run's clock stops while it waits for its user."""
    job, run = attempt.job, attempt.run
    if job.needs_user_action == needed:
        return
    d.touch_run(run)
    job.needs_user_action = needed
    if needed:
        run.timeout_left_ms = None if run.timeout_at is None else max(run.timeout_at - d.now, 0)
        run.timeout_at = None
    elif run.timeout_left_ms is not None:
        run.timeout_at, run.timeout_left_ms = d.now + run.timeout_left_ms, None


def _log_lines(d: Decision, job: JobRow, run: RunRow, message: AppendLogs) -> None:
    if not message.lines:
        return
    d.touch_job(job)
    for line in message.lines:
        _log(d, job, run, line.line_no, line.level, line.message, None, line.at or d.now)
    d.effects.append(Effect("job.log", LogEvent(job_id=job.id, job_run_id=run.id, lines=len(message.lines))))


def _log(
    d: Decision, job: JobRow, run: RunRow, line_no: int | None, level: str, text: str, progress: int | None, at: int
) -> None:
    d.touch_job(job)
    job.log_seq += 1
    d.append("job_log", d.ids.new(), job.org_id, job.id, run.id, job.log_seq, line_no, level, text, progress, at)


def _progress_event(job: JobRow, run: RunRow) -> JobEvent:
    event = job_event(job, run)
    event.progress, event.needs_user_action = job.progress, job.needs_user_action
    return event
