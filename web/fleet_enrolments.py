"""Enrolment: tokens that admins hand out, and machines that make themselves hosts with them."""

import math
from dataclasses import replace
from typing import Any

import msgspec
from aiohttp import web

from actors.documents import encode
from interlock.clock import rfc3339
from interlock.errors import InvalidRequest, NotFound
from interlock.fleet import CreateEnrolment, Enrolment, EnrolmentPage, NewEnrolment, Register, Registered
from interlock.ids import is_id
from interlock.wire import Nothing
from store.accounts import By, create_host, create_key, label_text
from store.enrolments import (
    EnrolmentRow,
    create_enrolment,
    delete_enrolment,
    enrolment_of,
    enrolments_page,
    use_enrolment,
)
from web.access import Member, caller
from web.fleet_changes import change, tell_watchers
from web.opaque import digest, new_secret
from web.pages import asked, cut, link
from web.parsing import decode, read_json
from web.services import Services

MAX_SECONDS = 30 * 86_400
MAX_USES = 10_000
MAX_TOKEN = 200  # characters
_MOST_BYTES = 65_536  # of a request by a stranger

_create = msgspec.json.Decoder(CreateEnrolment)
_register = msgspec.json.Decoder(Register)
_nothing = msgspec.json.Decoder(Nothing)


async def list_all(request: web.Request, s: Services, who: Member) -> web.Response:
    """Oldest first, without the tokens; those that hold no more too."""
    page = asked(request)
    rows = await s.store.fetch(lambda db: enrolments_page(db, who.org_id, page.after, page.one_more))
    kept, cursor = cut(rows, page)
    body = encode(EnrolmentPage(items=[_document(row) for row in kept], next_cursor=cursor))
    return web.Response(body=body, content_type="application/json", headers=link(request, cursor))


async def create(request: web.Request, s: Services, who: Member) -> web.Response:
    """201 with the token, which is shown only here."""
    body = await read_json(request, s.web_limits.max_body_bytes)
    wanted = decode(body or b"{}", _create, s.web_limits.max_json_depth)
    token, now = new_secret(), s.clock.now()
    row = EnrolmentRow(
        id=s.ids.new(),
        org_id=who.org_id,
        labels=label_text(wanted.labels or {}),
        max_uses=_checked_uses(wanted.max_uses),
        uses=0,
        expires_at=now + round(_checked_seconds(wanted.expires_in_seconds) * 1000),
        created_at=now,
        created_by_id=who.person.id,
    )
    await change(s, who.by, lambda db, by: create_enrolment(db, row, digest(token), by))
    tell_watchers(s, who.org_id, "enrolment")
    made = NewEnrolment(**msgspec.structs.asdict(_document(row)), token=token)
    headers = {"Location": f"/api/orgs/{who.org_id}/enrolments/{row.id}"}
    return web.Response(body=encode(made), status=201, content_type="application/json", headers=headers)


async def show(request: web.Request, s: Services, who: Member) -> web.Response:
    """One enrolment, without its token."""
    enrolment_id = _id_of(request)
    row = await s.store.fetch(lambda db: enrolment_of(db, who.org_id, enrolment_id))
    if row is None:
        raise NotFound("No such enrolment")
    return web.Response(body=encode(_document(row)), content_type="application/json")


async def delete(request: web.Request, s: Services, who: Member) -> web.Response:
    """204; its token holds no more. Hosts that it has made stay."""
    decode(await read_json(request, s.web_limits.max_body_bytes) or b"{}", _nothing, s.web_limits.max_json_depth)
    enrolment_id = _id_of(request)
    await change(s, who.by, lambda db, by: delete_enrolment(db, who.org_id, enrolment_id, by))
    tell_watchers(s, who.org_id, "enrolment", deleted=True)
    return web.Response(status=204)


async def register(request: web.Request, s: Services, _who: None) -> web.Response:
    """201 with a new host and its agent's key; 401 unless the token holds."""
    wanted = decode(await read_json(request, _MOST_BYTES), _register, s.web_limits.max_json_depth)
    own_labels, token = wanted.labels or {}, wanted.token
    label_text(own_labels)
    host_id, kid, now = s.ids.new(), s.ids.new(), s.clock.now()
    if not token.isascii() or len(token) > MAX_TOKEN:
        token = ""  # like any other that does not hold

    def work(database: Any, by: By) -> EnrolmentRow:
        row = use_enrolment(database, digest(token), now)
        by = replace(by, id=row.id)
        labels = own_labels | msgspec.json.decode(row.labels, type=dict[str, str])
        create_host(database, host_id, row.org_id, wanted.name, by, kind=wanted.kind, labels=labels)
        create_key(database, kid, row.org_id, host_id, replace(by, audit_id=s.ids.new()))
        return row

    row = await change(s, caller(request, s, "enrolment", None), work)
    tell_watchers(s, row.org_id, "host", host_id)
    key = s.tokens.agent_key(host_id, row.org_id, kid)
    body = encode(Registered(host_id=host_id, org_id=row.org_id, agent_key=key))
    return web.Response(body=body, status=201, content_type="application/json")


def _checked_uses(uses: int) -> int:
    if not 1 <= uses <= MAX_USES:
        raise InvalidRequest.at("$.maxUses", f"expected 1 to {MAX_USES}")
    return uses


def _checked_seconds(seconds: float) -> float:
    if not math.isfinite(seconds) or not 1 <= seconds <= MAX_SECONDS:
        raise InvalidRequest.at("$.expiresInSeconds", f"expected 1 to {MAX_SECONDS}")
    return seconds


def _id_of(request: web.Request) -> str:
    enrolment_id = request.match_info["enrolment_id"]
    if not is_id(enrolment_id):
        raise NotFound("No such enrolment")
    return enrolment_id


def _document(row: EnrolmentRow) -> Enrolment:
    return Enrolment(
        id=row.id,
        org_id=row.org_id,
        labels=msgspec.json.decode(row.labels, type=dict[str, str]),
        max_uses=row.max_uses,
        uses=row.uses,
        expires_at=rfc3339(row.expires_at),
        created_at=rfc3339(row.created_at),
        created_by_id=row.created_by_id,
    )
