"""Doorbells ring at the node that they are for, come when they can, and hold nobody up when they cannot."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from engines.redis_server import OwnRedis
from runtime.doorbells import Doorbells, NoDoorbells
from tests.support.redis_rig import link_to, until

Ready = Callable[[], bool]


class Node:
    """A node that notes who rings."""

    def __init__(self, url: str, name: str, limit: int = 1000) -> None:
        self.rung: list[str] = []
        self.doubts = 0
        self.bells = Doorbells(link_to(url), name, self.rung.append, limit=limit, on_doubt=self._doubt)

    def _doubt(self) -> None:
        self.doubts += 1


@asynccontextmanager
async def node(url: str, name: str, limit: int = 1000) -> AsyncIterator[Node]:
    made = Node(url, name, limit)
    await made.bells.start()
    try:
        yield made
    finally:
        await made.bells.stop()
        await made.bells.stop()


@pytest.fixture
async def a(redis_server: OwnRedis) -> AsyncIterator[Node]:
    async with node(redis_server.url, "a") as made:
        await until(lambda: made.bells.up)
        yield made


@pytest.fixture
async def b(redis_server: OwnRedis) -> AsyncIterator[Node]:
    async with node(redis_server.url, "b") as made:
        await until(lambda: made.bells.up)
        yield made


async def test_a_ring_is_heard_by_the_node_that_it_is_for(a: Node, b: Node) -> None:
    a.bells.ring("b", "host-1")
    a.bells.ring("b", "host-2")
    b.bells.ring("a", "host-3")
    await until(lambda: b.rung == ["host-1", "host-2"] and a.rung == ["host-3"])
    await until(lambda: (a.bells.rung, b.bells.heard) == (2, 2))


async def test_a_ring_at_oneself_needs_no_redis(a: Node, redis_server: OwnRedis) -> None:
    redis_server.kill()
    a.bells.ring("a", "host")
    assert a.rung == []
    await until(lambda: a.rung == ["host"])


async def test_a_ring_at_nobody_is_nobodys(a: Node, b: Node) -> None:
    a.bells.ring("gone", "host")
    a.bells.ring("b", "host")
    await until(lambda: b.rung == ["host"])


async def test_the_same_ring_waits_once_and_no_more_rings_wait_than_may(redis_server: OwnRedis, b: Node) -> None:
    async with node(redis_server.url, "a", limit=3) as a:
        await until(lambda: a.bells.up)
        for host in ("one", "one", "two", "three", "four", "one"):
            a.bells.ring("b", host)
        await until(lambda: len(b.rung) == 3)
    assert b.rung == ["one", "two", "three"]


async def test_while_redis_is_away_rings_are_lost_and_later_ones_come_again(
    a: Node, b: Node, redis_server: OwnRedis
) -> None:
    redis_server.kill()
    await until(lambda: not a.bells.up and not b.bells.up)
    for _ in range(3):
        a.bells.ring("b", "lost")
    redis_server.start()
    await until(lambda: a.bells.up and b.bells.up)
    a.bells.ring("b", "host")
    await until(lambda: b.rung == ["host"])


async def test_a_node_is_told_when_rings_may_have_been_lost(a: Node, redis_server: OwnRedis) -> None:
    assert a.doubts == 1
    redis_server.restart()
    await until(lambda: a.doubts == 2)


async def test_a_redis_that_does_not_answer_costs_rings_and_nothing_else(
    a: Node, b: Node, redis_server: OwnRedis
) -> None:
    redis_server.pause()
    for number in range(2000):
        a.bells.ring("b", f"host-{number}")
    await until(lambda: not a.bells.up)
    redis_server.resume()
    await until(lambda: a.bells.up and b.bells.up)
    a.bells.ring("b", "last")
    await until(lambda: b.rung[-1:] == ["last"])


async def test_an_answer_that_fails_does_not_silence_the_next(
    redis_server: OwnRedis, a: Node, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[str] = []

    def ring(host_id: str) -> None:
        if host_id == "bad":
            raise ValueError("out of order")
        heard.append(host_id)

    bells = Doorbells(link_to(redis_server.url), "c", ring, limit=10)
    await bells.start()
    await until(lambda: bells.up)
    a.bells.ring("c", "bad")
    a.bells.ring("c", "good")
    await until(lambda: heard == ["good"])
    await bells.stop()
    assert "out of order" in caplog.text


async def test_without_redis_nobody_is_rung() -> None:
    bells = NoDoorbells()
    bells.ring("b", "host")
    assert not bells.up
    await asyncio.sleep(0)
