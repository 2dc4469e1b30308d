"""What one org's supervisor remembers of its pool. Pure: a bounded window over the rows, and the idle hosts.

The rows alone decide who gets a job: everything here may be old, and is read again whenever that may be so. Jobs stand
in lanes, one for each set of labels, so that jobs which no host can take stand in nobody's way. Of each lane only the
first jobs are kept, highest priority first and then the oldest; lanes that no idle host could serve are not kept at all.
"""

from bisect import bisect_left, insort
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from heapq import merge
from itertools import islice
from typing import NamedTuple

from actors.limits import Limits
from interlock.clock import Millis
from store.labels import carries
from store.pool import PoolRead, Waiting

FIRST_HINTS = 5  # jobs of which a host's socket is told when it becomes idle; of more as those go, or as it stays idle
KEPT: Millis = 10_000  # how long a job is kept for a host that does not say what became of it

Order = tuple[int, str]


def order(item: Waiting) -> Order:
    """Where a job stands: the highest priority first, then the oldest."""
    return (-item.priority, item.job_id)


class Lane:
    """The first of the jobs that want the same labels, but for those that are kept for a host."""

    __slots__ = ("items", "labels", "whole", "window")

    def __init__(self, labels: str, window: int, *, whole: bool) -> None:
        self.labels = labels
        self.window = window
        self.items: list[tuple[Order, Waiting]] = []
        self.whole = whole  # nothing of it waits but what is here

    @property
    def thin(self) -> bool:
        """Whether it is to be read: more may wait than is here."""
        return not self.whole and len(self.items) < self.window // 4

    def add(self, item: Waiting) -> bool:
        """Let it stand in its place, if that is within the window; whether it is."""
        entry = (order(item), item)
        if not self.whole and (not self.items or entry > self.items[-1]):
            return False
        insort(self.items, entry)
        if len(self.items) > self.window:
            self.items.pop()
            self.whole = False
        return True

    def remove(self, item: Waiting) -> None:
        """Let it leave, if it is here."""
        entry = (order(item), item)
        place = bisect_left(self.items, entry)
        if place < len(self.items) and self.items[place] == entry:
            del self.items[place]


class Kept(NamedTuple):
    """A job that one host is about to take."""

    host_id: str
    lane: Lane
    item: Waiting
    since: Millis


@dataclass(slots=True)
class Idle:
    """A host that waits for work."""

    host_id: str
    labels: str
    polls: bool
    asks: bool
    listens: bool
    refused: Collection[str] = ()
    hints: int = 0  # of how many waiting jobs it may be told
    told: set[str] = field(default_factory=set)  # of those, that still wait


class Found(NamedTuple):
    """What is to be said to hosts."""

    jobs: list[tuple[str, Waiting]]  # a job for a parked poll, kept for it
    hints: list[tuple[str, tuple[Waiting, ...]]]
    nothing: list[str]  # hosts whose polls do not wait, and for which there is nothing


