"""An agent that repeats what its job's type hides is not read out: masked in its log, output, errors and evidence."""

from typing import Any

import msgspec
import pytest

from actors.hidden import MOST, hidden_texts, masked, masked_json, masked_lines, masked_text
from actors.messages import Line
from interlock.states import JobStatus
from store.rows import JobRow


def job(payload: dict[str, Any], shown: dict[str, Any] | None) -> JobRow:
    """A job of which others see `shown`."""
    return JobRow(
        id="job",
        org_id="org",
        host_id="host",
        server_instance_id=None,
        type="DEPLOY",
        created_by_id=None,
        created_at=0,
        payload=msgspec.json.encode(payload).decode(),
        policy=None,
        timeout_ms=1,
        priority=0,
        run_at=None,
        payload_shown=None if shown is None else msgspec.json.encode(shown).decode(),
        status=JobStatus.RUNNING,
    )


KEY = 'pa"ss\\wörd'
DEPLOY = job({"key": KEY, "map": "de_dust2"}, {"key": "***", "map": "de_dust2"})


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (f"using {KEY} on de_dust2", "using *** on de_dust2"),
        (KEY * 2, "******"),
        (r'{"key":"pa\"ss\\wörd"}', '{"key":"***"}'),
        (r'{"key":"pa\"ss\\w\u00f6rd"}', '{"key":"***"}'),
        ("nothing of it", "nothing of it"),
    ],
)
def test_a_hidden_value_is_masked_as_it_stands_and_as_json_has_it(said: str, kept: str) -> None:
    assert masked_text(DEPLOY, said) == kept
    assert [line.message for line in masked_lines(DEPLOY, (Line(1, "info", said, None),))] == [kept]


def test_an_output_is_masked_in_values_and_keys_alike() -> None:
    assert masked(DEPLOY, {"echo": [KEY, {KEY: 1}], "n": 2, "none": None}) == {
        "echo": ["***", {"***": 1}],
        "n": 2,
        "none": None,
    }


def test_a_late_report_stays_json() -> None:
    late = msgspec.json.encode({"errorMessage": f"wrong {KEY}", "durationMs": 5}).decode()
    assert msgspec.json.decode(masked_json(DEPLOY, late)) == {"errorMessage": "wrong ***", "durationMs": 5}


def test_each_line_of_a_hidden_text_is_masked_for_a_log_has_it_line_by_line() -> None:
    pem = job({"pem": "first line\nsecond line\n\nabc"}, {"pem": "***"})
    assert masked_text(pem, "second line") == "***"
    assert masked_text(pem, "abc") == "abc"


def test_what_is_short_or_no_text_is_left_as_it_is_everywhere() -> None:
    pin = job({"pin": "12345", "number": 1234567}, {"pin": "***", "number": "***"})
    assert masked_text(pin, "12345 1234567") == "12345 1234567"


def test_all_text_below_a_hidden_place_is_hidden() -> None:
    deep = job({"a": {"b": ["secret-1", {"c": "secret-2"}]}, "l": [1, "secret-3"]}, {"a": "***", "l": [1, "***"]})
    assert set(hidden_texts(deep.payload, deep.payload_shown or "")) == {"secret-1", "secret-2", "secret-3"}


def test_a_payload_that_is_hidden_as_a_whole_hides_all_its_text() -> None:
    whole = job({"a": "secret-1", "b": "secret-2"}, {"***": "***"})
    assert masked_text(whole, "secret-1 secret-2") == "*** ***"


def test_no_more_than_so_many_values_are_looked_for() -> None:
    many = job({"l": [f"secret-{number}" for number in range(MOST * 2)]}, {"l": "***"})
    assert len(hidden_texts(many.payload, many.payload_shown or "")) == MOST


def test_a_job_that_hides_nothing_is_not_looked_at() -> None:
    plain = job({"key": KEY}, None)
    output = {"echo": KEY}
    assert masked(plain, output) is output
    assert masked_text(plain, KEY) is KEY
