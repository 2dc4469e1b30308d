"""What is known of a run's log while it is written: which lines are stored, and whether more will be.

A cache of the rows, as all memory of an actor is. The database passes over a line that it has; the book is for the
agent, who is told what is missing, and for the bounds.
"""

from bisect import bisect_right

from store.logs import LogStored

MOST_RANGES = 1000  # of an agent that numbers its lines wildly: what lies beyond is forgotten, and left to the database


class LogBook:
    """The log of one run."""

    __slots__ = ("_ranges", "lines", "size_bytes", "truncated")

    def __init__(self, stored: LogStored | None = None) -> None:
        self.lines = 0 if stored is None else stored.lines
        self.size_bytes = 0 if stored is None else stored.size_bytes
        self.truncated = stored is not None and stored.truncated
        self._ranges: list[tuple[int, int]] = [] if stored is None else stored.ranges[:MOST_RANGES]

    @property
    def next_seq(self) -> int:
        """The least number, from 0 or 1 on, that is not stored; 0 while neither of these two is."""
        if not self._ranges or self._ranges[0][0] > 1:
            return 0
        return self._ranges[0][1] + 1

    def has(self, number: int) -> bool:
        """Whether the line is stored."""
        place = bisect_right(self._ranges, (number, number)) - 1
        here = place >= 0 and self._ranges[place][1] >= number
        return here or (place + 1 < len(self._ranges) and self._ranges[place + 1][0] == number)

    def note(self, number: int | None, size_bytes: int) -> None:
        """A line is stored; None is one that the agent has not numbered."""
        self.lines += 1
        self.size_bytes += size_bytes
        if number is not None:
            self._join(number)

    def _join(self, number: int) -> None:
        ranges = self._ranges
        place = bisect_right(ranges, (number, number))
        first = last = number
        if place < len(ranges) and ranges[place][0] == number + 1:
            last = ranges.pop(place)[1]
        if place > 0 and ranges[place - 1][1] == number - 1:
            place -= 1
            first = ranges.pop(place)[0]
        ranges.insert(place, (first, last))
        if len(ranges) > MOST_RANGES:
            ranges.pop()
