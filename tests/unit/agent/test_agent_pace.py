"""How long the agent waits after each kind of failure."""

import random
from collections import Counter

import pytest

from interlock.agent import AgentSettings
from interlock.agent.pace import Pace, about
from interlock.errors import Forbidden, InterlockError, RateLimited, Superseded, Unauthenticated, Unavailable


class FixedClock:
    def __init__(self, chance: float) -> None:
        self._chance = chance

    def now(self) -> int:
        return 0

    def chance(self) -> float:
        return self._chance


class RandomClock:
    def __init__(self, chance: random.Random) -> None:
        self._chance = chance

    def now(self) -> int:
        return 0

    def chance(self) -> float:
        return self._chance.random()


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
    assert Pace(AgentSettings(), FixedClock(0.0)).delay(RateLimited(retry_after=20.0)) == 20.0
    assert Pace(AgentSettings(), FixedClock(0.0)).delay(RateLimited(retry_after=1e9)) == 300.0
    assert Pace(AgentSettings(), FixedClock(0.5)).delay(RateLimited(retry_after=1e9)) == 330.0


def test_those_who_were_told_the_same_number_come_apart_by_as_much() -> None:
    delays = [Pace(AgentSettings(), FixedClock(chance)).delay(RateLimited(retry_after=20.0)) for chance in (0, 0.5, 1)]
    assert delays == [20.0, 30.0, 40.0]


@pytest.mark.parametrize("asked_for", [0.0, 1.0, 30.0])
def test_a_fleet_that_fails_together_never_comes_back_together(asked_for: float) -> None:
    chance = random.Random(1)  # noqa: S311 - an order of arrival
    fleet = [Pace(AgentSettings(), RandomClock(chance)) for _ in range(2000)]
    arrivals = [0.0] * len(fleet)
    for _ in range(12):  # the server refuses everybody, each time
        arrivals = [
            at + pace.delay(Unavailable(retry_after=asked_for)) for at, pace in zip(arrivals, fleet, strict=True)
        ]
    seconds = Counter(int(at) for at in arrivals)
    assert max(seconds.values()) < len(fleet) / 30


@pytest.mark.parametrize("error", [Unauthenticated(), Forbidden()])
def test_a_refused_key_is_tried_slowly_and_not_by_all_at_once(error: InterlockError) -> None:
    assert [Pace(AgentSettings(), FixedClock(chance)).delay(error) for chance in (0, 0.5, 1)] == [30.0, 60.0, 90.0]


def test_what_is_done_at_intervals_drifts_by_a_tenth() -> None:
    assert [about(15.0, FixedClock(chance)) for chance in (0.0, 0.5, 1.0)] == [13.5, 15.0, 16.5]


def test_being_superseded_backs_off_like_any_other_failure() -> None:
    assert Pace(AgentSettings(), FixedClock(0.5)).delay(Superseded()) == 0.5
