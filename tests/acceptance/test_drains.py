"""Draining a host: it takes nothing new, what runs may end until the deadline, and what is stopped is not lost."""

import asyncio
from typing import Any

import pytest

from tests.support.callers import Agent, Document, Reply, Tenant


async def drain(tenant: Tenant, host: Agent, **fields: Any) -> Reply:
    return await tenant.as_role("admin").post(f"{tenant.path}/hosts/{host.id}/drain", fields)


async def undrain(tenant: Tenant, host: Agent) -> Reply:
    return await tenant.as_role("admin").ask("DELETE", f"{tenant.path}/hosts/{host.id}/drain")


async def show(tenant: Tenant, host: Agent) -> Document:
    shown: Document = (await tenant.user.get(f"{tenant.path}/hosts/{host.id}")).json
    return shown


async def test_a_host_that_is_draining_takes_nothing_new_and_ends_what_it_runs(tenant: Tenant) -> None:
    host = tenant.host()
    await tenant.create(host)
    waiting = await tenant.create(host)
    run_id = (await host.take())["jobRunId"]
    reply = await drain(tenant, host)
    assert (reply.status, reply.json["draining"], reply.json["drainUntil"]) == (200, True, None)
    assert (await host.finish(run_id))["jobStatus"] == "COMPLETED"
    assert (await host.poll()).status == 204
    assert (await tenant.show(waiting))["wait"]["reason"] == "host_draining"
    listed = (await tenant.user.get(tenant.jobs_path, status="PENDING")).json["items"]
    assert [job["wait"]["reason"] for job in listed] == ["host_draining"]
    assert (await undrain(tenant, host)).status == 204
    assert (await show(tenant, host))["draining"] is False
    assert (await host.take())["jobId"] == waiting["id"]


async def test_a_parked_poll_gets_its_job_when_the_drain_ends(tenant: Tenant) -> None:
    host = tenant.host()
    await drain(tenant, host)
    job = await tenant.create(host)
    async with tenant.parked(host) as poll:
        await undrain(tenant, host)
        assert (await poll).json["jobId"] == job["id"]


async def test_what_still_runs_at_the_deadline_is_stopped_and_tried_again_later(tenant: Tenant) -> None:
    host = tenant.host()
    job = await tenant.create(host)
    run_id = (await host.take())["jobRunId"]
    async with tenant.parked(host) as poll:
        reply = await drain(tenant, host, deadlineSeconds=0)
        assert reply.json["drainUntil"] is not None
        answer = await poll
    assert (answer.status, answer.headers["Interlock-Cancel"]) == (204, run_id)
    assert (await host.finish(run_id, "cancelled"))["willRetry"] is True
    shown = await tenant.show(job)
    assert [run["status"] for run in shown["jobRuns"]] == ["timed_out", "scheduled"]
    await tenant.in_line(job)
    assert (await host.poll()).status == 204
    await undrain(tenant, host)
    assert (await host.take())["attempt"] == 2


async def test_a_pool_job_goes_to_another_host(tenant: Tenant) -> None:
    leaving, other = tenant.host(), tenant.host("eu-2")
    backoff = {"backoff": {"baseSeconds": 0}}
    await tenant.as_role("admin").ask("PUT", f"{tenant.path}/job-types/crawl", backoff)
    job = (await tenant.user.post(tenant.jobs_path, {"type": "crawl"})).json
    run_id = (await leaving.take())["jobRunId"]
    async with tenant.parked(leaving) as poll:
        await drain(tenant, leaving, deadlineSeconds=0)
        await poll
    await leaving.finish(run_id, "cancelled")
    assert (await leaving.poll()).status == 204
    assert (await other.take())["jobId"] == job["id"]


async def test_a_new_deadline_replaces_the_old_one(tenant: Tenant) -> None:
    host = tenant.host()
    await tenant.create(host)
    run_id = (await host.take())["jobRunId"]
    first = (await drain(tenant, host, deadlineSeconds=3600)).json["drainUntil"]
    assert (await host.progress(run_id, 10)).json["cancelRequested"] is False
    async with tenant.parked(host) as poll:
        assert (await drain(tenant, host, deadlineSeconds=0)).json["drainUntil"] < first
        assert (await poll).headers["Interlock-Cancel"] == run_id


async def test_a_drain_is_audited_and_told_to_dashboards(tenant: Tenant) -> None:
    host = tenant.host()
    async with tenant.watch() as watch:
        await drain(tenant, host)
        await watch.until("host.updated", hostId=host.id)
    await undrain(tenant, host)
    lines = (await tenant.as_role("admin").get(f"{tenant.path}/audit", targetId=host.id)).json["items"]
    assert [line["action"] for line in lines[:2]] == ["host.undrain", "host.drain"]


@pytest.mark.parametrize("seconds", [-1, 1e10, "soon", True])
async def test_a_deadline_that_makes_no_sense_is_refused_with_its_place(tenant: Tenant, seconds: Any) -> None:
    reply = await drain(tenant, tenant.host(), deadlineSeconds=seconds)
    assert reply.refusal == (400, "invalid_request")
    assert [error["path"] for error in reply.json["errors"]] == ["$.deadlineSeconds"]


async def test_a_host_that_is_drained_by_many_at_once_is_drained(tenant: Tenant) -> None:
    host = tenant.host()
    await tenant.create(host)
    replies = await asyncio.gather(*(drain(tenant, host, deadlineSeconds=3600) for _ in range(8)))
    assert {reply.status for reply in replies} == {200}
    assert (await host.poll()).status == 204
