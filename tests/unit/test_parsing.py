"""What is refused of a body by a scan of its bytes is what a walk over its values would refuse."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.errors import InvalidRequest
from web.parsing import _inspect, _walk, decode, raw_items

TRICKY = ["\0", "\\", '"', "\\u0000", '\\"', "[{", "}]", "12345678901234567890", "\\\\u0000", "-"]
INTEGERS = [2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 10**18, 10**19, 10**400, 12345678901234567890.0, 1.5e300]
TEXTS = st.lists(st.sampled_from(TRICKY) | st.text(max_size=3), max_size=4).map("".join)
CLEAN = TEXTS.map(lambda text: text.encode(errors="ignore").decode())
LEAVES = st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(INTEGERS) | CLEAN
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(CLEAN, inner, max_size=4), max_leaves=20
)
_object = msgspec.json.Decoder(dict[str, Any])


def mistakes_of(check: Callable[[], None]) -> list[dict[str, str]]:
    try:
        check()
    except InvalidRequest as refusal:
        return refusal.errors
    return []


@given(VALUES, st.integers(1, 5), st.booleans(), st.sampled_from([None, 1]))
@settings(max_examples=500, deadline=None)
def test_a_scan_refuses_what_a_walk_refuses_and_names_the_same_place(
    value: Any, depth: int, ascii_only: bool, indent: int | None
) -> None:
    body = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode()
    walked = mistakes_of(lambda: _walk(msgspec.json.decode(body), "$", depth))
    assert mistakes_of(lambda: _inspect(body, depth)) == walked


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (b'"\\u0000"', "text must not contain NUL"),
        (b"9223372036854775808", "integers must fit 64 bits"),
        (b"[" * 9 + b"]" * 9, "nested too deeply"),
    ],
)
def test_in_a_large_body_a_mistake_is_found_without_looking_for_its_place(bad: bytes, message: str) -> None:
    body = b'{"a":[' + b"[]," * 50_000 + bad + b"]}"
    with pytest.raises(InvalidRequest) as refusal:
        decode(body, _object, 8)
    assert refusal.value.errors == [{"path": "$", "message": message}]


# ---- lists of items that are looked at one by one


def items(body: bytes, most: int = 3) -> list[bytes]:
    return [bytes(item) for item in raw_items(body, "jobs", most)]


def test_items_are_handed_out_as_they_came() -> None:
    assert items(b'{"jobs": []}') == []
    assert items(b'{"jobs": [1, {"a" : [ ] }, "x"]}') == [b"1", b'{"a" : [ ] }', b'"x"']


def test_one_item_too_many_is_refused_and_so_are_many_more() -> None:
    for surplus in (1, 2, 100_000):
        with pytest.raises(InvalidRequest) as refusal:
            items(b'{"jobs":[' + b"{}," * (2 + surplus) + b"{}]}")
        assert refusal.value.errors == [{"path": "$.jobs", "message": "up to 3 items at once"}]


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"jobs":{}}', b'{"jobs":null}', b'{"jobs":[1,]}', b'{"jobs":[1'])
def test_what_is_no_list_of_items_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        items(body)


def test_other_fields_beside_the_list_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="unknown field"):
        items(b'{"jobs":[],"more":1}')
