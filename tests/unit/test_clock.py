"""Instants are milliseconds inside and RFC 3339 at the edge."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from interlock.clock import SystemClock, parse_rfc3339, rfc3339
from interlock.errors import InvalidRequest
from interlock.ids import UuidIds, is_id

LATEST = 253_402_300_799_999
instants = st.integers(0, LATEST)


def test_an_instant_is_written_in_utc_with_milliseconds() -> None:
    assert rfc3339(0) == "1970-01-01T00:00:00.000Z"
    assert rfc3339(1_795_314_846_123) == "2026-11-22T02:34:06.123Z"
    assert rfc3339(LATEST) == "9999-12-31T23:59:59.999Z"


@given(instants)
@example(2_174_009_775_667)  # 2038-11-22T03:36:15.667Z, a millisecond less through floats
@example(34_016_200_631)
def test_what_is_written_reads_back_to_the_millisecond(at: int) -> None:
    assert parse_rfc3339(rfc3339(at)) == at


@given(instants, instants)
def test_texts_sort_as_their_instants_do(one: int, other: int) -> None:
    assert (rfc3339(one) < rfc3339(other)) == (one < other)


@given(
    st.datetimes(datetime(1971, 1, 1), datetime(9999, 1, 1)),  # noqa: DTZ001 - hypothesis adds the offset
    st.integers(-23 * 60 - 59, 23 * 60 + 59),
)
def test_an_offset_is_taken_into_account(naive: datetime, minutes: int) -> None:
    moment = naive.replace(microsecond=0, tzinfo=timezone(timedelta(minutes=minutes)))
    assert parse_rfc3339(moment.isoformat()) == (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-22T02:34:06Z",
        "2026-11-22t02:34:06z",
        "2026-11-22 02:34:06Z",
        "2026-11-22T02:34:06.000Z",
        "2026-11-22T02:34:06.000000000Z",
        "2026-11-22T04:34:06+02:00",
        "2026-11-21T21:04:06-05:30",
    ],
)
def test_every_way_in_which_the_standard_writes_an_instant_is_read(text: str) -> None:
    assert parse_rfc3339(text) == 1_795_314_846_000


@pytest.mark.parametrize("digits", range(1, 10))
def test_fractions_of_one_to_nine_digits_are_cut_to_milliseconds(digits: int) -> None:
    fraction = "123456789"[:digits]
    assert parse_rfc3339(f"2026-11-22T02:34:06.{fraction}Z") % 1000 == int(f"{fraction:0<9}"[:3])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-11-22",
        "2026-11-22T02:34:06",  # no offset
        "2026-11-22T02:34Z",
        "20261122T023406Z",
        "2026-11-22T02:34:06.Z",
        "2026-11-22T02:34:06.1234567890Z",
        "2026-11-22T02:34:06+0200",
        "2026-11-22T02:34:06Z ",
        "2026-11-22T02:34:06Z\n",
        "2026-13-22T02:34:06Z",
        "2026-02-30T02:34:06Z",
        "2026-11-22T25:00:00Z",
        "2026-11-22T02:34:06+99:99",
        "٢٠٢٦-11-22T02:34:06Z",  # digits, but not ASCII
        "0000-01-01T00:00:00Z",
        "1969-12-31T23:59:59Z",  # before our time
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",  # after the last instant that can be written
    ],
)
def test_what_is_no_instant_is_refused_where_it_stands(text: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        parse_rfc3339(text, path="$.runAt")
    assert [mistake["path"] for mistake in refusal.value.errors] == ["$.runAt"]


@given(st.text(max_size=40))
def test_no_text_is_anything_but_read_or_refused(text: str) -> None:
    try:
        at = parse_rfc3339(text)
    except InvalidRequest:
        return
    assert 0 <= at <= LATEST


def test_the_systems_clock_gives_milliseconds_and_chances_below_one() -> None:
    clock = SystemClock()
    assert datetime.fromtimestamp(clock.now() / 1000, UTC).year >= 2024
    assert all(0 <= clock.chance() < 1 for _ in range(1000))


def test_ids_are_fresh_and_sort_by_their_birth() -> None:
    ids = UuidIds()
    born = [ids.new() for _ in range(5000)]
    assert born == sorted(set(born))
    assert all(is_id(each) for each in born)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "0190F2C0-0000-7000-8000-000000000000",  # upper case would name a second row
        "019000000000-7000-8000-000000000000",
        "01900000-0000-7000-8000-00000000000",
        "01900000-0000-7000-8000-000000000000\n",
        "{01900000-0000-7000-8000-000000000000}",
        "٠1900000-0000-7000-8000-000000000000",
    ],
)
def test_anything_else_is_no_id(text: str) -> None:
    assert not is_id(text)
