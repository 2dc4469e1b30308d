"""S2's routes: the same jobs by S2's paths and names, in the tenant of whoever asks."""

from typing import Any

import pytest

from tests.support.callers import Caller, Document, Plane, Tenant
from tests.support.routes import NOBODY


def s2_names(job: Document) -> Document:
    """What S2 calls by other names, as the contract's own fields have it."""
    counts = {"evidence": job["counts"]["evidence"], "jobLogs": job["counts"]["logs"]}
    return {"input": job["payload"], "tenantId": job["orgId"], "_count": counts}


def without_s2_names(job: Document) -> Document:
    return {name: value for name, value in job.items() if name not in s2_names(job)}


async def created(tenant: Tenant, **fields: Any) -> Document:
    body = {"type": "SEARCH_SINGLE", "input": {"query": "cafés"}, "hostId": tenant.host().id} | fields
    reply = await tenant.user.post("/jobs", body)
    assert reply.status == 201, reply
    made: Document = reply.json
    return made


async def test_a_job_is_created_from_its_input(tenant: Tenant) -> None:
    made = await created(tenant)
    assert made.items() >= s2_names(made).items()
    assert (made["input"], made["tenantId"]) == ({"query": "cafés"}, tenant.id)
    assert (made["status"], made["progress"], made["needsUserAction"]) == ("PENDING", 0, False)
    assert (made["createdById"], made["assignedAgentId"], made["output"]) == (tenant.user_ids["operator"], None, None)
    assert made["createdBy"].keys() == {"id", "name", "email"}


async def test_a_job_without_input_has_an_empty_one(tenant: Tenant) -> None:
    reply = await tenant.user.post("/jobs", {"type": "SEARCH_BULK", "hostId": tenant.host().id})
    assert (reply.status, reply.json["input"], reply.json["payload"]) == (201, {}, {})


@pytest.mark.parametrize("job_type", ["SEARCH_SINGLE", "SEARCH_BULK", "google_maps", "google_maps_search"])
async def test_the_types_of_s2_are_there(tenant: Tenant, job_type: str) -> None:
    assert (await created(tenant, type=job_type))["type"] == job_type


async def test_one_job_is_the_same_on_both_paths(tenant: Tenant) -> None:
    made = await created(tenant)
    here, there = await tenant.user.get(f"/jobs/{made['id']}"), await tenant.show(made)
    assert here.status == 200
    assert without_s2_names(here.json) == there
    assert here.json.items() >= s2_names(there).items()
    again = await tenant.user.get(f"/jobs/{made['id']}", headers={"If-None-Match": here.headers["ETag"]})
    assert (again.status, again.body) == (304, b"")


async def test_one_job_counts_its_logs_and_names_its_creator(tenant: Tenant) -> None:
    host = tenant.host()
    made = await created(tenant, hostId=host.id)
    run_id = (await host.take())["jobRunId"]
    await host.progress(run_id, 40, message="two fifths")
    await host.logs(run_id, {"seq": 1, "message": "a line"})
    shown = (await tenant.user.get(f"/jobs/{made['id']}")).json
    assert shown["_count"] == {"evidence": 0, "jobLogs": 2}
    assert shown["createdBy"]["id"] == shown["createdById"] == tenant.user_ids["operator"]
    assert (shown["status"], shown["progress"], shown["assignedAgentId"]) == ("RUNNING", 40, host.id)
    lines = (await tenant.user.get(f"/jobs/{made['id']}/logs")).json["items"]
    assert [(line["message"], line["progress"]) for line in lines] == [("two fifths", 40), ("a line", None)]


async def test_the_list_has_the_tenants_jobs_newest_first(tenant: Tenant) -> None:
    host = tenant.host()
    made = [(await created(tenant, hostId=host.id))["id"] for _ in range(3)]
    page = (await tenant.user.get("/jobs", limit=2)).json
    assert [job["id"] for job in page["items"]] == made[:0:-1]
    assert all(job.items() >= s2_names(job).items() for job in page["items"])
    rest = (await tenant.user.get("/jobs", cursor=page["nextCursor"])).json
    assert ([job["id"] for job in rest["items"]], rest["nextCursor"]) == (made[:1], None)


async def test_an_empty_list_is_a_list(tenant: Tenant) -> None:
    assert (await tenant.user.get("/jobs")).json == {"items": [], "nextCursor": None}


async def test_a_waiting_job_is_cancelled_at_once(tenant: Tenant) -> None:
    made = await created(tenant)
    reply = await tenant.user.post(f"/jobs/{made['id']}/cancel")
    assert (reply.status, reply.json["status"]) == (200, "CANCELLED")
    assert reply.json.items() >= s2_names(reply.json).items()


async def test_a_running_job_is_asked_to_stop(tenant: Tenant) -> None:
    host = tenant.host()
    made = await created(tenant, hostId=host.id)
    await host.take()
    reply = await tenant.user.post(f"/jobs/{made['id']}/cancel", {"reason": "enough"})
    assert (reply.status, reply.json["cancelRequested"]) == (202, True)


async def test_what_an_agent_returns_is_the_jobs_output(tenant: Tenant) -> None:
    host = tenant.host()
    made = await created(tenant, hostId=host.id)
    await host.finish((await host.take())["jobRunId"], output={"found": 3})
    shown = (await tenant.user.get(f"/jobs/{made['id']}")).json
    assert (shown["status"], shown["output"]) == ("COMPLETED", {"found": 3})
    assert shown["completedAt"] >= shown["startedAt"] >= shown["createdAt"]


