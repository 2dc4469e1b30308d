"""Events of all nodes on the dashboards of each: in one order, replayed by their numbers, and never a wrong one."""

import asyncio
import itertools
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest

from engines.redis_server import OwnRedis, own_redis
from runtime.event_log import key
from tests.support.redis_rig import PATIENCE, Board, Node, board, node, redis_or_skip, until


@pytest.fixture
async def one(redis_server: OwnRedis) -> AsyncIterator[Node]:
    async with node(redis_server.url) as made:
        yield made


@pytest.fixture
async def other(redis_server: OwnRedis) -> AsyncIterator[Node]:
    async with node(redis_server.url) as made:
        yield made


def entries(server: OwnRedis, org: str = "org") -> int:
    """How many entries the org's stream has in Redis, births included."""
    with server.client() as client:
        return int(client.xlen(key(org)))


async def test_dashboards_of_all_nodes_show_the_same_events_under_the_same_numbers(one: Node, other: Node) -> None:
    async with board(one.streams) as here, board(other.streams) as there:
        for number in range(0, 100, 2):
            one.tell(number)
            other.tell(number + 1)
            await asyncio.sleep(0)
        await until(lambda: len(here.frames) == len(there.frames) == 100)
    assert here.frames == there.frames
    assert here.seqs == list(range(here.seqs[0], here.seqs[0] + 100))
    for first in (0, 1):
        mine = [number for number in here.story if number % 2 == first]
        assert mine == sorted(mine)


async def test_a_frame_has_what_a_dashboard_expects(one: Node) -> None:
    async with board(one.streams) as here:
        one.tell(7)
        await here.until(7)
    assert set(here.frames[0]) == {"event", "seq", "at", "data"}
    assert (here.frames[0]["event"], here.frames[0]["data"]) == ("note", {"number": 7})


async def test_each_org_has_numbers_of_its_own_and_hears_only_of_itself(one: Node) -> None:
    async with board(one.streams, "a") as a, board(one.streams, "b") as b:
        one.tell(1, 2, org="a")
        one.tell(3, org="b")
        await a.until(1, 2)
        await b.until(3)


async def test_without_a_number_a_dashboard_begins_behind_what_was_published_before(one: Node) -> None:
    one.tell(1, 2, 3)
    async with board(one.streams) as here:
        one.tell(4)
        await here.until(4)


async def test_of_an_org_without_events_a_dashboard_sees_the_very_first(one: Node, other: Node) -> None:
    assert await one.streams.position("org") is None
    async with board(one.streams) as here:
        other.tell(1)
        await here.until(1)


async def test_what_was_missed_is_replayed_on_any_node(one: Node, other: Node, redis_server: OwnRedis) -> None:
    async with board(one.streams) as here:
        one.tell(*range(600))
        await until(lambda: len(here.frames) == 600)
    async with board(other.streams, after=here.seqs[99]) as there:
        await until(lambda: len(there.frames) == 500)
        assert there.frames == here.frames[100:]
        async with board(other.streams, after=here.seqs[9]) as further_back:
            other.tell(600)
            await until(lambda: len(further_back.frames) == 591)
            assert further_back.frames[:590] == here.frames[10:]
    async with node(redis_server.url) as third, board(third.streams, after=here.seqs[-1]) as newest:
        await newest.until(600)


async def test_after_nothing_all_is_replayed_on_any_node(one: Node, other: Node) -> None:
    one.tell(*range(600))
    await until(lambda: not one.streams.waiting)
    for node_of in (one, other):
        async with board(node_of.streams, after=0) as here:
            await here.until(*range(600))


@pytest.mark.parametrize("after", [1, 2**53])
async def test_a_number_that_never_was_is_a_gap(one: Node, after: int) -> None:
    one.tell(1)
    await until(lambda: not one.streams.waiting)
    async with board(one.streams, after=after) as here:
        await here.until("gap")
        one.tell(2)
        await here.until("gap", 2)
    assert here.seqs[1] == here.seqs[0] + 1


async def test_beyond_the_history_a_dashboard_is_told_of_a_gap(redis_server: OwnRedis) -> None:
    async with node(redis_server.url, history=50) as one:
        one.tell(0)
        first = await one.streams.position("org")
        one.tell(*range(1, 1000))
        newest = await one.streams.position("org")
        assert first is not None
        assert newest == first + 999
        async with board(one.streams, after=first) as late, board(one.streams, after=newest - 50) as in_time:
            await late.until("gap")
            await in_time.until(*range(950, 1000))
            assert late.seqs == [newest]
    assert entries(redis_server) < 300


async def test_when_redis_was_emptied_the_next_event_comes_after_a_gap_and_no_number_twice(
    one: Node, other: Node, redis_server: OwnRedis
) -> None:
    async with board(one.streams) as here, board(other.streams) as there:
        one.tell(1, 2)
        await there.until(1, 2)
        redis_server.flush()
        other.tell(3)
        await here.until(1, 2, "gap", 3)
        await there.until(1, 2, "gap", 3)
    assert here.seqs == there.seqs == sorted(set(here.seqs))
    async with board(one.streams, after=here.seqs[0]) as late:
        await late.until("gap")


