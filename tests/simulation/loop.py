"""Virtual time and a seeded order of what is ready. A seed reproduces a run exactly.

The loop's own time is the truth. What runs on a machine belongs to a `Process`: when that is dead nothing of it runs
any more, and while it is paused everything of it waits, so that its timers fire late and its mail is read late.
"""

import asyncio
import heapq
import inspect
import random
from collections.abc import Callable, Iterator
from typing import Any

_set_running_loop: Callable[[Any], None] = asyncio._set_running_loop
# The instant at which every world begins: in 2027, for run numbers follow the clock from 2026 on.
START_MS = 1_800_000_000_000


class Violation(AssertionError):
    """An invariant does not hold."""


class Timer:
    """A callback at an instant; cancelled, it is passed over."""

    __slots__ = ("args", "callback", "cancelled", "process")

    def __init__(self, callback: Callable[..., object], args: tuple[Any, ...], process: "Process | None") -> None:
        self.callback = callback
        self.args = args
        self.process = process
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class VirtualLoop:
    """The world's own clock. Ready callbacks run in a random order, timers at their instants."""

    def __init__(self, chance: random.Random) -> None:
        self.now_ms = START_MS
        self.steps = 0
        self._draw = chance.random
        self._ready: list[Timer] = []
        self._timers: list[tuple[int, int, Timer]] = []
        self._number = 0
        self._running: Process | None = None  # whose callback runs, for asyncio
        self.looked: Callable[[], None] = lambda: None  # called after each step

    def close(self) -> None:
        """Nothing runs any more."""
        _set_running_loop(None)

    def call_soon(self, callback: Callable[..., object], *args: Any) -> Timer:
        return self.soon(Timer(callback, args, None))

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any) -> Timer:
        return self.later(delay, Timer(callback, args, None))

    def soon(self, timer: Timer) -> Timer:
        self._ready.append(timer)
        return timer

    def later(self, delay: float, timer: Timer) -> Timer:
        self._number += 1
        heapq.heappush(self._timers, (self.now_ms + max(round(delay * 1000), 0), self._number, timer))
        return timer

    def has_something_by(self, at_ms: int) -> bool:
        """Whether anything will happen until then."""
        return bool(self._ready) or (bool(self._timers) and self._timers[0][0] <= at_ms)

    def step(self) -> bool:
        """Run one callback; False when nothing is left to do."""
        self.steps += 1
        ready = self._ready
        if ready:
            timer = ready.pop(int(self._draw() * len(ready)))
        elif self._timers:
            at, _, timer = heapq.heappop(self._timers)
            self.now_ms = max(self.now_ms, at)
        else:
            return False
        process = timer.process
        if timer.cancelled or (process is not None and process.keeps(timer)):
            return True
        if process is not self._running:
            self._running = process
            _set_running_loop(process)
        timer.callback(*timer.args)
        return True


class Process:
    """The loop as one process sees it. It has what asyncio's tasks, futures and sleeps ask of an event loop, so that
    production's coroutines run on it as they are.
    """

    def __init__(self, loop: VirtualLoop) -> None:
        self.alive = True
        self.paused = False
        self._loop = loop
        self._held: list[Timer] = []
        self._tasks: list[asyncio.Task[Any]] = []  # kept: one that is collected would run its `finally` at any time

    # ---- what asyncio asks of a loop -------------------------------------------------------------------------------

    def call_soon(self, callback: Callable[..., object], *args: Any, context: object = None) -> Timer:
        del context
        timer = Timer(callback, args, self)
        return self._loop.soon(timer) if self.alive else timer

    call_soon_threadsafe = call_soon  # nothing here has threads

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any, context: object = None) -> Timer:
        del context
        timer = Timer(callback, args, self)
        return self._loop.later(delay, timer) if self.alive else timer

    def call_at(self, when: float, callback: Callable[..., object], *args: Any, context: object = None) -> Timer:
        del context
        return self.call_later(when - self.time(), callback, *args)

    def time(self) -> float:
        """Seconds that nobody sets, and that go on during a pause."""
        return self._loop.now_ms / 1000

    def add_reader(self, channel: Any, callback: Callable[[], None]) -> None:
        channel.readable = callback

    def remove_reader(self, channel: Any) -> None:
        channel.readable = lambda: None

    def create_future(self) -> "asyncio.Future[Any]":
        loop: Any = self
        return asyncio.Future(loop=loop)

    def create_task(self, coro: Any, *, name: str | None = None, context: object = None) -> "asyncio.Task[Any]":
        del context
        loop: Any = self
        task: asyncio.Task[Any] = asyncio.Task(coro, loop=loop, name=name)
        self._tasks.append(task)
        return task

    def get_debug(self) -> bool:
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Of what is collected after its process has died."""

    # ---- what happens to processes ---------------------------------------------------------------------------------

    def keeps(self, timer: Timer) -> bool:
        """Whether the callback is not to run now: the process is dead, or will run it when it resumes."""
        if self.alive and self.paused:
            self._held.append(timer)
        return self.paused or not self.alive

    def pause(self, seconds: float) -> None:
        """Stop, as a stopped process or a suspended machine does; nothing notices from inside."""
        if self.alive and not self.paused:
            self.paused = True
            self._loop.call_later(seconds, self.resume)

    def wait(self, ms: int) -> bool:
        """In the middle of a callback: others go on for so long, as they do while a statement waits for a lock. False
        when the process has died meanwhile.
        """
        self.paused = True
        until = self._loop.now_ms + ms
        while self._loop.has_something_by(until):
            self._loop.step()
            self._loop.looked()
        self.resume()
        return self.alive

    def resume(self) -> None:
        """Go on: what came due meanwhile runs now, in the order in which it came due."""
        if not self.paused:
            return
        self.paused = False
        held, self._held = self._held, []
        for timer in held:
            self._loop.later(0, timer)

    def kill(self) -> None:
        """Nothing of it runs again."""
        self.alive = False
        self._held.clear()
        for task in self._tasks:
            work: Any = task.get_coro()
            if inspect.getcoroutinestate(work) == inspect.CORO_CREATED:
                work.close()  # it was never begun, which Python would complain of


class WallClock:
    """A machine's clock, which an operator or NTP may set, and the chance that its actors see. Several may share an
    offset: then they are one clock.
    """

    def __init__(self, loop: VirtualLoop, chance: random.Random, offset_ms: list[int] | None = None) -> None:
        self.offset_ms = [0] if offset_ms is None else offset_ms
        self.chance = chance.random
        self._loop = loop

    def now(self) -> int:
        return self._loop.now_ms + self.offset_ms[0]


class WallIds:
    """Ids as UUIDv7 makes them: by the machine's clock, rising within a process. The same in every run of a seed."""

    def __init__(self, clock: WallClock, numbers: Iterator[int]) -> None:
        self._clock = clock
        self._numbers = numbers
        self._latest = 0

    def new(self) -> str:
        self._latest = at = max(self._latest, self._clock.now())
        return f"{at >> 16:08x}-{at & 0xFFFF:04x}-7000-8000-{next(self._numbers):012x}"
