"""Schemas and payloads, however they come: bounded, and refused with their places."""

from typing import Any

import msgspec
import pytest

from interlock.errors import InvalidRequest, PayloadSchema
from web.payload_schemas import EXPLAINED, MOST_MISTAKES, check_payload, check_schema, rules_of

MUCH = 1_000_000


def check(schema: Any, payload: Any, most: int = MUCH) -> int:
    return check_payload(rules_of(check_schema(schema)), payload, msgspec.json.encode(payload).decode(), "$.p", most)


def places(schema: Any, payload: Any) -> list[str]:
    with pytest.raises(PayloadSchema) as refused:
        check(schema, payload)
    return [error["path"] for error in refused.value.errors]


def test_each_mistake_is_named_with_its_place_and_without_its_value() -> None:
    schema = {"required": ["c"], "properties": {"a": {"type": "integer"}, "b": {"items": {"minimum": 3}}}}
    with pytest.raises(PayloadSchema) as refused:
        check(schema, {"a": "hush", "b": [1, 5, 2]})
    assert [error["path"] for error in refused.value.errors] == ["$.p", "$.p.a", "$.p.b[0]", "$.p.b[2]"]
    assert "hush" not in str(refused.value.errors)


def test_what_fits_is_taken() -> None:
    size = {"type": "object", "properties": {"n": {"$ref": "#/$defs/n"}}, "$defs": {"n": {"type": "integer"}}}
    for schema in (
        True,
        {},
        size,
        {"$schema": "http://json-schema.org/draft-07/schema#", "$id": "https://a.example/b"},
    ):
        if isinstance(schema, dict):
            assert check(schema, {"n": 1}) > 0


@pytest.mark.parametrize(
    ("schema", "path"),
    [
        ({"type": "objekt"}, "$.schema.type"),
        ({"properties": {"a": {"pattern": "("}}}, "$.schema.properties.a.pattern"),
        ({"pattern": r"(a)\1"}, "$.schema.pattern"),
        ({"pattern": "((a{1000}){1000}){1000}"}, "$.schema.pattern"),
        ({"$ref": "#"}, "$.schema.$ref"),
        ({"properties": {"a": {"$ref": "#"}}}, "$.schema.properties.a.$ref"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"items": {"$ref": "#/$defs/a"}}}}, "$.schema.$ref.items.$ref"),
        ({"$ref": "#/$defs/b"}, "$.schema.$ref"),
        ({"$ref": "#/$defs/%00"}, "$.schema.$ref"),
        ({"$ref": 5}, "$.schema.$ref"),
        ({"$ref": "http://127.0.0.1:1/a.json"}, "$.schema.$ref"),
        ({"$ref": "file:///etc/passwd"}, "$.schema.$ref"),
        ({"items": {"$dynamicRef": "#a"}}, "$.schema.items.$dynamicRef"),
        ({"items": {"$id": "https://a.example/b"}}, "$.schema.items.$id"),
        ({"$schema": "http://127.0.0.1:1/meta.json"}, "$.schema.$schema"),
        ({"$schema": []}, "$.schema.$schema"),
        ({"$id": "http://[::"}, "$.schema"),
        ({"required": ["a"] * 20_000}, "$.schema"),
        ({"properties": {str(n): {"pattern": str(n)} for n in range(60)}}, "$.schema"),
    ],
)
def test_a_schema_that_is_wrong_or_not_served_is_refused_with_its_place(schema: Any, path: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        check_schema(schema)
    assert [error["path"] for error in refused.value.errors] == [path]


def test_a_property_may_be_called_like_a_keyword_that_is_not_served() -> None:
    assert places({"properties": {"$id": {"type": "integer"}}}, {"$id": "a"}) == ["$.p.$id"]


def doubling(steps: int) -> Any:
    parts: dict[str, Any] = {"x0": {"type": "object"}}
    for n in range(1, steps + 1):
        parts[f"x{n}"] = {"allOf": [{"$ref": f"#/$defs/x{n - 1}"}] * 2}
    return {"$ref": f"#/$defs/x{steps}", "$defs": parts}


def test_a_schema_that_doubles_itself_is_counted_as_what_it_comes_to() -> None:
    assert rules_of(check_schema(doubling(5))).size.steps > 2**5
    for schema in (doubling(20), doubling(31)):
        with pytest.raises(InvalidRequest, match="up to 10000 steps"):
            check_schema(schema)


def test_a_long_chain_of_references_is_refused() -> None:
    parts = {f"x{n}": {"$ref": f"#/$defs/x{n + 1}"} for n in range(2000)}
    with pytest.raises(InvalidRequest, match="one behind the other"):
        check_schema({"$ref": "#/$defs/x0", "$defs": parts})


def test_a_pattern_that_would_try_forever_takes_no_time() -> None:
    assert places({"properties": {"a": {"pattern": "^(a+)+$"}}}, {"a": "a" * 200_000 + "!"}) == ["$.p.a"]


def test_a_payload_that_would_take_too_many_checks_is_refused() -> None:
    schema = {"properties": {"a": {"items": {"anyOf": [{"minLength": n} for n in range(100)]}}}}
    assert check(schema, {"a": ["x"]}) < 2000
    with pytest.raises(PayloadSchema, match="may take 20000"):
        check(schema, {"a": ["x"] * 1000}, most=20_000)


def test_a_long_list_of_mistakes_ends() -> None:
    assert len(places({"properties": {"a": {"items": {"type": "integer"}}}}, {"a": ["x"] * 100})) == MOST_MISTAKES


def test_of_a_large_payload_the_first_mistake_is_named_if_that_is_quick() -> None:
    many = {"a": [1] * EXPLAINED + ["x"]}
    assert places({"properties": {"a": {"items": {"type": "integer"}}}}, many) == [f"$.p.a[{EXPLAINED}]"]
    either = {"anyOf": [{"type": "integer"}, {"type": "null"}]}
    assert places({"properties": {"a": {"items": either}}}, many) == ["$.p"]
