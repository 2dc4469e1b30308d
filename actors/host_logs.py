"""A run's log: lines by the agent's own numbers, each stored once, up to a bound that shows."""

from actors.decision import Decision
from actors.hidden import masked_lines
from actors.host_state import HostState
from actors.log_book import LogBook
from actors.messages import Line
from actors.ports import Effect
from interlock.clock import Millis
from interlock.wire import LogEvent
from store.logs import TRUNCATED, LogStored
from store.rows import JobRow, RunRow

NUMBERED_LATER = 0  # the commit counts the lines of a job
MOST_BOOKS = 8  # that a host's actor remembers: of the current run, and of those whose last lines are still to come


def book_of(state: HostState, run_id: str) -> LogBook | None:
    """What is known of a run's log; None when the rows must be asked. Of a run that has just started here all is known."""
    book = state.logs.get(run_id) if state.logs is not None else None
    if book is None and state.fresh_log == run_id:
        state.fresh_log = None
        book = _keep(state, run_id, LogBook())
    return book


def learn(state: HostState, run_id: str, stored: LogStored) -> LogBook:
    """The rows have been asked, behind all that was decided here before."""
    return _keep(state, run_id, LogBook(stored))


def _keep(state: HostState, run_id: str, book: LogBook) -> LogBook:
    if state.logs is None:
        state.logs = {}
    state.logs[run_id] = book
    if len(state.logs) > MOST_BOOKS:
        current = None if state.current is None else state.current.run.id
        del state.logs[next(known for known in state.logs if known not in {run_id, current})]
    return book


def write_lines(state: HostState, job: JobRow, run: RunRow, book: LogBook, lines: tuple[Line, ...], d: Decision) -> int:
    """Store those that are not there yet; how many rows were written, the one that says "truncated" among them."""
    written = 0
    for line in masked_lines(job, lines):
        if line.line_no is None or not book.has(line.line_no):
            written += _write(state, job, run, book, line, None, d)
    _tell(job, run, written, d)
    return written


def write_message(state: HostState, job: JobRow, run: RunRow, book: LogBook, text: str, d: Decision) -> None:
    """A progress message is a line of the log that has no number."""
    (line,) = masked_lines(job, (Line(None, "info", text, None),))
    _tell(job, run, int(_write(state, job, run, book, line, job.progress, d)), d)


def _tell(job: JobRow, run: RunRow, written: int, d: Decision) -> None:
    """Dashboards hear of new lines."""
    if written:
        d.effects.append(Effect("job.log", LogEvent(job_id=job.id, job_run_id=run.id, lines=written)))


def _write(
    state: HostState, job: JobRow, run: RunRow, book: LogBook, line: Line, progress: int | None, d: Decision
) -> bool:
    """Whether a row was written: no more are once the log is full."""
    limits = state.limits
    size = len(line.message.encode())
    if book.truncated:
        return False
    if book.lines >= limits.max_log_lines or book.size_bytes + size > limits.max_log_bytes:
        book.truncated = True
        most = f"{limits.max_log_lines} lines and {limits.max_log_bytes} bytes"
        _append(job, run, Line(TRUNCATED, "warn", f"The log is truncated here: it may have {most}", None), None, d)
    else:
        book.note(line.line_no, size)
        _append(job, run, line, progress, d)
    return True


def _append(job: JobRow, run: RunRow, line: Line, progress: int | None, d: Decision) -> None:
    at: Millis = d.now if line.at is None else line.at
    values = (line.line_no, line.level, line.message, progress, at)
    d.append("job_log", d.ids.new(), job.org_id, job.id, run.id, NUMBERED_LATER, *values)
