"""A node that stands still for longer than it may: others go on without it, and it commits nothing when it goes on."""

import asyncio

from tests.cluster.rig import Town, by_way_of, insist, says, until
from tests.support.callers import Agent, Reply

HELD = 40.0  # seconds: a request that a silent owner has taken is given up after eight


async def test_reports_are_taken_while_the_owner_stands_still(town: Town) -> None:
    at_a, at_b = town.tenant()
    host = at_a.host()
    there = by_way_of(host, town.b)
    job = await at_a.create(host)
    run_id = (await host.take(running=(), instance="one"))["jobRunId"]
    town.nodes[0].pause()
    waiting = await at_b.create(host)
    reply = await insist(lambda: there.result(run_id, take_next=True), HELD)
    assert reply.json["next"]["jobId"] == waiting["id"]
    owner = town.rows.owner(host.id)
    town.nodes[0].resume()
    await until(town.a_holds, lambda hosts: host.id not in hosts)
    assert town.rows.owner(host.id) == owner
    shown = await at_b.show(job)
    assert (shown["status"], len(shown["jobRuns"]), shown["lateReports"]) == ("COMPLETED", 1, [])
    await host.finish(reply.json["next"]["jobRunId"])


async def test_a_poll_at_the_other_node_takes_the_host_of_one_that_stands_still(town: Town) -> None:
    at_a, at_b = town.tenant()
    host = at_a.host()
    there = by_way_of(host, town.b)
    async with at_a.parked(host) as old:
        town.nodes[0].pause()
        job = await at_b.create(host)
        run = await there.take()
        assert run["jobId"] == job["id"]
        owner = town.rows.owner(host.id)
        town.nodes[0].resume()
        assert (await old).status in {204, 503}
    await host.finish(run["jobRunId"])
    assert town.rows.owner(host.id) == owner
    assert len((await at_b.show(job))["jobRuns"]) == 1


async def test_a_node_that_goes_on_after_its_hosts_were_taken_over_commits_nothing_for_them(town: Town) -> None:
    at_a, at_b = town.tenant()
    host = at_a.host()
    job = await at_a.create(host, maxAttempts=1)
    run_id = (await host.take(running=(), instance="one"))["jobRunId"]
    assert (await host.beat(instanceId="one", running=[run_id])).status == 200
    async with at_a.parked(host, running=(run_id,), instance="one") as poll:
        town.nodes[0].pause()
        late = asyncio.create_task(reported(host, run_id))
        await says(at_b, job, "lost", HELD)
        owner = town.rows.owner(host.id)
        town.nodes[0].resume()
        assert (await poll).status in {204, 503}
        await late
    await until(town.a_holds, lambda hosts: host.id not in hosts)
    shown = await at_b.show(job)
    assert (shown["status"], shown["jobRuns"][-1]["status"]) == ("FAILED", "lost")
    assert town.rows.owner(host.id) == owner
    assert (await host.result(run_id)).refusal == (409, "invalid_state")  # late, and kept
    assert len((await at_b.show(job))["lateReports"]) == 1


async def reported(host: Agent, run_id: str) -> Reply | None:
    """A report that the node has in its hands while it stands still."""
    try:
        return await host.result(run_id)
    except TimeoutError:
        return None
