"""Admission: creates add work to the fleet, so under overload they wait at a gate, while agents' requests never do.

Each create that is under way lengthens the loop's turns, and with them the way of every report and poll. Without a
bound, 500 users at once made each report take most of a second, and the fleet stood idle while its lines grew: goodput
fell to a tenth. So creates are under way only as many at a time as keep the turns short; the others wait outside, where
they cost nothing, and whoever would wait too long is told so at once. Each organization waits in a line of its own.

How many that is depends on the machine and its disk, so it is found out: while somebody waits, the number grows as long
as turns are short (on a slow disk the journal's groups should be large), and shrinks when they are not.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from math import inf
from typing import NamedTuple

from interlock.errors import Unavailable
from web.fair_line import FairLine, Waiter

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


class Held:
    """Places that somebody has at the gate, until he closes it; twice does no harm."""

    __slots__ = ("_gate", "_weight")

    def __init__(self, gate: "Gate", weight: int) -> None:
        self._gate: Gate | None = gate
        self._weight = weight

    def close(self) -> None:
        """Give them back."""
        gate, self._gate = self._gate, None
        if gate is not None:
            gate.leave(self._weight)


class Gate:
    """To be used on the loop's thread only. `time` is the loop's own clock, in seconds."""

    def __init__(self, bounds: Bounds, time: Callable[[], float]) -> None:
        self.places = min(bounds.least * 2, bounds.most)
        self.refused = 0
        self._bounds = bounds
        self._time = time
        self._inside = 0  # places that are taken
        self._line = FairLine()
        self._coming: Counter[str] = Counter()  # by organization: creates that were let in and have not come here yet
        self._rate = 0.0  # places that become free in a second while somebody waits, as of late; 0: not yet known
        self._freed = 0  # since the last look
        self._left_at = 0.0  # when one last did, or when the line began
        self._look_due = 0.0

    def weight(self, length: int | None) -> int:
        """How many places a request takes, by the length of its body: never more than there always are."""
        return min(1 + (length or 0) // _WEIGHT_BYTES, self._bounds.least)

    @property
    def waiting(self) -> int:
        """Places that are waited for."""
        return self._line.weight

    def enter(self, weight: int) -> bool:
        """Take the places if they are free and nobody waits; whether they have been taken."""
        if self._line.weight or self._inside + weight > self.places:
            return False
        self._inside += weight
        return True

    def expected_seconds(self, org_id: str, behind: int = 0) -> float:
        """How long a create of this organization that comes now would wait, or one that comes behind so many others of it:
        by the pace as of late, and at least as long as nobody at all has been admitted.
        """
        line = self._line
        if not line.weight:
            return 0.0
        stalled = self._time() - self._left_at
        if not self._rate:  # the first line since the start: its pace is known at the first look
            return stalled if line.weight + behind < self._bounds.most else inf
        return max(line.share_of(org_id, behind) / self._rate, stalled)

    def refuse(self) -> Unavailable:
        """Count a refusal; what to raise."""
        self.refused += 1
        return Unavailable(CROWDED)

    def closed_to(self, org_id: str, behind: int = 0) -> bool:
        """Whether a create of this organization that comes now, or behind so many others of it, would wait too long."""
        return self.expected_seconds(org_id, behind) > self._bounds.wait_seconds

    def lets_in(self, org_id: str) -> bool:
        """Whether to let a create of this organization come here. Those that were let in are thought of as in line: of
        many that come in one turn of the loop, nobody is in line before the next.
        """
        if self.closed_to(org_id, self._coming[org_id]):
            return False
        self._coming[org_id] += 1
        return True

    def has_come(self, org_id: str) -> None:
        """One that was let in is here."""
        if self._coming:
            self._coming[org_id] -= 1
            if self._coming[org_id] <= 0:
                del self._coming[org_id]

    async def wait(self, weight: int, org_id: str) -> None:
        """Return with the places taken, or raise `Unavailable`: at once, when it would take too long."""
        if self.closed_to(org_id):
            raise self.refuse()
        waiter = self._join(weight, org_id)
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
        if self._line.weight:
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
            self.places = min(max(round(self.places * _GROW), self.places + 1), most)

    def _join(self, weight: int, org_id: str) -> Waiter:
        loop = asyncio.get_running_loop()
        if not self._line.weight:
            self._left_at = self._time()
            if not self._look_due:
                self._freed = 0
                self._look_later(loop)
        waiter = Waiter(org_id, weight, loop.create_future())
        self._line.join(waiter)
        return waiter

    def _look_later(self, loop: asyncio.AbstractEventLoop) -> None:
        self._look_due = loop.time() + LOOKS
        loop.call_at(self._look_due, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._coming.clear()  # of whom some may never come
        if not self._line.weight:
            self._look_due = 0.0
            return
        self.adapt(loop.time() - self._look_due)
        self._admit()
        self._look_later(loop)

    def _admit(self) -> None:
        while (waiter := self._line.first()) is not None and self._inside + waiter.weight <= self.places:
            self._line.admit(waiter)
            if not waiter.admitted.done():
                self._inside += waiter.weight
                waiter.admitted.set_result(None)

    def _give_up(self, waiter: Waiter) -> None:
        if waiter.admitted.done() and not waiter.admitted.cancelled():
            self.leave(waiter.weight)  # admitted at the very moment
        elif self._line.remove(waiter):
            self._admit()
