"""Every event of an agent's socket, over a plain WebSocket and over Socket.IO: two doors to one gateway."""

from typing import Any

import pytest

from tests.support.callers import Agent, Document, Plane, Tenant
from tests.support.sockets import Talk, Ways, plain

CONFIG = {"platform", "connectors", "version", "updatedAt"}
ITEM = {"type": "company", "title": "Acme", "source": "google_maps", "snippet": "{}", "confidence": "high"}


async def started(tenant: Tenant, host: Agent, talk: Talk, **fields: Any) -> Document:
    """A job of that host which its agent has acked, as S2's client does: by the job's id alone."""
    job = await tenant.create(host, **fields)
    await talk.next("job:new", jobId=job["id"])
    return await talk.ask("job:ack", jobId=job["id"], agentId="agent_7")


async def test_the_config_comes_first(host: Agent, connect: Ways) -> None:
    async with connect(host) as talk:
        config = await talk.next()
    assert config["event"] == "config"
    assert set(config) >= CONFIG
    assert [connector["id"] for connector in config["connectors"]] == ["google_maps", "google_search"]


async def test_a_jobs_life_from_the_offer_to_its_output(tenant: Tenant, host: Agent, connect: Ways) -> None:
    async with connect(host) as talk:
        job = await tenant.create(host, payload={"query": "cafés"}, timeoutSeconds=30)
        new = await talk.next("job:new")
        assert (await tenant.show(job))["jobRuns"][0]["status"] == "offered"
        given = await talk.ask("job:ack", jobId=job["id"], agentId="agent_7")
        assert given == new | {"event": "job:ack_success"}
        assert (given["payload"], given["input"]) == ({"query": "cafés"}, {"query": "cafés"})
        assert (given["type"], given["attempt"], given["timeoutSeconds"]) == ("SERVER_START", 1, 30)
        run = {"jobId": job["id"], "jobRunId": given["jobRunId"], "status": "running", "cancelRequested": False}
        noted = await talk.ask("job:progress", jobId=job["id"], agentId="agent_7", progress=33.3, message="a third")
        assert noted == run | {"event": "job:progress_ack"}
        logged = await talk.ask("job:log", jobId=job["id"], lines=[{"seq": 0, "message": "a line"}])
        assert logged == run | {"event": "job:log_ack", "nextSeq": 1}
        found = await talk.ask("job:evidence", jobId=job["id"], evidence=[ITEM, ITEM, {"title": "?"}])
        assert (found["created"], found["duplicates"], found["rejected"]) == (1, 1, 1)
        assert [item["verdict"] for item in found["items"]] == ["created", "duplicate", "rejected"]
        assert run.items() <= found.items()
        done = await talk.ask("job:done", jobId=job["id"], agentId="agent_7", output={"found": 1})
    assert (done["status"], done["jobStatus"], done["replayed"], done["willRetry"]) == (
        "success",
        "COMPLETED",
        False,
        False,
    )
    shown = await tenant.show(job)
    assert (shown["status"], shown["output"], shown["progress"]) == ("COMPLETED", {"found": 1}, 100)
    assert shown["assignedAgentId"] is not None
    assert shown["counts"] == {"logs": 2, "evidence": 1}


@pytest.mark.parametrize(
    ("error", "message"),
    [("no route", "no route"), ({"name": "Error", "message": "boom"}, "boom"), (5, "5"), (None, None)],
)
async def test_an_error_is_a_sentence_whatever_javascript_makes_of_it(
    tenant: Tenant, host: Agent, error: Any, message: str | None
) -> None:
    async with plain(host) as talk:
        given = await started(tenant, host, talk, maxAttempts=1)
        failed = await talk.ask("job:error", jobId=given["jobId"], error=error, errorCode="E1")
        assert (failed["willRetry"], failed["jobStatus"], failed["status"]) == (False, "FAILED", "failed")
        shown = await tenant.show({"id": given["jobId"]})
        assert (shown["errorMessage"], shown["errorCode"]) == (message, "E1")


