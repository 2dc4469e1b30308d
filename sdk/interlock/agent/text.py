"""Bytes from anywhere into text that the server stores: no NUL, no lone surrogate, nothing unbounded."""

from typing import Any

import msgspec

MAX_DEPTH = 60  # of a JSON output; the server reads 64, and the report around it counts


def decode(raw: bytes) -> str:
    """`raw` as text; what is not UTF-8 becomes U+FFFD."""
    return clean(raw.decode("utf-8", "replace"))


def clean(text: str) -> str:
    """`text` without NULs and lone surrogates, which no database takes."""
    return text.replace("\0", "").encode("utf-8", "ignore").decode("utf-8")


def json_object(text: str) -> dict[str, Any] | None:
    """The JSON object that `text` is, cleaned; None when it is anything else."""
    if not text.lstrip().startswith("{"):
        return None
    try:
        value = msgspec.json.decode(text)
        return _clean_object(value, MAX_DEPTH) if isinstance(value, dict) else None
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return None


def _clean_object(value: dict[str, Any], depth: int) -> dict[str, Any]:
    return {clean(key): _clean_value(item, depth - 1) for key, item in value.items()}


def _clean_value(value: Any, depth: int) -> Any:
    if depth < 0:
        raise RecursionError
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return _clean_object(value, depth)
    return [_clean_value(item, depth - 1) for item in value] if isinstance(value, list) else value
