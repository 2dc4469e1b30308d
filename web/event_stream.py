"""Events for dashboards: per org a numbered stream whose last events can be replayed.

A subscriber is only a cursor into the stream, so a client that is too slow costs no memory: when the stream has moved
past it, it is told of a gap and goes on from the newest. Numbers grow by one from the stream's birth time in µs, so a
restart never repeats one. When what numbers the events is replaced (Redis was emptied, or went away), the stream is
*reborn*: a `gap` frame stands in it, where every subscriber comes past, and the numbers go on from there.

A cursor counts frames, gaps included; in a stream that was never reborn it is the number of the frame before it.
"""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from interlock.clock import Clock, Millis, rfc3339

_encode = msgspec.json.Encoder().encode
AT_ONCE = 256  # frames handed to one subscriber before it must have written them


def encode_event(event: str, at: Millis, data: Any) -> bytes:
    """A frame as JSON, without its number."""
    return _encode({"event": event, "at": rfc3339(at), "data": data})


def numbered(seq: int, body: str) -> str:
    """The frame as it goes over a socket; `body` is what `encode_event` made."""
    return f'{{"seq":{seq},{body[1:]}'


class Frame(msgspec.Struct, gc=False):
    """One event. It is encoded when the first subscriber wants it: of most, nobody does."""

    seq: int
    event: str
    at: Millis
    data: Any
    encoded: str | None = None

    @property
    def text(self) -> str:
        """The frame as it goes over a socket."""
        if self.encoded is None:
            self.encoded = numbered(self.seq, encode_event(self.event, self.at, self.data).decode())
        return self.encoded


class EventStream:
    """One org's events."""

    def __init__(self, born: int, history: int) -> None:
        self.born = self.newest = born  # events have the numbers after `born`, up to `newest`
        self._frames: deque[Frame] = deque(maxlen=history)
        self._shift = 0  # from a cursor to a number
        self._waiting: set[asyncio.Future[None]] = set()

    @property
    def end(self) -> int:
        """The cursor behind the newest frame."""
        return self.newest - self._shift

    @property
    def oldest(self) -> int:
        """The least number after which everything is here."""
        return max(self.born, self.newest - len(self._frames))

    @property
    def kept(self) -> int:
        """Frames in memory."""
        return len(self._frames)

    @property
    def last_at(self) -> Millis:
        """When the newest frame in memory was appended; 0 without any."""
        return self._frames[-1].at if self._frames else 0

    def forget(self, most: int) -> int:
        """Let go of so many frames, the oldest, or of all; how many that were. Who has not read them is told of a gap."""
        gone = min(most, len(self._frames))
        for _ in range(gone):
            self._frames.popleft()
        return gone

    @property
    def room(self) -> int:
        """How many older frames can be put in front: none before a gap or what has been forgotten."""
        whole = len(self._frames) == self.newest - self.born
        return (self._frames.maxlen or 0) - len(self._frames) if whole else 0

    def publish(self, event: str, at: Millis, data: msgspec.Struct) -> None:
        """Append with the next number, and wake who waits."""
        self.newest = seq = self.newest + 1
        self._frames.append(Frame(seq, event, at, data))
        if self._waiting:
            self.wake()

    def adopt(self, bodies: Iterable[str]) -> None:
        """Append events that were numbered elsewhere, with the next numbers."""
        for body in bodies:
            self.newest = seq = self.newest + 1
            self._frames.append(Frame(seq, "", 0, None, numbered(seq, body)))
        self.wake()

    def prepend(self, bodies: Sequence[str]) -> None:
        """Put older events in front, which end where the stream began; no more of them than there is `room`."""
        self.born -= len(bodies)
        self._frames.extendleft(
            Frame(self.born + place, "", 0, None, numbered(self.born + place, bodies[place - 1]))
            for place in range(len(bodies), 0, -1)
        )

    def reborn(self, born: int, at: Millis) -> None:
        """Numbers go on after `born`; whoever watches is told of a gap there."""
        gap = Frame(born, "gap", at, {"after": self.newest})
        self._shift = born - (self.end + 1)
        self.born = self.newest = born
        self._frames.append(gap)
        self.wake()

    def wake(self) -> None:
        """Let all who wait look again."""
        waiting, self._waiting = self._waiting, set()
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)

    def cursor(self, seq: int) -> int | None:
        """The cursor behind that number; None when some events after it are gone, or when it never was."""
        return seq - self._shift if self.oldest <= seq <= self.newest else None

    def after(self, cursor: int) -> list[Frame] | None:
        """The frames behind the cursor, oldest first, 256 at most; None when some of them are gone."""
        missed = self.end - cursor
        if missed == 0:
            return []
        if missed > len(self._frames):
            return None
        first = len(self._frames) - missed
        return [self._frames[place] for place in range(first, min(first + AT_ONCE, len(self._frames)))]

    async def wait(self, cursor: int) -> None:
        """Return when there is something behind the cursor, or when all are woken."""
        if self.end == cursor:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.add(waiter)
            try:
                await waiter
            finally:
                self._waiting.discard(waiter)


