"""A host's waiting line: highest priority first, then the lowest place."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.line import Attempt, Line
from store.rows import HELD
from tests.support.rows import job_row, run_row


def attempt(seq: int, priority: int = 0) -> Attempt:
    """A waiting attempt that stands at `seq`."""
    job = job_row(seq=seq, priority=priority)
    return Attempt(job, run_row(job))


def line_of(*attempts: Attempt) -> Line:
    line = Line()
    for each in attempts:
        line.add(each)
    return line


def test_an_empty_line_has_nobody_first() -> None:
    line = Line()
    assert (len(line), list(line), line.first()) == (0, [], None)


def test_jobs_stand_in_the_order_of_their_places() -> None:
    one, two, three = attempt(1), attempt(2), attempt(3)
    assert list(line_of(one, two, three)) == [one, two, three]


def test_a_retry_comes_back_where_its_old_place_puts_it() -> None:
    early, late, retry = attempt(1), attempt(9), attempt(4)
    assert list(line_of(early, late, retry)) == [early, retry, late]
    assert list(line_of(retry, late, early)) == [early, retry, late]


def test_a_higher_priority_goes_before_every_lower_one() -> None:
    normal, urgent, idle = attempt(1), attempt(3, priority=5), attempt(2, priority=-5)
    line = line_of(normal, urgent, idle)
    assert list(line) == [urgent, normal, idle]
    assert line.first() is urgent


def test_a_place_is_counted_over_all_priorities() -> None:
    normal, urgent, second = attempt(1), attempt(2, priority=1), attempt(3)
    line = line_of(normal, urgent, second)
    assert [line.position(each) for each in (urgent, normal, second)] == [1, 2, 3]


def test_anyone_may_leave_from_wherever_they_stand() -> None:
    one, two, three = attempt(1), attempt(2), attempt(3)
    line = line_of(one, two, three)
    line.remove(two)
    assert list(line) == [one, three]
    line.remove(one)
    line.remove(three)
    assert (len(line), line.first()) == (0, None)


def test_a_priority_that_was_emptied_can_be_used_again() -> None:
    urgent, normal = attempt(1, priority=1), attempt(2)
    line = line_of(urgent, normal)
    line.remove(urgent)
    line.add(urgent)
    assert list(line) == [urgent, normal]


def test_two_attempts_with_equal_rows_are_still_two() -> None:
    one = attempt(1)
    twin = Attempt(one.job, one.run)
    line = line_of(one)
    with pytest.raises(ValueError, match="not in deque"):
        line.remove(twin)
    assert list(line) == [one]


def test_an_attempt_is_found_by_its_job_and_by_its_run() -> None:
    one, two = attempt(1), attempt(2, priority=3)
    line = line_of(one, two)
    assert line.find_job(one.job.id) is line.find_run(one.run.id) is one
    assert line.find_job("nobody") is line.find_run("nobody") is None


places = st.tuples(st.integers(0, 1000), st.sampled_from([-1, 0, 0, 0, 7]))


@given(st.lists(places, unique_by=lambda place: place[0], max_size=40), st.randoms(use_true_random=False))
def test_whatever_comes_and_goes_the_line_stays_sorted(standing: list[tuple[int, int]], chance: object) -> None:
    line, model = Line(), list[Attempt]()
    for seq, priority in standing:
        each = attempt(seq, priority)
        line.add(each)
        model.append(each)
        if len(model) > 1 and chance.random() < 0.4:  # type: ignore[attr-defined]
            left = chance.choice(model)  # type: ignore[attr-defined]
            line.remove(left)
            model.remove(left)
        model.sort(key=lambda each: (-each.job.priority, each.job.seq))
        assert list(line) == model
        assert (len(line), line.first()) == (len(model), model[0])
        assert [line.position(each) for each in model] == list(range(1, len(model) + 1))


# ---- ranks -------------------------------------------------------------------------------------------------------------


def ranked(seq: int, rank: int, priority: int = 0) -> Attempt:
    """A waiting attempt that somebody has put somewhere."""
    job = job_row(seq=seq, priority=priority, rank=rank)
    return Attempt(job, run_row(job))


def test_who_was_put_to_the_front_stands_ahead_of_every_priority_and_the_last_one_first() -> None:
    urgent, first, then = attempt(1, priority=1000), ranked(9, 2), ranked(2, 1, priority=-1000)
    line = line_of(urgent, then, first)
    assert (list(line), line.highest_rank()) == ([first, then, urgent], 2)
    assert line.ahead_of(1000) == 3
    line.remove(first)
    assert (line.first(), line.highest_rank()) == (then, 1)


def test_who_is_held_stands_behind_all_and_is_never_next() -> None:
    low, held = attempt(9, priority=-1000), ranked(1, HELD, priority=1000)
    line = line_of(held, low)
    assert (list(line), line.first(), line.position(held)) == ([low, held], low, 2)
    assert line.ahead_of(-1000) == 1
    line.remove(low)
    assert (len(line), line.first(), line.highest_rank()) == (1, None, 0)
    line.remove(held)
    assert (len(line), list(line)) == (0, [])
