"""When the same request is worth sending again. Pure: looks and returns a pause.

The pause is what the server asks for (`Retry-After`) plus a random share of a growing span ("full jitter"), so
that a fleet whose server restarts does not come back in step.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RepeatPolicy:
    """How patient a client is with a server that says "later" or does not answer."""

    attempts: int = 4  # sends of one request in all; 1 never repeats
    base_seconds: float = 0.25  # the random pause after the first send is at most this, then doubles
    cap_seconds: float = 5.0  # the random pause never exceeds this
    patience_seconds: float = 30.0  # a server that asks for more than this is not waited for

    def pause(self, sent: int, retry_after: float, chance: float) -> float | None:
        """Seconds to wait after send number `sent` (1, 2, …), or None to give up; `chance` is in [0, 1)."""
        if sent >= self.attempts or retry_after > self.patience_seconds:
            return None
        return retry_after + chance * min(self.cap_seconds, self.base_seconds * 2.0 ** (sent - 1))


DEFAULT_REPEAT = RepeatPolicy()
