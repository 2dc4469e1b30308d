"""A client's side of WebSockets (RFC 6455), only as much as a driver needs: it must cost far less than the server.

No extensions, no fragments. The masking key is zero, so masking changes nothing; a server undoes it all the same.
"""

import asyncio
import socket
from collections.abc import Callable
from typing import Self

from benches.plan import BenchFailed

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
_HEAD_END = b"\r\n\r\n"
_SWITCHED = b"HTTP/1.1 101 "
_SHORT, _MEDIUM = 126, 65_536  # lengths from which on a frame's head grows
_FINAL, _MASKED = 0x80, 0x80
_KEY = bytes(4)
_OPCODE = 0x0F


def framed(body: bytes, opcode: int = TEXT) -> bytes:
    """A client's frame."""
    size = len(body)
    if size < _SHORT:
        return bytes((_FINAL | opcode, _MASKED | size)) + _KEY + body
    if size < _MEDIUM:
        return bytes((_FINAL | opcode, _MASKED | 126)) + size.to_bytes(2, "big") + _KEY + body
    return bytes((_FINAL | opcode, _MASKED | 127)) + size.to_bytes(8, "big") + _KEY + body


def upgrade(path: str, token: str) -> bytes:
    """The request for a WebSocket; without a credential when `token` is empty."""
    credential = f"Authorization: Bearer {token}\r\n" if token else ""
    head = (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{credential}Upgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: aW50ZXJsb2NrLWJlbmNoLg==\r\n\r\n"
    )
    return head.encode()


class Socket(asyncio.Protocol):
    """One WebSocket. `received` is called with each text frame, `lost` when the connection has ended."""

    def __init__(self) -> None:
        self.received: Callable[[bytes], None] = _unheard
        self.lost: Callable[[str], None] = _unheard
        self.code: int | None = None  # with which the server closed it
        self._transport: asyncio.Transport
        self._buffer = b""
        self._switched: asyncio.Future[None] | None = None
        self._open = False

    @classmethod
    async def open(
        cls, port: int, path: str, token: str = "", received: Callable[[bytes], None] | None = None, buffer: int = 0
    ) -> Self:
        """A WebSocket at that port of this machine. `BenchFailed` when it is refused, OSError when nobody listens.

        `buffer`: how many bytes the kernel may keep of what nobody reads; 0 leaves that to it.
        """
        loop = asyncio.get_running_loop()
        if buffer:
            sock = socket.socket()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
            sock.setblocking(False)
            await loop.sock_connect(sock, ("127.0.0.1", port))
            _, made = await loop.create_connection(cls, sock=sock)
        else:
            _, made = await loop.create_connection(cls, "127.0.0.1", port)
        if received is not None:
            made.received = received
        switched: asyncio.Future[None] = loop.create_future()
        made._switched = switched  # noqa: SLF001 - our own
        made._transport.write(upgrade(path, token))  # noqa: SLF001 - our own
        await switched
        return made

    def send(self, frame: bytes) -> None:
        """Send what `framed` made."""
        self._transport.write(frame)

    def pause(self) -> None:
        """Read nothing from now on."""
        self._transport.pause_reading()

    def resume(self) -> None:
        """Read again."""
        self._transport.resume_reading()

    def cut(self) -> None:
        """Drop the connection without a word."""
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio."""
        self._transport = transport  # type: ignore[assignment]  # a stream's transport can write

    def data_received(self, data: bytes) -> None:
        """Called by asyncio."""
        buffer = self._buffer + data if self._buffer else data
        if not self._open:
            head, found, buffer = buffer.partition(_HEAD_END)
            self._buffer = head
            if not found or not self._accepted(head):
                return
        place, size = 0, len(buffer)
        while size - place > 1:
            length, start = buffer[place + 1], place + 2
            if length >= _SHORT:
                wide = 2 if length == _SHORT else 8
                if size < start + wide:
                    break
                length, start = int.from_bytes(buffer[start : start + wide], "big"), start + wide
            end = start + length
            if end > size:
                break
            self.frame(buffer[place] & _OPCODE, buffer, start, end)
            place = end
        self._buffer = buffer[place:]

    def frame(self, opcode: int, buffer: bytes, start: int, end: int) -> None:
        """Take one frame, whose body stands there in the buffer."""
        if opcode == TEXT:
            self.received(buffer[start:end])
        elif opcode == PING:
            self._transport.write(framed(buffer[start:end], PONG))
        elif opcode == CLOSE:
            self.code = int.from_bytes(buffer[start : start + 2], "big")
            self._transport.write(framed(buffer[start : start + 2], CLOSE))

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by asyncio."""
        why = f"A WebSocket was closed: {self.code or exc or 'without a word'}"
        if self._switched is not None and not self._switched.done():
            self._switched.set_exception(BenchFailed(why))
        self.lost(why)

    def _accepted(self, head: bytes) -> bool:
        """Whether the server's answer makes this a WebSocket; whoever opens it is told."""
        self._open = head.startswith(_SWITCHED)
        if self._switched is not None and not self._switched.done():
            if self._open:
                self._switched.set_result(None)
            else:
                self._switched.set_exception(BenchFailed(f"No WebSocket: {head[:300].decode()}"))
        return self._open


def _unheard(_: object) -> None:
    """Nobody listens."""
