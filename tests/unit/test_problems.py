"""Refusals as HTTP answers: when to come back, and not all at once."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.errors import NotFound, QuotaExceeded, Unavailable
from web.problems import LONGEST_SECONDS, problem_response, retry_after


@pytest.mark.parametrize(("chance", "seconds"), [(0.0, 1), (0.5, 2), (0.999, 3)])
def test_two_seconds_are_one_to_three(chance: float, seconds: int) -> None:
    assert retry_after(Unavailable(), 2.0, chance) == seconds


def test_a_refusal_that_asks_for_more_than_the_setting_gets_it() -> None:
    assert retry_after(QuotaExceeded(retry_after=10), 2.0, 0.5) == 10


def test_the_jitter_is_not_cut_by_the_cap() -> None:
    waits = {retry_after(Unavailable(retry_after=1e9), 2.0, chance / 100) for chance in range(100)}
    assert len(waits) > LONGEST_SECONDS / 2
    assert max(waits) > LONGEST_SECONDS


@given(st.floats(0, 1e9), st.floats(0, 60), st.floats(0, 1, exclude_max=True))
def test_it_is_a_whole_number_of_seconds_from_one_on(asked: float, least: float, chance: float) -> None:
    assert 1 <= retry_after(Unavailable(retry_after=asked), least, chance) <= LONGEST_SECONDS * 1.5


def test_who_may_try_later_is_told_when_and_others_are_not() -> None:
    assert problem_response(Unavailable(), "r", 0.5).headers["Retry-After"] == "2"
    response = problem_response(NotFound(), "r", 0.5)
    assert "Retry-After" not in response.headers
    assert isinstance(response.body, bytes)
    assert msgspec.json.decode(response.body)["requestId"] == "r"
