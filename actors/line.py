"""A host's waiting line: highest priority first, then the lowest `seq`. One deque per priority, nearly always one.

Somebody may have given a job a rank: then it stands ahead of all priorities, or it is held, behind them all, and does not
go out.
"""

from bisect import insort
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from store.rows import HELD, JobRow, RunRow

_AHEAD = 1_000_000  # of all priorities
_HELD_LANE = -_AHEAD


@dataclass(slots=True, eq=False)
class Attempt:
    """One open run with its job: the rows themselves, as this actor will write them next."""

    job: JobRow
    run: RunRow


class Line:
    """Jobs come at the end, as `seq` rises; retries come back near the front, where their old `seq` puts them."""

    __slots__ = ("_count", "_lanes", "_order")

    def __init__(self) -> None:
        self._lanes: dict[int, deque[Attempt]] = {}  # by priority, or by what a rank comes to
        self._count = 0
        self._order: list[int] = []  # the lanes in use, negated, so that the highest comes first

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Attempt]:
        for key in self._order:
            yield from self._lanes[-key]

    def add(self, attempt: Attempt) -> None:
        """Let it stand where its priority and `seq` put it."""
        self._count += 1
        lane = self._lane(_lane_of(attempt.job))
        if not lane or lane[-1].job.seq < attempt.job.seq:
            lane.append(attempt)
            return
        for place, other in enumerate(lane):
            if other.job.seq > attempt.job.seq:
                lane.insert(place, attempt)
                return
        lane.append(attempt)

    def first(self) -> Attempt | None:
        """Who is next; None when nobody waits but who is held."""
        if not self._order or self._order[0] == -_HELD_LANE:
            return None
        return self._lanes[-self._order[0]][0]

    def highest_rank(self) -> int:
        """Of those that stand ahead of all priorities; 0: nobody does."""
        return max(-self._order[0] - _AHEAD, 0) if self._order else 0

    def remove(self, attempt: Attempt) -> None:
        """Let it leave from wherever it stands."""
        self._count -= 1
        number = _lane_of(attempt.job)
        lane = self._lanes[number]
        if lane[0] is attempt:
            lane.popleft()
        else:
            lane.remove(attempt)
        if not lane:
            del self._lanes[number]
            self._order.remove(-number)

    def find_job(self, job_id: str) -> Attempt | None:
        """The waiting attempt of a job."""
        return next((attempt for attempt in self if attempt.job.id == job_id), None)

    def find_run(self, run_id: str) -> Attempt | None:
        """The waiting attempt by its run."""
        return next((attempt for attempt in self if attempt.run.id == run_id), None)

    def ahead_of(self, priority: int) -> int:
        """How many a newcomer of that priority will find ahead of it."""
        return sum(len(lane) for other, lane in self._lanes.items() if other >= priority)

    def position(self, attempt: Attempt) -> int:
        """Its place: 1 is next."""
        return next(place for place, other in enumerate(self, 1) if other is attempt)

    def _lane(self, number: int) -> deque[Attempt]:
        lane = self._lanes.get(number)
        if lane is None:
            lane = self._lanes[number] = deque()
            insort(self._order, -number)
        return lane


def _lane_of(job: JobRow) -> int:
    if job.rank is None:
        return job.priority
    return _HELD_LANE if job.rank == HELD else _AHEAD + job.rank
