"""Time comes in through this door: the only callers of the system's clock and of its chance.

Instants are `Millis`: whole milliseconds since 1970-01-01T00:00Z, the same number in memory and in every
database. They become RFC 3339 text only at the edge.
"""

import random
import re
import time
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Protocol, TypeAlias

from interlock.errors import InvalidRequest

Millis: TypeAlias = int

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST: Millis = 253_402_300_799_999  # 9999-12-31T23:59:59.999Z, the last instant that RFC 3339 can write


class Clock(Protocol):
    """Where instants and chance come from."""

    def now(self) -> Millis:
        """The present instant."""

    def chance(self) -> float:
        """A number in [0, 1) for jitter; never for secrets."""


class SystemClock:
    """The machine's own clock and chance."""

    def now(self) -> Millis:
        """The machine's wall clock."""
        return time.time_ns() // 1_000_000

    def chance(self) -> float:
        """The process's own generator."""
        return random.random()  # noqa: S311 - jitter, not a secret


def seconds(span: Millis) -> float:
    """The span in seconds; a whole number of them as one, for what is strict about `600.0` (Go's integers are)."""
    return span // 1000 if span % 1000 == 0 else span / 1000


def rfc3339(at: Millis) -> str:
    """The instant as `2026-11-22T02:34:06.123Z`."""
    return f"{_second(at // 1000)}.{at % 1000:03d}Z"


@lru_cache(maxsize=256)
def _second(seconds: int) -> str:
    """Most instants of a document, and of its neighbours, share their second."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"


def parse_rfc3339(text: str, *, path: str = "$") -> Millis:
    """The instant that `text` names; `InvalidRequest` at `path` unless it is RFC 3339 with an offset."""
    if not _RFC3339.fullmatch(text):
        raise InvalidRequest.at(path, "expected an RFC 3339 time with an offset, such as 2026-11-22T02:34:06Z")
    try:
        at = (datetime.fromisoformat(text.upper()) - _EPOCH) // timedelta(milliseconds=1)
    except (ValueError, OverflowError) as error:
        raise InvalidRequest.at(path, f"not a time: {error}") from error
    if not 0 <= at <= _LATEST:
        raise InvalidRequest.at(path, "a time between the years 1970 and 9999 is expected")
    return at
