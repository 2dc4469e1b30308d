"""What an agent says of a run: its result, repeated, late or contradicting; its progress; its log."""

import asyncio
from typing import Any

import pytest

from tests.support.callers import Agent, Document, Tenant


async def started(tenant: Tenant, **fields: Any) -> tuple[Agent, Document, str]:
    """A host, its job and the run that its agent has taken."""
    host = tenant.host()
    job = await tenant.create(host, **fields)
    return host, job, (await host.take())["jobRunId"]


@pytest.mark.parametrize(
    ("report", "run_status", "job_status", "will_retry", "error_code"),
    [
        ({"status": "success"}, "success", "COMPLETED", False, None),
        ({"status": "failed"}, "failed", "PENDING", True, "failed"),
        ({"status": "failed", "errorCode": "oom"}, "failed", "PENDING", True, "oom"),
        ({"status": "failed", "retryable": False}, "failed", "FAILED", False, "failed"),
        ({"status": "rejected"}, "rejected", "FAILED", False, "rejected"),
        ({"status": "cancelled"}, "failed", "PENDING", True, "agent_cancelled"),
    ],
)
async def test_a_result_ends_the_run(
    tenant: Tenant,
    report: dict[str, Any],
    run_status: str,
    job_status: str,
    will_retry: bool,
    error_code: str | None,
) -> None:
    host, job, run_id = await started(tenant)
    reply = await host.post(f"{host.path}/jobs/{run_id}/result", report)
    assert reply.status == 200
    assert reply.json == {"status": run_status, "jobStatus": job_status, "willRetry": will_retry, "replayed": False}
    shown = await tenant.show(job)
    assert shown["status"] == job_status
    run = shown["jobRuns"][0]
    assert (run["status"], run["result"]["errorCode"]) == (run_status, error_code)
    assert run["finishedAt"] is not None


async def test_a_result_keeps_all_that_it_says(tenant: Tenant) -> None:
    host, job, run_id = await started(tenant, maxAttempts=1)
    said = {"durationMs": 4711, "errorMessage": "no such map", "errorCode": "E_MAP", "output": {"tried": ["de_x"]}}
    await host.finish(run_id, "failed", **said)
    shown = await tenant.show(job)
    assert shown["jobRuns"][0]["result"] == said
    assert [shown[name] for name in ("errorCode", "errorMessage", "output")] == [
        "E_MAP",
        "no such map",
        {"tried": ["de_x"]},
    ]


async def test_fields_that_the_server_does_not_know_are_passed_over(tenant: Tenant) -> None:
    host, _, run_id = await started(tenant)
    assert (await host.progress(run_id, 1, mood="fine")).status == 200
    assert (await host.beat(running=[run_id], mood={"deep": [None]})).status == 200
    assert (await host.logs(run_id, {"seq": 1, "message": "x", "mood": 1})).status == 200
    assert (await host.result(run_id, mood="fine")).status == 200


async def test_the_same_report_again_is_answered_as_the_first_was(tenant: Tenant) -> None:
    host, job, run_id = await started(tenant)
    first = await host.finish(run_id, "failed", durationMs=5)
    again = await host.finish(run_id, "failed", durationMs=5)
    assert again == first | {"replayed": True}
    assert len((await tenant.show(job))["jobRuns"]) == 2
    assert (await tenant.show(job))["lateReports"] == []


async def test_the_same_report_from_many_connections_ends_the_run_once(tenant: Tenant) -> None:
    host, job, run_id = await started(tenant)
    answers = await asyncio.gather(*(host.finish(run_id, "failed") for _ in range(8)))
    assert sorted(answer["replayed"] for answer in answers) == [False] + [True] * 7
    assert len((await tenant.show(job))["jobRuns"]) == 2


async def test_a_contradicting_report_is_refused_with_the_present_state_and_kept(tenant: Tenant) -> None:
    host, job, run_id = await started(tenant, maxAttempts=1)
    await host.finish(run_id, "failed", errorMessage="boom")
    reply = await host.result(run_id, output={"pid": 7})
    assert reply.refusal == (409, "invalid_state")
    assert (reply.json["current"]["id"], reply.json["current"]["status"]) == (run_id, "failed")
    shown = await tenant.show(job)
    assert (shown["status"], shown["output"]) == ("FAILED", None)
    (late,) = shown["lateReports"]
    assert late["jobRunId"] == run_id
    assert (late["body"]["status"], late["body"]["output"]) == ("success", {"pid": 7})


