"""A server that allows little: floods, strangers, crowds and peers that never read lose their own connection only."""

import asyncio
import json
import socket
from collections.abc import Iterator
from contextlib import AsyncExitStack, suppress
from typing import Any

import aiohttp
import pytest

from tests.support.callers import PATIENCE, Agent, Plane, Tenant
from tests.support.server import Server
from tests.support.sockets import PlainTalk, Ways, agent_url, plain, stranger

UNKNOWN = "018f0000-0000-7000-8000-000000000000"
JOB = {"jobId": UNKNOWN, "jobRunId": UNKNOWN}
POLLING = "/socket.io/?EIO=4&transport=polling"
UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """It must end cleanly, and its log must name no unexpected error."""
    limits = {
        "socket_frames_per_second": 20,
        "socket_frames_at_once": 50,
        "socket_auth_seconds": 0.5,
        "sockets_unknown": 3,
        "sockets_per_host": 2,
        "socket_unsent_bytes": 100_000,
    }
    with Server(tmp_path_factory.mktemp("strict"), **limits) as running:
        yield running
    assert running.tracebacks() == []


async def test_a_flood_is_refused_and_then_closed(tenant: Tenant, host: Agent, connect: Ways) -> None:
    async with connect(tenant.host("eu-2")) as other, connect(host) as talk:
        await talk.next("config")
        await flood(talk, 400)
        await talk.closed()
        if isinstance(talk, PlainTalk):
            assert talk.socket.close_code == 1008
            refused = [frame["data"] for frame in talk.heard if frame["event"] == "error"]
            assert {refusal["code"] for refusal in refused} == {"rate_limited"}
            assert 0 < refused[0]["retryAfter"] <= 1
            assert refused[0]["event"] == "heartbeat"
        assert 40 < len([frame for frame in talk.heard if frame["event"] == "heartbeat_ack"]) < 150
        await other.is_open()


async def flood(talk: Any, frames: int) -> None:
    """Send so many as fast as can be, as long as anybody listens."""
    try:
        for _ in range(frames):
            await talk.say("heartbeat")
    except Exception:  # noqa: BLE001, S110 - each client has its own way to say that it was closed
        pass


async def test_a_flood_of_what_is_no_frame_ends_the_same_way(host: Agent) -> None:
    async with plain(host) as talk:
        for _ in range(200):
            await talk.socket.send_bytes(b"x")
        assert await talk.closed() == 1008


async def test_large_frames_count_as_several(host: Agent) -> None:
    async with plain(host) as talk:
        with suppress(ConnectionError):
            for _ in range(20):
                await talk.say("job:done", **JOB, output="x" * 1_000_000)
        assert await talk.closed() == 1008


async def test_who_does_not_say_who_it_is_has_to_go(host: Agent) -> None:
    async with stranger(host) as talk:
        assert await talk.closed() == 1008
        assert [frame["data"]["code"] for frame in talk.heard] == ["unauthenticated"]
    async with host.session.get(host.url + POLLING) as reply:
        sid = (await reply.text())[1:].split('"')[3]
    async with host.session.get(f"{host.url}{POLLING}&sid={sid}") as reply:
        assert await reply.text() == "1"  # the server closes


async def test_only_so_many_may_have_yet_to_say_who_they_are(plane: Plane, host: Agent) -> None:
    async with AsyncExitStack() as crowd:
        for _ in range(3):
            await crowd.enter_async_context(stranger(host))
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await crowd.enter_async_context(stranger(host))
        assert refused.value.status == 503
        async with plain(host) as talk:  # who says it in the header is no stranger
            await talk.is_open()
    statuses = [(await plane.stranger.get(POLLING)).status for _ in range(4)]
    assert statuses == [200, 200, 200, 503]


async def test_dashboards_that_have_yet_to_say_who_they_are_count_too(tenant: Tenant, host: Agent) -> None:
    path = f"{host.url}/ws?orgId={tenant.id}"
    async with AsyncExitStack() as crowd:
        for _ in range(3):
            await crowd.enter_async_context(host.session.ws_connect(path))
        async with host.session.get(path, headers=UPGRADE) as reply:
            assert (reply.status, "Retry-After" in reply.headers) == (503, True)
        async with tenant.watch() as watch:  # who says it in the header is no stranger
            job = await tenant.create(host)
            await watch.until("job.created", jobId=job["id"])


async def test_who_leaves_while_it_is_let_in_does_not_count_for_ever(host: Agent) -> None:
    async with asyncio.timeout(PATIENCE):
        left = 0
        while left < 10:
            with suppress(aiohttp.WSServerHandshakeError):  # those before are still counted
                async with host.session.ws_connect(f"{host.url}/socket.io/?EIO=4&transport=websocket") as socket:
                    await socket.send_str("40/agent," + json.dumps({"token": host.token}))
                left += 1


async def test_one_key_opens_only_so_many_connections(host: Agent) -> None:
    """Two of them answer no close, so that they are still there when the third comes."""
    async with AsyncExitStack() as crowd:
        for _ in range(2):
            await crowd.enter_async_context(silent(host))
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await crowd.enter_async_context(plain(host))
        assert refused.value.status == 429


class silent:  # noqa: N801 - used as the functions beside it
    """A socket that reads nothing, not even that it is to close."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    async def __aenter__(self) -> asyncio.StreamWriter:
        url = agent_url(self._agent)
        raw = socket.socket()
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.setblocking(False)
        await asyncio.get_running_loop().sock_connect(raw, (url.host, url.port))
        reader, self.writer = await asyncio.open_connection(sock=raw, limit=1024)
        self.writer.write(
            f"GET /agent HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            f"Authorization: Bearer {self._agent.token}\r\n\r\n".encode()
        )
        assert b"101" in await reader.readuntil(b"\r\n\r\n")
        return self.writer

    async def __aexit__(self, *_: object) -> None:
        self.writer.close()


async def test_a_peer_that_never_reads_is_closed_and_nothing_gathers_for_it(tenant: Tenant, host: Agent) -> None:
    async with silent(host) as writer, asyncio.timeout(PATIENCE):
        job = await tenant.create(host, payload={"filler": "x" * 200_000})
        ack = json.dumps({"event": "job:ack", "data": {"jobId": job["id"]}}).encode()
        for _ in range(40):  # each is answered by the whole job, twice 200 kB
            writer.write(bytes((0x81, 0x80 | len(ack), 0, 0, 0, 0)) + ack)
        while (await tenant.queue(host))["connections"]:
            pass


async def test_a_client_that_never_polls_is_closed_and_nothing_gathers_for_it(tenant: Tenant, host: Agent) -> None:
    async with host.session.get(host.url + POLLING) as reply:
        sid = (await reply.text())[1:].split('"')[3]

    async def post(packet: str) -> int:
        async with host.session.post(f"{host.url}{POLLING}&sid={sid}", data=packet) as reply:
            return reply.status

    assert await post("40/agent," + json.dumps({"token": host.token})) == 200
    job = await tenant.create(host, payload={"filler": "x" * 100_000})
    ack = json.dumps(["job:ack", {"jobId": job["id"]}])
    async with asyncio.timeout(PATIENCE):
        while await post(f"42/agent,{ack}") == 200:
            pass
        while (await tenant.queue(host))["connections"]:
            pass
