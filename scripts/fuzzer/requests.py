"""Hostile requests: to every operation of the server's document, each with something wrong, or nothing at all."""

import json
import random
import re
from typing import Any, NamedTuple
from urllib.parse import quote

from fuzzer.crowd import Crowd
from fuzzer.words import TEXTS, Documents, encoded, happens, odd_value

KINDS = {
    "hostId": "host",
    "jobId": "job",
    "jobRunId": "run",
    "instanceId": "instance",
    "assetId": "asset",
    "kid": "key",
}
KINDS |= {"orgId": "org", "enrolmentId": "enrolment", "sessionId": "session", "userId": "member"}
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "get", "A" * 40)
MEDIA = (
    "application/json",
    "application/json; charset=utf-16",
    "application/merge-patch+json",
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "multipart/form-data",
    "a/b/c",
    "",
)
HEADERS = (
    *("X-Request-Id", "Idempotency-Key", "If-Match", "If-None-Match", "Prefer", "Content-Encoding", "Expect", "Origin"),
    *(
        "Cookie",
        "X-Forwarded-For",
        "X-Forwarded-Proto",
        "traceparent",
        "tracestate",
        "Range",
        "Transfer-Encoding",
        "TE",
    ),
    *(
        "Content-Length",
        "Accept",
        "Accept-Encoding",
        "Host",
        "Upgrade",
        "Connection",
        "Sec-WebSocket-Key",
        "X-HTTP-Method",
    ),
)
_BARE = re.compile(r"[\r\n\x00]")


class Hostile(NamedTuple):
    """Bytes to send; `method` and `path` say whom they are meant for, `sound` whether the framing is that of HTTP."""

    method: str
    path: str
    data: bytes
    sound: bool

    def __str__(self) -> str:
        return repr(self.data[:1500])


class Requests:
    """Makes them from a document."""

    def __init__(self, document: dict[str, Any], origin: str) -> None:
        self._documents = Documents(document["components"]["schemas"])
        self._origin = origin
        self._operations = [
            (method.upper(), path, operation)
            for path, item in document["paths"].items()
            for method, operation in item.items()
            if method != "parameters"
        ]

    def make(self, chance: random.Random, crowd: Crowd) -> Hostile:
        """One."""
        method, template, operation = chance.choice(self._operations)
        path = self._path(template, operation, chance, crowd)
        body = self._body(operation, chance, crowd)
        if happens(chance, 0.06):
            method = chance.choice(METHODS)
        lines, sound = _headers(chance, crowd)
        lines += crowd.credential(chance, self._origin, of_agents=template.startswith("/api/agent/"))
        lines += [f"Host: {self._origin.partition('//')[2]}"] if happens(chance, 0.98) else []
        if body is not None:
            media = chance.choice(MEDIA) if happens(chance, 0.1) else MEDIA[0]
            lines += [f"Content-Type: {media}", f"Content-Length: {len(body)}"]
        elif method not in {"GET", "HEAD", "DELETE", "OPTIONS"}:
            lines.append("Content-Length: 0")
        version = "HTTP/1.1" if happens(chance, 0.99) else chance.choice(("HTTP/1.0", "HTTP/2.0", "HTTP/9", ""))
        head = "\r\n".join([f"{method} {path} {version}", *lines])
        return Hostile(method, path, head.encode(errors="surrogatepass") + b"\r\n\r\n" + (body or b""), sound)

    def _path(self, template: str, operation: dict[str, Any], chance: random.Random, crowd: Crowd) -> str:
        def named(found: re.Match[str]) -> str:
            if happens(chance, 0.75):
                return quote(crowd.ids.get(KINDS.get(found[1], found[1])) or "x", safe="")
            if happens(chance, 0.6):
                return chance.choice(crowd.all_ids)
            odd = chance.choice(TEXTS)[:3000].encode(errors="surrogatepass")
            return quote(odd, safe=chance.choice(("", "", "%")))

        path = re.sub(r"\{(\w+)\}", named, template)
        # A log that is followed is waited for whatever its reader does, for longer than a run should take to settle.
        query = [
            (param["name"], self._query_value(param["schema"], chance, crowd))
            for param in operation.get("parameters", ())
            if param.get("in") == "query" and param["name"] != "follow" and happens(chance, 0.3)
        ]
        if happens(chance, 0.05):
            query.append((chance.choice(TEXTS)[:50], chance.choice(TEXTS)[:200]))
        if query:
            path += "?" + "&".join(f"{_quoted(name)}={_quoted(value)}" for name, value in query)
        return (
            path
            if happens(chance, 0.98)
            else chance.choice(("//", "/.", "/..;", "?", "/%", "*", "http://x/"))[:1] + path
        )

    def _query_value(self, schema: dict[str, Any], chance: random.Random, crowd: Crowd) -> str:
        if happens(chance, 0.6):
            return str(self._documents.fitting(schema, chance, crowd.all_ids))
        return str(odd_value(chance, crowd.all_ids))[:3000]

    def _body(self, operation: dict[str, Any], chance: random.Random, crowd: Crowd) -> bytes | None:
        content = operation.get("requestBody", {}).get("content", {})
        if not content:
            return None if happens(chance, 0.95) else b"{}"
        schema = content.get("application/json", {}).get("schema")
        if schema is None:
            return random.Random(chance.random()).randbytes(chance.choice((0, 1, 1000, 70_000)))  # noqa: S311 - no secret
        value = self._documents.fitting(schema, chance, crowd.all_ids)
        for _ in range(chance.choice((0, 1, 1, 1, 2, 3))):
            value = self._documents.mutated(value, chance, crowd.all_ids)
        if happens(chance, 0.01):
            return chance.choice((b"", b"\x00", b"[" * 200_000, b'{"a":' * 50_000, b'"' + b"a" * 1_100_000 + b'"'))
        if happens(chance, 0.01) and isinstance(value, dict):
            text = json.dumps(value)
            return (text[:-1] + "," + text[1:]).encode()
        return encoded(value, chance)


def _headers(chance: random.Random, crowd: Crowd) -> tuple[list[str], bool]:
    """Lines that are none of the request's business, and whether they leave its framing alone."""
    lines, sound = [], True
    while happens(chance, 0.3):
        name = chance.choice(HEADERS) if happens(chance, 0.95) else chance.choice(TEXTS)[:60]
        value = chance.choice((*TEXTS, *crowd.all_ids[:2], "100-continue", "gzip", "chunked", "wait=1", "websocket"))
        if happens(chance, 0.9):
            value = _BARE.sub(" ", value)
        sound = sound and name not in {"Content-Length", "Transfer-Encoding", "Host", "Connection", "Upgrade", "Expect"}
        sound = sound and not _BARE.search(value) and not _BARE.search(name)
        lines.append(f"{name}: {value}")
    return lines, sound


def _quoted(text: str) -> str:
    return quote(text.encode(errors="surrogatepass"), safe="")
