"""Agents that come back: the same process, another one, a cloned key; heartbeats and their verdicts."""

import re

from tests.support.callers import Agent, Document, Tenant

RFC3339_MS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


async def started(tenant: Tenant, instance: str = "a") -> tuple[Agent, Document, str]:
    """A host, its job and the run that this process of its agent has taken."""
    host = tenant.host()
    job = await tenant.create(host)
    return host, job, (await host.take(instance=instance, running=[]))["jobRunId"]


async def verdicts(host: Agent, *runs: str, **fields: object) -> dict[str, str]:
    """What a heartbeat is told about the runs that it names."""
    reply = await host.beat(running=runs, **fields)
    assert reply.status == 200, reply
    return {run["jobRunId"]: run["verdict"] for run in reply.json["runs"]}


async def test_a_new_process_without_the_run_loses_it_and_the_job_is_tried_again(tenant: Tenant) -> None:
    host, job, lost = await started(tenant)
    async with tenant.watch() as watch:
        reply = await host.poll(instance="b", running=[])
        done = await watch.until("job_run.done", jobRunId=lost)
    assert reply.status == 204
    assert (done["data"]["status"], done["data"]["willRetry"]) == ("lost", True)
    shown = await tenant.show(job)
    assert [(run["status"], run["attempt"]) for run in shown["jobRuns"]] == [("lost", 1), ("scheduled", 2)]
    assert shown["wait"]["reason"] == "backoff"


async def test_a_new_process_that_does_not_say_what_it_runs_loses_the_run_too(tenant: Tenant) -> None:
    host, job, _ = await started(tenant)
    await host.poll(instance="b")
    assert (await tenant.show(job))["jobRuns"][0]["status"] == "lost"


async def test_a_new_process_that_names_the_run_keeps_it(tenant: Tenant) -> None:
    host, job, run_id = await started(tenant)
    assert (await host.poll(instance="b", running=[run_id])).status == 204
    assert (await tenant.show(job))["jobRuns"][0]["status"] == "running"
    assert (await host.finish(run_id))["jobStatus"] == "COMPLETED"


async def test_a_poll_without_instance_never_contradicts_the_present_one(tenant: Tenant) -> None:
    host, job, run_id = await started(tenant)
    assert (await host.poll()).status == 204
    assert (await tenant.show(job))["jobRuns"][0]["status"] == "running"
    assert await verdicts(host, run_id, instanceId="a") == {run_id: "continue"}


async def test_a_lost_publishing_is_not_tried_again(tenant: Tenant) -> None:
    host = tenant.host()
    job = await tenant.create(host, job_type="PUBLISH_POST", maxAttempts=3)
    await host.take(instance="a", running=[])
    await host.poll(instance="b", running=[])
    shown = await tenant.show(job)
    assert (shown["status"], shown["errorCode"]) == ("FAILED", "lost")


async def test_a_report_from_the_old_process_about_its_lost_run_is_late(tenant: Tenant) -> None:
    host, job, lost = await started(tenant)
    await host.poll(instance="b", running=[])
    assert (await host.result(lost)).refusal == (409, "invalid_state")
    assert [late["jobRunId"] for late in (await tenant.show(job))["lateReports"]] == [lost]


async def test_a_new_process_without_a_run_that_was_being_cancelled_confirms_the_cancel(tenant: Tenant) -> None:
    host, job, _ = await started(tenant)
    assert (await tenant.cancel(job)).status == 202
    await host.poll(instance="b", running=[])
    assert (await tenant.show(job))["status"] == "CANCELLED"


async def test_a_process_that_no_longer_runs_what_it_should_stop_confirms_the_cancel(tenant: Tenant) -> None:
    host, job, _ = await started(tenant)
    assert (await tenant.cancel(job)).status == 202
    await host.poll(instance="a", running=[])
    assert (await tenant.show(job))["status"] == "CANCELLED"


async def test_a_heartbeat_is_told_the_time_the_intervals_and_a_verdict_for_each_run(tenant: Tenant) -> None:
    host, job, run_id = await started(tenant)
    stranger = job["id"]
    reply = await host.beat(instanceId="a", running=[run_id, stranger])
    assert reply.status == 200
    assert RFC3339_MS.fullmatch(reply.json["serverTime"])
    assert set(reply.json) == {"serverTime", "runs", "intervals"}
    assert reply.json["intervals"]
    assert reply.json["runs"] == [
        {"jobRunId": run_id, "verdict": "continue"},
        {"jobRunId": stranger, "verdict": "abandon"},
    ]


