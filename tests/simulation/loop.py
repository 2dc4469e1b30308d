"""Virtual time and a seeded order of what is ready. A seed reproduces a run exactly."""

import heapq
import random
from collections.abc import Callable
from typing import Any


class Violation(AssertionError):
    """An invariant does not hold."""


class Timer:
    """A callback at an instant; cancelled, it is passed over."""

    __slots__ = ("args", "callback", "cancelled")

    def __init__(self, callback: Callable[..., object], args: tuple[Any, ...]) -> None:
        self.callback = callback
        self.args = args
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class VirtualLoop:
    """The world's own clock. Ready callbacks run in a random order, timers at their instants."""

    def __init__(self, chance: random.Random) -> None:
        self.now_ms = 1_000_000_000_000
        self.steps = 0
        self._chance = chance
        self._ready: list[Timer] = []
        self._timers: list[tuple[int, int, Timer]] = []
        self._number = 0

    def call_soon(self, callback: Callable[..., object], *args: Any) -> Timer:
        timer = Timer(callback, args)
        self._ready.append(timer)
        return timer

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any) -> Timer:
        timer = Timer(callback, args)
        self._number += 1
        heapq.heappush(self._timers, (self.now_ms + max(round(delay * 1000), 0), self._number, timer))
        return timer

    def step(self) -> bool:
        """Run one callback; False when nothing is left to do."""
        self.steps += 1
        if self._ready:
            place = self._chance.randrange(len(self._ready))
            timer = self._ready.pop(place)
        elif self._timers:
            at, _, timer = heapq.heappop(self._timers)
            self.now_ms = max(self.now_ms, at)
        else:
            return False
        if not timer.cancelled:
            timer.callback(*timer.args)
        return True


class ServerLoop:
    """The loop as one life of the server sees it: when that life ends, so do its callbacks."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self.alive = True

    def call_soon(self, callback: Callable[..., object], *args: Any) -> Timer:
        return self._loop.call_soon(self._run, callback, args)

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any) -> Timer:
        return self._loop.call_later(delay, self._run, callback, args)

    def _run(self, callback: Callable[..., object], args: tuple[Any, ...]) -> None:
        if self.alive:
            callback(*args)


class VirtualClock:
    """Time and chance for the actors."""

    def __init__(self, loop: VirtualLoop, chance: random.Random) -> None:
        self._loop = loop
        self._chance = chance

    def now(self) -> int:
        return self._loop.now_ms

    def chance(self) -> float:
        return self._chance.random()


class CountingIds:
    """Ids that sort by birth, the same in every run of a seed."""

    def __init__(self) -> None:
        self._number = 0

    def new(self) -> str:
        self._number += 1
        return f"{self._number:08x}-0000-7000-8000-000000000000"
