"""What an organization's agents get as config: read, set, versioned, and of one's own org only."""

from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest

from store.models import AuditEvent
from tests.support.callers import PATIENCE, Agent, Plane, Reply, Tenant

SEED: dict[str, Any] = {
    "platform": {"platformUrl": None, "apiUrl": None, "searchMethod": None},
    "connectors": [
        {"id": "google_maps", "name": "Google Maps", "enabled": True},
        {"id": "google_search", "name": "Google Search", "enabled": True},
    ],
}
OTHER: dict[str, Any] = {
    "platform": {"platformUrl": "https://example.com", "apiUrl": None, "searchMethod": "browser", "maxTabs": 3},
    "connectors": [{"id": "google_maps", "name": "Google Maps", "enabled": False}],
}


async def put(tenant: Tenant, body: Any, role: str = "admin", **headers: str) -> Reply:
    return await tenant.as_role(role).ask("PUT", f"{tenant.path}/settings", body, headers=headers)


async def get(tenant: Tenant, **headers: str) -> Reply:
    return await tenant.as_role("viewer").get(f"{tenant.path}/settings", headers=headers)


async def test_an_org_that_has_set_nothing_has_the_first_settings(tenant: Tenant) -> None:
    reply = await get(tenant)
    assert (reply.status, reply.headers["ETag"]) == (200, '"0"')
    assert reply.json == SEED | {"version": 0, "updatedAt": None}


async def test_what_was_set_is_what_people_and_agents_get(tenant: Tenant) -> None:
    made = await put(tenant, OTHER)
    assert (made.status, made.headers["ETag"], made.json["version"]) == (200, '"1"', 1)
    assert {name: made.json[name] for name in OTHER} == OTHER
    assert (await get(tenant)).json == made.json
    config = await tenant.host().get("/api/agent/config")
    assert (config.status, config.json, config.headers["ETag"]) == (200, made.json, '"1"')


async def test_a_part_that_is_left_out_becomes_what_it_was_at_first(tenant: Tenant) -> None:
    await put(tenant, OTHER)
    made = (await put(tenant, {"platform": {"apiUrl": "https://api.example.com"}})).json
    assert made["platform"] == SEED["platform"] | {"apiUrl": "https://api.example.com"}
    assert made["connectors"] == SEED["connectors"]
    assert made["version"] == 2


async def test_the_same_settings_again_make_no_new_version(tenant: Tenant) -> None:
    first = await put(tenant, OTHER)
    again = await put(tenant, OTHER)
    assert again.json == first.json


async def test_what_was_read_can_be_sent_back_until_somebody_else_was_quicker(tenant: Tenant) -> None:
    read = (await put(tenant, OTHER)).json
    read["platform"]["apiUrl"] = "https://api.example.com"
    assert (await put(tenant, read)).json["version"] == 2
    assert (await put(tenant, read)).refusal == (412, "precondition_failed")


async def test_if_match_names_the_version_that_is_to_be_changed(tenant: Tenant) -> None:
    assert (await put(tenant, OTHER, **{"If-Match": '"1"'})).refusal == (412, "precondition_failed")
    assert (await get(tenant)).json["version"] == 0
    assert (await put(tenant, OTHER, **{"If-Match": '"0"'})).status == 200
    assert (await put(tenant, SEED, **{"If-Match": '"0"'})).refusal == (412, "precondition_failed")
    assert (await put(tenant, SEED, **{"If-Match": "rubbish"})).refusal == (412, "precondition_failed")
    assert (await put(tenant, SEED, **{"If-Match": 'W/"7", "1"'})).json["version"] == 2
    assert (await put(tenant, OTHER, **{"If-Match": "*"})).json["version"] == 3


async def test_a_version_in_the_body_does_not_stand_in_for_an_if_match_that_matches_nothing(tenant: Tenant) -> None:
    read = (await put(tenant, OTHER)).json
    assert (await put(tenant, read, **{"If-Match": "rubbish"})).refusal == (412, "precondition_failed")
    assert (await put(tenant, read, **{"If-Match": '"1"'})).status == 200


async def test_who_has_the_present_version_is_told_so(tenant: Tenant) -> None:
    tag = (await put(tenant, OTHER)).headers["ETag"]
    known = await get(tenant, **{"If-None-Match": tag})
    assert (known.status, known.body, known.headers["ETag"]) == (304, b"", tag)
    assert (await tenant.host().get("/api/agent/config", headers={"If-None-Match": tag})).status == 304
    assert (await get(tenant, **{"If-None-Match": '"7"'})).status == 200


async def test_settings_are_of_one_org_alone(plane: Plane, tenant: Tenant) -> None:
    await put(tenant, OTHER)
    other = plane.tenant()
    assert (await get(other)).json["version"] == 0
    assert (await other.host().get("/api/agent/config")).json["version"] == 0


