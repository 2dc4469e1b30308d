"""Errors as problem+json (RFC 9457). The one place that turns the error tree into statuses and bodies."""

from math import ceil
from typing import Any

import msgspec
from aiohttp import web

from interlock.errors import Conflict, InterlockError, InvalidRequest, MethodNotAllowed, RateLimited, TryLater

_encode = msgspec.json.Encoder().encode

WAIT_SECONDS = 2.0  # what whoever is refused is asked to wait, unless a setting or the refusal itself says more
LONGEST_SECONDS = 60.0


def retry_after(error: TryLater, least: float, chance: float) -> int:
    """Whole seconds for `Retry-After`: half to one and a half of what the refusal or the setting asks for, by chance.

    All who were refused together would else come back together. The jitter comes after the cap, so that it is never cut.
    Who has used up a window is told when it ends, or later: who comes before is refused again.
    """
    if isinstance(error, RateLimited):
        return max(1, ceil(error.retry_after * (1 + chance / 2)))
    wanted = min(max(error.retry_after, least), LONGEST_SECONDS)
    return max(1, round(wanted * (0.5 + chance)))


def problem(error: InterlockError, request_id: str) -> dict[str, Any]:
    """The problem's members."""
    members: dict[str, Any] = {
        "type": f"urn:interlock:problem:{error.code}",
        "title": error.title,
        "status": error.status,
        "detail": error.detail[:2000],
        "code": error.code,
        "requestId": request_id,
    }
    if isinstance(error, InvalidRequest) and error.errors:
        members["errors"] = error.errors
    if isinstance(error, Conflict) and error.current is not None:
        members["current"] = error.current
    return members


def encode_problem(error: InterlockError, request_id: str) -> bytes:
    """The problem as a body."""
    return _encode(problem(error, request_id))


def problem_response(
    error: InterlockError, request_id: str, chance: float, wait_seconds: float = WAIT_SECONDS
) -> web.Response:
    """The whole answer, with the headers that belong to it. Who may try later is asked to wait about so long, or longer;
    `chance` in [0, 1) spreads those who are refused together.
    """
    headers: dict[str, str] = {}
    if isinstance(error, TryLater):
        headers["Retry-After"] = str(retry_after(error, wait_seconds, chance))
    if isinstance(error, MethodNotAllowed):
        headers["Allow"] = ", ".join(sorted(error.allowed))
    if error.status == 401:  # noqa: PLR2004
        headers["WWW-Authenticate"] = "Bearer"
    return web.Response(
        body=encode_problem(error, request_id),
        status=error.status,
        headers=headers,
        content_type="application/problem+json",
    )
