"""What users may create, and what they see of it."""

import asyncio
import re
from typing import Any

import pytest

from tests.support.callers import Tenant

JOB_FIELDS = {
    *("id", "orgId", "type", "status", "progress", "payload", "output", "errorCode", "errorMessage"),
    *("needsUserAction", "cancelRequested", "lateReports", "serverInstanceId", "hostId", "assignedAgentId"),
    *("createdById", "createdBy", "createdAt", "runAt", "startedAt", "completedAt", "attempts", "maxAttempts"),
    *("wait", "counts", "jobRuns"),
}
RUN_FIELDS = {
    *("id", "jobId", "hostId", "attempt", "status", "createdAt", "availableAt", "offeredAt", "startedAt"),
    *("finishedAt", "result"),
}
UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
RFC3339_MS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


async def test_a_job_is_created_as_a_whole_document_with_its_location(tenant: Tenant) -> None:
    host = tenant.host()
    body = {"type": "SERVER_START", "serverInstanceId": host.server_instance, "payload": {"map": "de_dust2"}}
    reply = await tenant.user.post(tenant.jobs_path, body)
    assert reply.status == 201
    job = reply.json
    assert reply.headers["Location"] == f"{tenant.jobs_path}/{job['id']}"
    assert set(job) >= JOB_FIELDS
    assert UUID7.fullmatch(job["id"])
    assert RFC3339_MS.fullmatch(job["createdAt"])
    assert job["orgId"] == tenant.id
    assert (job["type"], job["status"], job["progress"]) == ("SERVER_START", "PENDING", 0)
    assert job["payload"] == {"map": "de_dust2"}
    assert (job["hostId"], job["serverInstanceId"]) == (host.id, host.server_instance)
    assert job["createdById"] == tenant.user_ids["operator"]
    assert set(job["createdBy"]) == {"id", "name", "email"}
    assert job["counts"] == {"logs": 0, "evidence": 0}
    assert (job["attempts"], job["maxAttempts"]) == (0, 3)
    assert [job[name] for name in ("output", "errorCode", "errorMessage", "runAt", "startedAt", "completedAt")] == (
        [None] * 6
    )
    assert (job["needsUserAction"], job["cancelRequested"], job["lateReports"]) == (False, False, [])
    assert await tenant.show(job) == job


async def test_a_new_job_has_one_waiting_run(tenant: Tenant) -> None:
    host = tenant.host()
    job = await tenant.create(host)
    (run,) = job["jobRuns"]
    assert set(run) >= RUN_FIELDS
    assert UUID7.fullmatch(run["id"])
    assert (run["jobId"], run["hostId"], run["attempt"], run["status"]) == (job["id"], host.id, 1, "pending")
    assert run["startedAt"] is None
    assert run["finishedAt"] is None
    assert run["result"] == {"durationMs": None, "errorMessage": None, "errorCode": None, "output": None}


async def test_a_host_may_be_the_target_and_an_absent_payload_is_empty(tenant: Tenant) -> None:
    job = await tenant.create(tenant.host())
    assert job["payload"] == {}
    assert job["serverInstanceId"] is None


async def test_input_is_another_name_of_payload(tenant: Tenant) -> None:
    job = await tenant.create(tenant.host(), input={"map": "de_nuke"})
    assert job["payload"] == {"map": "de_nuke"}


async def test_payload_and_input_together_are_refused(tenant: Tenant) -> None:
    body = {"type": "SERVER_START", "hostId": tenant.host().id, "payload": {}, "input": {}}
    reply = await tenant.user.post(tenant.jobs_path, body)
    assert reply.refusal == (400, "invalid_request")


@pytest.mark.parametrize(
    "payload",
    [
        {"word": "Grüße, 世界, \U0001f600", "quote": '"\\/\b\f\n\r\t'},
        {"most": 2**63 - 1, "least": -(2**63), "real": 0.1, "tiny": 5e-324, "none": None, "list": [[], {}, True]},
        {"": {"": ""}, "a.b": 1, "$ne": None},
    ],
)
async def test_a_payload_comes_back_as_it_was_given(tenant: Tenant, payload: dict[str, Any]) -> None:
    host = tenant.host()
    job = await tenant.create(host, payload=payload)
    assert job["payload"] == payload
    assert (await tenant.show(job))["payload"] == payload
    assert (await host.take())["payload"] == payload


@pytest.mark.parametrize("job_type", ["SERVER_START", "SERVER_STOP", "SERVER_RESTART"])
async def test_server_jobs_need_a_target(tenant: Tenant, job_type: str) -> None:
    reply = await tenant.user.post(tenant.jobs_path, {"type": job_type})
    assert reply.refusal == (400, "invalid_request")


