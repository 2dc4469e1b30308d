"""Hosts over REST: made, shown, named, labelled, paused and deleted by admins; seen by every member."""

import asyncio
from typing import Any

import msgspec
import pytest

from interlock.clock import SystemClock, rfc3339
from store.models import AuditEvent
from tests.support.callers import PATIENCE, Agent, Document, Plane, Reply, Tenant
from tests.support.routes import NOBODY


class Fleet:
    """An admin of a tenant."""

    def __init__(self, tenant: Tenant) -> None:
        self.tenant = tenant
        self.admin = tenant.as_role("admin")
        self.hosts = f"{tenant.path}/hosts"

    async def create(self, **fields: Any) -> Document:
        reply = await self.admin.post(self.hosts, {"name": "eu-1"} | fields)
        assert reply.status == 201, reply
        made: Document = reply.json
        return made

    async def agent(self, **fields: Any) -> Agent:
        """A new host's agent."""
        return self.of(await self.create(**fields))

    def of(self, made: Document) -> Agent:
        plane = self.tenant.plane
        return Agent(plane.session, plane.url, made["id"], made["agentKey"], "")

    async def show(self, host_id: str) -> Document:
        reply = await self.tenant.as_role("viewer").get(f"{self.hosts}/{host_id}")
        assert reply.status == 200, reply
        shown: Document = reply.json
        return shown

    async def patch(self, host_id: str, body: Any) -> Reply:
        return await self.admin.ask("PATCH", f"{self.hosts}/{host_id}", body)

    async def delete(self, host_id: str, **query: Any) -> Reply:
        return await self.admin.ask("DELETE", f"{self.hosts}/{host_id}", **query)


@pytest.fixture
def fleet(tenant: Tenant) -> Fleet:
    return Fleet(tenant)


async def test_a_new_host_has_never_connected(fleet: Fleet) -> None:
    reply = await fleet.admin.post(fleet.hosts, {"name": " eu-3 ", "labels": {"zone": "b", "arch": "arm"}})
    made = reply.json
    key = made.pop("agentKey")
    assert (reply.status, reply.headers["Location"]) == (201, f"{fleet.hosts}/{made['id']}")
    assert made == {
        "id": made["id"],
        "orgId": fleet.tenant.id,
        "name": "eu-3",
        "kind": "machine",
        "labels": {"arch": "arm", "zone": "b"},
        "presence": "never_connected",
        "health": "ok",
        "lastSeenAt": None,
        "paused": False,
        "note": None,
        "pausedUntil": None,
        "draining": False,
        "drainUntil": None,
        "pendingCount": 0,
        "currentJobRunId": None,
        "createdAt": made["createdAt"],
    }
    assert await fleet.show(made["id"]) == made
    assert (await fleet.of(made | {"agentKey": key}).poll()).status == 204


async def test_a_device_is_a_host_of_that_kind(fleet: Fleet) -> None:
    assert (await fleet.create(kind="device"))["kind"] == "device"


async def test_a_host_shows_its_agent_its_line_and_its_slot(fleet: Fleet) -> None:
    host = await fleet.agent()
    jobs = [await fleet.tenant.create(host) for _ in range(3)]
    run_id = (await host.take())["jobRunId"]
    shown = await fleet.show(host.id)
    assert (shown["presence"], shown["pendingCount"], shown["currentJobRunId"]) == ("online", 2, run_id)
    assert shown["lastSeenAt"] >= jobs[0]["createdAt"]


async def test_hosts_are_listed_oldest_first_and_page_by_page(fleet: Fleet) -> None:
    made = [(await fleet.create(name=f"eu-{n}"))["id"] for n in range(5)]
    viewer, seen, cursor = fleet.tenant.as_role("viewer"), [], None
    for size in (2, 2, 1):
        reply = await viewer.get(fleet.hosts, limit=2, **({} if cursor is None else {"cursor": cursor}))
        assert len(reply.json["items"]) == size
        seen += [host["id"] for host in reply.json["items"]]
        cursor = reply.json["nextCursor"]
        assert ("Link" in reply.headers) == (cursor is not None)
    assert (seen, cursor) == (made, None)
    assert all("agentKey" not in host for host in (await viewer.get(fleet.hosts)).json["items"])


