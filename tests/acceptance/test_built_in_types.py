"""The job types that are always there: what each needs, and how often each is tried."""

from typing import Any

import pytest

from tests.support.callers import Reply, Tenant

LATER, EARLIER = "2999-01-01T00:00:00.000Z", "2001-01-01T00:00:00.000Z"
SERVER = ("SERVER_START", "SERVER_STOP", "SERVER_RESTART")
SEARCH = ("SEARCH_SINGLE", "SEARCH_BULK", "google_maps", "google_maps_search")
PUBLISH = ("PUBLISH_POST", "PUBLISH_VARIANT")


async def create(tenant: Tenant, **body: Any) -> Reply:
    return await tenant.user.post(tenant.jobs_path, body)


def place(reply: Reply) -> str:
    """Where the mistake is."""
    (error,) = reply.json["errors"]
    return str(error["path"])


@pytest.mark.parametrize("job_type", [*SERVER, *SEARCH, *PUBLISH])
@pytest.mark.parametrize("payload", [None, {}, {"any": ["thing", {"at": 1.5}]}])
async def test_any_object_is_a_payload_and_none_is_an_empty_one(tenant: Tenant, job_type: str, payload: Any) -> None:
    job = await tenant.create(tenant.host(), job_type=job_type, payload=payload)
    assert job["payload"] == (payload or {})


@pytest.mark.parametrize("job_type", [*SERVER, *SEARCH, *PUBLISH, "SCHEDULE_POST"])
@pytest.mark.parametrize("payload", [[], "text", 1, True])
async def test_a_payload_is_an_object(tenant: Tenant, job_type: str, payload: Any) -> None:
    reply = await create(tenant, type=job_type, hostId=tenant.host().id, payload=payload)
    assert (reply.refusal, place(reply)) == ((400, "invalid_request"), "$.payload")


@pytest.mark.parametrize("job_type", SERVER)
async def test_what_is_done_to_a_server_needs_a_target(tenant: Tenant, job_type: str) -> None:
    assert (await create(tenant, type=job_type)).refusal == (400, "invalid_request")


@pytest.mark.parametrize("job_type", [*SERVER, *SEARCH])
async def test_a_job_is_tried_three_times(tenant: Tenant, job_type: str) -> None:
    assert (await tenant.create(tenant.host(), job_type=job_type))["maxAttempts"] == 3


@pytest.mark.parametrize("job_type", [*PUBLISH, "SCHEDULE_POST"])
async def test_what_is_published_is_tried_once_unless_its_job_says_otherwise(tenant: Tenant, job_type: str) -> None:
    host = tenant.host()
    assert (await tenant.create(host, job_type=job_type, runAt=LATER))["maxAttempts"] == 1
    assert (await tenant.create(host, job_type=job_type, runAt=LATER, maxAttempts=2))["maxAttempts"] == 2


@pytest.mark.parametrize("job_type", [*PUBLISH, "SCHEDULE_POST"])
async def test_what_is_published_and_then_lost_is_not_published_again(tenant: Tenant, job_type: str) -> None:
    host = tenant.host()
    await host.poll(running=(), instance="one")
    job = await tenant.create(host, job_type=job_type, runAt=EARLIER, maxAttempts=3)
    await host.take(running=(), instance="one")
    await host.poll(running=(), instance="two")  # its agent is back without it: nobody knows whether it was published
    job = await tenant.show(job)
    assert (job["status"], job["errorCode"], len(job["jobRuns"])) == ("FAILED", "lost", 1)


@pytest.mark.parametrize("job_type", ["SERVER_START", "SEARCH_SINGLE", "PUBLISH_POST", "SCHEDULE_POST"])
async def test_any_job_may_be_for_later(tenant: Tenant, job_type: str) -> None:
    host = tenant.host()
    job = await tenant.create(host, job_type=job_type, runAt="2999-01-01T02:00:00+02:00")
    assert (job["runAt"], job["jobRuns"][0]["status"]) == (LATER, "scheduled")
    assert (job["wait"]["reason"], job["wait"]["until"]) == ("scheduled", LATER)
    assert (await host.poll()).status == 204


async def test_a_time_that_has_passed_is_now(tenant: Tenant) -> None:
    host = tenant.host()
    job = await tenant.create(host, job_type="SCHEDULE_POST", runAt=EARLIER)
    assert (await host.take())["jobId"] == job["id"]


async def test_a_scheduled_post_may_say_its_time_in_its_payload(tenant: Tenant) -> None:
    host = tenant.host()
    for name in ("payload", "input"):
        reply = await create(tenant, type="SCHEDULE_POST", hostId=host.id, **{name: {"scheduledAt": LATER}})
        assert (reply.status, reply.json["runAt"], reply.json["payload"]) == (201, LATER, {"scheduledAt": LATER})
    both = await tenant.create(host, job_type="SCHEDULE_POST", runAt=EARLIER, payload={"scheduledAt": LATER})
    assert both["runAt"] == EARLIER


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, "$.runAt"),
        ({"payload": {"scheduledAt": None}}, "$.runAt"),
        ({"payload": {"scheduledAt": 17}}, "$.payload.scheduledAt"),
        ({"payload": {"scheduledAt": "tomorrow"}}, "$.payload.scheduledAt"),
        ({"input": {"scheduledAt": "2999-01-01T00:00:00"}}, "$.input.scheduledAt"),
        ({"input": {"scheduledAt": "2999-02-30T00:00:00Z"}}, "$.input.scheduledAt"),
        ({"runAt": "tomorrow", "payload": {"scheduledAt": LATER}}, "$.runAt"),
    ],
)
async def test_a_scheduled_post_without_its_time_says_where_it_is_missed(tenant: Tenant, body: Any, path: str) -> None:
    reply = await create(tenant, type="SCHEDULE_POST", hostId=tenant.host().id, **body)
    assert (reply.refusal, place(reply)) == ((400, "invalid_request"), path)


async def test_scheduled_at_means_nothing_to_other_types(tenant: Tenant) -> None:
    job = await tenant.create(tenant.host(), job_type="PUBLISH_POST", payload={"scheduledAt": "tomorrow"})
    assert job["runAt"] is None


async def test_a_post_that_could_not_be_published_in_time_is_not_published_at_all(tenant: Tenant) -> None:
    host = tenant.host()
    async with tenant.watch() as watch:
        job = await tenant.create(host, job_type="SCHEDULE_POST", runAt=EARLIER, startBefore="2001-01-01T01:00:00Z")
        await watch.until("job_run.done", jobId=job["id"])
    job = await tenant.show(job)
    assert (job["status"], job["errorCode"], job["jobRuns"][0]["status"]) == ("FAILED", "expired", "expired")
    assert (await host.poll()).status == 204
