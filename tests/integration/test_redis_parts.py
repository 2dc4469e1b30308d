"""What `redis_url` decides, put together as the server does it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from engines.redis_server import OwnRedis
from interlock.clock import SystemClock
from runtime.event_fanout import RedisEventStreams
from runtime.redis_link import BadRedisUrl
from runtime.redis_parts import Parts, build_parts
from runtime.settings import Settings
from tests.support.redis_rig import Note, board, until
from web.event_stream import EventStreams


class Node:
    """A node's parts, and what they have told it."""

    def __init__(self, name: str, url: str) -> None:
        settings = Settings(redis_url=url, redis_timeout_seconds=0.3, redis_retry_seconds=0.02)
        self.due: list[str] = []
        self.rung: list[str] = []
        self.parts: Parts = build_parts(settings, SystemClock(), name, due=self.due.append, on_ring=self.rung.append)


@asynccontextmanager
async def node(name: str, url: str) -> AsyncIterator[Node]:
    made = Node(name, url)
    await made.parts.start()
    try:
        yield made
    finally:
        await made.parts.stop()
        await made.parts.stop()


async def test_without_redis_everything_stays_in_the_process() -> None:
    async with node("a", "") as a:
        assert isinstance(a.parts.streams, EventStreams)
        async with board(a.parts.streams) as shown:
            a.parts.streams.publish("org", "note", Note(1))
            await shown.until(1)
        a.parts.alarms.start()
        a.parts.alarms.set_alarm("host", SystemClock().now())
        await until(lambda: a.due == ["host"])
        a.parts.doorbells.ring("b", "host")
        await asyncio.to_thread(a.parts.alarms.stop)


async def test_two_nodes_share_events_doorbells_and_alarms(redis_server: OwnRedis) -> None:
    async with node("a", redis_server.url) as a, node("b", redis_server.url) as b:
        assert isinstance(a.parts.streams, RedisEventStreams)
        async with board(b.parts.streams) as shown:
            a.parts.streams.publish("org", "note", Note(1))
            await shown.until(1)
        await until(lambda: a.parts.doorbells.up and b.parts.doorbells.up)
        a.parts.doorbells.ring("b", "rung")
        await until(lambda: b.rung == ["rung"])
        b.parts.alarms.start()
        a.parts.alarms._send("of-a", SystemClock().now())  # only b has a worker
        b.parts.alarms.set_alarm("of-b", SystemClock().now())
        await until(lambda: a.rung == ["of-a"] and b.due == ["of-b"])
        await asyncio.to_thread(b.parts.alarms.stop)


async def test_the_figures_tell_whether_redis_is_there(redis_server: OwnRedis) -> None:
    async with node("a", redis_server.url) as a:
        figures = {name: read for name, _, read in a.parts.gauges + a.parts.counters}
        await until(lambda: figures["interlock_redis_up"]() == 1)
        redis_server.kill()
        await until(lambda: figures["interlock_redis_up"]() == 0)
        assert {name for name in figures if figures[name]() != 0} == set()


@pytest.mark.parametrize("url", ["http://127.0.0.1", "localhost:6379"])
async def test_a_url_that_is_none_is_refused_at_the_start(url: str) -> None:
    with pytest.raises(BadRedisUrl):
        Node("a", url)
