"""The jobs of a pool that want the same labels, in their order: a window over the rows."""

from bisect import bisect_left, insort

from store.pool import Waiting

Order = tuple[int, str]


def order(item: Waiting) -> Order:
    """Where a job stands: the highest priority first, then the oldest."""
    return (-item.priority, item.job_id)


class Lane:
    """The first of the jobs that want the same labels, but for those that are kept for a host."""

    __slots__ = ("items", "labels", "whole", "window")

    def __init__(self, labels: str, window: int, *, whole: bool) -> None:
        self.labels = labels
        self.window = window
        self.items: list[tuple[Order, Waiting]] = []
        self.whole = whole  # nothing of it waits but what is here

    @property
    def thin(self) -> bool:
        """Whether it is to be read: more may wait than is here."""
        return not self.whole and len(self.items) < self.window // 4

    def add(self, item: Waiting) -> bool:
        """Let it stand in its place, if that is within the window; whether it is."""
        entry = (order(item), item)
        if not self.whole and (not self.items or entry > self.items[-1]):
            return False
        insort(self.items, entry)
        if len(self.items) > self.window:
            self.items.pop()
            self.whole = False
        return True

    def remove(self, item: Waiting) -> None:
        """Let it leave, if it is here."""
        entry = (order(item), item)
        place = bisect_left(self.items, entry)
        if place < len(self.items) and self.items[place] == entry:
            del self.items[place]

    def place(self, item: Waiting) -> int:
        """Where it stands: 1 is the first."""
        return bisect_left(self.items, (order(item), item)) + 1
