"""Cancelling, forcing, timing out and trying afresh."""

import asyncio
from typing import Any

import pytest

from tests.support.callers import PATIENCE, Document, Plane, Tenant
from tests.support.server import Rows, Server


async def ended(tenant: Tenant, status: str = "failed") -> Document:
    """A job that has ended for good."""
    host = tenant.host()
    job = await tenant.create(host, maxAttempts=1)
    await host.finish((await host.take())["jobRunId"], status)
    return job


async def test_a_waiting_job_is_cancelled_at_once(tenant: Tenant) -> None:
    host = tenant.host()
    job = await tenant.create(host)
    reply = await tenant.cancel(job, {"reason": "changed my mind"})
    assert (reply.status, reply.json["status"], reply.json["cancelRequested"]) == (200, "CANCELLED", True)
    assert [run["status"] for run in reply.json["jobRuns"]] == ["cancelled"]
    assert reply.json["completedAt"] is not None
    assert (await host.poll()).status == 204


async def test_a_scheduled_job_and_one_in_backoff_are_cancelled_at_once(tenant: Tenant) -> None:
    host = tenant.host()
    scheduled = await tenant.create(host, runAt="2999-01-01T00:00:00Z")
    assert (await tenant.cancel(scheduled)).json["status"] == "CANCELLED"
    retried = await tenant.create(host)
    await host.finish((await host.take())["jobRunId"], "failed")
    reply = await tenant.cancel(retried)
    assert (reply.status, reply.json["status"]) == (200, "CANCELLED")
    assert [run["status"] for run in reply.json["jobRuns"]] == ["failed", "cancelled"]


async def test_cancelling_again_is_harmless(tenant: Tenant) -> None:
    job = await tenant.create(tenant.host())
    first, again = await tenant.cancel(job), await tenant.cancel(job)
    assert (first.status, again.status) == (200, 200)
    assert first.json == again.json


@pytest.mark.parametrize(("status", "job_status"), [("success", "COMPLETED"), ("failed", "FAILED")])
async def test_an_ended_job_cannot_be_cancelled(tenant: Tenant, status: str, job_status: str) -> None:
    job = await ended(tenant, status)
    reply = await tenant.cancel(job, {"force": True})
    assert reply.refusal == (409, "invalid_state")
    assert reply.json["current"]["status"] == job_status


async def test_a_running_job_is_cancelled_once_its_agent_has_stopped_it(tenant: Tenant) -> None:
    host = tenant.host()
    job = await tenant.create(host)
    run_id = (await host.take())["jobRunId"]
    reply = await tenant.cancel(job)
    assert (reply.status, reply.json["status"], reply.json["cancelRequested"]) == (202, "RUNNING", True)
    assert reply.json["jobRuns"][0]["status"] == "cancelling"
    assert (await tenant.cancel(job)).status == 202
    told = await host.poll(running=[run_id])
    assert (told.status, told.headers["Interlock-Cancel"]) == (204, run_id)
    assert (await host.progress(run_id, 10)).json == {"status": "cancelling", "cancelRequested": True}
    answer = await host.finish(run_id, "cancelled")
    assert (answer["status"], answer["jobStatus"], answer["willRetry"]) == ("cancelled", "CANCELLED", False)
    assert (await tenant.cancel(job)).status == 200


async def test_a_parked_poll_hears_of_a_cancel_at_once(tenant: Tenant) -> None:
    host = tenant.host()
    job = await tenant.create(host)
    run_id = (await host.take())["jobRunId"]
    async with tenant.parked(host, running=[run_id]) as poll:
        assert (await tenant.cancel(job)).status == 202
        reply = await poll
    assert (reply.status, reply.headers["Interlock-Cancel"]) == (204, run_id)


@pytest.mark.parametrize(("status", "job_status"), [("success", "COMPLETED"), ("failed", "FAILED")])
async def test_the_truth_wins_over_a_cancel_and_is_never_retried(tenant: Tenant, status: str, job_status: str) -> None:
    host = tenant.host()
    job = await tenant.create(host)
    run_id = (await host.take())["jobRunId"]
    await tenant.cancel(job)
    answer = await host.finish(run_id, status)
    assert (answer["status"], answer["jobStatus"], answer["willRetry"]) == (status, job_status, False)
    shown = await tenant.show(job)
    assert (shown["status"], shown["cancelRequested"]) == (job_status, True)