class EventStreams:
    """The streams of all orgs in this process, each born with its first event or subscriber: the embedded default.

    `history` events are kept of each org, and about `total` of all together: beyond, the orgs that were quiet for longest
    lose theirs. A stream that nobody watches is then forgotten, and born anew with the next event: its later birth is told
    as a gap to whoever comes back.
    """

    def __init__(self, clock: Clock, history: int, total: int = 100_000) -> None:
        self._clock = clock
        self._history = history
        self._total = total
        self._streams: dict[str, EventStream] = {}
        self._watchers: Counter[str] = Counter()
        self._counted_at = 0  # how many events had been published when those that are kept were counted last
        self._forgotten = 0  # the highest number of a stream that was forgotten: no later one begins below it
        self.listeners: list[Callable[[str, str, msgspec.Struct], None]] = []
        self.published = 0

    @property
    def kept(self) -> int:
        """Events in memory."""
        return sum(stream.kept for stream in self._streams.values())

    def stream(self, org_id: str) -> EventStream:
        """The org's stream."""
        stream = self._streams.get(org_id)
        if stream is None:
            stream = self._streams[org_id] = EventStream(max(self._clock.now() * 1000, self._forgotten), self._history)
        return stream

    def publish(self, org_id: str, event: str, data: msgspec.Struct) -> None:
        """Tell all dashboards of the org."""
        self.published += 1
        self.stream(org_id).publish(event, self._clock.now(), data)
        if self.published - self._counted_at > self._total // 4:
            self._make_room()
        for listener in self.listeners:
            listener(org_id, event, data)

    def _make_room(self) -> None:
        """Seldom, since it looks at all streams: of those that were quiet for longest events go, until a quarter is free."""
        self._counted_at = self.published
        too_many = self.kept - self._total * 3 // 4
        for org_id in sorted(self._streams, key=lambda org_id: self._streams[org_id].last_at):
            stream = self._streams[org_id]
            if too_many > 0:
                too_many -= stream.forget(too_many)
            if not stream.kept and not self._watchers[org_id]:
                self._forgotten = max(self._forgotten, stream.newest)
                del self._streams[org_id]

    async def position(self, org_id: str) -> int | None:
        """Where the org's stream stands, or None while there is none: a stranger's look must not make one."""
        stream = self._streams.get(org_id)
        return None if stream is None else stream.newest

    @asynccontextmanager
    async def watching(self, org_id: str) -> AsyncIterator[EventStream]:
        """The org's stream, which is there in any case, and stays for as long as somebody watches it."""
        self._watchers[org_id] += 1
        try:
            yield self.stream(org_id)
        finally:
            self._watchers[org_id] -= 1
            if not self._watchers[org_id]:
                del self._watchers[org_id]

    async def cursor(self, org_id: str, after: int | None) -> int | None:
        """The cursor behind that number, or behind the stream's birth (0, None); None when some events after it are gone."""
        stream = self.stream(org_id)
        return stream.cursor(after or stream.born)

    def wake_all(self) -> None:
        """The server is stopping: nobody is to wait for an event any more."""
        for stream in self._streams.values():
            stream.wake()
