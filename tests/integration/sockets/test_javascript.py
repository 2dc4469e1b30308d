"""The real JavaScript client of Socket.IO, from npm, as the seeds' agents and dashboards use it."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.callers import PATIENCE, Agent, Plane, Tenant
from tests.support.node import running, running_source
from tests.support.server import Server

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("transports", ["polling,websocket", "websocket", "polling"])
async def test_an_unchanged_agent_of_the_second_seed_does_its_jobs(
    tenant: Tenant, host: Agent, transports: str
) -> None:
    async with running("agent.cjs", host.url, str(host.token), transports) as agent:
        await agent.next("connect")
        assert {"platform", "connectors"} <= set(await agent.next("config"))
        assert (await agent.next("heartbeat_ack"))["serverTime"].endswith("Z")
        job = await tenant.create(host, payload={"query": "cafés"})
        assert (await agent.next("job:new"))["input"] == {"query": "cafés"}
        assert (await agent.next("job:ack_success"))["jobId"] == job["id"]
        assert (await agent.next("job:progress_ack"))["cancelRequested"] is False
        assert (await agent.next("job:evidence_ack"))["created"] == 1
        assert (await agent.next("job:done_ack"))["jobStatus"] == "COMPLETED"
        failing = await tenant.create(host, payload={"fail": True}, maxAttempts=1)
        assert (await agent.next("job:error_ack"))["willRetry"] is False
        waiting = await tenant.create(host, payload={"wait": True})
        await agent.next("job:ack_success", jobId=waiting["id"])
        await tenant.cancel(waiting)
        assert (await agent.next("job:cancelled_ack"))["jobStatus"] == "CANCELLED"
        agent.nudge()
        acknowledged = await agent.next("acknowledged")
        assert (acknowledged["answer"]["event"], acknowledged["answer"]["data"]["id"]) == ("heartbeat_ack", 7)
        assert acknowledged["transport"] == transports.rpartition(",")[2]
        assert "error" not in agent.events
    shown = await tenant.show(job)
    assert (shown["status"], shown["output"]) == ("COMPLETED", {"found": 1, "of": "cafés"})
    assert shown["counts"] == {"logs": 1, "evidence": 1}
    shown = await tenant.show(failing)
    assert (shown["status"], shown["errorCode"], shown["errorMessage"]) == ("FAILED", "NO_RESULTS", "no results")


async def test_an_agent_that_may_not_in_is_told_why(host: Agent) -> None:
    async with running("agent.cjs", host.url, "nonsense", "websocket") as agent:
        assert (await agent.next("connect_error"))["data"]["code"] == "unauthenticated"


async def test_a_superseded_agent_does_not_come_back(host: Agent) -> None:
    async with running("agent.cjs", host.url, str(host.token), "websocket") as older:
        await older.next("config")
        async with running("agent.cjs", host.url, str(host.token), "websocket") as newer:
            await newer.next("config")
            assert (await older.next("error"))["code"] == "superseded"
            assert (await older.next("disconnect"))["reason"] == "io server disconnect"
            newer.nudge()
            await newer.next("acknowledged")
            assert newer.events.count("connect") == 1


async def test_a_dashboard_of_the_first_seed_hears_of_its_org(tenant: Tenant) -> None:
    host = tenant.host()
    viewer = tenant.as_role("viewer").token or ""
    async with running("dashboard.cjs", host.url, viewer, tenant.id) as dashboard:
        await dashboard.next("connect")
        job = await tenant.create(host)
        created = await dashboard.next("job.created")
        assert (created["jobId"], created["status"]) == (job["id"], "pending")
        run = await host.take()
        assert (await dashboard.next("job_run.started"))["jobRunId"] == run["jobRunId"]
        await host.finish(run["jobRunId"])
        done = await dashboard.next("job_run.done")
        assert (done["jobRunId"], done["status"]) == (run["jobRunId"], "success")
        assert done["seq"] > created["seq"]
    async with running("dashboard.cjs", host.url, viewer, tenant.id, str(created["seq"])) as again:
        assert (await again.next("job_run.done"))["seq"] == done["seq"]
    async with running("dashboard.cjs", host.url, viewer, tenant.plane.tenant().id) as elsewhere:
        assert (await elsewhere.next("connect_error"))["data"]["code"] == "not_found"


EXAMPLES = re.findall(r"```js\n(.*?)```", (ROOT / "docs" / "sockets.md").read_text(), re.DOTALL)


def example(number: int, **values: str) -> str:
    """An example of the docs, for this server."""
    source = EXAMPLES[number].replace("https://interlock.example.com", values.pop("url"))
    for name, value in values.items():
        source = source.replace(f'"{name.upper()}"', f'"{value}"')
    return str(source)


@pytest.mark.parametrize("number", [0, 1], ids=["plain", "socketio"])
async def test_the_agents_of_the_docs_do_their_jobs(tenant: Tenant, host: Agent, number: int) -> None:
    async with running_source(example(number, url=host.url, agent_key=str(host.token))), tenant.watch() as watch:
        for payload in ({}, {"a": 1, "b": 2}):
            job = await tenant.create(host, payload=payload)
            await watch.until("job_run.done", jobId=job["id"], status="success")
            assert (await tenant.show(job))["output"]["found"] == len(payload)


async def test_the_dashboard_of_the_docs_prints_what_is_done(tenant: Tenant, host: Agent) -> None:
    token = tenant.as_role("viewer").token or ""
    source = example(2, url=host.url, user_token=token, org_id=tenant.id)
    async with running_source(source + 'dashboard.on("connect", () => console.log("connected"));') as process:
        async with asyncio.timeout(PATIENCE):
            assert process.stdout is not None
            assert await process.stdout.readline() == b"connected\n"
            await tenant.create(host)
            run = await host.take()
            await host.finish(run["jobRunId"])
            assert run["jobRunId"].encode() in await process.stdout.readline()


class TestRestart:
    """Of the server, under its agents."""

    @pytest.fixture
    def server(self, tmp_path: Path) -> Iterator[Server]:
        with Server(tmp_path / "data") as running:
            yield running

    @pytest.mark.parametrize("transports", ["websocket", "polling"])
    async def test_agents_come_back_by_themselves_and_go_on_with_their_run(
        self, server: Server, plane: Plane, transports: str
    ) -> None:
        tenant = plane.tenant()
        host = tenant.host()
        async with running("agent.cjs", host.url, str(host.token), transports) as agent:
            await agent.next("config")
            job = await tenant.create(host, payload={"wait": True})
            await agent.next("job:ack_success")
            await asyncio.to_thread(server.terminate)
            assert (await agent.next("disconnect"))["reason"] != "io server disconnect"
            await asyncio.to_thread(server.start)
            await agent.next("config")
            await tenant.cancel(job)
            await agent.next("job:cancel")
            assert (await agent.next("job:cancelled_ack"))["jobStatus"] == "CANCELLED"