async def test_a_heartbeat_is_told_to_cancel_and_later_to_abandon(tenant: Tenant) -> None:
    host, job, run_id = await started(tenant)
    await tenant.cancel(job)
    assert await verdicts(host, run_id, instanceId="a") == {run_id: "cancel"}
    await tenant.cancel(job, {"force": True})
    assert await verdicts(host, run_id, instanceId="a") == {run_id: "abandon"}


async def test_an_empty_heartbeat_is_a_sign_of_life(tenant: Tenant) -> None:
    host = tenant.host()
    async with tenant.watch() as watch:
        reply = await host.post(f"{host.path}/heartbeat")
        assert (reply.status, reply.json["runs"]) == (200, [])
        await watch.until("host.online", hostId=host.id)


async def test_a_heartbeat_of_a_superseded_process_is_refused_and_changes_nothing(tenant: Tenant) -> None:
    host, job, run_id = await started(tenant)
    await host.poll(instance="b", running=[run_id])
    reply = await host.beat(instanceId="a", running=[])
    assert reply.refusal == (409, "superseded")
    assert (await tenant.show(job))["jobRuns"][0]["status"] == "running"
    assert (await host.beat(instanceId="b", running=[run_id])).status == 200


async def test_a_heartbeat_alone_never_changes_the_process(tenant: Tenant) -> None:
    host, job, run_id = await started(tenant)
    assert (await host.beat(instanceId="b", running=[])).refusal == (409, "superseded")
    assert await verdicts(host, run_id, instanceId="a") == {run_id: "continue"}
    assert (await tenant.show(job))["status"] == "RUNNING"


async def test_after_force_a_declaring_agent_gets_nothing_until_it_says_that_it_is_idle(tenant: Tenant) -> None:
    host, job, run_id = await started(tenant)
    following = await tenant.create(host)
    await tenant.cancel(job, {"force": True})
    for reply in (await host.poll(), await host.poll(instance="a")):
        assert reply.status == 204
    busy = await host.poll(instance="a", running=[run_id])
    assert (busy.status, busy.headers["Interlock-Cancel"]) == (204, run_id)
    assert (await host.take(0, instance="a", running=[]))["jobId"] == following["id"]


async def test_after_force_an_agent_that_declares_nothing_is_taken_to_be_idle_when_it_polls(tenant: Tenant) -> None:
    host = tenant.host()
    job, following = await tenant.create(host), await tenant.create(host)
    await host.take()
    await tenant.cancel(job, {"force": True})
    assert (await tenant.show(following))["wait"]["reason"] == "awaiting_idle"
    assert (await host.take(0))["jobId"] == following["id"]


async def test_a_poll_that_was_parked_before_force_does_not_vouch_for_the_machine(tenant: Tenant) -> None:
    host, job, run_id = await started(tenant)
    following = await tenant.create(host)
    async with tenant.parked(host, instance="a", running=[run_id]) as poll:
        await tenant.cancel(job, {"force": True})
        assert (await poll).status == 204
    assert (await tenant.show(following))["status"] == "PENDING"


async def test_a_key_that_two_processes_use_in_turn_makes_the_host_unhealthy(tenant: Tenant) -> None:
    host = tenant.host()
    for instance in "abababab":
        await host.poll(instance=instance, running=[])
    job = await tenant.create(host)
    assert (await host.poll(instance="b", running=[])).status == 204
    shown = await tenant.show(job)
    assert (shown["status"], shown["wait"]["reason"]) == ("PENDING", "host_unhealthy")


async def test_restarts_of_one_agent_are_not_taken_for_a_cloned_key(tenant: Tenant) -> None:
    host = tenant.host()
    for instance in "abcdefgh":
        await host.poll(instance=instance, running=[])
    job = await tenant.create(host)
    assert (await host.take(instance="h", running=[]))["jobId"] == job["id"]


async def test_a_heartbeat_that_crossed_its_run_s_report_keeps_nothing_from_the_host(tenant: Tenant) -> None:
    host = tenant.host()
    await tenant.create(host)
    run_id = (await host.take())["jobRunId"]
    await host.finish(run_id)
    assert await verdicts(host, run_id) == {run_id: "abandon"}
    job = await tenant.create(host)
    assert job["wait"]["reason"] != "awaiting_idle"
    assert (await host.take(0))["jobId"] == job["id"]


async def test_a_parked_poll_hears_of_a_run_that_was_ended_by_force(tenant: Tenant) -> None:
    host = tenant.host()
    job = await tenant.create(host)
    run_id = (await host.take())["jobRunId"]
    async with tenant.parked(host) as poll:
        await tenant.cancel(job, {"force": True})
        reply = await poll
    assert (reply.status, reply.headers["Interlock-Cancel"]) == (204, run_id)
