"""`Prefer: wait` on a job: the answer comes when it has ended, or as it is when the time is over."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.support.callers import PATIENCE, Caller, Plane, Reply, Tenant
from tests.support.routes import NOBODY
from tests.support.server import Rows, Server

WAIT = {"Prefer": "wait=40"}
GAUGE = re.compile(rb"^interlock_job_waiters ([0-9.]+)$", re.MULTILINE)


async def waiting(plane: Plane) -> int:
    """How many requests wait for a job's end."""
    found = GAUGE.search((await plane.stranger.get("/metrics")).body)
    assert found is not None
    return int(float(found[1]))


async def until_waiting(plane: Plane, many: int) -> None:
    """Return when so many wait."""
    async with asyncio.timeout(PATIENCE):
        while await waiting(plane) < many:
            pass


@asynccontextmanager
async def parked(plane: Plane, caller: Caller, path: str, body: object = None) -> AsyncIterator[asyncio.Task[Reply]]:
    """A request that waits at the server."""
    before = await waiting(plane)
    method = "GET" if body is None else "POST"
    asking = asyncio.create_task(caller.ask(method, path, body, headers=WAIT))
    try:
        await until_waiting(plane, before + 1)
        yield asking
    finally:
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)


async def test_who_waits_is_answered_when_the_job_has_ended(plane: Plane, tenant: Tenant) -> None:
    host = tenant.host()
    job = await tenant.create(host)
    run = (await host.take())["jobRunId"]
    async with parked(plane, tenant.user, f"{tenant.jobs_path}/{job['id']}") as asking:
        await host.logs(run, {"seq": 1, "level": "info", "message": "at work"})
        await host.progress(run, 50)
        assert await waiting(plane) == 1
        await host.finish(run, output={"slots": 12})
        reply = await asking
    assert (reply.status, reply.headers["Preference-Applied"]) == (200, "wait=40")
    assert (reply.json["status"], reply.json["output"]) == ("COMPLETED", {"slots": 12})
    assert await waiting(plane) == 0


async def test_a_job_that_is_cancelled_has_ended_too(plane: Plane, tenant: Tenant) -> None:
    job = await tenant.create(tenant.host())
    async with parked(plane, tenant.user, f"{tenant.jobs_path}/{job['id']}") as asking:
        await tenant.cancel(job)
        assert (await asking).json["status"] == "CANCELLED"


async def test_a_failure_that_is_tried_again_is_no_end(plane: Plane, tenant: Tenant) -> None:
    host = tenant.host()
    job = await tenant.create(host, maxAttempts=2)
    run = (await host.take())["jobRunId"]
    async with parked(plane, tenant.user, f"{tenant.jobs_path}/{job['id']}") as asking:
        assert (await host.finish(run, "failed"))["willRetry"]
        await tenant.cancel(job)
        assert (await asking).json["jobRuns"][0]["status"] == "failed"


async def test_a_pool_job_is_waited_for_as_well(plane: Plane, tenant: Tenant) -> None:
    host = tenant.host()
    job = await tenant.pool()
    async with parked(plane, tenant.user, f"{tenant.jobs_path}/{job['id']}") as asking:
        await host.finish((await host.take())["jobRunId"])
        assert (await asking).json["status"] == "COMPLETED"


@pytest.mark.parametrize(
    "preference", ["wait=0", "respond-async, wait=0.5", 'wait="0"', "Wait=-3; x=y", "wait=0, wait=9"]
)
async def test_a_short_wait_shows_the_job_as_it_is(tenant: Tenant, preference: str) -> None:
    job = await tenant.create(tenant.host())
    reply = await tenant.user.get(f"{tenant.jobs_path}/{job['id']}", headers={"Prefer": preference})
    assert (reply.status, reply.json["status"]) == (200, "PENDING")
    assert reply.headers["Preference-Applied"] == "wait=0"


@pytest.mark.parametrize(
    "preference", ["wait", "wait=", "wait=soon", "wait=1e3", "", "return=minimal", "wait;=3", "=="]
)
async def test_a_preference_that_is_not_understood_is_passed_over(tenant: Tenant, preference: str) -> None:
    job = await tenant.create(tenant.host())
    reply = await tenant.user.get(f"{tenant.jobs_path}/{job['id']}", headers={"Prefer": preference})
    assert reply.status == 200
    assert "Preference-Applied" not in reply.headers


async def test_what_has_ended_is_not_waited_for(tenant: Tenant) -> None:
    job = await tenant.create(tenant.host())
    await tenant.cancel(job)
    reply = await tenant.user.get(f"{tenant.jobs_path}/{job['id']}", headers={"Prefer": "wait=999999999999999999999"})
    assert (reply.json["status"], reply.headers["Preference-Applied"]) == ("CANCELLED", "wait=50")
    tag = {"If-None-Match": reply.headers["ETag"]}
    known = await tenant.user.get(f"{tenant.jobs_path}/{job['id']}", headers=WAIT | tag)
    assert (known.status, known.headers["Preference-Applied"]) == (304, "wait=40")


