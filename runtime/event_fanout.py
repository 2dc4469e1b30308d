"""Events of all nodes for the dashboards of this one, by way of Redis: an `EventStreamsPort` for production.

`publish` only appends to a bounded queue. One task sends what has gathered, in order; every node that has dashboards of
an org hears that something was appended, and fetches it, so that all show the same events under the same numbers.

While Redis is away, events go to the dashboards of the node where they happen, after a `gap`, under numbers of that node.
When it is back, the streams of their orgs are born anew in Redis, which tells the dashboards of all nodes of a `gap`.
Jobs notice nothing of it.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import msgspec

from interlock.clock import Clock, Millis
from runtime import event_log
from runtime.endings import end
from runtime.event_feed import Feed
from runtime.event_log import place_of
from runtime.redis_link import Command, RedisAway, RedisLink
from web.event_stream import EventStream, encode_event

log = logging.getLogger(__name__)

AT_ONCE = 256  # events, or streams, in one round trip: a few ms of the loop
GATHER_SECONDS = 0.05  # between two round trips, so that under load many events share one; what fills one need not wait
KEPT_SECONDS = 60.0  # that an org's stream is fed after its last dashboard has left: it may only reload
AGAIN_SECONDS = 1.0  # after what should not have happened
FLUSH_SECONDS = 1.0  # that a stop waits until what was published is in Redis


class _Event(NamedTuple):
    org_id: str
    event: str
    at: Millis
    data: msgspec.Struct


class RedisEventStreams:
    """The streams of all orgs. `history` events per org are kept for replay, `limit` may wait for Redis."""

    def __init__(self, link: RedisLink, clock: Clock, *, history: int, limit: int) -> None:
        self.listeners: list[Callable[[str, str, msgspec.Struct], None]] = []
        self.published = 0
        self.dropped = 0  # because Redis was too slow; a gap tells of them
        self._link = link
        self._clock = clock
        self._history = history
        self._limit = limit
        self._feeds: dict[str, Feed] = {}
        self._queue: deque[_Event | asyncio.Future[None]] = deque()  # a future marks what was published before it
        self._sending: list[_Event | asyncio.Future[None]] = []
        self._doubtful: dict[str, bool] = {}  # orgs whose stream is to be looked at, or (True) to be born anew
        self._there = False  # whether events go to Redis
        self._filled = asyncio.Event()
        self._sha = ""
        self._tasks: set[asyncio.Task[None]] = set()
        self._sender: asyncio.Task[None] | None = None

    @property
    def up(self) -> bool:
        """Whether events go to Redis now."""
        return self._there

    @property
    def waiting(self) -> int:
        """Events that wait for Redis."""
        return len(self._queue)

    async def start(self) -> None:
        """Begin to send; returns when Redis has been tried once, and need not be there."""
        self._sender = asyncio.create_task(self._send(), name="event-sender")
        self._link.start(self)
        await self._link.tried.wait()

    async def stop(self) -> None:
        """Send what waits, if that is quick, and let go. Twice does no harm."""
        sender, self._sender = self._sender, None
        if sender is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FLUSH_SECONDS):
                    await self._flushed()
            await end(sender, *self._tasks)
        await self._link.stop()

    def publish(self, org_id: str, event: str, data: msgspec.Struct) -> None:
        """Tell all dashboards of the org, on whatever node they are."""
        self.published += 1
        made = _Event(org_id, event, self._clock.now(), data)
        if self._there:
            if len(self._queue) >= self._limit:
                self._drop()
            self._queue.append(made)
            self._filled.set()
        else:
            self._publish_here(made)
        for listener in self.listeners:
            listener(org_id, event, data)

    def doubt(self, org_id: str) -> None:
        """Events of the org may have been lost, say with the node that had to publish them: tell of a gap."""
        self._doubtful[org_id] = True
        self._filled.set()

    async def position(self, org_id: str) -> int | None:
        """The number of the newest event in Redis, of all that this node has published."""
        await self._flushed()
        with contextlib.suppress(RedisAway):
            entries = event_log.entries_of(await self._link.call(*event_log.newest(org_id)))
            return entries[0].place.seq if entries else None
        feed = self._feeds.get(org_id)
        return None if feed is None else feed.stream.newest

    @asynccontextmanager
    async def watching(self, org_id: str) -> AsyncIterator[EventStream]:
        """The org's stream, fed from Redis."""
        feed = self._feeds.get(org_id)
        if feed is None:
            feed = self._feeds[org_id] = Feed(org_id, self._history, self._link, self._clock, self._look_at)
            self._spawn(self._open(feed))
        feed.watchers += 1
        try:
            await feed.settled.wait()
            yield feed.stream
        finally:
            feed.watchers -= 1
            if not feed.watchers:
                asyncio.get_running_loop().call_later(KEPT_SECONDS, self._let_go, feed)

    async def cursor(self, org_id: str, after: int | None) -> int | None:
        """The cursor behind that number in a stream that is being watched, 0 being its birth; what only Redis has is fetched
        first.
        """
        feed = self._feeds[org_id]
        with contextlib.suppress(RedisAway):
            await feed.reach(after or None)
        start = feed.stream.born if after is None else feed.beginning
        return feed.stream.cursor(after or start)

    def wake_all(self) -> None:
        """The server is stopping."""
        for feed in self._feeds.values():
            feed.stream.wake()

    async def came_up(self) -> None:
        """From now on to Redis. Streams of the time before are looked at, those with events of ours are born anew."""
        sha = await self._link.call("SCRIPT", "LOAD", event_log.APPEND)
        self._sha = sha.decode() if isinstance(sha, bytes) else sha
        for org_id in self._feeds:
            self._doubtful.setdefault(org_id, False)
        self._there = True
        self._filled.set()

    def went_down(self) -> None:
        """From now on to the dashboards of this node, also what Redis may or may not have got just now."""
        self._there = False
        left = [*self._sending, *self._queue]
        self._sending = []
        self._queue.clear()
        for each in left:
            if isinstance(each, _Event):
                self._publish_here(each)
        _settle(left)
        for feed in self._feeds.values():
            feed.settled.set()

    def _publish_here(self, made: _Event) -> None:
        self._doubtful[made.org_id] = True
        feed = self._feeds.get(made.org_id)
        if feed is not None:
            feed.publish(made.event, made.at, made.data)

    def _drop(self) -> None:
        """The oldest goes, and its org's dashboards will be told of a gap."""
        oldest = self._queue.popleft()
        if isinstance(oldest, _Event):
            self.dropped += 1
            self._doubtful[oldest.org_id] = True
        _settle([oldest])

    async def _flushed(self) -> None:
        """Return when what has been published so far is in Redis, or Redis is away."""
        if self._there and (self._queue or self._sending):
            mark: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._queue.append(mark)
            await mark

    async def _send(self) -> None:
        while True:
            await self._filled.wait()
            self._filled.clear()
            while self._there and (self._doubtful or self._queue):
                try:
                    await (self._look() if self._doubtful else self._pass_on())
                except RedisAway:
                    break  # `went_down` has seen to the rest
                except Exception:
                    log.exception("Events could not be passed on")
                    self._give_up()
                    await asyncio.sleep(AGAIN_SECONDS)
                await asyncio.sleep(0 if len(self._queue) >= AT_ONCE else GATHER_SECONDS)

    def _give_up(self) -> None:
        """What was being sent may be lost: a gap tells of it, and nobody waits for it any longer."""
        given_up, self._sending = self._sending, []
        self._doubtful.update((each.org_id, True) for each in given_up if isinstance(each, _Event))
        _settle(given_up)

    async def _pass_on(self) -> None:
        """Append the oldest events, those of an org together."""
        self._sending = batch = [self._queue.popleft() for _ in range(min(AT_ONCE, len(self._queue)))]
        bodies: dict[str, list[bytes]] = {}
        for each in batch:
            if isinstance(each, _Event):
                bodies.setdefault(each.org_id, []).append(encode_event(each.event, each.at, each.data))
        if bodies:
            await self._link.calls([self._append(org_id, of_org) for org_id, of_org in bodies.items()])
        self._sending = []
        _settle(batch)

    async def _look(self) -> None:
        """See where streams stand; some are born anew by that."""
        orgs = list(self._doubtful.items())[:AT_ONCE]
        births = {org_id: feed.birth for org_id, _ in orgs if (feed := self._feeds.get(org_id)) is not None}
        for org_id, _ in orgs:
            del self._doubtful[org_id]
        try:
            answers = await self._link.calls([self._append(org_id, [], anew=anew) for org_id, anew in orgs])
        except RedisAway:
            self._doubtful.update(org for org in orgs if org[1])
            raise
        except Exception:
            self._doubtful |= {org_id: anew or self._doubtful.get(org_id, False) for org_id, anew in orgs}
            raise
        for (org_id, _), answer in zip(orgs, answers, strict=True):
            if (feed := self._feeds.get(org_id)) is not None:
                feed.answered(place_of(answer), births.get(org_id, 0))

    def _append(self, org_id: str, bodies: list[bytes], *, anew: bool = False) -> Command:
        feed = self._feeds.get(org_id)
        known = 0 if feed is None else feed.known
        return event_log.append(self._sha, org_id, self._history, known, bodies, anew=anew)

    def _look_at(self, org_id: str) -> None:
        self._doubtful.setdefault(org_id, False)
        self._filled.set()

    async def _open(self, feed: Feed) -> None:
        """Listen first, then look: nothing can be appended between the two unheard."""
        with contextlib.suppress(RedisAway):
            await self._link.subscribe(event_log.key(feed.org_id), feed.heard)
        if self._there:
            self._look_at(feed.org_id)
        else:
            feed.settled.set()

    def _let_go(self, feed: Feed) -> None:
        if not feed.watchers and self._feeds.get(feed.org_id) is feed:
            del self._feeds[feed.org_id]
            self._spawn(self._link.unsubscribe(event_log.key(feed.org_id)))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _settle(sent: Iterable[_Event | asyncio.Future[None]]) -> None:
    """Nobody waits any longer for the marks among them."""
    for each in sent:
        if isinstance(each, asyncio.Future) and not each.done():
            each.set_result(None)
