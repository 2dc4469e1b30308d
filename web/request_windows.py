"""Counting requests in fixed windows. Imported only when a limit is set: loading the library takes a tenth of a second.

A window begins with somebody's first request and ends after its time. Servers that share a Redis count together there. While
it is away each counts for itself, so that no request waits for it or is refused for its sake.
"""

from limits import RateLimitItem, RateLimitItemPerSecond
from limits.storage import Storage

from interlock.clock import Clock
from web.request_counts import CountsAway, SharedCounts
from web.request_limits import Kind, RequestLimits, Standing

MOST = 200_000  # windows kept at once: some ten megabytes; beyond, all begin afresh
_KINDS: tuple[Kind, ...] = ("token", "session", "key", "org")


class Windows(Storage):
    """The library's storage, in this process and on the loop's thread: without the timers and threads of its own."""

    STORAGE_SCHEME = ["interlock"]  # noqa: RUF012 - so the library declares it

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self._windows: dict[str, tuple[int, float]] = {}  # the count, and the second when the window ends
        self._cleared_at = 0.0

    @property
    def base_exceptions(self) -> type[Exception]:
        """What may go wrong: nothing."""
        return ValueError

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """The count of the window, with this; `expiry` is how long a new one takes, in seconds."""
        now = self._clock.now() / 1000
        count, ends = self._windows.get(key, (0, 0.0))
        if ends <= now or ends > now + expiry:  # it is over, or the clock was set back
            self._make_room(now, expiry)
            count, ends = 0, now + expiry
        self._windows[key] = (count + amount, ends)
        return count + amount

    def get(self, key: str) -> int:
        """The count of the window; 0 when there is none."""
        count, ends = self._windows.get(key, (0, 0.0))
        return count if ends > self._clock.now() / 1000 else 0

    def get_expiry(self, key: str) -> float:
        """When the window ends, in seconds since 1970."""
        return self._windows.get(key, (0, self._clock.now() / 1000))[1]

    def check(self) -> bool:
        """It is always there."""
        return True

    def reset(self) -> int | None:
        """Forget all; how many there were."""
        known = len(self._windows)
        self._windows.clear()
        return known

    def clear(self, key: str) -> None:
        """Forget one."""
        self._windows.pop(key, None)

    def _make_room(self, now: float, expiry: int) -> None:
        """Once in a window's time, let go of those that are over."""
        if now - self._cleared_at >= expiry or now < self._cleared_at:
            self._cleared_at = now
            self._windows = {key: window for key, window in self._windows.items() if window[1] > now}
        if len(self._windows) >= MOST:
            self._windows.clear()


class RequestWindows:
    """To be used on the loop's thread only. `shared` is where all servers count together, if there are several."""

    def __init__(self, limits: RequestLimits, clock: Clock, shared: SharedCounts | None = None) -> None:
        self._clock = clock
        self._windows = Windows(clock)
        self._shared = shared
        window = limits.window_seconds
        self._items = {kind: RateLimitItemPerSecond(most, window) for kind in _KINDS if (most := limits.of(kind))}

    async def enter(self, kind: Kind, name: str) -> Standing | None:
        """Count one request; None when this kind is not limited. Who has no more left is told when the window ends."""
        item = self._items.get(kind)
        if item is None:
            return None
        if self._shared is not None and self._shared.up:
            try:
                left, ends_in = await self._shared.hit(item, kind, name)
                return Standing(kind, item.amount, item.get_expiry(), left, ends_in)
            except CountsAway:
                pass
        return self._hit(item, kind, name)

    def _hit(self, item: RateLimitItem, kind: Kind, name: str) -> Standing:
        """As the library's fixed windows do it, with one look instead of three."""
        key, window = item.key_for(kind, name), item.get_expiry()
        left = max(-1, item.amount - self._windows.incr(key, window))
        return Standing(kind, item.amount, window, left, self._windows.get_expiry(key) - self._clock.now() / 1000)

    async def start(self) -> None:
        """Begin to look for the others, if there are any."""
        if self._shared is not None:
            await self._shared.start()

    async def stop(self) -> None:
        """Let go; twice does no harm."""
        if self._shared is not None:
            await self._shared.stop()
