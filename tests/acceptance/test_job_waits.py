"""Why a job is not running, in which order jobs run, and what time does to them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.callers import Document, Tenant


def at(seconds: float) -> str:
    """An instant relative to now, as a user would write it."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat(timespec="milliseconds")


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


async def wait_of(tenant: Tenant, job: Document) -> Any:
    """The job's reason, where it stands and until when."""
    wait = (await tenant.show(job))["wait"]
    assert wait is None or set(wait) == {"reason", "position", "detail", "until"}
    return wait


async def reason_in_list(tenant: Tenant, job: Document) -> tuple[str, Any]:
    """The same from a list, which knows no positions."""
    items = (await tenant.user.get(tenant.jobs_path, limit=200)).json["items"]
    wait = next(item["wait"] for item in items if item["id"] == job["id"])
    return wait["reason"], wait["position"]


async def test_a_job_waits_for_a_host_that_never_connected(tenant: Tenant) -> None:
    job = await tenant.create(tenant.host())
    assert job["wait"]["reason"] == "host_offline"
    assert (await wait_of(tenant, job))["position"] == 1
    assert await reason_in_list(tenant, job) == ("host_offline", None)


async def test_a_job_waits_behind_others_and_behind_what_runs(tenant: Tenant) -> None:
    host = tenant.host()
    jobs = [await tenant.create(host) for _ in range(4)]
    run = await host.take()
    assert run["jobId"] == jobs[0]["id"]
    assert await wait_of(tenant, jobs[0]) is None
    first = await wait_of(tenant, jobs[1])
    assert (first["reason"], first["position"], first["until"]) == ("host_busy", 1, None)
    for place in (2, 3):
        wait = await wait_of(tenant, jobs[place])
        assert (wait["reason"], wait["position"]) == ("behind", place)
    for place in (1, 2, 3):
        assert await reason_in_list(tenant, jobs[place]) == ("host_busy", None)


async def test_a_new_job_tells_its_place_at_once(tenant: Tenant) -> None:
    host = tenant.host()
    await tenant.create(host)
    await host.take()
    assert (await tenant.create(host))["wait"]["reason"] == "host_busy"
    assert (await tenant.create(host))["wait"]["position"] == 2
    urgent = await tenant.create(host, priority=5)
    assert (urgent["wait"]["reason"], urgent["wait"]["position"]) == ("host_busy", 1)


async def test_a_scheduled_job_waits_until_its_time_and_then_runs(tenant: Tenant) -> None:
    host = tenant.host()
    due = at(2)
    job = await tenant.create(host, runAt=due)
    assert job["jobRuns"][0]["status"] == "scheduled"
    wait = await wait_of(tenant, job)
    assert wait["reason"] == "scheduled"
    assert instant(wait["until"]) == instant(due) == instant(job["runAt"])
    assert (await reason_in_list(tenant, job))[0] == "scheduled"
    assert (await host.poll()).status == 204
    assert (await host.take())["jobId"] == job["id"]
    started = instant((await tenant.show(job))["startedAt"])
    assert instant(due) <= started <= instant(due) + timedelta(seconds=3)


async def test_a_time_in_the_past_is_now(tenant: Tenant) -> None:
    host = tenant.host()
    job = await tenant.create(host, runAt="1999-12-31T23:59:59+01:00")
    assert job["jobRuns"][0]["status"] == "pending"
    assert (await host.take(0))["jobId"] == job["id"]


async def test_a_retry_waits_in_backoff_until_it_is_due(tenant: Tenant) -> None:
    host = tenant.host()
    job = await tenant.create(host)
    answer = await host.finish((await host.take())["jobRunId"], "failed", errorMessage="boom")
    assert (answer["status"], answer["jobStatus"], answer["willRetry"]) == ("failed", "PENDING", True)
    shown = await tenant.show(job)
    assert (shown["wait"]["reason"], shown["wait"]["until"]) == ("backoff", shown["jobRuns"][1]["availableAt"])
    assert (await reason_in_list(tenant, job))[0] == "backoff"


async def test_other_jobs_overtake_one_in_backoff_which_then_stands_by_its_old_place(tenant: Tenant) -> None:
    host = tenant.host()
    retried, *others = [await tenant.create(host) for _ in range(3)]
    overtaking = (await host.finish((await host.take())["jobRunId"], "failed", take_next=True))["next"]
    assert overtaking["jobId"] == others[0]["id"]
    await tenant.in_line(retried)
    following = (await host.finish(overtaking["jobRunId"], take_next=True))["next"]
    assert (following["jobId"], following["attempt"]) == (retried["id"], 2)


async def test_a_forced_end_leaves_others_awaiting_that_the_host_is_idle(tenant: Tenant) -> None:
    host = tenant.host()
    first, second = await tenant.create(host), await tenant.create(host)
    taken = await host.take(running=[], instance="a")
    assert (await tenant.cancel(first, {"force": True})).status == 200
    wait = await wait_of(tenant, second)
    assert (wait["reason"], wait["position"]) == ("awaiting_idle", 1)
    assert await reason_in_list(tenant, second) == ("awaiting_idle", None)
    still = await host.poll(running=[taken["jobRunId"]], instance="a")
    assert (still.status, still.headers["Interlock-Cancel"]) == (204, taken["jobRunId"])
    assert (await host.take(0, running=[], instance="a"))["jobId"] == second["id"]