async def test_while_redis_is_away_a_node_shows_its_own_events_after_a_gap_and_all_again_when_it_is_back(
    one: Node, other: Node, redis_server: OwnRedis
) -> None:
    async with board(one.streams) as here, board(other.streams) as there:
        one.tell(1)
        await here.until(1)
        await there.until(1)
        redis_server.kill()
        one.tell(2)
        await here.until(1, "gap", 2)
        one.tell(3)
        await here.until(1, "gap", 2, 3)
        assert there.story == [1]
        redis_server.start()
        await until(lambda: here.story[-1] == there.story[-1] == "gap" and one.streams.up and other.streams.up)
        other.tell(4)
        await until(lambda: here.story[-1] == there.story[-1] == 4)
        one.tell(5)
        await until(lambda: here.story[-1] == there.story[-1] == 5)
    for shown in (here, there):
        assert shown.seqs == sorted(set(shown.seqs))
        assert [number for number in shown.story if number != "gap"] == sorted(set(shown.story) - {"gap"})
    assert here.frames[-2:] == there.frames[-2:]


async def test_events_that_one_node_could_not_publish_are_a_gap_on_the_others(one: Node, other: Node) -> None:
    """Only that node is cut off; the other's link never breaks."""
    async with board(other.streams) as there:
        one.tell(1)
        await there.until(1)
        one.streams._link._break("cut off")
        one.tell(2)
        await there.until(1, "gap")
        one.tell(3)
        await there.until(1, "gap", 3)


async def test_a_link_that_only_flickers_costs_no_gap(one: Node, other: Node) -> None:
    async with board(other.streams) as there:
        one.tell(1)
        await there.until(1)
        other.streams._link._break("a flicker")
        one.tell(2)
        await there.until(1, 2)
        one.tell(3)
        await there.until(1, 2, 3)


async def test_a_redis_that_restarts_on_an_old_file_repeats_no_number() -> None:
    """What it had not yet written is lost: the same entry ids must not come again for other events."""
    with redis_or_skip(own_redis(append_only=True)) as server:
        async with node(server.url) as one, board(one.streams) as here:
            one.tell(1)
            await here.until(1)
            server.kill()
            files = [path for path in server.folder.rglob("*") if path.is_file() and "aof" in path.name]
            old = {path: path.read_bytes() for path in files}
            server.start()
            await until(lambda: one.streams.up)
            await here.until(1, "gap")
            one.tell(2, 3)
            await here.until(1, "gap", 2, 3)
            server.kill()
            for path, content in old.items():
                path.write_bytes(content)
            server.start()
            await until(lambda: one.streams.up)
            one.tell(4)
            await until(lambda: here.story[-1] == 4)
            assert here.seqs == sorted(set(here.seqs))
            async with board(one.streams, after=here.seqs[3]) as late:
                await late.until("gap")


async def test_a_redis_that_does_not_answer_holds_nobody_up(one: Node, redis_server: OwnRedis) -> None:
    async with board(one.streams) as here:
        redis_server.pause()
        one.tell(*range(500))
        assert one.streams.waiting == 500
        await until(lambda: here.story == ["gap", *range(500)])
        redis_server.resume()
        await until(lambda: one.streams.up)
        one.tell(500)
        await until(lambda: here.story[-1] == 500)
    assert here.story == ["gap", *range(500), "gap", 500]


async def test_what_waits_for_redis_is_bounded_and_a_gap_tells_of_what_was_dropped(redis_server: OwnRedis) -> None:
    async with node(redis_server.url, limit=100) as one, board(one.streams) as here:
        one.tell(*range(1000))
        assert one.streams.waiting == 100
        assert one.streams.dropped == 900
        await here.until("gap", *range(900, 1000))


async def test_an_evicting_redis_costs_gaps_and_nothing_else() -> None:
    with redis_or_skip(own_redis(memory="3mb", policy="allkeys-lru")) as server:
        async with node(server.url) as one, board(one.streams) as here:
            one.tell(1)
            await until(lambda: 1 in here.story)
            with server.client() as client:
                for number in itertools.count():
                    client.set(f"ballast-{number}", "x" * 10_000)
                    if not client.exists(key("org")):
                        break
            one.tell(2)
            await until(lambda: here.story[-1] == 2)
            assert here.story == [1, "gap", 2]
            assert here.seqs == sorted(set(here.seqs))


async def test_a_redis_with_hardly_any_memory_loses_order_of_no_event() -> None:
    """Whatever it evicts or refuses becomes a gap; what is shown is shown once, and in order."""
    with redis_or_skip(own_redis(memory="1mb", policy="allkeys-lru")) as server:
        async with node(server.url) as one, board(one.streams) as here:
            for number in range(2000):
                one.tell(number)
                if number % 50 == 0:
                    await asyncio.sleep(0.001)
            await until(lambda: here.story[-1:] == [1999])
    shown = [number for number in here.story if number != "gap"]
    assert shown == sorted(set(shown))
    assert here.seqs == sorted(set(here.seqs))


