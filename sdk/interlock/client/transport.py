"""One kept-alive HTTP connection and what can go wrong on it. Knows nothing of jobs."""

import http.client
import select
import socket
from collections.abc import Mapping
from email.message import Message
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

from interlock.client.problems import Unreachable
from interlock.errors import InvalidRequest


class Answer(NamedTuple):
    """A whole answer; `headers` are looked up in any case."""

    status: int
    headers: Message
    body: bytes


class Transport:
    """Sends requests to one server, one after another; not for several threads at once.

    `connect_seconds` bounds the TCP (and TLS) handshake, `read_seconds` each silence while an answer is awaited.
    """

    def __init__(self, url: str, *, connect_seconds: float, read_seconds: float) -> None:
        parts = _parse(url)
        self.url = url
        self._prefix = parts.path.rstrip("/")
        self._read_seconds = read_seconds
        self._connection = _connection(parts, connect_seconds)

    def exchange(self, method: str, target: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        """One request and its answer, whatever its status; `Unreachable` when there is none."""
        try:
            self._make_ready()
            whole = self._ask(method, self._prefix + target, headers, body)
            with self._connection.getresponse() as response:
                answer = Answer(response.status, response.headers, response.read())
        except (OSError, UnicodeError, http.client.HTTPException) as error:
            self.close()
            raise Unreachable(f"{self.url} does not answer ({_reason(error)})") from error
        except BaseException:
            self.close()  # interrupted half-way: what is still on the wire belongs to nobody
            raise
        if not whole:
            self.close()
        return answer

    def _ask(self, method: str, target: str, headers: Mapping[str, str], body: bytes | None) -> bool:
        """Whether all of the request went out: a server that refuses a large body answers, and closes, before."""
        try:
            self._connection.request(method, target, body, headers)
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        self._connection.close()

    def _make_ready(self) -> None:
        if self._connection.sock is not None and _has_hung_up(self._connection.sock):
            self._connection.close()
        if self._connection.sock is None:
            self._connection.connect()
            _connected(self._connection).settimeout(self._read_seconds)


def _parse(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        named = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError as error:
        raise InvalidRequest.at("url", f"{url!r}: {error}") from error
    if not named or parts.query or parts.fragment or not url.isascii() or not url.isprintable() or " " in url:
        raise InvalidRequest.at("url", f"expected something like http://127.0.0.1:8080, not {url!r}")
    return parts


def _connection(parts: SplitResult, connect_seconds: float) -> http.client.HTTPConnection:
    # The port is always named: without one, http.client would take the end of an IPv6 address for it.
    if parts.scheme == "https":
        return http.client.HTTPSConnection(parts.hostname or "", parts.port or 443, timeout=connect_seconds)
    return http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=connect_seconds)


def _connected(connection: http.client.HTTPConnection) -> socket.socket:
    if connection.sock is None:
        raise http.client.NotConnected
    return connection.sock


def _has_hung_up(sock: socket.socket) -> bool:
    """Whether an idle connection has anything to read: between requests that can only be its end."""
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "timed out"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
