"""The people of an organization: seen by every member, managed by owners."""

import msgspec
from aiohttp import web

from actors.documents import encode
from interlock.clock import rfc3339
from interlock.errors import InvalidRequest, NotFound
from interlock.fleet import AddMember, MemberPage, PatchMember
from interlock.fleet import Member as Shown
from interlock.ids import is_id
from interlock.wire import Nothing
from store.accounts import person
from store.members import (
    MemberRow,
    change_role,
    let_in,
    member_of,
    members_page,
    remove_member,
    share_an_org,
)
from web.access import Member
from web.fleet_changes import change, tell_watchers
from web.pages import asked, cut, link
from web.parsing import decode, read_json
from web.services import Services

MAX_EMAIL = 320  # characters

_add = msgspec.json.Decoder(AddMember)
_patch = msgspec.json.Decoder(PatchMember)
_nothing = msgspec.json.Decoder(Nothing)


async def list_all(request: web.Request, s: Services, who: Member) -> web.Response:
    """Oldest accounts first."""
    page = asked(request)
    rows = await s.store.fetch(lambda db: members_page(db, who.org_id, page.after, page.one_more))
    kept, cursor = cut(rows, page)
    body = encode(MemberPage(items=[_document(row) for row in kept], next_cursor=cursor))
    return web.Response(body=body, content_type="application/json", headers=link(request, cursor))


async def add(request: web.Request, s: Services, who: Member) -> web.Response:
    """201; an account that there is becomes a member. 409 when it is one already."""
    wanted = decode(await read_json(request, s.web_limits.max_body_bytes), _add, s.web_limits.max_json_depth)
    user_id, membership_id = await _account(s, who, wanted), s.ids.new()
    await change(s, who.by, lambda db, by: let_in(db, membership_id, who.org_id, user_id, wanted.role, by))
    s.lookups.forget_role(who.org_id, user_id)
    tell_watchers(s, who.org_id, "member", user_id)
    body = encode(_document(await _row(s, who, user_id)))
    headers = {"Location": f"/api/orgs/{who.org_id}/members/{user_id}"}
    return web.Response(body=body, status=201, content_type="application/json", headers=headers)


async def show(request: web.Request, s: Services, who: Member) -> web.Response:
    """One member."""
    row = await _row(s, who, _id_of(request))
    return web.Response(body=encode(_document(row)), content_type="application/json")


async def patch(request: web.Request, s: Services, who: Member) -> web.Response:
    """Another role. 409 when the organization would have no owner."""
    user_id = _id_of(request)
    wanted = decode(await read_json(request, s.web_limits.max_body_bytes), _patch, s.web_limits.max_json_depth)
    row = await change(s, who.by, lambda db, by: change_role(db, who.org_id, user_id, wanted.role, by))
    s.lookups.forget_role(who.org_id, user_id)
    tell_watchers(s, who.org_id, "member", user_id)
    return web.Response(body=encode(_document(row)), content_type="application/json")


async def delete(request: web.Request, s: Services, who: Member) -> web.Response:
    """204; the account stays. 409 when the organization would have no owner."""
    decode(await read_json(request, s.web_limits.max_body_bytes) or b"{}", _nothing, s.web_limits.max_json_depth)
    user_id = _id_of(request)
    await change(s, who.by, lambda db, by: remove_member(db, who.org_id, user_id, by))
    s.lookups.forget_role(who.org_id, user_id)
    tell_watchers(s, who.org_id, "member", user_id, deleted=True)
    return web.Response(status=204)


async def _account(s: Services, who: Member, wanted: AddMember) -> str:
    """The id of the account that is meant. An id is no secret, and the answer shows a name and an address: so by its id only
    somebody is found who is in some org together with the caller.
    """
    if (wanted.email is None) == (wanted.user_id is None):
        raise InvalidRequest.at("$", "give either email or userId")
    name = wanted.email if wanted.email is not None else wanted.user_id or ""
    known = is_id(name) if wanted.email is None else len(name) <= MAX_EMAIL and not is_id(name)
    found = await s.store.fetch(lambda db: person(db, name)) if known else None
    if found is None:
        raise NotFound("No such account")
    if wanted.email is None and not await s.store.fetch(lambda db: share_an_org(db, who.person.id, name)):
        raise NotFound("No such account")
    return found.id


async def _row(s: Services, who: Member, user_id: str) -> MemberRow:
    row = await s.store.fetch(lambda db: member_of(db, who.org_id, user_id))
    if row is None:
        raise NotFound("No such member")
    return row


def _id_of(request: web.Request) -> str:
    user_id = request.match_info["user_id"]
    if not is_id(user_id):
        raise NotFound("No such member")
    return user_id


def _document(row: MemberRow) -> Shown:
    return Shown(user_id=row.id, email=row.email, name=row.name, role=row.role, created_at=rfc3339(row.created_at))