async def test_a_paused_host_takes_nothing_until_it_is_resumed(fleet: Fleet) -> None:
    host = await fleet.agent()
    assert (await host.poll()).status == 204
    reply = await fleet.patch(host.id, {"paused": True, "note": "new disk"})
    assert (reply.status, reply.json["paused"], reply.json["note"]) == (200, True, "new disk")
    job = await fleet.tenant.create(host)
    assert (await host.poll()).status == 204
    wait = (await fleet.tenant.show(job))["wait"]
    assert (wait["reason"], wait["detail"]) == ("host_paused", "The host is paused by Admin: new disk")
    (listed,) = (await fleet.tenant.user.get(fleet.tenant.jobs_path, hostId=host.id)).json["items"]
    assert listed["wait"] == wait | {"position": None}
    resumed = (await fleet.patch(host.id, {"paused": False})).json
    assert (resumed["paused"], resumed["note"], resumed["pausedUntil"]) == (False, None, None)
    assert (await host.take())["jobId"] == job["id"]


async def test_a_parked_poll_gets_its_job_when_the_host_is_resumed(fleet: Fleet) -> None:
    host = await fleet.agent()
    await fleet.patch(host.id, {"paused": True})
    job = await fleet.tenant.create(host)
    async with fleet.tenant.parked(host) as poll:
        await fleet.patch(host.id, {"paused": False})
        assert (await poll).json["jobId"] == job["id"]


async def test_a_pause_may_end_by_itself(fleet: Fleet) -> None:
    host = await fleet.agent()
    until = rfc3339(SystemClock().now() + 1000)
    assert (await fleet.patch(host.id, {"paused": True, "pausedUntil": until})).json["pausedUntil"] == until
    job = await fleet.tenant.create(host)
    assert (await host.take(20))["jobId"] == job["id"]
    shown = await fleet.show(host.id)
    assert (shown["paused"], shown["pausedUntil"]) == (False, None)


async def test_name_and_labels_change_and_the_rest_stays(fleet: Fleet) -> None:
    made = await fleet.create(labels={"a": "1"})
    del made["agentKey"]
    assert (await fleet.patch(made["id"], {"labels": {"b": "2"}})).json == made | {"labels": {"b": "2"}}
    assert (await fleet.patch(made["id"], {"name": "eu-2"})).json == made | {"labels": {"b": "2"}, "name": "eu-2"}
    assert (await fleet.patch(made["id"], {})).json == await fleet.show(made["id"])


async def test_dashboards_hear_that_a_host_has_changed(fleet: Fleet) -> None:
    made = await fleet.create()
    async with fleet.tenant.watch() as watch:
        await fleet.patch(made["id"], {"paused": True})
        await watch.until("host.updated", hostId=made["id"])


async def test_dashboards_hear_that_a_host_is_no_more(fleet: Fleet) -> None:
    made = await fleet.create()
    async with fleet.tenant.watch() as watch:
        await fleet.delete(made["id"])
        await watch.until("host.updated", hostId=made["id"], deleted=True)


async def test_a_deleted_host_is_gone_with_its_key_and_its_line(fleet: Fleet) -> None:
    host = await fleet.agent()
    jobs = [await fleet.tenant.create(host), await fleet.tenant.create(host, runAt="2999-01-01T00:00:00Z")]
    assert (await fleet.delete(host.id)).status == 204
    assert (await fleet.admin.get(f"{fleet.hosts}/{host.id}")).refusal == (404, "not_found")
    assert (await host.poll()).refusal == (401, "unauthenticated")
    assert [(await fleet.tenant.show(job))["status"] for job in jobs] == ["CANCELLED", "CANCELLED"]
    body = {"type": "SERVER_START", "hostId": host.id}
    assert (await fleet.tenant.user.post(fleet.tenant.jobs_path, body)).refusal == (404, "not_found")
    assert (await fleet.delete(host.id)).refusal == (404, "not_found")


