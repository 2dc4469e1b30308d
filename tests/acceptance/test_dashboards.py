"""`/ws`: an org's events in order, without a gap, and to nobody else."""

import asyncio
from datetime import datetime
from typing import Any

import aiohttp
import pytest

from tests.support.callers import PATIENCE, Plane, Tenant, Watch

JOB_EVENT_FIELDS = {"jobId", "jobRunId", "type", "hostId", "status", "jobStatus", "attempt", "willRetry"}


async def closed(socket: aiohttp.ClientWebSocketResponse) -> tuple[list[Any], int | None]:
    """All frames until the server closes, and its code."""
    async with asyncio.timeout(PATIENCE):
        frames = [message.json() async for message in socket]
    return frames, socket.close_code


async def test_a_jobs_life_is_told_in_order_with_numbers_that_grow_by_one(tenant: Tenant) -> None:
    host = tenant.host()
    async with tenant.watch() as watch:
        job = await tenant.create(host, maxAttempts=1)
        run_id = (await host.take())["jobRunId"]
        await host.progress(run_id, 50)
        await host.logs(run_id, {"seq": 1, "message": "x"})
        await host.finish(run_id, "failed", durationMs=12, errorMessage="boom")
        await watch.until("job_run.done")
        assert [event for event in watch.events if not event.startswith("host.")] == [
            *("job.created", "job_run.started", "job.updated", "job.log", "job_run.done")
        ]
        frames = watch.seen
    assert all(set(frame) == {"event", "seq", "at", "data"} for frame in frames)
    assert [frame["seq"] for frame in frames] == list(range(frames[0]["seq"], frames[0]["seq"] + len(frames)))
    assert [frame["at"] for frame in frames] == sorted(frame["at"] for frame in frames)
    by_event = {frame["event"]: frame["data"] for frame in frames}
    common = {"jobId": job["id"], "jobRunId": run_id, "type": "SERVER_START", "hostId": host.id, "attempt": 1}
    created, begun, done = (by_event[name] for name in ("job.created", "job_run.started", "job_run.done"))
    assert created == common | {"status": "pending", "jobStatus": "PENDING", "willRetry": False}
    assert begun.pop("waitedMs") >= 0
    assert begun == common | {"status": "running", "jobStatus": "RUNNING", "willRetry": False}
    assert {name: done[name] for name in JOB_EVENT_FIELDS} == common | {
        "status": "failed",
        "jobStatus": "FAILED",
        "willRetry": False,
    }
    assert (done["durationMs"], done["errorMessage"]) == (12, "boom")
    assert by_event["job.updated"]["progress"] == 50


async def test_a_cancel_and_a_host_that_comes_are_told(tenant: Tenant) -> None:
    host = tenant.host()
    async with tenant.watch() as watch:
        job = await tenant.create(host)
        await tenant.cancel(job)
        done = await watch.until("job_run.done")
        assert (done["data"]["status"], done["data"]["jobStatus"]) == ("cancelled", "CANCELLED")
        await watch.until("job.cancelled", jobId=job["id"])
        await host.poll()
        await watch.until("host.online", hostId=host.id)


async def test_nothing_is_told_before_the_first_event(tenant: Tenant) -> None:
    host = tenant.host()
    await tenant.create(host)
    async with tenant.watch() as watch:
        job = await tenant.create(host)
        assert (await watch.next())["data"]["jobId"] == job["id"]


async def test_what_was_missed_is_replayed_by_its_number(tenant: Tenant) -> None:
    host = tenant.host()
    async with tenant.watch() as watch:
        jobs = [await tenant.create(host) for _ in range(4)]
        frames = [await watch.next() for _ in jobs]
    async with tenant.watch(after=frames[1]["seq"]) as again:
        assert [await again.next() for _ in range(2)] == frames[2:]
        newest = await tenant.create(host)
        following = await again.next()
    assert (following["seq"], following["data"]["jobId"]) == (frames[3]["seq"] + 1, newest["id"])


async def test_after_nothing_all_that_is_kept_is_replayed(tenant: Tenant) -> None:
    host = tenant.host()
    jobs = [await tenant.create(host) for _ in range(3)]
    async with tenant.watch(after=0) as watch:
        frames = [await watch.next() for _ in jobs]
    assert [(frame["event"], frame["data"]["jobId"]) for frame in frames] == [
        ("job.created", job["id"]) for job in jobs
    ]


async def test_a_dashboard_that_has_missed_too_much_is_told_of_the_gap_first(tenant: Tenant) -> None:
    host = tenant.host()
    await tenant.create(host)
    for after in (1, 2**53):
        async with tenant.watch(after=after) as watch:
            gap = await watch.next()
            assert gap["event"] == "gap"
            job = await tenant.create(host)
            following = await watch.next()
        assert (following["event"], following["data"]["jobId"]) == ("job.created", job["id"])
        assert following["seq"] == gap["seq"] + 1


async def test_numbers_start_at_the_streams_birth_in_microseconds(tenant: Tenant) -> None:
    async with tenant.watch() as watch:
        job = await tenant.create(tenant.host())
        seq = (await watch.next())["seq"]
    age = datetime.fromisoformat(job["createdAt"]).timestamp() - seq / 1e6
    assert -1 <= age < PATIENCE


