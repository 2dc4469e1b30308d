"""The jobs of a pool that want the same labels, in their order: a window over the rows."""

from bisect import bisect_left, insort
from collections.abc import Container
from operator import itemgetter

from store.pool import Waiting

Order = tuple[int, str]
Entry = tuple[Order, Waiting]
_ORDER = itemgetter(0)


def order(item: Waiting) -> Order:
    """Where a job stands: the highest priority first, then the oldest."""
    return (-item.priority, item.job_id)


class Lane:
    """The first of the jobs that want the same labels, but for those that are kept for a host."""

    __slots__ = ("items", "labels", "untold", "whole", "window")

    def __init__(self, labels: str, window: int, *, whole: bool) -> None:
        self.labels = labels
        self.window = window
        self.items: list[Entry] = []
        self.untold: list[Entry] = []  # those of them of which no host was told first lately
        self.whole = whole  # nothing of it waits but what is here

    @property
    def thin(self) -> bool:
        """Whether it is to be read: more may wait than is here."""
        return not self.whole and len(self.items) < self.window // 4

    def fill(self, items: list[Entry], told: Container[str]) -> None:
        """These are the first ones; of which of them was a host told first lately?"""
        self.items = items
        self.untell(told)

    def untell(self, told: Container[str]) -> None:
        """Only of these jobs was a host told first lately."""
        self.untold = [entry for entry in self.items if entry[1].job_id not in told]

    def add(self, item: Waiting, *, told: bool = False) -> bool:
        """Let it stand in its place, if that is within the window; whether it is."""
        entry = (order(item), item)
        if not self.whole and (not self.items or entry[0] > self.items[-1][0]):
            return False
        insort(self.items, entry, key=_ORDER)
        if not told:
            insort(self.untold, entry, key=_ORDER)
        if len(self.items) > self.window:
            self.tell(self.items.pop()[1])
            self.whole = False
        return True

    def remove(self, item: Waiting) -> None:
        """Let it leave, if it is here."""
        _remove(self.items, item)
        self.tell(item)

    def tell(self, item: Waiting) -> None:
        """A host is told of it first."""
        _remove(self.untold, item)

    def place(self, item: Waiting) -> int:
        """Where it stands: 1 is the first."""
        return bisect_left(self.items, order(item), key=_ORDER) + 1


def _remove(entries: list[Entry], item: Waiting) -> None:
    wanted = order(item)
    place = bisect_left(entries, wanted, key=_ORDER)
    if place < len(entries) and entries[place][0] == wanted:
        del entries[place]
