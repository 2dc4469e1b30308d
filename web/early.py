"""Refusals before a request becomes one: under overload the many creates that are refused must cost next to nothing.

The usual way of a refusal takes about a sixth of what a whole job takes, so at three times the capacity a third of the
machine would go into saying no. Here it is a look at the bytes. It is taken only while the gate lets nobody wait, only
by a create that has come whole and alone on a connection that has been answered before, and says what the gate would
have said. Whatever is unusual takes the usual way.
"""

import re
from collections.abc import Callable

from aiohttp.helpers import rfc822_formatted_time

from interlock.errors import Unavailable
from interlock.ids import UuidIds
from web.access import decent_request_id
from web.gate import CROWDED, Gate
from web.problems import encode_problem

_IDS = UuidIds()
_CREATE = re.compile(rb"POST (?:/api/orgs/[\w-]+)?/jobs(?:/batch)? HTTP/1\.1\r\n")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d{1,9}) *\r\n")
_OWN_ID = re.compile(rb"\r\nx-request-id: *([^\r]*?) *\r\n", re.IGNORECASE)
_UNUSUAL = re.compile(rb"\r\n(?:transfer-encoding|expect|upgrade):|\r\nconnection:(?! *keep-alive *\r\n)")
_HEAD_END = b"\r\n\r\n"
_ANSWER = (
    "HTTP/1.1 503 Service Unavailable\r\nRetry-After: {wait}\r\nX-Request-Id: {id}\r\nServer: interlock\r\n"
    "Content-Type: application/problem+json\r\nContent-Length: {length}\r\nDate: {date}\r\n\r\n"
)


class Doorman:
    """`wait` gives the seconds of `Retry-After`, and `note` counts an answer of a status."""

    def __init__(self, gate: Gate, wait: Callable[[Unavailable], int], note: Callable[[int], None]) -> None:
        self._gate = gate
        self._wait = wait
        self._note = note

    @property
    def says_no(self) -> bool:
        """Whether creates are refused now."""
        return self._gate.closed

    def refusal(self, data: bytes) -> bytes | None:
        """The whole answer to a create, while they are refused; None for all that takes the usual way."""
        if not _CREATE.match(data):
            return None
        end = data.find(_HEAD_END)
        lowered = data[: end + 2].lower()
        length = _LENGTH.search(lowered)
        if end < 0 or length is None or len(data) != end + 4 + int(length[1]) or _UNUSUAL.search(lowered):
            return None
        given = _OWN_ID.search(data, 0, end + 2)
        own_id = decent_request_id(given[1].decode("latin-1") if given else None) or _IDS.new()
        error = Unavailable(CROWDED)
        body = encode_problem(error, own_id)
        date = rfc822_formatted_time()
        head = _ANSWER.format(wait=self._wait(error), id=own_id, length=len(body), date=date)
        self._gate.refused += 1
        self._note(error.status)
        return head.encode() + body
