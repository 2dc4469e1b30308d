"""Pool jobs on sockets: hinted to every idle host of the org, and the first ack wins."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp

from tests.support.callers import PATIENCE, Agent, Document, Plane, Tenant

SEARCH = "SEARCH_SINGLE"


class Socket:
    """An agent's plain WebSocket."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.seen: list[Document] = []

    async def say(self, event: str, **data: Any) -> None:
        await self.socket.send_json({"event": event, "data": data})

    async def until(self, *events: str, **data: Any) -> Document:
        """The data of the next frame of these events with these values."""
        async with asyncio.timeout(PATIENCE):
            while True:
                frame: Document = await self.socket.receive_json()
                self.seen.append(frame)
                if frame["event"] in events and all(frame["data"].get(name) == value for name, value in data.items()):
                    return frame

    async def hint(self, **data: Any) -> str:
        """The next job that is hinted."""
        return str((await self.until("job:available", **data))["data"]["jobId"])

    async def ack(self, job_id: str) -> Document:
        """Ack it; the answer, be it a refusal."""
        await self.say("job:ack", jobId=job_id)
        return await self.until("job:ack_success", "error")


@asynccontextmanager
async def connected(host: Agent, **query: str) -> AsyncIterator[Socket]:
    """The host's agent on a socket, once the server has taken it in."""
    headers = {"Authorization": f"Bearer {host.token}"}
    async with host.session.ws_connect(f"{host.url}/agent", headers=headers, params=query) as socket:
        made = Socket(socket)
        await made.until("config")
        yield made


async def test_a_connected_idle_host_is_told_of_a_pool_job_and_its_ack_takes_it(tenant: Tenant) -> None:
    host = tenant.host()
    async with connected(host) as agent:
        job = await tenant.pool(payload={"q": 1})
        assert await agent.hint() == job["id"]
        hint = agent.seen[-1]
        assert hint["data"] == {"jobId": job["id"], "type": SEARCH}  # no payload before it is taken
        taken = (await agent.ack(job["id"]))["data"]
        assert (taken["payload"], taken["input"], taken["jobId"]) == ({"q": 1}, {"q": 1}, job["id"])
        shown = await tenant.show(job)
        assert (shown["status"], shown["assignedAgentId"]) == ("RUNNING", host.id)
        await agent.say("job:done", jobId=job["id"], output={"n": 2})
        await agent.until("job:done_ack")
    assert (await tenant.show(job))["status"] == "COMPLETED"


async def test_a_host_that_connects_hears_of_what_waits(tenant: Tenant) -> None:
    jobs = [await tenant.pool() for _ in range(3)]
    async with connected(tenant.host()) as agent:
        assert [await agent.hint() for _ in jobs] == [job["id"] for job in jobs]


async def test_a_host_that_becomes_idle_hears_of_what_waits_again(tenant: Tenant) -> None:
    async with connected(tenant.host()) as agent:
        first, second = await tenant.pool(), await tenant.pool()
        assert [await agent.hint(), await agent.hint()] == [first["id"], second["id"]]
        await agent.ack(first["id"])
        await agent.say("job:done", jobId=first["id"])
        assert await agent.hint() == second["id"]


async def test_of_several_acks_the_first_wins_and_the_rest_hear_already_taken(tenant: Tenant) -> None:
    async with AsyncExitStack() as stack:
        agents = [await stack.enter_async_context(connected(tenant.host(f"h{n}"))) for n in range(5)]
        job = await tenant.pool()
        assert [await agent.hint() for agent in agents] == [job["id"]] * 5
        answers = await asyncio.gather(*(agent.ack(job["id"]) for agent in agents))
        assert sorted(answer["event"] for answer in answers) == ["error"] * 4 + ["job:ack_success"]
        refusals = [answer["data"] for answer in answers if answer["event"] == "error"]
        assert {refusal["code"] for refusal in refusals} == {"already_taken"}
        again = agents[answers.index(next(each for each in answers if each["event"] == "job:ack_success"))]
        assert (await again.ack(job["id"]))["event"] == "job:ack_success"  # said twice, answered twice
    shown = await tenant.show(job)
    assert len(shown["jobRuns"]) == 1


async def test_a_busy_host_is_told_nothing_and_its_ack_is_refused(tenant: Tenant) -> None:
    host, other = tenant.host("one"), tenant.host("other")
    async with connected(host) as agent, connected(other) as free:
        own = await tenant.create(host)
        await agent.until("job:new")
        await agent.ack(own["id"])
        job = await tenant.pool()
        assert await free.hint() == job["id"]
        assert (await agent.ack(job["id"]))["data"]["code"] == "invalid_state"
        assert not [frame for frame in agent.seen if frame["event"] == "job:available"]
        assert (await free.ack(job["id"]))["event"] == "job:ack_success"


