"""Refusals before a request becomes one: under overload the many creates that are refused must cost next to nothing.

The usual way of a refusal takes about a sixth of what a whole job takes, so at three times the capacity a third of the
machine would go into saying no. Here it is a look at the bytes. It is taken only while the gate lets nobody of the
organization in the path wait, only by a create that has come whole and alone, and says what the gate would have said.
Whatever is unusual takes the usual way, and so does a create whose organization only its token names.
"""

import re
from collections.abc import Callable

import msgspec
from aiohttp.helpers import rfc822_formatted_time

from interlock.errors import Unavailable
from interlock.ids import UuidIds
from web.access import decent_request_id
from web.gate import CROWDED, Gate
from web.problems import encode_problem

_IDS = UuidIds()
_CREATE = re.compile(rb"POST /api/orgs/([\w-]{1,100})/jobs(?:/batch)? HTTP/1\.1\r\n")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d{1,9}) *\r\n")
_OWN_ID = re.compile(rb"\r\nx-request-id: *([^\r]*?) *\r\n", re.IGNORECASE)
_UNUSUAL = re.compile(rb"\r\n(?:transfer-encoding|expect|upgrade):|\r\nconnection:(?! *keep-alive *\r\n)")
_HEAD_END = b"\r\n\r\n"
_ANSWER = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: %d\r\nX-Request-Id: %b\r\nServer: interlock\r\n"
    b"Content-Type: application/problem+json\r\nContent-Length: %d\r\nDate: %b\r\n\r\n%b%b%b"
)
_ERROR = Unavailable(CROWDED)
_ID_HERE = "id-here"
_BEFORE_ID, _BEHIND_ID = encode_problem(_ERROR, _ID_HERE).split(_ID_HERE.encode())


class Doorman:
    """`wait` gives the seconds of `Retry-After`, and `note` counts an answer of a status."""

    def __init__(self, gate: Gate, wait: Callable[[Unavailable], int], note: Callable[[int], None]) -> None:
        self._gate = gate
        self._wait = wait
        self._note = note

    @property
    def on_duty(self) -> bool:
        """Whether anybody waits, so that some may be refused."""
        return self._gate.waiting > 0

    def refusal(self, data: bytes) -> bytes | None:
        """The whole answer to a create, while its organization's are refused; None for all that takes the usual way."""
        create = _CREATE.match(data)
        if create is None or self._gate.lets_in(create[1].decode()):
            return None
        end = data.find(_HEAD_END)
        lowered = data[: end + 2].lower()
        length = _LENGTH.search(lowered)
        if end < 0 or length is None or len(data) != end + 4 + int(length[1]) or _UNUSUAL.search(lowered):
            return None
        given = _OWN_ID.search(data, 0, end + 2)
        own_id = (decent_request_id(given[1].decode("latin-1") if given else None) or _IDS.new()).encode()
        quoted = own_id if given is None else msgspec.json.encode(own_id.decode())[1:-1]
        length_now = len(_BEFORE_ID) + len(quoted) + len(_BEHIND_ID)
        self._gate.refused += 1
        self._note(_ERROR.status)
        date = rfc822_formatted_time().encode()
        return _ANSWER % (self._wait(_ERROR), own_id, length_now, date, _BEFORE_ID, quoted, _BEHIND_ID)
