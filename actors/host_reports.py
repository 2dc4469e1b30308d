"""What agents say of a run: its result, its progress, its log, what it has found. All are fenced by the run's id alone."""

from actors.decision import Decision
from actors.documents import encode, run_document
from actors.endings import Ending
from actors.hidden import masked_json, masked_report
from actors.host_evidence import answer, keep_items
from actors.host_logs import book_of, learn, write_lines, write_message
from actors.host_polls import next_document, serve, sign_of_life, take_next
from actors.host_state import HostState
from actors.line import Attempt
from actors.log_book import LogBook
from actors.messages import AddEvidence, AppendLogs, FindRun, Found, Message, NoteProgress, OfRun, ReportResult
from actors.ports import Effect
from actors.user_action import needs_user, progress_event
from interlock.errors import InterlockError, InvalidState, NotFound, Unavailable
from interlock.states import LIVE, TERMINAL, WAITING, JobStatus, RunEvent, RunStatus, StopReason
from interlock.wire import LogAnswer, Report, ReportAnswer, RunState, TakenJob
from store.logs import LogStored
from store.rows import JobRow, RunRow

_NO_RUN_OF_JOB = "This connection has no run of that job: name it by jobRunId, or ack it first"
_EVENTS = {
    "success": RunEvent.SUCCEEDED,
    "failed": RunEvent.FAILED,
    "cancelled": RunEvent.STOPPED,
    "rejected": RunEvent.REJECTED,
}


