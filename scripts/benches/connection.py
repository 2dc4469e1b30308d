"""A client's side of HTTP/1.1, only as much as a driver needs: it must cost far less than the server that it drives.

One request at a time on a kept connection; replies must carry their length, as the server's do.
"""

import asyncio
from typing import NamedTuple

from benches.plan import BenchFailed

_HEAD_END = b"\r\n\r\n"
_STATUS = slice(9, 12)  # of "HTTP/1.1 200 OK"
_LENGTH = b"\r\ncontent-length:"


class Reply(NamedTuple):
    """A status and a body."""

    status: int
    body: bytes


class Connection(asyncio.Protocol):
    """One kept connection."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport
        self._buffer = b""
        self._reply: asyncio.Future[Reply] | None = None

    @classmethod
    async def open(cls, port: int) -> "Connection":
        """A connection to that port of this machine."""
        _, connection = await asyncio.get_running_loop().create_connection(cls, "127.0.0.1", port)
        return connection

    def begin(self, request: bytes) -> "asyncio.Future[Reply]":
        """Send a request; its reply is to come."""
        if self._reply is not None and not self._reply.done():
            raise RuntimeError("one request at a time")
        self._reply = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._reply

    async def ask(self, request: bytes, expected: int) -> bytes:
        """The reply's body; `BenchFailed` unless it has the expected status."""
        return expect(await self.begin(request), expected)

    def close(self) -> None:
        """Hang up; a reply that was still to come is nobody's loss."""
        if self._reply is not None:
            self._reply.cancel()
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio."""
        self._transport = transport  # type: ignore[assignment]  # a stream's transport can write

    def data_received(self, data: bytes) -> None:
        """Called by asyncio."""
        self._buffer = buffer = self._buffer + data if self._buffer else data
        end = buffer.find(_HEAD_END)
        if end < 0:
            return
        whole = end + len(_HEAD_END) + _length(buffer[:end])
        if len(buffer) < whole:
            return
        self._buffer = b""
        if self._reply is not None and not self._reply.done():
            self._reply.set_result(Reply(int(buffer[_STATUS]), buffer[end + len(_HEAD_END) : whole]))

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by asyncio."""
        if self._reply is not None and not self._reply.done():
            self._reply.set_exception(BenchFailed(f"The server closed a connection: {exc or 'without a reply'}"))


def _length(head: bytes) -> int:
    """The number of bytes that follow this head."""
    lowered = head.lower()
    place = lowered.find(_LENGTH)
    if place < 0:
        return 0
    line_end = lowered.find(b"\r\n", place + len(_LENGTH))
    return int(lowered[place + len(_LENGTH) : None if line_end < 0 else line_end])


def expect(reply: Reply, status: int) -> bytes:
    """The body of a reply that has this status."""
    if reply.status != status:
        raise BenchFailed(f"The server answered {reply.status}, not {status}: {reply.body[:300].decode()}")
    return reply.body


def get(path: str, token: str) -> bytes:
    """A GET request, ready to be sent."""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n\r\n".encode()


def post(path: str, token: str, body: bytes) -> bytes:
    """A POST request with a JSON body, ready to be sent; without a credential when `token` is empty."""
    credential = f"Authorization: Bearer {token}\r\n" if token else ""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{credential}"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
