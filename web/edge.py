"""What aiohttp does before any handler: refusals are answered as problems too, and slow senders are not waited for.

A stranger who sends rubbish gets one line in the log at debug level, not a page of it. One who begins a request and
does not finish it loses the connection after a while, so that nobody can fill the server with half a request each.
"""

import asyncio
import logging
from typing import Any, NamedTuple, cast

from aiohttp import web
from aiohttp.streams import EMPTY_PAYLOAD
from aiohttp.web_protocol import RequestHandler, _ErrInfo

from interlock.clock import SystemClock
from interlock.errors import InterlockError, InvalidRequest, TryLater, Unavailable
from interlock.ids import UuidIds
from web.access import request_id, stamp
from web.early import Doorman
from web.problems import problem_response
from web.short_way import SHORT_WAY

log = logging.getLogger(__name__)
_IDS, _CLOCK = UuidIds(), SystemClock()
_SERVER_FAULT = 500
DOORMAN: web.AppKey[Doorman] = web.AppKey("doorman", Doorman)  # who says no before a request is read, if anybody


class RequestTimeout(TryLater):
    """The rest of the request did not come in time; nothing of it has been looked at."""

    status = 408
    code = "request_timeout"
    title = "The request took too long to arrive"


class Patience(NamedTuple):
    """How long a sender may take, in seconds, and how large a head may be; described in `runtime/settings.py`."""

    head_seconds: float = 30.0
    body_seconds: float = 30.0
    head_bytes: int = 65_536


PATIENCE = Patience()


class EdgeHandler(RequestHandler):
    """One connection."""

    __slots__ = ("_head_begun", "_head_bytes", "_head_timer", "doorman", "patience")

    def __init__(self, manager: web.Server, patience: Patience, doorman: Doorman | None, **options: Any) -> None:
        super().__init__(manager, **options)
        self.patience = patience
        self.doorman = doorman
        self._head_timer: asyncio.TimerHandle | None = None  # set while a request's head is waited for
        self._head_begun = False
        self._head_bytes = 0  # of a head that has not come whole

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Its first request is waited for from now on; a later one from its first byte."""
        super().connection_made(transport)
        self._head_timer = self._loop.call_later(self.patience.head_seconds, self._head_is_late)

    def data_received(self, data: bytes) -> None:
        """A request whose head comes in one piece sets no timer."""
        if self.doorman is not None and self.doorman.on_duty and self._refused(data):
            return
        super().data_received(data)
        waiter = self._waiter
        if waiter is not None and not waiter.done():  # nothing whole has come of it
            self._head_begun = True
            self._head_bytes += len(data)
            if self._head_timer is None:
                self._head_timer = self._loop.call_later(self.patience.head_seconds, self._head_is_late)
            if self._head_bytes > self.patience.head_bytes:
                self._give_up(InvalidRequest(f"The request line and headers may have {self.patience.head_bytes} bytes"))
        elif self._head_timer is not None:
            self._stop_waiting()

    def _refused(self, data: bytes) -> bool:
        """Whether the doorman has answered, which he may only between requests: the last answer is out, if there was one,
        and nothing of the next one has come before.
        """
        waiter = self._waiter
        if (
            self.doorman is None
            or self._keepalive_handle is None
            or waiter is None
            or waiter.done()
            or self._head_begun
        ):
            return False
        answer = self.doorman.refusal(data)
        if answer is None:
            return False
        self._stop_waiting()  # if this is the connection's first
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        cast(asyncio.Transport, self.transport).write(answer)
        return True

    def connection_lost(self, exc: BaseException | None) -> None:
        """Nothing is waited for any more."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _stop_waiting(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
        self._head_begun, self._head_bytes = False, 0

    def _head_is_late(self) -> None:
        """Answer what has begun, as a request that could not be read; close in silence what has not."""
        self._head_timer = None
        waiter = self._waiter
        if waiter is None or waiter.done():
            return
        if not self._head_begun:
            self.force_close()
            return
        self._give_up(RequestTimeout(f"The request line and headers may take {self.patience.head_seconds:g} s"))

    def _give_up(self, error: InterlockError) -> None:
        """Answer a head that has not come whole with this, and close."""
        self._messages.append((_ErrInfo(error.status, error, error.detail), EMPTY_PAYLOAD))
        if self._waiter is not None:
            self._waiter.set_result(None)

    def answer_and_close(self, request: web.BaseRequest) -> None:
        """Let the present answer be the connection's last, and do not wait for what is missing of the request."""
        request._message = request._message._replace(should_close=True)  # noqa: SLF001 - from which aiohttp tells it
        self._lingering_time = 0.0

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """Answer what could not be read as a request, and close the connection."""
        request_id = _IDS.new()
        # aiohttp repeats an expectation that it does not know, which may be no text at all.
        fault = status >= _SERVER_FAULT and not isinstance(exc, ConnectionError | UnicodeEncodeError)
        # What could not be read may hold a credential: of a stranger's rubbish only its kind is told.
        if fault:
            log.error("Request %s was not read: %r", request_id, exc, extra={"request_id": request_id})
        else:
            log.debug("Request %s was not read: %s", request_id, type(exc).__name__, extra={"request_id": request_id})
        if request.writer.output_size > 0:
            raise ConnectionError("An answer is under way already")
        response = problem_response(_unread(exc, message, fault=fault), request_id, _CLOCK.chance())
        response.headers["X-Request-Id"] = request_id
        response.headers["Server"] = "interlock"
        response.headers["Connection"] = (
            "close"  # aiohttp answers what it could not read as HTTP/1.0, and leaves this out
        )
        response.force_close()
        return response


