"""An organization's job types for users: the built-in ones, those that it has changed, and its own."""

import base64
import binascii
import math
import re
from collections.abc import Collection

import msgspec
from aiohttp import web

from actors.documents import encode, raw
from actors.policies import Policy
from interlock.clock import Millis
from interlock.errors import InvalidRequest, InvalidState, NotFound, PayloadTooLarge
from interlock.fleet import JobType, JobTypePage, PutJobType
from interlock.retry import Backoff
from interlock.wire import Nothing, when
from store.job_types import TypeRow, delete_type, put_type, type_names, types_named
from web.access import Member
from web.conditions import also_expecting, expected_versions, tag_of, unchanged
from web.fleet_changes import change, tell_watchers
from web.job_types import BUILT_IN, TypeDefinition, read
from web.new_jobs import MAX_ATTEMPTS, MAX_TIMEOUT_SECONDS, MIN_TIMEOUT_SECONDS
from web.pages import MOST, PAGE, link
from web.parsing import decode, read_json, whole_number
from web.payload_schemas import check_schema
from web.services import Services

MAX_DELAY_SECONDS = 7 * 86_400  # between attempts
MAX_FACTOR = 100
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,99}", re.ASCII)
_MOST_VERSIONS = 2**63
_ANY_OBJECT = '{"type":"object"}'

_put = msgspec.json.Decoder(PutJobType)
_nothing = msgspec.json.Decoder(Nothing)


async def list_all(request: web.Request, s: Services, who: Member) -> web.Response:
    """By name, page by page."""
    limit = whole_number(request.query.get("limit"), "limit", least=1, most=MOST, default=PAGE)
    after = _name_from(request.query.get("cursor", ""))
    own = await s.store.fetch(lambda db: type_names(db, who.org_id))
    names = sorted(name for name in {*own, *BUILT_IN} if name > after)
    page = names[:limit]
    rows = await s.store.fetch(lambda db: types_named(db, who.org_id, page))
    items = [_document(s, name, rows.get(name)) for name in page if name in rows or name in BUILT_IN]
    cursor = _cursor_of(page[-1]) if len(names) > limit else None
    body = encode(JobTypePage(items=items, next_cursor=cursor))
    return web.Response(body=body, content_type="application/json", headers=link(request, cursor))


async def show(request: web.Request, s: Services, who: Member) -> web.Response:
    """One type."""
    name = request.match_info["type"]
    shown = _document(s, name, await _row(s, who, name))
    return unchanged(request, tag_of(shown.version)) or _answer(shown)


async def put(request: web.Request, s: Services, who: Member) -> web.Response:
    """The whole type: 201 when it is new. Jobs that are there keep what they were made with."""
    name = request.match_info["type"]
    wanted = decode(await read_json(request, s.web_limits.max_body_bytes), _put, s.web_limits.max_json_depth)
    if _NAME.fullmatch(name) is None:
        raise InvalidRequest.at("type", "expected 1 to 100 of A–Z a–z 0–9 . _ : - with a letter or digit first")
    definition = msgspec.json.encode(_definition(wanted, name, s)).decode()
    expected, new_id, most = _expected(request, name, wanted.version), s.ids.new(), s.web_limits.max_job_types
    row, new = await change(
        s,
        who.by,
        lambda db, by: put_type(db, new_id, who.org_id, (name, definition), by, expected=expected, most=most),
    )
    s.lookups.forget_type(who.org_id, name)
    tell_watchers(s, who.org_id, "type", name, version=row.version)
    answer = _answer(_document(s, name, row))
    if new and name not in BUILT_IN:
        answer.set_status(201)
        answer.headers["Location"] = f"/api/orgs/{who.org_id}/job-types/{name}"
    return answer


async def delete(request: web.Request, s: Services, who: Member) -> web.Response:
    """204 when it is gone; a built-in one is again as it came. Jobs of the type that are there run on."""
    decode(await read_json(request, s.web_limits.max_body_bytes) or b"{}", _nothing, s.web_limits.max_json_depth)
    name, expected = request.match_info["type"], expected_versions(request)
    row = await _row(s, who, name)
    if row is None:
        raise InvalidState("The type is built in, and as it came", current={"type": name, "version": 0})
    await change(s, who.by, lambda db, by: delete_type(db, who.org_id, name, by, expected=expected))
    s.lookups.forget_type(who.org_id, name)
    tell_watchers(s, who.org_id, "type", name, deleted=True)
    return web.Response(status=204)


