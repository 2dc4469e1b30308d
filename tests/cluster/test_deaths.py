"""A node that is killed, or that ends as it should: its hosts go on at the other one, and nothing of theirs is forgotten."""

import subprocess
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from tests.cluster.rig import Town, by_way_of, insist, says, soon, until
from tests.support.callers import Agent, Document, Tenant
from tests.support.server import INTERLOCK, PATIENCE

ENDS = 40.0  # seconds: a node is believed dead after five, a silent run is lost after four more


async def running_at_a(town: Town, **fields: Any) -> tuple[Tenant, Agent, Document, str]:
    """A job that runs at node A, as node B sees it."""
    at_a, at_b = town.tenant()
    host = at_a.host()
    job = await at_a.create(host, **fields)
    run = await host.take(running=(), instance="one")
    return at_b, by_way_of(host, town.b), job, run["jobRunId"]


async def test_an_agent_whose_node_is_killed_goes_on_at_the_other_at_once(town: Town) -> None:
    at_b, there, job, run_id = await running_at_a(town)
    following = await at_b.create(there)
    town.nodes[0].kill()
    reply = await insist(lambda: there.result(run_id, take_next=True))
    assert reply.json["next"]["jobId"] == following["id"]
    assert (await at_b.show(job))["status"] == "COMPLETED"
    await insist(lambda: there.result(reply.json["next"]["jobRunId"]))
    last = await at_b.create(there)
    assert (await there.take())["jobId"] == last["id"]


async def test_users_are_served_while_a_dead_node_still_counts_as_the_owner(town: Town) -> None:
    at_b, there, job, run_id = await running_at_a(town)
    town.nodes[0].kill()
    waiting = [await at_b.create(there) for _ in range(3)]
    assert (await at_b.cancel(waiting[1])).status == 200
    assert (await at_b.cancel(job)).status == 202
    reply = await there.poll(0, running=(run_id,), instance="one")
    assert (reply.status, reply.headers["Interlock-Cancel"]) == (204, run_id)
    await insist(lambda: there.result(run_id, "cancelled"))
    assert (await there.take(running=(), instance="one"))["jobId"] == waiting[0]["id"]


async def test_a_silent_run_of_a_dead_node_is_lost_in_time(town: Town) -> None:
    at_b, there, job, run_id = await running_at_a(town, maxAttempts=1)
    assert (await there.beat(instanceId="one", running=[run_id])).status == 200
    town.nodes[0].kill()
    await says(at_b, job, "unreachable", ENDS)
    assert (await says(at_b, job, "lost", ENDS))["status"] == "FAILED"


async def test_a_run_of_a_dead_node_that_is_over_its_time_is_ended(town: Town) -> None:
    at_b, _, job, _ = await running_at_a(town, timeoutSeconds=1, maxAttempts=1)
    town.nodes[0].kill()
    assert (await says(at_b, job, "timed_out", ENDS))["status"] == "FAILED"


async def test_a_cancel_that_the_dead_owner_never_heard_of_is_heeded(town: Town) -> None:
    at_b, _, job, _ = await running_at_a(town)
    town.nodes[0].kill()
    assert (await at_b.cancel(job)).status == 202
    assert (await says(at_b, job, "cancelled", ENDS))["status"] == "CANCELLED"


async def test_what_comes_due_on_hosts_of_a_dead_node_is_moved(town: Town) -> None:
    at_b, there, job, run_id = await running_at_a(town)
    await there.finish(run_id, "failed")
    at_a, others = town.tenant()
    scheduled = await at_a.create(at_a.host(), runAt=soon(2))
    expiring = await at_a.create(at_a.host(), startBefore=soon(2))
    town.nodes[0].kill()
    await says(at_b, job, "pending", ENDS)
    assert (await there.take(running=(), instance="one"))["attempt"] == 2
    await says(others, scheduled, "pending", ENDS)
    assert (await says(others, expiring, "expired", ENDS))["status"] == "FAILED"


async def test_a_node_that_ends_gives_up_its_hosts_at_once(town: Town) -> None:
    at_b, there, _, run_id = await running_at_a(town)
    node = town.nodes[0]
    await there.finish(run_id)
    assert town.rows.owner(there.id)[0] is not None
    assert node.terminate() == 0
    assert town.rows.owner(there.id)[0] is None
    job = await at_b.create(there)
    assert (await there.take())["jobId"] == job["id"]


async def test_a_parked_poll_of_a_node_that_ends_is_told_to_ask_elsewhere(town: Town) -> None:
    at_a, _ = town.tenant()
    host = at_a.host()
    async with at_a.parked(host) as poll:
        town.nodes[0].terminate()
        reply = await poll
    assert reply.refusal == (503, "unavailable")
    assert int(reply.headers["Retry-After"]) >= 1
    assert (await by_way_of(host, town.b).poll(0)).status == 204


async def test_a_run_of_a_node_that_ends_is_looked_after_by_the_other(town: Town) -> None:
    at_b, there, job, _ = await running_at_a(town, timeoutSeconds=2, maxAttempts=1)
    town.nodes[0].terminate()
    assert (await says(at_b, job, "timed_out", ENDS))["status"] == "FAILED"
    assert town.rows.owner(there.id)[0] is not None


async def test_a_node_that_comes_back_leaves_the_hosts_where_they_are(town: Town) -> None:
    at_b, there, job, run_id = await running_at_a(town)
    town.nodes[0].kill()
    assert (await there.poll(0, running=(run_id,), instance="one")).status == 204
    owner = town.rows.owner(there.id)
    town.nodes[0].start()
    assert town.rows.owner(there.id) == owner
    here = by_way_of(there, town.a)
    assert (await here.progress(run_id, 30)).json["status"] == "running"
    assert town.rows.owner(there.id) == owner
    await here.finish(run_id)
    assert (await at_b.show(job))["status"] == "COMPLETED"


async def test_what_the_admin_makes_beside_the_nodes_works_at_both(town: Town, url: str, tmp_path: Path) -> None:
    def admin(*words: str) -> Document:
        command = [str(INTERLOCK), "admin", *words, "--database-url", url, "--data-dir", str(tmp_path)]
        done = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=True)
        made: Document = msgspec.json.decode(done.stdout)
        return made

    org = admin("create-org", "beside")["id"]
    admin("create-user", "--email", "ann@example.com", "--name", "Ann", "--org", "beside", "--role", "owner")
    token = admin("token", "--email", "ann@example.com", "--org", "beside")["token"]
    host = admin("create-host", "--org", "beside", "--name", "eu-9")
    path = f"/api/agent/hosts/{host['id']}/jobs"
    for plane in (town.a, town.b):
        made = await plane.caller(token).post(f"/api/orgs/{org}/jobs", {"type": "SERVER_START", "hostId": host["id"]})
        assert made.status == 201, made
        poll = partial(plane.caller(host["agentKey"]).get, path, wait=1)
        run = await until(poll, lambda reply: reply.status == 200)
        done = await plane.caller(host["agentKey"]).post(f"{path}/{run.json['jobRunId']}/result", {"status": "success"})
        assert done.status == 200
