"""What the log says: one line for one thing. When the database is away, every host would else say so every second."""

import logging
import time
from collections.abc import Callable

FREE = 5  # warnings of one kind that are let through in a span
SPAN = 60.0  # seconds


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
        began, came = self._kinds.get(kind, (now, 0))
        if now - began < SPAN:
            self._kinds[kind] = began, came + 1
            return came < FREE
        self._kinds[kind] = now, 1
        if came > FREE:
            record.msg, record.args = f"{record.getMessage()} (and {came - FREE} more like it before)", None
        return True


class OneLine(logging.Formatter):
    """Drivers' messages have several lines; ours have one. A traceback keeps its own."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name is logging's
        """The line without its traceback."""
        record.message = " ".join(record.message.split())
        return super().formatMessage(record)


def begin_log(level: str) -> None:
    """Log to stderr; at debug level everything is said."""
    handler = logging.StreamHandler()
    handler.setFormatter(OneLine("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    if level != "debug":
        handler.addFilter(Calm())
    logging.basicConfig(level=level.upper(), handlers=[handler])
