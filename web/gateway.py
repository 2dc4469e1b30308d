"""What each event of an agent's socket means, whichever transport carries it: the message that its host's actor is asked,
and the frame that answers it.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from actors import messages
from actors.sessions import Session
from interlock import frames
from interlock.errors import NotFound
from interlock.frames import EXCHANGES
from interlock.ids import is_id
from interlock.wire import Heartbeat, Report
from web.agent_messages import (
    MAX_MESSAGE,
    cut,
    instance_of,
    logs_message,
    progress_message,
    result_message,
    running_of,
)
from web.agents import heartbeat_answer
from web.evidence_items import items_from
from web.services import Services, WebLimits

Message = messages.Message


class Handler(NamedTuple):
    """How an event becomes a message, and its reply an answer."""

    answer: str  # the event
    decoder: "msgspec.json.Decoder[Any]"
    message: Callable[[Session, WebLimits, Any], Message]  # of what came
    reply: Callable[[Services, Any, Any, Any], msgspec.Struct]  # of the message, what came, and the actor's reply
    inspects: bool = True  # whether what came is inspected whole; else part by part

    def depth(self, limits: WebLimits) -> int:
        """How deeply it may be nested; 0 leaves that to whoever looks at the parts."""
        return limits.max_json_depth if self.inspects else 0


def asked_before(session: Session, asked: Any) -> messages.FindRun | None:
    """What has to be found out before a frame's message can be made: which run is meant, where a job is named alone of
    which this connection has had none. It may have ended before.
    """
    if not isinstance(asked, frames.OfJob) or isinstance(asked, frames.Ack | frames.Reject) or asked.job_run_id:
        return None
    unknown = session.run_of(asked.job_id) is None and is_id(asked.job_id)
    return messages.FindRun(job_id=asked.job_id) if unknown else None


def _beat(session: Session, _: WebLimits, told: Heartbeat) -> Message:
    instance_id, running = instance_of(told.instance_id, "$.instanceId"), running_of(told.running, "$.running")
    return messages.Beat(instance_id=instance_id, running=running, session=session)


def _ack(session: Session, _: WebLimits, asked: frames.Ack) -> Message:
    return messages.Ack(session=session, job_id=_job_id(asked), job_run_id=_named_run(asked))


def _reject(session: Session, _: WebLimits, asked: frames.Reject) -> Message:
    reason = cut(asked.reason, MAX_MESSAGE)
    return messages.Reject(session=session, job_id=_job_id(asked), job_run_id=_named_run(asked), reason=reason)


def _progress(session: Session, _: WebLimits, told: frames.Progress) -> Message:
    run_id = _run_of(session, told)
    return _beside(told, progress_message(run_id, told.progress, told.message, told.needs_user_action))


def _logs(session: Session, limits: WebLimits, told: frames.Logs) -> Message:
    return _beside(told, logs_message(_run_of(session, told), told.lines, limits.max_log_line_bytes))


def _evidence(session: Session, limits: WebLimits, told: frames.Evidence) -> Message:
    items = items_from(told.evidence, limits)
    return _beside(told, messages.AddEvidence(job_run_id=_run_of(session, told), items=items))


def _done(session: Session, limits: WebLimits, told: frames.Done) -> Message:
    return _result(session, limits, told, Report(status="success", output=told.output, duration_ms=told.duration_ms))


def _failed(session: Session, limits: WebLimits, told: frames.Failed) -> Message:
    report = Report(
        status="failed",
        error_message=_sentence(told.error),
        error_code=told.error_code,
        retryable=told.retryable,
        output=told.output,
        duration_ms=told.duration_ms,
    )
    return _result(session, limits, told, report)


def _cancelled(session: Session, limits: WebLimits, told: frames.Cancelled) -> Message:
    return _result(session, limits, told, Report(status="cancelled", duration_ms=told.duration_ms))


def _result(session: Session, limits: WebLimits, told: frames.OfJob, report: Report) -> Message:
    return _beside(told, result_message(_run_of(session, told), report, None, limits))


def _sentence(error: Any) -> str | None:
    """What went wrong, of whatever a JavaScript agent calls an error."""
    if isinstance(error, dict) and isinstance(error.get("message"), str):
        return str(error["message"])
    return error if error is None or isinstance(error, str) else msgspec.json.encode(error).decode()


def _run_of(session: Session, asked: frames.OfJob) -> str:
    """The run that is meant; `NotFound` when this connection has had none of that job."""
    run_id = asked.job_run_id or session.run_of(asked.job_id)
    if run_id is None or not is_id(run_id):
        raise NotFound("This connection has no run of that job: name it by jobRunId, or ack it first")
    return run_id


def _beside(told: frames.OfJob, message: messages.OfRun) -> Message:
    """The message with the job that was named beside its run, so that it is not taken for another's."""
    named = told.job_run_id and told.job_id
    return msgspec.structs.replace(message, job_id=told.job_id) if named else message


def _job_id(asked: frames.OfJob) -> str:
    if not is_id(asked.job_id):
        raise NotFound("No such job for this host")
    return asked.job_id


def _named_run(asked: frames.OfJob) -> str | None:
    if asked.job_run_id is not None and not is_id(asked.job_run_id):
        raise NotFound("No such run on this host")
    return asked.job_run_id


def _noted(kind: type[msgspec.Struct]) -> Callable[[Services, Any, Any, Any], msgspec.Struct]:
    """The reply's own fields, and which run they are about."""

    def answer(_: Services, message: Any, told: frames.OfJob, reply: Any) -> msgspec.Struct:
        known = kind.__struct_fields__
        fields = {name: value for name, value in msgspec.structs.asdict(reply).items() if name in known}
        return kind(job_id=told.job_id, job_run_id=message.job_run_id, **fields)

    return answer


def _ended(_: Services, message: Any, told: frames.OfJob, reply: Any) -> msgspec.Struct:
    return frames.Ended(
        job_id=told.job_id,
        job_run_id=message.job_run_id,
        status=reply.status,
        job_status=reply.job_status,
        will_retry=reply.will_retry,
        replayed=reply.replayed,
    )


_HOW: dict[str, tuple[Callable[[Session, WebLimits, Any], Message], Callable[..., msgspec.Struct]]] = {
    "heartbeat": (_beat, lambda s, _message, _told, verdicts: heartbeat_answer(s, verdicts)),
    "job:ack": (_ack, lambda _s, _message, _told, given: given),
    "job:reject": (_reject, lambda _s, _message, told, _reply: frames.Rejected(job_id=told.job_id)),
    "job:progress": (_progress, _noted(frames.Noted)),
    "job:log": (_logs, _noted(frames.LogNoted)),
    "job:evidence": (_evidence, _noted(frames.EvidenceNoted)),
    "job:done": (_done, _ended),
    "job:error": (_failed, _ended),
    "job:cancelled": (_cancelled, _ended),
}
HANDLERS: dict[str, Handler] = {
    event: Handler(
        exchange.event, msgspec.json.Decoder(exchange.asks), *_HOW[event], inspects=exchange.asks is not frames.Evidence
    )
    for event, exchange in EXCHANGES.items()
}
