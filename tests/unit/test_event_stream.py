"""A stream of events: numbers grow by one, what is gone is a gap, and a subscriber is only a cursor."""

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from web.event_stream import AT_ONCE, EventStream, EventStreams, encode_event

AT = 1_700_000_000_000
BORN = 1000


class Note(msgspec.Struct):
    number: int


class FixedClock:
    def now(self) -> int:
        return AT

    def chance(self) -> float:
        return 0.5


def stream(*numbers: int, history: int = 100) -> EventStream:
    made = EventStream(BORN, history)
    for number in numbers:
        made.publish("note", AT, Note(number))
    return made


def body(number: int) -> str:
    return encode_event("note", AT, Note(number)).decode()


def shown(made: EventStream, cursor: int | None) -> list[tuple[int, Any]] | None:
    """Number and data of the frames behind the cursor."""
    frames = None if cursor is None else made.after(cursor)
    if frames is None:
        return None
    decoded = [msgspec.json.decode(frame.text) for frame in frames]
    return [(frame["seq"], frame["data"].get("number", "gap")) for frame in decoded]


def test_numbers_start_behind_the_birth_and_grow_by_one() -> None:
    assert shown(stream(7, 8, 9), BORN) == [(BORN + 1, 7), (BORN + 2, 8), (BORN + 3, 9)]


def test_a_frame_has_its_event_number_time_and_data() -> None:
    made = stream(7)
    frames = made.after(BORN)
    assert frames is not None
    assert msgspec.json.decode(frames[0].text) == {
        "seq": BORN + 1,
        "event": "note",
        "at": "2023-11-14T22:13:20.000Z",
        "data": {"number": 7},
    }
    assert frames[0].text is frames[0].text


def test_events_that_were_numbered_elsewhere_look_like_our_own() -> None:
    ours, theirs = stream(7), EventStream(BORN, 100)
    theirs.adopt([body(7)])
    assert [frame.text for frame in ours.after(BORN) or []] == [frame.text for frame in theirs.after(BORN) or []]


def test_at_the_end_there_is_nothing_and_beyond_it_no_cursor() -> None:
    made = stream(7)
    assert shown(made, made.cursor(made.newest)) == []
    assert made.cursor(made.newest + 1) is None
    assert made.cursor(BORN - 1) is None


def test_what_has_been_forgotten_is_gone() -> None:
    made = stream(1, 2, 3, 4, history=2)
    assert (made.cursor(BORN + 1), made.oldest) == (None, BORN + 2)
    assert shown(made, made.cursor(BORN + 2)) == [(BORN + 3, 3), (BORN + 4, 4)]
    assert made.after(BORN + 1) is None


def test_a_subscriber_is_handed_a_few_hundred_at_once() -> None:
    made = stream(*range(AT_ONCE + 10), history=1000)
    assert len(made.after(BORN) or []) == AT_ONCE
    assert len(made.after(BORN + AT_ONCE) or []) == 10


def test_older_events_can_be_put_in_front_as_far_as_there_is_room() -> None:
    made = stream(3, history=4)
    assert made.room == 3
    made.prepend([body(1), body(2)])
    assert (made.born, made.room) == (BORN - 2, 1)
    assert shown(made, made.cursor(BORN - 2)) == [(BORN - 1, 1), (BORN, 2), (BORN + 1, 3)]


def test_nothing_can_be_put_in_front_of_what_has_been_forgotten_or_of_a_gap() -> None:
    assert stream(1, 2, 3, history=2).room == 0
    made = stream(1)
    made.reborn(5000, AT)
    assert made.room == 0


def test_a_rebirth_is_a_gap_where_every_subscriber_comes_past() -> None:
    made = stream(1, 2)
    cursor = made.cursor(BORN + 1)
    made.reborn(5000, AT)
    made.publish("note", AT, Note(3))
    assert shown(made, cursor) == [(BORN + 2, 2), (5000, "gap"), (5001, 3)]
    assert made.after(made.end) == []


def test_after_a_rebirth_old_numbers_have_no_cursor() -> None:
    made = stream(1, 2)
    made.reborn(5000, AT)
    made.publish("note", AT, Note(3))
    assert made.cursor(BORN + 1) is None
    assert shown(made, made.cursor(5000)) == [(5001, 3)]


def test_a_gap_says_what_was_the_last_number_before_it() -> None:
    made = stream(1)
    made.reborn(5000, AT)
    frames = made.after(made.end - 1) or []
    assert [(frame.event, frame.data) for frame in frames] == [("gap", {"after": BORN + 1})]


async def test_who_waits_is_woken_by_the_next_event_and_by_a_stop() -> None:
    made = stream(1)
    wakers: list[Callable[[], None]] = [
        lambda: made.publish("note", AT, Note(2)),
        lambda: made.reborn(5000, AT),
        made.wake,
    ]
    for wake in wakers:
        waiting = asyncio.ensure_future(made.wait(made.end))
        await asyncio.sleep(0)
        assert not waiting.done()
        wake()
        await waiting
    await made.wait(made.end - 1)


async def test_who_gives_up_waiting_is_forgotten() -> None:
    made = stream()
    waiting = asyncio.ensure_future(made.wait(made.end))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert made._waiting == set()


