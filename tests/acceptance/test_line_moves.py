"""A host's line, rearranged by hand: to the front, held back, let go, dropped; and so it stays through a restart."""

from typing import Any

import pytest

from tests.support.callers import Agent, Document, Plane, Reply, Tenant
from tests.support.routes import NOBODY


async def move(tenant: Tenant, host: Agent, op: Any, job: Document | str) -> Reply:
    job_id = job if isinstance(job, str) else job["id"]
    return await tenant.user.post(f"{tenant.path}/hosts/{host.id}/queue", {"op": op, "jobId": job_id})


async def line(tenant: Tenant, host: Agent) -> list[str]:
    return [run["jobId"] for run in (await tenant.queue(host))["pending"]]


async def waiting(tenant: Tenant, host: Agent, count: int = 3, **fields: Any) -> list[Document]:
    return [await tenant.create(host, **fields) for _ in range(count)]


def ids(*jobs: Document) -> list[str]:
    return [job["id"] for job in jobs]


async def test_a_job_is_put_ahead_of_all_others_and_a_later_one_ahead_of_it(tenant: Tenant) -> None:
    host = tenant.host()
    urgent = await tenant.create(host, priority=1000)
    a, b, c = await waiting(tenant, host)
    reply = await move(tenant, host, "front", b)
    assert (reply.status, [run["jobId"] for run in reply.json["pending"]]) == (200, ids(b, urgent, a, c))
    await move(tenant, host, "front", c)
    assert await line(tenant, host) == ids(c, b, urgent, a)
    assert [(await tenant.show(job))["wait"]["position"] for job in (c, a)] == [1, 4]
    taken = []
    for _ in range(4):
        run = await host.take()
        taken.append(run["jobId"])
        await host.finish(run["jobRunId"])
    assert taken == ids(c, b, urgent, a)


async def test_a_held_job_does_not_go_out_until_it_is_released(tenant: Tenant) -> None:
    host = tenant.host()
    a, b, c = await waiting(tenant, host)
    await move(tenant, host, "hold", a)
    assert await line(tenant, host) == ids(b, c, a)
    assert [(await tenant.show(job))["wait"]["reason"] for job in (a, b)] == ["held", "host_offline"]
    for job in (b, c):
        run = await host.take()
        assert run["jobId"] == job["id"]
        await host.finish(run["jobRunId"])
    assert (await host.poll()).status == 204
    async with tenant.parked(host) as poll:
        assert (await move(tenant, host, "release", a)).status == 200
        assert (await poll).json["jobId"] == a["id"]


async def test_a_list_says_that_a_job_is_held(tenant: Tenant) -> None:
    host = tenant.host()
    job = await tenant.create(host)
    await move(tenant, host, "hold", job)
    (listed,) = (await tenant.user.get(tenant.jobs_path)).json["items"]
    assert listed["wait"]["reason"] == "held"


async def test_a_released_job_stands_where_it_stood(tenant: Tenant) -> None:
    host = tenant.host()
    a, b, c = await waiting(tenant, host)
    await move(tenant, host, "hold", b)
    await move(tenant, host, "release", b)
    assert await line(tenant, host) == ids(a, b, c)


async def test_a_host_with_nothing_but_held_jobs_takes_from_the_pool(tenant: Tenant) -> None:
    host = tenant.host()
    await move(tenant, host, "hold", await tenant.create(host))
    pooled = (await tenant.user.post(tenant.jobs_path, {"type": "google_maps"})).json
    assert (await host.take())["jobId"] == pooled["id"]


async def test_a_job_that_waits_for_its_time_is_held_when_that_comes(tenant: Tenant) -> None:
    host = tenant.host()
    job = await tenant.create(host, maxAttempts=2)
    await host.finish((await host.take())["jobRunId"], "failed")
    await move(tenant, host, "hold", job)
    await tenant.in_line(job)
    assert (await host.poll()).status == 204
    await move(tenant, host, "release", job)
    assert (await host.take())["attempt"] == 2


