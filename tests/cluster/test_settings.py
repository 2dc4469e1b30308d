"""Settings and users' words that are given at one node and meant for an agent at the other."""

from typing import Any

import aiohttp

from tests.cluster.rig import Town, by_way_of
from tests.support.callers import PATIENCE, Agent, Tenant


async def put(tenant: Tenant, version: int, **platform: Any) -> int:
    """The status of a change of that version."""
    body, headers = {"platform": platform}, {"If-Match": f'"{version}"'}
    return (await tenant.as_role("admin").ask("PUT", f"{tenant.path}/settings", body, headers=headers)).status


async def next_of(socket: aiohttp.ClientWebSocketResponse, event: str) -> Any:
    """The data of the next frame, which must be that event."""
    frame = await socket.receive_json(timeout=PATIENCE)
    assert frame["event"] == event, frame
    return frame["data"]


def dialled(agent: Agent) -> Any:
    """The agent on its socket."""
    return agent.session.ws_connect(f"{agent.url}/agent", headers={"Authorization": f"Bearer {agent.token}"})


async def test_an_agent_at_one_node_hears_of_settings_that_were_changed_at_the_other(town: Town) -> None:
    at_a, at_b = town.tenant()
    at_b.as_role("admin")
    host = at_a.host()
    async with dialled(by_way_of(host, town.b)) as socket:
        assert (await next_of(socket, "config"))["version"] == 0
        assert await put(at_a, 0, apiUrl="https://api.example.com") == 200
        heard = await next_of(socket, "config")
        assert (heard["version"], heard["platform"]["apiUrl"]) == (1, "https://api.example.com")
        assert (await by_way_of(host, town.b).get("/api/agent/config")).json == heard


async def test_of_two_nodes_that_change_the_same_version_one_is_too_late(town: Town) -> None:
    at_a, at_b = town.tenant()
    assert await put(at_a, 0, apiUrl="a") == 200
    assert await put(at_b, 0, apiUrl="b") == 412
    assert await put(at_b, 1, apiUrl="b") == 200
    assert (await at_a.user.get(f"{at_a.path}/settings")).json["version"] == 2


async def test_an_agent_at_one_node_hears_of_an_action_that_was_resolved_at_the_other(town: Town) -> None:
    at_a, at_b = town.tenant()
    host = at_a.host()
    job = await at_a.create(host)
    run_id = (await host.take())["jobRunId"]
    async with dialled(host) as socket:
        await next_of(socket, "config")
        await host.progress(run_id, 40, needsUserAction=True)
        reply = await at_b.user.post(f"{at_b.jobs_path}/{job['id']}/resolve")
        assert (reply.status, reply.json["needsUserAction"]) == (200, False)
        assert await next_of(socket, "job:resume") == {"jobId": job["id"], "jobRunId": run_id}
    assert (await at_b.user.post(f"{at_b.jobs_path}/{job['id']}/resolve")).refusal == (409, "invalid_state")
