"""What agents say, checked and made into messages for their host's actor, whichever way it came.

Texts that are too long are cut, not refused: a report must not be lost because a program printed too much.
"""

import hashlib
from collections.abc import Sequence

import msgspec

from actors import messages
from interlock.clock import parse_rfc3339
from interlock.errors import InvalidRequest, PayloadTooLarge
from interlock.ids import is_id
from interlock.wire import LogLineIn, Report
from web.services import WebLimits

MAX_LINES = 1000
MAX_RUNNING = 100
MAX_MESSAGE = 16_384  # characters of an error message or progress message; longer ones are cut
MAX_CODE = 200
MAX_INSTANCE = 200
MAX_DURATION_MS = 366 * 86_400_000
_LEVELS = 20
_in_one_order = msgspec.json.Encoder(order="deterministic").encode  # a report's members have none


def instance_of(text: str | None, path: str) -> str | None:
    """The id of an agent's process; an empty one is none."""
    if text is None or text == "":
        return None
    if len(text) > MAX_INSTANCE or not text.isprintable() or not text.isascii():
        raise InvalidRequest.at(path, f"expected up to {MAX_INSTANCE} printable ASCII characters")
    return text


def running_of(named: Sequence[str] | None, path: str) -> tuple[str, ...] | None:
    """The runs that an agent says it runs; None says nothing."""
    if named is None:
        return None
    if len(named) > MAX_RUNNING or not all(map(is_id, named)):
        raise InvalidRequest.at(path, f"expected up to {MAX_RUNNING} jobRunIds")
    return tuple(named)


def result_message(
    run_id: str, report: Report, body: str | None, limits: WebLimits, *, take_next: bool = False
) -> messages.ReportResult:
    """How a run ended. `body`: the report as it came, if that should be kept when it comes too late."""
    if report.duration_ms is not None and not 0 <= report.duration_ms <= MAX_DURATION_MS:
        raise InvalidRequest.at("$.durationMs", f"expected 0 to {MAX_DURATION_MS}")
    report.duration_ms = None if report.duration_ms is None else round(report.duration_ms)
    report.error_message = cut(report.error_message, MAX_MESSAGE)
    report.error_code = cut(report.error_code, MAX_CODE)
    report.retryable = report.retryable is not False
    canonical = _in_one_order(report)
    if len(canonical if body is None else body.encode()) > limits.max_payload_bytes:
        raise PayloadTooLarge(f"A report may have {limits.max_payload_bytes} bytes")
    return messages.ReportResult(
        job_run_id=run_id,
        report=report,
        digest=hashlib.sha256(canonical).hexdigest(),
        body=canonical.decode() if body is None else body,
        take_next=take_next,
    )


def progress_message(
    run_id: str, progress: float, message: str | None, needs_user: bool | None
) -> messages.NoteProgress:
    """How far a run is, in percent."""
    if not 0 <= progress <= 100:  # noqa: PLR2004 - percent
        raise InvalidRequest.at("$.progress", "expected 0 to 100")
    return messages.NoteProgress(
        job_run_id=run_id,
        progress=int(progress),
        message=cut(message, MAX_MESSAGE),
        needs_user_action=needs_user,
    )


def logs_message(run_id: str, lines: Sequence[LogLineIn], longest: int) -> messages.AppendLogs:
    """Lines of a run's log; one with more than `longest` bytes is cut."""
    if len(lines) > MAX_LINES:
        raise InvalidRequest.at("$.lines", f"up to {MAX_LINES} lines at once")
    return messages.AppendLogs(
        job_run_id=run_id, lines=tuple(_line(line, place, longest) for place, line in enumerate(lines))
    )


def _line(line: LogLineIn, place: int, longest: int) -> messages.Line:
    if not 0 <= line.seq < 2**53:
        raise InvalidRequest.at(f"$.lines[{place}].seq", "expected a whole number from 0")
    at = None if line.at is None else parse_rfc3339(line.at, path=f"$.lines[{place}].at")
    return messages.Line(line.seq, line.level[:_LEVELS], _cut_bytes(line.message, longest), at)


def cut(text: str | None, most: int) -> str | None:
    """The text, or its first characters and an ellipsis."""
    return text if text is None or len(text) <= most else text[: most - 1] + "…"


def _cut_bytes(text: str, most: int) -> str:
    data = text.encode()
    return text if len(data) <= most else data[: most - len("…".encode())].decode(errors="ignore") + "…"