async def test_jobs_run_by_priority_and_then_in_the_order_of_their_creation(tenant: Tenant) -> None:
    host = tenant.host()
    priorities = [0, 5, 0, -3, 5, 1000, -1000, 0]
    jobs = [await tenant.create(host, priority=priority) for priority in priorities]
    expected = [job["id"] for job in sorted(jobs, key=lambda job: -job["priority"])]
    ran = []
    taken = await host.take()
    while taken is not None:
        ran.append(taken["jobId"])
        taken = (await host.finish(taken["jobRunId"], take_next=True)).get("next")
    assert ran == expected


async def test_a_job_that_was_not_started_in_time_expires(tenant: Tenant) -> None:
    host = tenant.host()
    async with tenant.watch() as watch:
        job = await tenant.create(host, startBefore=at(0.5))
        done = await watch.until("job_run.done", jobId=job["id"])
    assert (done["data"]["status"], done["data"]["jobStatus"]) == ("expired", "FAILED")
    shown = await tenant.show(job)
    assert (shown["status"], shown["errorCode"]) == ("FAILED", "expired")
    assert [run["status"] for run in shown["jobRuns"]] == ["expired"]
    assert (await host.poll()).status == 204


async def test_a_job_whose_latest_start_has_passed_already_is_never_handed_out(tenant: Tenant) -> None:
    host = tenant.host()
    async with tenant.watch() as watch, tenant.parked(host):
        job = await tenant.create(host, startBefore=at(-60))
        first = await watch.until("job_run.started", "job_run.done", jobId=job["id"])
    assert first["data"]["status"] == "expired"
    assert (await tenant.show(job))["errorCode"] == "expired"


async def test_a_scheduled_job_that_comes_due_too_late_expires(tenant: Tenant) -> None:
    host = tenant.host()
    async with tenant.watch() as watch:
        job = await tenant.create(host, runAt=at(60), startBefore=at(0.5))
        await watch.until("job_run.done", jobId=job["id"], status="expired")
    assert (await tenant.show(job))["status"] == "FAILED"


async def test_a_job_that_started_in_time_does_not_expire_during_its_retries(tenant: Tenant) -> None:
    host = tenant.host()
    job = await tenant.create(host, startBefore=at(1.5))
    await host.finish((await host.take())["jobRunId"], "failed")
    second = await host.take(10)
    assert (second["jobId"], second["attempt"]) == (job["id"], 2)


@pytest.mark.parametrize("pooled", [False, True])
async def test_a_retry_by_a_user_waits_for_a_time_that_still_lies_ahead(tenant: Tenant, *, pooled: bool) -> None:
    host = tenant.host()
    times = {"runAt": at(3600), "startBefore": at(7200)}
    job = await (tenant.pool(**times) if pooled else tenant.create(host, **times))
    await tenant.cancel(job)
    shown = (await tenant.retry(job)).json
    assert [shown[name] for name in times] == [job[name] for name in times]
    assert (shown["wait"]["reason"], shown["wait"]["until"]) == ("scheduled", job["runAt"])
    assert [run["status"] for run in shown["jobRuns"]] == ["cancelled", "scheduled"]
    assert (await host.poll()).status == 204


async def test_a_retry_by_a_user_of_what_expired_is_bound_no_more(tenant: Tenant) -> None:
    host = tenant.host()
    async with tenant.watch() as watch:
        job = await tenant.create(host, startBefore=at(0.2))
        await watch.until("job_run.done", jobId=job["id"])
    assert (await tenant.retry(job)).json["startBefore"] is None
    assert (await host.take())["jobId"] == job["id"]


WRONG_BOUNDS: dict[str, list[Any]] = {
    "priority": [1001, -1001, 1.5, "1", True, None],
    "maxAttempts": [0, -1, 101, 1.5, "3", True],
    "timeoutSeconds": [0, -1, 30 * 86400 + 1, "60", True],
    "runAt": ["", "soon", "2026-01-01", "2026-01-01T00:00:00", 5, "2026-02-30T00:00:00Z"],
    "startBefore": ["", "9999-99-99T00:00:00Z", "2026-01-01T00:00:00+25:00", []],
}


@pytest.mark.parametrize(
    ("field", "value"), [(field, value) for field in WRONG_BOUNDS for value in WRONG_BOUNDS[field]]
)
async def test_a_bound_that_makes_no_sense_is_refused(tenant: Tenant, field: str, value: Any) -> None:
    body = {"type": "SERVER_START", "hostId": tenant.host().id, field: value}
    reply = await tenant.user.post(tenant.jobs_path, body)
    assert reply.refusal == (400, "invalid_request")
    assert reply.json["errors"][0]["path"] == f"$.{field}"
    assert (await tenant.user.get(tenant.jobs_path)).json["items"] == []
