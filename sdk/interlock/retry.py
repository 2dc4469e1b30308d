"""Whether and when a run that ended badly is tried again. Pure: looks and returns a decision.

`delay = base · factor^(attempt-1)`, capped, and jittered after the cap so that a fleet never retries in step.
S1 asks for 3 attempts with 2 s and 4 s between them; those are the defaults.
"""

from typing import NamedTuple

import msgspec

from interlock.clock import Millis
from interlock.states import RunStatus

RETRIED = frozenset({RunStatus.FAILED, RunStatus.TIMED_OUT, RunStatus.LOST})
_UNHEARD = frozenset({RunStatus.TIMED_OUT, RunStatus.LOST})  # nobody knows whether the work was done


class Backoff(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """How long to wait before attempt 2, 3 and so on."""

    base_seconds: float = 2.0
    factor: float = 2.0
    cap_seconds: float = 300.0
    jitter: float = 0.1  # a share of the delay, up or down

    def delay(self, attempt: int, chance: float) -> Millis:
        """Milliseconds after failed attempt `attempt` (1, 2, …); `chance` in [0, 1) is the jitter's draw."""
        seconds = self.base_seconds
        for _ in range(attempt - 1):
            seconds *= self.factor
            if seconds >= self.cap_seconds:
                break
        return round(min(seconds, self.cap_seconds) * 1000 * (1 + self.jitter * (2 * chance - 1)))


class RetryDecision(NamedTuple):
    """The next attempt and when it is due."""

    attempt: int
    available_at: Millis


def decide_retry(  # every argument is one fact of the decision
    ended: RunStatus,
    attempt: int,
    max_attempts: int,
    now: Millis,
    *,
    retryable: bool = True,
    retry_unheard: bool = True,
    cancel_requested: bool = False,
    backoff: Backoff = Backoff(),  # noqa: B008 - frozen
    chance: float = 0.5,
) -> RetryDecision | None:
    """The next attempt of a job whose attempt `attempt` just `ended`, or None when nothing is left to try.

    `retry_unheard` is the job type's `onLost == "retry"`: whether runs whose outcome nobody knows are repeated.
    """
    if ended not in RETRIED or not retryable or cancel_requested or attempt >= max_attempts:
        return None
    if ended in _UNHEARD and not retry_unheard:
        return None
    return RetryDecision(attempt + 1, now + backoff.delay(attempt, chance))