@pytest.mark.parametrize("targets", [("serverInstanceId", "hostId"), ("hostId", "labels")])
async def test_two_targets_are_refused(tenant: Tenant, targets: tuple[str, str]) -> None:
    host = tenant.host()
    values = {"serverInstanceId": host.server_instance, "hostId": host.id, "labels": {"zone": "eu"}}
    body = {"type": "SERVER_START"} | {name: values[name] for name in targets}
    assert (await tenant.user.post(tenant.jobs_path, body)).refusal == (400, "invalid_request")


async def test_an_unknown_type_is_a_payload_schema_problem(tenant: Tenant) -> None:
    reply = await tenant.user.post(tenant.jobs_path, {"type": "DANCE", "hostId": tenant.host().id})
    assert reply.refusal == (422, "payload_schema")
    assert reply.json["errors"][0]["path"] == "$.type"


@pytest.mark.parametrize("job_type", ["SEARCH_SINGLE", "google_maps", "PUBLISH_POST"])
async def test_other_built_in_types_are_taken_for_a_host(tenant: Tenant, job_type: str) -> None:
    job = await tenant.create(tenant.host(), job_type=job_type)
    assert job["type"] == job_type


async def test_publishing_is_tried_once_by_default(tenant: Tenant) -> None:
    assert (await tenant.create(tenant.host(), job_type="PUBLISH_POST"))["maxAttempts"] == 1


async def test_a_scheduled_post_needs_its_time(tenant: Tenant) -> None:
    host = tenant.host()
    reply = await tenant.user.post(tenant.jobs_path, {"type": "SCHEDULE_POST", "hostId": host.id})
    assert reply.refusal == (400, "invalid_request")
    job = await tenant.create(host, job_type="SCHEDULE_POST", payload={"scheduledAt": "2999-01-01T00:00:00Z"})
    assert job["runAt"] == "2999-01-01T00:00:00.000Z"


async def test_a_validation_problem_says_where_the_mistake_is(tenant: Tenant) -> None:
    host = tenant.host()
    reply = await tenant.user.post(tenant.jobs_path, {"type": "SERVER_START", "hostId": host.id, "maxAttempts": "x"})
    assert reply.refusal == (400, "invalid_request")
    assert [error["path"] for error in reply.json["errors"]] == ["$.maxAttempts"]


async def test_a_batch_answers_in_order_and_a_bad_item_does_not_sink_the_rest(tenant: Tenant) -> None:
    host = tenant.host()
    good = {"type": "SERVER_START", "hostId": host.id}
    items: list[Any] = [
        good | {"payload": {"n": 0}},
        {"type": "DANCE", "hostId": host.id},
        good | {"hostId": tenant.plane.tenant().host().id},
        good | {"unheard": 1},
        17,
        good | {"payload": {"n": 5}},
    ]
    reply = await tenant.user.post(f"{tenant.jobs_path}/batch", {"jobs": items})
    assert reply.status == 200
    results = reply.json["results"]
    assert [next(iter(result)) for result in results] == ["job", "error", "error", "error", "error", "job"]
    codes = [result["error"]["code"] for result in results[1:5]]
    assert codes == ["payload_schema", "not_found", "invalid_request", "invalid_request"]
    assert [results[place]["job"]["payload"]["n"] for place in (0, 5)] == [0, 5]
    taken = await host.take()
    assert taken["jobId"] == results[0]["job"]["id"]


@pytest.mark.parametrize(
    "bad",
    [b'{"a":"\\u0000"}', b'{"a":1180591620717411303424}', b'{"a":' + b"[" * 100 + b"]" * 100 + b"}", b'{"a":1e999}'],
    ids=["NUL", "2^70", "deep", "1e999"],
)
async def test_an_item_that_no_database_could_keep_does_not_sink_its_batch(tenant: Tenant, bad: bytes) -> None:
    item = b'{"type":"SERVER_START","hostId":"%s","payload":%s}'
    host_id = tenant.host().id.encode()
    body = b'{"jobs":[%s,%s,%s]}' % (item % (host_id, b"{}"), item % (host_id, bad), item % (host_id, b"{}"))
    reply = await tenant.user.post(f"{tenant.jobs_path}/batch", body)
    assert reply.status == 200, reply
    results = reply.json["results"]
    assert [next(iter(result)) for result in results] == ["job", "error", "job"]
    assert results[1]["error"]["code"] == "invalid_request"


async def test_a_batch_of_a_thousand_is_taken_and_keeps_its_order(tenant: Tenant) -> None:
    host = tenant.host()
    items = [{"type": "SERVER_START", "hostId": host.id, "payload": {"n": n}} for n in range(1000)]
    reply = await tenant.user.post(f"{tenant.jobs_path}/batch", {"jobs": items})
    jobs = [result["job"] for result in reply.json["results"]]
    assert [job["payload"]["n"] for job in jobs] == list(range(1000))
    taken = await host.take()
    for n in range(5):
        assert taken["payload"] == {"n": n}
        taken = (await host.finish(taken["jobRunId"], take_next=True))["next"]


