"""A feed's decisions: whichever order Redis's answers and its channel come in, the stream ends where Redis does."""

import asyncio
from typing import Any

import msgspec

from runtime.event_feed import APART, Feed
from runtime.event_log import Place
from runtime.redis_link import RedisAway, RedisLink
from web.event_stream import encode_event

AT = 1_700_000_000_000
OLD, NEW = 5_000, 9_000  # births


class Note(msgspec.Struct):
    number: int


class Clock:
    def __init__(self, chance: float = 0.5) -> None:
        self._chance = chance

    def now(self) -> int:
        return AT

    def chance(self) -> float:
        return self._chance


class FakeLink(RedisLink):
    """Redis as a dictionary of births, each with so many events; their data is their number."""

    def __init__(self) -> None:
        self.births = {OLD: 3, NEW: 0}
        self.away = False

    async def call(self, *command: str | bytes | int) -> Any:
        await asyncio.sleep(0)
        if self.away:
            raise RedisAway("away")
        birth, _, first = str(command[2]).partition("-")
        last = str(command[3]).partition("-")[2] or self.births[int(birth)]
        ids = range(int(first), min(int(last), self.births[int(birth)], int(first) + int(command[5]) - 1) + 1)
        return [(f"{birth}-{n}".encode(), {b"p": encode_event("note", AT, Note(int(birth) + n))}) for n in ids]


class Rig:
    def __init__(self, chance: float = 0.5) -> None:
        self.link = FakeLink()
        self.doubts: list[str] = []
        self.feed = Feed("org", 100, self.link, Clock(chance), self.doubts.append)

    def ring(self, birth: int, n: int) -> None:
        self.feed.heard(f"{birth}-{n}".encode())

    async def settled(self) -> None:
        if self.feed._pulling is not None:
            await self.feed._pulling

    async def shown(self) -> list[Any]:
        """What the stream has: the numbers in the events' data, and "gap"."""
        await self.settled()
        frames = [msgspec.json.decode(frame.text) for frame in self.feed.stream._frames]
        assert all(frame["event"] == "gap" or frame["seq"] == frame["data"]["number"] for frame in frames)
        return ["gap" if frame["event"] == "gap" else frame["seq"] for frame in frames]


async def test_a_feed_begins_where_redis_stands_and_goes_on_from_there() -> None:
    rig = Rig()
    assert not rig.feed.settled.is_set()
    rig.feed.answered(Place(OLD, 1), 0)
    assert (rig.feed.stream.newest, rig.feed.settled.is_set()) == (OLD + 1, True)
    rig.ring(OLD, 3)
    assert await rig.shown() == [OLD + 2, OLD + 3]


async def test_what_was_heard_before_the_answer_is_fetched_after_it() -> None:
    rig = Rig()
    rig.ring(OLD, 3)
    rig.feed.answered(Place(OLD, 1), 0)
    assert await rig.shown() == [OLD + 2, OLD + 3]


async def test_a_birth_that_was_heard_before_the_answer_counts() -> None:
    rig = Rig()
    rig.link.births[NEW] = 2
    rig.ring(NEW, 2)
    rig.feed.answered(Place(OLD, 3), 0)
    assert await rig.shown() == ["gap", NEW + 1, NEW + 2]


async def test_a_new_birth_is_a_gap_and_all_its_events() -> None:
    rig = Rig()
    rig.feed.answered(Place(OLD, 3), 0)
    rig.link.births[NEW] = 2
    rig.ring(NEW, 1)
    rig.ring(NEW, 2)
    assert await rig.shown() == ["gap", NEW + 1, NEW + 2]


async def test_an_answer_from_before_a_birth_that_was_heard_meanwhile_does_not_lead_back() -> None:
    rig = Rig()
    rig.feed.answered(Place(OLD, 3), 0)
    rig.link.births[NEW] = 1
    rig.ring(NEW, 1)
    rig.feed.answered(Place(OLD, 3), OLD)
    assert rig.doubts == ["org"]
    rig.feed.answered(Place(NEW, 1), NEW)
    assert await rig.shown() == ["gap", NEW + 1]


async def test_after_a_clock_was_set_back_a_lower_birth_counts_once_redis_confirms_it() -> None:
    rig = Rig()
    rig.link.births[OLD] = 1
    rig.feed.answered(Place(NEW, 0), 0)
    rig.ring(OLD, 1)
    assert (rig.doubts, await rig.shown()) == (["org"], [])
    rig.feed.answered(Place(OLD, 1), NEW)
    assert await rig.shown() == ["gap", OLD + 1]


async def test_old_news_of_the_same_birth_change_nothing() -> None:
    rig = Rig()
    rig.feed.answered(Place(OLD, 3), 0)
    rig.ring(OLD, 1)
    assert (rig.doubts, await rig.shown()) == ([], [])


async def test_while_redis_is_away_the_node_tells_its_own_after_a_gap_and_then_follows_redis_after_another() -> None:
    rig = Rig()
    rig.feed.answered(Place(OLD, 3), 0)
    rig.feed.publish("note", AT, Note(0))
    local = rig.feed.stream.newest
    rig.ring(OLD, 3)
    rig.link.births[NEW] = 1
    rig.feed.answered(Place(NEW, 0), OLD)
    rig.ring(NEW, 1)
    await rig.settled()
    shown = [(frame.event or "note", frame.seq) for frame in rig.feed.stream._frames]
    assert shown == [("gap", local - 1), ("note", local), ("gap", NEW), ("note", NEW + 1)]


async def test_two_nodes_that_number_for_themselves_stay_apart() -> None:
    births = []
    for chance in (0.1, 0.2):
        rig = Rig(chance)
        rig.feed.answered(Place(OLD, 3), 0)
        rig.feed.publish("note", AT, Note(0))
        births.append(rig.feed.stream.born)
    assert abs(births[0] - births[1]) > APART / 20
    assert min(births) > AT * 1000


async def test_a_stream_that_vanishes_while_it_is_fetched_is_left_until_it_is_born_anew() -> None:
    rig = Rig()
    rig.feed.answered(Place(OLD, 1), 0)
    rig.link.births[OLD] = 0
    rig.ring(OLD, 3)
    assert await rig.shown() == []
    rig.link.births[NEW] = 1
    rig.ring(NEW, 1)
    assert await rig.shown() == ["gap", NEW + 1]


async def test_a_link_that_breaks_in_a_fetch_costs_nothing_once_redis_has_been_asked_again() -> None:
    rig = Rig()
    rig.feed.answered(Place(OLD, 1), 0)
    rig.link.away = True
    rig.ring(OLD, 3)
    assert await rig.shown() == []
    rig.link.away = False
    rig.feed.answered(Place(OLD, 3), OLD)
    assert await rig.shown() == [OLD + 2, OLD + 3]


async def test_older_events_are_fetched_when_a_dashboard_wants_them() -> None:
    rig = Rig()
    rig.feed.answered(Place(OLD, 3), 0)
    await rig.feed.reach(OLD + 1)
    assert await rig.shown() == [OLD + 2, OLD + 3]
    await rig.feed.reach(None)
    assert await rig.shown() == [OLD + 1, OLD + 2, OLD + 3]
    await rig.feed.reach(OLD - 1)
    assert rig.feed.stream.cursor(OLD - 1) is None
