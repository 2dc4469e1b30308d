"""Agents over HTTP: poll, report, progress, logs, heartbeat. Unknown fields are passed over: agents may be newer."""

import hashlib
import re
from typing import Any, TypeVar

import msgspec
from aiohttp import web

from actors import messages
from actors.documents import encode
from interlock.clock import parse_rfc3339, rfc3339
from interlock.errors import InvalidRequest, NotFound, PayloadTooLarge
from interlock.ids import is_id
from interlock.wire import Heartbeat, HeartbeatAnswer, Intervals, LogLineIn, Logs, Progress, Report
from web.access import Agent, stamp
from web.parsing import decode, read_json
from web.services import Services

Value = TypeVar("Value")

_report = msgspec.json.Decoder(Report)
_progress = msgspec.json.Decoder(Progress)
_logs = msgspec.json.Decoder(Logs)
_heartbeat = msgspec.json.Decoder(Heartbeat)

MAX_LINES = 1000
MAX_RUNNING = 100
MAX_MESSAGE = 16_384  # characters of an error message or progress message; longer ones are cut
MAX_CODE = 200
MAX_INSTANCE = 200
MAX_DURATION_MS = 366 * 86_400_000
_LEVELS = 20
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?", re.ASCII)


async def poll(request: web.Request, s: Services, who: Agent) -> web.StreamResponse:
    """The host's next job, or 204. `wait` is clamped, not refused."""
    query = request.query
    transport = request.transport
    waits_ms = min(_wait_seconds(request) * 1000, s.limits.poll_wait_max_ms)
    parked = messages.Poll(
        who.host_id,
        waits=waits_ms > 0,
        instance_id=_instance(query.get("instanceId")),
        running=_running(query.get("running")),
        is_open=lambda: transport is not None and not transport.is_closing(),
    )
    s.directory.poll(parked, waits_ms)
    answer: messages.PollAnswer = await parked.answer
    if answer.taken is None:
        headers = {} if answer.cancel is None else {"Interlock-Cancel": answer.cancel}
        return web.Response(status=204, headers=headers)
    response = web.Response(body=answer.taken, content_type="application/json")
    return await _hand_over(request, s, who, response, answer.job_run_id)


async def _hand_over(
    request: web.Request, s: Services, who: Agent, response: web.Response, run_id: str | None
) -> web.StreamResponse:
    """Write the reply that carries a job; if that fails, the next poll gets the same run."""
    try:
        if request.transport is None or request.transport.is_closing():
            raise ConnectionResetError
        stamp(request, response)
        await response.prepare(request)
        await response.write_eof()
    except (ConnectionError, RuntimeError):
        if run_id is not None:
            s.directory.tell(who.host_id, messages.HandOutAgain(job_run_id=run_id))
        raise
    return response


def _wait_seconds(request: web.Request) -> int:
    """How long the poll may wait, not yet clamped; a preference that is not understood is passed over."""
    text = request.query.get("wait")
    if text is not None:
        if not _NUMBER.fullmatch(text):
            raise InvalidRequest.at("?wait", "expected seconds")
        return _whole(text)
    for preference in request.headers.get("Prefer", "").split(","):
        name, _, value = preference.strip().partition("=")
        if name.strip().lower() == "wait" and _NUMBER.fullmatch(value.strip()):
            return _whole(value.strip())
    return 0


def _whole(text: str) -> int:
    whole = text.partition(".")[0]
    return 0 if whole.startswith("-") else min(int(whole[:18]), 10**6) if whole else 0


def _instance(text: str | None) -> str | None:
    if text is None or text == "":
        return None
    if len(text) > MAX_INSTANCE or not text.isprintable() or not text.isascii():
        raise InvalidRequest.at("?instanceId", f"expected up to {MAX_INSTANCE} printable ASCII characters")
    return text


def _running(text: str | None) -> tuple[str, ...] | None:
    if text is None:
        return None
    named = tuple(part for part in text.split(",") if part)
    if len(named) > MAX_RUNNING or not all(is_id(part) for part in named):
        raise InvalidRequest.at("?running", f"expected up to {MAX_RUNNING} jobRunIds, separated by commas")
    return named


