"""Hostile frames: on agents' sockets, plain and of Socket.IO, and on dashboards'."""

import json
import random
from typing import Any

from fuzzer.crowd import Crowd
from fuzzer.wire import BINARY, CLOSE, PING, PONG, TEXT, frame
from fuzzer.words import TEXTS, Documents, encoded, happens, odd_value

SOCKETS = {  # a path, and whether its frames are packets of Socket.IO; `{org}` is filled in
    "agent": ("/agent", False),
    "stranger": ("/agent?instanceId=x&running=", False),
    "dashboard": ("/ws?orgId={org}&after=1", False),
    "socketio": ("/socket.io/?EIO=4&transport=websocket", True),
}
NAMESPACES = ("/agent,", "", "/admin,", "/agent")


class Frames:
    """Makes them from a document."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._documents = Documents(document["components"]["schemas"])
        agents = document["x-sockets"]["/agent"]
        self._events = {each["event"]: each["data"] for each in agents["exchanges"]} | {"auth": agents["auth"]}

    def first(self, kind: str, chance: random.Random, crowd: Crowd) -> list[bytes]:
        """What begins a conversation, mostly as it should."""
        token = crowd.tokens[chance.choice(list(crowd.tokens))]
        if kind == "socketio":
            namespace = chance.choice(NAMESPACES[:2])
            token = crowd.tokens["agent" if namespace else "owner"]
            auth: dict[str, Any] = {
                "token": token,
                "orgId": crowd.ids["org"],
                "after": chance.choice((None, 0, "1", "x", -1, [], 1e99)),
            }
            return [frame(f"40{namespace}{json.dumps(auth)}".encode())]
        if kind == "agent" or happens(chance, 0.3):
            return []
        return [frame(json.dumps({"event": "auth", "data": {"token": token}}).encode())]

    def make(self, kind: str, chance: random.Random, crowd: Crowd) -> bytes:
        """One frame, mostly of the kind that the socket understands."""
        if happens(chance, 0.04):
            return _broken(chance)
        if happens(chance, 0.06):
            return frame(chance.randbytes(chance.choice((0, 1, 125))), chance.choice((BINARY, PING, PONG)))
        name = chance.choice((*self._events, *self._events, *TEXTS[:20]))
        schema = self._events.get(name, {"type": "object"})
        data = self._documents.fitting(schema, chance, crowd.all_ids)
        if isinstance(data, dict) and "jobId" in data:
            data["jobId"] = crowd.ids[chance.choice(("job", "running", "done", "pool"))]
        for _ in range(chance.choice((0, 1, 1, 2))):
            data = self._documents.mutated(data, chance, crowd.all_ids)
        if kind == "socketio":
            return frame(_packet(name, data, chance, crowd))
        envelope: Any = {"event": name, "data": data}
        if happens(chance, 0.2):
            envelope["id"] = odd_value(chance, crowd.all_ids)
        if happens(chance, 0.1):
            envelope = self._documents.mutated(envelope, chance, crowd.all_ids)
        return frame(encoded(envelope, chance)[:900_000])


def _packet(name: str, data: Any, chance: random.Random, crowd: Crowd) -> bytes:
    """A packet of Engine.IO, mostly a message with an event."""
    if happens(chance, 0.1):
        return chance.choice(
            (b"", b"2", b"3", b"2probe", b"5", b"6", b"9", b"4", b"44", b"49", b"4x", b"b" + b"AAAA", b"\x00")
        )
    namespace = chance.choice((*NAMESPACES[:1] * 5, *NAMESPACES))
    kind = chance.choice(("2", "2", "2", "2", "2", "0", "1", "3", "51-", "61-", "7"))
    number = chance.choice(("", "", "7", "-1", "9" * 30, "x"))
    said: Any = [name, data] if happens(chance, 0.9) else odd_value(chance, crowd.all_ids)
    return f"4{kind}{namespace}{number}".encode() + encoded(said, chance)[:900_000]


def _broken(chance: random.Random) -> bytes:
    """What is no frame, or none that a client may send. Mostly the server closes."""
    text = b'{"event":"heartbeat","data":{}}'
    return chance.choice(
        (
            lambda: frame(text, masked=False),
            lambda: frame(text, first=0xC0),
            lambda: frame(text, first=0xF0),
            lambda: frame(text, 3),
            lambda: frame(text, 0),
            lambda: frame(b"a" * 126, PING),
            lambda: frame(text, length=2**63),
            lambda: frame(text, length=2**40),
            lambda: frame(text[:9], first=0) + frame(text[9:], 0),
            lambda: frame(text[:9], first=0) + frame(text, TEXT),
            lambda: frame(b"\xff\xfe\x00", TEXT),
            lambda: frame(b"\x00", CLOSE),
            lambda: frame(b"\x03\xe8bye", CLOSE),
            lambda: frame(b"\xff\xff" + b"\xff" * 50, CLOSE),
            lambda: chance.randbytes(200),
            lambda: b"GET / HTTP/1.1\r\n\r\n",
        )
    )()
