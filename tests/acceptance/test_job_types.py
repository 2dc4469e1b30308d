"""Job types over REST: defined by admins, versioned, and what a job of theirs must be like."""

from typing import Any

import pytest

from tests.support.callers import Plane, Reply, Tenant
from web.job_types import BUILT_IN

SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["url"],
    "properties": {"url": {"type": "string", "pattern": "^https://"}, "depth": {"type": "integer", "minimum": 0}},
    "additionalProperties": False,
}
PLAIN: dict[str, Any] = {
    "type": "crawl",
    "builtIn": False,
    "version": 1,
    "schema": {"type": "object"},
    "timeoutSeconds": 600.0,
    "maxAttempts": 3,
    "backoff": {"baseSeconds": 2.0, "factor": 2.0, "capSeconds": 300.0, "jitter": 0.1},
    "whileBackingOff": "overtake",
    "onLost": "retry",
}


def path(tenant: Tenant, name: str = "crawl") -> str:
    return f"{tenant.path}/job-types/{name}"


async def put(tenant: Tenant, body: Any, name: str = "crawl", **headers: str) -> Reply:
    return await tenant.as_role("admin").ask("PUT", path(tenant, name), body, headers=headers)


async def delete(tenant: Tenant, name: str = "crawl", **headers: str) -> Reply:
    return await tenant.as_role("admin").ask("DELETE", path(tenant, name), headers=headers)


async def get(tenant: Tenant, name: str = "crawl", **headers: str) -> Reply:
    return await tenant.as_role("viewer").get(path(tenant, name), headers=headers)


async def create(tenant: Tenant, job_type: str = "crawl", /, **fields: Any) -> Reply:
    return await tenant.user.post(tenant.jobs_path, {"type": job_type, **fields})


def places(reply: Reply) -> list[str]:
    return [error["path"] for error in reply.json["errors"]]


async def test_what_a_type_does_not_say_is_as_by_default(tenant: Tenant) -> None:
    reply = await put(tenant, {})
    assert (reply.status, reply.headers["Location"], reply.headers["ETag"]) == (201, path(tenant), '"1"')
    assert reply.json == PLAIN | {"createdAt": reply.json["createdAt"]}
    assert (await get(tenant)).json == reply.json


async def test_jobs_are_made_as_their_type_says(tenant: Tenant) -> None:
    backoff = {"baseSeconds": 0, "factor": 1, "capSeconds": 1, "jitter": 0}
    said = {"timeoutSeconds": 7.5, "maxAttempts": 2, "backoff": backoff, "whileBackingOff": "hold", "onLost": "fail"}
    made = (await put(tenant, said)).json
    assert {name: made[name] for name in said} == said
    host = tenant.host()
    job = (await create(tenant, hostId=host.id)).json
    taken = await host.take()
    assert (job["maxAttempts"], taken["timeoutSeconds"]) == (2, 7.5)
    await host.finish(taken["jobRunId"], "failed")
    assert (await host.take())["attempt"] == 2


async def test_a_payload_that_does_not_fit_its_type_is_refused_with_its_places(tenant: Tenant) -> None:
    await put(tenant, {"schema": SCHEMA})
    for name in ("payload", "input"):
        refused = await create(tenant, **{name: {"url": "http://a.example", "depth": -1, "colour": "red"}})
        assert refused.refusal == (422, "payload_schema")
        assert sorted(places(refused)) == [f"$.{name}", f"$.{name}.depth", f"$.{name}.url"]
        assert (await create(tenant, **{name: {"url": "https://a.example"}})).status == 201
    assert places(await create(tenant)) == ["$.payload"]


async def test_one_that_does_not_fit_sinks_no_others_of_its_batch(tenant: Tenant) -> None:
    await put(tenant, {"schema": SCHEMA})
    jobs = [{"type": "crawl", "payload": {"url": url}} for url in ("https://a.example", "nowhere", "https://b.example")]
    results = (await tenant.user.post(f"{tenant.jobs_path}/batch", {"jobs": jobs})).json["results"]
    assert [next(iter(result)) for result in results] == ["job", "error", "job"]
    assert results[1]["error"]["code"] == "payload_schema"


async def test_a_change_counts_at_once(tenant: Tenant) -> None:
    await put(tenant, {})
    assert (await create(tenant, payload={"a": 1})).status == 201
    assert (await put(tenant, {"schema": SCHEMA})).headers["ETag"] == '"2"'
    assert (await create(tenant, payload={"a": 1})).refusal == (422, "payload_schema")
    assert (await delete(tenant)).status == 204
    assert (await create(tenant, payload={"a": 1})).refusal == (422, "payload_schema")
    assert (await get(tenant)).refusal == (404, "not_found")
    assert (await delete(tenant)).refusal == (404, "not_found")


async def test_jobs_that_are_there_keep_what_they_were_made_with(tenant: Tenant) -> None:
    await put(tenant, {"maxAttempts": 5})
    host = tenant.host()
    job = (await create(tenant, hostId=host.id)).json
    await delete(tenant)
    assert (await tenant.show(job))["maxAttempts"] == 5
    assert (await host.take())["jobId"] == job["id"]


