"""Whatever an agent sends gets a typed `error` frame; its socket stays open unless it must close, and nobody else notices."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import aiohttp
import pytest

from tests.support.callers import PATIENCE, Agent, Plane, Tenant
from tests.support.sockets import Ways, plain

UNKNOWN = "018f0000-0000-7000-8000-000000000000"
JOB = {"jobId": UNKNOWN, "jobRunId": UNKNOWN}
DEEP = "[" * 5_000 + "]" * 5_000


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "not json",
        "nul\0",
        "5",
        "null",
        "[]",
        '["heartbeat",{}]',
        '"heartbeat"',
        "{}",
        '{"event":null}',
        '{"event":5,"data":{}}',
        '{"data":{}}',
        '{"event":"heartbeat","data":{}',
        '{"event":"heartbeat","id":{}}',
        '{"event":"heartbeat","id":true}',
        '{"event":"heartbeat","id":"' + "x" * 201 + '"}',
        DEEP,
        '{"event":"heartbeat","data":' + DEEP + "}",
        '{"event":"\\ud800"}',
        '{"event":"__class__"}',
        '{"event":"config"}',
        '{"event":"connect"}',
        '{"event":"' + "x" * 10_000 + '"}',
    ],
    ids=lambda frame: frame[:30],
)
async def test_what_is_no_frame_is_refused(host: Agent, frame: str) -> None:
    async with plain(host) as talk:
        await talk.next("config")
        await talk.send(frame)
        refusal = await talk.next()
        assert talk.heard[-1]["event"] == "error"
        assert refusal["code"] == "invalid_request"
        assert len(json.dumps(talk.heard[-1])) < 1000
        await talk.is_open()


@pytest.mark.parametrize("frame", [{"event": 5}, {}, {"event": None}, {"event": "nonsense"}, {"data": 5}], ids=str)
async def test_the_refusal_of_what_is_no_frame_repeats_its_id(host: Agent, frame: Any) -> None:
    async with plain(host) as talk:
        await talk.next("config")
        await talk.send(frame | {"id": "k"})
        assert (await talk.next("error"))["code"] == "invalid_request"
        assert talk.heard[-1]["id"] == "k"


@pytest.mark.parametrize("data", [None, 5, "text", [], {}, {"jobId": None}, {"jobId": 5}, {"jobId": {"a": 1}}])
async def test_data_of_another_shape_is_refused(host: Agent, connect: Ways, data: Any) -> None:
    async with connect(host) as talk:
        await talk.next("config")
        for event in ("job:ack", "job:progress", "job:log", "job:evidence", "job:done", "job:error", "job:cancelled"):
            refusal = await talk.refusal(event, data)
            assert (refusal["code"], refusal["event"]) == ("invalid_request", event)
        await talk.is_open()


@pytest.mark.parametrize(
    ("event", "fields", "code"),
    [
        ("job:ack", {"jobId": UNKNOWN}, "not_found"),
        ("job:ack", {"jobId": "no id"}, "not_found"),
        ("job:ack", {"jobId": "x" * 100_000}, "not_found"),
        ("job:ack", {"jobId": UNKNOWN, "jobRunId": "../.."}, "not_found"),
        ("job:reject", {"jobId": UNKNOWN, "reason": "x"}, "not_found"),
        ("job:progress", {**JOB, "progress": 1}, "not_found"),
        ("job:progress", {**JOB, "progress": -1}, "invalid_request"),
        ("job:progress", {**JOB, "progress": 100.5}, "invalid_request"),
        ("job:progress", {**JOB, "progress": "5"}, "invalid_request"),
        ("job:progress", {"jobId": UNKNOWN, "progress": 1}, "not_found"),
        ("job:log", {**JOB, "lines": [{"seq": -1, "message": "x"}]}, "invalid_request"),
        ("job:log", {**JOB, "lines": [{"seq": 0, "message": "x"}] * 1001}, "invalid_request"),
        ("job:log", {**JOB, "lines": "x"}, "invalid_request"),
        ("job:evidence", {**JOB, "evidence": [{}] * 10_000}, "invalid_request"),
        ("job:evidence", {**JOB, "evidence": {}}, "invalid_request"),
        ("job:done", {**JOB}, "not_found"),
        ("job:done", {**JOB, "output": "x" * 300_000}, "payload_too_large"),
        ("job:done", {**JOB, "durationMs": -1}, "invalid_request"),
        ("job:error", {**JOB, "error": "x", "retryable": "yes"}, "invalid_request"),
        ("heartbeat", {"running": ["x"]}, "invalid_request"),
        ("heartbeat", {"running": [UNKNOWN] * 101}, "invalid_request"),
        ("heartbeat", {"instanceId": "\x07"}, "invalid_request"),
        ("job:done", {**JOB, "output": {"text": "nul\0"}}, "invalid_request"),
        ("job:progress", {**JOB, "progress": 1, "message": "nul\0"}, "invalid_request"),
        ("job:error", {**JOB, "error": {"message": 2**80}}, "invalid_request"),
        ("no:such", {}, "invalid_request"),
    ],
)
async def test_a_frame_that_cannot_be_meant_is_refused(
    host: Agent, connect: Ways, event: str, fields: dict[str, Any], code: str
) -> None:
    async with connect(host) as talk:
        await talk.next("config")
        refusal = await talk.refusal(event, **fields)
        assert (refusal["code"], refusal["event"]) == (code, event)
        assert len(refusal.get("jobId", "")) <= 100
        await talk.is_open()


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "'; DROP TABLE job; --",
        "\u202e\u200b\ufeff",
        "💥" * 1000,
        "\x1b[2J\r\n",
        "x" * 50_000,
    ],
)
async def test_hostile_texts_are_kept_as_texts(tenant: Tenant, host: Agent, connect: Ways, text: str) -> None:
    async with connect(host) as talk:
        job = await tenant.create(host, maxAttempts=1)
        await talk.next("job:new")
        await talk.ask("job:ack", jobId=job["id"], agentId=text)
        await talk.ask("job:progress", jobId=job["id"], progress=1, message=text)
        await talk.ask("job:log", jobId=job["id"], lines=[{"seq": 0, "message": text, "level": text[:20]}])
        await talk.ask("job:error", jobId=job["id"], error=text, errorCode=text[:100])
    shown = await tenant.show(job)
    assert shown["errorCode"] == text[:100]
    assert shown["errorMessage"][:1000] == text[:1000]


async def test_acks_of_jobs_that_were_never_offered_change_nothing(tenant: Tenant, host: Agent, connect: Ways) -> None:
    async with connect(host) as talk:
        running, waiting = await tenant.create(host), await tenant.create(host)
        await talk.next("job:new", jobId=running["id"])
        assert await talk.refused("job:ack", jobId=waiting["id"]) in {"not_found", "invalid_state", "already_taken"}
        await talk.ask("job:ack", jobId=running["id"])
        assert (await talk.ask("job:ack", jobId=running["id"]))["jobId"] == running["id"]
        assert (await tenant.show(waiting))["jobRuns"][0]["status"] == "pending"


async def test_binary_frames_are_refused(host: Agent) -> None:
    async with plain(host) as talk:
        await talk.next("config")
        await talk.socket.send_bytes(b'{"event":"heartbeat"}')
        assert (await talk.next("error"))["code"] == "invalid_request"
        await talk.is_open()


async def test_text_that_is_not_utf_8_is_refused(host: Agent) -> None:
    async with plain(host) as talk:
        await talk.next("config")
        await talk.socket.send_frame(b'{"event":"\xff"}', aiohttp.WSMsgType.TEXT)
        assert (await talk.next("error"))["code"] == "invalid_request"
        await talk.is_open()


async def test_a_frame_of_ten_megabytes_closes_the_socket_and_nobody_elses(tenant: Tenant, host: Agent) -> None:
    async with plain(tenant.host("eu-2")) as other, plain(host) as talk:
        await talk.next("config")
        await talk.say("job:done", **JOB, output="x" * 10_000_000)
        assert await talk.closed() == 1009
        assert talk.heard[-1]["data"]["code"] == "payload_too_large"
        await other.is_open()


async def test_a_packet_of_ten_megabytes_closes_the_connection(host: Agent) -> None:
    async with host.session.ws_connect(socketio_url(host)) as socket:
        await joined(socket, host)
        with suppress(ConnectionError):
            await socket.send_str('42/agent,["job:done","' + "x" * 10_000_000 + '"]')
        await gone(socket)
    reply = await posted(host, "4" + "x" * 2_000_000)
    assert reply == 413


# ---- Socket.IO by hand -----------------------------------------------------------------------------------------


def socketio_url(agent: Agent) -> str:
    return f"{agent.url}/socket.io/?EIO=4&transport=websocket"


async def joined(socket: aiohttp.ClientWebSocketResponse, agent: Agent) -> None:
    """Connected to `/agent`."""
    assert (await socket.receive_str()).startswith("0{")
    await socket.send_str("40/agent," + json.dumps({"token": agent.token}))
    assert (await socket.receive_str()).startswith("40/agent,{")
    assert (await socket.receive_str()).startswith('42/agent,["config"')


async def gone(socket: aiohttp.ClientWebSocketResponse) -> None:
    """Return when the server has closed it."""
    async with asyncio.timeout(PATIENCE):
        async for _ in socket:
            pass


async def posted(agent: Agent, body: str) -> int:
    """The status of a post to a fresh polling connection."""
    url = f"{agent.url}/socket.io/?EIO=4&transport=polling"
    async with agent.session.get(url) as reply:
        sid = json.loads((await reply.text())[1:])["sid"]
    async with agent.session.post(f"{url}&sid={sid}", data=io.BytesIO(body.encode())) as reply:
        return reply.status


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("42/agent,[]", "invalid_request"),
        ("42/agent,{}", "invalid_request"),
        ("42/agent,", "invalid_request"),
        ("42/agent,[5]", "invalid_request"),
        ('42/agent,["heartbeat"', "invalid_request"),
        ('42/agent,["heartbeat",5]', "invalid_request"),
        ('42/agent,["heartbeat",{"id":[]}]', "invalid_request"),
        ('42/agent,["nonsense"]', "invalid_request"),
        ('42/agent,["connect"]', "invalid_request"),
        ('42/agent,["disconnect"]', "invalid_request"),
        ('42/agent,["heartbeat",' + DEEP + "]", "invalid_request"),
        ("42/agent," + "9" * 150 + '["heartbeat"]', "invalid_request"),
    ],
    ids=lambda text: text[:30],
)
async def test_a_packet_that_is_no_event_is_refused(host: Agent, text: str, code: str) -> None:
    async with host.session.ws_connect(socketio_url(host)) as socket:
        await joined(socket, host)
        await socket.send_str(text)
        answer = await socket.receive_str()
        assert answer.startswith('42/agent,["error"')
        assert json.loads(answer[len("42/agent,") :])[1]["code"] == code
        await socket.send_str('42/agent,["heartbeat"]')
        assert (await socket.receive_str()).startswith('42/agent,["heartbeat_ack"')


@pytest.mark.parametrize(
    "text", ["42/other,[]", '42["x"]', "43/agent,1[]", '40/agent,{"token":"x"}', "41/other,", "3", "3[[["]
)
async def test_a_packet_that_means_nothing_here_does_no_harm(host: Agent, text: str) -> None:
    async with host.session.ws_connect(socketio_url(host)) as socket:
        await joined(socket, host)
        await socket.send_str(text)
        await socket.send_str('42/agent,["heartbeat"]')
        async with asyncio.timeout(PATIENCE):
            while not (await socket.receive_str()).startswith('42/agent,["heartbeat_ack"'):
                pass


@pytest.mark.parametrize("text", ["", "x", "9", "4", "4x", "45-[]", "44/agent,{}", "b4", '451-["x",{}]', "2" * 100])
async def test_what_is_no_packet_ends_the_connection(host: Agent, text: str) -> None:
    async with host.session.ws_connect(socketio_url(host)) as socket:
        await joined(socket, host)
        await socket.send_str(text)
        await gone(socket)
    assert await posted(host, text) == 400


async def test_binary_packets_end_the_connection(host: Agent) -> None:
    async with host.session.ws_connect(socketio_url(host)) as socket:
        await joined(socket, host)
        await socket.send_bytes(b"x")
        await gone(socket)


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 400),
        ("EIO=3&transport=polling", 400),
        ("EIO=4&transport=carrier-pigeon", 400),
        ("EIO=4&transport=websocket", 400),
        ("EIO=4&transport=polling&sid=nobody", 400),
        ("EIO=4&transport=polling&j=0", 400),
        ("EIO=4&transport=polling&j=x", 400),
    ],
)
async def test_a_request_that_is_not_of_this_protocol_is_refused(plane: Plane, query: str, status: int) -> None:
    plane.tenant()
    assert (await plane.stranger.get(f"/socket.io/?{query}")).status == status


async def test_a_body_may_come_in_pieces(host: Agent) -> None:
    """What comes in two pieces is one body: the library alone would take the first for all of it."""
    url = f"{host.url}/socket.io/?EIO=4&transport=polling"
    async with host.session.get(url) as reply:
        sid = json.loads((await reply.text())[1:])["sid"]

    async def pieces() -> AsyncIterator[bytes]:
        yield b'40/agent,{"token":'
        yield json.dumps(host.token).encode() + b"}"

    async with host.session.post(f"{url}&sid={sid}", data=pieces()) as reply:
        assert (reply.status, await reply.text()) == (200, "OK")
    async with host.session.get(f"{url}&sid={sid}") as reply:
        assert (await reply.text()).startswith("40/agent,{")
