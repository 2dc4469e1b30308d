"""What an admin changes of a host counts at once: for its own jobs and for its org's pool, at a socket and at a poll."""

import asyncio
from typing import Any

import aiohttp
import pytest

from interlock.clock import SystemClock, rfc3339
from tests.support.callers import PATIENCE, Agent, Document, Tenant


class Change:
    """An admin who changes one host."""

    def __init__(self, tenant: Tenant) -> None:
        self.tenant = tenant
        self.host = tenant.host()

    async def __call__(self, **fields: Any) -> Document:
        path = f"{self.tenant.path}/hosts/{self.host.id}"
        reply = await self.tenant.as_role("admin").ask("PATCH", path, fields)
        assert reply.status == 200, reply
        changed: Document = reply.json
        return changed

    async def pool_job(self, **fields: Any) -> Document:
        """A job for any host, or for one that carries labels."""
        reply = await self.tenant.user.post(self.tenant.jobs_path, {"type": "SEARCH_SINGLE"} | fields)
        assert reply.status == 201, reply
        job: Document = reply.json
        return job


@pytest.fixture
def change(tenant: Tenant) -> Change:
    return Change(tenant)


def dialled(host: Agent) -> Any:
    """Its agent on a socket."""
    return host.session.ws_connect(f"{host.url}/agent", headers={"Authorization": f"Bearer {host.token}"})


async def next_of(socket: aiohttp.ClientWebSocketResponse, event: str) -> Any:
    """The data of the next frame of that event."""
    async with asyncio.timeout(PATIENCE):
        while (frame := await socket.receive_json())["event"] != event:
            pass
    return frame["data"]


async def test_a_resumed_host_is_offered_its_job_on_its_socket(change: Change) -> None:
    async with dialled(change.host) as socket:
        await next_of(socket, "config")
        await change(paused=True)
        job = await change.tenant.create(change.host)
        assert (await change.tenant.show(job))["wait"]["reason"] == "host_paused"
        await change(paused=False)
        assert (await next_of(socket, "job:new"))["jobId"] == job["id"]


async def test_a_resumed_host_takes_from_the_pool(change: Change) -> None:
    await change(paused=True)
    async with change.tenant.parked(change.host) as poll:
        job = await change.pool_job()
        await change.tenant.show(job)
        assert not poll.done()
        await change(paused=False)
        assert (await poll).json["jobId"] == job["id"]


async def test_a_host_whose_pause_has_ended_takes_from_the_pool(change: Change) -> None:
    await change(paused=True, pausedUntil=rfc3339(SystemClock().now() + 1000))
    async with change.tenant.parked(change.host) as poll:
        job = await change.pool_job()
        assert (await poll).json["jobId"] == job["id"]


async def test_a_host_that_is_given_the_labels_hears_of_the_job_that_wants_them(change: Change) -> None:
    async with dialled(change.host) as socket:
        await next_of(socket, "config")
        job = await change.pool_job(labels={"zone": "b"})
        await change(labels={"zone": "b", "arch": "arm"})
        assert await next_of(socket, "job:available") == {"jobId": job["id"], "type": "SEARCH_SINGLE"}


async def test_a_parked_poll_gets_the_job_that_wants_the_hosts_new_labels(change: Change) -> None:
    job = await change.pool_job(labels={"zone": "b"})
    async with change.tenant.parked(change.host) as poll:
        await change(labels={"zone": "b"})
        assert (await poll).json["jobId"] == job["id"]
