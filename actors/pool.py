"""What one org's supervisor remembers of its pool. Pure: a bounded window over the rows, and the idle hosts.

The rows alone decide who gets a job: everything here may be old, and is read again whenever that may be so. Jobs stand
in lanes, one for each set of labels, so that jobs which no host can take stand in nobody's way. Of each lane only the
first jobs are kept, highest priority first and then the oldest; lanes that no idle host could serve are not kept at all.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from functools import cache
from heapq import merge
from itertools import islice
from operator import itemgetter
from typing import NamedTuple

from actors.limits import Limits
from actors.pool_lanes import Lane, order
from interlock.clock import Millis
from store.labels import ANY_HOST, carries
from store.pool import ROWS_AHEAD, PoolRead, Waiting

FIRST_HINTS = 2  # jobs of which a host's socket is told when it becomes idle; of more as those go, or as it stays idle
HINTED_AT_ONCE = 256  # hosts that are told in one round: most jobs are taken before the next, and then nobody else is
CHOICE = 256  # jobs among which the one is chosen of which a host is told next
_ITEM = itemgetter(1)
KEPT: Millis = 10_000  # how long a job is kept for a host that does not say what became of it


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
        self._idle_by_labels: Counter[str] = Counter()
        self._idle_labels: frozenset[str] | None = None  # until one comes or goes
        self._listening: dict[str, Idle] = {}  # those of them that have sockets
        self._asking: dict[str, Idle] = {}  # those whose polls do not wait
        self._lanes: dict[str, Lane] = {}
        self._where: dict[str, Lane] = {}  # by job
        self._items: dict[str, Waiting] = {}
        self._kept: dict[str, Kept] = {}
        self._told_to: dict[str, dict[str, None]] = {}  # hosts that were told of a job, in that order
        self._hungry: dict[str, None] = {}  # hosts that may be told of more
        # What `serve` has to look at: with many thousands of idle hosts it must not look at all of them every time.
        self._fresh: dict[str, None] = {}  # hosts whose polls have come since
        self._fuller: set[str] = set()  # labels of lanes in which more waits than before
        self._wanted = False  # a lane that an idle host could serve has run out here, and perhaps not in the rows
        # How many hosts were told of a job first, in this round of ticks and in the last: what the fewest were told first
        # comes first, or all would ack the same job; but what still waits after that comes first again.
        self._lately: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
        self._news: list[tuple[str, Waiting]] | None = None  # since a reading began
        self._gone: set[str] = set()

    @property
    def size(self) -> int:
        """Jobs in memory."""
        return len(self._items) + len(self._kept)

    @property
    def rests(self) -> bool:
        """Whether all that it remembers is in the rows too: nobody waits here, nothing is kept for anybody or being read."""
        return not self.idle and not self._kept and self._news is None

    @property
    def idle_labels(self) -> frozenset[str]:
        """What the idle hosts carry; the same object for as long as that does not change."""
        if self._idle_labels is None:
            self._idle_labels = frozenset(self._idle_by_labels)
        return self._idle_labels

    @property
    def has_nothing(self) -> bool:
        """Whether it is known that nothing waits, and nobody is to be told so."""
        return self.known and not (self.stale or self._wanted or self._items or self._asking or self.reads)

    # ---- hosts -----------------------------------------------------------------------------------------------------

    def host_is_idle(self, host: Idle) -> None:
        """It may be given a job, or be told of some: again of those that it has been told of before."""
        self.host_is_busy(host.host_id)
        host.hints = min(FIRST_HINTS, self._limits.pool_hints)
        self.idle[host.host_id] = host
        self._idle_by_labels[host.labels] += 1
        if self._idle_by_labels[host.labels] == 1:
            self._idle_labels = None
        if host.listens:
            self._listening[host.host_id] = host
            self._hungry[host.host_id] = None
        if host.polls:
            self._fresh[host.host_id] = None
        if host.asks:
            self._asking[host.host_id] = host
        self._wanted = self._wanted or self._is_thin_for([host.labels])

    def host_is_busy(self, host_id: str) -> None:
        """It waits no longer."""
        host = self.idle.pop(host_id, None)
        self._listening.pop(host_id, None)
        self._asking.pop(host_id, None)
        self._hungry.pop(host_id, None)
        self._fresh.pop(host_id, None)
        if host is None:
            return
        self._idle_by_labels[host.labels] -= 1
        if not self._idle_by_labels[host.labels]:
            del self._idle_by_labels[host.labels]
            self._idle_labels = None
        for job_id in host.told:
            self._told_to.get(job_id, {}).pop(host_id, None)

    def asks_no_more(self, host: Idle) -> None:
        """Its poll, which does not wait, is sent away."""
        self._asking.pop(host.host_id, None)
        host.asks = host.polls = False
        if not host.listens:
            self.host_is_busy(host.host_id)

    def host_is_gone(self, host_id: str) -> None:
        """Nobody knows what became of what was kept for it."""
        self.host_is_busy(host_id)
        kept = [job_id for job_id, kept in self._kept.items() if kept.host_id == host_id]
        for job_id in kept:
            del self._kept[job_id]
        self.stale = self.stale or bool(kept)

    def tick(self, now: Millis) -> None:
        """Free what was kept for too long, and let those who are still idle hear of more."""
        self._lately = (Counter(), self._lately[0])
        for lane in self._lanes.values():
            lane.untell(self._lately[1])
        for job_id in [job_id for job_id, kept in self._kept.items() if kept.since + KEPT <= now]:
            del self._kept[job_id]
            self.stale = True
        for host in self._listening.values():
            if len(host.told) >= host.hints and host.hints < self._limits.pool_hints:
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
            if len(self._lanes) >= self._limits.pool_lanes and labels != ANY_HOST:
                return
            lane = self._lanes[labels] = Lane(labels, self._limits.pool_window, whole=True)
        self._gone.discard(item.job_id)
        self._put(lane, item)

    def _put(self, lane: Lane, item: Waiting) -> None:
        if item.job_id in self._kept or item.job_id in self._items:
            return  # a reading has found it before its commit was told
        if len(self._items) >= ROWS_AHEAD:
            item = item._replace(rows=None)
        last = lane.items[-1][1] if lane.items else None
        if lane.add(item, told=self._is_told(item.job_id)):
            self._where[item.job_id], self._items[item.job_id] = lane, item
            if last is not None and len(lane.items) == lane.window and lane.items[-1][1] is not last:
                self._forget(last.job_id)  # it stands beyond the window now
            self._fuller.add(lane.labels)

    def _forget(self, job_id: str) -> None:
        self._where.pop(job_id, None)
        self._items.pop(job_id, None)

    def missed(self, job_id: str) -> None:
        """It did not wait when a host wanted it. It may have come back since, as a retry does: the rows will tell. Of what
        was not here that is no news: agents ack what they were told of long ago.
        """
        self.stale = self.stale or job_id in self._items or job_id in self._kept
        self.gone(job_id)

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
            self._wanted = self._wanted or lane.thin
            if not lane.items and lane.whole and not any(kept.lane is lane for kept in self._kept.values()):
                self._lanes.pop(lane.labels, None)
                self._fuller.discard(lane.labels)
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

    def kept(self, job_id: str) -> Waiting | None:
        """The job, if it is kept for a host."""
        kept = self._kept.get(job_id)
        return None if kept is None else kept.item

    def free(self, job_id: str, host_id: str) -> None:
        """The host to whom it was kept does not take it."""
        kept = self._kept.get(job_id)
        if kept is not None and kept.host_id == host_id:
            del self._kept[job_id]
            self._untell(job_id)
            lane = self._lanes.setdefault(kept.lane.labels, kept.lane)
            if lane.whole or lane.items:
                self._put(lane, kept.item)
            self._wanted = self._wanted or lane.thin

    # ---- giving ----------------------------------------------------------------------------------------------------

    def serve(self, now: Millis) -> Found:
        """One job for each parked poll that can take one; hints for the sockets; word for those who would not wait."""
        found = Found([], [], [])
        if not self.idle:
            return found
        fuller, self._fuller = self._fuller, set()
        self._give_to_waiting(fuller, found, now)
        fresh, self._fresh = self._fresh, {}
        for host_id in fresh:
            self._give(self.idle.get(host_id), found, now)
        carries_any = _carrier_of(fuller)
        for host in self._listening.values() if fuller else ():
            if len(host.told) < host.hints and carries_any(host.labels):
                self._hungry[host.host_id] = None
        for host_id in list(islice(self._hungry, HINTED_AT_ONCE)):
            self._hint(self.idle[host_id], found)
        if not self.needs_reading and self._news is None:
            for host in list(self._asking.values()):
                found.nothing.append(host.host_id)
                self.asks_no_more(host)
        return found

    @property
    def has_more_to_tell(self) -> bool:
        """Whether hosts are left that may be told of something, for another round."""
        return bool(self._hungry)

    def _give_to_waiting(self, fuller: set[str], found: Found, now: Millis) -> None:
        """What has come goes to those who have waited longest."""
        lanes = [lane for labels in fuller if (lane := self._lanes.get(labels)) is not None and lane.items]
        carries_any = _carrier_of([lane.labels for lane in lanes])
        for host in list(self.idle.values()) if lanes else ():
            if host.polls and carries_any(host.labels):
                self._give(host, found, now)
                if not any(lane.items for lane in lanes):
                    return

    def _give(self, host: Idle | None, found: Found, now: Millis) -> None:
        item = next(iter(self._for(host)), None) if host is not None and host.polls else None
        if host is not None and item is not None:
            self.keep(item.job_id, host.host_id, now)
            self.host_is_busy(host.host_id)
            found.jobs.append((host.host_id, item))

    def _hint(self, host: Idle, found: Found) -> None:
        del self._hungry[host.host_id]
        room = host.hints - len(host.told)
        new = self._least_told(host, room) if room > 0 else ()
        if new:
            self._lately[0][new[0].job_id] += 1
            self._where[new[0].job_id].tell(new[0])
        for item in new:
            host.told.add(item.job_id)
            self._told_to.setdefault(item.job_id, {})[host.host_id] = None
        if new:
            found.hints.append((host.host_id, new))

    def _least_told(self, host: Idle, most: int) -> tuple[Waiting, ...]:
        """The first in line, and before them the one that the fewest others have been told of first lately: what an agent
        hears first it acks, so that must not be the same for all.
        """
        told = host.told
        first = next((item for item in self._for(host, untold=True) if item.job_id not in told), None)
        choice = (item for item in self._for(host) if item.job_id not in told and item is not first)
        if first is not None:
            return (first, *islice(choice, most - 1))
        among = list(islice(choice, max(CHOICE, most)))
        if not among:
            return ()
        now, before = self._lately
        first = min(among, key=lambda item: now[item.job_id] + before[item.job_id])
        return (first, *[item for item in among[:most] if item is not first][: most - 1])

    def _is_told(self, job_id: str) -> bool:
        return any(job_id in told for told in self._lately)

    def _for(self, host: Idle, *, untold: bool = False) -> Iterable[Waiting]:
        """The jobs that this host may take and has not refused, in their order; or those that nobody was told of first."""
        mine = [lane for lane in self._lanes.values() if lane.items and carries(host.labels, lane.labels)]
        lanes = [lane.untold for lane in mine if lane.untold] if untold else [lane.items for lane in mine]
        waiting = merge(*lanes) if len(lanes) > 1 else lanes[0] if lanes else ()
        refused = host.refused
        return (item for _, item in waiting if item.job_id not in refused) if refused else map(_ITEM, waiting)

    # ---- reading ---------------------------------------------------------------------------------------------------

    @property
    def needs_reading(self) -> bool:
        """Whether the rows may hold something for an idle host that is not known here."""
        return bool(self.idle) and (not self.known or self.stale or self._wanted)

    def _is_thin_for(self, hosts: Iterable[str]) -> bool:
        thin = [lane.labels for lane in self._lanes.values() if lane.thin]
        return bool(thin) and any(carries(host, labels) for host in hosts for labels in thin)

    @property
    def reads(self) -> bool:
        """Whether a reading is under way."""
        return self._news is not None

    def begin_reading(self) -> tuple[frozenset[str], int]:
        """What comes and goes from now on is remembered until it ends. The labels of the idle hosts, and how many jobs
        of a lane to read.
        """
        self._news, self._gone, self.stale, self._wanted = [], set(), False, False
        return self.idle_labels, self._limits.pool_window + len(self._kept)

    def fill(self, read: PoolRead) -> None:
        """The rows, as they were at some moment since the reading began."""
        news, gone, self._news = self._news or [], self._gone, None
        for labels in read.labels:
            lane = self._lanes.setdefault(labels, Lane(labels, self._limits.pool_window, whole=False))
            self._empty(lane, whole=False)  # until it is read, nobody knows what waits in it
        all_read = len(read.labels) < self._limits.pool_lanes
        for labels in [
            labels for labels in self._lanes if labels not in read.labels and (all_read or labels == ANY_HOST)
        ]:
            self._empty(self._lanes[labels], whole=True)
        for waiting in read.lanes:
            lane = self._lanes[waiting.labels]
            free = [(order(item), item) for item in waiting.waiting if self._is_free(item, gone)][: lane.window]
            lane.fill(free, {*self._lately[0], *self._lately[1]})
            lane.whole = waiting.whole and len(waiting.waiting) <= lane.window
            for _, item in lane.items:
                self._where[item.job_id], self._items[item.job_id] = lane, item
        self.known = True
        for labels, item in news:
            if item.job_id not in gone and item.job_id not in self._items:
                self.add(labels, item)
        for labels in [lane.labels for lane in self._lanes.values() if lane.whole and not lane.items]:
            del self._lanes[labels]
        self._fuller.update(labels for labels, lane in self._lanes.items() if lane.items)
        self._wanted = self._wanted or self._is_thin_for(self.idle_labels)
        for job_id in [job_id for job_id in self._told_to if job_id not in self._items and job_id not in self._kept]:
            self._untell(job_id)

    def _is_free(self, item: Waiting, gone: set[str]) -> bool:
        return item.job_id not in gone and item.job_id not in self._kept

    def _empty(self, lane: Lane, *, whole: bool) -> None:
        for _, item in lane.items:
            self._forget(item.job_id)
        lane.fill([], ())
        lane.whole = whole

    def could_not_read(self) -> list[str]:
        """It will be tried again by the next tick. Hosts whose polls do not wait for that."""
        self._news, self.stale = None, True
        asking = list(self._asking.values())
        for host in asking:
            self.asks_no_more(host)
        return [host.host_id for host in asking]

    # ---- showing ---------------------------------------------------------------------------------------------------

    def position(self, job_id: str) -> int | None:
        """How many jobs with the same labels stand ahead of it, and itself; None when that is not known."""
        lane, item = self._where.get(job_id), self._items.get(job_id)
        if lane is None or item is None:
            return None
        ahead = sum(kept.lane is lane and order(kept.item) < order(item) for kept in self._kept.values())
        return lane.place(item) + ahead

    def is_turned_down(self, job_id: str, labels: str) -> bool:
        """Whether each idle host that could take it has refused it, and there is one."""
        refusals = [host.refused for host in self.idle.values() if carries(host.labels, labels)]
        return bool(refusals) and all(job_id in refused for refused in refusals)


def _carrier_of(wanted: Collection[str]) -> Callable[[str], bool]:
    """Whether a host's labels carry any of these; looked at once, since of thousands of hosts many carry the same."""
    return cache(lambda labels: any(carries(labels, each) for each in wanted))
