"""How many requests a credential and an organization may send in a window. Off unless a setting says a number: then nothing
here is loaded but this page, and a request pays one look at a None.

What is counted: requests whose credential holds, and sockets that open. Who is refused is counted too.
"""

from typing import Literal, NamedTuple, Protocol

from aiohttp import web

Kind = Literal["token", "session", "key", "org"]


class RequestLimits(NamedTuple):
    """Requests in a window, 0: no limit; described in `runtime/settings.py`."""

    per_token: int = 0
    per_session: int = 0
    per_key: int = 0
    per_org: int = 0
    window_seconds: int = 60

    @property
    def any(self) -> bool:
        """Whether anything is limited at all."""
        return bool(self.per_token or self.per_session or self.per_key or self.per_org)

    def of(self, kind: Kind) -> int:
        """Requests that one of this kind may send in a window; 0: any number."""
        return {"token": self.per_token, "session": self.per_session, "key": self.per_key, "org": self.per_org}[kind]


class Standing(NamedTuple):
    """Where somebody stands in his window."""

    kind: Kind
    limit: int
    window_seconds: int
    left: int  # below 0: refused
    ends_in: float | None = None  # seconds until the window ends, where that is known without asking again

    def write(self, response: web.StreamResponse) -> None:
        """As headers (draft-ietf-httpapi-ratelimit-headers), so that a client can pace itself."""
        response.headers["RateLimit-Policy"] = f'"{self.kind}";q={self.limit};w={self.window_seconds}'
        ends = "" if self.ends_in is None else f";t={max(1, round(self.ends_in))}"
        response.headers["RateLimit"] = f'"{self.kind}";r={max(0, self.left)}{ends}'


class RequestRates(Protocol):
    """What counts; see `web.request_windows`."""

    async def enter(self, kind: Kind, name: str) -> Standing | None:
        """Count one request of whoever has that name; None when this kind is not limited."""

    async def start(self) -> None:
        """Begin."""

    async def stop(self) -> None:
        """Let go."""


STANDING = web.RequestKey("standing", Standing)  # the one with the least left, for the answer's headers