async def test_a_rejected_hint_is_not_repeated_to_that_host(tenant: Tenant) -> None:
    host = tenant.host()
    async with connected(host) as agent:
        refused, wanted = await tenant.pool(), await tenant.pool()
        assert [await agent.hint(), await agent.hint()] == [refused["id"], wanted["id"]]
        await agent.say("job:reject", jobId=refused["id"], reason="not for me")
        await agent.until("job:reject_ack")
        await agent.ack(wanted["id"])
        await agent.say("job:done", jobId=wanted["id"])
        await agent.until("job:done_ack")
        third = await tenant.pool()
        assert await agent.hint() == third["id"]
        shown = await tenant.show(refused)
        assert (shown["wait"]["reason"], "refused" in shown["wait"]["detail"]) == ("behind", True)
        assert "refused" not in (await tenant.show(third))["wait"]["detail"]
    assert (await tenant.show(refused))["status"] == "PENDING"
    assert (await tenant.host("other").take())["jobId"] == refused["id"]


async def test_an_ack_that_comes_too_late_does_not_make_its_host_hear_again_of_what_it_has_heard(
    tenant: Tenant,
) -> None:
    async with connected(tenant.host("one")) as one, connected(tenant.host("other")) as other:
        gone = await tenant.pool()
        assert await one.hint() == await other.hint() == gone["id"]
        await one.ack(gone["id"])
        await one.say("job:done", jobId=gone["id"])
        await one.until("job:done_ack")
        waits = await tenant.pool()
        assert await other.hint() == waits["id"]
        for _ in range(3):
            assert (await other.ack(gone["id"]))["data"]["code"] == "already_taken"
        marker = await tenant.pool()
        assert await other.hint() == marker["id"]


async def test_who_does_not_carry_the_labels_cannot_ack_the_job_even_if_it_has_heard_of_it(tenant: Tenant) -> None:
    host, fitting = tenant.host("plain"), tenant.host("fitting")
    admin, labels = tenant.as_role("admin"), {"labels": {"gpu": "yes"}}
    for each in (host, fitting):
        assert (await admin.ask("PATCH", f"{tenant.path}/hosts/{each.id}", labels)).status == 200
    async with connected(host) as agent, connected(fitting) as other:
        job = await tenant.pool(**labels)
        assert await agent.hint() == await other.hint() == job["id"]
        assert (await admin.ask("PATCH", f"{tenant.path}/hosts/{host.id}", {"labels": {}})).status == 200
        assert (await agent.ack(job["id"]))["data"]["code"] == "not_found"
        assert (await tenant.show(job))["status"] == "PENDING"
        assert (await other.ack(job["id"]))["event"] == "job:ack_success"


async def test_hosts_of_another_org_and_without_the_labels_hear_nothing(plane: Plane, tenant: Tenant) -> None:
    stranger, plain = plane.tenant(), tenant.host("plain")
    async with connected(stranger.host()) as foreign, connected(plain) as unfit:
        mine = await tenant.pool(labels={"gpu": "yes"})
        theirs = await stranger.pool()
        assert await foreign.hint() == theirs["id"]
        assert (await foreign.ack(mine["id"]))["data"]["code"] == "not_found"
        marker = await tenant.pool()
        assert await unfit.hint() == marker["id"]


async def test_a_failed_pool_job_of_a_socket_goes_back_and_is_hinted_to_all(tenant: Tenant) -> None:
    async with connected(tenant.host("one")) as one, connected(tenant.host("other")) as other:
        job = await tenant.pool()
        assert [await one.hint(), await other.hint()] == [job["id"]] * 2
        await one.ack(job["id"])
        await one.say("job:error", jobId=job["id"], error="no luck")
        assert (await one.until("job:error_ack"))["data"]["willRetry"] is True
        assert [await one.hint(), await other.hint()] == [job["id"]] * 2
        assert (await other.ack(job["id"]))["data"]["attempt"] == 2


async def test_a_run_whose_process_was_replaced_goes_back_to_the_pool(tenant: Tenant) -> None:
    host = tenant.host()
    async with connected(host, instanceId="one", running="") as agent:
        job = await tenant.pool()
        await agent.ack(await agent.hint())
    async with connected(host, instanceId="two", running="") as agent:
        assert await agent.hint() == job["id"]
        assert [run["status"] for run in (await tenant.show(job))["jobRuns"]] == ["lost", "pending"]


async def test_an_ack_of_what_is_no_job_is_refused(tenant: Tenant) -> None:
    job = await tenant.pool()
    await tenant.cancel(job)
    async with connected(tenant.host()) as agent:
        assert (await agent.ack("0" * 36))["data"]["code"] in {"not_found", "invalid_request"}
        assert (await agent.ack(job["id"]))["data"]["code"] == "invalid_state"
        running = await tenant.pool()
        assert await agent.hint() == running["id"]
