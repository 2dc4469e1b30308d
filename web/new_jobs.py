"""From a create request to a `NewJob`: type, target, times and bounds are checked here, before anything is decided."""

import asyncio
import math

import msgspec

from actors.messages import NewJob
from interlock.clock import Millis, parse_rfc3339
from interlock.errors import InvalidRequest, NotFound, PayloadTooLarge
from interlock.ids import is_id
from interlock.wire import CreateJob, Json
from store.accounts import label_text
from web.access import Member
from web.hidden_fields import hidden_by, shown
from web.job_types import TypeDefinition, definition_of
from web.payload_schemas import LONG_CHECKS, check_payload, rules_of
from web.services import Services

decoder = msgspec.json.Decoder(CreateJob)
_encode = msgspec.json.Encoder().encode

MAX_ATTEMPTS = 100
MAX_TIMEOUT_SECONDS = 30 * 86400
MAX_LABEL_BYTES = 2000  # of all labels of a job together: they are part of an index, whose rows are small
PRIORITIES = range(-1000, 1001)
MIN_TIMEOUT_SECONDS = 0.001


async def new_job(s: Services, who: Member, wanted: CreateJob, trace: str | None = None) -> NewJob:
    """The job as its host's actor is asked for it; `trace` as the job's row has it."""
    definition = await definition_of(s, who.org_id, wanted.type)
    payload, payload_shown = await _payload(wanted, definition, s)
    host_id = await _host(s, who, wanted)
    labels = None if host_id is not None else _labels(wanted, definition)
    return NewJob(
        org_id=who.org_id,
        host_id=host_id,
        server_instance_id=wanted.server_instance_id,
        type=wanted.type,
        payload=payload,
        policy=definition.policy_text,
        timeout_ms=_timeout(wanted) or definition.timeout_ms,
        max_attempts=_attempts(wanted, definition, s),
        priority=_priority(wanted),
        run_at=_run_at(wanted, definition),
        start_before=None if wanted.start_before is None else parse_rfc3339(wanted.start_before, path="$.startBefore"),
        creator=who.ref,
        labels=labels,
        payload_shown=payload_shown,
        trace=trace,
    )


async def _payload(wanted: CreateJob, definition: TypeDefinition, s: Services) -> tuple[str, str | None]:
    """The payload as JSON text; and as all but its agent see it, where its type hides something of it."""
    if wanted.payload is not None and wanted.input is not None:
        raise InvalidRequest.at("$.input", "input is another name of payload: give one of them")
    chosen: Json = wanted.payload if wanted.payload is not None else wanted.input or {}
    text: bytes = _encode(chosen)
    if len(text) > s.web_limits.max_payload_bytes:
        raise PayloadTooLarge(f"A payload may have {s.web_limits.max_payload_bytes} bytes")
    if definition.schema is None:
        return text.decode(), None
    path = "$.payload" if wanted.input is None else "$.input"
    rules = rules_of(definition.schema)
    if check_payload(rules, chosen, text.decode(), path, s.web_limits.max_schema_checks) > LONG_CHECKS:
        await asyncio.sleep(0)  # others want the loop too
    hidden = hidden_by(definition.schema)
    return text.decode(), None if hidden is None else shown(hidden, chosen, path)


async def _host(s: Services, who: Member, wanted: CreateJob) -> str | None:
    """The host that the target names; another tenant's is not found. None: any that carries the labels."""
    targets = [wanted.server_instance_id, wanted.host_id, wanted.labels]
    if sum(target is not None for target in targets) > 1:
        raise InvalidRequest.at("$", "at most one of serverInstanceId, hostId and labels may be given")
    if wanted.server_instance_id is not None:
        known = is_id(wanted.server_instance_id)
        place = await s.lookups.place_of_instance(wanted.server_instance_id) if known else None
        if place is None or place[0] != who.org_id:
            raise NotFound("No such server instance")
        return place[1]
    if wanted.host_id is not None:
        org_id = await s.lookups.org_of_host(wanted.host_id) if is_id(wanted.host_id) else None
        if org_id != who.org_id:
            raise NotFound("No such host")
        return wanted.host_id
    return None


def _labels(wanted: CreateJob, definition: TypeDefinition) -> str:
    """What the host of a pool job must carry, as its row has it."""
    if definition.needs_target and not wanted.labels:
        raise InvalidRequest.at("$", f"{wanted.type} needs a target: serverInstanceId, hostId or labels")
    text = label_text(wanted.labels or {})
    if len(text.encode()) > MAX_LABEL_BYTES:
        raise InvalidRequest.at("$.labels", f"up to {MAX_LABEL_BYTES} bytes as JSON")
    return text


def _timeout(wanted: CreateJob) -> Millis | None:
    seconds = wanted.timeout_seconds
    if seconds is None:
        return None
    if not math.isfinite(seconds) or not MIN_TIMEOUT_SECONDS <= seconds <= MAX_TIMEOUT_SECONDS:
        raise InvalidRequest.at("$.timeoutSeconds", f"expected more than 0 and at most {MAX_TIMEOUT_SECONDS}")
    return round(seconds * 1000)


def _attempts(wanted: CreateJob, definition: TypeDefinition, s: Services) -> int:
    attempts = wanted.max_attempts
    if attempts is None:
        return definition.max_attempts or s.limits.max_attempts
    if not 1 <= attempts <= MAX_ATTEMPTS:
        raise InvalidRequest.at("$.maxAttempts", f"expected 1 to {MAX_ATTEMPTS}")
    return attempts


def _priority(wanted: CreateJob) -> int:
    if wanted.priority not in PRIORITIES:
        raise InvalidRequest.at("$.priority", f"expected {PRIORITIES[0]} to {PRIORITIES[-1]}")
    return wanted.priority


def _run_at(wanted: CreateJob, definition: TypeDefinition) -> Millis | None:
    if wanted.run_at is not None:
        return parse_rfc3339(wanted.run_at, path="$.runAt")
    if not definition.needs_run_at:
        return None
    name, payload = ("payload", wanted.payload) if wanted.payload is not None else ("input", wanted.input or {})
    scheduled = payload.get("scheduledAt")
    if scheduled is None:
        raise InvalidRequest.at("$.runAt", f"{wanted.type} needs runAt, or scheduledAt in its payload")
    path = f"$.{name}.scheduledAt"
    if not isinstance(scheduled, str):
        raise InvalidRequest.at(path, "expected an RFC 3339 time")
    return parse_rfc3339(scheduled, path=path)
