"""What the log says: one line for one thing, as JSON or as text, about whom where that is known, and never a secret.

All lines come by the standard library's loggers; structlog makes them. Nothing that comes from outside can begin a line
or move a terminal's cursor: control characters are written as escapes.
"""

import logging
import re
import sys
import time
from collections.abc import Callable
from typing import Any, Literal

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from runtime.log_text import as_json, as_text
from web.log_context import about

FREE = 5  # warnings of one kind that are let through in a span
MOST_KINDS = 1000  # counted at once; some libraries say warnings with the values filled in
SPAN = 60.0  # seconds
LONGEST = 8192  # characters of one value; a traceback may have four times as many
Format = Literal["auto", "json", "text"]

_KNOWN = (
    "request_id",
    "org",
    "host",
    "job",
    "run",
    "trace",
    "status",
    "ms",
    "bytes",
    "address",
)  # of `extra`, in order
# Loggers that would say secrets at debug level: peewee says each statement with its values.
_QUIET = {"peewee": logging.INFO}
_SECRETS = tuple(
    (re.compile(pattern, flags), put)
    for pattern, flags, put in (
        (r"eyJ[\w-]{4,}\.[\w-]+\.[\w-]*", 0, "***"),  # JWTs
        (r"\b(Bearer|Basic)\s+[^\s\"',]+", re.IGNORECASE, r"\1 ***"),
        (r"(\w://[^/@\s:]*):[^/@\s]+@", 0, r"\1:***@"),  # of URLs
        (r"\b(password|passwd|secret|token|api_?key)(\"?\s*[=:]\s*\"?)[^\s\"',&]+", re.IGNORECASE, r"\1\2***"),
        (r"(Failing row contains \().*", re.DOTALL, r"\1***)"),  # PostgreSQL's detail has the whole row
    )
)


class Calm(logging.Filter):
    """Lets the first few warnings of a kind through and counts the rest; the next that passes says how many there were.

    A kind is a logger and its words before their values are filled in. Errors, and whatever is not a warning, pass.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._kinds: dict[tuple[str, str], tuple[float, int]] = {}  # when the span began, and how many came in it

    def filter(self, record: logging.LogRecord) -> bool:
        """Called by the handler, for each record, under its lock."""
        if record.levelno != logging.WARNING:
            return True
        now, kind = self._clock(), (record.name, str(record.msg))
        if kind not in self._kinds and len(self._kinds) >= MOST_KINDS:
            self._kinds.clear()
        began, came = self._kinds.get(kind, (now, 0))
        if now - began < SPAN:
            self._kinds[kind] = began, came + 1
            return came < FREE
        self._kinds[kind] = now, 1
        if came > FREE:
            record.msg, record.args = f"{record.getMessage()} (and {came - FREE} more like it before)", None
        return True


def begin_log(level: str, wanted: Format = "auto") -> None:
    """Log to stderr; at debug level every warning is said. `auto` is text on a terminal, and JSON elsewhere."""
    handler = logging.StreamHandler()
    handler.setFormatter(formatter(in_json=wanted == "json" or (wanted == "auto" and not sys.stderr.isatty())))
    if level != "debug":
        handler.addFilter(Calm())
    logging.basicConfig(level=level.upper(), handlers=[handler])
    for name, least in _QUIET.items():
        logging.getLogger(name).setLevel(max(least, logging.getLogger().level))


def formatter(*, in_json: bool) -> logging.Formatter:
    """Makes lines of the standard library's records."""
    chain: list[Processor] = [
        _who,
        structlog.processors.format_exc_info,
        _without_secrets,
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        as_json if in_json else as_text,
    ]
    return structlog.stdlib.ProcessorFormatter(processors=chain)


def _who(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """When it was, how bad it is, who says so, and what it is about."""
    record: logging.LogRecord = event["_record"]
    known = about() if not record.name.startswith("actors") else {}  # a turn of an actor may be of many requests
    given = {name: value for name in _KNOWN if (value := record.__dict__.get(name)) is not None}
    return {
        "at": _when(record.created),
        "level": record.levelname.lower(),
        "logger": record.name,
        "event": event["event"],
        **{name: value for name in _KNOWN if (value := given.get(name, known.get(name))) is not None},
        **{name: event[name] for name in ("exc_info", "stack_info", "_record", "_from_structlog") if name in event},
    }


def _when(at: float) -> str:
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at))
    return f"{whole}.{int(at * 1000) % 1000:03}Z"


def _without_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """No line should be given a secret; this is for what drivers and libraries say."""
    for name, value in event.items():
        if isinstance(value, str):
            most = LONGEST * 4 if name == "exception" else LONGEST
            event[name] = without_secrets(value if len(value) <= most else value[: most - 1] + "…")
    return event


def without_secrets(text: Any) -> str:
    """The text with what looks like a credential masked."""
    for pattern, put in _SECRETS:
        text = pattern.sub(put, text)
    return str(text)
