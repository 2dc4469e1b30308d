"""Frames that are taken where they are read, and those that wait: in any case in their order."""

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace

import aiohttp
import pytest
from aiohttp import WSMsgType, web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_websocket import WebSocketReader
from aiohttp.test_utils import TestClient, TestServer

from web.agent_socket import AgentSocket, text_frame
from web.frame_queue import FrameQueue, reader_of
from web.links import SocketLimits

LARGE = 400_000  # bytes: two such frames are more than may wait before the parser stops


class Socket:
    """A parser with its queue, and a taker that takes while it may."""

    def __init__(self) -> None:
        protocol = BaseProtocol(asyncio.get_running_loop())
        protocol._upgraded = True
        self.queue = FrameQueue(protocol)
        self.reader: WebSocketReader = reader_of(self.queue, 10**6)
        self.taken: list[int] = []
        self.takes = True
        self.queue.taker = self._take

    def _take(self, message: object) -> bool:
        if self.takes:
            self.taken.append(message.data[0])  # type: ignore[attr-defined]  # bytes
        return self.takes

    def come(self, number: int, size: int = 1) -> None:
        self.reader.feed_data(text_frame(bytes([number]) * size))

    async def read(self) -> None:
        """As whoever serves the socket does with what waits."""
        message = await self.queue.read()
        self.taken.append(message.data[0])
        self.queue.done_with_one()


async def test_a_frame_is_taken_in_the_turn_that_read_it() -> None:
    socket = Socket()
    socket.come(1)
    socket.come(2)
    assert socket.taken == [1, 2]


async def test_frames_behind_one_that_was_not_taken_wait_for_who_reads() -> None:
    socket = Socket()
    socket.takes = False
    socket.come(1)
    socket.takes = True
    socket.come(2)
    assert socket.taken == []
    await socket.read()
    socket.come(3)
    await socket.read()
    await socket.read()
    socket.come(4)
    assert socket.taken == [1, 2, 3, 4]


async def test_what_the_parser_held_back_does_not_overtake_what_is_being_read() -> None:
    socket = Socket()
    socket.takes = False
    for number in (1, 2, 3):
        socket.come(number, LARGE)
    socket.takes = True
    socket.come(4)
    async with asyncio.timeout(10):
        while len(socket.taken) < 4:
            await socket.read()  # which lets the parser go on
    assert socket.taken == [1, 2, 3, 4]


# ---- pings: aiohttp's own, but for who is heard of ---------------------------------------------------------------------


@pytest.fixture
async def client() -> AsyncIterator[TestClient[web.Request, web.Application]]:
    """Of a server that pings after a second, and answers each frame with as much."""
    services = SimpleNamespace(links=SimpleNamespace(limits=SocketLimits(ping_seconds=1.0)))

    async def serve(request: web.Request) -> web.StreamResponse:
        socket = AgentSocket(services)  # type: ignore[arg-type]  # it looks at nothing else
        await socket.prepare(request)

        def take(message: object) -> bool:
            mine = message.type is WSMsgType.TEXT  # type: ignore[attr-defined]
            if mine:
                socket.send("heard", {})
            return mine

        socket.frames.taker = take
        while await socket.next() is not None:
            socket.frames.done_with_one()
        return socket

    app = web.Application()
    app.router.add_get("/", serve)
    async with TestClient(TestServer(app)) as client:
        yield client


async def test_a_peer_that_answers_pings_stays_and_one_that_does_not_is_cut(
    client: TestClient[web.Request, web.Application],
) -> None:
    async with client.ws_connect("/", autoping=False) as socket, asyncio.timeout(10):
        await heard(socket, WSMsgType.PING)
        await socket.pong()
        await heard(socket, WSMsgType.PING)
        assert (await socket.receive()).type in {WSMsgType.CLOSED, WSMsgType.CLOSE, WSMsgType.ERROR}


async def test_an_answer_that_is_any_frame_counts_as_one(client: TestClient[web.Request, web.Application]) -> None:
    async with client.ws_connect("/", autoping=False) as socket, asyncio.timeout(10):
        await heard(socket, WSMsgType.PING)
        await socket.send_str("{}")
        await heard(socket, WSMsgType.TEXT)
        await heard(socket, WSMsgType.PING)


async def heard(socket: "aiohttp.ClientWebSocketResponse[bool]", kind: WSMsgType) -> None:
    """Return when such a frame has come."""
    while (message := await socket.receive()).type is not kind:
        assert message.type in {WSMsgType.PING, WSMsgType.TEXT}, message