async def test_nobody_waits_for_what_he_cannot_see(plane: Plane, tenant: Tenant) -> None:
    theirs = await plane.tenant().pool()
    for job_id in (theirs["id"], NOBODY, "x"):
        reply = await tenant.user.get(f"{tenant.jobs_path}/{job_id}", headers=WAIT)
        assert reply.refusal == (404, "not_found")


@pytest.mark.parametrize("path", ["org", "S2"])
async def test_a_job_that_is_created_may_be_waited_for_in_the_same_request(
    plane: Plane, tenant: Tenant, path: str
) -> None:
    host = tenant.host()
    where = tenant.jobs_path if path == "org" else "/jobs"
    async with parked(plane, tenant.user, where, {"type": "SERVER_START", "hostId": host.id}) as asking:
        await host.finish((await host.take())["jobRunId"], output={"port": 27015})
        reply = await asking
    assert (reply.status, reply.headers["Preference-Applied"]) == (201, "wait=40")
    assert (reply.json["status"], reply.json["output"]) == ("COMPLETED", {"port": 27015})
    assert reply.headers["Location"].endswith(reply.json["id"])


async def test_a_created_job_that_takes_longer_is_shown_as_it_is(tenant: Tenant) -> None:
    body = {"type": "SERVER_START", "hostId": tenant.host().id}
    reply = await tenant.user.post(tenant.jobs_path, body, headers={"Prefer": "wait=0"})
    assert (reply.status, reply.json["status"], reply.headers["Preference-Applied"]) == (201, "PENDING", "wait=0")


async def test_the_same_create_again_waits_for_the_same_job(tenant: Tenant) -> None:
    host, key = tenant.host(), {"Idempotency-Key": "once"}
    body = {"type": "SERVER_START", "hostId": host.id}
    made = await tenant.user.post(tenant.jobs_path, body, headers=key)
    await host.finish((await host.take())["jobRunId"])
    again = await tenant.user.post(tenant.jobs_path, body, headers=key | WAIT)
    assert (again.status, again.headers["Idempotency-Replayed"]) == (201, "true")
    assert (again.json["id"], again.json["status"]) == (made.json["id"], "COMPLETED")


async def test_those_who_wait_keep_no_creates_out(plane: Plane, tenant: Tenant) -> None:
    host = tenant.host()
    body = {"type": "SERVER_START", "hostId": host.id}
    asking = [asyncio.create_task(tenant.user.post(tenant.jobs_path, body, headers=WAIT)) for _ in range(40)]
    await until_waiting(plane, len(asking))
    await tenant.create(host)
    await tenant.user.post(f"{tenant.jobs_path}/bulk", {"op": "cancel", "filter": {}})
    replies = await asyncio.gather(*asking)
    assert {(reply.status, reply.json["status"]) for reply in replies} == {(201, "CANCELLED")}


async def test_only_so_many_wait_and_the_rest_is_answered_at_once(
    tmp_path_factory: pytest.TempPathFactory, plane: Plane
) -> None:
    folder = tmp_path_factory.mktemp("few")
    with Server(folder, job_waiters=2, job_waiters_per_org=1, job_wait_max_seconds=20, answer_seconds=0.5) as server:
        few = Plane(server, Rows(folder), plane.session)
        one, two, three = few.tenant(), few.tenant(), few.tenant()
        jobs = {each: await each.pool() for each in (one, two, three)}
        paths = {each: f"{each.jobs_path}/{job['id']}" for each, job in jobs.items()}
        async with parked(few, one.user, paths[one]) as first, parked(few, two.user, paths[two]):
            for full in (one, three):
                assert "Preference-Applied" not in (await full.user.get(paths[full], headers=WAIT)).headers
            await one.cancel(jobs[one])
            assert (await first).headers["Preference-Applied"] == "wait=20"
            async with parked(few, three.user, paths[three]) as last:
                server.terminate()  # who waits is answered, with the job as it is
                assert (await last).json["status"] == "PENDING"
    assert server.tracebacks() == []


async def test_who_follows_a_log_takes_a_place_too_and_is_told_when_there_is_none(
    tmp_path_factory: pytest.TempPathFactory, plane: Plane
) -> None:
    folder = tmp_path_factory.mktemp("few")
    with Server(folder, job_waiters=2, job_waiters_per_org=1) as server:
        few = Plane(server, Rows(folder), plane.session)
        one, two = few.tenant(), few.tenant()
        path = f"{one.jobs_path}/{(await one.pool())['id']}"
        async with parked(few, one.user, f"{path}/logs?follow=1"):
            full = await one.user.get(f"{path}/logs", follow=1)
            assert full.refusal == (503, "unavailable")
            assert 2 <= int(full.headers["Retry-After"]) <= 8  # five, and half of it more or less, by chance
            assert (await one.user.get(f"{path}/logs")).status == 200
            assert "Preference-Applied" not in (await one.user.get(path, headers=WAIT)).headers
            other = f"{two.jobs_path}/{(await two.pool())['id']}"
            async with parked(few, two.user, f"{other}/logs?follow=1") as free:
                server.terminate()  # who waits is answered
                assert (await free).json["items"] == []
    assert server.tracebacks() == []
