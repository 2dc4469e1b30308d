"""Jobs without a host: they wait in their org's pool, and the first idle agent that may take one gets it."""

import asyncio
from typing import Any

import pytest

from interlock.clock import SystemClock, rfc3339
from tests.support.callers import Agent, Plane, Reply, Tenant

SEARCH = "SEARCH_SINGLE"
NOW = SystemClock().now


async def label(tenant: Tenant, host: Agent, **labels: str) -> None:
    """What the host carries."""
    reply = await tenant.as_role("admin").ask("PATCH", f"{tenant.path}/hosts/{host.id}", {"labels": labels})
    assert reply.status == 200, reply


async def test_a_pool_job_goes_to_the_agent_that_polls(tenant: Tenant) -> None:
    host = tenant.host()
    job = await tenant.pool(payload={"query": "cafés"})
    assert (job["hostId"], job["status"], job["jobRuns"][0]["status"]) == (None, "PENDING", "pending")
    run = await host.take()
    assert (run["jobId"], run["payload"], run["attempt"]) == (job["id"], {"query": "cafés"}, 1)
    shown = await tenant.show(job)
    assert (shown["status"], shown["hostId"], shown["assignedAgentId"]) == ("RUNNING", host.id, host.id)
    assert shown["wait"] is None
    await host.progress(run["jobRunId"], 40)
    await host.logs(run["jobRunId"], {"seq": 1, "message": "hello"})
    answer = await host.finish(run["jobRunId"], output={"found": 3})
    assert (answer["jobStatus"], answer["willRetry"]) == ("COMPLETED", False)
    shown = await tenant.show(job)
    assert (shown["status"], shown["output"], shown["hostId"]) == ("COMPLETED", {"found": 3}, host.id)
    logs = await tenant.user.get(f"{tenant.jobs_path}/{job['id']}/logs")
    assert [line["message"] for line in logs.json["items"]] == ["hello"]


async def test_a_short_poll_is_answered_at_once_when_the_pool_is_empty(tenant: Tenant) -> None:
    host = tenant.host()
    assert (await host.poll(0)).status == 204
    job = await tenant.pool()
    assert (await host.poll(0)).json["jobId"] == job["id"]
    assert (await host.poll(0)).status == 204


async def test_a_parked_poll_gets_a_pool_job_that_comes(tenant: Tenant) -> None:
    host = tenant.host()
    async with tenant.parked(host) as poll:
        job = await tenant.pool()
        assert (await poll).json["jobId"] == job["id"]


async def test_of_many_parked_polls_each_job_goes_to_one(tenant: Tenant) -> None:
    hosts = [tenant.host(f"h{number}") for number in range(5)]
    polls = [asyncio.create_task(host.poll(30)) for host in hosts]
    for host in hosts:
        async with asyncio.timeout(20):
            while not (await tenant.queue(host))["connections"]:
                pass
    jobs = [await tenant.pool() for _ in range(5)]
    taken = [(await poll).json["jobId"] for poll in polls]
    assert sorted(taken) == sorted(job["id"] for job in jobs)


async def test_a_hosts_own_jobs_go_first(tenant: Tenant) -> None:
    host = tenant.host()
    pooled = await tenant.pool(priority=1000)
    own = await tenant.create(host)
    first = await host.take()
    assert first["jobId"] == own["id"]
    await host.finish(first["jobRunId"])
    assert (await host.take())["jobId"] == pooled["id"]


async def test_a_result_takes_the_next_job_from_the_pool_behind_the_hosts_own(tenant: Tenant) -> None:
    host = tenant.host()
    first, own, pooled, left = [
        await tenant.create(host),
        await tenant.create(host),
        await tenant.pool(),
        await tenant.pool(),
    ]
    taken = await host.take()
    assert taken["jobId"] == first["id"]
    for job in (own, pooled):
        run_id = taken["jobRunId"]
        answer = await host.finish(run_id, take_next=True)
        taken = answer["next"]
        assert (taken["jobId"], repr(taken["timeoutSeconds"])) == (job["id"], "600")  # not 600.0: some are strict
        assert await host.finish(run_id, take_next=True) == answer | {"replayed": True}
    assert (await tenant.show(left))["status"] == "PENDING"
    assert (await host.finish(taken["jobRunId"], take_next=True))["next"]["jobId"] == left["id"]


async def test_a_result_that_asks_for_more_leaves_a_parked_poll_alone(tenant: Tenant) -> None:
    host = tenant.host()
    await tenant.create(host)
    taken = await host.take()
    async with tenant.parked(host) as poll:
        assert "next" not in await host.finish(taken["jobRunId"], take_next=True)
        job = await tenant.pool()
        assert (await poll).json["jobId"] == job["id"]


async def test_pool_jobs_go_by_priority_and_then_by_age(tenant: Tenant) -> None:
    host = tenant.host()
    jobs = [await tenant.pool(priority=priority) for priority in (0, 5, 0, -1, 5)]
    order = []
    for _ in jobs:
        run = await host.take()
        order.append(run["jobId"])
        await host.finish(run["jobRunId"])
    assert order == [jobs[place]["id"] for place in (1, 4, 0, 2, 3)]


