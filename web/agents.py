"""Agents over HTTP: poll, report, progress, logs, evidence, heartbeat. Unknown fields are passed over: agents may be newer."""

import logging
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import msgspec
from aiohttp import web

from actors import messages
from actors.documents import encode
from actors.loop_actor import LoopFuture
from interlock.clock import rfc3339, seconds
from interlock.errors import InterlockError, InvalidRequest, NotFound, Unauthenticated
from interlock.ids import is_id
from interlock.wire import (
    EvidenceIn,
    Heartbeat,
    HeartbeatAnswer,
    Intervals,
    Logs,
    Progress,
    Report,
    ReportAnswer,
    RunVerdict,
    TakenJob,
)
from web.access import Agent, stamp
from web.agent_messages import instance_of, logs_message, progress_message, result_message, running_of
from web.answers import Answer
from web.evidence_items import items_from
from web.parsing import decode, read_json
from web.preferences import is_number, preferred_wait, whole_seconds
from web.services import Services

log = logging.getLogger(__name__)

Value = TypeVar("Value")

_report = msgspec.json.Decoder(Report)
_progress = msgspec.json.Decoder(Progress)
_logs = msgspec.json.Decoder(Logs)
_evidence = msgspec.json.Decoder(EvidenceIn)
_heartbeat = msgspec.json.Decoder(Heartbeat)
_taken = msgspec.json.Decoder(TakenJob)


async def poll(request: web.Request, s: Services, who: Agent) -> web.StreamResponse:
    """The host's next job, or 204. `wait` is clamped, not refused."""
    asks = _asked(request)
    wait_seconds = (preferred_wait(request) or 0) if asks.wait_seconds is None else asks.wait_seconds
    waits_ms = min(wait_seconds * 1000, s.limits.poll_wait_max_ms)
    parked = messages.Poll(
        who.host_id,
        waits=waits_ms > 0,
        instance_id=asks.instance_id,
        running=asks.running,
        is_open=_open(request),
    )
    written: list[web.Response] = []
    with s.revocations.holding(who.kid, lambda: _revoked(s, parked)):
        s.directory.poll(parked, waits_ms)
        parked.answer.then(lambda reply: written.extend(_written_at_once(request, reply)))
        answer: messages.PollAnswer = await parked.answer
    if written:
        return written[0]
    if answer.taken is None:
        headers = {} if answer.cancel is None else {"Interlock-Cancel": answer.cancel}
        return web.Response(status=204, headers=headers)
    response = Answer(answer.taken)
    return await _hand_over(request, s, who, response, answer.job_run_id)


def _open(request: web.Request) -> Callable[[], bool]:
    """Tells whether the connection would still take an answer."""
    transport = request.transport
    return lambda: transport is not None and not transport.is_closing()


def _written_at_once(request: web.Request, reply: LoopFuture) -> list[web.Response]:
    """The reply that carries a job, if it could be written where its commit is told: a turn of the loop before this
    request's task hears of it. It must not raise.
    """
    answer = reply.outcome
    if not isinstance(answer, messages.PollAnswer) or answer.taken is None:
        return []
    try:
        response = Answer(answer.taken)
        stamp(request, response)
        return [response] if response.write_at_once(request) else []
    except Exception:
        log.exception("A job could not be written at once")
        return []


def _revoked(s: Services, parked: messages.Poll) -> None:
    """Its actor answers it, so that a job which is on its way to it is not lost."""
    why = Unauthenticated("The key has been revoked")
    s.directory.tell(parked.host_id, messages.EndPoll(poll=parked, why=why))


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


class _Asked(NamedTuple):
    """What a poll's query says."""

    wait_seconds: int | None  # how long it may wait, not yet clamped
    instance_id: str | None
    running: tuple[str, ...] | None


_KNOWN: dict[str, _Asked] = {}  # by the query as it came: agents ask the same again and again
_MOST_KNOWN = 10_000  # beyond, all are forgotten
_LONGEST_KNOWN = 200  # characters


def _asked(request: web.Request) -> _Asked:
    raw = request.rel_url.raw_query_string
    asked = _KNOWN.get(raw)
    if asked is None:
        asked = _read_query(request)
        if len(raw) <= _LONGEST_KNOWN:
            if len(_KNOWN) >= _MOST_KNOWN:
                _KNOWN.clear()
            _KNOWN[raw] = asked
    return asked


def _read_query(request: web.Request) -> _Asked:
    query = request.query
    wait = query.get("wait")
    if wait is not None and not is_number(wait):
        raise InvalidRequest.at("?wait", "expected seconds")
    return _Asked(
        None if wait is None else whole_seconds(wait),
        instance_of(query.get("instanceId"), "?instanceId"),
        running_of(listed(query.get("running")), "?running"),
    )