async def test_a_dropped_job_is_cancelled(tenant: Tenant) -> None:
    host = tenant.host()
    a, b, _ = await waiting(tenant, host)
    assert (await move(tenant, host, "drop", a)).status == 200
    assert (await tenant.show(a))["status"] == "CANCELLED"
    assert (await host.take())["jobId"] == b["id"]
    refused = await move(tenant, host, "drop", a)
    assert (refused.refusal, refused.json["current"]["status"]) == ((409, "invalid_state"), "CANCELLED")


@pytest.mark.parametrize("op", ["front", "hold", "release", "drop"])
async def test_what_runs_cannot_be_moved(tenant: Tenant, op: str) -> None:
    host = tenant.host()
    job = await tenant.create(host)
    await host.take()
    refused = await move(tenant, host, op, job)
    assert (refused.refusal, refused.json["current"]["status"]) == ((409, "invalid_state"), "running")
    assert (await tenant.show(job))["cancelRequested"] is False


async def test_what_is_not_held_cannot_be_released(tenant: Tenant) -> None:
    host = tenant.host()
    assert (await move(tenant, host, "release", await tenant.create(host))).refusal == (409, "invalid_state")


async def test_a_job_that_is_tried_afresh_stands_in_line_like_any_other(tenant: Tenant) -> None:
    host = tenant.host()
    a, b = await waiting(tenant, host, 2)
    await move(tenant, host, "hold", a)
    await tenant.cancel(a)
    assert (await tenant.retry(a)).status == 200
    assert await line(tenant, host) == ids(b, a)
    assert [run["held"] for run in (await tenant.queue(host))["pending"]] == [False, False]


async def test_the_line_stays_as_it_was_put_through_a_restart(plane: Plane, tenant: Tenant) -> None:
    host = tenant.host()
    a, b, c = await waiting(tenant, host)
    await move(tenant, host, "front", c)
    await move(tenant, host, "hold", a)
    plane.server.kill()
    plane.server.start()
    assert await line(tenant, host) == ids(c, b, a)
    assert [run["held"] for run in (await tenant.queue(host))["pending"]] == [False, False, True]


async def test_jobs_of_others_are_not_found(plane: Plane, tenant: Tenant) -> None:
    host, sibling, other = tenant.host(), tenant.host("eu-2"), plane.tenant()
    job = await tenant.create(host)
    theirs = await other.create(other.host())
    for at, job_id in ((sibling, job["id"]), (host, theirs["id"]), (host, NOBODY), (host, "nothing")):
        assert (await move(tenant, at, "drop", job_id)).refusal == (404, "not_found")
    assert (
        await other.user.post(f"{other.path}/hosts/{host.id}/queue", {"op": "drop", "jobId": job["id"]})
    ).status == 404
    assert (await tenant.show(job))["status"] == "PENDING"


@pytest.mark.parametrize("body", [{}, {"op": "back", "jobId": NOBODY}, {"op": "drop"}, {"op": "drop", "jobId": 1}, []])
async def test_a_move_that_makes_no_sense_is_refused(tenant: Tenant, body: Any) -> None:
    reply = await tenant.user.post(f"{tenant.path}/hosts/{tenant.host().id}/queue", body)
    assert reply.refusal == (400, "invalid_request")


async def test_moves_are_audited(tenant: Tenant) -> None:
    host = tenant.host()
    job = await tenant.create(host)
    for op in ("front", "hold", "release", "drop"):
        await move(tenant, host, op, job)
    lines = (await tenant.as_role("admin").get(f"{tenant.path}/audit", targetId=job["id"])).json["items"]
    assert [line["action"] for line in reversed(lines)] == [
        "job.create",
        "queue.front",
        "queue.hold",
        "queue.release",
        "queue.drop",
    ]
