"""The agents' connections of this process, and how many there may be."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from time import monotonic
from typing import Any, Protocol

import msgspec

from interlock.errors import RateLimited, Unavailable
from web.looks import keep_looking

LOOKS = 0.5  # seconds


class SocketLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds on sockets; described in `runtime/settings.py`."""

    ping_seconds: float = 20.0
    frame_bytes: int = 1_048_576
    frames_per_second: float = 200.0
    frames_at_once: int = 1000
    frames_under_way: int = 32
    unsent_bytes: int = 4_194_304
    strangers: int = 1000
    per_host: int = 8
    per_user: int = 100
    revocation_look_seconds: float = 1.0


class Link(Protocol):
    """One agent's connection, over whichever transport."""

    org_id: str
    host_id: str

    def deliver(self, event: str, data: Any) -> None:
        """Write one frame; never blocks, never raises."""

    def close(self, code: int, reason: str) -> None:
        """End it; the code is one of RFC 6455's."""

    def look(self, over: float) -> None:
        """Give up what has been under way since `over`, in seconds of the monotonic clock, or before."""


class Links:
    """To be used on the loop's thread only. Iterating gives the connections that are open."""

    def __init__(self, limits: SocketLimits) -> None:
        self.limits = limits
        self.strangers = 0  # connections that have not said yet who they are
        self._open: dict[Link, None] = {}
        self._of: Counter[str] = Counter()  # connections of a host or a user

    def __iter__(self) -> Iterator[Link]:
        return iter(list(self._open))

    def __len__(self) -> int:
        return len(self._open)

    @contextmanager
    def stranger(self) -> Iterator[None]:
        """While somebody has not said who it is; `Unavailable` when there are too many of them."""
        if self.strangers >= self.limits.strangers:
            raise Unavailable("Too many connections have yet to say who they are", retry_after=2)
        self.strangers += 1
        try:
            yield
        finally:
            self.strangers -= 1

    @contextmanager
    def of_host(self, host_id: str) -> Iterator[None]:
        """While a host has one connection more, old ones that are still closing included; `RateLimited` for too many."""
        with self._one_more(host_id, self.limits.per_host, "This host's agent opens too many connections"):
            yield

    @contextmanager
    def of_user(self, user_id: str) -> Iterator[None]:
        """While a user has one dashboard more; `RateLimited` for too many."""
        with self._one_more(user_id, self.limits.per_user, "This account has too many sockets open"):
            yield

    @contextmanager
    def _one_more(self, name: str, most: int, refusal: str) -> Iterator[None]:
        if self._of[name] >= most:
            raise RateLimited(refusal, retry_after=1)
        self._of[name] += 1
        try:
            yield
        finally:
            self._of[name] -= 1
            if not self._of[name]:
                del self._of[name]

    @contextmanager
    def holding(self, link: Link) -> Iterator[None]:
        """While it is open."""
        self._open[link] = None
        try:
            yield
        finally:
            del self._open[link]

    def close(self, code: int, reason: str) -> None:
        """End all of them."""
        for link in self:
            link.close(code, reason)

    def look(self, answer_seconds: float) -> None:
        """No answer is waited for without end."""
        over = monotonic() - answer_seconds
        for link in self:
            link.look(over)

    async def watch(self, answer_seconds: float) -> None:
        """Look until cancelled."""
        await keep_looking("link-watch", LOOKS, partial(self.look, answer_seconds))