def _takes_next(request: web.Request) -> bool:
    """Whether a report asks for the next job too."""
    raw_query = request.rel_url.raw_query_string
    return raw_query == "next=1" or (raw_query != "" and request.query.get("next") in {"1", "true"})


def listed(text: str | None) -> list[str] | None:
    """The parts of a list with commas; an empty text is an empty list."""
    return None if text is None else [part for part in text.split(",") if part]


async def result(request: web.Request, s: Services, who: Agent) -> web.StreamResponse:
    """How a run ended; with `?next=1` also the host's next job, in the same commit."""
    came = await read_json(request, s.web_limits.max_body_bytes)
    report = decode(came or b"{}", _report, s.web_limits.max_json_depth)
    take_next = _takes_next(request)
    body = came.decode(errors="replace")
    message = result_message(_run_id(request), report, body, s.web_limits, take_next=take_next)
    answer: ReportAnswer = await s.directory.ask(who.host_id, message)
    if take_next and answer.next is None and not answer.replayed:
        answer.next = await _from_pool(request, s, who, message.job_run_id)
    response = _json(answer)
    if answer.next is None:
        return response
    return await _hand_over(request, s, who, response, answer.next.job_run_id)


async def _from_pool(request: web.Request, s: Services, who: Agent, reported: str) -> TakenJob | None:
    """What a poll that does not wait would get now: nothing of the host's own was next. Another poll is not disturbed."""
    if who.host_id in s.directory.polls:
        return None
    asks = messages.Poll(who.host_id, waits=False, after=reported, is_open=_open(request))
    s.directory.poll(asks, 0)
    try:
        answer: messages.PollAnswer = await asks.answer
    except InterlockError:
        return None  # the report is in the rows, whatever became of the question behind it
    if answer.taken is None:
        return None
    taken = _taken.decode(answer.taken)
    taken.timeout_seconds = seconds(round(taken.timeout_seconds * 1000))  # whole ones as it was: `600`, not `600.0`
    return taken


async def progress(request: web.Request, s: Services, who: Agent) -> web.Response:
    """How far a run is; the answer says whether it should stop."""
    told = await _read(request, s, _progress)
    message = progress_message(_run_id(request), told.progress, told.message, told.needs_user_action)
    return _json(await s.directory.ask(who.host_id, message))


async def logs(request: web.Request, s: Services, who: Agent) -> web.Response:
    """Log lines; a line that comes again is stored once. The answer says which is expected next."""
    told = await _read(request, s, _logs)
    message = logs_message(_run_id(request), told.lines, s.web_limits.max_log_line_bytes)
    return _json(await s.directory.ask(who.host_id, message))


async def evidence(request: web.Request, s: Services, who: Agent) -> web.Response:
    """What a run has found; a verdict for each item."""
    body = await read_json(request, s.web_limits.max_body_bytes)
    told = decode(body or b"{}", _evidence, 0)  # its items are inspected one by one
    items = items_from(told.evidence, s.web_limits)
    return _json(await s.directory.ask(who.host_id, messages.AddEvidence(job_run_id=_run_id(request), items=items)))


async def heartbeat(request: web.Request, s: Services, who: Agent) -> web.Response:
    """A sign of life, and what to do with each run that the agent names."""
    told = await _read(request, s, _heartbeat)
    instance_id, running = instance_of(told.instance_id, "$.instanceId"), running_of(told.running, "$.running")
    message = messages.Beat(instance_id=instance_id, running=running)
    verdicts = await s.directory.ask(who.host_id, message)
    return _json(heartbeat_answer(s, verdicts))


def heartbeat_answer(s: Services, verdicts: list[RunVerdict]) -> HeartbeatAnswer:
    """The time here, the verdicts, and how often the server would like to hear."""
    limits = s.limits
    intervals = Intervals(
        heartbeat_seconds=seconds(limits.heartbeat_ms),
        lease_seconds=seconds(limits.lease_ms),
        poll_wait_seconds=seconds(limits.poll_wait_ms),
    )
    return HeartbeatAnswer(server_time=rfc3339(s.clock.now()), runs=verdicts, intervals=intervals)


async def _read(request: web.Request, s: Services, decoder: "msgspec.json.Decoder[Value]") -> Value:
    body = await read_json(request, s.web_limits.max_body_bytes)
    return decode(body or b"{}", decoder, s.web_limits.max_json_depth)


def _run_id(request: web.Request) -> str:
    run_id = request.match_info["run_id"]
    if not is_id(run_id):
        raise NotFound("No such run on this host")
    return run_id


def _json(value: Any) -> web.Response:
    return Answer(encode(value))