async def test_an_error_is_retried_unless_the_agent_says_that_it_is_no_use(
    tenant: Tenant, host: Agent, connect: Ways
) -> None:
    async with connect(host) as talk:
        given = await started(tenant, host, talk)
        assert (await talk.ask("job:error", jobId=given["jobId"], error="once"))["willRetry"] is True
        other = await started(tenant, host, talk)
        answer = await talk.ask("job:error", jobId=other["jobId"], error="never", retryable=False)
        assert (answer["willRetry"], answer["jobStatus"]) == (False, "FAILED")


async def test_a_job_that_the_agent_rejects_has_failed(tenant: Tenant, host: Agent, connect: Ways) -> None:
    async with connect(host) as talk:
        job = await tenant.create(host)
        await talk.next("job:new")
        answer = await talk.ask("job:reject", jobId=job["id"], reason="no browser")
        assert answer == {"event": "job:reject_ack", "jobId": job["id"]}
        shown = await tenant.show(job)
    assert (shown["status"], shown["errorCode"]) == ("FAILED", "rejected")


async def test_a_cancel_reaches_the_agent_which_says_that_it_has_stopped(
    tenant: Tenant, host: Agent, connect: Ways
) -> None:
    async with connect(host) as talk:
        given = await started(tenant, host, talk)
        assert (await tenant.cancel({"id": given["jobId"]})).status == 202
        cancel = await talk.next("job:cancel")
        assert cancel["jobRunId"] == given["jobRunId"]
        assert cancel["graceSeconds"] == 10
        noted = await talk.ask("job:progress", jobId=given["jobId"], progress=50)
        assert noted["cancelRequested"] is True
        answer = await talk.ask("job:cancelled", jobId=given["jobId"])
        assert (answer["status"], answer["jobStatus"]) == ("cancelled", "CANCELLED")


async def test_a_heartbeat_says_what_to_do_with_each_run(tenant: Tenant, host: Agent, connect: Ways) -> None:
    async with connect(host) as talk:
        given = await started(tenant, host, talk)
        unknown = "018f0000-0000-7000-8000-000000000000"
        beat = await talk.ask("heartbeat", agentId="agent_7", running=[given["jobRunId"], unknown])
        assert [run["verdict"] for run in beat["runs"]] == ["continue", "abandon"]
        assert beat["serverTime"].endswith("Z")
        assert beat["intervals"]["heartbeatSeconds"] == 15
        bare = await talk.ask("heartbeat", agentId="agent_7")
        assert [(run["jobRunId"], run["verdict"]) for run in bare["runs"]] == [(given["jobRunId"], "continue")]


async def test_what_a_run_waits_for_is_told_and_its_end_reaches_the_agent(
    tenant: Tenant, host: Agent, connect: Ways
) -> None:
    async with connect(host) as talk:
        given = await started(tenant, host, talk)
        noted = await talk.ask("job:progress", jobId=given["jobId"], progress=10, needsUserAction=True)
        assert noted["needsUserAction"] is True
        reply = await tenant.user.post(f"{tenant.jobs_path}/{given['jobId']}/resolve")
        assert reply.status == 200, reply
        resumed = await talk.next("job:resume")
        assert (resumed["jobId"], resumed["jobRunId"]) == (given["jobId"], given["jobRunId"])


async def test_a_report_that_comes_again_is_replayed_and_another_one_is_refused_with_the_present_state(
    tenant: Tenant, host: Agent, connect: Ways
) -> None:
    async with connect(host) as talk:
        given = await started(tenant, host, talk)
        assert (await talk.ask("job:done", jobId=given["jobId"], output=1))["replayed"] is False
        assert (await talk.ask("job:done", jobId=given["jobId"], output=1))["replayed"] is True
        refusal = await talk.refusal("job:done", jobId=given["jobId"], output=2)
        assert (refusal["code"], refusal["event"], refusal["jobId"]) == ("invalid_state", "job:done", given["jobId"])
        assert refusal["current"]["status"] == "success"
        assert await talk.refused("job:progress", jobId=given["jobId"], progress=1) == "invalid_state"
        await talk.is_open()
    assert len((await tenant.show({"id": given["jobId"]}))["lateReports"]) == 1


