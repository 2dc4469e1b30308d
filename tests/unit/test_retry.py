"""Whether and when a run that ended badly is tried again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.retry import RETRIED, Backoff, RetryDecision, decide_retry
from interlock.states import TERMINAL, RunStatus

NOW = 1_700_000_000_000
MIDDLE = 0.5  # the draw that moves nothing
STEADY = Backoff(jitter=0.0)

attempts = st.integers(1, 10_000)
chances = st.floats(0, 1, exclude_max=True)
backoffs = st.builds(
    Backoff,
    base_seconds=st.floats(0, 3600),
    factor=st.floats(1, 10),
    cap_seconds=st.floats(0, 86_400),
    jitter=st.floats(0, 1),
)


def test_three_attempts_come_two_and_four_seconds_apart() -> None:
    first = decide_retry(RunStatus.FAILED, 1, 3, NOW, chance=MIDDLE)
    second = decide_retry(RunStatus.FAILED, 2, 3, NOW, chance=MIDDLE)
    assert (first, second) == (RetryDecision(2, NOW + 2000), RetryDecision(3, NOW + 4000))
    assert decide_retry(RunStatus.FAILED, 3, 3, NOW, chance=MIDDLE) is None


def test_the_delay_doubles_up_to_five_minutes() -> None:
    seconds = [STEADY.delay(attempt, MIDDLE) / 1000 for attempt in range(1, 12)]
    assert seconds == [2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]


def test_the_jitter_comes_after_the_cap_so_that_a_fleet_never_retries_in_step() -> None:
    assert Backoff().delay(50, 0.0) == 270_000
    assert Backoff().delay(50, MIDDLE) == 300_000
    assert Backoff().delay(50, 1.0) == 330_000


def test_the_jitter_moves_the_first_delay_by_a_tenth_at_most() -> None:
    assert [Backoff().delay(1, chance) for chance in (0.0, MIDDLE, 1.0)] == [1800, 2000, 2200]


def test_an_attempt_without_end_neither_overflows_nor_takes_long() -> None:
    assert STEADY.delay(10**9, MIDDLE) == 300_000


@pytest.mark.parametrize("factor", [1.0, 0.5])
def test_a_factor_that_does_not_grow_never_takes_long_either(factor: float) -> None:
    assert Backoff(factor=factor, jitter=0.0).delay(100_000, MIDDLE) <= 2000


@given(backoffs, attempts, chances)
def test_no_delay_is_negative_or_beyond_the_cap_and_its_jitter(backoff: Backoff, attempt: int, chance: float) -> None:
    delay = backoff.delay(attempt, chance)
    assert isinstance(delay, int)
    assert 0 <= delay <= backoff.cap_seconds * 1000 * (1 + backoff.jitter) + 1


@given(backoffs, attempts, chances)
def test_a_later_attempt_never_waits_less_for_the_same_draw(backoff: Backoff, attempt: int, chance: float) -> None:
    assert backoff.delay(attempt, chance) <= backoff.delay(attempt + 1, chance)


@given(attempts, chances)
def test_the_draw_spreads_delays_evenly_around_the_middle(attempt: int, chance: float) -> None:
    middle = Backoff().delay(attempt, MIDDLE)
    assert Backoff().delay(attempt, chance) == pytest.approx(middle * (0.9 + 0.2 * chance), abs=1)


@pytest.mark.parametrize("ended", sorted(RETRIED))
def test_failures_timeouts_and_losses_are_tried_again(ended: RunStatus) -> None:
    assert decide_retry(ended, 1, 3, NOW) is not None


@pytest.mark.parametrize("ended", sorted(TERMINAL - RETRIED))
@given(attempt=attempts, most=attempts, chance=chances)
def test_nothing_else_is_ever_tried_again(ended: RunStatus, attempt: int, most: int, chance: float) -> None:
    assert decide_retry(ended, attempt, most, NOW, chance=chance) is None


def test_what_is_never_retried_is_spelt_out() -> None:
    assert {RunStatus.SUCCESS, RunStatus.REJECTED, RunStatus.CANCELLED, RunStatus.EXPIRED} == TERMINAL - RETRIED


@pytest.mark.parametrize("ended", sorted(RETRIED))
def test_an_agent_may_say_that_trying_again_is_no_use(ended: RunStatus) -> None:
    assert decide_retry(ended, 1, 3, NOW, retryable=False) is None


@pytest.mark.parametrize("ended", sorted(RETRIED))
def test_a_run_that_a_user_has_cancelled_is_never_tried_again(ended: RunStatus) -> None:
    assert decide_retry(ended, 1, 3, NOW, cancel_requested=True) is None


def test_on_lost_fail_governs_lost_and_timed_out_and_nothing_else() -> None:
    tried = {ended for ended in RETRIED if decide_retry(ended, 1, 3, NOW, retry_unheard=False) is not None}
    assert tried == {RunStatus.FAILED}


def test_one_attempt_means_no_retry() -> None:
    assert decide_retry(RunStatus.FAILED, 1, 1, NOW) is None


@given(attempts, attempts, chances)
def test_a_retry_is_the_next_attempt_and_never_one_too_many(attempt: int, most: int, chance: float) -> None:
    decision = decide_retry(RunStatus.FAILED, attempt, most, NOW, chance=chance)
    if attempt >= most:
        assert decision is None
    else:
        assert decision is not None
        assert decision.attempt == attempt + 1 <= most
        assert decision.available_at > NOW
