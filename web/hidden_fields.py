"""What a job type hides: the places of a payload that its JSON Schema marks `"writeOnly": true`.

All but the agent that runs the job see `"***"` there. A place counts as marked when any part of the schema that may
apply to it says so, be it a branch of `anyOf` that this payload does not take: hiding too much does no harm.

A schema is read once. Of its parts only those are kept that lead to a mark, with references and `allOf` laid together,
so a payload costs what it has at places that may be hidden, and a type that hides nothing costs nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

import jsonschema_rs
import msgspec

from actors.hidden import SHOWN_AS
from interlock.errors import PayloadSchema
from interlock.wire import Json

_SAME_PLACE = ("allOf", "anyOf", "oneOf")  # lists of schemas for the same value
_SAME_PLACE_ALONE = ("if", "then", "else", "not")  # one schema for the same value
_DEPENDENT = ("dependentSchemas", "dependencies")  # by the name of another field, for the same value
_ITEMS = ("items", "prefixItems", "additionalItems", "contains", "unevaluatedItems")  # of any item: too much is no harm
_REGEX = jsonschema_rs.RegexOptions(size_limit=524_288, dfa_size_limit=524_288)  # bytes, as for payloads


class Pattern:
    """A pattern of `patternProperties`, matched in linear time."""

    __slots__ = ("_validator",)

    def __init__(self, pattern: str) -> None:
        schema = {"pattern": pattern}
        self._validator = jsonschema_rs.Draft202012Validator(schema, offline=True, pattern_options=_REGEX)

    def fits(self, name: str) -> bool:
        """Whether it is found in the name."""
        return self._validator.is_valid(name)


@dataclass(slots=True)
class Fields:
    """What one part of a schema says of the fields of an object."""

    named: dict[str, "Place"]
    patterns: list[tuple[Pattern, "Place"]]
    others: "Place | None"  # of fields that are neither named nor fit a pattern
    known: frozenset[str]  # all names, also of those that hide nothing

    def of(self, name: str) -> "list[Place]":
        """The places that a field of this name is."""
        named = self.named.get(name)
        found = [] if named is None else [named]
        if self.patterns or self.others is not None:
            fitting = [under for pattern, under in self.patterns if pattern.fits(name)]
            found += fitting
            if self.others is not None and not fitting and name not in self.known:
                found.append(self.others)
        return found


@dataclass(slots=True)
class Place:
    """A place in a payload: whether it is hidden, and what may be hidden below it."""

    hidden: bool = False
    fields: list[Fields] = field(default_factory=list)
    items: "list[Place]" = field(default_factory=list)

    def __bool__(self) -> bool:
        """Whether anything is hidden here or below."""
        return self.hidden or bool(self.fields) or bool(self.items)

    def also(self, other: "Place") -> None:
        """What holds for the other place holds here too."""
        self.hidden = self.hidden or other.hidden
        self.fields += [each for each in other.fields if not any(each is known for known in self.fields)]
        self.items += [each for each in other.items if not any(each is known for known in self.items)]


@lru_cache(maxsize=128)
def hidden_by(schema: str) -> Place | None:
    """What a schema hides, as JSON text that has been checked; None: nothing."""
    if '"writeOnly":true' not in schema:
        return None
    read = msgspec.json.decode(schema)
    return _Reader(read).place(read) or None


def shown(place: Place, payload: Json, path: str) -> str | None:
    """The payload as all but its agent see it, as JSON text; None when it has nothing at hidden places.

    `PayloadSchema` where a hidden value is itself the `"***"` that such a value is shown as: somebody has copied what
    was shown, and the agent would be given that.
    """
    if place.hidden:
        if SHOWN_AS in payload:
            raise _copied((path,))
        return f'{{"{SHOWN_AS}":"{SHOWN_AS}"}}' if payload else None  # a payload is an object, whatever it hides
    seen = _shown([place], payload, (path,))
    return None if seen is payload else msgspec.json.encode(seen).decode()


Way = tuple[Any, ...]  # to a value: the way to what holds it, and its name or number there; the first is text


def _shown(places: list[Place], value: Any, way: Way) -> Any:
    """The value itself when nothing of it is hidden, else a copy."""
    for place in places:
        if place.hidden:
            if value == SHOWN_AS:
                raise _copied(way)
            return SHOWN_AS
    if isinstance(value, dict):
        return _shown_fields(places, value, way)
    return _shown_items(places, value, way) if isinstance(value, list) else value


def _shown_items(places: list[Place], value: list[Any], way: Way) -> list[Any]:
    below = [item for place in places for item in place.items]
    if not below:
        return value
    items = [_shown(below, item, (way, at)) for at, item in enumerate(value)]
    return items if any(item is not before for item, before in zip(items, value, strict=True)) else value


def _shown_fields(places: list[Place], value: Json, way: Way) -> Json:
    seen: Json | None = None
    fields = [each for place in places for each in place.fields]
    for name, before in value.items() if fields else ():
        below = [place for each in fields for place in each.of(name)]
        after = _shown(below, before, (way, name)) if below else before
        if after is not before:
            seen = dict(value) if seen is None else seen
            seen[name] = after
    return value if seen is None else seen


def _copied(way: Way) -> PayloadSchema:
    return PayloadSchema.at(_text(way)[:500], f"{SHOWN_AS!r} is what a hidden value is shown as: give the value itself")


def _text(way: Way) -> str:
    if len(way) == 1:
        return str(way[0])
    step = way[1]
    return _text(way[0]) + (f"[{step}]" if isinstance(step, int) else f".{step[:50]}")


class _Reader:
    """Reads a schema that `payload_schemas` has let through: its references lead to parts of itself, and to no circle."""

    def __init__(self, schema: Any) -> None:
        self._schema = schema
        self._known: dict[str, Place] = {}  # by pointer

    def place(self, schema: Any) -> Place:
        """What a schema says of the place that it stands for."""
        found = Place()
        if not isinstance(schema, dict):
            return found
        found.hidden = schema.get("writeOnly") is True
        for same in self._of_same_place(schema):
            found.also(self.place(same))
        if "$ref" in schema:
            found.also(self._referred_to(schema["$ref"]))
        found.fields += self._fields(schema)
        for name in _ITEMS:
            of_items = schema.get(name)
            for each in of_items if isinstance(of_items, list) else [of_items]:
                found.items += self._if_any(each)
        return found

    def _of_same_place(self, schema: Json) -> Iterator[Any]:
        for name in _SAME_PLACE:
            yield from schema.get(name, ())
        for name in _SAME_PLACE_ALONE:
            yield schema.get(name)
        for name in _DEPENDENT:
            yield from schema.get(name, {}).values()

    def _fields(self, schema: Json) -> Iterator[Fields]:
        names = schema.get("properties", {})
        named = {name: place for name, part in names.items() if (place := self.place(part))}
        patterns = [(pattern, self.place(part)) for pattern, part in schema.get("patternProperties", {}).items()]
        others = self.place(schema.get("additionalProperties"))
        if named or others or any(place for _, place in patterns):
            compiled = [(Pattern(pattern), place) for pattern, place in patterns if place or others]
            yield Fields(named, compiled, others or None, frozenset(names))
        unevaluated = self.place(schema.get("unevaluatedProperties"))
        if unevaluated:  # which fields those are depends on the payload: it is taken to be any
            yield Fields({}, [], unevaluated, frozenset())

    def _if_any(self, schema: Any) -> list[Place]:
        place = self.place(schema)
        return [place] if place else []

    def _referred_to(self, pointer: str) -> Place:
        known = self._known.get(pointer)
        if known is None:
            known = self._known[pointer] = self.place(self._resolved(pointer))
        return known

    def _resolved(self, pointer: str) -> Any:
        found = self._schema
        for step in unquote(pointer).split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            found = found[int(name)] if isinstance(found, list) else found[name]
        return found
