"""JSON Schemas of payloads, and payloads against them: always within bounds, for both come from outside.

The library's patterns take linear time and it fetches nothing. What it leaves open is how often a small schema asks one
question: references are counted as often as they are followed, a schema that leads back to itself is refused, and the
product of schema and payload has a limit. Measured: such a check takes about 0.1 µs, but 30 µs once it must be explained.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import unquote

import jsonschema_rs
import msgspec

from interlock.errors import InvalidRequest, PayloadSchema
from interlock.wire import Json

MOST_STEPS = 10_000  # of a schema with its references followed
MOST_PATTERNS = 50  # regular expressions: one that is compiled may take half a MB
MOST_REFERENCES = 32  # one behind the other
MOST_MISTAKES = 20  # that are listed
EXPLAINED = 3_000  # checks of which each mistake is looked for: at most 0.1 s
LONG_CHECKS = 50_000  # after so many others want the loop
_PATTERN_BYTES = 8  # of a payload that a pattern reads in the time of a check
_REGEX = jsonschema_rs.RegexOptions(size_limit=524_288, dfa_size_limit=524_288)  # bytes
_DIALECTS = {
    f"{start}{name}{end}"
    for start, name in (
        ("https://json-schema.org/draft/", "2020-12/schema"),
        ("https://json-schema.org/draft/", "2019-09/schema"),
        ("http://json-schema.org/", "draft-07/schema"),
    )
    for end in ("", "#")
}
_ONE = {
    "additionalItems",
    "additionalProperties",
    "contains",
    "else",
    "if",
    "items",
    "not",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
}
_MANY = {"allOf", "anyOf", "items", "oneOf", "prefixItems"}
_NAMED = {"dependencies", "dependentSchemas", "patternProperties", "properties"}
_STORES = {"$defs", "definitions"}  # counted where they are referred to
_BRANCHES = {"anyOf", "contains", "dependencies", "if", "not", "oneOf"}
_REFUSED = {"$anchor", "$dynamicAnchor", "$dynamicRef", "$recursiveAnchor", "$recursiveRef"}
_AGAIN = {"unevaluatedItems", "unevaluatedProperties"}  # look at all that stands beside them once more


class Size(NamedTuple):
    """What a schema asks of one value, with its references followed."""

    steps: int
    patterns: int
    branches: bool  # whether one mistake may have many reasons

    def plus(self, other: "Size") -> "Size":
        """Both."""
        return Size(self.steps + other.steps, self.patterns + other.patterns, self.branches or other.branches)

    def twice(self) -> "Size":
        """The same again."""
        return self.plus(self)


class PayloadRules(NamedTuple):
    """A schema that is ready for use."""

    validator: jsonschema_rs.Validator
    size: Size

    def checks(self, text: str) -> int:
        """About how many checks a payload, as JSON text, takes at most."""
        values = 1 + text.count(",") + text.count("[") + text.count("{")
        return self.size.steps * values + self.size.patterns * len(text) // _PATTERN_BYTES


def check_schema(schema: Json) -> str:
    """The schema as JSON text; `InvalidRequest` with the place of what is wrong with it."""
    text = msgspec.json.encode(schema).decode()
    rules_of(text)
    return text


@lru_cache(maxsize=128)
def rules_of(text: str) -> PayloadRules:
    """The rules of a schema, as JSON text."""
    schema = msgspec.json.decode(text)
    size = _Walk(schema).size()
    try:
        make = jsonschema_rs.validator_cls_for(schema)
        validator = make(schema, mask="the value", offline=True, pattern_options=_REGEX)
    except jsonschema_rs.ValidationError as error:
        why = error.message.splitlines()[0][:200]
        raise InvalidRequest.at(_path("$.schema", error.instance_path), f"no valid JSON Schema: {why}") from error
    except (jsonschema_rs.ReferencingError, ValueError) as error:
        raise InvalidRequest.at("$.schema", f"no valid JSON Schema: {str(error).splitlines()[0][:200]}") from error
    return PayloadRules(validator, size)


def check_payload(rules: PayloadRules, payload: Json, text: str, path: str, most_checks: int) -> int:
    """How many checks it took at most; `PayloadSchema` with the places of what does not fit, and never a value."""
    checks = rules.checks(text)
    if checks > most_checks:
        raise PayloadSchema.at(path, f"takes {checks} checks by its type's schema, and may take {most_checks}")
    if not rules.validator.is_valid(payload):
        raise _explained(rules, payload, path, checks)
    return checks


def _explained(rules: PayloadRules, payload: Json, path: str, checks: int) -> PayloadSchema:
    found: list[dict[str, str]] = []
    if checks <= EXPLAINED:
        for error in rules.validator.iter_errors(payload):
            found.append(_mistake(error, path))
            if len(found) == MOST_MISTAKES:
                break
    elif not rules.size.branches:
        try:
            rules.validator.validate(payload)
        except jsonschema_rs.ValidationError as error:
            found.append(_mistake(error, path))
    found = found or [{"path": path, "message": "does not fit the type's schema"}]
    return PayloadSchema(f"{found[0]['path']}: {found[0]['message']}", found)


def _mistake(error: jsonschema_rs.ValidationError, path: str) -> dict[str, str]:
    return {"path": _path(path, error.instance_path), "message": error.message[:300]}


def _path(start: str, steps: Any) -> str:
    shown = "".join(f"[{step}]" if isinstance(step, int) else f".{step[:50]}" for step in steps)
    return (start + shown)[:500]


class _Walk:
    """Counts a schema. Each part that is referred to is counted once and remembered."""

    def __init__(self, schema: Any) -> None:
        self._schema = schema
        self._known: dict[str, Size | None] = {}  # by pointer; None: it is just being counted
        self._depth = 0  # references that are just being followed

    def size(self) -> Size:
        """Of the whole; `InvalidRequest` when it is too much, or uses what is not served."""
        dialect = self._schema.get("$schema")
        if dialect is not None and (not isinstance(dialect, str) or dialect not in _DIALECTS):
            raise InvalidRequest.at("$.schema.$schema", "expected draft 2020-12, 2019-09 or 7")
        self._known["#"] = None
        return self._of(self._schema, "$.schema")

    def _of(self, schema: Any, path: str) -> Size:
        if not isinstance(schema, dict):
            return Size(1, 0, branches=False)  # true, false, or a mistake that the library finds
        total = Size(1, 0, branches=bool(_BRANCHES & schema.keys()))
        for name, value in schema.items():
            self._refuse(name, path)
            total = total.plus(self._of_keyword(name, value, f"{path}.{name[:50]}"))
            if total.steps > MOST_STEPS or total.patterns > MOST_PATTERNS:
                most = f"up to {MOST_STEPS} steps and {MOST_PATTERNS} patterns"
                raise InvalidRequest.at("$.schema", f"{most}, with its references followed")
        return total.twice() if _AGAIN & schema.keys() else total

    def _refuse(self, name: str, path: str) -> None:
        if name in _REFUSED or (name == "$id" and path != "$.schema"):
            raise InvalidRequest.at(f"{path}.{name}", "is not served: refer to parts of the schema by #/…")

    def _of_keyword(self, name: str, value: Any, path: str) -> Size:
        if name == "$ref":
            return self._of_reference(value, path)
        if name in _STORES:
            return Size(0, 0, branches=False)
        if name in _NAMED and isinstance(value, dict):
            return self._sum((self._of, part, f"{path}.{key[:50]}") for key, part in value.items()).plus(
                Size(0, len(value) if name == "patternProperties" else 0, branches=False)
            )
        if name in _MANY and isinstance(value, list):
            return self._sum((self._of, part, f"{path}[{place}]") for place, part in enumerate(value))
        if name in _ONE:
            return self._of(value, path)
        return Size(_values(value), int(name == "pattern"), branches=False)

    def _sum(self, parts: "Iterator[tuple[Callable[[Any, str], Size], Any, str]]") -> Size:
        total = Size(0, 0, branches=False)
        for count, part, path in parts:
            total = total.plus(count(part, path))
        return total

    def _of_reference(self, pointer: Any, path: str) -> Size:
        if not isinstance(pointer, str) or not (pointer == "#" or pointer.startswith("#/")):
            raise InvalidRequest.at(path, "only parts of the schema itself can be referred to, by #/…")
        if pointer in self._known:
            known = self._known[pointer]
            if known is None:
                raise InvalidRequest.at(path, "leads back to itself")
            return known
        if self._depth == MOST_REFERENCES:
            raise InvalidRequest.at(path, f"up to {MOST_REFERENCES} references one behind the other")
        self._known[pointer] = None
        self._depth += 1
        found = self._known[pointer] = self._of(self._resolved(pointer, path), path)
        self._depth -= 1
        return found

    def _resolved(self, pointer: str, path: str) -> Any:
        found = self._schema
        for step in unquote(pointer).split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            if isinstance(found, list) and name.isdecimal() and name.isascii() and len(name) < 9:  # noqa: PLR2004
                found = found[int(name)] if int(name) < len(found) else None
            else:
                found = found.get(name) if isinstance(found, dict) else None
            if found is None:
                raise InvalidRequest.at(path, "refers to nothing")
        return found


def _values(value: Any) -> int:
    """How many values there are in it."""
    if isinstance(value, dict):
        return 1 + sum(map(_values, value.values()))
    return 1 + sum(map(_values, value)) if isinstance(value, list) else 1