async def test_a_failed_pool_job_goes_back_and_another_host_may_take_it(tenant: Tenant) -> None:
    one, other = tenant.host("one"), tenant.host("other")
    job = await tenant.pool()
    run = await one.take()
    answer = await one.finish(run["jobRunId"], "failed", errorMessage="no luck")
    assert (answer["jobStatus"], answer["willRetry"]) == ("PENDING", True)
    shown = await tenant.show(job)
    assert (shown["hostId"], shown["wait"]["reason"]) == (None, "backoff")
    assert [each["hostId"] for each in shown["jobRuns"]] == [one.id, None]
    again = await other.take(20)
    assert (again["jobId"], again["attempt"]) == (job["id"], 2)
    assert (await one.result(run["jobRunId"])).refusal == (409, "invalid_state")
    late = await one.logs(run["jobRunId"], {"seq": 9, "message": "late"})
    assert late.status in {200, 409}
    await other.finish(again["jobRunId"])
    shown = await tenant.show(job)
    assert (shown["status"], shown["hostId"]) == ("COMPLETED", other.id)


async def test_a_job_with_labels_waits_for_a_host_that_carries_them(tenant: Tenant) -> None:
    plain, special = tenant.host("plain"), tenant.host("special")
    job = await tenant.pool(labels={"gpu": "yes"})
    assert job["wait"]["reason"] == "no_matching_host"
    assert "gpu=yes" in job["wait"]["detail"]
    after = await tenant.pool()
    assert (await plain.poll(0)).json["jobId"] == after["id"]
    await label(tenant, special, gpu="yes", region="eu")
    assert (await tenant.show(job))["wait"]["reason"] == "host_offline"
    run = await special.take()
    assert run["jobId"] == job["id"]
    second = await tenant.pool(labels={"gpu": "yes"})
    assert (await tenant.show(second))["wait"]["reason"] == "host_busy"
    listed = (await tenant.user.get(tenant.jobs_path)).json["items"]
    assert listed[0]["wait"]["reason"] == "host_busy"


async def test_a_type_about_one_machine_needs_a_target(tenant: Tenant) -> None:
    unaimed: tuple[dict[str, Any], ...] = ({}, {"labels": {}})
    for fields in unaimed:
        reply = await tenant.user.post(tenant.jobs_path, {"type": "SERVER_START", **fields})
        assert reply.refusal == (400, "invalid_request")
    reply = await tenant.user.post(tenant.jobs_path, {"type": "SERVER_START", "labels": {"role": "game"}})
    assert reply.status == 201


@pytest.mark.parametrize(
    "labels",
    [
        {"a": 1},
        {"": "x"},
        {"a": "x" * 201},
        {f"k{n}": "v" for n in range(51)},
        {f"key{n}": "v" * 90 for n in range(40)},
        [],
    ],
)
async def test_labels_that_no_host_could_carry_are_refused(tenant: Tenant, labels: Any) -> None:
    reply = await tenant.user.post(tenant.jobs_path, {"type": SEARCH, "labels": labels})
    assert reply.refusal == (400, "invalid_request")


async def test_a_waiting_pool_job_is_cancelled_at_once(tenant: Tenant) -> None:
    job = await tenant.pool()
    for _ in range(2):
        reply = await tenant.cancel(job, {"reason": "enough"})
        assert (reply.status, reply.json["status"]) == (200, "CANCELLED")
    assert (await tenant.host().poll(0)).status == 204


async def test_a_running_pool_job_is_cancelled_by_its_agent(tenant: Tenant) -> None:
    host = tenant.host()
    job = await tenant.pool()
    run = await host.take()
    reply = await tenant.cancel(job)
    assert (reply.status, reply.json["cancelRequested"]) == (202, True)
    assert (await host.progress(run["jobRunId"], 1)).json["cancelRequested"] is True
    await host.finish(run["jobRunId"], "cancelled")
    assert (await tenant.show(job))["status"] == "CANCELLED"
    assert (await tenant.cancel(job)).status == 200


async def test_a_running_pool_job_is_forced_to_its_end(tenant: Tenant) -> None:
    host = tenant.host()
    job = await tenant.pool()
    await host.take()
    reply = await tenant.cancel(job, {"force": True})
    assert (reply.status, reply.json["status"]) == (200, "CANCELLED")


async def test_an_ended_pool_job_is_tried_afresh_in_the_pool(tenant: Tenant) -> None:
    one, other = tenant.host("one"), tenant.host("other")
    job = await tenant.pool(maxAttempts=1)
    assert (await tenant.retry(job)).refusal == (409, "invalid_state")
    await one.finish((await one.take())["jobRunId"], "failed")
    assert (await tenant.show(job))["status"] == "FAILED"
    reply = await tenant.retry(job)
    assert (reply.status, reply.json["status"], reply.json["hostId"]) == (200, "PENDING", None)
    assert (await tenant.retry(job)).refusal == (409, "invalid_state")
    run = await other.take()
    assert (run["jobId"], run["attempt"]) == (job["id"], 1)
    await other.finish(run["jobRunId"])
    assert (await tenant.retry(job)).refusal == (409, "invalid_state")
    assert (await tenant.cancel(job)).refusal == (409, "invalid_state")


