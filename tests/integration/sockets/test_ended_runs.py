"""Agents that speak of runs which have ended here, most of all after they were away: with the job's id alone, and however
it fits the run.
"""

from typing import Any

import pytest

from tests.support.callers import Agent, Document, Tenant
from tests.support.sockets import Talk, Ways, plain

NOWHERE = "018f0000-0000-7000-8000-000000000000"
ITEM = {"type": "company", "title": "Acme", "source": "google_maps", "snippet": "{}", "confidence": "high"}
FIELDS: dict[str, dict[str, Any]] = {
    "job:progress": {"progress": 5},
    "job:log": {"lines": [{"seq": 1, "message": "x"}]},
    "job:evidence": {"evidence": [ITEM]},
    "job:done": {"output": 1},
    "job:error": {"error": "x"},
    "job:cancelled": {},
}


async def started(tenant: Tenant, host: Agent, talk: Talk, **fields: Any) -> Document:
    """A job that the agent has acked."""
    job = await tenant.create(host, **fields)
    await talk.next("job:new", jobId=job["id"])
    return await talk.ask("job:ack", jobId=job["id"])


async def ended(tenant: Tenant, host: Agent, connect: Ways, **fields: Any) -> Document:
    """A job of which a run has ended on a connection that is over."""
    async with connect(host) as talk:
        given = await started(tenant, host, talk, **fields)
        await talk.ask("job:done", jobId=given["jobId"], output=1)
    return given


async def late_reports(tenant: Tenant, given: Document) -> int:
    return len((await tenant.show({"id": given["jobId"]}))["lateReports"])


async def test_a_report_by_job_id_alone_is_known_again_on_a_new_connection(
    tenant: Tenant, host: Agent, connect: Ways
) -> None:
    given = await ended(tenant, host, connect)
    async with connect(host) as talk:
        again = await talk.ask("job:done", jobId=given["jobId"], output=1)
        assert (again["replayed"], again["jobRunId"]) == (True, given["jobRunId"])
        refusal = await talk.refusal("job:error", jobId=given["jobId"], error="x")
        assert (refusal["code"], refusal["jobRunId"]) == ("invalid_state", given["jobRunId"])
        assert refusal["current"]["status"] == "success"
        assert await talk.refused("job:progress", jobId=given["jobId"], progress=1) == "invalid_state"
        assert await talk.refused("job:progress", jobId=given["jobId"], progress=101) == "invalid_request"
        trailing = await talk.ask("job:log", jobId=given["jobId"], lines=[{"seq": 0, "message": "the last one"}])
        assert (trailing["nextSeq"], trailing["status"]) == (1, "success")
        found = await talk.ask("job:evidence", jobId=given["jobId"], evidence=[ITEM])
        assert (found["created"], found["jobRunId"]) == (1, given["jobRunId"])
    assert await late_reports(tenant, given) == 1


async def test_a_later_attempt_is_not_what_is_meant_by_job_id_alone(tenant: Tenant, host: Agent) -> None:
    async with plain(host) as talk:
        first = await started(tenant, host, talk)
        assert (await talk.ask("job:error", jobId=first["jobId"], error="once"))["willRetry"] is True
    async with plain(host) as talk:
        refusal = await talk.refusal("job:done", jobId=first["jobId"])  # the second attempt waits
        assert (refusal["code"], refusal["jobRunId"]) == ("invalid_state", first["jobRunId"])
        await talk.next("job:new", jobId=first["jobId"])
        refusal = await talk.refusal("job:done", jobId=first["jobId"])  # and now it is offered
        assert (refusal["code"], refusal["jobRunId"]) == ("invalid_state", first["jobRunId"])
        assert (await talk.ask("job:error", jobId=first["jobId"], error="once"))["replayed"] is True
        await talk.ask("job:ack", jobId=first["jobId"])
        assert (await talk.ask("job:done", jobId=first["jobId"]))["jobStatus"] == "COMPLETED"


async def test_a_run_that_never_went_out_is_not_what_is_meant(tenant: Tenant, host: Agent) -> None:
    async with plain(host) as talk:
        await started(tenant, host, talk)
        waiting = await tenant.create(host)
        assert await talk.refused("job:done", jobId=waiting["id"]) == "not_found"
        assert (await tenant.cancel(waiting)).status == 200
        assert await talk.refused("job:done", jobId=waiting["id"]) == "not_found"
        await talk.is_open()
    assert await late_reports(tenant, {"jobId": waiting["id"]}) == 0


async def test_a_run_of_another_host_is_not_what_is_meant(tenant: Tenant, host: Agent, connect: Ways) -> None:
    given = await ended(tenant, host, connect)
    async with connect(tenant.host("eu-2")) as talk:
        for event, fields in FIELDS.items():
            assert await talk.refused(event, jobId=given["jobId"], **fields) == "not_found"
    assert await late_reports(tenant, given) == 0


