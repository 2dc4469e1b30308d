"""Agents that fall silent, against a server whose patience is short."""

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.callers import PATIENCE, Agent, Document, Plane, Tenant
from tests.support.server import Server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Half a second for a lease; long enough unreachable, and to confirm a cancel, for a test on a busy machine."""
    impatient = {
        "lease_seconds": 0.5,
        "heartbeat_seconds": 0.25,
        "lost_after_seconds": 4,
        "cancel_grace_seconds": 1,
        "cancel_slack_seconds": 0.5,
        "offline_after_seconds": 0.6,
        "startup_grace_seconds": 0,
        "socket_auth_seconds": 0.3,
        "sweep_seconds": 0.2,
    }
    with Server(tmp_path_factory.mktemp("data"), **impatient) as running:
        yield running
    assert running.tracebacks() == []


async def leased(tenant: Tenant, **fields: Any) -> tuple[Agent, Document, str]:
    """A run whose agent heartbeats, and from now on falls silent."""
    host = tenant.host()
    job = await tenant.create(host, **fields)
    run_id = (await host.take(instance="a", running=[]))["jobRunId"]
    assert (await host.beat(instanceId="a", running=[run_id])).status == 200
    return host, job, run_id


async def until_run_is(tenant: Tenant, job: Document, status: str) -> Document:
    """The job once its first run is so; a wait for which no event exists."""
    patience = time.monotonic() + PATIENCE
    shown = await tenant.show(job)
    while shown["jobRuns"][0]["status"] != status:
        assert time.monotonic() < patience, shown
        shown = await tenant.show(job)
    return shown


async def test_a_silent_run_is_unreachable_and_still_holds_its_host(tenant: Tenant) -> None:
    host, job, run_id = await leased(tenant)
    following = await tenant.create(host)
    shown = await until_run_is(tenant, job, "unreachable")
    assert shown["status"] == "RUNNING"
    assert (await tenant.show(following))["status"] == "PENDING"
    reply = await host.beat(instanceId="a", running=[run_id])
    assert reply.json["runs"] == [{"jobRunId": run_id, "verdict": "continue"}]
    assert (await tenant.show(job))["jobRuns"][0]["status"] == "running"


async def test_a_result_that_was_spooled_ends_an_unreachable_run(tenant: Tenant) -> None:
    host, job, run_id = await leased(tenant)
    await until_run_is(tenant, job, "unreachable")
    assert (await host.finish(run_id))["jobStatus"] == "COMPLETED"


async def test_a_run_that_stays_silent_is_lost_and_its_host_must_say_that_it_is_idle(tenant: Tenant) -> None:
    host, job, run_id = await leased(tenant)
    following = await tenant.create(host)
    async with tenant.watch() as watch:
        done = await watch.until("job_run.done", jobRunId=run_id)
    assert (done["data"]["status"], done["data"]["willRetry"]) == ("lost", True)
    assert (await tenant.show(job))["status"] == "PENDING"
    assert (await host.poll(instance="a", running=[run_id])).headers["Interlock-Cancel"] == run_id
    assert (await tenant.show(following))["wait"]["reason"] == "awaiting_idle"
    assert (await host.take(0, instance="a", running=[]))["jobId"] == following["id"]
    assert (await host.result(run_id)).refusal == (409, "invalid_state")


async def test_a_cancel_is_remembered_while_its_run_is_unreachable(tenant: Tenant) -> None:
    host, job, run_id = await leased(tenant)
    await until_run_is(tenant, job, "unreachable")
    assert (await tenant.cancel(job)).status == 202
    reply = await host.beat(instanceId="a", running=[run_id])
    assert reply.json["runs"] == [{"jobRunId": run_id, "verdict": "cancel"}]
    assert (await host.finish(run_id, "cancelled"))["jobStatus"] == "CANCELLED"


async def test_a_heartbeat_that_does_not_say_what_runs_brings_a_run_back(tenant: Tenant) -> None:
    host, job, _ = await leased(tenant)
    await until_run_is(tenant, job, "unreachable")
    assert (await host.beat(instanceId="a")).status == 200
    assert (await tenant.show(job))["jobRuns"][0]["status"] == "running"


async def test_an_unreachable_run_whose_cancel_was_noted_ends_cancelled(tenant: Tenant) -> None:
    _, job, run_id = await leased(tenant)
    async with tenant.watch() as watch:
        await until_run_is(tenant, job, "unreachable")
        assert (await tenant.cancel(job)).status == 202
        done = await watch.until("job_run.done", jobRunId=run_id)
    assert (done["data"]["status"], done["data"]["willRetry"]) == ("cancelled", False)
    assert (await tenant.show(job))["status"] == "CANCELLED"


async def test_an_unreachable_run_is_forced_to_its_end(tenant: Tenant) -> None:
    host, job, run_id = await leased(tenant)
    await until_run_is(tenant, job, "unreachable")
    assert (await tenant.cancel(job, {"force": True})).status == 200
    assert (await host.result(run_id)).refusal == (409, "invalid_state")


async def test_a_cancel_that_nobody_confirms_ends_the_run_and_closes_the_idle_gate(tenant: Tenant) -> None:
    host = tenant.host()
    job, following = await tenant.create(host), await tenant.create(host)
    run_id = (await host.take(instance="a", running=[]))["jobRunId"]
    async with tenant.watch() as watch:
        assert (await tenant.cancel(job)).status == 202
        done = await watch.until("job_run.done", jobRunId=run_id)
    assert (done["data"]["status"], done["data"]["jobStatus"]) == ("cancelled", "CANCELLED")
    assert (await host.poll(instance="a")).status == 204
    assert (await tenant.show(following))["wait"]["reason"] == "awaiting_idle"
    assert (await host.poll(instance="a", running=[run_id])).status == 204
    assert (await host.take(0, instance="a", running=[]))["jobId"] == following["id"]


async def test_a_timeout_that_nobody_confirms_ends_the_run_as_timed_out(tenant: Tenant) -> None:
    host = tenant.host()
    async with tenant.watch() as watch:
        job = await tenant.create(host, timeoutSeconds=0.2, maxAttempts=1)
        await host.take(instance="a", running=[])
        done = await watch.until("job_run.done", jobId=job["id"])
    assert (done["data"]["status"], done["data"]["jobStatus"]) == ("timed_out", "FAILED")


async def test_an_agent_that_never_heartbeats_has_no_lease(tenant: Tenant) -> None:
    host = tenant.host()
    async with tenant.watch() as watch:
        job = await tenant.create(host)
        run_id = (await host.take())["jobRunId"]
        await watch.until("host.offline", hostId=host.id)
    assert (await tenant.show(job))["jobRuns"][0]["status"] == "running"
    assert (await host.finish(run_id))["jobStatus"] == "COMPLETED"


async def test_a_silent_host_is_offline_and_a_parked_poll_keeps_it_online(tenant: Tenant) -> None:
    host = tenant.host()
    async with tenant.watch() as watch:
        assert (await host.poll(1)).status == 204
        await watch.until("host.offline", hostId=host.id)
    assert watch.events == ["host.online", "host.offline"]
    job = await tenant.create(host)
    assert job["wait"]["reason"] == "host_offline"
    assert (await host.take(0))["jobId"] == job["id"]


async def test_a_socket_that_brings_no_credential_in_time_is_closed(plane: Plane, tenant: Tenant) -> None:
    async with plane.session.ws_connect(f"{plane.url}/ws?orgId={tenant.id}") as socket:
        async with asyncio.timeout(PATIENCE):
            frames = [message.json() async for message in socket]
        assert socket.close_code == 1008
    assert [(frame["event"], frame["data"]["code"]) for frame in frames] == [("error", "unauthenticated")]