async def _row(s: Services, who: Member, name: str) -> TypeRow | None:
    """The org's own row of the type; None for a built-in one as it came."""
    known = _NAME.fullmatch(name) is not None or name in BUILT_IN
    row = (await s.store.fetch(lambda db: types_named(db, who.org_id, [name]))).get(name) if known else None
    if row is None and name not in BUILT_IN:
        raise NotFound("No such job type")
    return row


def _expected(request: web.Request, name: str, version: int | None) -> Collection[int] | None:
    expected = expected_versions(request)
    if request.headers.get("If-None-Match", "").strip() == "*":
        expected = also_expecting(expected, 0)
    expected = also_expecting(expected, version)
    if "If-Match" in request.headers and name not in BUILT_IN:  # one that is there, even for `*`
        return range(1, _MOST_VERSIONS) if expected is None else expected - {0}
    return expected


def _definition(wanted: PutJobType, name: str, s: Services) -> TypeDefinition:
    """As it is stored."""
    first = BUILT_IN.get(name, TypeDefinition())
    schema = None if wanted.schema is None else _checked_schema(wanted, s.web_limits.max_schema_bytes)
    policy = Policy(
        backoff=first.policy.backoff if wanted.backoff is None else _checked_backoff(wanted.backoff),
        while_backing_off=wanted.while_backing_off or first.policy.while_backing_off,
        on_lost=wanted.on_lost or first.policy.on_lost,
    )
    return TypeDefinition(
        timeout_ms=first.timeout_ms if wanted.timeout_seconds is None else _checked_timeout(wanted.timeout_seconds),
        max_attempts=first.max_attempts if wanted.max_attempts is None else _checked_attempts(wanted.max_attempts),
        policy=policy,
        needs_target=first.needs_target,
        needs_run_at=first.needs_run_at,
        schema=schema,
    )


def _checked_schema(wanted: PutJobType, most_bytes: int) -> str | None:
    if len(encode(wanted.schema)) > most_bytes:
        raise PayloadTooLarge(f"A schema may have {most_bytes} bytes")
    text = check_schema(wanted.schema or {})
    return None if text == _ANY_OBJECT else text


def _checked_timeout(seconds: float) -> Millis:
    if not math.isfinite(seconds) or not MIN_TIMEOUT_SECONDS <= seconds <= MAX_TIMEOUT_SECONDS:
        raise InvalidRequest.at("$.timeoutSeconds", f"expected more than 0 and at most {MAX_TIMEOUT_SECONDS}")
    return round(seconds * 1000)


def _checked_attempts(attempts: int) -> int:
    if not 1 <= attempts <= MAX_ATTEMPTS:
        raise InvalidRequest.at("$.maxAttempts", f"expected 1 to {MAX_ATTEMPTS}")
    return attempts


def _checked_backoff(backoff: Backoff) -> Backoff:
    bounds = {
        "baseSeconds": (backoff.base_seconds, 0, MAX_DELAY_SECONDS),
        "factor": (backoff.factor, 1, MAX_FACTOR),
        "capSeconds": (backoff.cap_seconds, 0, MAX_DELAY_SECONDS),
        "jitter": (backoff.jitter, 0, 1),
    }
    for name, (value, least, most) in bounds.items():
        if not math.isfinite(value) or not least <= value <= most:
            raise InvalidRequest.at(f"$.backoff.{name}", f"expected {least} to {most}")
    return backoff


def _document(s: Services, name: str, row: TypeRow | None) -> JobType:
    """The type as users see it: with the server's settings where it says nothing itself."""
    definition = BUILT_IN[name] if row is None else read(row.definition)
    policy = definition.policy
    return JobType(
        type=name,
        built_in=name in BUILT_IN,
        version=0 if row is None else row.version,
        schema=raw(definition.schema or _ANY_OBJECT),
        timeout_seconds=(definition.timeout_ms or s.limits.timeout_ms) / 1000,
        max_attempts=definition.max_attempts or s.limits.max_attempts,
        backoff=policy.backoff,
        while_backing_off=policy.while_backing_off,
        on_lost=policy.on_lost,
        created_at=None if row is None else when(row.created_at),
    )


def _answer(shown: JobType) -> web.Response:
    return web.Response(body=encode(shown), content_type="application/json", headers={"ETag": tag_of(shown.version)})


def _cursor_of(name: str) -> str:
    return base64.urlsafe_b64encode(name.encode()).decode().rstrip("=")


def _name_from(cursor: str) -> str:
    try:
        return base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise InvalidRequest.at("?cursor", "expected a cursor that an earlier page gave") from error
