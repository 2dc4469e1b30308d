"""The Socket.IO server. Loaded by `web.socketio` when the first client comes.

python-socketio speaks the protocol; what an agent's event means is the gateway's, as on a plain socket. Events are not
acknowledged but answered by events, as S2's gateway does; a client that asks for an acknowledgement gets the answer
there as well, as `{event, data}`.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any, Protocol, cast

import msgspec
import socketio
from aiohttp import web
from engineio.async_drivers.aiohttp import WebSocket, translate_request
from engineio.exceptions import EngineIOError
from engineio.payload import Payload
from socketio import packet
from socketio.exceptions import ConnectionRefusedError as Refusal

from interlock.errors import InterlockError, InvalidRequest, Unavailable
from interlock.frames import Auth
from web.access import bearer, stamp
from web.allowance import Allowance, Verdict
from web.connections import refusal
from web.parsing import decode
from web.services import Services
from web.socketio import MOST_PACKETS, is_packet

log = logging.getLogger(__name__)
_silent = logging.getLogger(f"{__name__}.library")  # it logs what strangers send as errors
_silent.setLevel(logging.CRITICAL + 1)

PING_TIMEOUT = 20  # seconds until a ping without an answer ends a connection
SEND_SECONDS = 20.0  # that a peer may take to read what its socket's buffer cannot hold
CLOSE_SECONDS = 2.0  # that it may take to answer our close

_encode = msgspec.json.Encoder().encode
_event = msgspec.json.Decoder(list[msgspec.Raw])
_name = msgspec.json.Decoder(str)
_auth = msgspec.json.Decoder(Auth)
_OF_AGENT = "2/agent,"  # an agent's event: its connection counts it, and refuses it by name
_BODY: web.RequestKey[bytes] = web.RequestKey("socketio_body", bytes)


class _Json:
    """What comes in stays text until its handler reads it, with the same decoder as everything else."""

    @staticmethod
    def dumps(value: Any, **_: Any) -> str:
        return _encode(value).decode()

    @staticmethod
    def loads(text: str) -> str:
        return text


class _Packet(packet.Packet):  # type: ignore[misc]  # the library has no types
    uses_binary_events = False
    json = _Json


class _Socket(WebSocket):  # type: ignore[misc]
    """The library's socket with our limits: no compression, nothing that is no packet, no peer that never reads."""

    async def __call__(self, environ: dict[str, Any]) -> web.StreamResponse:
        request: web.Request = environ["aiohttp.request"]
        self._sock = web.WebSocketResponse(
            timeout=CLOSE_SECONDS, max_msg_size=self.server.max_http_buffer_size, compress=False
        )
        stamp(request, self._sock)
        await self._sock.prepare(request)
        self.environ = environ
        await self.handler(self)
        return self._sock

    async def wait(self) -> str:
        """The next packet; `OSError` ends the connection."""
        text = await super().wait()
        if not is_packet(text):
            raise OSError
        return cast("str", text)

    async def send(self, message: str) -> None:
        """Write a packet; a peer that does not read ends the connection."""
        async with asyncio.timeout(SEND_SECONDS):
            await super().send(message)


