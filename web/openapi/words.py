"""A JSON Schema in a few words."""

import json
from typing import Any

from web.openapi.description import ASCII, ID, NAMED, PRINTABLE
from web.openapi.schemas import REF

_RANGES = {("minimum", "maximum"): "", ("minLength", "maxLength"): " characters"}
_BOUNDS = {
    "maxItems": "up to {} items",
    "maxProperties": "up to {} keys",
    "default": "default {}",
}
_KNOWN = {PRINTABLE: "printable", NAMED: "printable, not blank", ASCII: "printable ASCII", ID: "an id"}


def kind_of(schema: dict[str, Any]) -> str:
    """What it is: a type, or the names of others in `[[…]]`."""
    if "$ref" in schema:
        return f"[[{schema['$ref'].removeprefix(REF)}]]"
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return " or ".join(kind_of(each) for each in schema[several])
    if "enum" in schema:
        return " | ".join(_shown(value) for value in schema["enum"])
    if "const" in schema:
        return _shown(schema["const"])
    kind = schema.get("type", "any value")
    if kind == "array":
        return f"list of {kind_of(schema.get('items', {}))}"
    inner = schema.get("additionalProperties")
    if kind == "object" and isinstance(inner, dict):
        return f"object of {kind_of(inner)}"
    return str({"uuid": "id", "date-time": "time"}.get(schema.get("format", ""), kind))


def limits_of(schema: dict[str, Any]) -> str:
    """Its bounds, those of the one that is not null among several."""
    inner = [limits_of(each) for each in schema.get("anyOf", ())]
    ranges = [_range(schema.get(least), schema.get(most), unit) for (least, most), unit in _RANGES.items()]
    pattern = schema.get("pattern")
    if pattern is not None:
        ranges.append(_KNOWN.get(pattern, f"matching {pattern}"))
    parts = [words.format(_shown(schema[key])) for key, words in _BOUNDS.items() if schema.get(key) is not None]
    return ", ".join(part for part in (*inner, *ranges, *parts) if part)


def _range(least: float | None, most: float | None, unit: str) -> str:
    if most is None:
        return "" if least is None else f"at least {least:,}{unit}"
    return f"up to {most:,}{unit}" if least is None else f"{least:,} to {most:,}{unit}"


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if not isinstance(value, str) else value