async def test_an_agent_that_still_runs_what_has_ended_is_told_which_job_that_is(
    tenant: Tenant, host: Agent, connect: Ways
) -> None:
    async with connect(host) as talk:
        given = await started(tenant, host, talk)
    assert (await tenant.cancel({"id": given["jobId"]}, {"force": True})).status == 200
    other = (await ended(tenant, tenant.host("eu-2"), connect))["jobRunId"]
    async with connect(host, running=[given["jobRunId"], other, NOWHERE]) as talk:
        cancels = [await talk.next("job:cancel") for _ in range(3)]
        told = {cancel["jobRunId"]: cancel["jobId"] for cancel in cancels}
        assert told == {given["jobRunId"]: given["jobId"], other: "", NOWHERE: ""}
        answer = await talk.ask("job:cancelled", jobId=given["jobId"])
        assert (answer["jobRunId"], answer["replayed"]) == (given["jobRunId"], True)


@pytest.mark.parametrize("event", FIELDS)
async def test_a_run_that_is_not_of_the_job_that_is_named_is_not_found(
    tenant: Tenant, host: Agent, connect: Ways, event: str
) -> None:
    earlier = await ended(tenant, host, connect)
    async with connect(host) as talk:
        given = await started(tenant, host, talk)
        for run, jobs in (
            (given["jobRunId"], (earlier["jobId"], NOWHERE, "nonsense")),
            (earlier["jobRunId"], (given["jobId"], NOWHERE, "nonsense")),
        ):
            for job_id in jobs:
                assert await talk.refused(event, jobId=job_id, jobRunId=run, **FIELDS[event]) == "not_found"
        for offer in ("job:ack", "job:reject"):
            assert await talk.refused(offer, jobId=earlier["jobId"], jobRunId=given["jobRunId"]) == "not_found"
        shown = await tenant.show({"id": given["jobId"]})
        assert (shown["status"], shown["counts"], shown["progress"]) == ("RUNNING", {"logs": 0, "evidence": 0}, 0)
        assert await late_reports(tenant, earlier) == 0
        await talk.say("job:done", jobId="", jobRunId=given["jobRunId"])
        await talk.is_open()
        assert (await tenant.show({"id": given["jobId"]}))["status"] == "COMPLETED"


async def test_the_confirmation_of_a_forced_cancel_is_no_late_report(
    tenant: Tenant, host: Agent, connect: Ways
) -> None:
    async with connect(host) as talk:
        given = await started(tenant, host, talk)
        assert (await tenant.cancel({"id": given["jobId"]}, {"force": True})).status == 200
        await talk.next("job:cancel", jobId=given["jobId"])
        answer = await talk.ask("job:cancelled", jobId=given["jobId"], durationMs=5)
        assert (answer["status"], answer["jobStatus"], answer["replayed"]) == ("cancelled", "CANCELLED", True)
        reply = await host.result(given["jobRunId"], "cancelled")
        assert (reply.status, reply.json["replayed"]) == (200, True)
        assert await late_reports(tenant, given) == 0
        assert await talk.refused("job:done", jobId=given["jobId"]) == "invalid_state"
        assert (await host.result(given["jobRunId"], "cancelled", errorMessage="why")).status == 409
    assert await late_reports(tenant, given) == 2


async def test_the_confirmation_of_a_cancelled_offer_is_no_late_report(tenant: Tenant, host: Agent) -> None:
    async with plain(host) as talk:
        job = await tenant.create(host)
        run = await talk.next("job:new")
        assert (await tenant.cancel(job)).status == 200
        await talk.next("job:cancel", jobId=job["id"])
        answer = await talk.ask("job:cancelled", jobId=job["id"], jobRunId=run["jobRunId"])
        assert (answer["status"], answer["replayed"]) == ("cancelled", True)
    assert await late_reports(tenant, {"jobId": job["id"]}) == 0


async def test_a_repeated_ack_says_that_a_cancel_has_been_asked_for(tenant: Tenant, host: Agent, connect: Ways) -> None:
    async with connect(host) as talk:
        given = await started(tenant, host, talk)
        assert "cancelRequested" not in given
        assert (await tenant.cancel({"id": given["jobId"]})).status == 202
        assert (await talk.ask("job:ack", jobId=given["jobId"]))["cancelRequested"] is True


async def test_an_ack_of_what_was_never_offered_is_told_its_state(tenant: Tenant, host: Agent, connect: Ways) -> None:
    async with connect(host) as talk:
        await started(tenant, host, talk)
        waiting = await tenant.create(host)
        for event in ("job:ack", "job:reject"):
            refusal = await talk.refusal(event, jobId=waiting["id"])
            assert (refusal["code"], refusal["current"]["status"]) == ("invalid_state", "pending")


async def test_null_as_data_is_none(host: Agent) -> None:
    async with plain(host) as talk:
        await talk.next("config")
        await talk.send({"event": "heartbeat", "data": None, "id": 1})
        await talk.next("heartbeat_ack")
        assert talk.heard[-1]["id"] == 1
        await talk.send({"event": "job:done", "data": None})
        assert (await talk.next("error"))["errors"][0]["path"] == "$.jobId"
