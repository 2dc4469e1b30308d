"""Servers count together in Redis. When it is away each counts for itself, and nobody waits for it or is refused."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from engines.redis_server import OwnRedis
from interlock.clock import SystemClock
from tests.support.callers import Plane
from tests.support.redis_rig import PAUSE, TIMEOUT, until
from tests.support.server import Rows, Server
from web.request_counts import CountsAway, SharedCounts
from web.request_limits import RequestLimits
from web.request_windows import RequestWindows

LIMITS = RequestLimits(per_key=10, per_org=1000, window_seconds=60)


@asynccontextmanager
async def node(url: str) -> AsyncIterator[tuple[RequestWindows, SharedCounts]]:
    """What one server counts with."""
    shared = SharedCounts(url, SystemClock(), timeout=TIMEOUT, pause=PAUSE)
    rates = RequestWindows(LIMITS, SystemClock(), shared)
    await rates.start()
    try:
        yield rates, shared
    finally:
        await rates.stop()
        await rates.stop()


async def left(rates: RequestWindows, name: str) -> int:
    standing = await rates.enter("key", name)
    assert standing is not None
    return standing.left


async def test_two_servers_count_together(redis_server: OwnRedis) -> None:
    async with node(redis_server.url) as (one, shared), node(redis_server.url) as (other, _):
        assert shared.up
        assert [await left(rates, "a") for rates in (one, other) * 6] == [9, 8, 7, 6, 5, 4, 3, 2, 1, 0, -1, -1]
        refused = await one.enter("key", "a")
        assert refused is not None
        assert 0 < (refused.ends_in or 0) < 61
        assert await left(other, "b") == 9


async def test_of_many_at_once_just_as_many_fit_as_may(redis_server: OwnRedis) -> None:
    async with node(redis_server.url) as (one, _), node(redis_server.url) as (other, _):
        counted = await asyncio.gather(*(left(rates, "a") for rates in (one, other) * 50))
        assert sorted(counted) == [-1] * 90 + [*range(10)]
        with redis_server.client() as client:
            assert int(client.info("clients")["connected_clients"]) < 25


async def test_what_is_kept_there_ends_with_its_window(redis_server: OwnRedis) -> None:
    async with node(redis_server.url) as (one, _):
        await left(one, "a")
        with redis_server.client() as client:
            keys = list(client.scan_iter("*"))
            assert len(keys) == 1
            assert keys[0].startswith("{interlock}:rates:")
            assert 0 < client.ttl(keys[0]) <= 60


async def test_while_redis_is_away_each_counts_for_itself_and_afterwards_together_again(redis_server: OwnRedis) -> None:
    async with node(redis_server.url) as (one, shared), node(redis_server.url) as (other, theirs):
        assert await left(one, "a") == 9
        redis_server.kill()
        assert [await left(one, "a") for _ in range(11)] == [*range(9, -1, -1), -1]
        assert await left(other, "a") == 9
        assert not shared.up
        redis_server.start()
        await until(lambda: shared.up and theirs.up)
        assert [await left(one, "a"), await left(other, "a")] == [9, 8]


async def test_a_redis_that_answers_nothing_is_waited_for_once(redis_server: OwnRedis) -> None:
    async with node(redis_server.url) as (one, shared):
        redis_server.pause()
        counted = await asyncio.gather(*(left(one, "a") for _ in range(20)))
        assert sorted(counted) == [-1] * 10 + [*range(10)]
        assert not shared.up
        assert await left(one, "b") == 9
        redis_server.resume()
        await until(lambda: shared.up)


async def test_a_redis_that_was_never_there_keeps_nobody_waiting() -> None:
    async with node("redis://127.0.0.1:1/0") as (one, shared):
        assert not shared.up
        assert await left(one, "a") == 9
        item = next(iter(one._items.values()))
        with pytest.raises(CountsAway):
            await shared.hit(item, "key", "a")


async def test_a_whole_server_counts_there_and_goes_on_when_it_is_away(redis_server: OwnRedis, tmp_path: Path) -> None:
    limits: dict[str, Any] = {"requests_per_token": 2, "rate_window_seconds": 3600}
    with Server(tmp_path, redis_url=redis_server.url, redis_retry_seconds=PAUSE, **limits) as server:
        async with aiohttp.ClientSession() as session:
            tenant = Plane(server, Rows(tmp_path), session).tenant()
            told = [(await tenant.user.get(tenant.jobs_path)).status for _ in range(3)]
            assert told == [200, 200, 429]
            with redis_server.client() as client:
                assert len(list(client.scan_iter("{interlock}:rates:*"))) == 1
            redis_server.kill()
            told = [(await tenant.user.get(tenant.jobs_path)).status for _ in range(3)]
            assert told == [200, 200, 429]
    assert server.tracebacks() == []
