"""The log says a thing a few times, then how often it was; each time in one line, about whom, and without secrets."""

import asyncio
import gc
import json
import logging
import weakref
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st

from runtime.log_lines import FREE, LONGEST, MOST_KINDS, SPAN, Calm, begin_log, formatter
from web.app import _answer
from web.log_context import CURRENT, REQUEST_ID
from web.metrics import Metrics
from web.services import SERVICES, Services, WebLimits

JSON, TEXT = formatter(in_json=True), formatter(in_json=False)
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


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


def test_of_warnings_that_are_all_different_only_so_many_are_remembered() -> None:
    calm = Calm(lambda: 0.0)
    for number in range(MOST_KINDS * 3):
        assert calm.filter(record(f"value {number} is odd"))
    assert len(calm._kinds) <= MOST_KINDS


def in_json(line: logging.LogRecord) -> dict[str, Any]:
    shown: dict[str, Any] = json.loads(JSON.format(line))
    return shown


def failed(text: str) -> logging.LogRecord:
    """A record with the exception that was raised with this text."""
    made = record("it failed", level=logging.ERROR)
    made.exc_info = ValueError, ValueError(text), None
    return made


def asked(path: str, **headers: str) -> web.Request:
    """A request with the id "its-id", of a host of an organization."""
    request = make_mocked_request("GET", path, headers=headers)
    request[REQUEST_ID] = "its-id"
    request.match_info.update(org_id="acme", host_id="eu-3")
    return request


def test_a_line_says_when_how_bad_who_and_what() -> None:
    line = record("host %s is dropped", "h")
    line.created = 1_700_000_000.125
    expected = {"at": "2023-11-14T22:13:20.125Z", "level": "warning", "logger": "store", "event": "host h is dropped"}
    assert in_json(line) == expected
    assert TEXT.format(line) == "2023-11-14T22:13:20.125Z WARNING store: host h is dropped"


def test_a_message_of_several_lines_is_one_line() -> None:
    assert TEXT.format(record("no %s", "server\n\tat all\n")).endswith("store: no server at all")


@given(st.text())
def test_nothing_that_comes_from_outside_begins_a_line_or_moves_a_cursor(text: str) -> None:
    line = record("an event %s", text)
    line.host = text
    for shown in (TEXT.format(line), JSON.format(line)):
        assert all(character.isprintable() for character in shown)
    assert in_json(line)["host"] == text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def test_a_forged_line_in_a_traceback_is_none() -> None:
    forged = "oh\n2026-01-01T00:00:00.000Z INFO web.app: all is well\x1b[2J"
    first, *others = TEXT.format(failed(forged)).split("\n")
    assert "it failed" in first
    assert all(line.startswith("  | ") for line in others)
    assert "\x1b" not in "".join(others)
    assert JSON.format(failed(forged)).count("\n") == 0
    assert "ValueError: oh" in in_json(failed(forged))["exception"]


@pytest.mark.parametrize(
    "text",
    [
        "the key eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.s3cr3t-part was sent",
        "Authorization: Bearer s3cr3t-part",
        "postgresql://interlock:s3cr3t-part@db:5432/interlock does not answer",
        "password=s3cr3t-part",
        '{"token": "s3cr3t-part"}',
        'null value in column "x"\nDETAIL: Failing row contains (1, s3cr3t-part, 3).',
    ],
)
def test_what_looks_like_a_credential_is_masked(text: str) -> None:
    for line in (record("%s", text), failed(text)):
        assert "s3cr3t-part" not in TEXT.format(line) + JSON.format(line)


def test_a_long_value_is_cut() -> None:
    assert len(in_json(record("%s", "x" * 100_000))["event"]) == LONGEST


def test_a_line_says_of_whom_it_is_if_its_writer_knows() -> None:
    line = record("a frame could not be handled")
    line.org, line.host = "acme", "eu-3"
    assert TEXT.format(line).endswith("handled org=acme host=eu-3")
    assert in_json(line)["host"] == "eu-3"


def test_a_line_written_while_a_request_is_answered_says_which() -> None:
    outside = CURRENT.set([asked("/", traceparent=f"00-{TRACE}-00f067aa0ba902b7-01")])
    try:
        shown = in_json(record("the database cannot be read"))
    finally:
        CURRENT.reset(outside)
    assert {name: shown[name] for name in ("request_id", "org", "host", "trace")} == {
        "request_id": "its-id",
        "org": "acme",
        "host": "eu-3",
        "trace": TRACE,
    }
    assert "request_id" not in in_json(record("the database cannot be read"))


def test_a_task_that_outlives_its_request_says_nothing_of_it() -> None:
    answered = [asked("/")]
    outside = CURRENT.set(answered)
    try:
        answered.clear()
        assert "request_id" not in in_json(record("the database cannot be read"))
    finally:
        CURRENT.reset(outside)


async def test_a_task_that_a_request_has_begun_does_not_keep_the_request() -> None:
    app = web.Application()
    app[SERVICES] = cast(Services, SimpleNamespace(web_limits=WebLimits(), metrics=Metrics()))
    begun: list[asyncio.Task[bool]] = []

    async def handler(_: web.Request) -> web.Response:
        begun.append(asyncio.create_task(asyncio.Event().wait()))
        return web.Response()

    request = make_mocked_request("GET", "/", app=app)
    kept = weakref.ref(request)
    await _answer(request, handler)
    del request
    gc.collect()
    assert not begun[0].done()
    assert kept() is None
    begun[0].cancel()


def test_a_turn_of_an_actor_is_no_requests_own() -> None:
    line = record("the actor is dropped")
    line.name = "actors.directory"
    outside = CURRENT.set([asked("/")])
    try:
        assert "request_id" not in in_json(line)
    finally:
        CURRENT.reset(outside)


def test_statements_are_not_logged_with_their_values_at_any_level(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging, "root", logging.RootLogger(logging.WARNING))
    begin_log("debug")
    assert not logging.getLogger("peewee").isEnabledFor(logging.DEBUG)
