"""Requests that no decent client would send."""

import asyncio
from typing import NamedTuple

import msgspec

PATIENCE = 10.0  # seconds


class RawReply(NamedTuple):
    """An answer as it came over the wire; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        """The problem's code; checks that it is a whole problem."""
        assert self.headers.get("content-type") == "application/problem+json", self
        problem = msgspec.json.decode(self.body)
        assert self.headers["x-request-id"] == problem["requestId"]
        assert problem["status"] == self.status
        return str(problem["code"])


async def send(port: int, data: bytes) -> RawReply:
    """Send these bytes and read the first final answer; `ConnectionError` when there is none."""
    async with asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(data)
            await writer.drain()
            reply = await _answer(reader)
            while 100 <= reply.status < 200:
                reply = await _answer(reader)
            return reply
        finally:
            writer.close()


async def _answer(reader: asyncio.StreamReader) -> RawReply:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        raise ConnectionError(f"closed after {error.partial!r}") from error
    first, *lines = head.decode("latin-1").split("\r\n")[:-2]
    headers = {name.lower(): text.strip() for name, _, text in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return RawReply(int(first.split()[1]), headers, body)


def request(method: str, path: str, token: str, *lines: str | bytes, body: bytes = b"") -> bytes:
    """A request with a credential, and these header lines as they are."""
    given = [line if isinstance(line, bytes) else line.encode() for line in lines]
    head = [f"{method} {path} HTTP/1.1".encode(), b"Host: x", f"Authorization: Bearer {token}".encode(), *given]
    return b"\r\n".join(head) + b"\r\n\r\n" + body