async def test_force_ends_a_running_job_without_asking_its_agent(tenant: Tenant) -> None:
    host = tenant.host()
    job = await tenant.create(host)
    run_id = (await host.take())["jobRunId"]
    reply = await tenant.cancel(job, {"force": True})
    assert (reply.status, reply.json["status"]) == (200, "CANCELLED")
    late = await host.result(run_id)
    assert late.refusal == (409, "invalid_state")
    assert (await tenant.show(job))["status"] == "CANCELLED"


async def test_force_ends_a_job_whose_agent_was_already_asked(tenant: Tenant) -> None:
    host = tenant.host()
    job = await tenant.create(host)
    await host.take()
    assert (await tenant.cancel(job)).status == 202
    assert (await tenant.cancel(job, {"force": True})).status == 200


async def test_a_run_that_takes_too_long_is_asked_to_stop_and_tried_again(tenant: Tenant) -> None:
    host = tenant.host()
    job = await tenant.create(host, timeoutSeconds=0.5)
    taken = await host.take()
    assert taken["timeoutSeconds"] == 0.5
    told = await host.poll(25, running=[taken["jobRunId"]])
    assert (told.status, told.headers["Interlock-Cancel"]) == (204, taken["jobRunId"])
    shown = await tenant.show(job)
    assert (shown["jobRuns"][0]["status"], shown["cancelRequested"]) == ("cancelling", False)
    answer = await host.finish(taken["jobRunId"], "cancelled")
    assert (answer["status"], answer["jobStatus"], answer["willRetry"]) == ("timed_out", "PENDING", True)


async def test_a_timed_out_run_that_reports_success_is_timed_out(tenant: Tenant) -> None:
    host = tenant.host()
    job = await tenant.create(host, timeoutSeconds=0.3, maxAttempts=1)
    run_id = (await host.take())["jobRunId"]
    await host.poll(25, running=[run_id])
    answer = await host.finish(run_id)
    assert (answer["status"], answer["jobStatus"]) == ("timed_out", "FAILED")
    assert (await tenant.show(job))["errorCode"] == "timed_out"


async def test_the_clock_of_a_run_stands_still_while_it_waits_for_its_user(tenant: Tenant) -> None:
    host = tenant.host()
    job = await tenant.create(host, timeoutSeconds=0.5)
    run_id = (await host.take())["jobRunId"]
    await host.progress(run_id, 5, message="captcha", needsUserAction=True)
    assert (await tenant.show(job))["needsUserAction"] is True
    reply = await host.poll(1, running=[run_id])
    assert (reply.status, "Interlock-Cancel" in reply.headers) == (204, False)
    await host.progress(run_id, 6, needsUserAction=False)
    assert (await host.poll(25, running=[run_id])).headers["Interlock-Cancel"] == run_id


async def test_a_failed_job_is_tried_afresh(tenant: Tenant) -> None:
    host = tenant.host()
    job = await tenant.create(host, maxAttempts=2)
    await host.finish((await host.take())["jobRunId"], "failed", retryable=False, errorMessage="boom")
    assert (await tenant.show(job))["errorMessage"] == "boom"
    reply = await tenant.retry(job)
    assert reply.status == 200
    assert (reply.json["status"], reply.json["attempts"], reply.json["errorMessage"]) == ("PENDING", 0, None)
    assert [run["attempt"] for run in reply.json["jobRuns"]] == [1, 1]
    taken = await host.take(0)
    assert (taken["jobId"], taken["attempt"]) == (job["id"], 1)
    assert (await host.finish(taken["jobRunId"], "failed"))["willRetry"] is True


async def test_a_cancelled_job_is_tried_afresh_behind_what_waits(tenant: Tenant) -> None:
    host = tenant.host()
    job = await tenant.create(host)
    await tenant.cancel(job)
    other = await tenant.create(host)
    reply = await tenant.retry(job)
    assert (reply.json["status"], reply.json["cancelRequested"]) == ("PENDING", False)
    assert (await host.take(0))["jobId"] == other["id"]