async def test_a_redis_that_is_full_and_refuses_is_one_that_is_away() -> None:
    with redis_or_skip(own_redis()) as server:
        async with node(server.url) as one, board(one.streams) as here:
            one.tell(1)
            await here.until(1)
            with server.client() as client:
                client.config_set("maxmemory", "1")
            one.tell(2)
            await here.until(1, "gap", 2)
            with server.client() as client:
                client.config_set("maxmemory", "0")
            await until(lambda: one.streams.up and here.story[-1] == "gap")
            one.tell(3)
            await here.until(1, "gap", 2, "gap", 3)


async def test_without_redis_from_the_start_a_node_shows_its_own_events(redis_server: OwnRedis) -> None:
    redis_server.kill()
    async with node(redis_server.url) as one, board(one.streams) as here:
        one.tell(1)
        await here.until(1)
        redis_server.start()
        await here.until(1, "gap")
        one.tell(2)
        await here.until(1, "gap", 2)


async def test_numbers_that_a_node_gave_in_an_outage_are_a_gap_on_every_other(
    one: Node, other: Node, redis_server: OwnRedis
) -> None:
    async with board(one.streams) as here, board(other.streams) as there:
        redis_server.kill()
        one.tell(1, 2)
        other.tell(3, 4)
        await here.until("gap", 1, 2)
        async with board(other.streams, after=here.seqs[1]) as moved:
            await moved.until("gap")
        redis_server.start()
        await until(lambda: here.story[-1] == there.story[-1] == "gap")
        for streams in (one.streams, other.streams):
            async with board(streams, after=here.seqs[1]) as late:
                await late.until("gap")


async def test_a_doubt_is_a_gap_on_all_nodes(one: Node, other: Node) -> None:
    async with board(one.streams) as here, board(other.streams) as there:
        one.tell(1)
        await there.until(1)
        other.streams.doubt("org")
        await here.until(1, "gap")
        await there.until(1, "gap")


async def test_a_stop_sends_what_was_published_last(redis_server: OwnRedis) -> None:
    async with node(redis_server.url) as one:
        one.tell(1, 2, 3)
    assert entries(redis_server) == 4
    await one.streams.stop()


async def test_a_dashboard_that_left_is_not_fed_for_ever(one: Node, redis_server: OwnRedis) -> None:
    async with board(one.streams):
        pass
    one.streams._let_go(one.streams._feeds["org"])
    assert one.streams._feeds == {}

    def heard() -> bool:
        with redis_server.client() as client:
            return bool(client.pubsub_numsub(key("org"))[0][1])

    await until(lambda: not heard())
    async with board(one.streams) as again:
        one.tell(1)
        await again.until(1)


class Storm:
    """Two nodes publish while Redis and their links suffer. The first tells even numbers, the other odd ones."""

    def __init__(self, chance: random.Random, server: OwnRedis, nodes: tuple[Node, Node]) -> None:
        self.chance = chance
        self.server = server
        self.nodes = nodes
        self.last = [-2, -1]

    def tell(self, which: int) -> None:
        self.last[which] += 2
        self.nodes[which].tell(self.last[which])

    async def rage(self) -> None:
        for _ in range(12):
            for _ in range(self.chance.randrange(40)):
                self.tell(self.chance.randrange(2))
                await asyncio.sleep(self.chance.random() * 0.004)
            await self.suffer()

    async def suffer(self) -> None:
        trouble = self.chance.choice(["kill", "flush", "cut", "cut", "scripts"])
        if trouble == "kill":
            self.server.kill()
            await asyncio.sleep(self.chance.random() * 0.1)
            self.server.start()
        elif trouble == "flush":
            self.server.flush()
        elif trouble == "cut":
            self.chance.choice(self.nodes).streams._link._break("cut")
        else:
            with self.server.client() as client:
                client.script_flush()

    async def calm(self, *boards: Board) -> None:
        """Return when all show what each node tells. While a link is still broken only its own node shows that."""
        for which, shown in itertools.product((0, 1), boards):
            async with asyncio.timeout(PATIENCE):
                while self.last[which] not in shown.story[-4:]:
                    self.tell(which)
                    await asyncio.sleep(0.02)


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_happens_to_redis_nothing_is_missed_without_a_gap(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - a test that can be repeated
    with redis_or_skip(own_redis(append_only=chance.random() < 0.5)) as server:
        async with node(server.url) as one, node(server.url) as other:
            storm = Storm(chance, server, (one, other))
            async with board(one.streams) as here, board(other.streams) as there:
                await storm.rage()
                await storm.calm(here, there)
    for shown, first in itertools.product((here, there), (0, 1)):
        assert silent_losses(shown.story, first) == []


def silent_losses(story: list[Any], first: int) -> list[tuple[int, int]]:
    """Numbers of one publisher between which others are missing, with no gap to say so."""
    found, before, excused = [], first - 2, False
    for each in story:
        if each == "gap":
            excused = True
        elif each % 2 == first % 2:
            if each != before + 2 and not excused:
                found.append((before, each))
            before, excused = each, False
    return found
