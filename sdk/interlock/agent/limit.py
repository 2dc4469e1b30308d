"""How long a run may still take: a clock that stands while the run waits for its user."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

MOST_AHEAD_SECONDS = 1.0  # by which the server's clock may be before this one: it starts as the run is handed out
MOST_AHEAD = 0.25  # of all that it may take


class Limit:
    """Calls `on_end` once `seconds` have passed in which it was not held."""

    def __init__(self, seconds: float, on_end: Callable[[], object]) -> None:
        self._left = seconds
        self._ahead = min(MOST_AHEAD_SECONDS, MOST_AHEAD * seconds)
        self._on_end = on_end
        self._holders = 0
        self._loop = asyncio.get_running_loop()
        self._start()

    def cancel(self) -> None:
        """It will not call any more."""
        self._timer.cancel()

    def is_all_but_over(self) -> bool:
        """Whether so little is left, or nothing, that by the server's clock the time may be over."""
        return self._left_now() <= self._ahead

    @contextmanager
    def held(self) -> Iterator[None]:
        """The clock stands as long as the block lasts."""
        if self._holders == 0:
            self._timer.cancel()
            self._left = self._left_now()
        self._holders += 1
        try:
            yield
        finally:
            self._holders -= 1
            if self._holders == 0:
                self._start()

    def _left_now(self) -> float:
        return self._left if self._holders else self._left - (self._loop.time() - self._began_at)

    def _start(self) -> None:
        self._began_at = self._loop.time()
        self._timer = self._loop.call_later(max(0.0, self._left), self._on_end)