async def test_a_late_report_that_is_repeated_is_kept_once(tenant: Tenant) -> None:
    host, job, run_id = await started(tenant)
    await tenant.cancel(job, {"force": True})
    for _ in range(3):
        assert (await host.result(run_id, output={"n": 1})).refusal == (409, "invalid_state")
    assert (await host.result(run_id, output={"n": 2})).refusal == (409, "invalid_state")
    shown = await tenant.show(job)
    assert shown["status"] == "CANCELLED"
    assert [late["body"]["output"]["n"] for late in shown["lateReports"]] == [1, 2]


async def test_a_report_about_an_old_attempt_never_touches_the_next(tenant: Tenant) -> None:
    host, job, old = await started(tenant)
    await host.finish(old, "failed", retryable=False)
    await tenant.retry(job)
    new = (await host.take())["jobRunId"]
    assert new != old
    assert (await host.result(old)).refusal == (409, "invalid_state")
    assert (await host.progress(old, 99)).refusal == (409, "invalid_state")
    shown = await tenant.show(job)
    assert (shown["status"], shown["progress"]) == ("RUNNING", 0)
    assert [run["status"] for run in shown["jobRuns"]] == ["failed", "running"]


async def test_a_run_that_has_not_started_cannot_be_reported(tenant: Tenant) -> None:
    host = tenant.host()
    job = await tenant.create(host)
    reply = await host.result(job["jobRuns"][0]["id"])
    assert reply.refusal == (409, "invalid_state")
    assert reply.json["current"]["status"] == "pending"
    assert (await tenant.show(job))["status"] == "PENDING"


async def test_a_run_of_another_host_is_not_found(tenant: Tenant) -> None:
    _, job, run_id = await started(tenant)
    for other in (tenant.host("other"), tenant.plane.tenant().host()):
        assert (await other.result(run_id)).refusal == (404, "not_found")
        assert (await other.progress(run_id, 50)).refusal == (404, "not_found")
        assert (await other.logs(run_id, {"seq": 1, "message": "x"})).refusal == (404, "not_found")
    shown = await tenant.show(job)
    assert (shown["status"], shown["progress"], shown["counts"]["logs"]) == ("RUNNING", 0, 0)


async def test_a_result_may_take_the_next_job_and_its_repetition_gets_the_same(tenant: Tenant) -> None:
    host, _, run_id = await started(tenant)
    second, third = await tenant.create(host), await tenant.create(host)
    first = await host.finish(run_id, take_next=True)
    assert set(first["next"]) == {"jobId", "jobRunId", "runNo", "type", "payload", "attempt", "timeoutSeconds"}
    assert (first["next"]["jobId"], first["replayed"]) == (second["id"], False)
    again = await host.finish(run_id, take_next=True)
    assert again == first | {"replayed": True}
    assert (await tenant.show(third))["status"] == "PENDING"


async def test_a_repeated_report_takes_no_second_job_once_its_next_has_ended(tenant: Tenant) -> None:
    host, _, run_id = await started(tenant)
    await tenant.create(host)
    third = await tenant.create(host)
    following = (await host.finish(run_id, take_next=True))["next"]
    await host.finish(following["jobRunId"])
    again = await host.finish(run_id, take_next=True)
    assert (again["replayed"], again.get("next")) == (True, None)
    assert (await tenant.show(third))["status"] == "PENDING"


@pytest.mark.parametrize(("said", "kept"), [(12.0, 12), (1234.5678, 1235), (0.2, 0)])
async def test_a_duration_may_have_a_fraction(tenant: Tenant, said: float, kept: int) -> None:
    host, job, run_id = await started(tenant)
    await host.finish(run_id, durationMs=said)
    assert (await host.finish(run_id, durationMs=kept))["replayed"]
    assert (await tenant.show(job))["jobRuns"][0]["result"]["durationMs"] == kept


async def test_a_result_takes_nothing_unless_it_asks_and_nothing_when_nothing_waits(tenant: Tenant) -> None:
    host, _, run_id = await started(tenant)
    waiting = await tenant.create(host)
    assert "next" not in await host.finish(run_id)
    assert (await tenant.show(waiting))["status"] == "PENDING"
    taken = await host.take()
    assert (await host.finish(taken["jobRunId"], take_next=True)).get("next") is None


async def test_progress_is_shown_logged_and_answered_with_the_runs_state(tenant: Tenant) -> None:
    host, job, run_id = await started(tenant)
    async with tenant.watch() as watch:
        reply = await host.progress(run_id, 40.7, message="loading", needsUserAction=True)
        updated = await watch.until("job.updated", jobId=job["id"])
    assert reply.json == {"status": "running", "cancelRequested": False, "needsUserAction": True}
    assert (updated["data"]["progress"], updated["data"]["needsUserAction"]) == (40, True)
    shown = await tenant.show(job)
    assert (shown["progress"], shown["needsUserAction"], shown["counts"]["logs"]) == (40, True, 1)
    (line,) = (await tenant.user.get(f"{tenant.jobs_path}/{job['id']}/logs")).json["items"]
    assert (line["message"], line["progress"], line["jobRunId"]) == ("loading", 40, run_id)


