"""How much one connection may send: so much a second, and some at once."""

from typing import Literal

BYTES_FOR_ONE = 65_536  # a larger frame counts as several

Verdict = Literal["take", "refuse", "end"]


def weight_of(size: int) -> int:
    """For how many a frame of so many bytes counts."""
    return 1 + size // BYTES_FOR_ONE


class Allowance:
    """A token bucket that may run into debt: what comes in debt is refused, and whoever goes on sending none the less
    until the debt is as large as the bucket has to go. Times are in seconds; a rate of 0 allows everything.
    """

    __slots__ = ("_at", "_left", "_most", "_rate")

    def __init__(self, per_second: float, at_once: int, now: float) -> None:
        self._rate = per_second
        self._most = float(at_once)
        self._left = float(at_once)
        self._at = now

    def spend(self, size: int, now: float) -> Verdict:
        """What to do with a frame of `size` bytes that comes now."""
        if self._rate == 0:
            return "take"
        self._left = min(self._most, self._left + (now - self._at) * self._rate) - weight_of(size)
        self._at = now
        return "take" if self._left >= 0 else "refuse" if self._left > -self._most else "end"

    @property
    def wait_seconds(self) -> float:
        """How long until another frame will be taken."""
        return max(0.0, 1 - self._left) / self._rate if self._rate else 0.0
