"""A line for a request, for who wants them: the route rather than the path, and never a query, which may hold a ticket."""

import logging
import time

from aiohttp import web

from web.log_context import about_request
from web.services import Services

log = logging.getLogger(__name__)


def write_line(request: web.Request, response: web.StreamResponse, s: Services, began: float) -> None:
    """Say that it was answered; `began` is an instant of the monotonic clock, in seconds. A socket's line comes at its end."""
    about = about_request(request)
    made = response.headers.get("Location", "")
    if "job" not in about and "/jobs/" in made:
        about["job"] = made.rpartition("/")[2]
    resource = request.match_info.route.resource
    route = "(unknown)" if resource is None else resource.canonical
    figures = {
        "status": response.status,
        "ms": round((time.monotonic() - began) * 1000, 1),
        "bytes": response.body_length if response.prepared else response.content_length,
        "address": s.sessions.front.address(request),
    }
    log.info("%s %s", request.method[:20], route, extra={**about, **figures})
