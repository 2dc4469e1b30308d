"""How often a command line that waits to be let in may ask; and the limits of that way to sign in."""

from typing import NamedTuple

from interlock.clock import Millis
from interlock.errors import RateLimited


class DeviceLimits(NamedTuple):
    """Described in `runtime/settings.py`."""

    whole_ms: Millis = 600_000
    poll_ms: Millis = 2_000
    at_once: int = 1000
    token_seconds: int = 86_400


class Polls:
    """When a device may ask again, by the hash of its secret: as many as ask at once. To be used on the loop's thread only."""

    def __init__(self) -> None:
        self._next: dict[str, Millis] = {}

    def enter(self, device_hash: str, now: Millis) -> None:
        """`RateLimited` for one that asks sooner than it was told; half of the interval is forgiven to the network."""
        due = self._next.get(device_hash, now)
        if now < due:
            raise RateLimited("This asks more often than it was told", retry_after=max(1.0, (due - now) / 1000))

    def went_on(self, device_hash: str, now: Millis, limits: DeviceLimits) -> None:
        """It is known, and has to wait."""
        if len(self._next) >= limits.at_once:
            self._next = {known: at for known, at in self._next.items() if at > now}
        self._next[device_hash] = now + limits.poll_ms // 2

    def over(self, device_hash: str) -> None:
        """It asks no more."""
        self._next.pop(device_hash, None)
