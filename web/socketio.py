"""Socket.IO beside the plain sockets: the same events, on the namespaces `/agent` and `/`.

Its library takes 0.3 s of the processor and some megabytes to load, so that is left to the first client who asks. What the
library would stumble over (packets that are none, binary ones, bodies in several pieces) is stopped before it.
"""

import asyncio
from importlib import import_module
from typing import Any, Protocol

from aiohttp import web

from interlock.errors import InvalidRequest, PayloadTooLarge, UnsupportedMediaType
from web.edge import whole_body
from web.services import Services

SEPARATOR = "\x1e"  # between the packets of one body
MOST_PACKETS = 1000  # in one body
_SHORT = 6  # characters of the longest packet that carries no message: "3probe"


class Server(Protocol):
    """What answers once the library is loaded."""

    async def answer(self, request: web.Request, body: bytes) -> web.StreamResponse:
        """A request of either transport."""

    async def stop(self) -> None:
        """Let everybody go; they are to come back, here or to another node."""


class Door:
    """Where Socket.IO's clients come in."""

    def __init__(self) -> None:
        self._server: Server | None = None
        self._loading = asyncio.Lock()

    async def server(self, s: Services) -> Server:
        """The server, made for the first client."""
        if self._server is None:
            async with self._loading:
                if self._server is None:
                    module: Any = await asyncio.to_thread(import_module, "web.socketio_peers")
                    self._server = module.make(s)
        return self._server

    async def stop(self) -> None:
        """Let everybody go, if anybody ever came."""
        if self._server is not None:
            await self._server.stop()


DOOR: web.AppKey[Door] = web.AppKey("socketio", Door)


async def serve(request: web.Request, s: Services, _: None) -> web.StreamResponse:
    """A request of either transport."""
    body = await _body(request, s.links.limits.frame_bytes) if request.method == "POST" else b""
    server = await request.app[DOOR].server(s)
    return await server.answer(request, body)


async def _body(request: web.Request, most: int) -> bytes:
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType("Compressed bodies are not read")
    if (request.content_length or 0) > most:
        raise PayloadTooLarge(f"A body may have {most} bytes")
    body = await whole_body(request)
    if len(body) > most:
        raise PayloadTooLarge(f"A body may have {most} bytes")
    try:
        packets = body.decode().split(SEPARATOR)
    except UnicodeDecodeError as error:
        raise InvalidRequest("The body is not UTF-8") from error
    if len(packets) > MOST_PACKETS or not all(map(is_packet, packets)):
        raise InvalidRequest(f"Expected up to {MOST_PACKETS} text packets of Engine.IO 4")
    return body


def is_packet(text: Any) -> bool:
    """Whether it is a packet of Engine.IO that a client may send: a message that has a type of Socket.IO, or a short one."""
    if not isinstance(text, str):
        return False
    kind, rest = text[:1], text[1:2]
    return (kind == "4" and rest in {"0", "1", "2", "3"}) or (kind in {"1", "2", "3", "5", "6"} and len(text) <= _SHORT)
