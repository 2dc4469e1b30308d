"""One connection to a server, over which anything may be said: requests byte by byte, and frames of a WebSocket."""

import asyncio
import base64
import contextlib
import os
import struct
from typing import NamedTuple

MOST_HEAD = 1_000_000  # bytes
UPGRADED, FINAL = 101, 200  # other statuses below 200 announce an answer that follows
BARE = frozenset({101, 204, 304})  # answers without a body
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


class Reply(NamedTuple):
    """An answer as it came; header names in lower case, the last of each counts."""

    status: int
    headers: dict[str, str]
    body: bytes


class Wire:
    """A connection that is opened when it is needed, and again when the server has closed it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self.late = False  # whether the last answer did not come in time

    async def ask(self, request: bytes, method: str, seconds: float) -> Reply | None:
        """The answer; None when none came in time or the server closed instead, and the connection is given up."""
        self.late = False
        try:
            async with asyncio.timeout(seconds):
                if self._writer is None:
                    self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port, limit=MOST_HEAD)
                self._writer.write(request)
                await self._writer.drain()
                return await self._answer(method)
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError) as error:
            self.late = type(error) is TimeoutError
            await self.close()
            return None

    async def _answer(self, method: str) -> Reply:
        reader = self._reader
        if reader is None:
            raise ConnectionError
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            first, *lines = head.decode("latin-1").split("\r\n")[:-2]
            headers = {name.lower(): text.strip() for name, _, text in (line.partition(":") for line in lines)}
            status = int(first.split()[1])
            if status == UPGRADED or status >= FINAL:
                break
        body = b"" if method == "HEAD" or status in BARE else await _body(reader, headers)
        if status == UPGRADED or headers.get("connection", "").lower() == "close":
            await self.close()
        return Reply(status, headers, body)

    async def upgrade(self, path: str, token: str | None, seconds: float) -> bool:
        """Whether a WebSocket is open now."""
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [f"GET {path} HTTP/1.1", "Host: fuzz", "Upgrade: websocket", "Connection: Upgrade"]
        lines += [f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13"]
        lines += [] if token is None else [f"Authorization: Bearer {token}"]
        try:
            async with asyncio.timeout(seconds):
                self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port, limit=MOST_HEAD)
                self._writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
                head = await self._reader.readuntil(b"\r\n\r\n")
        except (TimeoutError, OSError, asyncio.IncompleteReadError):
            head = b""
        if not head.startswith(b"HTTP/1.1 101"):
            await self.close()
            return False
        return True

    async def say(self, data: bytes) -> bool:
        """Send bytes as they are; False when the other side has gone."""
        if self._writer is None or self._reader is None or self._reader.at_eof() or self._writer.is_closing():
            return False
        try:
            self._writer.write(data)
            async with asyncio.timeout(2):
                await self._writer.drain()
        except (OSError, TimeoutError):
            return False
        return True

    async def heard(self, seconds: float) -> bytes:
        """Whatever comes within that time, or is there already."""
        said = b""
        if self._reader is not None:
            with contextlib.suppress(TimeoutError, OSError):
                async with asyncio.timeout(seconds):
                    while data := await self._reader.read(65_536):
                        said += data
        return said

    async def close(self) -> None:
        """Drop it."""
        writer, self._writer, self._reader = self._writer, None, None
        if writer is not None:
            writer.close()
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(1):
                    await writer.wait_closed()


async def _body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding", "").lower() != "chunked":
        return await reader.readexactly(int(headers.get("content-length", "0")))
    body = b""
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readuntil(b"\r\n")
    return body


def frame(
    payload: bytes, opcode: int = TEXT, *, first: int = 0x80, masked: bool = True, length: int | None = None
) -> bytes:
    """A frame of a client; `first` are the bits before the opcode, `length` what it claims."""
    claimed = len(payload) if length is None else length
    mask = os.urandom(4) if masked else b""
    bit = 0x80 if masked else 0
    head = bytes([first | opcode])
    if claimed < 126:  # noqa: PLR2004 - RFC 6455
        head += bytes([bit | claimed])
    elif claimed < 2**16:
        head += bytes([bit | 126]) + struct.pack("!H", claimed)
    else:
        head += bytes([bit | 127]) + struct.pack("!Q", claimed)
    said = bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload)) if masked else payload
    return head + mask + said
