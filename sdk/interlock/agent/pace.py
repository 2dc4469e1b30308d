"""How long to wait before the next attempt, by what went wrong. Looks and returns a number; waits for nothing."""

from interlock.agent.settings import AgentSettings
from interlock.clock import Clock
from interlock.errors import Forbidden, InterlockError, TryLater, Unauthenticated

RETRY_AFTER_CAP_SECONDS = 300.0  # a server that says more is asked again all the same


class Pace:
    """Counts the failures in a row of one kind of request."""

    def __init__(self, settings: AgentSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._failures = 0

    def succeeded(self) -> None:
        """Start afresh."""
        self._failures = 0

    def delay(self, error: InterlockError) -> float:
        """Seconds until the next attempt after `error`.

        Full jitter, drawn from the capped span so that a fleet spreads out even at the cap. What the server asks for by
        Retry-After comes on top, and the jitter is then no less than that: all who were told the same number come
        apart. A refused key is tried slowly: only a person can mend it.
        """
        settings, chance = self._settings, self._clock.chance()
        if isinstance(error, (Unauthenticated, Forbidden)):
            return settings.key_retry_seconds * (0.5 + chance)
        span = min(settings.retry_cap_seconds, settings.retry_base_seconds * 2.0 ** min(self._failures, 32))
        self._failures += 1
        asked_for = retry_after(error)
        return asked_for + max(span, min(asked_for, settings.retry_cap_seconds)) * chance


def retry_after(error: InterlockError) -> float:
    """The seconds that the server asked to be left alone for; 0 when it did not."""
    return min(error.retry_after, RETRY_AFTER_CAP_SECONDS) if isinstance(error, TryLater) else 0.0


def about(seconds: float, clock: Clock) -> float:
    """A tenth more or less, so that those who began together do not stay together."""
    return seconds * (0.9 + 0.2 * clock.chance())
