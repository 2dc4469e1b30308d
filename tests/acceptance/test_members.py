"""Members over REST: seen by all, managed by owners, and never without an owner."""

import asyncio
from typing import Any

import pytest

from tests.support.callers import Plane, Reply, Tenant
from tests.support.routes import NOBODY


def path(tenant: Tenant, user_id: str = "") -> str:
    return f"{tenant.path}/members" + (f"/{user_id}" if user_id else "")


async def add(tenant: Tenant, **fields: Any) -> Reply:
    return await tenant.as_role("owner").post(path(tenant), fields)


async def patch(tenant: Tenant, user_id: str, role: str) -> Reply:
    return await tenant.as_role("owner").ask("PATCH", path(tenant, user_id), {"role": role})


async def remove(tenant: Tenant, user_id: str) -> Reply:
    return await tenant.as_role("owner").ask("DELETE", path(tenant, user_id))


def account(plane: Plane) -> str:
    """Somebody of another org."""
    return plane.rows.user(plane.tenant().id, "viewer")


async def test_members_are_listed_page_by_page(tenant: Tenant) -> None:
    tenant.as_role("owner")
    viewer, seen, cursor = tenant.as_role("viewer"), [], None
    for size in (2, 1):
        reply = await viewer.get(path(tenant), limit=2, **({} if cursor is None else {"cursor": cursor}))
        assert len(reply.json["items"]) == size
        seen += reply.json["items"]
        cursor = reply.json["nextCursor"]
    assert cursor is None
    assert {each["userId"]: each["role"] for each in seen} == {id_: role for role, id_ in tenant.user_ids.items()}
    assert set(seen[0]) == {"userId", "email", "name", "role", "createdAt"}


async def test_an_account_becomes_a_member_by_its_address_or_its_id(plane: Plane, tenant: Tenant) -> None:
    elsewhere = plane.tenant()
    tenant.as_role("owner")
    plane.rows.join(elsewhere.id, tenant.user_ids["owner"], "viewer")
    for field in ("email", "userId"):
        user_id = plane.rows.user(elsewhere.id, "viewer")
        caller = plane.caller(plane.rows.token(user_id))
        assert (await caller.get(path(tenant))).refusal == (404, "not_found")
        said = {"email": f"{user_id}@example.com"} if field == "email" else {"userId": user_id}
        reply = await add(tenant, role="viewer", **said)
        assert (reply.status, reply.headers["Location"]) == (201, path(tenant, user_id))
        assert reply.json == (await caller.get(path(tenant, user_id))).json
        again = await add(tenant, role="admin", **said)
        assert (again.refusal, again.json["current"]["role"]) == ((409, "invalid_state"), "viewer")


async def test_by_its_id_alone_nobody_learns_whose_an_account_is(plane: Plane, tenant: Tenant) -> None:
    user_id = account(plane)
    stranger, unknown = [await add(tenant, role="viewer", userId=each) for each in (user_id, tenant.id)]
    assert stranger.refusal == unknown.refusal == (404, "not_found")
    assert stranger.json | {"requestId": ""} == unknown.json | {"requestId": ""}


async def test_another_role_counts_at_once(tenant: Tenant) -> None:
    operator, user_id = tenant.user, tenant.user_ids["operator"]
    assert (await operator.get(f"{tenant.path}/audit")).status == 403
    changed = await patch(tenant, user_id, "admin")
    assert (changed.status, changed.json["role"]) == (200, "admin")
    assert (await operator.get(f"{tenant.path}/audit")).status == 200
    assert (await patch(tenant, user_id, "admin")).status == 200
    assert (await patch(tenant, user_id, "viewer")).status == 200
    assert (await operator.post(tenant.jobs_path, {"type": "google_maps"})).refusal == (403, "forbidden")


async def test_who_is_removed_is_a_stranger_at_once(tenant: Tenant) -> None:
    operator, user_id = tenant.user, tenant.user_ids["operator"]
    assert (await operator.get(tenant.jobs_path)).status == 200
    assert (await remove(tenant, user_id)).status == 204
    assert (await operator.get(tenant.jobs_path)).refusal == (404, "not_found")
    assert (await remove(tenant, user_id)).refusal == (404, "not_found")
    assert (await add(tenant, role="viewer", email=f"{user_id}@example.com")).status == 201


async def test_the_last_owner_stays_one(plane: Plane, tenant: Tenant) -> None:
    tenant.as_role("owner")
    own_id = tenant.user_ids["owner"]
    refused = [await patch(tenant, own_id, "admin"), await remove(tenant, own_id)]
    assert [reply.refusal for reply in refused] == [(409, "invalid_state")] * 2
    assert (await patch(tenant, own_id, "owner")).status == 200
    await add(tenant, role="owner", email=f"{account(plane)}@example.com")
    assert (await remove(tenant, own_id)).status == 204


async def test_two_owners_who_remove_each_other_at_once_leave_one(plane: Plane, tenant: Tenant) -> None:
    first = tenant.as_role("owner")
    other_id = account(plane)
    await add(tenant, role="owner", email=f"{other_id}@example.com")
    other = plane.caller(plane.rows.token(other_id))
    replies = await asyncio.gather(
        first.ask("DELETE", path(tenant, other_id)), other.ask("DELETE", path(tenant, tenant.user_ids["owner"]))
    )
    assert sorted(reply.status for reply in replies) in ([204, 404], [204, 409])


@pytest.mark.parametrize(
    ("body", "status", "at"),
    [
        ({"role": "viewer"}, 400, "$"),
        ({"role": "viewer", "email": "a@example.com", "userId": NOBODY}, 400, "$"),
        ({"role": "king", "email": "a@example.com"}, 400, "$.role"),
        ({"email": "a@example.com"}, 400, "$.role"),
        ({"role": "viewer", "email": "nobody@example.com"}, 404, None),
        ({"role": "viewer", "userId": NOBODY}, 404, None),
        ({"role": "viewer", "userId": "nothing"}, 404, None),
        ({"role": "viewer", "email": NOBODY}, 404, None),
        ({"role": "viewer", "email": "a" * 1000}, 404, None),
    ],
)
async def test_a_member_that_makes_no_sense_is_refused(tenant: Tenant, body: Any, status: int, at: str | None) -> None:
    reply = await add(tenant, **body)
    assert reply.status == status
    assert at is None or [error["path"] for error in reply.json["errors"]] == [at]


async def test_another_tenants_members_are_not_found(plane: Plane, tenant: Tenant) -> None:
    tenant.as_role("operator")
    other = plane.tenant()
    for user_id in (tenant.user_ids["operator"], NOBODY, "nothing"):
        for method, body in (("GET", None), ("PATCH", {"role": "viewer"}), ("DELETE", None)):
            reply = await other.as_role("owner").ask(method, path(other, user_id), body)
            assert reply.refusal == (404, "not_found")


async def test_what_is_done_to_members_is_in_the_audit_trail(tenant: Tenant) -> None:
    tenant.as_role("operator")
    user_id = tenant.user_ids["operator"]
    await patch(tenant, user_id, "admin")
    await remove(tenant, user_id)
    lines = (await tenant.as_role("owner").get(f"{tenant.path}/audit", targetId=user_id)).json["items"]
    assert [(line["action"], line["detail"]) for line in lines[:2]] == [
        ("member.remove", {"was": "admin"}),
        ("member.update", {"role": "admin", "was": "operator"}),
    ]