async def test_a_retry_starts_its_progress_afresh(tenant: Tenant) -> None:
    host, job, run_id = await started(tenant)
    await host.progress(run_id, 80, needsUserAction=True)
    await host.finish(run_id, "failed")
    shown = await tenant.show(job)
    assert (shown["progress"], shown["needsUserAction"]) == (0, False)


async def test_a_log_line_that_comes_again_is_stored_once(tenant: Tenant) -> None:
    host, job, run_id = await started(tenant)
    lines: list[Document] = [{"seq": n, "level": "info", "message": f"line {n}"} for n in range(4)]
    for part in (lines[:2], lines[:2], lines[1:], lines):
        reply = await host.logs(run_id, *part)
        assert reply.json == {"status": "running", "cancelRequested": False, "nextSeq": part[-1]["seq"] + 1}
    items = (await tenant.user.get(f"{tenant.jobs_path}/{job['id']}/logs")).json["items"]
    assert [item["message"] for item in items] == [f"line {n}" for n in range(4)]
    assert (await tenant.show(job))["counts"]["logs"] == 4


async def test_log_lines_may_trail_the_result_and_keep_their_times(tenant: Tenant) -> None:
    host, job, run_id = await started(tenant)
    await host.finish(run_id)
    line = {"seq": 9, "level": "error", "message": "last words \U0001f600", "at": "2026-01-02T03:04:05.678+01:00"}
    assert (await host.logs(run_id, line)).status == 200
    (item,) = (await tenant.user.get(f"{tenant.jobs_path}/{job['id']}/logs")).json["items"]
    assert (item["message"], item["createdAt"]) == ("last words \U0001f600", "2026-01-02T02:04:05.678Z")


async def test_each_attempt_has_log_numbers_of_its_own(tenant: Tenant) -> None:
    host, job, first = await started(tenant)
    await host.logs(first, {"seq": 1, "message": "one"})
    await host.finish(first, "failed", retryable=False)
    await tenant.retry(job)
    second = (await host.take())["jobRunId"]
    await host.logs(second, {"seq": 1, "message": "two"})
    items = (await tenant.user.get(f"{tenant.jobs_path}/{job['id']}/logs")).json["items"]
    assert [(item["jobRunId"], item["message"]) for item in items] == [(first, "one"), (second, "two")]


async def test_a_heartbeat_that_names_no_run_hears_of_the_one_that_is_on(tenant: Tenant) -> None:
    host, job, run_id = await started(tenant)
    assert (await host.beat()).json["runs"] == [{"jobRunId": run_id, "verdict": "continue"}]
    await tenant.cancel(job)
    assert [(run["jobRunId"], run["verdict"]) for run in (await host.beat()).json["runs"]] == [(run_id, "cancel")]
    assert (await host.beat(running=[])).json["runs"] == []
    await host.finish(run_id, "cancelled")
    assert (await host.beat()).json["runs"] == []


async def test_a_report_is_the_same_in_whatever_order_its_members_come(tenant: Tenant) -> None:
    host, job, run_id = await started(tenant)
    await host.finish(run_id, output={"a": {"x": 1, "y": 2}, "b": 2})
    again = await host.finish(run_id, output={"b": 2, "a": {"y": 2, "x": 1}}, errorMessage=None, retryable=None)
    assert again["replayed"]
    assert (await tenant.show(job))["lateReports"] == []


async def test_a_null_is_as_good_as_nothing(tenant: Tenant) -> None:
    host, _, run_id = await started(tenant)
    answer = await host.finish(
        run_id, "failed", retryable=None, output=None, durationMs=None, errorCode=None, errorMessage=None
    )
    assert answer["willRetry"]


async def test_whole_seconds_are_whole_numbers(tenant: Tenant) -> None:
    host = tenant.host()
    created = await tenant.create(host, timeoutSeconds=600)
    halved = await tenant.create(host, timeoutSeconds=1.5)
    taken = await host.take()
    beat = await host.beat()
    shown = await tenant.show(created)
    assert [(said, type(said)) for said in (taken["timeoutSeconds"], shown["timeoutSeconds"])] == [(600, int)] * 2
    assert halved["timeoutSeconds"] == 1.5
    assert all(isinstance(seconds, int) for seconds in beat.json["intervals"].values())