def s2_requests(job_id: str) -> list[tuple[str, str, Any]]:
    return [
        ("GET", "/jobs", None),
        ("POST", "/jobs", {"type": "SEARCH_SINGLE"}),
        ("GET", f"/jobs/{job_id}", None),
        ("POST", f"/jobs/{job_id}/cancel", {}),
        ("POST", f"/jobs/{job_id}/resolve", {}),
        ("GET", f"/jobs/{job_id}/logs", None),
        ("GET", f"/jobs/{job_id}/evidence", None),
    ]


async def refusals(caller: Caller, job_id: str) -> set[tuple[int, str]]:
    return {(await caller.ask(*request)).refusal for request in s2_requests(job_id)}


async def test_the_tokens_org_is_the_tenant(plane: Plane, tenant: Tenant) -> None:
    other = plane.tenant()
    user_id = plane.rows.user(other.id)
    plane.rows.join(tenant.id, user_id)
    there = plane.caller(plane.rows.token(user_id, tenant.id))
    made = await created(tenant)
    assert (await there.get(f"/jobs/{made['id']}")).status == 200
    at_home = plane.caller(plane.rows.token(user_id, other.id))
    assert (await at_home.get(f"/jobs/{made['id']}")).refusal == (404, "not_found")
    assert (await at_home.get("/jobs")).json["items"] == []


async def test_without_an_org_in_the_token_the_only_membership_counts(plane: Plane, tenant: Tenant) -> None:
    made = await created(tenant)
    user_id = plane.rows.user(tenant.id)
    caller = plane.caller(plane.rows.token(user_id))
    assert (await caller.get(f"/jobs/{made['id']}")).status == 200
    plane.rows.join(plane.tenant().id, user_id)
    assert await refusals(caller, made["id"]) == {(400, "invalid_request")}


async def test_an_org_that_one_is_no_member_of_is_not_found(plane: Plane, tenant: Tenant) -> None:
    made = await created(tenant)
    user_id = plane.rows.user(plane.tenant().id)
    for org_id in (tenant.id, NOBODY):
        assert await refusals(plane.caller(plane.rows.token(user_id, org_id)), made["id"]) == {(404, "not_found")}


async def test_another_tenants_job_is_not_found(plane: Plane, tenant: Tenant) -> None:
    made, other = await created(tenant), plane.tenant()
    for method, path, body in s2_requests(made["id"])[2:]:
        assert (await other.user.ask(method, path, body)).refusal == (404, "not_found")
    for method, path, body in s2_requests("nothing")[2:]:
        assert (await tenant.user.ask(method, path, body)).refusal == (404, "not_found")


async def test_viewers_only_read(tenant: Tenant) -> None:
    made, viewer = await created(tenant), tenant.as_role("viewer")
    for method, path, body in s2_requests(made["id"]):
        reply = await viewer.ask(method, path, body)
        assert reply.refusal == (403, "forbidden") if method == "POST" else reply.status == 200


async def test_without_a_credential_nothing_is_answered(plane: Plane, tenant: Tenant) -> None:
    made = await created(tenant)
    assert await refusals(plane.stranger, made["id"]) == {(401, "unauthenticated")}


async def test_input_and_payload_together_are_refused(tenant: Tenant) -> None:
    reply = await tenant.user.post("/jobs", {"type": "SEARCH_SINGLE", "input": {}, "payload": {}})
    assert (reply.refusal, reply.json["errors"][0]["path"]) == ((400, "invalid_request"), "$.input")


async def test_a_job_without_a_target_is_for_any_agent_of_the_tenant(tenant: Tenant) -> None:
    reply = await tenant.user.post("/jobs", {"type": "google_maps", "input": {"query": "cafés"}})
    assert (reply.status, reply.json["hostId"], reply.json["status"]) == (201, None, "PENDING")
    host = tenant.host()
    taken = await host.take()
    assert (taken["jobId"], taken["payload"]) == (reply.json["id"], {"query": "cafés"})
    shown = (await tenant.user.get(f"/jobs/{taken['jobId']}")).json
    assert (shown["status"], shown["assignedAgentId"]) == ("RUNNING", host.id)


async def test_what_an_agent_has_found_is_counted_and_listed(tenant: Tenant) -> None:
    host = tenant.host()
    made = await created(tenant, hostId=host.id)
    item = {"type": "place", "title": "Café", "source": "google_maps", "snippet": "{}", "confidence": "high"}
    path = f"{host.path}/jobs/{(await host.take())['jobRunId']}/evidence"
    assert (await host.post(path, {"evidence": [item, item]})).json["duplicates"] == 1
    assert (await tenant.user.get(f"/jobs/{made['id']}")).json["_count"] == {"evidence": 1, "jobLogs": 0}
    assert (await tenant.user.get("/jobs")).json["items"][0]["_count"]["evidence"] == 1
    (found,) = (await tenant.user.get(f"/jobs/{made['id']}/evidence")).json["items"]
    assert found.items() >= (item | {"jobId": made["id"], "url": None}).items()
    assert found.keys() >= {"id", "hash", "sizeBytes", "collectedAt"}
