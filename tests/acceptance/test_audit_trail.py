"""The audit trail over REST: who did what, newest first, for admins of the org alone."""

from typing import Any

from tests.support.callers import Document, Plane, Tenant


async def trail(tenant: Tenant, **query: Any) -> Document:
    reply = await tenant.as_role("admin").get(f"{tenant.path}/audit", **query)
    assert reply.status == 200, reply
    page: Document = reply.json
    return page


async def test_a_line_says_who_did_what_to_what_and_from_where(tenant: Tenant) -> None:
    job = await tenant.create(tenant.host())
    headers = {"X-Request-Id": "why-not"}
    await tenant.user.post(f"{tenant.jobs_path}/{job['id']}/cancel", {"reason": "enough"}, headers=headers)
    line = (await trail(tenant, targetId=job["id"]))["items"][0]
    assert line == {
        "id": line["id"],
        "orgId": tenant.id,
        "at": line["at"],
        "actorKind": "user",
        "actorId": tenant.user_ids["operator"],
        "action": "job.cancel",
        "targetKind": "job",
        "targetId": job["id"],
        "detail": {"reason": "enough", "force": False},
        "requestId": "why-not",
        "address": "127.0.0.1",
    }


async def test_it_is_read_newest_first_and_page_by_page(tenant: Tenant) -> None:
    host = tenant.host()
    jobs = [(await tenant.create(host))["id"] for _ in range(3)]
    first = await trail(tenant, action="job.create", limit=2)
    assert [line["targetId"] for line in first["items"]] == [jobs[2], jobs[1]]
    rest = await trail(tenant, action="job.create", limit=2, cursor=first["nextCursor"])
    assert ([line["targetId"] for line in rest["items"]], rest["nextCursor"]) == ([jobs[0]], None)


async def test_what_changed_is_told_in_the_words_of_the_api(tenant: Tenant) -> None:
    admin, until = tenant.as_role("admin"), "2100-03-01T18:15:00.000Z"
    host, other = tenant.host(), tenant.host("eu-2")
    path = f"{tenant.path}/hosts/{host.id}"
    body = {"paused": True, "note": "disk", "pausedUntil": until, "labels": {"region": "eu"}}
    assert (await admin.ask("PATCH", path, body)).status == 200
    (line,) = (await trail(tenant, action="host.update"))["items"]
    before: Document = {"paused": False, "note": None, "pausedUntil": None, "labels": {}}
    assert line["detail"] == body | {"was": before}
    drain = (await admin.post(f"{path}/drain", {"deadlineSeconds": 60})).json
    (line,) = (await trail(tenant, action="host.drain"))["items"]
    assert line["detail"]["drainUntil"] == drain["drainUntil"]
    move = await admin.ask("PATCH", f"{tenant.path}/server-instances/{host.server_instance}", {"hostId": other.id})
    assert move.status == 200
    (line,) = (await trail(tenant, action="instance.update"))["items"]
    assert line["detail"] == {"hostId": other.id, "was": {"hostId": host.id}}


async def test_it_is_narrowed_to_a_person(tenant: Tenant) -> None:
    await tenant.create(tenant.host())
    found = (await trail(tenant, actorId=tenant.user_ids["operator"]))["items"]
    assert [line["action"] for line in found] == ["job.create"]
    assert (await trail(tenant, actorId="nobody"))["items"] == []


async def test_another_tenants_trail_is_not_seen(plane: Plane, tenant: Tenant) -> None:
    job = await tenant.create(tenant.host())
    other = plane.tenant()
    assert (await trail(other, targetId=job["id"]))["items"] == []
    assert (await other.as_role("owner").get(f"{tenant.path}/audit")).refusal == (404, "not_found")
    assert (await tenant.user.get(f"{tenant.path}/audit")).refusal == (403, "forbidden")
