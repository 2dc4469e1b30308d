"""Who waits at the gate, by organization: each has a line of its own, and the lines take turns.

With one line for all, one organization's flood would make everybody wait, and then be refused, behind it. Here the next
place goes to the organization that has had least of late (start-time fair queueing): each line has a turn, which moves on
by the places that it is given; the smallest is next, and a new line begins at the one that was last.
"""

import asyncio
import heapq
from collections import deque
from itertools import count
from typing import NamedTuple


class Waiter(NamedTuple):
    """One create: the places that it takes, and what is settled once they are its own."""

    org_id: str
    weight: int
    admitted: "asyncio.Future[None]"


class _Line:
    """One organization's."""

    __slots__ = ("turn", "waiters", "weight")

    def __init__(self, turn: int) -> None:
        self.turn = turn
        self.waiters: deque[Waiter] = deque()
        self.weight = 0


class FairLine:
    """To be used on the loop's thread only."""

    def __init__(self) -> None:
        self.weight = 0  # places that are waited for, in all lines
        self._lines: dict[str, _Line] = {}  # those in which somebody waits
        self._turns: list[tuple[int, int, str]] = []  # a heap: each of them once, and some that have emptied
        self._turn = 0  # of the line that was last given a place
        self._serial = count()

    def weight_of(self, org_id: str) -> int:
        """The places that this organization waits for."""
        line = self._lines.get(org_id)
        return 0 if line is None else line.weight

    def share_of(self, org_id: str, more: int = 0) -> int:
        """At most so many places are given away before a newcomer of this organization has its turn; `more` places will
        be waited for by others of it before him.
        """
        others = len(self._lines) - (org_id in self._lines)
        return min(self.weight + more, (self.weight_of(org_id) + more + 1) * (others + 1) - 1)

    def join(self, waiter: Waiter) -> None:
        """Wait behind all others of the same organization."""
        line = self._lines.get(waiter.org_id)
        if line is None:
            line = self._lines[waiter.org_id] = _Line(self._turn)
            self._push(waiter.org_id, line)
        line.waiters.append(waiter)
        self._count(line, waiter.weight)

    def first(self) -> Waiter | None:
        """Whose turn it is; None when nobody waits."""
        while self._turns:
            turn, _, org_id = self._turns[0]
            line = self._lines.get(org_id)
            if line is not None and line.turn == turn:
                return line.waiters[0]
            heapq.heappop(self._turns)
        return None

    def admit(self, waiter: Waiter) -> None:
        """Take out whoever was `first`."""
        line = self._lines[waiter.org_id]
        heapq.heappop(self._turns)
        self._turn = line.turn
        line.turn += waiter.weight
        line.waiters.popleft()
        self._count(line, -waiter.weight)
        if line.waiters:
            self._push(waiter.org_id, line)
        else:
            del self._lines[waiter.org_id]

    def remove(self, waiter: Waiter) -> bool:
        """Take out one that does not wait any longer; whether it still stood in the line."""
        line = self._lines.get(waiter.org_id)
        if line is None or waiter not in line.waiters:
            return False
        line.waiters.remove(waiter)
        self._count(line, -waiter.weight)
        if not line.waiters:
            del self._lines[waiter.org_id]
        if not self._lines:
            self._turns.clear()
        return True

    def _push(self, org_id: str, line: _Line) -> None:
        heapq.heappush(self._turns, (line.turn, next(self._serial), org_id))

    def _count(self, line: _Line, weight: int) -> None:
        line.weight += weight
        self.weight += weight
