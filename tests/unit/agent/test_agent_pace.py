"""How long the agent waits after each kind of failure."""

import pytest

from interlock.agent import AgentSettings
from interlock.agent.pace import Pace
from interlock.errors import Forbidden, InterlockError, RateLimited, Superseded, Unauthenticated, Unavailable


class FixedClock:
    def __init__(self, chance: float) -> None:
        self._chance = chance

    def now(self) -> int:
        return 0

    def chance(self) -> float:
        return self._chance


NOW = Unavailable(retry_after=0.0)


def test_the_span_doubles_up_to_the_cap_and_the_delay_is_drawn_from_all_of_it() -> None:
    pace = Pace(AgentSettings(), FixedClock(0.5))
    assert [pace.delay(NOW) for _ in range(8)] == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    lucky = Pace(AgentSettings(), FixedClock(0.0))
    assert [lucky.delay(NOW) for _ in range(8)] == [0.0] * 8


def test_a_success_starts_afresh() -> None:
    pace = Pace(AgentSettings(), FixedClock(0.5))
    pace.delay(NOW)
    pace.delay(NOW)
    pace.succeeded()
    assert pace.delay(NOW) == 0.5


def test_failures_without_end_do_not_overflow() -> None:
    pace = Pace(AgentSettings(), FixedClock(1.0))
    assert [pace.delay(NOW) for _ in range(5000)][-1] == 60.0


def test_what_the_server_asks_for_comes_before_the_jitter_and_is_bounded() -> None:
    assert Pace(AgentSettings(), FixedClock(0.5)).delay(RateLimited(retry_after=20.0)) == 20.5
    assert Pace(AgentSettings(), FixedClock(0.5)).delay(RateLimited(retry_after=1e9)) == 300.5


@pytest.mark.parametrize("error", [Unauthenticated(), Forbidden()])
def test_a_refused_key_is_tried_slowly(error: InterlockError) -> None:
    assert Pace(AgentSettings(), FixedClock(0.1)).delay(error) == 60.0


def test_being_superseded_backs_off_like_any_other_failure() -> None:
    assert Pace(AgentSettings(), FixedClock(0.5)).delay(Superseded()) == 0.5
