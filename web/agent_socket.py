"""`/agent`: a plain WebSocket for agents. Frames are JSON text: `{"event": …, "data": …, "id"?: …}`."""

import asyncio
import logging
from contextlib import ExitStack
from typing import Any, cast

import msgspec
from aiohttp import WSMsgType, web
from aiohttp.http_websocket import WebSocketWriter, WSMessageDecodeText, WSMessageNoDecodeText
from aiohttp.web_request import BaseRequest

from interlock.errors import InterlockError, InvalidRequest, PayloadTooLarge, TryLater, Unauthenticated
from interlock.frames import Auth, Frame, FrameId
from web.access import Agent, agent_of, bearer, counted_agent, in_time, stamp
from web.connections import FAULT, POLICY, TRY_LATER, Connection, declared, frame_id_in, frame_id_of, refusal
from web.frame_queue import FrameQueue, reader_of
from web.parsing import decode
from web.services import Services
from web.tokens import AgentClaims

log = logging.getLogger(__name__)

_NO_AUTH = "The first frame must be auth, with a token"
CLOSE_SECONDS = 2.0  # that an agent may take to answer our close
TOO_BIG = 1009
_SHORT, _MEDIUM = 126, 65_536  # lengths of a frame from which on its header grows
_TEXT = 0x81  # a whole text frame
_CLOSE = 0x88
_DATA = {WSMsgType.TEXT, WSMsgType.BINARY}


class _Shown(msgspec.Struct):
    """The part of `auth` that says who it is; the rest of it is read once that is known."""

    token: str


_encode = msgspec.json.Encoder().encode
_frame = msgspec.json.Decoder(Frame)
_auth = msgspec.json.Decoder(Auth)
_shown = msgspec.json.Decoder(_Shown)


def text_frame(body: bytes) -> bytes:
    """A server's text frame (RFC 6455, 5.2)."""
    size = len(body)
    if size < _SHORT:
        return bytes((_TEXT, size)) + body
    if size < _MEDIUM:
        return bytes((_TEXT, 126)) + size.to_bytes(2, "big") + body
    return bytes((_TEXT, 127)) + size.to_bytes(8, "big") + body


def close_frame(code: int, reason: str) -> bytes:
    """A server's close frame; the reason is some bytes of ASCII."""
    body = code.to_bytes(2, "big") + reason.encode()
    return bytes((_CLOSE, len(body))) + body


class AgentSocket(web.WebSocketResponse[bool]):
    """The socket as aiohttp knows it. What goes out between two turns of the loop goes out in one piece, and nobody waits
    for it: a peer that does not read is closed when too much has gathered.
    """

    def __init__(self, s: Services) -> None:
        limits = s.links.limits
        super().__init__(
            timeout=CLOSE_SECONDS,
            heartbeat=limits.ping_seconds,
            max_msg_size=limits.frame_bytes,
            compress=False,
            decode_text=False,
        )
        self._most_unsent = limits.unsent_bytes
        self._frame_bytes = limits.frame_bytes
        self._unsent: list[bytes] = []
        self._over = False  # a close has been written

    def _post_start(self, request: BaseRequest, protocol: str | None, writer: WebSocketWriter) -> None:
        """What aiohttp does, with a queue of our own."""
        self._ws_protocol, self._writer = protocol, writer
        self._reset_heartbeat()
        self._reader = FrameQueue(request.protocol)
        self._parser = reader_of(self._reader, self._max_msg_size)
        request.protocol.set_parser(self._parser, data_received_cb=self._on_data_received)
        request.protocol.keep_alive(False)

    def _on_data_received(self) -> None:
        """Something has come: the next ping is due later. aiohttp takes a turn of the loop to say so, for every piece; but its
        timer looks at this instant when it fires, so that nothing else need be done while no answer to a ping is awaited.
        """
        loop, heartbeat = self._loop, self._heartbeat
        if self._pong_response_cb is not None or self._heartbeat_cb is None or loop is None or heartbeat is None:
            super()._on_data_received()
        else:
            self._heartbeat_when = loop.time() + heartbeat

    @property
    def frames(self) -> FrameQueue:
        """What comes, once it is prepared."""
        return cast("FrameQueue", self._reader)

    def send(self, event: str, data: Any, frame_id: FrameId = None) -> None:
        """Write one frame in this turn of the loop, or drop it when the peer has gone; never blocks, never raises."""
        if self._over or self.closed:
            return
        body: dict[str, Any] = {"event": event, "data": data}
        if frame_id is not None:
            body["id"] = frame_id
        self._unsent.append(text_frame(_encode(body)))
        if len(self._unsent) == 1:
            asyncio.get_running_loop().call_soon(self._write)

    def _write(self) -> None:
        frames, self._unsent = self._unsent, []
        transport = self._transport
        if not frames or transport is None:
            return
        transport.write(b"".join(frames))
        if transport.get_write_buffer_size() > self._most_unsent:
            self.end(TRY_LATER, "too slow")

    def end(self, code: int, reason: str) -> None:
        """Close it, once; what was sent before goes out first. Whoever reads it goes on doing so until the peer has answered,
        but not for long: a connection that is cut while its peer writes never tells it why.
        """
        transport = self._transport
        if self._over or transport is None:
            return
        self._over = True
        self._write()
        transport.write(close_frame(code, reason))
        asyncio.get_running_loop().call_later(CLOSE_SECONDS, transport.abort)

    async def next(self) -> tuple[bool, bytes] | None:
        """Whether the next message is text, and its bytes; None when there will be no more."""
        try:
            message = await self.receive()
        except (ConnectionError, RuntimeError):  # it went while a ping of its own was answered
            return None
        return (message.type is WSMsgType.TEXT, cast("bytes", message.data)) if message.type in _DATA else None

    async def ended(self) -> None:
        """Return when the peer has gone, if it was closed here."""
        while self._over and not self.closed and await self.next() is not None:
            pass

    async def close(self, *, code: int = 1000, message: bytes = b"", drain: bool = True) -> bool:
        """A frame that is too large is closed by aiohttp itself, which then reads no more. Before that, say so, and wait for
        the peer to go.
        """
        transport = self._transport
        if code == TOO_BIG and not self._over and transport is not None:
            self.send("error", refusal(PayloadTooLarge(f"A frame may have {self._frame_bytes} bytes"), None))
            self.end(code, "payload_too_large")
            while not transport.is_closing():  # noqa: ASYNC110 - aiohttp tells nobody when a peer has gone
                await asyncio.sleep(CLOSE_SECONDS / 40)
        return await super().close(code=code, message=message, drain=drain)

    @property
    def _transport(self) -> asyncio.Transport | None:
        transport = None if self.closed or self._req is None else self._req.transport
        return None if transport is None or transport.is_closing() else transport


