"""What agents leave behind, by way of a node that does not own their host."""

import asyncio

from tests.cluster.rig import Town, by_way_of

ITEM = {"type": "company", "title": "a", "source": "maps", "snippet": {"a": 1}, "confidence": "high"}


async def test_evidence_and_logs_are_passed_on_to_the_owner_and_kept_once(town: Town) -> None:
    at_a, at_b = town.tenant()
    host = at_a.host()
    job = await at_a.create(host)
    run_id = (await host.take())["jobRunId"]
    owner = town.rows.owner(host.id)
    twin = by_way_of(host, town.b)
    for agent in (host, twin, twin):
        reply = await agent.post(f"{agent.path}/jobs/{run_id}/evidence", {"evidence": [ITEM]})
        assert reply.status == 200, reply
        assert (await agent.logs(run_id, {"seq": 1, "message": "x"})).json["nextSeq"] == 2
    shown = await at_b.show(job)
    assert shown["counts"] == {"logs": 1, "evidence": 1}
    assert town.rows.owner(host.id) == owner


async def test_who_follows_at_one_node_hears_of_lines_that_came_to_the_other(town: Town) -> None:
    at_a, at_b = town.tenant()
    host = at_a.host()
    job = await at_a.create(host)
    run_id = (await host.take())["jobRunId"]
    following = asyncio.create_task(at_b.user.get(f"{at_b.jobs_path}/{job['id']}/logs", follow=1, wait=25))
    await host.logs(run_id, {"seq": 1, "message": "x"})
    assert [line["message"] for line in (await following).json["items"]] == ["x"]


async def test_a_file_is_received_by_any_node_and_another_without_it_says_so(town: Town) -> None:
    at_a, at_b = town.tenant()
    host = at_a.host()
    job = await at_a.create(host)
    run_id = (await host.take())["jobRunId"]
    owner = town.rows.owner(host.id)
    twin = by_way_of(host, town.b)
    await at_b.cancel(job)
    reply = await twin.ask("PUT", f"{twin.path}/jobs/{run_id}/assets/a.bin", b"x" * 100_000)
    assert (reply.status, reply.json["asset"]["sizeBytes"], reply.json["cancelRequested"]) == (200, 100_000, True)
    assert town.rows.owner(host.id) == owner  # who receives a file does not take the host over
    path = f"{at_a.jobs_path}/{job['id']}/assets"
    assert len((await at_a.user.get(path)).json["items"]) == 1
    asset_id = reply.json["asset"]["id"]
    assert (await at_b.user.get(f"{path}/{asset_id}")).body == b"x" * 100_000
    assert (await at_a.user.get(f"{path}/{asset_id}")).refusal == (503, "unavailable")
