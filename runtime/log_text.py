"""A line of the log as JSON for programs, or as text for people."""

import json
from typing import Any

from structlog.typing import EventDict, WrappedLogger

_HEAD = ("at", "level", "logger", "event", "exception", "stack")


def as_json(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    """One object on one line, in ASCII: whoever reads it gets every character back."""
    return json.dumps(event, separators=(",", ":"), default=str).replace("\x7f", "\\u007f")


def as_text(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    """`2026-01-02T03:04:05.678Z WARNING web.app: what happened host=…`, and below it a traceback, each line behind a bar."""
    what = " ".join(str(event["event"]).split())  # drivers' messages have several lines, and tabs
    about = "".join(f" {name}={plain(value)}" for name, value in event.items() if name not in _HEAD)
    line = f"{event['at']} {event['level'].upper()} {event['logger']}: {plain(what)}{about}"
    more = [text for name in ("exception", "stack") for text in str(event.get(name) or "").split("\n")]
    return "\n".join((line, *(f"  | {plain(text)}" for text in more if text)))


def plain(value: Any) -> str:
    """The value without characters that begin a line, move a cursor or turn text around: they stand as Python writes
    them.
    """
    text = str(value)
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)
