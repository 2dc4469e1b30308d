"""Questions about a host that take a reading first, answered in the order in which they were asked."""

from collections.abc import Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Rounds(Generic[Item]):
    """While a host's rows are read, what else is asked of it waits for the next round: one reading for all of them.

    Readings run on several threads. One for each question would let later ones overtake: a batch's jobs would stand in
    line in any order. `begin(host_id, items, end)` begins a round, and calls `end` once its items are on their way.
    """

    def __init__(self, begin: Callable[[str, list[Item], Callable[[], None]], None]) -> None:
        self._begin = begin
        self._waiting: dict[str, list[Item]] = {}  # by host, while a round of it is under way

    def add(self, host_id: str, item: Item) -> None:
        """In this round if none is under way, else in the next."""
        waiting = self._waiting.get(host_id)
        if waiting is None:
            self._start(host_id, [item])
        else:
            waiting.append(item)

    def _start(self, host_id: str, items: list[Item]) -> None:
        self._waiting[host_id] = []
        self._begin(host_id, items, lambda: self._end(host_id))

    def _end(self, host_id: str) -> None:
        waiting = self._waiting.pop(host_id)
        if waiting:
            self._start(host_id, waiting)