async def test_a_host_that_runs_a_job_is_deleted_only_by_force(fleet: Fleet) -> None:
    host = await fleet.agent()
    running, waiting = await fleet.tenant.create(host), await fleet.tenant.create(host)
    run_id = (await host.take())["jobRunId"]
    reply = await fleet.delete(host.id)
    assert (reply.refusal, reply.json["current"]["currentJobRunId"]) == ((409, "invalid_state"), run_id)
    assert (await fleet.tenant.show(waiting))["status"] == "PENDING"
    assert (await fleet.delete(host.id, force=1)).status == 204
    assert [(await fleet.tenant.show(job))["status"] for job in (running, waiting)] == ["CANCELLED", "CANCELLED"]
    assert (await host.result(run_id)).refusal == (401, "unauthenticated")


async def test_a_parked_poll_of_a_deleted_host_ends(fleet: Fleet) -> None:
    host = await fleet.agent()
    async with fleet.tenant.parked(host) as poll, asyncio.timeout(PATIENCE):
        await fleet.delete(host.id)
        assert (await poll).status in {401, 404}


async def test_the_socket_of_a_deleted_host_ends(fleet: Fleet) -> None:
    made = await fleet.create()
    plane, headers = fleet.tenant.plane, {"Authorization": f"Bearer {made['agentKey']}"}
    async with plane.session.ws_connect(f"{plane.url}/agent", headers=headers) as socket, asyncio.timeout(PATIENCE):
        assert (await socket.receive_json())["event"] == "config"
        await fleet.delete(made["id"])
        while not socket.closed:
            await socket.receive()
    assert socket.close_code == 1008


async def test_what_is_done_to_hosts_is_in_the_audit_trail(fleet: Fleet) -> None:
    made = await fleet.create()
    await fleet.patch(made["id"], {"paused": True, "note": "x"})
    await fleet.delete(made["id"])
    database = fleet.tenant.plane.rows.database
    with database.connection_context():
        query = AuditEvent.select(AuditEvent.action, AuditEvent.actor_id).where(AuditEvent.target_id == made["id"])
        lines = list(query.order_by(AuditEvent.id).tuples().execute(database))
    admin = fleet.tenant.user_ids["admin"]
    assert lines == [(name, admin) for name in ("host.create", "key.create", "host.update", "host.delete")]


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, "$.name"),
        ({"name": ""}, "$.name"),
        ({"name": "a" * 201}, "$.name"),
        ({"name": "a\nb"}, "$.name"),
        ({"name": 1}, "$.name"),
        ({"name": "a", "kind": "toaster"}, "$.kind"),
        ({"name": "a", "labels": {"b": 1}}, "$.labels[...]"),
        ({"name": "a", "labels": {"": "b"}}, "$.labels"),
        ({"name": "a", "labels": {"b": "c" * 201}}, "$.labels.b"),
        ({"name": "a", "labels": {str(n): "" for n in range(51)}}, "$.labels"),
        ({"name": "a", "colour": "red"}, "$.colour"),
    ],
)
async def test_a_host_that_makes_no_sense_is_refused_with_its_place(fleet: Fleet, body: Any, path: str) -> None:
    reply = await fleet.admin.post(fleet.hosts, body)
    assert (reply.refusal, [error["path"] for error in reply.json["errors"]]) == ((400, "invalid_request"), [path])


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"name": None}, "$.name"),
        ({"paused": "yes"}, "$.paused"),
        ({"note": "a" * 1001}, "$.note"),
        ({"pausedUntil": "2999-01-01T00:00:00Z"}, "$.pausedUntil"),
        ({"paused": False, "pausedUntil": "2999-01-01T00:00:00Z"}, "$.pausedUntil"),
        ({"paused": True, "pausedUntil": "tomorrow"}, "$.pausedUntil"),
        ({"paused": True, "pausedUntil": "2026-01-01T00:00:00Z"}, "$.pausedUntil"),
        ({"labels": None}, "$.labels"),
        ({"kind": "device"}, "$.kind"),
    ],
)
async def test_a_change_that_makes_no_sense_is_refused_with_its_place(fleet: Fleet, body: Any, path: str) -> None:
    made = await fleet.create()
    reply = await fleet.patch(made["id"], body)
    assert (reply.refusal, [error["path"] for error in reply.json["errors"]]) == ((400, "invalid_request"), [path])


