"""The server goes away, politely or by `kill -9`, and comes back: nothing that it promised is lost or done twice."""

import asyncio
import contextlib
import itertools
import os
import random
import secrets
import signal
from collections import Counter
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest

from tests.support.callers import Document, Plane, Tenant
from tests.support.load import Creator, Doorman, LoyalAgent
from tests.support.server import Rows, Server

KILLS = 10
HOSTS = 6
STUCK_AFTER = 20.0  # seconds in which agents and creators must have got on, or ended what was promised


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One for each test: they stop it."""
    with Server(tmp_path_factory.mktemp("data")) as running:
        yield running
    assert [line for line in running.tracebacks() if "The writing process has ended" not in line] == []


@pytest.fixture
def plane(server: Server, session: aiohttp.ClientSession) -> Plane:
    return Plane(server, Rows(server.data_dir), session)


async def restart(server: Server, *, kill: bool) -> None:
    """End it and start it on the same data and port."""
    await asyncio.to_thread(server.kill if kill else server.terminate)
    await asyncio.to_thread(server.start)


async def test_a_polite_stop_answers_parked_polls_and_says_goodbye_to_dashboards(plane: Plane, tenant: Tenant) -> None:
    hosts = [tenant.host(f"eu-{n}") for n in range(5)]
    job = await tenant.create(tenant.host("other"))
    async with tenant.watch() as watch:
        polls = [asyncio.create_task(host.poll(50)) for host in hosts]
        for _ in hosts:
            await watch.until("host.online")
        listening = asyncio.create_task(watch.socket.receive())
        code = await asyncio.to_thread(plane.server.terminate)
        replies = await asyncio.gather(*polls)
        goodbye = await listening
    assert code == 0
    for reply in replies:
        assert reply.status == 204 or reply.refusal == (503, "unavailable")
        assert reply.status == 204 or int(reply.headers["Retry-After"]) >= 1
    assert (goodbye.type, goodbye.data) == (aiohttp.WSMsgType.CLOSE, 1001)
    await asyncio.to_thread(plane.server.start)
    assert (await tenant.show(job))["status"] == "PENDING"


async def test_a_followed_log_does_not_hold_up_a_stop(plane: Plane, tenant: Tenant) -> None:
    job = await tenant.create(tenant.host())
    following = asyncio.create_task(tenant.user.get(f"{tenant.jobs_path}/{job['id']}/logs", follow=1))
    await tenant.show(job)
    assert await asyncio.to_thread(plane.server.terminate) == 0
    reply = await following
    assert (reply.status, reply.json["items"]) == (200, []) or reply.refusal == (503, "unavailable")


@pytest.mark.parametrize("kill", [False, True], ids=["SIGTERM", "SIGKILL"])
async def test_jobs_runs_order_and_answers_outlive_the_server(plane: Plane, tenant: Tenant, kill: bool) -> None:
    host, idle = tenant.host(), tenant.host("idle")
    key = {"headers": {"Idempotency-Key": "k"}}
    body = {"type": "SERVER_START", "hostId": host.id}
    first = (await tenant.user.post(tenant.jobs_path, body, **key)).json
    others = [await tenant.create(host, priority=priority) for priority in (0, 5, 0)]
    taken = await host.take(instance="a", running=[])
    await host.beat(instanceId="a", running=[taken["jobRunId"]])
    before = [await tenant.show(job) for job in (first, *others)]
    await restart(plane.server, kill=kill)
    after = [await tenant.show(job) for job in (first, *others)]
    assert [job | {"wait": None} for job in after] == [job | {"wait": None} for job in before]
    assert (await tenant.user.post(tenant.jobs_path, body, **key)).json["id"] == first["id"]
    assert (await host.poll(instance="a", running=[taken["jobRunId"]])).status == 204
    assert await host.take(instance="a", running=[]) == taken
    assert (await idle.poll()).status == 204
    chain: Any = await host.finish(taken["jobRunId"], take_next=True)
    await restart(plane.server, kill=kill)
    again = await host.finish(taken["jobRunId"], take_next=True)
    assert again == chain | {"replayed": True}
    ran: list[str] = [taken["jobId"]]
    while "next" in chain:
        ran.append(chain["next"]["jobId"])
        chain = await host.finish(chain["next"]["jobRunId"], take_next=True)
    assert ran == [others[1]["id"], first["id"], others[0]["id"], others[2]["id"]]


async def test_a_retry_that_fell_due_while_nobody_looked_runs_after_the_start(plane: Plane, tenant: Tenant) -> None:
    host = tenant.host()
    job = await tenant.create(host)
    await host.finish((await host.take())["jobRunId"], "failed")
    await restart(plane.server, kill=True)
    assert (await tenant.show(job))["wait"]["reason"] == "backoff"
    assert ((await host.take(25))["jobId"], (await tenant.show(job))["attempts"]) == (job["id"], 2)


async def test_numbers_of_events_never_repeat_across_a_restart(plane: Plane, tenant: Tenant) -> None:
    host = tenant.host()
    async with tenant.watch() as watch:
        await tenant.create(host)
        last = (await watch.next())["seq"]
    await restart(plane.server, kill=True)
    async with tenant.watch(after=last) as watch:
        gap = await watch.next()
        job = await tenant.create(host)
        created = await watch.until("job.created", jobId=job["id"])
    assert gap["event"] == "gap"
    assert created["seq"] > last


@pytest.mark.parametrize("writer", [False, True], ids=["server", "writer"])
async def test_ten_kills_under_load_lose_nothing_double_nothing_and_keep_the_order(
    plane: Plane, tenant: Tenant, writer: bool
) -> None:
    """Of the server; or each time of the process that writes for it, and then of the server that does without."""
    seed = secrets.randbelow(2**32)
    print(f"seed {seed}")  # noqa: T201 - shown with a failure, so that the same choices can be made again
    chance = random.Random(seed)  # noqa: S311 - which moments, not secrets
    doorman = Doorman()
    hosts = [tenant.host(f"eu-{n}") for n in range(HOSTS)]
    agents = [LoyalAgent(host, doorman, chance, chains=n % 2 == 1) for n, host in enumerate(hosts)]
    creators = [Creator(tenant, host, doorman, chance) for host in hosts]
    async with asyncio.TaskGroup() as group:
        doorman.up.set()
        at_work = [group.create_task(agent.run()) for agent in agents]
        creating = [
            group.create_task(creator.run(lambda c=creator, a=agent: len(c.created) - len(a.ended), 30))  # type: ignore[misc]
            for creator, agent in zip(creators, agents, strict=True)
        ]
        for _ in range(KILLS):
            if writer:
                await in_the_middle(doorman, chance)
                os.kill(plane.server.writer, signal.SIGKILL)
            await in_the_middle(doorman, chance)
            doorman.up.clear()
            await restart(plane.server, kill=True)
            doorman.up.set()
        for creator in creators:
            creator.stop = True
        await doorman.note("the last kill is over")
        await asyncio.gather(*creating)
        promised = {job_id for creator in creators for job_id in creator.created}
        with contextlib.suppress(TimeoutError):  # what is missing then is named below
            async with asyncio.timeout(STUCK_AFTER):
                await doorman.wait(lambda: promised <= final_jobs(agents).keys())
        for task in at_work:
            task.cancel()
    assert promised - final_jobs(agents).keys() == set()
    assert [wrong for agent in agents for wrong in agent.wrongs] == []
    assert doorman.happened["broken"] >= KILLS
    assert len(promised) >= 10 * KILLS
    for creator, agent in zip(creators, agents, strict=True):
        assert_first_attempts_in_order(creator, agent)
    assert set(final_jobs(agents).values()) == {1}
    await assert_the_server_agrees(tenant, agents, promised)


async def in_the_middle(doorman: Doorman, chance: random.Random) -> None:
    """Return at some acknowledgement or creation after there has been some of both."""
    before = Counter(doorman.happened)
    most = {"job created": chance.randint(5, 45), "result acknowledged": chance.randint(5, 45)}
    async with asyncio.timeout(STUCK_AFTER):
        await doorman.wait(
            lambda: all(doorman.happened[what] >= before[what] + number for what, number in most.items())
        )


def final_jobs(agents: list[LoyalAgent]) -> Counter[str]:
    """How often the agents were told that a job is over, by its id."""
    return Counter(
        taken["jobId"] for agent in agents for taken, job_status in agent.ended if job_status in {"COMPLETED", "FAILED"}
    )


def assert_first_attempts_in_order(creator: Creator, agent: LoyalAgent) -> None:
    """Jobs of one host were created one after the other, so they must have begun so."""
    numbers = [taken["payload"]["number"] for taken in agent.started if taken["attempt"] == 1]
    assert numbers == sorted(set(numbers))
    begun = {taken["jobId"]: taken["payload"]["number"] for taken in agent.started}
    assert creator.created.items() <= begun.items()


async def assert_the_server_agrees(tenant: Tenant, agents: list[LoyalAgent], promised: set[str]) -> None:
    """Its record: every promised job has ended, with the runs that the agents saw, and no two of a host overlapped."""
    query: dict[str, Any] = {"limit": 200}
    ids: list[str] = []
    while True:
        page = (await tenant.user.get(tenant.jobs_path, **query)).json
        ids += [job["id"] for job in page["items"]]
        if page["nextCursor"] is None:
            break
        query["cursor"] = page["nextCursor"]
    jobs = [await tenant.show({"id": job_id}) for job_id in ids]
    assert promised <= set(ids)
    assert {job["status"] for job in jobs if job["id"] in promised} == {"COMPLETED"}
    assert [job["lateReports"] for job in jobs if job["lateReports"]] == []
    seen = {taken["jobRunId"]: job_status for agent in agents for taken, job_status in agent.ended}
    runs = [run for job in jobs for run in job["jobRuns"]]
    assert seen.keys() <= {run["id"] for run in runs if run["status"] in {"success", "failed"}}
    for agent in agents:
        assert_apart([run for run in runs if run["hostId"] == agent.host.id and run["startedAt"] is not None])


def assert_apart(runs: list[Document]) -> None:
    """No two of these runs of one host overlapped."""
    runs.sort(key=lambda run: run["startedAt"])
    for earlier, later in itertools.pairwise(runs):
        assert earlier["finishedAt"] is not None
        assert earlier["finishedAt"] <= later["startedAt"]
