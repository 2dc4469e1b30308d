"""Retries after 2 s and 4 s, each on time within 3 s, by the server's own record of when it handed the run out."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support.callers import Agent, Document, Tenant, Watch

LATEST = timedelta(seconds=3)


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def assert_retry_is_on_time(job: Document, attempt: int, delay: float) -> None:
    """The delay is as promised with its jitter of a tenth, and the run began when it was due, or shortly after."""
    before, after = job["jobRuns"][attempt - 1], job["jobRuns"][attempt]
    waited = instant(after["availableAt"]) - instant(before["finishedAt"])
    assert timedelta(seconds=delay * 0.9) <= waited <= timedelta(seconds=delay * 1.1)
    due, began = instant(after["availableAt"]), instant(after["startedAt"])
    assert due <= began <= due + LATEST


async def fail_next(host: Agent) -> Any:
    """Take the next run as soon as it is there, and fail it."""
    taken = await host.take(25)
    await host.finish(taken["jobRunId"], "failed", errorMessage=f"attempt {taken['attempt']}")
    return taken


async def test_a_job_that_fails_twice_is_tried_after_2_s_and_4_s_and_succeeds(tenant: Tenant) -> None:
    host = tenant.host()
    async with tenant.watch() as watch:
        job = await tenant.create(host)
        attempts = [(await fail_next(host))["attempt"], (await fail_next(host))["attempt"]]
        last = await host.take(25)
        await host.finish(last["jobRunId"])
        await watch.until("job_run.done", jobId=job["id"], status="success")
    assert [*attempts, last["attempt"]] == [1, 2, 3]
    shown = await tenant.show(job)
    assert (shown["status"], shown["attempts"]) == ("COMPLETED", 3)
    assert (shown["errorCode"], shown["errorMessage"]) == (None, None)
    assert [run["status"] for run in shown["jobRuns"]] == ["failed", "failed", "success"]
    assert len({run["id"] for run in shown["jobRuns"]}) == 3
    assert_retry_is_on_time(shown, 1, 2)
    assert_retry_is_on_time(shown, 2, 4)
    assert events_of(watch, job) == [
        ("job.created", 1, False),
        *(("job_run.started", 1, False), ("job_run.done", 1, True)),
        *(("job_run.started", 2, False), ("job_run.done", 2, True)),
        *(("job_run.started", 3, False), ("job_run.done", 3, False)),
    ]


def events_of(watch: Watch, job: Document) -> list[tuple[str, int, bool]]:
    """What a dashboard saw of the job: event, attempt, will it be retried."""
    frames = [frame for frame in watch.seen if frame["data"].get("jobId") == job["id"]]
    return [(frame["event"], frame["data"]["attempt"], frame["data"]["willRetry"]) for frame in frames]


async def crowd(tenant: Tenant) -> Document:
    """Hundreds of other alarms, near and far; one of their jobs."""
    near = (datetime.now(UTC) + timedelta(seconds=30)).isoformat()
    job = {"type": "SERVER_START", "hostId": tenant.host("crowded").id}
    jobs = [job | {"runAt": near}] * 300 + [job | {"runAt": "2999-01-01T00:00:00Z"}] * 200
    reply = await tenant.user.post(f"{tenant.jobs_path}/batch", {"jobs": jobs})
    last: Document = reply.json["results"][-1]["job"]
    return last


async def test_many_hosts_retry_on_time_at_once_and_a_job_out_of_attempts_fails_with_its_last_error(
    tenant: Tenant,
) -> None:
    hosts = [tenant.host(f"eu-{n}") for n in range(20)]
    async with tenant.watch() as watch:
        jobs = [await tenant.create(host, maxAttempts=2) for host in hosts]
        await asyncio.gather(*(fail_next(host) for host in hosts))
        far = await crowd(tenant)
        await asyncio.gather(*(fail_next(host) for host in hosts))
        for _ in jobs:
            await watch.until("job_run.done", jobStatus="FAILED")
    for job in jobs:
        shown = await tenant.show(job)
        assert (shown["status"], shown["attempts"], shown["errorMessage"]) == ("FAILED", 2, "attempt 2")
        assert shown["completedAt"] == shown["jobRuns"][1]["finishedAt"]
        assert_retry_is_on_time(shown, 1, 2)
    assert (await tenant.show(far))["wait"]["reason"] == "scheduled"


async def test_a_job_is_tried_as_often_as_it_may(tenant: Tenant) -> None:
    host = tenant.host()
    once = await tenant.create(host, maxAttempts=1)
    assert (await host.finish((await host.take())["jobRunId"], "failed"))["willRetry"] is False
    assert (await tenant.show(once))["status"] == "FAILED"