async def connect(request: web.Request, s: Services, _: None) -> web.StreamResponse:
    """Upgrade, learn who it is (header, or first frame), and serve it until it goes."""
    given = Auth(instance_id=request.query.get("instanceId"), running=request.query.get("running"))
    declared(given, "?")
    claims = await agent_of(s, bearer(request)) if "Authorization" in request.headers else None
    if claims is not None:
        await counted_agent(request, s, claims)
    frame_id: FrameId = None
    socket = AgentSocket(s)
    stamp(request, socket)
    with ExitStack() as held:
        held.enter_context(s.links.stranger() if claims is None else s.links.of_host(claims.host_id))
        await socket.prepare(request)
        try:
            if claims is None:
                came = await _first(socket, s)
                frame_id = frame_id_in(came)
                claims, given = await _introduced(came, s, given)
                await counted_agent(None, s, claims)
                held.close()
                held.enter_context(s.links.of_host(claims.host_id))
            await _serve(socket, s, Agent(claims.host_id, claims.org_id, claims.kid), given, frame_id)
        except InterlockError as error:
            socket.send("error", refusal(error, "auth"), frame_id)
            socket.end(TRY_LATER if isinstance(error, TryLater) else POLICY, error.code)
        await socket.ended()
    return socket


async def _first(socket: AgentSocket, s: Services) -> bytes:
    """The first frame as it came; nothing, if it is none or does not come in time."""
    message = await in_time(socket.next(), s.web_limits.socket_auth_seconds)
    return message[1] if message and message[0] else b""


async def _introduced(came: bytes, s: Services, given: Auth) -> tuple[AgentClaims, Auth]:
    """Who it is by its first frame, and what it declares there or in the URL."""
    try:
        frame = decode(came, _frame, 0)
        shown = decode(bytes(frame.data), _shown, 0) if frame.event == "auth" else None
    except InvalidRequest as error:
        raise Unauthenticated(_NO_AUTH) from error
    if shown is None:
        raise Unauthenticated(_NO_AUTH)
    claims = await agent_of(s, shown.token)
    frame_id_of(frame.id)
    auth = decode(bytes(frame.data), _auth, s.web_limits.max_json_depth)
    auth.instance_id = given.instance_id if auth.instance_id is None else auth.instance_id
    auth.running = given.running if auth.running is None else auth.running
    return claims, auth


async def _serve(socket: AgentSocket, s: Services, who: Agent, given: Auth, frame_id: FrameId) -> None:
    instance_id, running = declared(given)
    connection = Connection(s, who, socket, instance_id=instance_id, running=running)
    with s.links.holding(connection), s.revocations.holding(who.kid, connection.revoked):
        try:
            await connection.begin(frame_id)
            socket.frames.taker = lambda message: _take_at_once(connection, message)
            while (message := await socket.next()) is not None:
                _take(connection, *message)
                await connection.room()
                socket.frames.done_with_one()
        finally:
            socket.frames.taker = None
            connection.end()


def _take_at_once(connection: Connection, message: WSMessageDecodeText | WSMessageNoDecodeText) -> bool:
    """Take a frame in where it is read, with no task in between; whether that could be. It must not raise."""
    if message.type is not WSMsgType.TEXT or connection.closed or not connection.has_room:
        return False
    try:
        _take(connection, True, cast("bytes", message.data))
    except Exception:
        log.exception("A frame could not be taken", extra=connection.about)
        connection.close(FAULT, "unexpected")
    return True


def _take(connection: Connection, is_text: bool, came: bytes) -> None:
    if not is_text:
        connection.misread(InvalidRequest("Frames are text"), len(came))
        return
    try:
        frame = decode(came, _frame, 0)
        frame_id = frame_id_of(frame.id)
    except InvalidRequest as error:
        connection.misread(error, len(came), frame_id_in(came))
    else:
        connection.take(frame.event, frame.data, frame_id, len(came))