async def test_a_cancelled_pool_job_is_tried_afresh(tenant: Tenant) -> None:
    job = await tenant.pool()
    await tenant.cancel(job)
    assert (await tenant.retry(job)).json["status"] == "PENDING"
    assert (await tenant.host().take())["jobId"] == job["id"]


async def test_a_scheduled_pool_job_is_taken_once_it_is_due(tenant: Tenant) -> None:
    host = tenant.host()
    job = await tenant.pool(runAt=rfc3339(NOW() + 700))
    assert (job["jobRuns"][0]["status"], job["wait"]["reason"]) == ("scheduled", "scheduled")
    assert (await host.poll(0)).status == 204
    assert (await host.take())["jobId"] == job["id"]


async def test_a_pool_job_that_nobody_started_in_time_expires(tenant: Tenant) -> None:
    job = await tenant.pool(startBefore=rfc3339(NOW() + 300))
    async with tenant.watch(after=0) as board:
        await board.until("job_run.done", jobId=job["id"])
    shown = await tenant.show(job)
    assert (shown["status"], shown["errorCode"]) == ("FAILED", "expired")
    assert (await tenant.host().poll(0)).status == 204


async def test_a_batch_of_pool_jobs_is_made_in_its_order(tenant: Tenant) -> None:
    items = [{"type": SEARCH, "payload": {"n": n}} for n in range(1000)] + [{"type": "SERVER_START"}]
    reply = await tenant.user.post(f"{tenant.jobs_path}/batch", {"jobs": items[1:]})
    results = reply.json["results"]
    assert [result["job"]["payload"]["n"] for result in results[:-1]] == list(range(1, 1000))
    assert results[-1]["error"]["code"] == "invalid_request"
    host = tenant.host()
    for n in range(1, 6):
        run = await host.take()
        assert run["payload"] == {"n": n}
        await host.finish(run["jobRunId"])


async def test_the_same_key_makes_one_pool_job(tenant: Tenant) -> None:
    async def once() -> Reply:
        return await tenant.user.post(tenant.jobs_path, {"type": SEARCH}, headers={"Idempotency-Key": "one"})

    replies = await asyncio.gather(*(once() for _ in range(5)))
    assert {reply.json["id"] for reply in replies} == {replies[0].json["id"]}
    other = await tenant.user.post(
        tenant.jobs_path, {"type": SEARCH, "priority": 1}, headers={"Idempotency-Key": "one"}
    )
    assert other.refusal == (409, "idempotency_conflict")
    keyed = {"Idempotency-Key": "batch"}
    batch = {"jobs": [{"type": SEARCH}, {"type": SEARCH}]}
    first, again = [await tenant.user.post(f"{tenant.jobs_path}/batch", batch, headers=keyed) for _ in range(2)]
    assert first.body == again.body
    assert len((await tenant.user.get(tenant.jobs_path)).json["items"]) == 3


async def test_the_pools_of_two_orgs_have_nothing_to_do_with_each_other(plane: Plane, tenant: Tenant) -> None:
    stranger = plane.tenant()
    job = await tenant.pool()
    assert (await stranger.host().poll(0)).status == 204
    assert (await stranger.cancel(job)).refusal == (404, "not_found")
    assert (await stranger.retry(job)).refusal == (404, "not_found")
    assert (await stranger.user.get(f"{stranger.jobs_path}/{job['id']}")).refusal == (404, "not_found")


async def test_the_routes_of_s2_make_and_show_pool_jobs(plane: Plane, tenant: Tenant) -> None:
    caller = plane.caller(plane.rows.token(tenant.user_ids["operator"], tenant.id))
    made = (await caller.post("/jobs", {"type": "google_maps", "input": {"q": "x"}})).json
    assert (made["input"], made["tenantId"], made["hostId"]) == ({"q": "x"}, tenant.id, None)
    assert (await caller.get(f"/jobs/{made['id']}")).json["wait"]["reason"] == "no_matching_host"
    assert (await caller.get(f"/jobs/{made['id']}/logs")).json["items"] == []
    assert (await caller.post(f"/jobs/{made['id']}/cancel")).json["status"] == "CANCELLED"


async def test_dashboards_hear_of_pool_jobs(tenant: Tenant) -> None:
    host = tenant.host()
    async with tenant.watch() as board:
        job = await tenant.pool()
        assert (await board.until("job.created", jobId=job["id"]))["data"]["hostId"] is None
        run = await host.take()
        assert (await board.until("job_run.started", jobId=job["id"]))["data"]["hostId"] == host.id
        await host.finish(run["jobRunId"], "failed")
        done = (await board.until("job_run.done", jobId=job["id"]))["data"]
        assert (done["hostId"], done["willRetry"], done["jobStatus"]) == (host.id, True, "PENDING")
        await tenant.cancel(job)
        await board.until("job.cancelled", jobId=job["id"])
