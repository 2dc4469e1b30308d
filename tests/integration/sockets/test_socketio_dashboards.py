"""Dashboards over Socket.IO: the events of `/ws`, each under its own name, to the members of their org only."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.support.callers import Document, Plane, Tenant
from tests.support.sockets import SocketIoTalk

TRANSPORTS = ["websocket", "polling"]


@asynccontextmanager
async def dashboard(tenant: Tenant, transport: str = "websocket", **fields: Any) -> AsyncIterator[SocketIoTalk]:
    """One that may watch the tenant."""
    talk = SocketIoTalk("/")
    token = tenant.as_role("viewer").token
    await talk.connect(tenant.plane.url, {"token": token, "orgId": tenant.id, **fields}, transport)
    try:
        yield talk
    finally:
        await talk.leave()


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_jobs_life_is_told_as_a_plain_socket_tells_it(tenant: Tenant, transport: str) -> None:
    host = tenant.host()
    async with tenant.watch() as watch, dashboard(tenant, transport) as talk:
        job = await tenant.create(host, maxAttempts=1)
        run = await host.take()
        await host.finish(run["jobRunId"], "failed", durationMs=12, errorMessage="boom")
        done = await talk.next("job_run.done")
        await watch.until("job_run.done")
    assert (done["jobId"], done["jobRunId"], done["status"]) == (job["id"], run["jobRunId"], "failed")
    assert (done["durationMs"], done["errorMessage"]) == (12, "boom")
    assert talk.heard == [as_socketio(frame) for frame in watch.seen]


def as_socketio(frame: Document) -> Document:
    """A frame of `/ws` as Socket.IO tells it: `seq` and `at` stand beside the fields of `data`."""
    return {"event": frame["event"], "data": {"seq": frame["seq"], "at": frame["at"]} | frame["data"]}


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_what_was_missed_is_replayed_by_its_number(tenant: Tenant, transport: str) -> None:
    host = tenant.host()
    async with dashboard(tenant, transport) as talk:
        for _ in range(600):
            await tenant.create(host)
        frames = [await talk.next("job.created") for _ in range(600)]
    async with dashboard(tenant, transport, after=frames[1]["seq"]) as again:
        assert [await again.next() for _ in range(598)] == frames[2:]
    async with dashboard(tenant, transport, after=str(frames[-2]["seq"])) as again:
        assert await again.next() == frames[-1]


async def test_a_dashboard_that_has_missed_too_much_is_told_of_the_gap_first(tenant: Tenant) -> None:
    host = tenant.host()
    await tenant.create(host)
    async with dashboard(tenant, after=1) as talk:
        gap = await talk.next()
        assert (gap["event"], gap["after"]) == ("gap", 1)
        await tenant.create(host)
        assert (await talk.next())["seq"] == gap["seq"] + 1


async def test_each_org_hears_only_of_itself(plane: Plane, tenant: Tenant) -> None:
    other = plane.tenant()
    async with dashboard(tenant) as talk, dashboard(other) as elsewhere:
        mine = await tenant.create(tenant.host())
        theirs = await other.create(other.host())
        assert (await talk.next("job.created"))["jobId"] == mine["id"]
        assert (await elsewhere.next("job.created"))["jobId"] == theirs["id"]
        assert {len(talk.heard), len(elsewhere.heard)} == {1}


async def test_who_is_not_of_the_org_may_not_watch_it(plane: Plane, tenant: Tenant) -> None:
    other = plane.tenant()
    viewer = tenant.as_role("viewer").token
    for auth, code in (
        ({"token": viewer, "orgId": other.id}, "not_found"),
        ({"token": viewer, "orgId": "x"}, "not_found"),
        ({"token": viewer, "orgId": tenant.id, "after": "x"}, "invalid_request"),
        ({"token": viewer, "orgId": tenant.id, "after": -1}, "invalid_request"),
        ({"token": tenant.host().token, "orgId": tenant.id}, "unauthenticated"),
        ({"token": {"a": 1}, "orgId": tenant.id}, "invalid_request"),
        ({}, "unauthenticated"),
        ([], "unauthenticated"),
    ):
        talk = SocketIoTalk("/")
        with pytest.raises(Exception, match="failed to connect"):
            await talk.connect(plane.url, auth, "websocket")
        assert talk.why_not["data"]["code"] == code, auth


async def test_what_a_dashboard_says_does_no_harm(tenant: Tenant) -> None:
    async with dashboard(tenant) as talk:
        await talk.say("job:ack", jobId="x")
        await talk.client.send("hello")
        job = await tenant.create(tenant.host())
        assert (await talk.next())["jobId"] == job["id"]


async def test_any_origin_may_come_with_a_token(tenant: Tenant) -> None:
    origin = "chrome-extension://abcdefghijklmnop"
    url = f"{tenant.plane.url}/socket.io/?EIO=4&transport=polling"
    async with tenant.plane.session.get(url, headers={"Origin": origin}) as reply:
        assert reply.headers["Access-Control-Allow-Origin"] == origin
        assert "Access-Control-Allow-Credentials" not in reply.headers
    asked = {"Origin": origin, "Access-Control-Request-Headers": "authorization"}
    async with tenant.plane.session.options(url, headers=asked) as reply:
        assert (reply.status, reply.headers["Access-Control-Allow-Headers"]) == (200, "authorization")
