"""How an agent gets its work: short and long polls, one run at a time, and replies that never arrived."""

import asyncio

import pytest

from tests.support.callers import Tenant

TAKEN_FIELDS = {"jobId", "jobRunId", "runNo", "type", "payload", "attempt", "timeoutSeconds"}


async def test_a_short_poll_of_an_idle_host_says_that_there_is_nothing(tenant: Tenant) -> None:
    host = tenant.host()
    for reply in (await host.poll(), await host.poll(0), await host.poll(-5)):
        assert (reply.status, reply.body) == (204, b"")
        assert "Interlock-Cancel" not in reply.headers


async def test_a_poll_takes_the_next_job_and_starts_it(tenant: Tenant) -> None:
    host = tenant.host()
    job = await tenant.create(host, payload={"map": "de_dust2"}, timeoutSeconds=77)
    reply = await host.poll()
    assert reply.status == 200
    assert set(reply.json) == TAKEN_FIELDS
    assert reply.json == {
        "jobId": job["id"],
        "jobRunId": job["jobRuns"][0]["id"],
        "runNo": reply.json["runNo"],
        "type": "SERVER_START",
        "payload": {"map": "de_dust2"},
        "attempt": 1,
        "timeoutSeconds": 77,
    }
    assert (await tenant.show(job))["status"] == "RUNNING"


@pytest.mark.parametrize("wait", [50, 51, 10**6, 10**30])
async def test_a_long_poll_waits_for_a_job_and_its_length_is_clamped(tenant: Tenant, wait: int) -> None:
    host = tenant.host()
    async with tenant.parking(host, host.get(f"{host.path}/jobs?wait={wait}")) as poll:
        job = await tenant.create(host)
        reply = await poll
    assert reply.status == 200, reply
    assert reply.json["jobId"] == job["id"]


async def test_a_preference_to_wait_means_the_same(tenant: Tenant) -> None:
    host = tenant.host()
    async with tenant.parking(host, host.poll(headers={"Prefer": "respond-async, wait=25"})) as poll:
        job = await tenant.create(host)
        assert (await poll).json["jobId"] == job["id"]


@pytest.mark.parametrize("preference", ["wait=abc", "wait", "wait=", "wait=²", ";;;,,=", "handling=lenient"])
async def test_a_preference_that_means_nothing_is_passed_over(tenant: Tenant, preference: str) -> None:
    assert (await tenant.host().poll(headers={"Prefer": preference})).status == 204


async def test_a_long_poll_ends_with_nothing_when_its_time_is_over(tenant: Tenant) -> None:
    assert (await tenant.host().poll(1)).status == 204


async def test_a_newer_poll_supersedes_a_parked_one_and_gets_the_job(tenant: Tenant) -> None:
    host = tenant.host()
    async with tenant.parked(host) as older:
        newer = asyncio.create_task(host.poll(25))
        assert (await older).refusal == (409, "superseded")
        job = await tenant.create(host)
        assert (await newer).json["jobId"] == job["id"]


async def test_a_short_poll_supersedes_a_parked_one_too(tenant: Tenant) -> None:
    host = tenant.host()
    async with tenant.parked(host) as older:
        assert (await host.poll()).status == 204
        assert (await older).refusal == (409, "superseded")


async def test_of_many_polls_at_once_exactly_one_gets_the_job(tenant: Tenant) -> None:
    host = tenant.host()
    job = await tenant.create(host)
    replies = await asyncio.gather(*(host.poll(1) for _ in range(10)))
    assert [reply.json["jobId"] for reply in replies if reply.status == 200] == [job["id"]]
    assert {reply.status for reply in replies} <= {200, 204, 409}
    assert {reply.code for reply in replies if reply.status == 409} <= {"superseded"}


async def test_a_host_runs_one_job_at_a_time(tenant: Tenant) -> None:
    host = tenant.host()
    first, second = await tenant.create(host), await tenant.create(host)
    run_id = (await host.take())["jobRunId"]
    assert (await host.poll()).status == 204
    assert (await host.poll(1)).status == 204
    assert (await tenant.show(second))["status"] == "PENDING"
    async with tenant.parked(host) as poll:
        await host.finish(run_id)
        reply = await poll
    assert (await tenant.show(first))["status"] == "COMPLETED"
    assert reply.json["jobId"] == second["id"]