class _Body:
    """A body that has come whole."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def read(self, _: int) -> bytes:
        return self._body


def _translated(request: web.Request) -> dict[str, Any]:
    environ: dict[str, Any] = translate_request(request)
    body = request.get(_BODY, b"")
    return environ | {"wsgi.input": _Body(body), "CONTENT_LENGTH": str(len(body))}


class Peer(Protocol):
    """Somebody on a namespace, whose credential holds."""

    async def begin(self) -> None:
        """It has been told that it is connected."""

    async def take(self, event: str, data: bytes, ack: int | None) -> None:
        """It has sent an event, and perhaps asked for an acknowledgement. Return when another may come."""

    def misread(self, error: InterlockError, size: int) -> None:
        """It has sent something that is no event."""

    def gone(self) -> None:
        """It has gone."""


class Line:
    """What goes out to one peer, in order."""

    def __init__(self, server: "SocketIo", eio_sid: str, sid: str, namespace: str) -> None:
        self.over = False
        self._server = server
        self._eio_sid = eio_sid
        self._sid = sid
        self._namespace = namespace
        self._unsent: list[Any] = []
        self._sizes: deque[int] = deque()  # of the packets that the peer may not have taken yet
        self._waiting_bytes = 0
        self._sending: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[None] | None = None

    def emit(self, event: str, data: bytes) -> None:
        """Send an event whose data is JSON."""
        self._put(_Packet(packet.EVENT, namespace=self._namespace, data=[event, msgspec.Raw(data)]), len(data))

    def acknowledge(self, number: int, data: bytes) -> None:
        """Answer what asked for an acknowledgement."""
        self._put(_Packet(packet.ACK, namespace=self._namespace, id=number, data=[msgspec.Raw(data)]), len(data))

    def _put(self, sent: Any, size: int) -> None:
        if self.over:
            return
        self._unsent.append(sent)
        self._sizes.append(size)
        self._waiting_bytes += size
        if self._sending is None:
            self._sending = asyncio.create_task(self._send(), name="socketio-send")

    async def _send(self) -> None:
        try:
            while self._unsent:
                unsent, self._unsent = self._unsent, []
                for each in unsent:
                    await self._server.send_packet(self._eio_sid, each)
        except Exception:
            log.exception("A packet could not be sent")
            self.end(comes_back=True)
        finally:
            self._sending = None

    @property
    def waiting_bytes(self) -> int:
        """What the peer has not taken yet: it takes in order, and how many packets wait is known."""
        queue = self._server.queue_of(self._eio_sid)
        waiting = len(self._unsent) + (0 if queue is None else queue.qsize())
        while len(self._sizes) > waiting:
            self._waiting_bytes -= self._sizes.popleft()
        return self._waiting_bytes

    async def taken(self) -> None:
        """Return when the peer has taken everything, or has gone."""
        while self._sending is not None:
            await asyncio.wait({self._sending})
        queue = self._server.queue_of(self._eio_sid)
        if queue is not None:
            await queue.join()

    def end(self, *, comes_back: bool) -> None:
        """Close it, once, after what was sent. A client whose transport ends comes back by itself; one whose namespace is
        closed does not.
        """
        if not self.over:
            self.over = True
            self._ending = asyncio.create_task(self._end(comes_back=comes_back), name="socketio-end")

    async def _end(self, *, comes_back: bool) -> None:
        if self._sending is not None:
            await asyncio.wait({self._sending})
        with contextlib.suppress(EngineIOError, KeyError):  # it has gone by itself meanwhile
            if comes_back:
                await self._server.drop(self._eio_sid)
            else:
                await self._server.disconnect(self._sid, self._namespace)


Join = Callable[[Services, Line, Auth], Awaitable[Peer]]  # raises what refuses it


class SocketIo(socketio.AsyncServer):  # type: ignore[misc]
    """python-socketio with our edges. `joins` makes, for each namespace, the peer of a credential, or refuses it."""

    def __init__(self, s: Services, joins: dict[str, Join]) -> None:
        limits = s.links.limits
        Payload.max_decode_packets = MOST_PACKETS  # for all of the process, as its authors want it; 16 lose the rest
        super().__init__(
            async_mode="aiohttp",
            async_handlers=False,
            serializer=_Packet,
            cors_allowed_origins="*",
            cors_credentials=False,
            http_compression=False,
            max_http_buffer_size=limits.frame_bytes,
            ping_interval=max(1, round(limits.ping_seconds)),
            ping_timeout=PING_TIMEOUT,
            namespaces=list(joins),
            logger=_silent,
            engineio_logger=_silent,
        )
        self.eio._async = {**self.eio._async, "websocket": _Socket, "translate_request": _translated}  # noqa: SLF001
        self._s = s
        self._joins = joins
        self._peers: dict[str, dict[str, Peer]] = {}  # by connection and namespace
        self._allowances: dict[str, Allowance] = {}
        self._strangers: set[str] = set()  # connections without a peer
        self._new: dict[tuple[str, str], Peer] = {}  # which have not been told yet that they are connected

    # ---- requests --------------------------------------------------------------------------------------------------

    async def answer(self, request: web.Request, body: bytes) -> web.StreamResponse:
        """A request of either transport."""
        is_new = "sid" not in request.query and request.method == "GET"
        if is_new and len(self._strangers) >= self._s.links.limits.strangers:
            raise Unavailable("Too many connections have yet to say who they are", retry_after=2)
        sid = request.query.get("sid", "")
        if sid in self.eio.sockets and self.eio.sockets[sid].closed:
            del self.eio.sockets[sid]  # the library would raise; what it does not know it refuses
        if "j" in request.query:
            raise InvalidRequest.at("?j", "JSONP is not spoken here")
        request[_BODY] = body
        response: web.StreamResponse = await self.handle_request(request)
        return response

    async def stop(self) -> None:
        """Let everybody go; they are to come back, here or to another node."""
        for eio_sid in list(self.eio.sockets):
            await self.drop(eio_sid)
        await self.shutdown()

    # ---- what lines need -------------------------------------------------------------------------------------------

    async def send_packet(self, eio_sid: str, sent: Any) -> None:
        """Put it in the connection's queue; it is dropped when there is none any more."""
        with contextlib.suppress(EngineIOError):
            await self._send_packet(eio_sid, sent)

    def queue_of(self, eio_sid: str) -> "asyncio.Queue[Any] | None":
        """What waits to be read by the other side."""
        found = self.eio.sockets.get(eio_sid)
        return None if found is None or found.closed else found.queue

    async def drop(self, eio_sid: str) -> None:
        """End the transport, whether or not the other side still reads."""
        found = self.eio.sockets.get(eio_sid)
        if found is not None:
            with contextlib.suppress(EngineIOError, KeyError):  # it has gone by itself meanwhile
                await found.close(wait=False, reason=self.reason.SERVER_DISCONNECT)

    # ---- what the library calls ------------------------------------------------------------------------------------

    async def _handle_eio_connect(self, eio_sid: str, environ: dict[str, Any]) -> None:
        await super()._handle_eio_connect(eio_sid, environ)
        limits = self._s.links.limits
        self._allowances[eio_sid] = Allowance(limits.frames_per_second, limits.frames_at_once, monotonic())
        self._estranged(eio_sid)

    async def _handle_eio_disconnect(self, eio_sid: str, reason: str) -> None:
        """The library leaves whoever waits for the queue waiting: a poll until the next ping, a writer for ever."""
        await super()._handle_eio_disconnect(eio_sid, reason)
        self._strangers.discard(eio_sid)
        self._allowances.pop(eio_sid, None)
        found = self.eio.sockets.get(eio_sid)
        if found is not None:
            asyncio.get_running_loop().call_soon(found.queue.put_nowait, None)  # behind its last packet

    def _estranged(self, eio_sid: str) -> None:
        """Nobody stays who does not say who it is."""
        if self.queue_of(eio_sid) is None:
            return  # it has gone already
        self._strangers.add(eio_sid)
        asyncio.get_running_loop().call_later(self._s.web_limits.socket_auth_seconds, self._look, eio_sid)

    def _look(self, eio_sid: str) -> None:
        if eio_sid in self._strangers:
            self.start_background_task(self.drop, eio_sid)

    async def _handle_eio_message(self, eio_sid: str, data: str) -> None:
        of_agent = data.startswith(_OF_AGENT) and "/agent" in self._peers.get(eio_sid, {})
        verdict = "take" if of_agent else self._spend(eio_sid, len(data))
        if verdict == "end":
            await self.drop(eio_sid)
        if verdict != "take":
            return
        try:
            await super()._handle_eio_message(eio_sid, data)
        except (ValueError, InterlockError) as error:
            mistake = error if isinstance(error, InterlockError) else InvalidRequest("This is no packet of Socket.IO")
            for peer in self._peers.get(eio_sid, {}).values():
                peer.misread(mistake, len(data))
        except Exception:
            log.exception("A packet could not be handled")

    def _spend(self, eio_sid: str, size: int) -> Verdict:
        allowance = self._allowances.get(eio_sid)
        return "refuse" if allowance is None else allowance.spend(size, monotonic())

    async def _handle_connect(self, eio_sid: str, namespace: str | None, data: str | None) -> None:
        await super()._handle_connect(eio_sid, namespace, data)
        peer = self._new.pop((eio_sid, namespace or "/"), None)
        if self.queue_of(eio_sid) is None:  # it has gone meanwhile
            await self._handle_disconnect(eio_sid, namespace)
        elif peer is not None:
            await peer.begin()

    async def _handle_event(self, eio_sid: str, namespace: str | None, id: int | None, data: str | None) -> None:  # noqa: A002
        peer = self._peers.get(eio_sid, {}).get(namespace or "/")
        if peer is None:
            return
        parts = decode((data or "[]").encode(), _event, 0)
        if not parts:
            raise InvalidRequest("An event has a name")
        event = decode(bytes(parts[0]), _name, 1)
        await peer.take(event, bytes(parts[1]) if len(parts) > 1 else b"{}", id)

    async def _handle_ack(self, *_: Any) -> None:
        """Nothing is emitted that asks for one."""

    async def _trigger_event(self, event: str, namespace: str, sid: str, *args: Any) -> None:
        eio_sid = self.manager.eio_sid_from_sid(sid, namespace)
        if event == "connect":
            await self._join(eio_sid, sid, namespace, *args)
            return
        self._new.pop((eio_sid, namespace), None)
        peers = self._peers.get(eio_sid, {})
        peer = peers.pop(namespace, None)
        if not peers:
            self._peers.pop(eio_sid, None)
            self._estranged(eio_sid)
        if peer is not None:
            peer.gone()

    async def _join(self, eio_sid: str, sid: str, namespace: str, environ: dict[str, Any], data: str | None) -> None:
        try:
            given = decode((data or "{}").encode(), _auth, self._s.web_limits.max_json_depth)
            if given.token is None and given.ticket is None:
                given.token = bearer(environ["aiohttp.request"])
            peer = await self._joins[namespace](self._s, Line(self, eio_sid, sid, namespace), given)
        except InterlockError as error:
            raise Refusal(error.detail, refusal(error, "connect")) from error
        self._strangers.discard(eio_sid)
        self._peers.setdefault(eio_sid, {})[namespace] = self._new[eio_sid, namespace] = peer
