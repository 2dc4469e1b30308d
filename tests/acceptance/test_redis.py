"""A server with Redis: what Redis does to it, users and agents do not notice, and dashboards are told of a gap."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from engines.redis_server import OwnRedis, own_redis
from tests.support.callers import PATIENCE, Tenant, Watch
from tests.support.redis_rig import redis_or_skip
from tests.support.server import Server


@pytest.fixture(scope="module")
def redis_server() -> Iterator[OwnRedis]:
    with redis_or_skip(own_redis()) as running:
        yield running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, redis_server: OwnRedis) -> Iterator[Server]:
    """On that Redis. It must end cleanly, and its log must name no unexpected error."""
    data_dir: Path = tmp_path_factory.mktemp("data")
    settings = {"redis_url": redis_server.url, "redis_timeout_seconds": 0.3, "redis_retry_seconds": 0.05}
    with Server(data_dir, **settings) as running:
        yield running
    assert running.tracebacks() == []


async def shown_again(tenant: Tenant, watch: Watch) -> None:
    """Return when Redis is in use again, and what happens is shown."""
    host = tenant.host()
    async with asyncio.timeout(PATIENCE):
        while True:
            job = await tenant.create(host)
            await watch.until("job.created", jobId=job["id"])
            if await figure(tenant, "interlock_redis_up") == 1:
                return
            await asyncio.sleep(0.02)


async def figure(tenant: Tenant, name: str) -> float:
    reply = await tenant.plane.stranger.get("/metrics")
    lines = [line for line in reply.body.decode().splitlines() if line.startswith(f"{name} ")]
    return float(lines[0].split()[1])


async def test_events_come_by_way_of_redis_and_are_replayed_from_there(tenant: Tenant) -> None:
    host = tenant.host()
    assert await figure(tenant, "interlock_redis_up") == 1
    async with tenant.watch() as watch:
        jobs = [await tenant.create(host) for _ in range(3)]
        frames = [await watch.next() for _ in jobs]
    assert [frame["data"]["jobId"] for frame in frames] == [job["id"] for job in jobs]
    async with tenant.watch(after=frames[0]["seq"]) as again:
        assert [await again.next() for _ in range(2)] == frames[1:]


async def test_a_server_that_is_killed_goes_on_with_the_numbers_that_redis_has(tenant: Tenant, server: Server) -> None:
    host = tenant.host()
    async with tenant.watch() as watch:
        await tenant.create(host)
        last = (await watch.next())["seq"]
    server.kill()
    server.start()
    async with tenant.watch(after=last) as watch:
        job = await tenant.create(host)
        created = await watch.until("job.created", jobId=job["id"])
    assert created["seq"] > last


async def test_while_redis_is_away_jobs_run_and_dashboards_go_on_after_a_gap(
    tenant: Tenant, redis_server: OwnRedis
) -> None:
    host = tenant.host()
    async with tenant.watch() as watch:
        await tenant.create(host)
        await watch.until("job.created")
        redis_server.kill()
        job = await tenant.create(host)
        await watch.until("gap")
        await watch.until("job.created", jobId=job["id"])
        for _ in range(2):
            await host.finish((await host.take())["jobRunId"])
        await watch.until("job_run.done", jobId=job["id"])
        redis_server.start()
        await shown_again(tenant, watch)
        seqs = [frame["seq"] for frame in watch.seen]
    assert seqs == sorted(set(seqs))


async def test_an_emptied_redis_is_a_gap_and_never_a_wrong_replay(tenant: Tenant, redis_server: OwnRedis) -> None:
    host = tenant.host()
    async with tenant.watch() as watch:
        await tenant.create(host)
        before = await watch.until("job.created")
        redis_server.flush()
        job = await tenant.create(host)
        await watch.until("gap")
        after = await watch.until("job.created", jobId=job["id"])
    assert after["seq"] > before["seq"]
    async with tenant.watch(after=before["seq"]) as late:
        assert (await late.next())["event"] == "gap"


async def test_a_retry_is_on_time_although_redis_has_lost_its_alarm(tenant: Tenant, redis_server: OwnRedis) -> None:
    host = tenant.host()
    job = await tenant.create(host, maxAttempts=2)
    await host.finish((await host.take())["jobRunId"], "failed")
    redis_server.restart()
    retried = await host.take(50)
    assert (retried["jobId"], retried["attempt"]) == (job["id"], 2)


async def test_a_hung_redis_holds_no_request_up(tenant: Tenant, redis_server: OwnRedis) -> None:
    host = tenant.host()
    async with tenant.watch() as watch:
        await tenant.create(host)
        await watch.until("job.created")
        redis_server.pause()
        jobs = [await tenant.create(host) for _ in range(20)]
        await watch.until("job.created", jobId=jobs[-1]["id"])
        redis_server.resume()
        await shown_again(tenant, watch)
    events = [frame["data"].get("jobId") for frame in watch.seen if frame["event"] == "job.created"]
    assert set(events) >= {job["id"] for job in jobs}
