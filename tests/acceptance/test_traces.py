"""A job belongs to the trace of the request that created it, and its agent is told."""

import pytest

from tests.support.callers import Agent, Document, Tenant
from tests.support.sockets import introduced

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
OTHER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b8-00"
TRACE = {"traceparent": PARENT, "tracestate": "congo=t61, rojo=00f"}
TAKEN = {"traceparent": PARENT, "tracestate": "congo=t61,rojo=00f"}


def trace_in(taken: Document) -> Document:
    return {name: value for name, value in taken.items() if name.startswith("trace")}


async def create(tenant: Tenant, host: Agent, headers: dict[str, str]) -> Document:
    wanted = {"type": "SERVER_START", "hostId": host.id}
    reply = await tenant.user.post(tenant.jobs_path, wanted, headers=headers)
    assert reply.status == 201, reply
    assert "traceparent" not in reply.headers
    made: Document = reply.json
    return made


async def test_a_poll_is_answered_with_the_jobs_trace(tenant: Tenant) -> None:
    host = tenant.host()
    await create(tenant, host, TRACE)
    assert trace_in(await host.take()) == TAKEN


async def test_it_is_the_same_at_every_try(tenant: Tenant) -> None:
    host = tenant.host()
    job = await create(tenant, host, TRACE)
    await host.finish((await host.take())["jobRunId"], "failed", retryable=False)
    await tenant.retry(job)
    assert trace_in(await host.take()) == TAKEN


async def test_the_next_job_of_a_report_carries_it_too(tenant: Tenant) -> None:
    host = tenant.host()
    await create(tenant, host, {})
    await create(tenant, host, TRACE)
    reply = await host.result((await host.take())["jobRunId"], take_next=True)
    assert trace_in(reply.json["next"]) == TAKEN


async def test_a_socket_is_offered_and_given_it(tenant: Tenant) -> None:
    host = tenant.host()
    async with introduced(host) as agent:
        await agent.next("config")
        job = await create(tenant, host, TRACE)
        assert trace_in(await agent.next("job:new")) == TAKEN
        await agent.say("job:ack", jobId=job["id"])
        assert trace_in(await agent.next("job:ack_success")) == TAKEN


async def test_all_jobs_of_a_batch_and_a_pool_job_have_it(tenant: Tenant) -> None:
    host = tenant.host()
    jobs = {"jobs": [{"type": "SERVER_START", "hostId": host.id}, {"type": "SEARCH_SINGLE"}]}
    for headers in (TRACE, TRACE | {"Idempotency-Key": "k"}):
        assert (await tenant.user.post(f"{tenant.jobs_path}/batch", jobs, headers=headers)).status == 200
    taken = []
    for _ in range(4):
        taken.append(await host.take())
        await host.finish(taken[-1]["jobRunId"])
    assert [trace_in(each) for each in taken] == [TAKEN] * 4


async def test_the_first_request_with_a_key_decides(tenant: Tenant) -> None:
    host = tenant.host()
    for parent in (PARENT, OTHER):
        await create(tenant, host, {"traceparent": parent, "Idempotency-Key": "k"})
    assert trace_in(await host.take()) == {"traceparent": PARENT}


@pytest.mark.parametrize("headers", [{}, {"traceparent": "garbage"}, {"tracestate": "congo=t61"}])
async def test_without_a_valid_one_there_is_none(tenant: Tenant, headers: dict[str, str]) -> None:
    host = tenant.host()
    await create(tenant, host, headers)
    assert trace_in(await host.take()) == {}
