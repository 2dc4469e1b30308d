"""Hostile values, and documents that a schema nearly allows. Everything comes from one seeded source of chance."""

import json
import random
from collections.abc import Callable
from typing import Any

Chance = random.Random
TEXTS = (
    "",
    " ",
    "0",
    "-1",
    "null",
    "true",
    "*",
    "%",
    "%00",
    "\x00",
    "\x7f",
    "\r\nSet-Cookie: a=b",
    "\u2028\u202e\ufeff",
    "ﷺ" * 50,
    "e\u0301" * 100,
    "😀",
    "\ud800",
    "../../../etc/passwd",
    "..%2f..%2fetc%2fpasswd",
    "' OR '1'='1",
    '"; DROP TABLE job; --',
    "{{7*7}}${7*7}<script>alert(1)</script>",
    '{"event":"error"}',
    "[" * 300,
    "a" * 101,
    "a" * 2001,
    "a" * 70_000,
    "(a+)+$",
    "2026-13-45T99:99:99Z",
    "0000-00-00T00:00:00Z",
    "9999-12-31T23:59:59.999999999+99:99",
    "1e999",
    "NaN",
    "٣",
    "wait=10, wait=1",
    'W/"1", *',
)
NUMBERS: tuple[Any, ...] = (
    0,
    -1,
    1,
    2**31,
    2**53,
    2**63 - 1,
    2**63,
    -(2**63) - 1,
    10**400,
    0.1,
    -0.0,
    1e-320,
    1e308,
    float("inf"),
    float("nan"),
)
ODD: tuple[Any, ...] = (None, True, False, [], {}, [[]], [None] * 2000, {"": ""}, {"__proto__": {}}, {"a": {"a": {}}})
DEEPEST = 8  # of what is made by a schema that refers to itself
_DEEP: Any = json.loads("[" * 100 + "]" * 100)


def happens(chance: Chance, share: float) -> bool:
    """Whether something does, of which that share of all does."""
    return chance.random() < share


def odd_value(chance: Chance, ids: list[str]) -> Any:
    """Anything that may stand in JSON, and an id of somebody's now and then."""
    (among,) = chance.choices((TEXTS, NUMBERS, ODD, (_DEEP,), ids), (40, 20, 20, 3, 17))
    return chance.choice(among)


class Documents:
    """Documents by the schemas of an OpenAPI document."""

    def __init__(self, schemas: dict[str, Any]) -> None:
        self._schemas = schemas

    def fitting(self, schema: dict[str, Any], chance: Chance, ids: list[str], depth: int = 0) -> Any:
        """A value that the schema allows, or nearly."""
        if "$ref" in schema:
            return self.fitting(self._schemas[schema["$ref"].rpartition("/")[2]], chance, ids, depth)
        for several in ("anyOf", "oneOf"):
            if several in schema and "type" not in schema:
                return self.fitting(chance.choice(schema[several]), chance, ids, depth)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return chance.choice(schema["enum"])
        kind = schema.get("type", "object" if "properties" in schema else "string")
        make = self._makers().get(kind if isinstance(kind, str) else kind[0])
        return None if make is None or depth > DEEPEST else make(schema, chance, ids, depth)

    def _makers(self) -> dict[str, Callable[..., Any]]:
        return {
            "object": self._object,
            "array": self._array,
            "string": _text,
            "integer": lambda schema, chance, *_: chance.randint(int(schema.get("minimum", 0)), _most(schema)),
            "number": lambda schema, chance, *_: chance.uniform(schema.get("minimum", 0), schema.get("maximum", 1e6)),
            "boolean": lambda _, chance, *__: happens(chance, 0.5),
        }

    def _object(self, schema: dict[str, Any], chance: Chance, ids: list[str], depth: int) -> Any:
        needed = schema.get("required", ())
        made = {
            name: self.fitting(inner, chance, ids, depth + 1)
            for name, inner in schema.get("properties", {}).items()
            if name in needed or happens(chance, 0.4)
        }
        extra = schema.get("additionalProperties")
        if isinstance(extra, dict):
            made |= {f"k{n}": self.fitting(extra, chance, ids, depth + 1) for n in range(chance.randint(0, 3))}
        return made

    def _array(self, schema: dict[str, Any], chance: Chance, ids: list[str], depth: int) -> Any:
        inner = schema.get("items", {})
        return [self.fitting(inner, chance, ids, depth + 1) for _ in range(chance.randint(0, 3))]

    def mutated(self, value: Any, chance: Chance, ids: list[str]) -> Any:
        """The same with one thing in it changed: a value, a key, or one more of something."""
        if isinstance(value, dict) and value and happens(chance, 0.8):
            key = chance.choice(list(value))
            if happens(chance, 0.1):
                return {name: inner for name, inner in value.items() if name != key}
            if happens(chance, 0.1):
                return value | {str(odd_value(chance, ids))[:100]: odd_value(chance, ids)}
            return value | {key: self.mutated(value[key], chance, ids)}
        if isinstance(value, list) and value and happens(chance, 0.7):
            place = chance.randrange(len(value))
            return [*value[:place], self.mutated(value[place], chance, ids), *value[place:]]
        return odd_value(chance, ids)


def encoded(value: Any, chance: Chance) -> bytes:
    """As JSON, and now and then as what is nearly JSON."""
    body = json.dumps(value, ensure_ascii=happens(chance, 0.5)).encode(errors="surrogatepass")
    if happens(chance, 0.9):
        return body
    place = chance.randrange(len(body) + 1)
    wrong = (b"\x00", b"\xff", b"\xed\xa0\x80", b",", b'"', b"\\u0000", b"/**/", b"}", b"1e5", b"\xef\xbb\xbf")
    put_in, left_out = chance.choice((b"", *wrong)), chance.choice((0, 0, 1))
    return body[:place] + put_in + body[place + left_out :]


def _text(schema: dict[str, Any], chance: Chance, ids: list[str], _depth: int) -> str:
    if schema.get("format") == "uuid":
        return chance.choice(ids)
    if schema.get("format") == "date-time":
        return chance.choice(("2027-01-01T00:00:00Z", "2020-02-29T12:00:00.123+02:00", "2030-06-01T00:00:00.000Z"))
    return chance.choice(("x", "eu-1", "SERVER_START", "SEARCH_SINGLE", "https://example.com/", *ids[:3]))


def _most(schema: dict[str, Any]) -> int:
    return max(int(schema.get("minimum", 0)), min(int(schema.get("maximum", 100)), 10**6))
