"""Requests of an agent that come to a node which does not own its host are passed on to the owner: one hop, never two.

If the owner cannot be reached, the request is answered here: this node then takes the host over.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
from aiohttp import web

from interlock.errors import Unavailable
from interlock.ids import is_id
from web.access import request_id
from web.parsing import read_json
from web.services import Services

log = logging.getLogger(__name__)

PASSED_ON = "Interlock-Passed-On"  # a request that carries it is answered where it comes
_TIMEOUT = aiohttp.ClientTimeout(total=8, connect=1)  # seconds
_THERE = ("Authorization", "Content-Type", "Prefer", "If-Match", "If-None-Match")
_OF_BROWSERS = ("Cookie", "X-CSRF-Token", "Origin", "Host")  # the owner checks them again
_BACK = ("Content-Type", "Retry-After", "ETag", "Interlock-Cancel")

Handler = Callable[[web.Request, Services, Any], Awaitable[web.StreamResponse]]


def at_owner(handler: Handler) -> Handler:
    """Answer where the path's host is owned."""

    async def at_owner_or_here(request: web.Request, s: Services, who: Any) -> web.StreamResponse:
        passed = await pass_to_owner(request, s, request.match_info["host_id"])
        return await handler(request, s, who) if passed is None else passed

    def answer(request: web.Request, s: Services, who: Any) -> Awaitable[web.StreamResponse]:
        return (handler if s.cluster is None else at_owner_or_here)(request, s, who)

    return answer


async def pass_to_owner(request: web.Request, s: Services, host_id: str) -> web.StreamResponse | None:
    """The owner's answer; None when the request is to be answered here. The caller has checked who asks.

    A request that was passed on to this node, which another has followed as the owner meanwhile, is `Unavailable`: whoever
    passed it on has given it up long ago, and it must not bring the host back here.
    """
    if s.cluster is None or s.directory.holds(host_id) or not is_id(host_id):
        return None
    url = await s.cluster.url_of_owner(host_id)
    if url is None:
        return None
    if PASSED_ON in request.headers:
        raise Unavailable("The host has moved to another node", retry_after=1)
    body = await read_json(request, s.web_limits.max_body_bytes)
    headers = {name: request.headers[name] for name in _THERE if name in request.headers}
    if "Authorization" not in request.headers:
        headers |= {name: request.headers[name] for name in _OF_BROWSERS if name in request.headers}
    headers |= {PASSED_ON: s.cluster.node, "X-Request-Id": request_id(request)}
    try:
        async with (
            aiohttp.ClientSession(timeout=_TIMEOUT, auto_decompress=False) as session,
            session.request(request.method, url + request.path_qs, data=body or None, headers=headers) as reply,
        ):
            kept = {name: reply.headers[name] for name in _BACK if name in reply.headers}
            return web.Response(body=await reply.read(), status=reply.status, headers=kept)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        log.warning("The owner of a host at %s did not answer; it is answered here: %s", url, error)
        return None
