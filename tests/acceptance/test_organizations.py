"""Organizations over REST: one's own, and new ones by platform admins."""

from typing import Any

import pytest

from tests.support.callers import Caller, Plane, Tenant
from tests.support.routes import NOBODY


def platform_admin(plane: Plane) -> Caller:
    """Somebody who may make organizations."""
    return plane.caller(plane.rows.token(plane.rows.user(plane.rows.org(), "viewer", platform_admin=True)))


async def test_everybody_sees_the_organizations_that_they_belong_to(plane: Plane, tenant: Tenant) -> None:
    user_id, other = plane.rows.user(tenant.id, "viewer"), plane.tenant()
    plane.rows.join(other.id, user_id, "admin")
    caller = plane.caller(plane.rows.token(user_id))
    items = (await caller.get("/api/orgs")).json["items"]
    assert [(org["id"], org["role"], org["name"]) for org in items] == [
        (tenant.id, "viewer", "acme"),
        (other.id, "admin", "acme"),
    ]
    page = (await caller.get("/api/orgs", limit=1)).json
    assert (await caller.get("/api/orgs", cursor=page["nextCursor"])).json["items"] == items[1:]
    assert (await plane.stranger.get("/api/orgs")).refusal == (401, "unauthenticated")


async def test_one_organization_is_shown_with_ones_own_role(tenant: Tenant) -> None:
    (listed,) = (await tenant.user.get("/api/orgs")).json["items"]
    assert (await tenant.user.get(tenant.path)).json == listed | {"id": tenant.id, "role": "operator"}


async def test_a_platform_admin_makes_an_organization_and_owns_it(plane: Plane) -> None:
    admin = platform_admin(plane)
    reply = await admin.post("/api/orgs", {"name": " Arcade "})
    made = reply.json
    assert (reply.status, reply.headers["Location"]) == (201, f"/api/orgs/{made['id']}")
    assert (made["name"], made["role"]) == ("Arcade", "owner")
    host = await admin.post(f"/api/orgs/{made['id']}/hosts", {"name": "eu-1"})
    assert (host.status, host.json["orgId"]) == (201, made["id"])
    actions = [line["action"] for line in (await admin.get(f"/api/orgs/{made['id']}/audit")).json["items"]]
    assert actions == ["key.create", "host.create", "member.add", "org.create"]


async def test_nobody_else_makes_organizations(plane: Plane, tenant: Tenant) -> None:
    assert (await tenant.as_role("owner").post("/api/orgs", {"name": "a"})).refusal == (403, "forbidden")
    assert (await plane.stranger.post("/api/orgs", {"name": "a"})).refusal == (401, "unauthenticated")


@pytest.mark.parametrize("body", [{}, {"name": ""}, {"name": 1}, {"name": "a", "colour": "red"}, []])
async def test_an_organization_that_makes_no_sense_is_refused(plane: Plane, body: Any) -> None:
    assert (await platform_admin(plane).post("/api/orgs", body)).refusal == (400, "invalid_request")


async def test_an_owner_gives_it_another_name_and_everybody_sees_it(tenant: Tenant) -> None:
    owner, before = tenant.as_role("owner"), (await tenant.user.get(tenant.path)).json
    reply = await owner.ask("PATCH", tenant.path, {"name": "  Arcade  "})
    assert (reply.status, reply.json) == (200, before | {"name": "Arcade", "role": "owner"})
    assert (await tenant.user.get(tenant.path)).json == before | {"name": "Arcade"}
    assert [org["name"] for org in (await tenant.user.get("/api/orgs")).json["items"]] == ["Arcade"]
    assert [org["name"] for org in (await tenant.user.get("/api/session")).json["orgs"]] == ["Arcade"]


async def test_another_name_is_in_the_audit_trail_and_the_same_name_is_not(tenant: Tenant) -> None:
    owner = tenant.as_role("owner")
    async with tenant.watch() as watch:
        for name in ("Arcade", " Arcade "):
            assert (await owner.ask("PATCH", tenant.path, {"name": name})).json["name"] == "Arcade"
        assert (await watch.next())["data"] == {"what": "org", "id": tenant.id}
        assert (await owner.ask("PUT", f"{tenant.path}/settings", {"platform": {"region": "eu"}})).status == 200
        assert (await watch.next())["data"]["what"] == "settings"
    (line,) = (await owner.get(f"{tenant.path}/audit", action="org.update")).json["items"]
    assert (line["targetKind"], line["targetId"], line["actorId"]) == ("org", tenant.id, tenant.user_ids["owner"])
    assert line["detail"] == {"name": "Arcade", "was": {"name": "acme"}}


@pytest.mark.parametrize("role", ["viewer", "operator", "admin"])
async def test_only_owners_rename(tenant: Tenant, role: str) -> None:
    assert (await tenant.as_role(role).ask("PATCH", tenant.path, {"name": "mine"})).refusal == (403, "forbidden")
    assert (await tenant.user.get(tenant.path)).json["name"] == "acme"


async def test_nobody_renames_the_organization_of_others(plane: Plane, tenant: Tenant) -> None:
    for caller in (plane.tenant().as_role("owner"), platform_admin(plane)):
        for org_id in (tenant.id, NOBODY, "nothing"):
            reply = await caller.ask("PATCH", f"/api/orgs/{org_id}", {"name": "mine"})
            assert reply.refusal == (404, "not_found")
    assert (await plane.stranger.ask("PATCH", tenant.path, {"name": "mine"})).refusal == (401, "unauthenticated")
    assert (await tenant.user.get(tenant.path)).json["name"] == "acme"


@pytest.mark.parametrize(
    ("body", "at"),
    [
        ({}, "$.name"),
        ([], "$"),
        ({"name": 1}, "$.name"),
        ({"name": None}, "$.name"),
        ({"name": ["a"]}, "$.name"),
        ({"name": ""}, "$.name"),
        ({"name": "   "}, "$.name"),
        ({"name": "a\u0000b"}, "$.name"),
        ({"name": "a" * 201}, "$.name"),
        ({"name": "a", "colour": "red"}, "$.colour"),
        ({"name": "a", "id": NOBODY}, "$.id"),
    ],
)
async def test_a_name_that_makes_no_sense_is_refused_and_changes_nothing(tenant: Tenant, body: Any, at: str) -> None:
    owner = tenant.as_role("owner")
    reply = await owner.ask("PATCH", tenant.path, body)
    assert reply.refusal == (400, "invalid_request")
    assert [error["path"] for error in reply.json["errors"]] == [at]
    assert (await owner.get(tenant.path)).json["name"] == "acme"
    assert (await owner.get(f"{tenant.path}/audit", action="org.update")).json["items"] == []


async def test_the_longest_name_is_taken(tenant: Tenant) -> None:
    reply = await tenant.as_role("owner").ask("PATCH", tenant.path, {"name": "ä" * 200})
    assert (reply.status, reply.json["name"]) == (200, "ä" * 200)


async def test_an_organization_is_never_deleted(tenant: Tenant) -> None:
    reply = await tenant.as_role("owner").ask("DELETE", tenant.path)
    assert reply.refusal == (405, "method_not_allowed")
    assert {method.strip() for method in reply.headers["Allow"].split(",")} >= {"GET", "PATCH"}
    assert (await tenant.user.get(tenant.path)).status == 200