async def test_each_org_hears_only_of_itself(plane: Plane, tenant: Tenant) -> None:
    other = plane.tenant()
    mine, theirs = tenant.host(), other.host()
    async with tenant.watch() as watch, other.watch() as elsewhere:
        for _ in range(3):
            await tenant.create(mine)
            await other.create(theirs)
        await mine.poll()
        await theirs.poll()
        frames = [await watch.next() for _ in range(3)]
        others = [await elsewhere.next() for _ in range(3)]
    assert {frame["data"]["hostId"] for frame in frames} == {mine.id}
    assert {frame["data"]["hostId"] for frame in others} == {theirs.id}


async def test_two_dashboards_see_the_same(tenant: Tenant) -> None:
    host = tenant.host()
    async with tenant.watch() as one, tenant.watch() as two:
        for _ in range(3):
            await tenant.create(host)
        assert [await one.next() for _ in range(3)] == [await two.next() for _ in range(3)]


async def test_a_credential_may_come_in_the_first_frame(plane: Plane, tenant: Tenant) -> None:
    token = tenant.as_role("viewer").token
    async with plane.session.ws_connect(f"{plane.url}/ws?orgId={tenant.id}") as socket:
        await socket.send_json({"event": "auth", "data": {"token": token}})
        watch = Watch(socket)
        while not watch.seen:
            await tenant.create(tenant.host())
            watch.seen.append(await socket.receive_json())
    assert watch.events == ["job.created"]


@pytest.mark.parametrize(
    "frame",
    [
        '{"event":"hello","data":{}}',
        '{"event":"auth","data":{"token":"x"}}',
        '{"event":"auth","data":{"token":5}}',
        '{"event":"auth"}',
        '{"event":"auth","data":[]}',
        '{"event":"auth","data":{"token":"\\ud800"}}',
        "[" * 50_000,
        "not json",
        "",
    ],
    ids=lambda frame: frame[:30],
)
async def test_a_first_frame_without_credential_gets_an_error_and_a_close(
    plane: Plane, tenant: Tenant, frame: str
) -> None:
    async with plane.session.ws_connect(f"{plane.url}/ws?orgId={tenant.id}") as socket:
        await socket.send_str(frame)
        frames, code = await closed(socket)
    assert code == 1008
    assert [(frame["event"], frame["data"]["code"]) for frame in frames] == [("error", "unauthenticated")]


async def test_a_binary_or_a_huge_first_frame_is_no_credential(plane: Plane, tenant: Tenant) -> None:
    for data in (b"\x00\xff", b"x" * 200_000):
        async with plane.session.ws_connect(f"{plane.url}/ws?orgId={tenant.id}") as socket:
            await socket.send_bytes(data)
            frames, code = await closed(socket)
        assert code in {1008, 1009}
        assert [frame["event"] for frame in frames] in ([], ["error"])


async def test_a_stranger_does_not_learn_that_an_org_exists(plane: Plane, tenant: Tenant) -> None:
    token = plane.tenant().as_role("owner").token
    for org_id in (tenant.id, "01938b3e-0000-7000-8000-0000000000cc", "x", ""):
        async with plane.session.ws_connect(f"{plane.url}/ws?orgId={org_id}") as socket:
            await socket.send_json({"event": "auth", "data": {"token": token}})
            frames, code = await closed(socket)
        assert (code, frames[0]["data"]["code"]) == (1008, "not_found")
        reply = await plane.caller(token).get("/ws", orgId=org_id, headers=UPGRADE)
        assert reply.refusal == (404, "not_found")


UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


async def test_a_bad_header_credential_is_refused_before_the_upgrade(plane: Plane, tenant: Tenant) -> None:
    key = tenant.host().token
    for caller in (plane.caller("x"), plane.caller(key), plane.caller("")):
        reply = await caller.get("/ws", orgId=tenant.id, headers=UPGRADE)
        assert reply.refusal == (401, "unauthenticated")


@pytest.mark.parametrize("query", ["after=x", "after=-1", "after=", "after=1.5", "after=" + "9" * 30])
async def test_a_number_that_is_none_is_refused(tenant: Tenant, query: str) -> None:
    path = f"/ws?orgId={tenant.id}&{query}"
    assert (await tenant.user.get(path, headers=UPGRADE)).refusal == (400, "invalid_request")


async def test_a_request_that_is_no_upgrade_is_refused(tenant: Tenant) -> None:
    assert (await tenant.user.get("/ws", orgId=tenant.id)).refusal == (400, "invalid_request")


async def test_what_a_dashboard_says_is_passed_over(tenant: Tenant) -> None:
    host = tenant.host()
    async with tenant.watch() as watch:
        for text in ("not json", '{"event":"auth"}', "x" * 60_000):
            await watch.socket.send_str(text)
        await watch.socket.ping()
        await tenant.create(host)
        assert (await watch.next())["event"] == "job.created"


async def test_a_dashboard_that_never_reads_holds_nobody_up(plane: Plane, tenant: Tenant) -> None:
    host = tenant.host()
    headers = {"Authorization": f"Bearer {tenant.user.token}"}
    items = [{"type": "SERVER_START", "hostId": host.id}] * 1000
    async with plane.session.ws_connect(f"{plane.url}/ws?orgId={tenant.id}", headers=headers) as asleep:
        async with tenant.watch() as watch:
            for _ in range(3):
                await tenant.user.post(f"{tenant.jobs_path}/batch", {"jobs": items})
            seqs = [(await watch.next())["seq"] for _ in range(3000)]
        first = await asleep.receive_json()
    assert seqs == list(range(seqs[0], seqs[0] + 3000))
    assert first["seq"] == seqs[0]
