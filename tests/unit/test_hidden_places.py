"""What a job type marks `writeOnly` is shown to nobody but the agent, wherever a schema may say so."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.errors import PayloadSchema
from web.hidden_fields import hidden_by, shown
from web.payload_schemas import check_schema

SECRET: dict[str, Any] = {"type": "string", "writeOnly": True}


def seen(schema: dict[str, Any], payload: dict[str, Any]) -> Any:
    """The payload as others see it."""
    place = hidden_by(check_schema(schema))
    text = None if place is None else shown(place, payload, "$.payload")
    return payload if text is None else msgspec.json.decode(text)


@pytest.mark.parametrize(
    ("schema", "payload", "expected"),
    [
        ({"properties": {"key": SECRET}}, {"key": "s3cret", "map": "dust"}, {"key": "***", "map": "dust"}),
        (
            {"properties": {"db": {"properties": {"key": SECRET}}}},
            {"db": {"key": "s", "n": 1}},
            {"db": {"key": "***", "n": 1}},
        ),
        ({"properties": {"db": {"writeOnly": True}}}, {"db": {"key": "s"}}, {"db": "***"}),
        ({"properties": {"keys": {"items": SECRET}}}, {"keys": ["a", "b"]}, {"keys": ["***", "***"]}),
        (
            {"properties": {"l": {"items": {"properties": {"key": SECRET}}}}},
            {"l": [{"key": 1}, {"n": 2}, 3]},
            {"l": [{"key": "***"}, {"n": 2}, 3]},
        ),
        ({"properties": {"l": {"prefixItems": [True, SECRET]}}}, {"l": ["a", "b"]}, {"l": ["***", "***"]}),
        ({"properties": {"l": {"contains": SECRET}}}, {"l": ["a"]}, {"l": ["***"]}),
        ({"$defs": {"s": SECRET}, "properties": {"key": {"$ref": "#/$defs/s"}}}, {"key": "s"}, {"key": "***"}),
        (
            {"$defs": {"a/b": {"properties": {"key": SECRET}}}, "$ref": "#/$defs/a~1b"},
            {"key": "s", "n": 1},
            {"key": "***", "n": 1},
        ),
        ({"allOf": [True, {"properties": {"key": SECRET}}]}, {"key": "s"}, {"key": "***"}),
        ({"anyOf": [{"properties": {"key": SECRET}}, True]}, {"key": 5}, {"key": "***"}),
        ({"oneOf": [{"required": ["n"]}, {"properties": {"key": SECRET}}]}, {"key": "s"}, {"key": "***"}),
        ({"if": True, "then": {"properties": {"key": SECRET}}}, {"key": "s"}, {"key": "***"}),
        ({"if": {"properties": {"key": SECRET}}, "else": True}, {"key": "s"}, {"key": "***"}),
        ({"dependentSchemas": {"n": {"properties": {"key": SECRET}}}}, {"key": "s"}, {"key": "***"}),
        (
            {"properties": {"n": True}, "patternProperties": {"^x-": True}, "additionalProperties": SECRET},
            {"n": 1, "x-a": 2, "other": 3},
            {"n": 1, "x-a": 2, "other": "***"},
        ),
        (
            {"patternProperties": {"_key$": SECRET}},
            {"db_key": "s", "db_keys": "open"},
            {"db_key": "***", "db_keys": "open"},
        ),
        ({"unevaluatedProperties": SECRET}, {"any": "s"}, {"any": "***"}),
        ({"writeOnly": True}, {"any": "s", "n": 1}, {"***": "***"}),
        ({"properties": {"key": SECRET}}, {"key": None}, {"key": "***"}),
    ],
)
def test_what_is_marked_is_hidden(schema: dict[str, Any], payload: dict[str, Any], expected: dict[str, Any]) -> None:
    assert seen(schema, payload) == expected


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"writeOnly": {"const": True}, "key": True}},
        {"properties": {"key": {"writeOnly": False}}},
        {"properties": {"key": {"const": {"writeOnly": True}}}},
        {"$defs": {"unused": SECRET}},
        {"properties": {"other": SECRET}},
        {"writeOnly": True, "properties": {}, "maxProperties": 0},
    ],
)
def test_what_is_not_marked_is_shown(schema: dict[str, Any]) -> None:
    payload = {} if "maxProperties" in schema else {"key": "open"}
    assert seen(schema, payload) == payload


def test_a_type_without_marks_has_nothing_to_look_for() -> None:
    assert hidden_by(check_schema({"properties": {"key": {"type": "string"}}})) is None


def test_the_payload_itself_stays_whole() -> None:
    payload = {"l": [{"key": "s3cret"}]}
    seen({"properties": {"l": {"items": {"properties": {"key": SECRET}}}}}, payload)
    assert payload == {"l": [{"key": "s3cret"}]}


@pytest.mark.parametrize(
    ("schema", "payload", "path"),
    [
        ({"properties": {"key": SECRET}}, {"key": "***"}, "$.payload.key"),
        ({"properties": {"l": {"items": SECRET}}}, {"l": ["s", "***"]}, "$.payload.l[1]"),
        ({"writeOnly": True}, {"***": "***"}, "$.payload"),
    ],
)
def test_what_was_copied_from_a_reply_is_no_secret(schema: dict[str, Any], payload: dict[str, Any], path: str) -> None:
    with pytest.raises(PayloadSchema) as caught:
        seen(schema, payload)
    assert caught.value.errors == [
        {"path": path, "message": "'***' is what a hidden value is shown as: give the value itself"}
    ]


def within(schema: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """The schema somewhere inside another one, at the same place of the payload."""
    others: list[dict[str, Any]] = [
        schema,
        {"allOf": [schema]},
        {"anyOf": [{"type": "object"}, schema]},
        {"oneOf": [{"required": ["n"]}, schema]},
        {"properties": {"n": True}, "then": schema, "if": True},
    ]
    return st.sampled_from(others)


def referred_to(schema: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """The schema itself, or by a reference."""
    return st.sampled_from([schema, {"$defs": {"it": schema}, "allOf": [{"$ref": "#/$defs/it"}]}])


_KEY: dict[str, Any] = {"properties": {"key": SECRET}}
_BESIDE = st.dictionaries(st.text(), st.integers())


@given(within(_KEY).flatmap(within).flatmap(referred_to), _BESIDE)
def test_no_way_of_saying_it_lets_it_out(schema: dict[str, Any], beside: dict[str, int]) -> None:
    assert seen(schema, beside | {"key": "s3cret"}) == beside | {"key": "***"}
