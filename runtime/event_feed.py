"""One org's stream on one node that has dashboards: filled from Redis, or by the node itself while Redis is away."""

import asyncio
import logging
from collections.abc import Callable

import msgspec

from interlock.clock import Clock, Millis
from runtime.event_log import Place, between, entries_of, place_of
from runtime.redis_link import RedisAway, RedisLink
from web.event_stream import EventStream

log = logging.getLogger(__name__)

AT_ONCE = 256  # entries fetched in one round trip: a few ms of the loop
TRIES = 3  # to reach back, while others do the same
# Nodes number for themselves while Redis is away. Chance keeps them apart, or a dashboard that changes nodes meanwhile
# might be shown the wrong events for a number. In µs: afterwards Redis's numbers may run up to two hours ahead of time.
APART = 2**33


class Feed:
    """Follows Redis through births, gaps and outages. Its stream is there once it is `settled`."""

    def __init__(
        self, org_id: str, history: int, link: RedisLink, clock: Clock, look_again: Callable[[str], None]
    ) -> None:
        self.org_id = org_id
        self.watchers = 0
        self.settled = asyncio.Event()
        self.stream = EventStream(_birth_here(clock, 0), history)
        self.local = True  # whether the stream has numbers of this node instead of those in Redis
        self._history = history
        self._link = link
        self._clock = clock
        self._look_again = look_again
        self._place = Place(0, 0)  # of the last entry that the stream has
        self._newest = 0  # that Redis has of this birth, as far as we know
        self._rumour = Place(0, 0)  # heard while the stream was local
        self._pulling: asyncio.Task[None] | None = None

    @property
    def known(self) -> int:
        """The highest number that a dashboard of this node has been shown."""
        return self.stream.newest if self.settled.is_set() else 0

    def publish(self, event: str, at: Millis, data: msgspec.Struct) -> None:
        """Redis is away: tell the dashboards of this node, after a gap, since they will not hear of other nodes."""
        if not self.local:
            self.local = True
            self.stream.reborn(_birth_here(self._clock, self.stream.newest), at)
        self.stream.publish(event, at, data)

    @property
    def birth(self) -> int:
        """Of the stream in Redis, as far as we know."""
        return self._place.birth

    def heard(self, message: bytes) -> None:
        """Something was appended, said Redis's channel."""
        place = place_of(message)
        if self.local:
            self._rumour = place
        elif place.birth < self.birth:
            self._look_again(self.org_id)  # old news, or a birth under a clock that was set back
        else:
            self._go_to(place)

    def answered(self, place: Place, asked_at: int) -> None:
        """There the stream stood when Redis was asked; `asked_at` is the birth that we knew by then."""
        if self.local:
            self._begin(place)
        elif place.birth < self.birth != asked_at:
            self._look_again(self.org_id)  # we have heard of a later birth meanwhile: which one is the last?
        else:
            self._go_to(place)

    def _begin(self, place: Place) -> None:
        """Whoever watches already has numbers of this node, so to them it is a gap."""
        if self.settled.is_set():
            self.stream.reborn(place.seq, self._clock.now())
        else:
            self.stream = EventStream(place.seq, self._history)
        self.local, self._place, self._newest = False, place, place.n
        self.settled.set()
        rumour, self._rumour = self._rumour, place
        if rumour.birth >= place.birth:
            self._go_to(rumour)

    def _go_to(self, place: Place) -> None:
        if place.birth != self.birth:
            self.stream.reborn(place.birth, self._clock.now())
            self._place, self._newest = Place(place.birth, 0), 0
        self._newest = max(self._newest, place.n)
        if self._newest > self._place.n and self._pulling is None:
            self._pulling = asyncio.create_task(self._pull(), name="event-feed")

    @property
    def beginning(self) -> int:
        """The number before the first event of all that belong together here."""
        return self.stream.born if self.local else self._place.birth

    async def reach(self, after: int | None) -> None:
        """Fetch what lies behind that number, or behind the birth, if Redis still has all of it."""
        for _ in range(TRIES):
            wanted = self._place.birth if after is None else after
            missing = self.stream.oldest - wanted
            if self.local or wanted < self._place.birth or not 0 < missing <= self.stream.room:
                return
            await self._reach(wanted, missing)

    async def _reach(self, after: int, missing: int) -> None:
        stream, birth, oldest, bodies = self.stream, self._place.birth, self.stream.oldest, list[str]()
        first = after - birth + 1
        while len(bodies) < missing:
            command = between(self.org_id, birth, first + len(bodies), oldest - birth, AT_ONCE)
            entries = entries_of(await self._link.call(*command))
            if not entries or entries[0].place.n != first + len(bodies):
                return  # trimmed, or gone
            bodies += [entry.body for entry in entries]
        if self._place.birth == birth and stream.oldest == oldest and missing <= stream.room:
            stream.prepend(bodies)

    async def _pull(self) -> None:
        """Up to the newest entry; what comes meanwhile is fetched too."""
        try:
            while not self.local and self._place.n < self._newest and await self._fetch():
                pass
        except RedisAway:
            log.debug("Redis went away while %s was fetched", self.org_id, extra={"org": self.org_id})
        except Exception:
            log.exception("The events of %s could not be fetched", self.org_id, extra={"org": self.org_id})
        finally:
            self._pulling = None

    async def _fetch(self) -> bool:
        """The next entries; False when there are none, contrary to what was said: the stream has gone since."""
        birth, n = self._place
        entries = entries_of(await self._link.call(*between(self.org_id, birth, n + 1, None, AT_ONCE)))
        if self.local or self._place != (birth, n):
            return True  # it has been born anew meanwhile
        if entries and entries[0].place.n != n + 1:  # trimmed before we came to it
            self.stream.reborn(entries[0].place.seq - 1, self._clock.now())
        self.stream.adopt(entry.body for entry in entries)
        if entries:
            self._place = entries[-1].place
        return bool(entries)


def _birth_here(clock: Clock, known: int) -> int:
    return max(clock.now() * 1000, known) + 1 + int(clock.chance() * APART)