@pytest.mark.parametrize("pooled", [False, True])
async def test_a_job_that_is_open_or_completed_cannot_be_retried(tenant: Tenant, *, pooled: bool) -> None:
    host = tenant.host()
    fields: dict[str, Any] = {"hostId": None, "job_type": "SEARCH_SINGLE"} if pooled else {}
    job = await tenant.create(host, **fields)

    async def refused_as(status: str) -> None:
        refused = await tenant.retry(job)
        assert refused.refusal == (409, "invalid_state")
        assert refused.json["current"]["status"] == status

    await refused_as("PENDING")
    run_id = (await host.take())["jobRunId"]
    await refused_as("RUNNING")
    await host.finish(run_id)
    await refused_as("COMPLETED")
    assert (await tenant.show(job))["status"] == "COMPLETED"


@pytest.mark.parametrize("body", [b"{bad", b'{"unheard": 1}', b"[]", b"null", b'{"a":"\\u0000"}'])
@pytest.mark.parametrize("action", ["cancel", "retry"])
async def test_a_bad_body_neither_cancels_nor_retries(tenant: Tenant, action: str, body: bytes) -> None:
    job = await (ended(tenant) if action == "retry" else tenant.create(tenant.host()))
    before = await tenant.show(job)
    reply = await tenant.user.post(f"{tenant.jobs_path}/{job['id']}/{action}", body)
    assert reply.refusal == (400, "invalid_request")
    assert await tenant.show(job) == before


async def test_an_empty_object_is_as_good_as_no_body(tenant: Tenant) -> None:
    job = await ended(tenant)
    assert (await tenant.user.post(f"{tenant.jobs_path}/{job['id']}/retry", {})).status == 200
    assert (await tenant.user.post(f"{tenant.jobs_path}/{job['id']}/cancel", {})).status == 200


async def test_a_retry_pressed_twice_is_done_once(tenant: Tenant) -> None:
    for _ in range(5):
        job = await ended(tenant)
        replies = await asyncio.gather(*(tenant.retry(job) for _ in range(4)))
        assert sorted(reply.refusal for reply in replies) == [(200, ""), *[(409, "invalid_state")] * 3]
        assert [run["attempt"] for run in (await tenant.show(job))["jobRuns"]] == [1, 1]


async def test_a_cancel_and_a_retry_at_once_are_both_decided(tenant: Tenant) -> None:
    host = tenant.host()
    for _ in range(10):
        job = await tenant.create(host)
        await tenant.cancel(job)
        asked = [ask(job) for ask in (tenant.retry, tenant.cancel) * 3]
        replies = await asyncio.gather(*asked)
        assert {reply.refusal for reply in replies[1::2]} == {(200, "")}
        assert {reply.refusal for reply in replies[::2]} <= {(200, ""), (409, "invalid_state")}


LATER: dict[str, float] = {"passivate_after_seconds": 0.1, "offline_after_seconds": 0.1}


@pytest.mark.parametrize("outcome", ["success", "failed", "cancelled"])
async def test_of_a_job_whose_host_is_deleted_all_is_decided_from_what_it_was(tenant: Tenant, outcome: str) -> None:
    host = tenant.host()
    job = await tenant.create(host, maxAttempts=1)
    if outcome == "cancelled":
        await tenant.cancel(job)
    else:
        await host.finish((await host.take())["jobRunId"], outcome)
    assert (await tenant.as_role("admin").ask("DELETE", f"{tenant.path}/hosts/{host.id}")).status == 204
    assert (await tenant.retry(job)).refusal == (409, "invalid_state")
    cancelled = await tenant.cancel(job)
    assert cancelled.status == (200 if outcome == "cancelled" else 409)
    assert (await tenant.show(job))["jobRuns"][-1]["status"] == outcome


async def test_when_the_deleted_hosts_actor_has_left_the_answers_are_the_same(
    plane: Plane, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("later")
    with Server(folder, **LATER) as server:
        tenant = Plane(server, Rows(folder), plane.session).tenant()
        jobs = []
        for outcome in ("success", "cancelled"):
            host = tenant.host(outcome)
            jobs.append(await tenant.create(host))
            run = (await host.take())["jobRunId"]
            await (host.finish(run) if outcome == "success" else tenant.cancel(jobs[-1], {"force": True}))
            await tenant.as_role("admin").ask("DELETE", f"{tenant.path}/hosts/{host.id}")
        async with asyncio.timeout(PATIENCE):
            while b"\ninterlock_host_actors 0.0" not in (await tenant.user.get("/metrics")).body:
                pass
        assert [(await tenant.cancel(job)).status for job in jobs] == [409, 200]
        assert [(await tenant.retry(job)).status for job in jobs] == [409, 409]
