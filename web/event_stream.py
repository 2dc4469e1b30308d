"""Fan-out to dashboards: per org a numbered stream whose last events can be replayed.

A subscriber is only a position in the stream, so a client that is too slow costs no memory: when the stream has moved
past it, it is told of a gap and goes on from the newest.
"""

import asyncio
from collections import deque
from collections.abc import Callable

import msgspec

from interlock.clock import Clock, rfc3339

_encode = msgspec.json.Encoder().encode


class Frame:
    """One event; encoded when the first subscriber wants it."""

    __slots__ = ("_text", "at", "data", "event", "seq")

    def __init__(self, event: str, seq: int, at: int, data: msgspec.Struct) -> None:
        self.event = event
        self.seq = seq
        self.at = at
        self.data = data
        self._text: str | None = None

    @property
    def text(self) -> str:
        """The frame as it goes over a socket."""
        if self._text is None:
            body = {"event": self.event, "seq": self.seq, "at": rfc3339(self.at), "data": self.data}
            self._text = _encode(body).decode()
        return self._text


class EventStream:
    """One org's events. Numbers grow by one from the stream's birth time in µs, so a restart never repeats one."""

    def __init__(self, born_at: int, history: int) -> None:
        self.born = self.newest = born_at * 1000
        self._frames: deque[Frame] = deque(maxlen=history)
        self._waiting: set[asyncio.Future[None]] = set()

    def publish(self, event: str, at: int, data: msgspec.Struct) -> None:
        """Append, and wake who waits."""
        self.newest += 1
        self._frames.append(Frame(event, self.newest, at, data))
        if self._waiting:
            self.wake()

    def wake(self) -> None:
        """Let all who wait look again."""
        waiting, self._waiting = self._waiting, set()
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)

    def after(self, seq: int) -> list[Frame] | None:
        """The frames after that number, oldest first; None when some of them are gone, or never were."""
        missed = self.newest - seq
        if missed == 0:
            return []
        if missed < 0 or missed > len(self._frames):
            return None
        first = len(self._frames) - missed
        return [self._frames[place] for place in range(first, min(first + _AT_ONCE, len(self._frames)))]

    async def wait(self, seq: int) -> None:
        """Return when there is something after that number, or when all are woken."""
        if self.newest == seq:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.add(waiter)
            try:
                await waiter
            finally:
                self._waiting.discard(waiter)


_AT_ONCE = 256  # frames handed to one subscriber before it must have written them


class EventStreams:
    """The streams of all orgs, each born with its first event or subscriber. An `EventPort` for the actors."""

    def __init__(self, clock: Clock, history: int) -> None:
        self._clock = clock
        self._history = history
        self._streams: dict[str, EventStream] = {}
        self.listeners: list[Callable[[str, str, msgspec.Struct], None]] = []
        self.published = 0

    def stream(self, org_id: str) -> EventStream:
        """The org's stream."""
        stream = self._streams.get(org_id)
        if stream is None:
            stream = self._streams[org_id] = EventStream(self._clock.now(), self._history)
        return stream

    def position(self, org_id: str) -> int | None:
        """Where the org's stream stands, or None while there is none: a stranger's look must not make one."""
        stream = self._streams.get(org_id)
        return None if stream is None else stream.newest

    def wake_all(self) -> None:
        """The server is stopping: nobody is to wait for an event any more."""
        for stream in self._streams.values():
            stream.wake()

    def publish(self, org_id: str, event: str, data: msgspec.Struct) -> None:
        """Tell all dashboards of the org."""
        self.published += 1
        self.stream(org_id).publish(event, self._clock.now(), data)
        for listener in self.listeners:
            listener(org_id, event, data)
