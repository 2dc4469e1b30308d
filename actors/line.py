"""A host's waiting line: highest priority first, then the lowest `seq`. One deque per priority, nearly always one."""

from bisect import insort
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from store.rows import JobRow, RunRow


@dataclass(slots=True, eq=False)
class Attempt:
    """One open run with its job: the rows themselves, as this actor will write them next."""

    job: JobRow
    run: RunRow


class Line:
    """Jobs come at the end, as `seq` rises; retries come back near the front, where their old `seq` puts them."""

    __slots__ = ("_count", "_lanes", "_order")

    def __init__(self) -> None:
        self._lanes: dict[int, deque[Attempt]] = {}  # by priority
        self._count = 0
        self._order: list[int] = []  # the priorities in use, negated, so that the highest comes first

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Attempt]:
        for key in self._order:
            yield from self._lanes[-key]

    def add(self, attempt: Attempt) -> None:
        """Let it stand where its priority and `seq` put it."""
        self._count += 1
        lane = self._lane(attempt.job.priority)
        if not lane or lane[-1].job.seq < attempt.job.seq:
            lane.append(attempt)
            return
        for place, other in enumerate(lane):
            if other.job.seq > attempt.job.seq:
                lane.insert(place, attempt)
                return
        lane.append(attempt)

    def first(self) -> Attempt | None:
        """Who is next."""
        return self._lanes[-self._order[0]][0] if self._order else None

    def remove(self, attempt: Attempt) -> None:
        """Let it leave from wherever it stands."""
        self._count -= 1
        priority = attempt.job.priority
        lane = self._lanes[priority]
        if lane[0] is attempt:
            lane.popleft()
        else:
            lane.remove(attempt)
        if not lane:
            del self._lanes[priority]
            self._order.remove(-priority)

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

    def _lane(self, priority: int) -> deque[Attempt]:
        lane = self._lanes.get(priority)
        if lane is None:
            lane = self._lanes[priority] = deque()
            insort(self._order, -priority)
        return lane
