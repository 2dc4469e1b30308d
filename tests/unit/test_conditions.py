"""Conditional requests: which tags a header names, as RFC 9110 compares them."""

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict

from interlock.errors import PreconditionFailed
from web.conditions import check, expected_tags, expected_versions, tag_of, unchanged


def asking(name: str, *values: str) -> web.Request:
    return make_mocked_request("GET", "/", CIMultiDict([(name, value) for value in values]))


@pytest.mark.parametrize(
    ("values", "tags"),
    [
        (['"a"'], {"a"}),
        (['"a", "b"'], {"a", "b"}),
        (['"a"', '"b"'], {"a", "b"}),
        ([' , "a",,"b" ,'], {"a", "b"}),
        (['"a,b"'], {"a,b"}),
        (['""'], {""}),
        (['W/"a", "b"'], {"b"}),
        (['W/"a"'], set()),
        (['w/"a"'], set()),
        (['"*"'], {"*"}),
        (['*, "a"'], set()),
        (["a"], set()),
        (['"a'], set()),
        (['"a" "b"'], set()),
        (['"a"; q=1'], set()),
        ([""], set()),
        (['"a\x00"'], set()),
        (['"' + "a" * 9000 + '"'], set()),
    ],
)
def test_a_change_compares_strongly_and_rubbish_matches_nothing(values: list[str], tags: set[str]) -> None:
    assert expected_tags(asking("If-Match", *values)) == frozenset(tags)


@pytest.mark.parametrize("request_", [asking("Accept", "x"), asking("If-Match", "*"), asking("If-Match", " * ")])
def test_without_a_condition_or_with_a_star_any_will_do(request_: web.Request) -> None:
    assert expected_tags(request_) is None
    assert expected_versions(request_) is None


def test_only_whole_numbers_are_versions() -> None:
    tags = '"1", "2", "03", "-4", "5.0", "²", "", "9999999999999999999", "x"'
    assert expected_versions(asking("If-Match", tags)) == frozenset({1, 2})


@pytest.mark.parametrize("value", ['"1"', 'W/"1"', '"0", W/"1"', "*", ' , "1" ,'])
def test_a_reader_compares_weakly(value: str) -> None:
    answer = unchanged(asking("If-None-Match", value), tag_of(1))
    assert answer is not None
    assert (answer.status, answer.headers["ETag"]) == (304, '"1"')


@pytest.mark.parametrize("value", ['"2"', "1", '"1', '"1" "1"', '*, "1"', '"1", rubbish', "", '"*"'])
def test_a_reader_who_names_something_else_is_sent_it(value: str) -> None:
    assert unchanged(asking("If-None-Match", value), tag_of(1)) is None


def test_a_tag_that_is_not_expected_is_refused() -> None:
    check(None, "a", "It")
    check(frozenset({"a", "b"}), "a", "It")
    with pytest.raises(PreconditionFailed):
        check(frozenset({"b"}), "a", "It")


@settings(deadline=None)
@given(st.lists(st.text(st.characters(codec="latin-1"), max_size=30), max_size=4))
def test_whatever_a_header_says_is_no_error(values: list[str]) -> None:
    whole = ", ".join(values).strip()
    assert (expected_tags(asking("If-Match", *values)) is None) == (not values or whole == "*")
    answer = unchanged(asking("If-None-Match", *values), tag_of(1))
    assert answer is None or '"1"' in whole or whole == "*"
