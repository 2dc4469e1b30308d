"""Organizations: those of whoever asks, new ones by platform admins, other names by owners. None is ever deleted."""

from dataclasses import replace
from typing import Any

import msgspec
from aiohttp import web

from actors.documents import encode
from interlock.clock import rfc3339
from interlock.errors import NotFound
from interlock.fleet import CreateOrg, Org, OrgPage, PatchOrg
from store import accounts
from store.accounts import By, Person
from store.fleet import OrgRow, org_of, orgs_page, rename_org
from web.access import Admin, Member
from web.fleet_changes import change, tell_watchers
from web.pages import asked, cut, link
from web.parsing import decode, read_json
from web.services import Services

_create = msgspec.json.Decoder(CreateOrg)
_patch = msgspec.json.Decoder(PatchOrg)


async def list_all(request: web.Request, s: Services, who: Person) -> web.Response:
    """Those of which the user is a member, oldest first."""
    page = asked(request)
    rows = await s.store.fetch(lambda db: orgs_page(db, who.id, page.after, page.one_more))
    kept, cursor = cut(rows, page)
    body = encode(OrgPage(items=[_document(row) for row in kept], next_cursor=cursor))
    return web.Response(body=body, content_type="application/json", headers=link(request, cursor))


async def create(request: web.Request, s: Services, who: Admin) -> web.Response:
    """201; the platform admin is its first owner."""
    wanted = decode(await read_json(request, s.web_limits.max_body_bytes), _create, s.web_limits.max_json_depth)
    org_id, person_id = s.ids.new(), who.person.id

    def work(database: Any, by: By) -> None:
        accounts.create_org(database, org_id, wanted.name, by)
        accounts.add_member(database, s.ids.new(), org_id, person_id, "owner", replace(by, audit_id=s.ids.new()))

    await change(s, who.by, work)
    body = encode(await _org(s, person_id, org_id))
    headers = {"Location": f"/api/orgs/{org_id}"}
    return web.Response(body=body, status=201, content_type="application/json", headers=headers)


async def show(_request: web.Request, s: Services, who: Member) -> web.Response:
    """One organization, and what whoever asks is in it."""
    return web.Response(body=encode(await _org(s, who.person.id, who.org_id)), content_type="application/json")


async def patch(request: web.Request, s: Services, who: Member) -> web.Response:
    """Another name; the one that it has already changes nothing, and nobody is told."""
    wanted = decode(await read_json(request, s.web_limits.max_body_bytes), _patch, s.web_limits.max_json_depth)
    name = accounts.clean_name(wanted.name)
    if await change(s, who.by, lambda db, by: rename_org(db, who.org_id, name, by)):
        tell_watchers(s, who.org_id, "org", who.org_id)
    return web.Response(body=encode(await _org(s, who.person.id, who.org_id)), content_type="application/json")


async def _org(s: Services, person_id: str, org_id: str) -> Org:
    row = await s.store.fetch(lambda db: org_of(db, person_id, org_id))
    if row is None:
        raise NotFound("No such organization")
    return _document(row)


def _document(row: OrgRow) -> Org:
    return Org(id=row.id, name=row.name, role=row.role, created_at=rfc3339(row.created_at))
