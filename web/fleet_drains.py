"""Draining a host: it takes nothing new, and what it runs may end until a deadline."""

import math

import msgspec
from aiohttp import web

from interlock.errors import InvalidRequest
from interlock.fleet import DrainHost
from interlock.wire import Nothing
from store.fleet import change_host
from web.access import Member
from web.fleet_changes import change, tell_owner
from web.fleet_hosts import announced, host_id_of, shown
from web.parsing import decode, read_json
from web.services import Services

MAX_DEADLINE_SECONDS = 30 * 86_400

_drain = msgspec.json.Decoder(DrainHost)
_nothing = msgspec.json.Decoder(Nothing)


async def begin(request: web.Request, s: Services, who: Member) -> web.Response:
    """200 with the host; asked again, the new deadline counts."""
    host_id = host_id_of(request)
    body = await read_json(request, s.web_limits.max_body_bytes)
    seconds = decode(body or b"{}", _drain, s.web_limits.max_json_depth).deadline_seconds
    until = None if seconds is None else s.clock.now() + round(_checked(seconds) * 1000)
    values, detail = {"draining": True, "drain_until": until}, {"drain_until": until}
    await change(
        s, who.by, lambda db, by: change_host(db, who.org_id, host_id, values, by, detail, action="host.drain")
    )
    await tell_owner(s, host_id)
    return shown(s, await announced(s, who, host_id))


async def end(request: web.Request, s: Services, who: Member) -> web.Response:
    """204; the host takes jobs again. A host that is not draining stays as it is."""
    host_id = host_id_of(request)
    decode(await read_json(request, s.web_limits.max_body_bytes) or b"{}", _nothing, s.web_limits.max_json_depth)
    values = {"draining": False, "drain_until": None}
    await change(s, who.by, lambda db, by: change_host(db, who.org_id, host_id, values, by, {}, action="host.undrain"))
    await tell_owner(s, host_id)
    await announced(s, who, host_id)
    return web.Response(status=204)


def _checked(seconds: float) -> float:
    if not math.isfinite(seconds) or not 0 <= seconds <= MAX_DEADLINE_SECONDS:
        raise InvalidRequest.at("$.deadlineSeconds", f"expected 0 to {MAX_DEADLINE_SECONDS}")
    return seconds
