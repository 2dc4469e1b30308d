"""What an agent is told of its log: the least number that is missing, whatever comes, again, or out of order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors import log_book
from actors.log_book import LogBook
from store.logs import LogStored, ranges_of


def book(*numbers: int) -> LogBook:
    made = LogBook()
    for number in numbers:
        if not made.has(number):
            made.note(number, 1)
    return made


def expected(numbers: set[int]) -> int:
    """By the definition: lines count from 0, or from 1 where there is no 0."""
    if not numbers & {0, 1}:
        return 0
    number = min(numbers)
    while number in numbers:
        number += 1
    return number


@pytest.mark.parametrize(
    ("numbers", "following"),
    [
        ((), 0),
        ((1,), 2),
        ((0,), 1),
        ((1, 2, 3), 4),
        ((2, 3), 0),
        ((3, 2, 1), 4),
        ((1, 3), 2),
        ((1, 3, 2), 4),
        ((7,), 0),
    ],
)
def test_the_least_number_that_is_missing_comes_next(numbers: tuple[int, ...], following: int) -> None:
    assert book(*numbers).next_seq == following


@given(st.lists(st.integers(0, 40), max_size=60))
def test_whatever_the_order_it_knows_what_is_there(numbers: list[int]) -> None:
    made, known = book(*numbers), set(numbers)
    assert [number for number in range(45) if made.has(number)] == sorted(known)
    assert (made.lines, made.size_bytes, made.next_seq) == (len(known), len(known), expected(known))


@given(st.sets(st.integers(0, 30)), st.lists(st.integers(0, 30)))
def test_read_from_the_rows_it_goes_on_as_before(before: set[int], after: list[int]) -> None:
    made = LogBook(LogStored(len(before), len(before), ranges_of(sorted(before)), truncated=False))
    for number in after:
        if not made.has(number):
            made.note(number, 1)
    assert made.next_seq == expected(before | set(after))
    assert made.lines == len(before | set(after))


def test_lines_without_a_number_count_but_are_not_expected() -> None:
    made = book(1)
    made.note(None, 10)
    assert (made.lines, made.size_bytes, made.next_seq) == (2, 11, 2)


def test_an_agent_that_numbers_wildly_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_book, "MOST_RANGES", 10)
    made = book(*range(1, 200, 2))
    assert not made.has(199)  # forgotten: the database knows
    assert made.has(1)
    for number in range(2, 20, 2):
        made.note(number, 1)
    assert made.next_seq == 20
