"""What a setting's value may be, in words, and how one that may not is shown: never with a password."""

import re
from typing import Any
from urllib.parse import urlsplit

from msgspec import inspect

LONGEST = 80  # characters of a value that is shown
_CREDENTIALS = re.compile(r"^([^:/]*:/*)?.*@", re.DOTALL)
_QUERY = re.compile(r"\?.*", re.DOTALL)
_REDIS_PATH = re.compile(r"/?|/[0-9]+")


def expected(kind: Any) -> str:
    """What a setting of that type may be."""
    found = inspect.type_info(kind)
    if isinstance(found, inspect.LiteralType):
        return f"one of {', '.join(map(str, found.values))}"
    if isinstance(found, inspect.IntType | inspect.FloatType):
        what = "a whole number" if isinstance(found, inspect.IntType) else "a number"
        low = f"more than {found.gt:.15g}" if found.gt is not None else f"from {found.ge:.15g}"
        return f"{what} {low} to {found.le:.15g}"
    return "text" if getattr(found, "pattern", None) is None else "http://host or https://host"


def shown(value: Any) -> str:
    """The value as it was written, without what may be a password, and not at length."""
    text = _QUERY.sub("?…", _CREDENTIALS.sub(r"\1…@", repr(value)))
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def is_redis_url(text: str) -> bool:
    """Whether redis-py would take it, and at its word: it passes over a path that is no number, and a port of 0."""
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError:
        return False
    if not text.startswith(("redis://", "rediss://", "unix://")) or re.search(r"\s", text):
        return False
    if url.scheme == "unix":
        return len(url.path) > 1
    return port != 0 and _REDIS_PATH.fullmatch(url.path) is not None
