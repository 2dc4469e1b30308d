"""JSON that is there whole, as nearly every answer on the way of a job is: head and body go out in one piece.

aiohttp looks at all that an answer might be (compressed, in chunks, without a length, for an old client) each time: 7 µs,
of which this takes 3. Whatever is not plain takes aiohttp's way. It rests on inner names of aiohttp's answer, as
`tests/unit/test_answers.py` pins them.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from aiohttp import HttpVersion11, web
from aiohttp.helpers import rfc822_formatted_time

if TYPE_CHECKING:
    from aiohttp.abc import AbstractStreamWriter

_JSON = "application/json"


class Answer(web.Response):
    """A body of JSON."""

    def __init__(self, body: bytes, *, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(body=body, status=status, headers=headers, content_type=_JSON)
        self._whole = body

    async def prepare(self, request: web.BaseRequest) -> "AbstractStreamWriter | None":
        """Write all of it, if nothing is in the way."""
        return None if self.write_at_once(request) else await super().prepare(request)

    def write_at_once(self, request: web.BaseRequest) -> bool:
        """Write all of it here and now; whether that could be. Whoever calls this himself stamps it first."""
        transport = request.transport
        if (
            self.prepared
            or transport is None
            or transport.is_closing()
            or transport.get_write_buffer_size()
            or request.version != HttpVersion11
            or not request.keep_alive
            or self._keep_alive is False
            or self.body is not self._whole
            or self._compression
            or self._cookies
        ):
            return False
        head = [f"HTTP/1.1 {self.status} {self.reason}"]
        head += [f"{name}: {value}" for name, value in self.headers.items()]
        head.append(f"Content-Length: {len(self._whole)}\r\nDate: {rfc822_formatted_time()}\r\n\r\n")
        message = "\r\n".join(head).encode() + self._whole
        transport.write(message)
        request.writer.output_size += len(message)  # so that nobody takes it for unanswered
        self._body_length = len(self._whole)
        self._keep_alive = self._eof_sent = True
        return True
