"""Organizations over REST: one's own, and new ones by platform admins."""

from typing import Any

import pytest

from tests.support.callers import Caller, Plane, Tenant


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
