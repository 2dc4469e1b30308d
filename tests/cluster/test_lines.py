"""Drains, and lines rearranged, at one node while the other owns the host."""

from typing import Any

from tests.cluster.rig import Town, by_way_of, until
from tests.support.callers import Agent, Reply, Tenant


async def drain(tenant: Tenant, host: Agent, **fields: Any) -> Reply:
    return await tenant.as_role("admin").post(f"{tenant.path}/hosts/{host.id}/drain", fields)


async def move(tenant: Tenant, host: Agent, op: str, job_id: str) -> Reply:
    return await tenant.user.post(f"{tenant.path}/hosts/{host.id}/queue", {"op": op, "jobId": job_id})


async def test_a_drain_at_one_node_stops_what_runs_at_the_other(town: Town) -> None:
    at_a, at_b = town.tenant()
    host = at_a.host()
    await at_a.create(host)
    run_id = (await host.take())["jobRunId"]
    async with at_a.parked(host) as poll:
        reply = await drain(at_b, host, deadlineSeconds=0)
        assert (reply.status, reply.json["draining"]) == (200, True)
        assert (await poll).headers["Interlock-Cancel"] == run_id
    await host.finish(run_id, "cancelled")
    job = await at_b.create(host)
    assert (await host.poll()).status == 204
    ended = await at_b.as_role("admin").ask("DELETE", f"{at_b.path}/hosts/{host.id}/drain")
    assert ended.status == 204
    taken = await until(host.poll, lambda reply: reply.status == 200)
    assert taken.json["jobId"] == job["id"]


async def test_a_line_is_rearranged_by_its_owner_whichever_node_is_asked(town: Town) -> None:
    at_a, at_b = town.tenant()
    host = at_a.host()
    await host.poll()
    a, b, c = [(await at_a.create(host))["id"] for _ in range(3)]
    assert (await move(at_b, host, "front", c)).status == 200
    reply = await move(at_b, host, "hold", a)
    assert [(run["jobId"], run["held"]) for run in reply.json["pending"]] == [(c, False), (b, False), (a, True)]
    assert (await by_way_of(host, town.b).take())["jobId"] == c  # and now node B owns the host
    queue = await at_b.queue(host)
    assert [(run["jobId"], run["held"]) for run in queue["pending"]] == [(b, False), (a, True)]