async def test_hosts_run_side_by_side(tenant: Tenant) -> None:
    hosts = [tenant.host(f"eu-{n}") for n in range(5)]
    jobs = [await tenant.create(host) for host in hosts]
    taken = await asyncio.gather(*(host.take() for host in hosts))
    assert [run["jobId"] for run in taken] == [job["id"] for job in jobs]


async def test_the_number_of_runs_rises_with_each_run_of_a_host(tenant: Tenant) -> None:
    host = tenant.host()
    for _ in range(3):
        await tenant.create(host, maxAttempts=1)
    numbers = []
    taken = await host.take()
    for status in ("success", "failed", "rejected"):
        numbers.append(taken["runNo"])
        taken = (await host.finish(taken["jobRunId"], status, take_next=True)).get("next")
    assert numbers == sorted(set(numbers))


async def test_a_poll_that_says_it_runs_nothing_gets_the_same_run_again(tenant: Tenant) -> None:
    host = tenant.host()
    await tenant.create(host)
    taken = await host.take(instance="a", running=[])
    assert await host.take(instance="a", running=[]) == taken
    assert await host.take(running=[]) == taken


async def test_a_plain_poll_never_gets_a_run_twice(tenant: Tenant) -> None:
    host = tenant.host()
    await tenant.create(host)
    await host.take()
    for reply in (await host.poll(), await host.poll(1), await host.poll(instance="a")):
        assert (reply.status, "Interlock-Cancel" in reply.headers) == (204, False)


async def test_a_poll_that_names_the_current_run_gets_nothing(tenant: Tenant) -> None:
    host = tenant.host()
    await tenant.create(host)
    run_id = (await host.take(instance="a", running=[]))["jobRunId"]
    reply = await host.poll(instance="a", running=[run_id])
    assert (reply.status, "Interlock-Cancel" in reply.headers) == (204, False)


async def test_a_poll_that_names_a_run_which_is_over_is_told_to_stop_it_and_gets_nothing(tenant: Tenant) -> None:
    host = tenant.host()
    await tenant.create(host)
    await tenant.create(host)
    run_id = (await host.take())["jobRunId"]
    await host.finish(run_id)
    reply = await host.poll(running=[run_id])
    assert (reply.status, reply.headers["Interlock-Cancel"]) == (204, run_id)
    assert (await host.poll(running=[])).status == 200


async def test_a_job_goes_to_the_next_plain_poll_when_nobody_listens_to_the_parked_one(tenant: Tenant) -> None:
    host = tenant.host()
    for _ in range(10):
        async with tenant.parked(host):
            pass  # given up: its connection is closed
        job = await tenant.create(host)
        taken = await host.take()
        assert taken["jobId"] == job["id"]
        await host.finish(taken["jobRunId"])


async def test_a_poll_may_be_given_up_at_any_moment_by_an_agent_that_declares(tenant: Tenant) -> None:
    host = tenant.host()
    job = await tenant.create(host)
    for turns in range(12):
        poll = asyncio.create_task(host.poll(25, instance="a", running=[]))
        for _ in range(turns):
            await asyncio.sleep(0)
        poll.cancel()
        await asyncio.gather(poll, return_exceptions=True)
    taken = await host.take(instance="a", running=[])
    assert (taken["jobId"], taken["attempt"]) == (job["id"], 1)
    assert len((await tenant.show(job))["jobRuns"]) == 1


@pytest.mark.parametrize(
    "query",
    [
        *("wait=abc", "wait=%00", "wait=", "running=x", "running=%00", "running=%ff", "instanceId=%00"),
        *("instanceId=%0d%0a", "instanceId=" + "a" * 201, "running=" + "," + "x" * 36),
    ],
)
async def test_a_poll_that_makes_no_sense_is_refused_and_takes_nothing(tenant: Tenant, query: str) -> None:
    host = tenant.host()
    job = await tenant.create(host)
    assert (await host.get(f"{host.path}/jobs?{query}")).refusal == (400, "invalid_request")
    assert (await tenant.show(job))["status"] == "PENDING"
