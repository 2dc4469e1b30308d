"""A job's log: every line once, however it comes; and whoever follows it hears of it at once."""

import asyncio
from typing import Any

import pytest

from tests.support.callers import Agent, Document, Tenant


async def started(tenant: Tenant, **fields: Any) -> tuple[Agent, Document, str]:
    """A host, its job and the run that its agent has taken."""
    host = tenant.host()
    job = await tenant.create(host, **fields)
    return host, job, (await host.take())["jobRunId"]


def lines(*numbers: int) -> list[Document]:
    return [{"seq": number, "message": f"line {number}"} for number in numbers]


async def log(tenant: Tenant, job: Document, **query: Any) -> list[Document]:
    """The job's log as users see it."""
    reply = await tenant.user.get(f"{tenant.jobs_path}/{job['id']}/logs", **query)
    assert reply.status == 200, reply
    items: list[Document] = reply.json["items"]
    return items


async def test_the_answer_says_which_line_is_expected_next(tenant: Tenant) -> None:
    host, job, run_id = await started(tenant)
    following = [(await host.logs(run_id, *lines(*each))).json["nextSeq"] for each in ((), (1, 2), (4,), (2, 3), (5,))]
    assert following == [0, 3, 3, 5, 6]
    assert [each["message"] for each in await log(tenant, job)] == [f"line {number}" for number in (1, 2, 4, 3, 5)]


async def test_lines_that_many_connections_send_again_are_stored_once(tenant: Tenant) -> None:
    host, job, run_id = await started(tenant)
    answers = await asyncio.gather(*(host.logs(run_id, *lines(*range(1, 101))) for _ in range(8)))
    assert {answer.json["nextSeq"] for answer in answers} == {101}
    stored = await log(tenant, job)
    assert [each["seq"] for each in stored] == list(range(1, 101))


async def test_lines_may_trail_the_result_while_the_host_has_gone_on(tenant: Tenant) -> None:
    host, job, run_id = await started(tenant)
    await host.logs(run_id, *lines(1, 2))
    await host.finish(run_id)
    other = await tenant.create(host)
    second = (await host.take())["jobRunId"]  # the slot is free: nobody waits for the log
    reply = await host.logs(run_id, *lines(2, 3))
    assert reply.json == {"status": "success", "cancelRequested": False, "nextSeq": 4}
    assert (await host.logs(second, *lines(1))).json["nextSeq"] == 2
    assert [each["message"] for each in await log(tenant, job)] == ["line 1", "line 2", "line 3"]
    assert len(await log(tenant, other)) == 1


async def test_lines_of_two_attempts_stand_in_one_log(tenant: Tenant) -> None:
    host, job, first = await started(tenant)
    await host.logs(first, *lines(1))
    await host.finish(first, "failed", retryable=False)
    await tenant.retry(job)
    second = (await host.take())["jobRunId"]
    await host.logs(second, *lines(1))
    await host.logs(first, *lines(2))
    shown = await log(tenant, job)
    assert [(each["seq"], each["jobRunId"]) for each in shown] == [(1, first), (2, second), (3, first)]


async def test_who_follows_gets_the_next_line_at_once_and_nobody_elses(tenant: Tenant) -> None:
    host, job, run_id = await started(tenant)
    other_host, other, other_run = await started(tenant)
    following = asyncio.create_task(log(tenant, job, follow=1, wait=25))
    others = asyncio.create_task(log(tenant, other, follow=1, wait=25))
    await other_host.logs(other_run, *lines(1))
    assert [each["jobRunId"] for each in await others] == [other_run]
    assert not following.done()
    await host.logs(run_id, *lines(1))
    assert [each["message"] for each in await following] == ["line 1"]


async def test_a_message_of_progress_wakes_who_follows_too(tenant: Tenant) -> None:
    host, job, run_id = await started(tenant)
    await host.logs(run_id, *lines(1))
    following = asyncio.create_task(log(tenant, job, follow=1, after=1, wait=25))
    await host.progress(run_id, 40, message="nearly half")
    (line,) = await following
    assert (line["message"], line["progress"]) == ("nearly half", 40)


async def test_when_the_job_is_over_nobody_is_kept_waiting(tenant: Tenant) -> None:
    host, job, run_id = await started(tenant)
    await host.logs(run_id, *lines(1))
    following = asyncio.create_task(log(tenant, job, follow=1, after=1, wait=25))
    await host.finish(run_id)
    assert await following == []
    assert await log(tenant, job, follow=1, after=1) == []
    assert [each["message"] for each in await log(tenant, job, follow=1)] == ["line 1"]


async def test_a_job_that_never_ran_has_an_empty_log_and_a_cancel_ends_the_waiting(tenant: Tenant) -> None:
    job = await tenant.create(tenant.host())
    assert await log(tenant, job) == []
    following = asyncio.create_task(log(tenant, job, follow=1, wait=25))
    await tenant.cancel(job)
    assert await following == []


@pytest.mark.parametrize("query", [{"after": -1}, {"after": "x"}, {"limit": 0}, {"limit": 1001}, {"after": 2**60}])
async def test_a_place_that_is_none_is_refused(tenant: Tenant, query: dict[str, Any]) -> None:
    job = await tenant.create(tenant.host())
    reply = await tenant.user.get(f"{tenant.jobs_path}/{job['id']}/logs", **query)
    assert reply.refusal == (400, "invalid_request")


async def test_another_orgs_log_is_not_found(tenant: Tenant) -> None:
    _, job, _ = await started(tenant)
    stranger = tenant.plane.tenant()
    assert (await stranger.user.get(f"{stranger.jobs_path}/{job['id']}/logs", follow=1)).refusal == (404, "not_found")
    assert (await stranger.user.get(f"/jobs/{job['id']}/logs")).refusal == (404, "not_found")
