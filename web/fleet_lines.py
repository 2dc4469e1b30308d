"""A host's line for users: as it stands, and rearranged, by the host's own actor."""

import msgspec
from aiohttp import web

from actors import messages
from actors.documents import encode
from interlock.errors import NotFound
from interlock.fleet import MoveInLine
from interlock.ids import is_id
from web import job_places
from web.access import Member
from web.parsing import decode, read_json
from web.services import Services

_move = msgspec.json.Decoder(MoveInLine)


async def show(request: web.Request, s: Services, who: Member) -> web.Response:
    """One consistent snapshot of a host's line, from its actor."""
    return await _snapshot(s, await _host(request, s, who))


async def move(request: web.Request, s: Services, who: Member) -> web.Response:
    """200 with the line as it stands then; 409 for a job that does not wait."""
    host_id = await _host(request, s, who)
    wanted = decode(await read_json(request, s.web_limits.max_body_bytes), _move, s.web_limits.max_json_depth)
    if (await job_places.place_of(s, who, wanted.job_id))[0] != host_id:
        raise NotFound("No such job on this host")
    await s.directory.ask(host_id, messages.MoveInLine(job_id=wanted.job_id, op=wanted.op, by=who.by))
    return await _snapshot(s, host_id)


async def _host(request: web.Request, s: Services, who: Member) -> str:
    host_id = request.match_info["host_id"]
    if not is_id(host_id) or await s.lookups.org_of_host(host_id) != who.org_id:
        raise NotFound("No such host")
    return host_id


async def _snapshot(s: Services, host_id: str) -> web.Response:
    snapshot = await s.directory.ask(host_id, messages.Describe())
    snapshot["mailbox"] = len(s.directory.hosts[host_id].inbox) if host_id in s.directory.hosts else 0
    return web.Response(body=encode(snapshot), content_type="application/json")