async def test_the_built_in_types_are_listed_with_the_orgs_own_by_name(tenant: Tenant) -> None:
    for name in ("crawl", "Zoo", "SERVER_STOP"):
        await put(tenant, {"maxAttempts": 4}, name)
    viewer, cursor = tenant.as_role("viewer"), None
    seen: list[Any] = []
    while cursor is not None or not seen:
        reply = await viewer.get(f"{tenant.path}/job-types", limit=5, **({} if cursor is None else {"cursor": cursor}))
        seen += reply.json["items"]
        cursor = reply.json["nextCursor"]
        assert ("Link" in reply.headers) == (cursor is not None)
    assert [each["type"] for each in seen] == sorted([*BUILT_IN, "crawl", "Zoo"])
    assert {each["type"]: each["version"] for each in seen if each["version"]} == {
        "SERVER_STOP": 1,
        "Zoo": 1,
        "crawl": 1,
    }
    assert all(each["schema"] == {"type": "object"} for each in seen)


async def test_a_built_in_type_can_be_changed_and_is_always_there(tenant: Tenant) -> None:
    first = (await get(tenant, "PUBLISH_POST")).json
    assert (first["builtIn"], first["version"], first["maxAttempts"], first["onLost"]) == (True, 0, 1, "fail")
    assert (await delete(tenant, "PUBLISH_POST")).refusal == (409, "invalid_state")
    changed = await put(tenant, {"timeoutSeconds": 5, "schema": SCHEMA}, "PUBLISH_POST")
    assert (changed.status, changed.json["maxAttempts"], changed.json["onLost"]) == (200, 1, "fail")
    assert (await create(tenant, "PUBLISH_POST")).refusal == (422, "payload_schema")
    assert (await delete(tenant, "PUBLISH_POST")).status == 204
    assert (await get(tenant, "PUBLISH_POST")).json == first
    assert (await create(tenant, "PUBLISH_POST")).status == 201


async def test_a_built_in_type_still_needs_what_it_needed(tenant: Tenant) -> None:
    for name in ("SERVER_START", "SCHEDULE_POST"):
        await put(tenant, {"maxAttempts": 2}, name)
        assert (await create(tenant, name)).refusal == (400, "invalid_request")


async def test_a_type_that_was_read_may_be_sent_back_once(tenant: Tenant) -> None:
    made = (await put(tenant, {})).json
    again = await put(tenant, made | {"maxAttempts": 9})
    assert (again.status, again.json["version"]) == (200, 2)
    assert (await put(tenant, made | {"maxAttempts": 8})).refusal == (412, "precondition_failed")


async def test_a_type_is_read_and_changed_on_conditions(tenant: Tenant) -> None:
    assert (await put(tenant, {}, **{"If-Match": '"1"'})).refusal == (412, "precondition_failed")
    assert (await put(tenant, {}, **{"If-None-Match": "*"})).status == 201
    assert (await put(tenant, {}, **{"If-None-Match": "*"})).refusal == (412, "precondition_failed")
    assert (await get(tenant, **{"If-None-Match": '"1"'})).status == 304
    assert (await put(tenant, {"maxAttempts": 2}, **{"If-Match": '"1"'})).json["version"] == 2
    assert (await delete(tenant, **{"If-Match": '"1"'})).refusal == (412, "precondition_failed")
    assert (await delete(tenant, **{"If-Match": '"2"'})).status == 204


@pytest.mark.parametrize(
    ("body", "path_"),
    [
        ({"schema": True}, "$.schema"),
        ({"schema": {"type": "objekt"}}, "$.schema.type"),
        ({"schema": {"$ref": "https://example.com/a.json"}}, "$.schema.$ref"),
        ({"schema": {"properties": {"a": {"$ref": "#"}}}}, "$.schema.properties.a.$ref"),
        ({"timeoutSeconds": 0}, "$.timeoutSeconds"),
        ({"maxAttempts": 0}, "$.maxAttempts"),
        ({"maxAttempts": 101}, "$.maxAttempts"),
        ({"backoff": {"factor": 0.5}}, "$.backoff.factor"),
        ({"backoff": {"baseSeconds": -1}}, "$.backoff.baseSeconds"),
        ({"backoff": {"colour": 1}}, "$.backoff.colour"),
        ({"whileBackingOff": "wait"}, "$.whileBackingOff"),
        ({"onLost": None, "colour": "red"}, "$.colour"),
    ],
)
async def test_a_type_that_makes_no_sense_is_refused_with_its_place(tenant: Tenant, body: Any, path_: str) -> None:
    reply = await put(tenant, body)
    assert (reply.refusal, places(reply)) == ((400, "invalid_request"), [path_])


@pytest.mark.parametrize("name", ["-a", "a%20b", "a%2Fb", "%C3%A4", "a" * 101, "%00", "a%0A"])
async def test_a_name_that_would_not_look_well_in_a_path_is_refused(tenant: Tenant, name: str) -> None:
    assert (await put(tenant, {}, name)).refusal == (400, "invalid_request")
    assert (await get(tenant, name)).refusal == (404, "not_found")


async def test_a_schema_and_its_types_have_bounds(tenant: Tenant) -> None:
    large = {"schema": {"description": "a" * 65_536}}
    assert (await put(tenant, large)).refusal == (413, "payload_too_large")


@pytest.mark.parametrize("cursor", ["a", "!", "_w", "%00"])
async def test_a_cursor_that_no_page_gave_is_refused(tenant: Tenant, cursor: str) -> None:
    reply = await tenant.as_role("viewer").get(f"{tenant.path}/job-types?cursor={cursor}")
    assert reply.refusal == (400, "invalid_request")


async def test_a_type_is_of_one_org(plane: Plane, tenant: Tenant) -> None:
    await put(tenant, {})
    other = plane.tenant()
    assert (await get(other)).refusal == (404, "not_found")
    assert (await delete(other)).refusal == (404, "not_found")
    assert (await create(other)).refusal == (422, "payload_schema")
    assert (await put(other, {"maxAttempts": 7})).status == 201
    assert (await get(tenant)).json["maxAttempts"] == 3
