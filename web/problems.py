"""Errors as problem+json (RFC 9457). The one place that turns the error tree into statuses and bodies."""

import math
from typing import Any

import msgspec
from aiohttp import web

from interlock.errors import Conflict, InterlockError, InvalidRequest, MethodNotAllowed, TryLater

_encode = msgspec.json.Encoder().encode


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


def problem_response(error: InterlockError, request_id: str) -> web.Response:
    """The whole answer, with the headers that belong to it."""
    headers: dict[str, str] = {}
    if isinstance(error, TryLater):
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
    if isinstance(error, MethodNotAllowed):
        headers["Allow"] = ", ".join(sorted(error.allowed))
    if error.status == 401:  # noqa: PLR2004
        headers["WWW-Authenticate"] = "Bearer"
    return web.Response(
        body=_encode(problem(error, request_id)),
        status=error.status,
        headers=headers,
        content_type="application/problem+json",
    )
