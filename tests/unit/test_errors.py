"""The tree of refusals: stable codes, honest statuses, and whose fault it is."""

import inspect
import re

import pytest

from interlock import errors
from interlock.errors import (
    ALL_PROBLEMS,
    CallerError,
    Conflict,
    InterlockError,
    InvalidRequest,
    InvalidState,
    MethodNotAllowed,
    PayloadSchema,
    TryLater,
)

TREE = {cls for _, cls in inspect.getmembers(errors, inspect.isclass) if issubclass(cls, InterlockError)}
LEAVES = {cls for cls in TREE if not any(other is not cls and issubclass(other, cls) for other in TREE)}
DRAWN = dict(re.findall(r"─ (\w+) +(\d{3}) (?=\w)", errors.__doc__ or ""))


def test_every_refusal_that_is_raised_is_in_the_list_of_problems() -> None:
    assert set(ALL_PROBLEMS) == LEAVES | {InvalidRequest}


def test_no_problem_is_listed_twice() -> None:
    assert len(set(ALL_PROBLEMS)) == len(ALL_PROBLEMS)


def test_the_tree_at_the_head_of_the_file_is_the_tree_of_the_code() -> None:
    assert {cls.__name__: str(cls.status) for cls in ALL_PROBLEMS} == DRAWN


@pytest.mark.parametrize("problem", ALL_PROBLEMS, ids=lambda problem: problem.__name__)
def test_a_code_and_a_title_say_what_is_wrong_and_the_drawing_agrees(problem: type[InterlockError]) -> None:
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", problem.code)
    assert problem.title[0].isupper()
    assert not problem.title.endswith(".")
    drawn = next(line for line in (errors.__doc__ or "").splitlines() if f" {problem.__name__} " in line)
    assert f"{problem.status} {problem.code}" in drawn


@pytest.mark.parametrize("problem", ALL_PROBLEMS, ids=lambda problem: problem.__name__)
def test_it_is_the_callers_mistake_or_worth_another_try_never_both(problem: type[InterlockError]) -> None:
    assert issubclass(problem, CallerError) != issubclass(problem, TryLater)
    assert (400 <= problem.status < 500 and problem.status != 429) == issubclass(problem, CallerError)


def test_codes_are_told_apart_except_where_one_is_a_kind_of_the_other() -> None:
    codes = [problem.code for problem in ALL_PROBLEMS]
    assert len(set(codes)) == len(codes)


def test_without_words_of_its_own_a_refusal_says_its_title() -> None:
    assert str(InvalidState()) == InvalidState().detail == InvalidState.title


def test_a_conflict_carries_the_present_state() -> None:
    refusal = Conflict("it is running", current={"status": "running"})
    assert (refusal.detail, refusal.current) == ("it is running", {"status": "running"})


def test_one_mistake_names_its_place() -> None:
    refusal = PayloadSchema.at("$.payload.map", "expected a string")
    assert isinstance(refusal, PayloadSchema)
    assert refusal.errors == [{"path": "$.payload.map", "message": "expected a string"}]
    assert "$.payload.map" in refusal.detail


def test_a_mistake_without_a_place_has_an_empty_list() -> None:
    assert InvalidRequest("no JSON").errors == []


def test_a_method_that_does_not_exist_here_names_those_that_do() -> None:
    assert MethodNotAllowed(frozenset({"POST", "GET"})).detail == "Allowed here: GET, POST"


@pytest.mark.parametrize("problem", [cls for cls in ALL_PROBLEMS if issubclass(cls, TryLater)])
def test_whoever_may_try_later_is_told_when(problem: type[TryLater]) -> None:
    assert problem().retry_after > 0
    assert problem(retry_after=5).retry_after == 5