def _unread(exc: BaseException | None, message: str | None, *, fault: bool) -> InterlockError:
    if isinstance(exc, InterlockError):
        return exc
    first_line = (message or "").split("\n", 1)[0][:200]
    return Unavailable() if fault else InvalidRequest(first_line or "This is not an HTTP request")


async def whole_body(request: web.Request) -> bytes:
    """The body as it came; `RequestTimeout` when the rest of it does not come in time."""
    if request.content.is_eof():  # it is here already, as nearly always: no timer, and no second look for its end
        if request._read_bytes is None:  # noqa: SLF001 - where aiohttp's own `read` keeps what it has read
            request._read_bytes = request.content.read_nowait()  # noqa: SLF001
        return request._read_bytes  # noqa: SLF001
    connection = cast(EdgeHandler, request.protocol)
    seconds = connection.patience.body_seconds
    try:
        async with asyncio.timeout(seconds):
            return await request.read()
    except TimeoutError:
        connection.answer_and_close(request)
        raise RequestTimeout(f"The body may take {seconds:g} s") from None


class EdgeServer(web.Server):
    """Makes our connections."""

    patience: Patience
    doorman: Doorman | None

    def __call__(self) -> RequestHandler:
        """One for each client that connects."""
        return EdgeHandler(self, self.patience, self.doorman, loop=self._loop, **self._kwargs)


class EdgeRunner(web.AppRunner):
    """aiohttp's runner with our connections. Bodies are never decompressed: compressed ones are refused."""

    def __init__(self, app: web.Application, *, patience: Patience = PATIENCE, **options: Any) -> None:
        super().__init__(app, access_log=None, auto_decompress=False, **options)
        self._patience = patience

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        server.__class__ = EdgeServer  # aiohttp has no hook for the class of its connections
        server = cast(EdgeServer, server)
        server.patience, server.doorman = self._patience, self.app.get(DOORMAN)
        server.request_handler = self.app.get(SHORT_WAY, server.request_handler)
        return server


async def expect(request: web.Request) -> web.StreamResponse | None:
    """`Expect: 100-continue` is honoured; any other expectation is refused."""
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0
        return None
    error = InvalidRequest.at("Expect", "only 100-continue is understood")
    response = problem_response(error, request_id(request), _CLOCK.chance())
    stamp(request, response)
    return response