class Pool:
    """The memory. Whoever changes it then calls `serve`."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.known = False  # whether the lanes have been read
        self.stale = False  # somebody else may have written to the rows since
        self.idle: dict[str, Idle] = {}  # who has waited longest comes first
        self._lanes: dict[str, Lane] = {}
        self._where: dict[str, Lane] = {}  # by job
        self._items: dict[str, Waiting] = {}
        self._kept: dict[str, Kept] = {}
        self._told_to: dict[str, set[str]] = {}  # hosts that were told of a job
        self._hungry: dict[str, None] = {}  # hosts that may be told of more
        self._news: list[tuple[str, Waiting]] | None = None  # since a reading began
        self._gone: set[str] = set()

    @property
    def size(self) -> int:
        """Jobs in memory."""
        return len(self._items) + len(self._kept)

    # ---- hosts -----------------------------------------------------------------------------------------------------

    def host_is_idle(self, host: Idle) -> None:
        """It may be given a job, or be told of some: again of those that it has been told of before."""
        self.host_is_busy(host.host_id)
        host.hints = min(FIRST_HINTS, self._limits.pool_hints)
        self.idle[host.host_id] = host
        if host.listens:
            self._hungry[host.host_id] = None

    def host_is_busy(self, host_id: str) -> None:
        """It waits no longer."""
        host = self.idle.pop(host_id, None)
        self._hungry.pop(host_id, None)
        for job_id in host.told if host is not None else ():
            self._told_to.get(job_id, set()).discard(host_id)

    def host_is_gone(self, host_id: str) -> None:
        """Nobody knows what became of what was kept for it."""
        self.host_is_busy(host_id)
        kept = [job_id for job_id, kept in self._kept.items() if kept.host_id == host_id]
        for job_id in kept:
            del self._kept[job_id]
        self.stale = self.stale or bool(kept)

    def tick(self, now: Millis) -> None:
        """Free what was kept for too long, and let those who are still idle hear of more."""
        for job_id in [job_id for job_id, kept in self._kept.items() if kept.since + KEPT <= now]:
            del self._kept[job_id]
            self.stale = True
        for host in self.idle.values():
            if host.listens and len(host.told) >= host.hints and host.hints < self._limits.pool_hints:
                host.hints = min(host.hints * 2, self._limits.pool_hints)
                self._hungry[host.host_id] = None

    # ---- jobs ------------------------------------------------------------------------------------------------------

    def add(self, labels: str, item: Waiting) -> None:
        """It has come to wait, durably."""
        if self._news is not None:
            self._news.append((labels, item))
        if not self.known:
            return
        lane = self._lanes.get(labels)
        if lane is None:
            if len(self._lanes) >= self._limits.pool_lanes:
                return
            lane = self._lanes[labels] = Lane(labels, self._limits.pool_window, whole=True)
        self._gone.discard(item.job_id)
        self._put(lane, item)

    def _put(self, lane: Lane, item: Waiting) -> None:
        if item.job_id in self._kept or item.job_id in self._items:
            return  # a reading has found it before its commit was told
        last = lane.items[-1][1] if lane.items else None
        if lane.add(item):
            self._where[item.job_id], self._items[item.job_id] = lane, item
            if last is not None and len(lane.items) == lane.window and lane.items[-1][1] is not last:
                self._forget(last.job_id)  # it stands beyond the window now
            for host in self._listeners(lane):
                self._hungry[host.host_id] = None

    def _listeners(self, lane: Lane) -> Iterable[Idle]:
        """Who may be told of one more."""
        return (
            host
            for host in self.idle.values()
            if host.listens and len(host.told) < host.hints and carries(host.labels, lane.labels)
        )

    def _forget(self, job_id: str) -> None:
        self._where.pop(job_id, None)
        self._items.pop(job_id, None)

    def missed(self, job_id: str) -> None:
        """It did not wait when a host wanted it. It may have come back since, as a retry does: the rows will tell."""
        self.gone(job_id)
        self.stale = True

    def gone(self, job_id: str) -> None:
        """It does not wait any more."""
        if self._news is not None:
            self._gone.add(job_id)
        self._kept.pop(job_id, None)
        self._leave(job_id)
        self._untell(job_id)

    def _leave(self, job_id: str) -> None:
        lane, item = self._where.get(job_id), self._items.get(job_id)
        if lane is not None and item is not None:
            lane.remove(item)
            if not lane.items and lane.whole and not any(kept.lane is lane for kept in self._kept.values()):
                self._lanes.pop(lane.labels, None)
        self._forget(job_id)

    def _untell(self, job_id: str) -> None:
        for host_id in self._told_to.pop(job_id, ()):
            host = self.idle.get(host_id)
            if host is not None:
                host.told.discard(job_id)
                self._hungry[host_id] = None

    def keep(self, job_id: str, host_id: str, now: Millis) -> bool:
        """Whether this host may try to take it: nobody else is just at it. What is not known may wait all the same."""
        kept = self._kept.get(job_id)
        if kept is not None:
            return kept.host_id == host_id
        lane, item = self._where.get(job_id), self._items.get(job_id)
        if lane is not None and item is not None:
            self._kept[job_id] = Kept(host_id, lane, item, now)
            self._leave(job_id)
        return True

    def free(self, job_id: str, host_id: str) -> None:
        """The host to whom it was kept does not take it."""
        kept = self._kept.get(job_id)
        if kept is not None and kept.host_id == host_id:
            del self._kept[job_id]
            self._untell(job_id)
            lane = self._lanes.setdefault(kept.lane.labels, kept.lane)
            if lane.whole or lane.items:
                self._put(lane, kept.item)

    # ---- giving ----------------------------------------------------------------------------------------------------

    def serve(self, now: Millis) -> Found:
        """One job for each parked poll that can take one; hints for the sockets; word for those who would not wait."""
        found = Found([], [], [])
        if not self.idle:
            return found
        for host in [host for host in self.idle.values() if host.polls] if self._lanes else ():
            item = next(iter(self._for(host, 1)), None)
            if item is not None:
                self.keep(item.job_id, host.host_id, now)
                self.host_is_busy(host.host_id)
                found.jobs.append((host.host_id, item))
        for host_id in list(self._hungry):
            self._hint(self.idle[host_id], found)
        if not self.needs_reading and self._news is None:
            for host in [host for host in self.idle.values() if host.asks]:
                found.nothing.append(host.host_id)
                host.asks = host.polls = False
                if not host.listens:
                    self.host_is_busy(host.host_id)
        return found

    def _hint(self, host: Idle, found: Found) -> None:
        del self._hungry[host.host_id]
        room = host.hints - len(host.told)
        new = tuple(self._for(host, room)) if room > 0 else ()
        for item in new:
            host.told.add(item.job_id)
            self._told_to.setdefault(item.job_id, set()).add(host.host_id)
        if new:
            found.hints.append((host.host_id, new))

    def _for(self, host: Idle, most: int) -> Iterable[Waiting]:
        """The first jobs that this host may take and has not been told of or refused."""
        lanes = [lane.items for lane in self._lanes.values() if lane.items and carries(host.labels, lane.labels)]
        waiting = (item for _, item in (merge(*lanes) if len(lanes) > 1 else lanes[0] if lanes else ()))
        polled = most == 1 and host.polls
        told: Collection[str] = () if polled else host.told
        return list(islice((one for one in waiting if one.job_id not in told and one.job_id not in host.refused), most))

    # ---- reading ---------------------------------------------------------------------------------------------------

    @property
    def needs_reading(self) -> bool:
        """Whether the rows may hold something for an idle host that is not known here."""
        if not self.idle:
            return False
        if not self.known or self.stale:
            return True
        thin = [lane.labels for lane in self._lanes.values() if lane.thin]
        return any(carries(host.labels, labels) for labels in thin for host in self.idle.values())

    @property
    def reads(self) -> bool:
        """Whether a reading is under way."""
        return self._news is not None

    def begin_reading(self) -> tuple[frozenset[str], int]:
        """What comes and goes from now on is remembered until it ends. The labels of the idle hosts, and how many jobs
        of a lane to read.
        """
        self._news, self._gone, self.stale = [], set(), False
        return frozenset(host.labels for host in self.idle.values()), self._limits.pool_window + len(self._kept)

    def fill(self, read: PoolRead) -> None:
        """The rows, as they were at some moment since the reading began."""
        news, gone, self._news = self._news or [], self._gone, None
        for labels in read.labels:
            lane = self._lanes.setdefault(labels, Lane(labels, self._limits.pool_window, whole=False))
            self._empty(lane, whole=False)  # until it is read, nobody knows what waits in it
        for labels in [
            labels for labels in self._lanes if labels not in read.labels and len(read.labels) < self._limits.pool_lanes
        ]:
            self._empty(self._lanes[labels], whole=True)
        for waiting in read.lanes:
            lane = self._lanes[waiting.labels]
            lane.items = [(order(item), item) for item in waiting.waiting if self._is_free(item, gone)][: lane.window]
            lane.whole = waiting.whole and len(waiting.waiting) <= lane.window
            for _, item in lane.items:
                self._where[item.job_id], self._items[item.job_id] = lane, item
        self.known = True
        for labels, item in news:
            if item.job_id not in gone and item.job_id not in self._items:
                self.add(labels, item)
        for labels in [lane.labels for lane in self._lanes.values() if lane.whole and not lane.items]:
            del self._lanes[labels]
        self._hungry.update((host.host_id, None) for host in self.idle.values() if host.listens)
        for job_id in [job_id for job_id in self._told_to if job_id not in self._items and job_id not in self._kept]:
            self._untell(job_id)

    def _is_free(self, item: Waiting, gone: set[str]) -> bool:
        return item.job_id not in gone and item.job_id not in self._kept

    def _empty(self, lane: Lane, *, whole: bool) -> None:
        for _, item in lane.items:
            self._forget(item.job_id)
        lane.items, lane.whole = [], whole

    def could_not_read(self) -> None:
        """It will be tried again by the next tick."""
        self._news, self.stale = None, True

    # ---- showing ---------------------------------------------------------------------------------------------------

    def position(self, job_id: str) -> int | None:
        """How many jobs with the same labels stand ahead of it, and itself; None when that is not known."""
        lane, item = self._where.get(job_id), self._items.get(job_id)
        if lane is None or item is None:
            return None
        ahead = sum(kept.lane is lane and order(kept.item) < order(item) for kept in self._kept.values())
        return bisect_left(lane.items, (order(item), item)) + 1 + ahead
