"""Changes of a host at one node whose owner is the other."""

from typing import Any

from tests.cluster.rig import Town, by_way_of, until
from tests.support.callers import Reply, Tenant


async def patch(tenant: Tenant, host_id: str, **body: Any) -> Reply:
    return await tenant.as_role("admin").ask("PATCH", f"{tenant.path}/hosts/{host_id}", body)


async def delete(tenant: Tenant, host_id: str, **query: Any) -> Reply:
    return await tenant.as_role("admin").ask("DELETE", f"{tenant.path}/hosts/{host_id}", **query)


async def test_a_pause_at_one_node_counts_at_the_other(town: Town) -> None:
    at_a, at_b = town.tenant()
    host = at_a.host()
    async with at_a.parked(host) as poll:
        reply = await patch(at_b, host.id, paused=True, note="new disk")
        assert (reply.status, reply.json["paused"], reply.json["presence"]) == (200, True, "online")
        await until(lambda: at_a.queue(host), lambda queue: bool(queue["paused"]))
        job = await at_b.create(host)
        assert (await until(lambda: at_a.show(job), lambda shown: shown["wait"] is not None))["status"] == "PENDING"
        assert not poll.done()
        await patch(at_b, host.id, paused=False)
        assert (await poll).json["jobId"] == job["id"]


async def test_a_host_is_deleted_at_one_node_while_the_other_owns_it(town: Town) -> None:
    at_a, at_b = town.tenant()
    host = at_a.host()
    jobs = [await at_a.create(host), await at_a.create(host)]
    await host.take()
    assert (await delete(at_b, host.id)).refusal == (409, "invalid_state")
    await until(lambda: delete(at_b, host.id, force=1), lambda reply: reply.status in {204, 404})
    assert [(await at_a.show(job))["status"] for job in jobs] == ["CANCELLED", "CANCELLED"]
    assert (await at_a.as_role("viewer").get(f"{at_a.path}/hosts/{host.id}")).refusal == (404, "not_found")
    assert (await by_way_of(host, town.b).poll()).refusal == (401, "unauthenticated")
