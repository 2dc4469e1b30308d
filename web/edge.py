"""What aiohttp refuses before any handler: answered as a problem too, and logged without a traceback.

A stranger who sends rubbish gets one line in the log at debug level, not a page of it.
"""

import logging
from typing import Any

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from interlock.errors import InterlockError, InvalidRequest, Unavailable
from interlock.ids import UuidIds
from web.access import request_id, stamp
from web.problems import problem_response

log = logging.getLogger(__name__)
_IDS = UuidIds()
_SERVER_FAULT = 500


class EdgeHandler(RequestHandler):
    """One connection."""

    __slots__ = ()

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """Answer what could not be read as a request, and close the connection."""
        request_id = _IDS.new()
        fault = status >= _SERVER_FAULT and not isinstance(exc, ConnectionError)
        log.log(logging.ERROR if fault else logging.DEBUG, "Request %s was not read: %r", request_id, exc)
        if request.writer.output_size > 0:
            raise ConnectionError("An answer is under way already")
        first_line = (message or "").split("\n", 1)[0][:200]
        error: InterlockError = Unavailable() if fault else InvalidRequest(first_line or "This is not an HTTP request")
        response = problem_response(error, request_id)
        response.headers["X-Request-Id"] = request_id
        response.headers["Server"] = "interlock"
        response.force_close()
        return response


class EdgeServer(web.Server):
    """Makes our connections."""

    def __call__(self) -> RequestHandler:
        """One for each client that connects."""
        return EdgeHandler(self, loop=self._loop, **self._kwargs)


class EdgeRunner(web.AppRunner):
    """aiohttp's runner with our connections. Bodies are never decompressed: compressed ones are refused."""

    def __init__(self, app: web.Application, **options: Any) -> None:
        super().__init__(app, access_log=None, auto_decompress=False, **options)

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        server.__class__ = EdgeServer  # aiohttp has no hook for the class of its connections
        return server


async def expect(request: web.Request) -> web.StreamResponse | None:
    """`Expect: 100-continue` is honoured; any other expectation is refused."""
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0
        return None
    response = problem_response(InvalidRequest.at("Expect", "only 100-continue is understood"), request_id(request))
    stamp(request, response)
    return response
