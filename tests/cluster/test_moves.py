"""An agent that polls another node takes its host there; whoever had it lets go, and no run goes out twice."""

import asyncio
from collections import Counter

from tests.cluster.rig import Town, by_way_of, insist, says, soon


async def test_a_poll_at_another_node_takes_the_host_over_and_ends_the_old_poll(town: Town) -> None:
    at_a, at_b = town.tenant()
    host = at_a.host()
    there = by_way_of(host, town.b)
    async with at_a.parked(host) as old:
        before = town.rows.owner(host.id)
        async with at_b.parked(there) as new:
            reply = await old
            assert (reply.status, reply.headers.get("Interlock-Cancel")) == (204, None)
            owner, epoch = town.rows.owner(host.id)
            assert (owner != before[0], epoch) == (True, before[1] + 1)
            job = await at_a.create(host)
            taken = (await new).json
            assert taken["jobId"] == job["id"]
    await host.finish(taken["jobRunId"])
    await host.finish(taken["jobRunId"])
    assert town.rows.owner(host.id) == (owner, epoch)  # nobody took it back


async def test_polls_that_race_at_both_nodes_get_each_run_once(town: Town) -> None:
    at_a, at_b = town.tenant()
    host = at_a.host()
    agents = (host, by_way_of(host, town.b))
    taken: Counter[str] = Counter()
    jobs = [await (at_a, at_b)[i % 2].create(host) for i in range(8)]
    async with asyncio.timeout(60):
        while len(taken) < len(jobs):
            replies = await asyncio.gather(*(agent.poll(0.2) for agent in agents))
            runs = [reply.json["jobRunId"] for reply in replies if reply.status == 200]
            assert len(runs) <= 1
            taken.update(runs)
            for number, run_id in enumerate(runs):
                await insist(lambda n=number, r=run_id: agents[n].result(r))  # type: ignore[misc]
    assert set(taken.values()) == {1}
    for job in jobs:
        shown = await at_b.show(job)
        assert (shown["status"], len(shown["jobRuns"])) == ("COMPLETED", 1)


async def test_a_run_goes_on_at_the_node_that_its_agent_moves_to(town: Town) -> None:
    at_a, _ = town.tenant()
    host = at_a.host()
    there = by_way_of(host, town.b)
    job, following = await at_a.create(host), await at_a.create(host)
    run = await host.take(running=(), instance="one")
    assert (await host.beat(instanceId="one", running=[run["jobRunId"]])).status == 200
    assert (await there.poll(0, running=(run["jobRunId"],), instance="one")).status == 204
    owner, _ = town.rows.owner(host.id)
    assert (await there.progress(run["jobRunId"], 50)).json["status"] == "running"
    assert (await host.progress(run["jobRunId"], 60)).json["status"] == "running"
    assert (await at_a.show(job))["progress"] == 60
    reply = await host.result(run["jobRunId"], take_next=True)  # passed on by the node that had it before
    assert reply.json["next"]["jobId"] == following["id"]
    assert town.rows.owner(host.id)[0] == owner


async def test_another_process_at_another_node_ends_what_the_old_one_ran(town: Town) -> None:
    at_a, at_b = town.tenant()
    host = at_a.host()
    job = await at_a.create(host, maxAttempts=1)
    await host.take(running=(), instance="old")
    assert (await by_way_of(host, town.b).poll(0, running=(), instance="new")).status == 204
    assert (await says(at_b, job, "lost"))["status"] == "FAILED"


async def test_what_waits_for_a_host_that_moves_keeps_its_order(town: Town) -> None:
    at_a, at_b = town.tenant()
    host = at_a.host()
    agents = (host, by_way_of(host, town.b))
    made: list[str] = []
    taken: list[str] = []
    for turn in range(6):
        made += [(await tenant.create(host))["id"] for tenant in (at_a, at_b)]
        run = await agents[turn % 2].take()
        taken.append(run["jobId"])
        await insist(lambda agent=agents[(turn + 1) % 2], run_id=run["jobRunId"]: agent.result(run_id))  # type: ignore[misc]
    assert taken == made[:6]


async def test_users_need_not_notice_that_a_host_has_moved(town: Town) -> None:
    at_a, at_b = town.tenant()
    host = at_a.host()
    agents = (host, by_way_of(host, town.b))
    for turn in range(6):
        assert (await agents[turn % 2].poll(0)).status == 204
        jobs = [await tenant.create(host) for tenant in (at_a, at_b)]
        for job, tenant in zip(jobs, (at_b, at_a), strict=True):
            assert (await tenant.cancel(job)).status == 200
            assert (await tenant.retry(job)).status == 200
            assert (await tenant.cancel(job)).status == 200


async def test_a_retry_comes_due_at_the_node_that_the_host_has_moved_to(town: Town) -> None:
    at_a, _ = town.tenant()
    host = at_a.host()
    there = by_way_of(host, town.b)
    job = await at_a.create(host)
    await host.finish((await host.take())["jobRunId"], "failed")
    assert (await there.poll(0)).status == 204
    assert (await there.take(20))["attempt"] == 2
    assert (await at_a.show(job))["attempts"] == 2


async def test_jobs_made_at_the_other_node_come_due_in_time_and_expire_in_time(town: Town) -> None:
    at_a, at_b = town.tenant()
    host = at_a.host()
    async with at_a.parked(host) as poll:
        due = await at_b.create(host, runAt=soon(1))
        assert due["jobRuns"][0]["status"] == "scheduled"
        assert (await poll).json["jobId"] == due["id"]
        late = await at_b.create(host, startBefore=soon(1))
        assert (await says(at_b, late, "expired"))["errorCode"] == "expired"
