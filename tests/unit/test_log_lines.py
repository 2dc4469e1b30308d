"""The log says a thing a few times, then how often it was; and each time in one line."""

import logging

from runtime.log_lines import FREE, SPAN, Calm, OneLine


def record(text: str, *values: object, level: int = logging.WARNING) -> logging.LogRecord:
    return logging.LogRecord("store", level, "", 0, text, values, None)


def test_a_warning_that_comes_again_and_again_is_said_a_few_times_and_then_counted() -> None:
    now = 0.0
    calm = Calm(lambda: now)
    assert sum(calm.filter(record("host %s is dropped", number)) for number in range(100)) == FREE
    now = SPAN
    last = record("host %s is dropped", "h")
    assert calm.filter(last)
    assert last.getMessage() == f"host h is dropped (and {100 - FREE} more like it before)"


def test_other_warnings_and_all_errors_pass() -> None:
    calm = Calm(lambda: 0.0)
    for _ in range(FREE * 2):
        calm.filter(record("one"))
        assert calm.filter(record("two", level=logging.ERROR))
    assert calm.filter(record("three"))


def test_a_message_of_several_lines_is_one_line() -> None:
    assert OneLine("%(message)s").format(record("no %s", "server\n\tat all\n")) == "no server at all"
