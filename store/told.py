"""Columns as people are told of them: camelCase names, times as RFC 3339, and JSON as JSON."""

from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from interlock.clock import rfc3339

_TIMES = {"run_at", "start_before", "stop_by", "paused_until", "drain_until", "offered_until", "at"}
_JSON = {"payload", "policy", "output", "labels", "pool_labels", "config", "definition", "detail", "body"}


def told(columns: Mapping[str, Any], flags: Collection[str] = ()) -> dict[str, Any]:
    """The columns of a row; `flags` are those that are true or false."""
    return {_camel(name): _value(name, value, flags) for name, value in columns.items()}


def _value(name: str, value: Any, flags: Collection[str]) -> Any:
    if value is None:
        return None
    if name in flags:
        return bool(value)
    if name in _TIMES or name.endswith("_at"):
        return rfc3339(value)
    if name in _JSON:
        try:
            return msgspec.json.decode(value)
        except msgspec.DecodeError:
            return value
    return value


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(part.title() for part in others)
