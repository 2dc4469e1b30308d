"""Keys of hosts' agents: issue, rotate with overlap, revoke."""

import msgspec
from aiohttp import web

from actors.documents import encode
from interlock.clock import rfc3339
from interlock.errors import NotFound
from interlock.fleet import AgentKey, KeyPage, NewKey
from interlock.ids import is_id
from interlock.wire import Nothing, when
from store.fleet import add_key, host_sight, keys_of, revoke_key
from web.access import Member
from web.fleet_changes import change, tell_watchers
from web.fleet_hosts import host_id_of
from web.parsing import decode, read_json
from web.services import Services

_nothing = msgspec.json.Decoder(Nothing)


async def list_all(request: web.Request, s: Services, who: Member) -> web.Response:
    """Those that hold, and those that were revoked; never the keys themselves."""
    host_id = host_id_of(request)
    if await s.store.fetch(lambda db: host_sight(db, who.org_id, host_id)) is None:
        raise NotFound("No such host")
    rows = await s.store.fetch(lambda db: keys_of(db, who.org_id, host_id))
    items = [AgentKey(kid=row.kid, created_at=rfc3339(row.created_at), revoked_at=when(row.revoked_at)) for row in rows]
    return web.Response(body=encode(KeyPage(items=items)), content_type="application/json")


async def create(request: web.Request, s: Services, who: Member) -> web.Response:
    """201 with a new key, which is shown only here; the one before holds until it is revoked."""
    decode(await read_json(request, s.web_limits.max_body_bytes) or b"{}", _nothing, s.web_limits.max_json_depth)
    host_id, kid, now = host_id_of(request), s.ids.new(), s.clock.now()
    await change(s, who.by, lambda db, by: add_key(db, kid, who.org_id, host_id, by))
    tell_watchers(s, who.org_id, "key")
    key = s.tokens.agent_key(host_id, who.org_id, kid)
    body = encode(NewKey(kid=kid, created_at=rfc3339(now), revoked_at=None, agent_key=key))
    location = f"/api/orgs/{who.org_id}/hosts/{host_id}/keys/{kid}"
    return web.Response(body=body, status=201, content_type="application/json", headers={"Location": location})


async def delete(request: web.Request, s: Services, who: Member) -> web.Response:
    """204 once it is revoked: its sockets and parked polls end at once, at other nodes within a second or so."""
    host_id, kid = host_id_of(request), request.match_info["kid"]
    if not is_id(kid):
        raise NotFound("No such key")
    await change(s, who.by, lambda db, by: revoke_key(db, kid, who.org_id, host_id, by))
    s.revocations.revoked(kid)
    tell_watchers(s, who.org_id, "key", deleted=True)
    return web.Response(status=204)
