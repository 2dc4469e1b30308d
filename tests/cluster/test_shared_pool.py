"""One pool, whatever node a job comes to and whatever node an idle agent is connected to."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp

from tests.cluster.rig import Town, by_way_of, insist, says, soon, until
from tests.support.callers import PATIENCE, Agent, Document, Tenant

JOBS = 60


@asynccontextmanager
async def parked_at(host: Agent, tenant: Tenant) -> AsyncIterator["asyncio.Task[Any]"]:
    """A long-poll of that host which has been parked at the node by which the tenant is seen."""
    there = by_way_of(host, tenant.plane)
    async with tenant.parking(there, there.poll(50)) as poll:
        yield poll


async def test_a_pool_job_made_at_one_node_reaches_a_parked_poll_at_the_other(town: Town) -> None:
    at_a, at_b = town.tenant()
    host = at_a.host()
    async with parked_at(host, at_b) as poll:
        job = await at_a.pool()
        taken = (await poll).json
    assert taken["jobId"] == job["id"]
    await by_way_of(host, town.b).finish(taken["jobRunId"])
    assert (await at_a.show(job))["status"] == "COMPLETED"


async def test_agents_of_both_nodes_race_and_every_job_is_run_once(town: Town) -> None:
    at_a, at_b = town.tenant()
    hosts = [by_way_of(at_a.host(f"h{number}"), (town.a, town.b)[number % 2]) for number in range(6)]
    ran: Counter[str] = Counter()

    async def work(host: Agent) -> None:
        while sum(ran.values()) < JOBS:
            reply = await host.poll(1)
            if reply.status == 200:
                ran[reply.json["jobId"]] += 1
                await insist(lambda run=reply.json["jobRunId"]: host.result(run))  # type: ignore[misc]

    async def make() -> None:
        for number in range(JOBS // 2):
            await asyncio.gather((at_a, at_b)[number % 2].pool(), (at_b, at_a)[number % 2].pool())

    await asyncio.wait_for(asyncio.gather(make(), *(work(host) for host in hosts)), PATIENCE)
    assert len(ran) == JOBS
    assert set(ran.values()) == {1}
    listed = (await at_b.user.get(at_b.jobs_path, limit=200)).json["items"]
    assert {job["status"] for job in listed} == {"COMPLETED"}
    assert len({job["hostId"] for job in listed}) > 1


async def test_agents_on_sockets_of_both_nodes_are_told_and_one_ack_wins(town: Town) -> None:
    at_a, _ = town.tenant()
    async with AsyncExitStack() as stack:
        sockets = [
            await stack.enter_async_context(connected(by_way_of(at_a.host(name), plane)))
            for name, plane in (("one", town.a), ("other", town.b))
        ]
        for _ in range(5):
            job = await at_a.pool()
            for socket in sockets:
                await hinted(socket, job)
            answers = await asyncio.gather(*(ack(socket, job["id"]) for socket in sockets))
            assert sorted(answer["event"] for answer in answers) == ["error", "job:ack_success"]
            refused = next(answer for answer in answers if answer["event"] == "error")
            assert refused["data"]["code"] == "already_taken"
            winner = sockets[[answer["event"] for answer in answers].index("job:ack_success")]
            await winner.send_json({"event": "job:done", "data": {"jobId": job["id"]}})
            await until(lambda id_=job: at_a.show(id_), lambda shown: shown["status"] == "COMPLETED")  # type: ignore[misc]


@asynccontextmanager
async def connected(host: Agent) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """The host's agent on a socket, once the server has taken it in."""
    headers = {"Authorization": f"Bearer {host.token}"}
    async with host.session.ws_connect(f"{host.url}/agent", headers=headers) as socket:
        await frame_of(socket, "config")
        yield socket


async def frame_of(socket: aiohttp.ClientWebSocketResponse, *events: str) -> Document:
    """The next frame of these events."""
    async with asyncio.timeout(PATIENCE):
        while True:
            frame: Document = await socket.receive_json()
            if frame["event"] in events:
                return frame


async def hinted(socket: aiohttp.ClientWebSocketResponse, job: Document) -> None:
    """Return when that job has been hinted; one before it may be hinted once more until its end is known everywhere."""
    while (await frame_of(socket, "job:available"))["data"]["jobId"] != job["id"]:
        pass


async def ack(socket: aiohttp.ClientWebSocketResponse, job_id: str) -> Document:
    """Ack it; the answer."""
    await socket.send_json({"event": "job:ack", "data": {"jobId": job_id}})
    return await frame_of(socket, "job:ack_success", "error")


async def test_a_waiting_pool_job_is_cancelled_by_either_node(town: Town) -> None:
    at_a, at_b = town.tenant()
    jobs = [await at_a.pool(), await at_b.pool()]
    for job, tenant in zip(jobs, (at_b, at_a), strict=True):
        reply = await tenant.cancel(job)
        assert (reply.status, reply.json["status"]) == (200, "CANCELLED")
    host = at_a.host()
    for plane in (town.a, town.b):
        assert (await by_way_of(host, plane).poll(0)).status == 204


async def test_a_running_pool_job_is_stopped_through_the_other_node(town: Town) -> None:
    at_a, at_b = town.tenant()
    host = at_a.host()
    job = await at_b.pool()
    run = await host.take()
    reply = await at_b.cancel(job)
    assert (reply.status, reply.json["cancelRequested"]) == (202, True)
    await says(at_a, job, "cancelling")
    await host.finish(run["jobRunId"], "cancelled")
    assert (await at_b.show(job))["status"] == "CANCELLED"


async def test_a_retry_of_a_pool_job_is_taken_by_a_host_of_the_other_node(town: Town) -> None:
    at_a, at_b = town.tenant()
    one, other = at_a.host("one"), by_way_of(at_a.host("other"), town.b)
    job = await at_a.pool()
    run = await one.take()
    assert (await one.finish(run["jobRunId"], "failed"))["willRetry"] is True
    again = await other.take(20)
    assert (again["jobId"], again["attempt"]) == (job["id"], 2)
    await other.finish(again["jobRunId"])
    assert (await at_a.retry(job)).refusal == (409, "invalid_state")
    failed = await at_b.pool(maxAttempts=1)
    await other.finish((await other.take())["jobRunId"], "failed")
    assert (await at_a.retry(failed)).json["status"] == "PENDING"
    assert (await until(lambda: other.poll(1), lambda reply: reply.status == 200)).json["jobId"] == failed["id"]


async def test_what_is_due_in_a_pool_comes_once_whoever_made_it(town: Town) -> None:
    at_a, at_b = town.tenant()
    host = by_way_of(at_a.host(), town.b)
    due = await at_a.pool(runAt=soon(0.5))
    late = await at_b.pool(startBefore=soon(0.5), labels={"no": "host"})
    assert (await host.take(20))["jobId"] == due["id"]
    assert (await says(at_a, late, "expired"))["errorCode"] == "expired"
    assert len((await at_b.show(due))["jobRuns"]) == 1