async def result(request: web.Request, s: Services, who: Agent) -> web.StreamResponse:
    """How a run ended; with `?next=1` also the host's next job, in the same commit."""
    came = await read_json(request, s.web_limits.max_body_bytes)
    report = decode(came or b"{}", _report, s.web_limits.max_json_depth)
    if report.duration_ms is not None and not 0 <= report.duration_ms <= MAX_DURATION_MS:
        raise InvalidRequest.at("$.durationMs", f"expected 0 to {MAX_DURATION_MS}")
    report.error_message = _cut(report.error_message, MAX_MESSAGE)
    report.error_code = _cut(report.error_code, MAX_CODE)
    canonical: bytes = encode(report)
    if len(came) > s.web_limits.max_payload_bytes:
        raise PayloadTooLarge(f"A report may have {s.web_limits.max_payload_bytes} bytes")
    message = messages.ReportResult(
        job_run_id=_run_id(request),
        report=report,
        digest=hashlib.sha256(canonical).hexdigest(),
        body=came.decode(errors="replace"),
        take_next=request.query.get("next") in {"1", "true"},
    )
    answer = await s.directory.ask(who.host_id, message)
    response = _json(answer)
    if answer.next is None:
        return response
    return await _hand_over(request, s, who, response, answer.next.job_run_id)


async def progress(request: web.Request, s: Services, who: Agent) -> web.Response:
    """How far a run is; the answer says whether it should stop."""
    told = await _read(request, s, _progress)
    if not 0 <= told.progress <= 100:  # noqa: PLR2004 - percent
        raise InvalidRequest.at("$.progress", "expected 0 to 100")
    message = messages.NoteProgress(
        job_run_id=_run_id(request),
        progress=told.progress,
        message=_cut(told.message, MAX_MESSAGE),
        needs_user_action=told.needs_user_action,
    )
    return _json(await s.directory.ask(who.host_id, message))


async def logs(request: web.Request, s: Services, who: Agent) -> web.Response:
    """Log lines; a line that comes again is stored once."""
    told = await _read(request, s, _logs)
    if len(told.lines) > MAX_LINES:
        raise InvalidRequest.at("$.lines", f"up to {MAX_LINES} lines at once")
    lines = tuple(_line(line, place, s.web_limits.max_log_line_bytes) for place, line in enumerate(told.lines))
    message = messages.AppendLogs(job_run_id=_run_id(request), lines=lines)
    return _json(await s.directory.ask(who.host_id, message))


def _line(line: LogLineIn, place: int, longest: int) -> messages.Line:
    if not 0 <= line.seq < 2**53:
        raise InvalidRequest.at(f"$.lines[{place}].seq", "expected a whole number from 0")
    at = None if line.at is None else parse_rfc3339(line.at, path=f"$.lines[{place}].at")
    return messages.Line(line.seq, line.level[:_LEVELS], _cut_bytes(line.message, longest), at)


async def heartbeat(request: web.Request, s: Services, who: Agent) -> web.Response:
    """A sign of life, and what to do with each run that the agent names."""
    told = await _read(request, s, _heartbeat)
    running = None if told.running is None else tuple(told.running)
    if running is not None and (len(running) > MAX_RUNNING or not all(is_id(run_id) for run_id in running)):
        raise InvalidRequest.at("$.running", f"expected up to {MAX_RUNNING} jobRunIds")
    message = messages.Beat(instance_id=_instance(told.instance_id), running=running)
    verdicts = await s.directory.ask(who.host_id, message)
    limits = s.limits
    intervals = Intervals(
        heartbeat_seconds=limits.heartbeat_ms / 1000,
        lease_seconds=limits.lease_ms / 1000,
        poll_wait_seconds=limits.poll_wait_ms / 1000,
    )
    return _json(HeartbeatAnswer(server_time=rfc3339(s.clock.now()), runs=verdicts, intervals=intervals))


async def _read(request: web.Request, s: Services, decoder: "msgspec.json.Decoder[Value]") -> Value:
    body = await read_json(request, s.web_limits.max_body_bytes)
    return decode(body or b"{}", decoder, s.web_limits.max_json_depth)


def _run_id(request: web.Request) -> str:
    run_id = request.match_info["run_id"]
    if not is_id(run_id):
        raise NotFound("No such run on this host")
    return run_id


def _cut(text: str | None, most: int) -> str | None:
    return text if text is None or len(text) <= most else text[: most - 1] + "…"


def _cut_bytes(text: str, most: int) -> str:
    data = text.encode()
    return text if len(data) <= most else data[: most - len("…".encode())].decode(errors="ignore") + "…"


def _json(value: Any) -> web.Response:
    return web.Response(body=encode(value), content_type="application/json")
