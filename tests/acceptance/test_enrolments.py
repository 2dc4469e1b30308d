"""Enrolment: a machine with a token makes itself a host; a token holds for so long and for so many."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from store.models import AuditEvent, Enrolment
from tests.support.callers import Agent, Document, Plane, Reply, Tenant
from tests.support.routes import NOBODY


def path(tenant: Tenant, enrolment_id: str = "") -> str:
    return f"{tenant.path}/enrolments" + (f"/{enrolment_id}" if enrolment_id else "")


async def enrol(tenant: Tenant, **fields: Any) -> Document:
    reply = await tenant.as_role("admin").post(path(tenant), fields)
    assert reply.status == 201, reply
    made: Document = reply.json
    return made


async def register(plane: Plane, token: Any, name: str = "eu-7", **fields: Any) -> Reply:
    return await plane.stranger.post("/api/agent/register", {"token": token, "name": name, **fields})


async def test_a_machine_makes_itself_a_host_and_works(plane: Plane, tenant: Tenant) -> None:
    token = (await enrol(tenant, labels={"zone": "eu", "by": "enrolment"}))["token"]
    reply = await register(plane, token, labels={"by": "itself", "gpu": "yes"}, whatAgentsWillSayOneDay=1)
    made = reply.json
    assert (reply.status, made["orgId"]) == (201, tenant.id)
    host = (await tenant.user.get(f"{tenant.path}/hosts/{made['hostId']}")).json
    assert (host["name"], host["kind"], host["labels"]) == (
        "eu-7",
        "machine",
        {"zone": "eu", "by": "enrolment", "gpu": "yes"},
    )
    agent = Agent(plane.session, plane.url, made["hostId"], made["agentKey"], "")
    job = await tenant.create(agent)
    assert (await agent.take())["jobId"] == job["id"]


async def test_a_token_is_shown_once_and_only_its_hash_is_stored(tenant: Tenant) -> None:
    reply = await tenant.as_role("admin").post(path(tenant))
    made = reply.json
    token = made.pop("token")
    assert (reply.status, reply.headers["Location"]) == (201, path(tenant, made["id"]))
    assert (made["maxUses"], made["uses"], made["labels"]) == (1, 0, {})
    lasts = datetime.fromisoformat(made["expiresAt"]) - datetime.fromisoformat(made["createdAt"])
    assert lasts == timedelta(hours=1)
    admin = tenant.as_role("admin")
    assert (await admin.get(path(tenant, made["id"]))).json == made
    assert (await admin.get(path(tenant))).json == {"items": [made], "nextCursor": None}
    database = tenant.plane.rows.database
    with database.connection_context():
        rows = [*Enrolment.select().tuples().execute(database), *AuditEvent.select().tuples().execute(database)]
    assert token not in str(rows)


async def test_a_token_holds_for_as_many_machines_as_it_says(plane: Plane, tenant: Tenant) -> None:
    made = await enrol(tenant, maxUses=2)
    assert [(await register(plane, made["token"])).status for _ in range(2)] == [201, 201]
    assert (await register(plane, made["token"])).refusal == (401, "unauthenticated")
    assert (await tenant.as_role("admin").get(path(tenant, made["id"]))).json["uses"] == 2


async def test_of_many_machines_at_once_no_more_get_in(plane: Plane, tenant: Tenant) -> None:
    token = (await enrol(tenant, maxUses=3))["token"]
    replies = await asyncio.gather(*(register(plane, token, f"eu-{n}") for n in range(12)))
    assert sorted(reply.status for reply in replies) == [201] * 3 + [401] * 9
    assert len((await tenant.user.get(f"{tenant.path}/hosts")).json["items"]) == 3


async def test_an_expired_token_holds_no_more(plane: Plane, tenant: Tenant) -> None:
    made = await enrol(tenant)
    database = tenant.plane.rows.database
    with database.connection_context():
        past = round((datetime.now(UTC) - timedelta(seconds=1)).timestamp() * 1000)
        Enrolment.update(expires_at=past).where(Enrolment.id == made["id"]).execute(database)
    assert (await register(plane, made["token"])).refusal == (401, "unauthenticated")


async def test_a_deleted_token_holds_no_more_and_its_hosts_stay(plane: Plane, tenant: Tenant) -> None:
    made = await enrol(tenant, maxUses=2)
    host_id = (await register(plane, made["token"])).json["hostId"]
    admin = tenant.as_role("admin")
    assert (await admin.ask("DELETE", path(tenant, made["id"]))).status == 204
    assert (await admin.ask("DELETE", path(tenant, made["id"]))).refusal == (404, "not_found")
    assert (await register(plane, made["token"])).refusal == (401, "unauthenticated")
    assert (await tenant.user.get(f"{tenant.path}/hosts/{host_id}")).status == 200


@pytest.mark.parametrize("token", ["", "guessed", "ä", "a" * 100_000])
async def test_what_is_no_token_is_not_told_why(plane: Plane, tenant: Tenant, token: str) -> None:
    await enrol(tenant)
    refused = await register(plane, token)
    assert refused.status in {401, 413}
    assert refused.status == 413 or refused.json["detail"] == (await register(plane, "other")).json["detail"]


async def test_a_host_that_cannot_be_made_takes_no_use(plane: Plane, tenant: Tenant) -> None:
    made = await enrol(tenant)
    for fields in ({"name": " "}, {"name": "a", "kind": "toaster"}, {"name": "a", "labels": {"": "b"}}):
        reply = await plane.stranger.post("/api/agent/register", {"token": made["token"], **fields})
        assert reply.refusal == (400, "invalid_request")
    assert (await register(plane, made["token"])).status == 201


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", {"token": 1, "name": "a"}, {"token": "a"}])
async def test_a_request_that_makes_no_sense_is_refused(plane: Plane, tenant: Tenant, body: Any) -> None:
    await enrol(tenant)
    assert (await plane.stranger.post("/api/agent/register", body)).refusal == (400, "invalid_request")


@pytest.mark.parametrize(
    ("body", "at"),
    [
        ({"expiresInSeconds": 0}, "$.expiresInSeconds"),
        ({"expiresInSeconds": 10**10}, "$.expiresInSeconds"),
        ({"maxUses": 0}, "$.maxUses"),
        ({"maxUses": 1.5}, "$.maxUses"),
        ({"labels": {"a": "b" * 201}}, "$.labels.a"),
        ({"colour": "red"}, "$.colour"),
    ],
)
async def test_an_enrolment_that_makes_no_sense_is_refused_with_its_place(tenant: Tenant, body: Any, at: str) -> None:
    reply = await tenant.as_role("admin").post(path(tenant), body)
    assert (reply.refusal, [error["path"] for error in reply.json["errors"]]) == ((400, "invalid_request"), [at])


async def test_only_admins_see_and_end_enrolments_of_their_own_org(plane: Plane, tenant: Tenant) -> None:
    made = await enrol(tenant)
    for method in ("GET", "DELETE"):
        assert (await tenant.user.ask(method, path(tenant, made["id"]))).refusal == (403, "forbidden")
        other = plane.tenant()
        for enrolment_id in (made["id"], NOBODY, "nothing"):
            reply = await other.as_role("owner").ask(method, path(other, enrolment_id))
            assert reply.refusal == (404, "not_found")


async def test_who_let_a_host_in_is_in_the_audit_trail(plane: Plane, tenant: Tenant) -> None:
    made = await enrol(tenant)
    host_id = (await register(plane, made["token"])).json["hostId"]
    lines = (await tenant.as_role("admin").get(f"{tenant.path}/audit", targetId=host_id)).json["items"]
    assert [(line["action"], line["actorKind"], line["actorId"]) for line in lines] == [
        ("key.create", "enrolment", made["id"]),
        ("host.create", "enrolment", made["id"]),
    ]