async def test_a_batch_of_more_than_a_thousand_is_refused_whole(tenant: Tenant) -> None:
    item = {"type": "SERVER_START", "hostId": tenant.host().id}
    reply = await tenant.user.post(f"{tenant.jobs_path}/batch", {"jobs": [item] * 1001})
    assert reply.refusal == (400, "invalid_request")
    assert (await tenant.user.get(tenant.jobs_path)).json["items"] == []


async def test_the_same_idempotency_key_and_body_give_the_first_answer_again(tenant: Tenant) -> None:
    body = {"type": "SERVER_START", "hostId": tenant.host().id}
    headers = {"Idempotency-Key": "once"}
    first = await tenant.user.post(tenant.jobs_path, body, headers=headers)
    again = await tenant.user.post(tenant.jobs_path, body, headers=headers)
    assert (first.status, again.status) == (201, 201)
    assert first.body == again.body
    assert first.headers["Location"] == again.headers["Location"]
    assert len((await tenant.user.get(tenant.jobs_path)).json["items"]) == 1


async def test_the_same_idempotency_key_with_another_body_conflicts(tenant: Tenant) -> None:
    host = tenant.host()
    headers = {"Idempotency-Key": "once"}
    await tenant.user.post(tenant.jobs_path, {"type": "SERVER_START", "hostId": host.id}, headers=headers)
    other = await tenant.user.post(tenant.jobs_path, {"type": "SERVER_STOP", "hostId": host.id}, headers=headers)
    assert other.refusal == (409, "idempotency_conflict")
    assert len((await tenant.user.get(tenant.jobs_path)).json["items"]) == 1


async def test_two_users_may_choose_the_same_idempotency_key(tenant: Tenant) -> None:
    host = tenant.host()
    headers = {"Idempotency-Key": "mine"}
    for role, job_type in (("operator", "SERVER_START"), ("admin", "SERVER_STOP")):
        body = {"type": job_type, "hostId": host.id}
        assert (await tenant.as_role(role).post(tenant.jobs_path, body, headers=headers)).status == 201


async def test_duplicates_that_arrive_together_make_one_job(tenant: Tenant) -> None:
    body = {"type": "SERVER_START", "hostId": tenant.host().id}
    asked = [tenant.user.post(tenant.jobs_path, body, headers={"Idempotency-Key": "k"}) for _ in range(12)]
    replies = await asyncio.gather(*asked)
    assert {reply.status for reply in replies} == {201}
    assert len({reply.json["id"] for reply in replies}) == 1
    assert len((await tenant.user.get(tenant.jobs_path)).json["items"]) == 1


async def test_a_refused_request_does_not_use_up_its_idempotency_key(tenant: Tenant) -> None:
    headers = {"Idempotency-Key": "again"}
    assert (await tenant.user.post(tenant.jobs_path, {"type": "SERVER_START"}, headers=headers)).status == 400
    body = {"type": "SERVER_START", "hostId": tenant.host().id}
    assert (await tenant.user.post(tenant.jobs_path, body, headers=headers)).status == 201


async def test_a_batch_sent_again_with_its_idempotency_key_makes_nothing_new(tenant: Tenant) -> None:
    item = {"type": "SERVER_START", "hostId": tenant.host().id}
    body = {"jobs": [item, {"type": "DANCE"}, item]}
    headers = {"Idempotency-Key": "batch"}
    asked = [tenant.user.post(f"{tenant.jobs_path}/batch", body, headers=headers) for _ in range(4)]
    replies = await asyncio.gather(*asked)
    assert {reply.status for reply in replies} == {200}
    ids = {tuple(result["job"]["id"] for result in reply.json["results"] if "job" in result) for reply in replies}
    assert len(ids) == 1
    assert len((await tenant.user.get(tenant.jobs_path)).json["items"]) == 2


async def test_another_batch_under_the_same_idempotency_key_creates_nothing(tenant: Tenant) -> None:
    item = {"type": "SERVER_START", "hostId": tenant.host().id}
    headers = {"Idempotency-Key": "batch"}
    await tenant.user.post(f"{tenant.jobs_path}/batch", {"jobs": [{"type": "DANCE"}, item]}, headers=headers)
    other = await tenant.user.post(f"{tenant.jobs_path}/batch", {"jobs": [item] * 4}, headers=headers)
    if other.status == 200:
        assert [result["error"]["code"] for result in other.json["results"]] == ["idempotency_conflict"] * 4
    else:
        assert other.refusal == (409, "idempotency_conflict")
    assert len((await tenant.user.get(tenant.jobs_path)).json["items"]) == 1


@pytest.mark.parametrize("key", ["", "x" * 201, "ü"], ids=["empty", "long", "not ASCII"])
async def test_an_unusable_idempotency_key_is_refused(tenant: Tenant, key: str) -> None:
    body = {"type": "SERVER_START", "hostId": tenant.host().id}
    reply = await tenant.user.post(tenant.jobs_path, body, headers={"Idempotency-Key": key})
    assert reply.refusal == (400, "invalid_request")
