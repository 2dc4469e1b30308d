"""The pure parts of `./scripts/bench sockets`: frames as a client sends and reads them, agents, watchers, rows."""

import asyncio
import json
from collections import defaultdict
from collections.abc import Callable

import pytest
from aiohttp import WSCloseCode, web
from benches.agents import Tally
from benches.bare import echo_frames
from benches.frames import PING, TEXT, Socket, framed, upgrade
from benches.plan import BenchFailed, FleetHost
from benches.socket_agents import Agent, PoolAgent, Talk, ids_in, say
from benches.socket_dashboards import Watcher
from benches.sockets_rows import sockets_rows
from benches.sockets_sizes import QUICK_SOCKETS, SocketSizes

JOB, OTHER, RUN = (f"01900000-0000-7000-8000-00000000000{digit}" for digit in "123")
Serve = Callable[[web.Request], "asyncio.Future[web.StreamResponse]"]


class Wire:
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        self.written: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.written.append(data)


def heard(*bodies: bytes) -> tuple[Socket, list[bytes]]:
    """A socket that has been switched to frames, and what it has received."""
    received: list[bytes] = []
    socket = Socket()
    socket.received = received.append
    socket.connection_made(Wire())  # type: ignore[arg-type]
    socket.data_received(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n" + b"".join(bodies))
    return socket, received


def said(body: bytes, opcode: int = TEXT) -> bytes:
    """A server's frame of fewer than 65,536 bytes."""
    size = bytes((len(body),)) if len(body) < 126 else b"\x7e" + len(body).to_bytes(2, "big")
    return bytes((0x80 | opcode,)) + size + body


def frame(event: str, job: str = JOB, run: str = RUN, **more: str) -> bytes:
    return json.dumps({"event": event, "data": {"jobId": job, "jobRunId": run, **more}}, separators=(",", ":")).encode()


def sent(agent: Agent) -> list[tuple[str, str]]:
    """The events that an agent has sent, and about which job."""
    wire = agent._socket._transport
    assert isinstance(wire, Wire)
    bodies = [json.loads(data[data.index(b"{") :]) for data in wire.written]
    return [(body["event"], body["data"]["jobId"]) for body in bodies]


def connected(kind: type[Agent], tally: Tally) -> Agent:
    agent = kind(FleetHost("host", "key", "instance"), tally)
    agent._socket, _ = heard()
    return agent


@pytest.fixture
async def bare(aiohttp_server: Callable[[web.Application], "asyncio.Future[object]"]) -> int:
    """The port of a server that echoes frames at /echo and closes at /close."""

    async def close(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        await ws.close(code=WSCloseCode.POLICY_VIOLATION)
        return ws

    app = web.Application()
    app.router.add_get("/echo", echo_frames)
    app.router.add_get("/close", close)
    server = await aiohttp_server(app)
    port: int = server.port  # type: ignore[attr-defined]
    return port


@pytest.mark.parametrize("size", [0, 100, 125, 126, 65_535, 65_536, 200_000])
async def test_frames_of_every_length_come_back_from_the_yardstick(bare: int, size: int) -> None:
    talk = Talk()
    await talk.connect(bare, "/echo")
    talk.socket.send(framed(json.dumps("x" * size).encode()))
    assert json.loads(await talk.until(b'"')) == "x" * size
    talk.cut()


async def test_an_upgrade_that_is_refused_fails_the_bench(bare: int) -> None:
    with pytest.raises(BenchFailed, match="404"):
        await Socket.open(bare, "/nowhere")


async def test_who_waits_for_a_frame_is_told_that_the_socket_was_closed(bare: int) -> None:
    talk = Talk()
    await talk.connect(bare, "/close")
    with pytest.raises(BenchFailed, match="closed"):
        await talk.until(b"{")


def test_an_upgrade_carries_its_credential_or_none() -> None:
    assert b"\r\nAuthorization: Bearer secret\r\n" in upgrade("/agent", "secret")
    assert b"Authorization" not in upgrade("/echo", "")


def test_frames_are_whole_however_they_arrive() -> None:
    socket, received = heard()
    for byte in said(b"one") + said(b"2" * 300) + said(b""):
        socket.data_received(bytes((byte,)))
    assert received == [b"one", b"2" * 300, b""]


def test_the_first_frame_may_come_with_the_answer_to_the_upgrade() -> None:
    assert heard(said(b"one"), said(b"two"))[1] == [b"one", b"two"]


def test_a_ping_is_answered_with_what_it_carried() -> None:
    socket, received = heard(said(b"beat", PING))
    assert received == []
    assert socket._transport.written == [framed(b"beat", 10)]  # type: ignore[attr-defined]


def test_the_ids_in_a_frame_are_found_by_their_names() -> None:
    assert ids_in(frame("job:new")) == (JOB.encode(), RUN.encode())
    with pytest.raises(BenchFailed, match="without"):
        ids_in(b'{"event":"config","data":{}}')


def test_what_an_agent_says_is_json() -> None:
    body = json.loads(say(b"job:done", (JOB.encode(), RUN.encode())).partition(b"\0\0\0\0")[2])
    assert body == {"event": "job:done", "data": {"jobId": JOB, "jobRunId": RUN}}


async def test_an_agent_acks_reports_and_counts_a_run_once() -> None:
    tally = Tally(1)
    agent = connected(Agent, tally)
    for event in ("job:new", "job:ack_success", "job:done_ack"):
        agent.heard(frame(event))
    assert sent(agent) == [("job:ack", JOB), ("job:done", JOB)]
    await tally.done()
    with pytest.raises(BenchFailed, match="twice"):
        agent.heard(frame("job:done_ack"))


async def test_an_error_that_nobody_expects_fails_the_bench() -> None:
    tally = Tally(1)
    agent = connected(Agent, tally)
    agent._received(b'{"event":"error","data":{"code":"superseded"}}')
    with pytest.raises(BenchFailed, match="superseded"):
        await tally.done()
    with pytest.raises(BenchFailed, match="superseded"):
        await agent._ready


async def test_a_pool_agent_asks_for_the_next_hint_when_it_came_too_late() -> None:
    agent = connected(PoolAgent, Tally(1))
    agent.heard(frame("job:available", JOB))
    agent.heard(frame("job:available", OTHER))
    assert sent(agent) == [("job:ack", JOB)]
    agent.heard(frame("error", JOB, code="already_taken"))
    assert sent(agent)[1:] == [("job:ack", OTHER)]
    assert isinstance(agent, PoolAgent)
    assert (agent.hinted, agent.too_late) == (2, 1)


async def test_a_pool_agent_that_has_a_job_hears_no_hints_until_it_is_done() -> None:
    agent = connected(PoolAgent, Tally(2))
    agent.heard(frame("job:available", JOB))
    agent.heard(frame("job:ack_success", JOB))
    agent.heard(frame("job:available", OTHER))
    assert sent(agent) == [("job:ack", JOB), ("job:done", JOB)]
    agent.heard(frame("job:done_ack", JOB))
    agent.heard(frame("job:available", OTHER))
    assert sent(agent)[2:] == [("job:ack", OTHER)]


async def test_a_watcher_waits_for_all_frames_or_a_gap() -> None:
    watcher = Watcher()
    watcher.data_received(b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + said(b'{"seq":1,"event":"job.created"}'))
    news = asyncio.ensure_future(watcher.news(3))
    await asyncio.sleep(0)
    assert not news.done()
    watcher.data_received(said(b'{"seq":9,"event":"gap"}'))
    await news
    assert (watcher.frames, watcher.gaps) == (2, 1)


async def test_a_watcher_that_was_closed_waits_for_nothing() -> None:
    watcher = Watcher()
    watcher.connection_lost(None)
    with pytest.raises(BenchFailed, match="closed"):
        await watcher.news(1)


def test_every_floor_of_sockets_has_a_row_whatever_the_sizes() -> None:
    taken: dict[str, list[float]] = defaultdict(lambda: [1.0, 2.0, 3.0])
    for sizes in (SocketSizes(), QUICK_SOCKETS):
        found = sockets_rows(sizes, taken)
        assert sum(row.floor is not None for row in found) == 12