@pytest.mark.parametrize("role", ["viewer", "operator"])
async def test_settings_take_an_admin(tenant: Tenant, role: str) -> None:
    assert (await put(tenant, OTHER, role)).refusal == (403, "forbidden")


async def test_a_change_is_in_the_audit_trail_without_the_values(plane: Plane, tenant: Tenant) -> None:
    await put(tenant, {"platform": {"token": "hush"}}, **{"X-Request-Id": "who-did-it"})
    with plane.rows.database.connection_context():
        (line,) = (
            AuditEvent.select()
            .where((AuditEvent.org_id == tenant.id) & (AuditEvent.action == "settings.update"))
            .execute(plane.rows.database)
        )
    assert (line.actor_id, line.request_id) == (tenant.user_ids["admin"], "who-did-it")
    assert "platform.token" in line.detail
    assert "hush" not in line.detail


def connector(**values: Any) -> dict[str, Any]:
    return {"connectors": [{"id": "a", "name": "A", "enabled": True} | values]}


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"platform": []}, "$.platform"),
        ({"platform": {"a": {}}}, "$.platform[...]"),
        ({"platform": {"a": []}}, "$.platform[...]"),
        ({"platform": {"": 1}}, "$.platform"),
        ({"platform": {"a\n": 1}}, "$.platform"),
        ({"platform": {"a" * 101: 1}}, "$.platform"),
        ({"platform": {"a": "b" * 4097}}, "$.platform.a"),
        ({"platform": {"a": 2**64}}, "$.platform.a"),
        ({"platform": {str(n): n for n in range(101)}}, "$.platform"),
        ({"connectors": {}}, "$.connectors"),
        ({"connectors": [{"id": "a"}]}, "$.connectors[0].name"),
        (connector(enabled="yes"), "$.connectors[0].enabled"),
        (connector(id=""), "$.connectors[0].id"),
        (connector(id="a\x7f"), "$.connectors[0].id"),
        (connector(name=" "), "$.connectors[0].name"),
        (connector(name="a" * 201), "$.connectors[0].name"),
        (connector(more=1), "$.connectors[0].more"),
        ({"connectors": [{"id": "a", "name": "A", "enabled": True}] * 2}, "$.connectors[1].id"),
        ({"connectors": [{"id": str(n), "name": "A", "enabled": True} for n in range(101)]}, "$.connectors"),
        ({"version": "1"}, "$.version"),
        ({"colour": "red"}, "$.colour"),
        ([], "$"),
    ],
)
async def test_settings_that_make_no_sense_are_refused_with_their_place(tenant: Tenant, body: Any, path: str) -> None:
    reply = await put(tenant, body)
    assert reply.refusal == (400, "invalid_request")
    assert [error["path"] for error in reply.json["errors"]] == [path]
    assert (await get(tenant)).json["version"] == 0


@pytest.mark.parametrize("body", [b"", b"{", b"null", b'{"platform": {"a": "\xff"}}', b'{"platform": {"a": NaN}}'])
async def test_what_is_no_json_object_is_refused(tenant: Tenant, body: bytes) -> None:
    assert (await put(tenant, body)).refusal == (400, "invalid_request")


async def test_settings_that_are_too_large_are_refused(tenant: Tenant) -> None:
    large = {"platform": {str(n): "€" * 4096 for n in range(30)}}
    assert (await put(tenant, large)).refusal == (413, "payload_too_large")


async def next_config(socket: aiohttp.ClientWebSocketResponse) -> Any:
    """The next frame, which must be the config."""
    frame = await socket.receive_json(timeout=PATIENCE)
    assert frame["event"] == "config"
    return frame["data"]


async def test_connected_agents_of_the_org_hear_of_a_change_at_once(plane: Plane, tenant: Tenant) -> None:
    ours, theirs = (tenant.host(), tenant.host()), plane.tenant().host()
    async with AsyncExitStack() as stack:
        sockets = [await stack.enter_async_context(dialled(plane, host)) for host in (*ours, theirs)]
        assert [(await next_config(socket))["version"] for socket in sockets] == [0, 0, 0]
        made = (await put(tenant, OTHER)).json
        assert [await next_config(socket) for socket in sockets[:2]] == [made, made]
        await sockets[2].send_json({"event": "heartbeat", "data": {}})
        assert (await sockets[2].receive_json(timeout=PATIENCE))["event"] == "heartbeat_ack"  # and nothing before it


def dialled(plane: Plane, host: Agent) -> Any:
    """A host's agent on its socket."""
    return plane.session.ws_connect(f"{plane.url}/agent", headers={"Authorization": f"Bearer {host.token}"})


async def test_an_agent_that_connects_gets_the_present_config_first(plane: Plane, tenant: Tenant) -> None:
    made = (await put(tenant, OTHER)).json
    async with dialled(plane, tenant.host()) as socket:
        assert await next_config(socket) == made