def report_result(state: HostState, message: ReportResult, d: Decision) -> None:
    """A run has ended. Its retry, the host's freeing and the next take are one commit."""
    state.heard(d)
    attempt = _addressed(state, message)
    if attempt is None:
        d.look_up = message
        return
    report, run = masked_report(attempt.job, message.report), attempt.run
    state.unread = False
    output = None if report.output is None else encode(report.output).decode()
    event = _EVENTS[report.status]
    if run.started_at is None and event is not RunEvent.REJECTED:
        state.advance(attempt, RunEvent.ACKED, d)  # the report of what was offered is an ack as well
    state.advance(
        attempt,
        event,
        d,
        Ending(
            None if report.duration_ms is None else round(report.duration_ms),
            report.error_code,
            report.error_message,
            output,
            message.digest,
            report.retryable is not False,
        ),
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
    attempt = _speaks(state, message, d)
    if attempt is None:
        return
    book = book_of(state, attempt.run.id) if message.message else None
    if message.message and book is None:
        d.look_up = message
        return
    d.touch_job(attempt.job)
    attempt.job.progress = message.progress
    if message.needs_user_action is not None:
        needs_user(attempt, d, needed=message.needs_user_action)
    if message.message and book is not None:
        write_message(state, attempt.job, attempt.run, book, message.message, d)
    d.effects.append(Effect("job.updated", progress_event(attempt)))
    d.reply = run_state(attempt)


def append_logs(state: HostState, message: AppendLogs, d: Decision) -> None:
    """Log lines; they may trail the result."""
    attempt = _speaks(state, message, d)
    if attempt is None:
        return
    book = book_of(state, attempt.run.id)
    if book is None:
        d.look_up = message
        return
    write_lines(state, attempt.job, attempt.run, book, message.lines, d)
    d.reply = _log_answer(run_state(attempt), book, message)


def add_evidence(state: HostState, message: AddEvidence, d: Decision) -> None:
    """What a run has found; it may trail the result. Whether that is there already, the rows alone can tell."""
    attempt = _speaks(state, message, d)
    if attempt is None or message.items:
        d.look_up = message
    else:
        d.reply = answer(run_state(attempt), [])


def find_run(state: HostState, message: FindRun, d: Decision) -> None:
    """The agent names a job of which its connection knows no run."""
    state.heard(d)
    d.look_up = message


def found(state: HostState, message: Found, d: Decision) -> None:
    """The rows' answer: for a run that is not in this memory, since it has ended or never was this host's; or for what is
    not kept in memory.
    """
    asked, job, run = message.asked, message.job, message.run
    if job is None or run is None or run.host_id != state.host.id or not _is_of(asked, job):
        raise NotFound(_NO_RUN_OF_JOB if isinstance(asked, FindRun) else "No such run on this host")
    if isinstance(asked, FindRun):
        d.reply = run.id
        return
    if isinstance(message.beside, LogStored):
        learn(state, run.id, message.beside)
    attempt = state.addressed(run.id)
    if isinstance(asked, AddEvidence) and (attempt is not None or run.status in TERMINAL):
        about = _ended_state(job, run) if attempt is None else run_state(attempt)
        d.reply = answer(about, keep_items(state, job, run, asked.items, message.beside, d))
    elif isinstance(asked, NoteProgress) and attempt is not None:
        note_progress(state, asked, d)
    elif isinstance(asked, AppendLogs) and attempt is not None:
        append_logs(state, asked, d)
    elif run.status not in TERMINAL:
        raise _not_running(state, run)
    elif isinstance(asked, ReportResult):
        _late(state, asked, job, run, d)
    elif isinstance(asked, AppendLogs):
        _trailing_lines(state, asked, job, run, d)
    else:
        raise InvalidState(f"The run has ended: {run.status}", current=run_document(run))


def _not_running(state: HostState, run: RunRow) -> InterlockError:
    if run.status in WAITING and state.attempt_of_run(run.id) is not None:
        return InvalidState(f"The run is {run.status}: it has not started", current=run_document(run))
    return Unavailable("The run is just being moved; ask again")  # by another node: this one's memory is old


def _trailing_lines(state: HostState, asked: AppendLogs, job: JobRow, run: RunRow, d: Decision) -> None:
    book = book_of(state, run.id)
    if book is None:
        d.look_up = asked  # it was known when the rows were asked, and has been forgotten meanwhile
        return
    write_lines(state, job, run, book, asked.lines, d)
    d.reply = _log_answer(_ended_state(job, run), book, asked)


def _log_answer(run: RunState, book: LogBook, asked: AppendLogs) -> LogAnswer:
    """Of a log that is full nothing more is expected than what came."""
    following = book.next_seq
    if book.truncated:
        following = max([following, *(line.line_no + 1 for line in asked.lines if line.line_no is not None)])
    return LogAnswer(
        status=run.status,
        cancel_requested=run.cancel_requested,
        needs_user_action=run.needs_user_action,
        next_seq=following,
        truncated=book.truncated,
    )


def _ended_state(job: JobRow, run: RunRow) -> RunState:
    return RunState(status=run.status, cancel_requested=job.cancel_requested)


def run_state(attempt: Attempt) -> RunState:
    """What every reply about a run carries: a cancel travels on it."""
    stopping = attempt.run.stop_reason is not StopReason.NONE
    waiting = attempt.job.needs_user_action
    return RunState(status=attempt.run.status, cancel_requested=stopping, needs_user_action=waiting)


def _addressed(state: HostState, message: OfRun) -> Attempt | None:
    """The attempt that an agent may speak of: the current one, or one that was last offered to this very process."""
    attempt = state.addressed(message.job_run_id)
    return attempt if attempt is not None and _is_of(message, attempt.job) else None


def _is_of(message: Message, job: JobRow) -> bool:
    """Whether the job that the agent names beside the run, if it does, is the run's."""
    return not isinstance(message, OfRun) or message.job_id in {None, job.id}


def _speaks(state: HostState, message: OfRun, d: Decision) -> Attempt | None:
    state.heard(d)
    attempt = _addressed(state, message)
    if attempt is None:
        d.look_up = message
        return None
    sign_of_life(state, attempt, d)
    return attempt


def _late(state: HostState, message: ReportResult, job: JobRow, run: RunRow, d: Decision) -> None:
    repeated = run.report_hash == message.digest
    if repeated or _confirms(run, message.report):
        following = _same_next(state, run) if message.take_next else None
        d.host_changed = following is not None  # a run goes out again: not without the fence
        d.reply = ReportAnswer(
            status=run.status,
            job_status=job.status,
            will_retry=job.status is JobStatus.PENDING or job.attempts > run.attempt,
            replayed=True,
            next=following,
        )
    else:
        body = masked_json(job, message.body)
        d.append("late_report", d.ids.new(), job.org_id, job.id, run.id, d.now, body, message.digest)
        d.reply = InvalidState(f"The run had already ended: {run.status}", current=run_document(run))
    if not repeated and not state.host.declares and run.run_no == state.host.run_no:
        state.set_gate(d, closed=False)  # it is this very run that the machine may have been at: it no longer is
        serve(state, d)


def _confirms(run: RunRow, report: Report) -> bool:
    """Whether it says no more than what the server has written by itself: that the run was stopped."""
    unheard = run.status is RunStatus.CANCELLED and run.report_hash is None
    return unheard and report.status == "cancelled" and report.output is None and report.error_message is None


def _same_next(state: HostState, reported: RunRow) -> TakenJob | None:
    current = state.current
    if current is not None and current.run.taken_after == reported.id and current.run.status in LIVE:
        state.undelivered = False
        return next_document(current)
    return None
