"""How agents' sockets come and go: who may in, one after another, revoked keys, restarts of either side."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from interlock.clock import SystemClock
from store.models import AgentKey
from tests.support.callers import PATIENCE, Agent, Plane, Tenant
from tests.support.server import Rows, Server
from tests.support.sockets import PlainTalk, SocketIoTalk, Ways, agent_url, introduced, plain, stranger

SETTINGS: dict[str, Any] = {"platform": {"apiUrl": "https://api.example.com"}, "connectors": []}


async def refused_upgrade(host: Agent, headers: dict[str, str], **query: str) -> int:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await host.session.ws_connect(agent_url(host, **query), headers=headers)
    return refused.value.status


async def test_a_bad_header_is_refused_before_the_upgrade(tenant: Tenant, host: Agent) -> None:
    for header in ("Bearer x", "Basic x", "Bearer", f"Bearer {tenant.user.token}"):
        assert await refused_upgrade(host, {"Authorization": header}) == 401
    good = {"Authorization": f"Bearer {host.token}"}
    assert await refused_upgrade(host, good, instanceId="\x07") == 400
    assert await refused_upgrade(host, good, running="x") == 400


async def test_what_is_no_upgrade_is_refused(host: Agent) -> None:
    assert (await host.get("/agent")).refusal == (400, "invalid_request")
    assert (await host.post("/agent")).refusal == (405, "method_not_allowed")


@pytest.mark.parametrize(
    "frame",
    [
        {"event": "heartbeat", "data": {}},
        {"event": "auth"},
        {"event": "auth", "data": {"token": 5}},
        {"event": "auth", "data": {"token": "x"}},
        {"event": "auth", "data": []},
        "not json",
        "[" * 50_000,
    ],
    ids=lambda frame: str(frame)[:30],
)
async def test_a_first_frame_other_than_auth_ends_the_conversation(host: Agent, frame: Any) -> None:
    async with stranger(host) as talk:
        await talk.send(frame)
        assert await talk.closed() == 1008
    assert [told["event"] for told in talk.heard] == ["error"]
    assert talk.heard[0]["data"]["code"] == "unauthenticated"


@pytest.mark.parametrize(
    "frame",
    [{"event": "heartbeat"}, {"event": "auth", "data": {"token": "x"}}, {"event": 5}, {}],
    ids=lambda frame: str(frame)[:30],
)
async def test_a_refused_first_frame_is_told_by_its_id(host: Agent, frame: Any) -> None:
    async with stranger(host) as talk:
        await talk.send(frame | {"id": "k"})
        assert await talk.closed() == 1008
    assert [(told["event"], told["id"]) for told in talk.heard] == [("error", "k")]


@pytest.mark.parametrize(
    ("field", "value"),
    [("instanceId", 5), ("instanceId", "\x07"), ("running", ["x"]), ("running", "x"), ("running", 5)],
)
async def test_what_else_is_wrong_with_auth_is_said(host: Agent, field: str, value: Any) -> None:
    async with stranger(host) as talk:
        await talk.send({"event": "auth", "id": 7, "data": {"token": host.token, field: value}})
        assert await talk.closed() == 1008
    assert [(told["event"], told["id"], told["data"]["code"]) for told in talk.heard] == [
        ("error", 7, "invalid_request")
    ]
    assert talk.heard[0]["data"]["errors"][0]["path"].startswith(f"$.{field}")
    refused = SocketIoTalk()
    with pytest.raises(Exception, match="failed to connect"):
        await refused.connect(host.url, {"token": host.token, field: value}, "websocket")
    assert refused.why_not["data"]["code"] == "invalid_request"


async def test_the_answer_to_auth_is_the_config(host: Agent) -> None:
    async with stranger(host) as talk:
        await talk.send({"event": "auth", "id": 1, "data": {"token": host.token}})
        await talk.next("config")
        assert talk.heard[0]["id"] == 1


async def test_a_socketio_client_is_told_why_it_may_not_in(tenant: Tenant, host: Agent) -> None:
    for token in ("x", "", None, tenant.user.token):
        talk = SocketIoTalk()
        with pytest.raises(Exception, match="failed to connect"):
            await talk.connect(host.url, {"token": token}, "websocket")
        assert talk.why_not["data"]["code"] == "unauthenticated"


async def test_a_newer_socket_supersedes_the_older_whose_late_close_harms_nothing(
    tenant: Tenant, host: Agent, connect: Ways
) -> None:
    async with connect(host) as older:
        await older.next("config")
        async with connect(host) as newer:
            await newer.next("config")
            assert (await older.next("error"))["code"] == "superseded"
            await older.closed()
            if isinstance(older, PlainTalk):
                assert older.socket.close_code == 1008
            job = await tenant.create(host)
            assert (await newer.next("job:new"))["jobId"] == job["id"]
            await newer.ask("job:ack", jobId=job["id"])
            assert (await newer.ask("job:done", jobId=job["id"]))["jobStatus"] == "COMPLETED"
            assert "job:new" not in older.events


async def test_a_run_goes_on_over_a_new_socket(tenant: Tenant, host: Agent, connect: Ways) -> None:
    async with connect(host) as talk:
        job = await tenant.create(host)
        await talk.next("job:new")
        given = await talk.ask("job:ack", jobId=job["id"])
    async with connect(host, running=[given["jobRunId"]]) as talk:
        await talk.next("config")
        await talk.ask("job:progress", jobId=job["id"], progress=50)
        assert (await talk.ask("job:done", jobId=job["id"]))["jobStatus"] == "COMPLETED"


async def test_what_an_agent_runs_may_be_a_text_as_on_a_poll(tenant: Tenant, host: Agent, connect: Ways) -> None:
    async with connect(host, instanceId="one", running="") as talk:
        job = await tenant.create(host, maxAttempts=1)
        await talk.next("job:new")
        given = await talk.ask("job:ack", jobId=job["id"])
    gone = "018f0000-0000-7000-8000-000000000000"
    async with connect(host, instanceId="two", running=f"{given['jobRunId']},{gone}") as talk:
        assert (await talk.next("job:cancel"))["jobRunId"] == gone
        assert (await tenant.show(job))["status"] == "RUNNING"
    async with connect(host, instanceId="three", running="") as talk:
        await talk.next("config")
        assert (await tenant.show(job))["jobRuns"][0]["status"] == "lost"


async def test_an_agent_that_comes_back_as_another_process_without_its_run_has_lost_it(
    tenant: Tenant, host: Agent, connect: Ways
) -> None:
    async with connect(host, instanceId="one", running=[]) as talk:
        job = await tenant.create(host, maxAttempts=1)
        await talk.next("job:new")
        await talk.ask("job:ack", jobId=job["id"])
    async with connect(host, instanceId="two", running=[]) as talk:
        await talk.next("config")
        shown = await tenant.show(job)
        assert (shown["status"], shown["jobRuns"][0]["status"]) == ("FAILED", "lost")


async def test_an_agent_may_declare_itself_in_the_url(tenant: Tenant, host: Agent) -> None:
    async with plain(host, instanceId="one", running="") as talk:
        job = await tenant.create(host, maxAttempts=1)
        await talk.next("job:new")
        await talk.ask("job:ack", jobId=job["id"])
    async with plain(host, instanceId="two", running="") as talk:
        await talk.next("config")
        assert (await tenant.show(job))["jobRuns"][0]["status"] == "lost"


async def test_new_settings_reach_the_agents_of_their_org_only(plane: Plane, tenant: Tenant, connect: Ways) -> None:
    async with connect(tenant.host()) as talk, connect(plane.tenant().host()) as other:
        await talk.next("config")
        await other.next("config")
        reply = await tenant.as_role("admin").ask("PUT", f"{tenant.path}/settings", SETTINGS)
        assert reply.status == 200, reply
        config = await talk.next("config")
        assert (config["platform"]["apiUrl"], config["connectors"], config["version"]) == (
            "https://api.example.com",
            [],
            1,
        )
        await other.is_open()
        assert other.events.count("config") == 1


def revoke(rows: Rows, host: Agent) -> None:
    """As another process does it."""
    with rows.database.connection_context():
        AgentKey.update(revoked_at=SystemClock().now()).where(AgentKey.host_id == host.id).execute(rows.database)


async def test_a_revoked_key_closes_its_socket(plane: Plane, tenant: Tenant, host: Agent, connect: Ways) -> None:
    async with connect(tenant.host("eu-2")) as other, connect(host) as talk:
        await talk.next("config")
        revoke(plane.rows, host)
        assert (await talk.next("error"))["code"] == "unauthenticated"
        await talk.closed()
        if isinstance(talk, PlainTalk):
            assert talk.socket.close_code == 1008
        assert await refused_upgrade(host, {"Authorization": f"Bearer {host.token}"}) == 401
        await other.is_open()


async def test_a_revoked_key_answers_its_parked_poll(plane: Plane, tenant: Tenant, host: Agent) -> None:
    async with tenant.parked(host) as poll:
        revoke(plane.rows, host)
        async with asyncio.timeout(PATIENCE):
            assert (await poll).refusal == (401, "unauthenticated")


async def test_a_key_that_is_deleted_is_noticed_too(plane: Plane, tmp_path: Path) -> None:
    with Server(tmp_path / "data", revocation_look_seconds=0.01) as server:
        other = Plane(server, Rows(server.data_dir), plane.session)
        host = other.tenant().host()
        async with plain(host) as talk:
            await talk.next("config")
            with other.rows.database.connection_context():
                AgentKey.delete().where(AgentKey.host_id == host.id).execute(other.rows.database)
            assert await talk.closed() == 1008


class TestAtTheEnd:
    """Of the server."""

    @pytest.fixture
    def server(self, tmp_path: Path) -> Iterator[Server]:
        with Server(tmp_path / "data") as running:
            yield running
        assert running.tracebacks() == []

    async def test_a_stop_tells_agents_to_come_back(
        self, server: Server, plane: Plane, tenant: Tenant, host: Agent
    ) -> None:
        plane.tenant()
        async with introduced(host) as talk:
            await talk.next("config")
            polling, upgraded = SocketIoTalk(), SocketIoTalk()
            await polling.connect(host.url, {"token": tenant.host("eu-2").token}, "polling")
            await upgraded.connect(host.url, {"token": tenant.host("eu-3").token}, "websocket")
            stopping = asyncio.create_task(asyncio.to_thread(server.terminate))
            assert await talk.closed() == 1001
            await polling.closed()
            await upgraded.closed()
            assert await stopping == 0

    async def test_before_the_set_up_no_socket_opens(self, server: Server, session: aiohttp.ClientSession) -> None:
        for path in ("/agent", "/socket.io/?EIO=4&transport=websocket"):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await session.ws_connect(server.url + path)
            assert refused.value.status == 503
        async with session.get(f"{server.url}/socket.io/?EIO=4&transport=polling") as reply:
            assert (reply.status, (await reply.json(content_type=None))["code"]) == (503, "setup_required")