STEPS = st.lists(
    st.one_of(st.integers(1, 5), st.tuples(st.just("adopt"), st.integers(1, 5)), st.just("reborn")), max_size=30
)


@given(STEPS, st.integers(1, 12))
def test_a_reader_sees_every_event_once_or_a_gap(steps: list[object], history: int) -> None:
    """Two readers: one that reads after every step, and one that reads now and then."""
    made, told = EventStream(BORN, history), 0
    readers: list[tuple[int, list[tuple[int, Any]]]] = [(made.end, []), (made.end, [])]
    for place, step in enumerate(steps):
        if step == "reborn":
            made.reborn(made.newest + 1000, AT)
        elif isinstance(step, int):
            for _ in range(step):
                told += 1
                made.publish("note", AT, Note(told))
        elif isinstance(step, tuple):
            made.adopt(body(told + number) for number in range(1, step[1] + 1))
            told += step[1]
        for reader in range(2 if place % 4 == 3 else 1):
            cursor, seen = readers[reader]
            frames = shown(made, cursor)
            seen.extend([(made.newest, "gap")] if frames is None else frames)
            readers[reader] = (made.end, seen)
            assert made.cursor(made.newest) == made.end
    for _, seen in readers:
        numbers = [seq for seq, _ in seen]
        assert numbers == sorted(numbers)
        for (_, before), (_, after) in itertools.pairwise(seen):
            assert after == "gap" or before == "gap" or after == before + 1


async def test_an_orgs_stream_is_born_with_its_first_event_or_subscriber() -> None:
    streams = EventStreams(FixedClock(), 10)
    assert await streams.position("org") is None
    assert await streams.position("org") is None
    streams.publish("org", "note", Note(1))
    assert await streams.position("org") == AT * 1000 + 1
    async with streams.watching("org") as watched:
        assert await streams.cursor("org", None) == watched.born
        assert await streams.cursor("org", AT * 1000) == AT * 1000
        assert await streams.cursor("org", 5) is None
    async with streams.watching("other") as watched:
        assert watched.newest == watched.born


async def test_events_of_all_orgs_together_stay_within_a_bound_and_quiet_orgs_are_forgotten() -> None:
    streams = EventStreams(FixedClock(), 10, 1000)
    for number in range(5000):
        for _ in range(2):
            streams.publish(f"org {number}", "note", Note(number))
        assert streams.kept <= 1000
    assert await streams.position("org 0") is None
    assert await streams.position("org 4999") is not None


async def test_an_org_that_says_most_keeps_its_newest_events() -> None:
    streams = EventStreams(FixedClock(), 1_000_000, 1000)
    for number in range(5000):
        streams.publish("org", "note", Note(number))
    async with streams.watching("org") as watched:
        found = [number for _, number in shown(watched, watched.end - 256) or ()]
    assert found == list(range(5000 - 256, 5000))
    assert streams.kept <= 1000


async def test_a_stream_that_is_watched_stays_and_its_watcher_is_told_of_a_gap() -> None:
    streams = EventStreams(FixedClock(), 10, 100)
    streams.publish("quiet", "note", Note(1))
    async with streams.watching("quiet") as watched:
        behind_all, behind_none = watched.end, watched.born
        for number in range(1000):
            streams.publish(f"org {number}", "note", Note(number))
        assert watched.after(behind_none) is None
        streams.publish("quiet", "note", Note(2))
        assert shown(watched, behind_all) == [(watched.newest, 2)]


async def test_a_stream_that_was_forgotten_never_repeats_a_number() -> None:
    streams = EventStreams(FixedClock(), 10, 100)
    for number in range(5):
        streams.publish("quiet", "note", Note(number))
    before = await streams.position("quiet")
    for number in range(1000):
        streams.publish(f"org {number}", "note", Note(number))
    assert await streams.position("quiet") is None
    streams.publish("quiet", "note", Note(9))
    after = await streams.position("quiet")
    assert before is not None
    assert after is not None
    assert after > before
    assert await streams.cursor("quiet", before - 1) is None


async def test_listeners_hear_of_all_orgs_and_all_are_woken_at_the_end() -> None:
    streams, heard = EventStreams(FixedClock(), 10), list[str]()
    streams.listeners.append(lambda org_id, event, _: heard.append(f"{org_id} {event}"))
    streams.publish("a", "one", Note(1))
    streams.publish("b", "two", Note(2))
    assert (heard, streams.published) == (["a one", "b two"], 2)
    async with streams.watching("a") as watched:
        waiting = asyncio.ensure_future(watched.wait(watched.end))
        await asyncio.sleep(0)
        streams.wake_all()
        await waiting


async def test_the_number_0_is_the_streams_birth_while_all_since_is_kept() -> None:
    streams = EventStreams(FixedClock(), 2)
    for number in range(3):
        streams.publish("org", "note", Note(number))
        birth = streams.stream("org").born
        assert await streams.cursor("org", 0) == (birth if number < 2 else None)


@pytest.mark.parametrize("after", [0, -1, 2**63])
def test_a_strange_number_has_no_cursor(after: int) -> None:
    assert stream(1).cursor(after) is None
