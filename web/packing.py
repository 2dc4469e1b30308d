"""Long answers are sent compressed to those who take them so: lists say the same words again and again.

Only lists are, and what shows a whole organization: they carry no secret that somebody could guess at from their length.
"""

import asyncio
import gzip
from collections.abc import Awaitable, Callable

from aiohttp import hdrs, web

LEAST_BYTES = 8192  # below, a packet or two are saved and a thread is asked for it
_LEVEL = 1  # a millisecond for 170 KB of jobs, to a fifth; the best level takes more than twice that, to a tenth less

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def takes_gzip(request: web.Request) -> bool:
    """Whether the client says so; who gives it weight zero does not."""
    for each in request.headers.get(hdrs.ACCEPT_ENCODING, "").split(","):
        coding, _, weight = each.partition(";")
        if coding.strip().lower() == "gzip":
            return weight.replace(" ", "") not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}
    return False


def packed(handler: Handler) -> Handler:
    """The handler, whose answer is compressed where it is long; what carries an `ETag` is left alone."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = await handler(request)
        body = response.body if isinstance(response, web.Response) else None
        if not isinstance(response, web.Response) or not isinstance(body, bytes) or len(body) < LEAST_BYTES:
            return response
        if hdrs.ETAG in response.headers:
            return response
        response.headers[hdrs.VARY] = hdrs.ACCEPT_ENCODING
        if takes_gzip(request):
            response.body = await asyncio.to_thread(gzip.compress, body, _LEVEL, mtime=0)
            response.headers[hdrs.CONTENT_ENCODING] = "gzip"
        return response

    return answer
