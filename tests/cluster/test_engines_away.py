"""Redis and PostgreSQL go away and come back under running nodes."""

import asyncio

from engines.postgres import Postgres
from engines.redis_server import OwnRedis
from tests.cluster.rig import Town, by_way_of, insist, ready, says, until

BACK = 40.0  # seconds


async def test_without_redis_what_another_node_wrote_is_found_in_the_rows(town: Town, redis_server: OwnRedis) -> None:
    at_a, at_b = town.tenant()
    host = at_a.host()
    redis_server.kill()
    try:
        async with at_a.parked(host) as poll:
            job = await at_b.create(host)
            run = (await poll).json
        assert run["jobId"] == job["id"]
        waiting = await at_b.create(host)
        assert (await at_b.cancel(waiting)).status == 200
        assert (await at_b.cancel(job)).status == 202
        await says(at_a, job, "cancelling")
        assert (await host.progress(run["jobRunId"], 1)).json["cancelRequested"] is True
        await host.finish(run["jobRunId"], "cancelled")
        there = by_way_of(host, town.b)
        assert (await there.poll(0)).status == 204
        retried = await at_a.create(host)
        assert (await there.take())["jobId"] == retried["id"]
    finally:
        redis_server.start()


async def test_rings_that_are_lost_while_all_seems_well_cost_seconds_and_no_job(
    town: Town, redis_server: OwnRedis
) -> None:
    at_a, at_b = town.tenant()
    host = at_a.host()
    async with at_a.parked(host) as poll:
        redis_server.pause()  # the first ring after that is sent, and never heard
        try:
            job = await at_b.create(host)
            run = (await poll).json
        finally:
            redis_server.resume()
    assert run["jobId"] == job["id"]


async def test_without_its_database_a_node_says_so_and_comes_back_by_itself(town: Town, database: Postgres) -> None:
    at_a, at_b = town.tenant()
    host, silent = at_a.host(), at_a.host()
    job = await at_a.create(host)
    run_id = (await host.take(running=(), instance="one"))["jobRunId"]
    left = await at_a.create(silent, timeoutSeconds=6, maxAttempts=1)
    await silent.take()
    idle = at_a.host()
    async with at_a.parked(idle) as poll:
        database.stop_immediately()
        reply = await poll
        assert reply.refusal == (503, "unavailable")
        assert int(reply.headers["Retry-After"]) >= 1
    for tenant in (at_a, at_b):
        assert await ready(tenant.plane.stranger) == 503
        for answer in (
            await tenant.user.post(tenant.jobs_path, {"type": "SERVER_START", "hostId": host.id}),
            await tenant.user.get(tenant.jobs_path),
            await by_way_of(host, tenant.plane).result(run_id),
            await by_way_of(host, tenant.plane).poll(1),
        ):
            assert answer.refusal == (503, "unavailable")
            assert int(answer.headers["Retry-After"]) >= 1
    database.start()
    for tenant in (at_a, at_b):
        await until(lambda t=tenant: ready(t.plane.stranger), lambda status: status == 200, BACK)  # type: ignore[misc]
    await insist(lambda: host.result(run_id))
    assert (await at_b.show(job))["status"] == "COMPLETED"
    again = await at_b.create(idle)
    assert (await idle.take())["jobId"] == again["id"]
    assert (await says(at_b, left, "timed_out", BACK))["status"] == "FAILED"  # though nobody speaks of it any more


async def test_a_short_outage_of_the_database_ends_no_poll_and_loses_no_job(town: Town, database: Postgres) -> None:
    at_a, at_b = town.tenant()
    host = at_a.host()
    async with at_a.parked(host) as poll:
        database.restart()
        body = {"type": "SERVER_START", "hostId": host.id}
        key = {"Idempotency-Key": "short"}
        made = await insist(lambda: at_b.user.post(at_b.jobs_path, body, headers=key))
        async with asyncio.timeout(BACK):
            run = await poll
    taken = run.json if run.status == 200 else await host.take()
    assert taken["jobId"] == made.json["id"]