async def test_another_tenants_hosts_are_not_found(plane: Plane, fleet: Fleet) -> None:
    made, other = await fleet.create(), Fleet(plane.tenant())
    assert (await other.admin.get(other.hosts)).json["items"] == []
    for host_id in (made["id"], NOBODY, "nothing"):
        path = f"{other.hosts}/{host_id}"
        for method, at, body in (
            ("GET", path, None),
            ("PATCH", path, {"paused": True}),
            ("DELETE", path, None),
            ("GET", f"{path}/keys", None),
            ("POST", f"{path}/keys", None),
            ("DELETE", f"{path}/keys/{NOBODY}", None),
        ):
            assert (await other.admin.ask(method, at, body)).refusal == (404, "not_found")
    assert (await fleet.show(made["id"]))["paused"] is False


# ---- keys ------------------------------------------------------------------------------------------------------


async def test_keys_are_rotated_with_an_overlap(fleet: Fleet) -> None:
    made = await fleet.create()
    old, keys = fleet.of(made), f"{fleet.hosts}/{made['id']}/keys"
    reply = await fleet.admin.post(keys)
    new = fleet.of(made | {"agentKey": reply.json["agentKey"]})
    assert (reply.status, reply.headers["Location"]) == (201, f"{keys}/{reply.json['kid']}")
    assert [(await agent.poll()).status for agent in (old, new)] == [204, 204]
    assert (await fleet.admin.post(keys)).refusal == (409, "invalid_state")
    first, second = (await fleet.admin.get(keys)).json["items"]
    assert (second["kid"], first["revokedAt"], first.keys()) == (
        reply.json["kid"],
        None,
        {"kid", "createdAt", "revokedAt"},
    )
    for _ in range(2):
        assert (await fleet.admin.ask("DELETE", f"{keys}/{first['kid']}")).status == 204
    assert [(await agent.poll()).status for agent in (old, new)] == [401, 204]
    assert (await fleet.admin.get(keys)).json["items"][0]["revokedAt"] is not None
    assert (await fleet.admin.post(keys)).status == 201


async def test_who_holds_a_socket_open_with_a_key_that_is_revoked_is_shown_out(fleet: Fleet) -> None:
    made = await fleet.create()
    plane, keys = fleet.tenant.plane, f"{fleet.hosts}/{made['id']}/keys"
    (key,) = (await fleet.admin.get(keys)).json["items"]
    headers = {"Authorization": f"Bearer {made['agentKey']}"}
    async with plane.session.ws_connect(f"{plane.url}/agent", headers=headers) as socket, asyncio.timeout(PATIENCE):
        await socket.receive_json()
        await fleet.admin.ask("DELETE", f"{keys}/{key['kid']}")
        while not socket.closed:
            await socket.receive()
    assert socket.close_code == 1008


# ---- by the operator on the machine ----------------------------------------------------------------------------


async def test_the_operator_makes_devices_and_labels_them_too(fleet: Fleet) -> None:
    words = (
        "--org",
        fleet.tenant.id,
        "--name",
        "Ann's browser",
        "--kind",
        "device",
        "--label",
        "b=2",
        "--label",
        "a==",
    )
    made = await asyncio.to_thread(fleet.tenant.plane.server.admin, "create-host", *words)
    shown = await fleet.show(msgspec.json.decode(made.stdout)["id"])
    assert (shown["name"], shown["kind"], shown["labels"]) == ("Ann's browser", "device", {"a": "=", "b": "2"})


async def test_a_label_without_a_value_is_refused_with_a_sentence(fleet: Fleet) -> None:
    words = ("--org", fleet.tenant.id, "--name", "a", "--label", "zone")
    refused = await asyncio.to_thread(fleet.tenant.plane.server.admin, "create-host", *words)
    assert (refused.returncode, refused.stderr) == (1, "Error: A label is KEY=VALUE, not 'zone'\n")
