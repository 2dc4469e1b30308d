"""Admission: creates add work to the fleet, so under overload they wait at a gate, while agents' requests never do.

Each create that is under way lengthens the loop's turns, and with them the way of every report and poll. Without a
bound, 500 users at once made each report take most of a second, and the fleet stood idle while its lines grew: goodput
fell to a tenth. So creates are under way only as many at a time as keep the turns short; the others wait outside, where
they cost nothing, and whoever would wait too long is told so at once.

How many that is depends on the machine and its disk, so it is found out: while somebody waits, the number grows as long
as turns are short (on a slow disk the journal's groups should be large), and shrinks when they are not.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from interlock.errors import Unavailable

CROWDED = "More jobs are being created than this server can take in"
LOOKS = 0.05  # seconds between two looks at the turns while somebody waits
_WEIGHT_BYTES = 4096  # of a body, for each place that it takes: a batch is more work than a job
_SMOOTHING = 0.2  # how much the newest look counts in the rate: places become free in bursts, with each commit
_PATIENCE = 2.0  # times the wait that was expected, for who waits already: then the pace has changed
_GROW, _SHRINK = 1.1, 0.8  # shrinking is faster: agents wait meanwhile


class Bounds(NamedTuple):
    """Described in `runtime/settings.py`."""

    least: int = 8
    most: int = 128
    wait_seconds: float = 0.5
    turn_seconds: float = 0.01


BOUNDS = Bounds()


class _Waiter(NamedTuple):
    weight: int
    admitted: "asyncio.Future[None]"


class Gate:
    """To be used on the loop's thread only. `time` is the loop's own clock, in seconds."""

    def __init__(self, bounds: Bounds, time: Callable[[], float]) -> None:
        self.places = min(bounds.least * 2, bounds.most)
        self.refused = 0
        self.waiting = 0  # places that are waited for
        self._bounds = bounds
        self._time = time
        self._inside = 0  # places that are taken
        self._line: deque[_Waiter] = deque()
        self._rate = 0.0  # places that become free in a second while somebody waits, as of late; 0: not yet known
        self._freed = 0  # since the last look
        self._left_at = 0.0  # when one last did, or when the line began
        self._look_due = 0.0

    def weight(self, length: int | None) -> int:
        """How many places a request takes, by the length of its body: never more than there always are."""
        return min(1 + (length or 0) // _WEIGHT_BYTES, self._bounds.least)

    def enter(self, weight: int) -> bool:
        """Take the places if they are free and nobody waits; whether they have been taken."""
        if self._line or self._inside + weight > self.places:
            return False
        self._inside += weight
        return True

    def expected_seconds(self) -> float:
        """How long whoever comes now would wait."""
        if not self._line:
            return 0.0
        by_rate = self.waiting / self._rate if self._rate else 0.0
        return max(by_rate, self._time() - self._left_at)

    def refuse(self) -> Unavailable:
        """Count a refusal; what to raise."""
        self.refused += 1
        return Unavailable(CROWDED)

    @property
    def closed(self) -> bool:
        """Whether whoever comes now would wait too long."""
        return bool(self._line) and self.expected_seconds() > self._bounds.wait_seconds

    async def wait(self, weight: int) -> None:
        """Return with the places taken, or raise `Unavailable`: at once, when it would take too long."""
        if self.closed:
            raise self.refuse()
        waiter = self._join(weight)
        try:
            async with asyncio.timeout(self._bounds.wait_seconds * _PATIENCE):
                await waiter.admitted
        except TimeoutError:
            self._give_up(waiter)
            raise self.refuse() from None
        except BaseException:
            self._give_up(waiter)
            raise

    def leave(self, weight: int) -> None:
        """Give the places back; whoever is first in line gets them."""
        self._inside -= weight
        if self._line:
            self._left_at = self._time()
            self._freed += weight
            self._admit()

    def adapt(self, late_seconds: float) -> None:
        """A look while somebody waits. It came so late, which is a share of a turn."""
        rate = self._freed / (LOOKS + late_seconds)
        self._rate += (rate - self._rate) * (_SMOOTHING if self._rate else 1.0)
        self._freed = 0
        least, most, _, turn = self._bounds
        if late_seconds > turn:
            self.places = max(round(self.places * _SHRINK), least)
        elif late_seconds < turn / 2:
            self.places = min(round(self.places * _GROW), most)

    def _join(self, weight: int) -> _Waiter:
        loop = asyncio.get_running_loop()
        if not self._line:
            self._left_at = self._time()
            if not self._look_due:
                self._freed = 0
                self._look_later(loop)
        waiter = _Waiter(weight, loop.create_future())
        self._line.append(waiter)
        self.waiting += weight
        return waiter

    def _look_later(self, loop: asyncio.AbstractEventLoop) -> None:
        self._look_due = loop.time() + LOOKS
        loop.call_at(self._look_due, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._line:
            self._look_due = 0.0
            return
        self.adapt(loop.time() - self._look_due)
        self._admit()
        self._look_later(loop)

    def _admit(self) -> None:
        while self._line and self._inside + self._line[0].weight <= self.places:
            waiter = self._line.popleft()
            self.waiting -= waiter.weight
            if not waiter.admitted.done():
                self._inside += waiter.weight
                waiter.admitted.set_result(None)

    def _give_up(self, waiter: _Waiter) -> None:
        if waiter.admitted.done() and not waiter.admitted.cancelled():
            self.leave(waiter.weight)  # admitted at the very moment
        elif waiter in self._line:
            self._line.remove(waiter)
            self.waiting -= waiter.weight
            self._admit()
