"""A client for one command: with a bearer token, or with the session that `interlock login` has opened."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from interlock.cli.profiles import Profile
from interlock.client import Client
from interlock.errors import Unauthenticated

DEFAULT_URL = "http://127.0.0.1:8080"
CONNECT_SECONDS = 5.0  # at most, for the TCP and TLS handshake

_NO_CREDENTIAL = (
    "No token: `interlock login` stores one, or set INTERLOCK_TOKEN, or pass --token. "
    "On the server's machine `interlock admin token --email YOU` prints one"
)


class SessionClient(Client):
    """Shows a browser's cookie in place of a token, as a page of the server itself would."""

    def __init__(self, url: str, cookie: str, csrf_token: str, *, connect_seconds: float, read_seconds: float) -> None:
        super().__init__(url, "none", connect_seconds=connect_seconds, read_seconds=read_seconds)
        parts = urlsplit(url)
        self._headers = {
            "Accept": "application/json",
            "Cookie": cookie,
            "X-CSRF-Token": csrf_token,
            "Origin": f"{parts.scheme}://{parts.netloc}",
        }


@dataclass(frozen=True, slots=True)
class Door:
    """Where the server is, and who asks: `token`, or else the credential of `profile` if that is for this very server."""

    url: str
    token: str | None
    profile: Profile | None

    @classmethod
    def choose(cls, url: str | None, token: str | None, profile: Profile | None) -> "Door":
        """What was given counts before the profile. A stored credential is never shown to another server."""
        where = url or (profile.url if profile else DEFAULT_URL)
        fits = profile is not None and same_server(where, profile.url)
        return cls(where, (token or "").strip() or None, profile if fits else None)

    def client(self, read_seconds: float) -> Client:
        """A client whose silences may last `read_seconds`; `Unauthenticated` when there is no credential."""
        connect = min(CONNECT_SECONDS, read_seconds)
        stored = self.profile
        token = self.token or (stored.token if stored else None)
        if token is None and stored is not None and stored.cookie and stored.csrf_token:
            return SessionClient(
                self.url, stored.cookie, stored.csrf_token, connect_seconds=connect, read_seconds=read_seconds
            )
        if token is None:
            raise Unauthenticated(_NO_CREDENTIAL)
        return Client(self.url, token, connect_seconds=connect, read_seconds=read_seconds)


def same_server(one: str, other: str) -> bool:
    """Whether two addresses are written alike, but for a slash at the end."""
    return one.rstrip("/") == other.rstrip("/")
