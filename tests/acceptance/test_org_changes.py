"""`org.changed`: dashboards hear of what is the organization's own, once it is committed, with Redis and without."""

from collections.abc import Iterator

import pytest

from engines.redis_server import own_redis
from tests.support.callers import Tenant
from tests.support.redis_rig import redis_or_skip
from tests.support.server import Server


@pytest.fixture(scope="module", params=["alone", "redis"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """By itself, and with a Redis that carries its events."""
    if request.param == "alone":
        with Server(tmp_path_factory.mktemp("data")) as running:
            yield running
    else:
        with (
            redis_or_skip(own_redis()) as redis,
            Server(tmp_path_factory.mktemp("data"), redis_url=redis.url) as running,
        ):
            yield running
    assert running.tracebacks() == []


async def test_each_change_is_told_as_what_it_is(tenant: Tenant) -> None:
    admin, owner, other = tenant.as_role("admin"), tenant.as_role("owner"), tenant.plane.tenant().user_ids["operator"]
    host = tenant.host()
    async with tenant.watch() as watch:

        async def tells(method: str, path: str, body: object = None, **data: object) -> str:
            """The id that the answer gives to what it made."""
            caller = owner if path.startswith("members") else admin
            reply = await caller.ask(method, f"{tenant.path}/{path}", body)
            assert reply.status in {200, 201, 204}, reply
            told = (await watch.until("org.changed"))["data"]
            made = reply.json if reply.status in {200, 201} else {}
            if data.get("id") == "made":
                data["id"] = made["id"]
            assert told == {**data}
            return str(made.get("id") or made.get("kid"))

        await tells("PUT", "job-types/crawl", {}, what="type", id="crawl", version=1)
        await tells("PUT", "job-types/crawl", {"maxAttempts": 2}, what="type", id="crawl", version=2)
        await tells("DELETE", "job-types/crawl", what="type", id="crawl", deleted=True)
        await tells("PUT", "settings", {"platform": {"region": "eu"}}, what="settings", version=1)
        await tells("POST", "members", {"email": f"{other}@example.com", "role": "viewer"}, what="member", id=other)
        await tells("PATCH", f"members/{other}", {"role": "admin"}, what="member", id=other)
        await tells("DELETE", f"members/{other}", what="member", id=other, deleted=True)
        await tells("POST", "hosts", {"name": "eu-9"}, what="host", id="made")
        made = await tells("POST", "server-instances", {"name": "d", "hostId": host.id}, what="instance", id="made")
        await tells("PATCH", f"server-instances/{made}", {"name": "e"}, what="instance", id=made)
        await tells("DELETE", f"server-instances/{made}", what="instance", id=made, deleted=True)
        kid = await tells("POST", f"hosts/{host.id}/keys", {}, what="key")
        await tells("DELETE", f"hosts/{host.id}/keys/{kid}", what="key", deleted=True)
        enrolment = await tells("POST", "enrolments", {}, what="enrolment")
        await tells("DELETE", f"enrolments/{enrolment}", what="enrolment", deleted=True)
        assert (await owner.ask("PATCH", tenant.path, {"name": "Arcade"})).status == 200
        assert (await watch.until("org.changed"))["data"] == {"what": "org", "id": tenant.id}


async def test_what_is_told_can_be_read_already_and_a_refusal_tells_nothing(tenant: Tenant) -> None:
    admin, path = tenant.as_role("admin"), f"{tenant.path}/job-types/crawl"
    async with tenant.watch() as watch:
        assert (await admin.ask("PUT", path, {"maxAttempts": 0})).status == 400
        assert (await tenant.as_role("viewer").ask("PUT", path, {})).status == 403
        for attempts in range(1, 6):
            assert (await admin.ask("PUT", path, {"maxAttempts": attempts})).status in {200, 201}
            told = await watch.until("org.changed")
            assert told["data"]["version"] == attempts
            assert (await admin.get(path)).json["maxAttempts"] == attempts


async def test_a_machine_that_enrols_is_told_as_a_new_host(tenant: Tenant) -> None:
    made = await tenant.as_role("admin").post(f"{tenant.path}/enrolments", {})
    async with tenant.watch() as watch:
        reply = await tenant.plane.stranger.post("/api/agent/register", {"token": made.json["token"], "name": "eu-7"})
        assert reply.status == 201
        told = await watch.until("org.changed")
    assert told["data"] == {"what": "host", "id": reply.json["hostId"]}


async def test_another_organization_hears_nothing(tenant: Tenant) -> None:
    other = tenant.plane.tenant()
    async with other.watch() as watch:
        assert (await tenant.as_role("admin").ask("PUT", f"{tenant.path}/job-types/crawl", {})).status == 201
        assert (await other.as_role("admin").ask("PUT", f"{other.path}/job-types/own", {})).status == 201
        assert (await watch.next())["data"]["id"] == "own"