async def test_a_late_report_by_job_id_alone_never_means_a_later_attempt(tenant: Tenant, host: Agent) -> None:
    async with plain(host) as talk:
        first = await started(tenant, host, talk)
        assert (await talk.ask("job:error", jobId=first["jobId"], error="once"))["willRetry"] is True
        assert await talk.refused("job:done", jobId=first["jobId"], output={}) == "invalid_state"
        second = await talk.next("job:new", jobId=first["jobId"])
        assert second["jobRunId"] != first["jobRunId"]
        assert await talk.refused("job:done", jobId=first["jobId"], output={}) == "invalid_state"
        await talk.ask("job:ack", jobId=first["jobId"])
        done = await talk.ask("job:done", jobId=first["jobId"], output={})
        assert (done["jobRunId"], done["jobStatus"]) == (second["jobRunId"], "COMPLETED")


async def test_a_run_may_be_named_by_its_own_id(tenant: Tenant, host: Agent, connect: Ways) -> None:
    async with connect(host) as talk:
        job = await tenant.create(host)
        run = {"jobId": job["id"], "jobRunId": (await talk.next("job:new"))["jobRunId"]}
        await talk.ask("job:ack", **run)
        await talk.ask("job:progress", **run, progress=5)
        assert (await talk.ask("job:done", **run))["jobStatus"] == "COMPLETED"


@pytest.mark.parametrize("frame_id", [7, "seven", -1.5, ""])
async def test_an_answer_repeats_the_id_of_its_frame(host: Agent, frame_id: Any) -> None:
    async with plain(host) as talk:
        for event, answer in (("heartbeat", "heartbeat_ack"), ("nonsense", "error"), ("job:ack", "error")):
            await talk.send({"event": event, "id": frame_id})
            await talk.next(answer)
            assert talk.heard[-1]["id"] == frame_id
        await talk.say("heartbeat")
        await talk.next("heartbeat_ack")
        assert "id" not in talk.heard[-1]


async def test_answers_come_in_the_order_of_their_frames(tenant: Tenant, host: Agent) -> None:
    async with plain(host) as talk:
        given = await started(tenant, host, talk)
        for number in range(100):
            data = {"jobId": given["jobId"], "progress": number}
            await talk.send({"event": "job:progress", "id": number, "data": data})
        for _ in range(100):
            await talk.next("job:progress_ack")
        assert [frame["id"] for frame in talk.heard if "id" in frame] == list(range(100))
    assert (await tenant.show({"id": given["jobId"]}))["progress"] == 99


async def test_agents_of_other_hosts_and_tenants_cannot_touch_a_job(
    plane: Plane, tenant: Tenant, host: Agent, connect: Ways
) -> None:
    strangers = [tenant.host("eu-2"), plane.tenant().host()]
    async with connect(host) as talk:
        given = await started(tenant, host, talk)
        run = {"jobId": given["jobId"], "jobRunId": given["jobRunId"], "agentId": host.id}
        for stranger in strangers:
            async with connect(stranger) as other:
                for event, fields in (
                    ("job:progress", {"progress": 1}),
                    ("job:log", {"lines": []}),
                    ("job:evidence", {"evidence": [ITEM]}),
                    ("job:done", {}),
                    ("job:error", {"error": "x"}),
                    ("job:cancelled", {}),
                ):
                    assert await other.refused(event, **run, **fields) == "not_found"
                    assert await other.refused(event, jobId=given["jobId"], **fields) == "not_found"
                assert await other.refused("job:ack", jobId=given["jobId"]) in {"not_found", "already_taken"}
                assert await other.refused("job:reject", jobId=given["jobId"], reason="x") == "not_found"
                assert (await other.ask("heartbeat", running=[given["jobRunId"]]))["runs"][0]["verdict"] == "abandon"
        assert (await tenant.show({"id": given["jobId"]}))["status"] == "RUNNING"


async def test_the_header_agent_id_is_only_a_label(tenant: Tenant, host: Agent) -> None:
    other = tenant.host("eu-2")
    headers = {"Authorization": f"Bearer {host.token}", "x-agent-id": other.id}
    async with host.session.ws_connect(f"{host.url}/agent", headers=headers) as socket:
        assert (await socket.receive_json())["event"] == "config"
        job = await tenant.create(host)
        assert (await socket.receive_json())["data"]["jobId"] == job["id"]
