"""Agents on sockets, as tests speak for them: frame by frame, over a plain WebSocket or over Socket.IO."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import aiohttp
import socketio
from engineio.payload import Payload
from yarl import URL

from tests.support.callers import PATIENCE, Agent, Document
from tests.support.reality import misfits

Payload.max_decode_packets = 1000  # the Python client cannot read more than 16 at once, JavaScript's can
ANSWERS = {
    "heartbeat": "heartbeat_ack",
    "job:ack": "job:ack_success",
    "job:reject": "job:reject_ack",
    "job:progress": "job:progress_ack",
    "job:log": "job:log_ack",
    "job:evidence": "job:evidence_ack",
    "job:done": "job:done_ack",
    "job:error": "job:error_ack",
    "job:cancelled": "job:cancelled_ack",
}


class Talk:
    """A conversation: what was heard is kept until somebody waits for it, and held to the server's document then."""

    documented_at = "/agent"

    def __init__(self) -> None:
        self.heard: list[Document] = []  # every frame, in order
        self._unread: list[Document] = []
        self._news = asyncio.Event()

    def hear(self, frame: Document) -> None:
        """A frame has come."""
        self.heard.append(frame)
        self._unread.append(frame)
        self._news.set()

    async def next(self, *events: str, **data: Any) -> Document:
        """The data of the next frame of these events whose data has these values; others stay unread."""
        async with asyncio.timeout(PATIENCE):
            while True:
                for frame in self._unread:
                    fits = not events or frame["event"] in events
                    if fits and all(frame["data"].get(name) == value for name, value in data.items()):
                        self._unread.remove(frame)
                        said = misfits(self.documented_at, frame["event"], frame["data"])
                        assert not said, said
                        told: Document = frame["data"] | {"event": frame["event"]}
                        return told
                self._news.clear()
                await self._news.wait()

    @property
    def events(self) -> list[str]:
        return [frame["event"] for frame in self.heard]

    async def say(self, event: str, data: Any = None, **fields: Any) -> None:
        """Send an event; without data, one whose data are the fields."""
        raise NotImplementedError

    async def ask(self, event: str, **fields: Any) -> Document:
        """Send it; the answer, which must not be a refusal."""
        await self.say(event, **fields)
        answer = await self.next(ANSWERS[event], "error")
        assert answer["event"] == ANSWERS[event], answer
        return answer

    async def refused(self, event: str, **fields: Any) -> str:
        """Send it; the code of the refusal."""
        return str((await self.refusal(event, **fields))["code"])

    async def refusal(self, event: str, data: Any = None, **fields: Any) -> Document:
        """Send it; the refusal. Its `event` is the one that was refused."""
        await self.say(event, data, **fields)
        answer = await self.next(ANSWERS.get(event, "error"), "error")
        frame = next(frame for frame in reversed(self.heard) if frame["event"] == answer["event"])
        assert frame["event"] == "error", answer
        assert {"code", "message"} <= set(frame["data"])
        refusal: Document = frame["data"]
        return refusal

    async def is_open(self) -> None:
        """It still answers."""
        await self.ask("heartbeat")

    async def leave(self) -> None:
        """Close it from this side."""
        raise NotImplementedError

    async def closed(self) -> int | None:
        """Return when the server has closed it: the code, where there is one."""
        raise NotImplementedError


class PlainTalk(Talk):
    """Over a plain WebSocket."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        super().__init__()
        self.socket = socket
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for message in self.socket:
            self.hear(message.json())
        self._news.set()

    async def say(self, event: str, data: Any = None, **fields: Any) -> None:
        await self.socket.send_json({"event": event, "data": fields if data is None else data})

    async def send(self, frame: Any) -> None:
        """Send a frame as it is."""
        await (self.socket.send_str(frame) if isinstance(frame, str) else self.socket.send_json(frame))

    async def closed(self) -> int | None:
        """The code with which the server closes."""
        async with asyncio.timeout(PATIENCE):
            await asyncio.wait({self._reading})
        return self.socket.close_code

    async def leave(self) -> None:
        await self.socket.close()
        await asyncio.wait({self._reading})


def agent_url(agent: Agent, **query: str) -> URL:
    """Where that agent's socket is."""
    return URL(f"{agent.url}/agent").with_query(query)


@asynccontextmanager
async def plain(agent: Agent, *, key: str | None = None, **query: str) -> AsyncIterator[PlainTalk]:
    """The agent's plain socket, whose key is in the header."""
    async with _talking(agent, {"Authorization": f"Bearer {key or agent.token}"}, query) as talk:
        yield talk


@asynccontextmanager
async def stranger(agent: Agent, **query: str) -> AsyncIterator[PlainTalk]:
    """A plain socket without a credential."""
    async with _talking(agent, {}, query) as talk:
        yield talk


@asynccontextmanager
async def _talking(agent: Agent, headers: dict[str, str], query: dict[str, str]) -> AsyncIterator[PlainTalk]:
    async with agent.session.ws_connect(agent_url(agent, **query), headers=headers) as socket:
        talk = PlainTalk(socket)
        try:
            yield talk
        finally:
            await talk.leave()


@asynccontextmanager
async def introduced(agent: Agent, *, key: str | None = None, **fields: Any) -> AsyncIterator[PlainTalk]:
    """A plain socket whose key is in its first frame, as browsers have to."""
    async with stranger(agent) as talk:
        await talk.say("auth", token=key or agent.token, **fields)
        yield talk


class SocketIoTalk(Talk):
    """Over Socket.IO, on one namespace."""

    def __init__(self, namespace: str = "/agent") -> None:
        super().__init__()
        self.client = socketio.AsyncClient(reconnection=False)
        self.namespace = namespace
        self.documented_at = "/agent" if namespace == "/agent" else "/ws"
        self._gone = asyncio.Event()
        self.client.on("*", self._hear, namespace=namespace)
        self.client.on("disconnect", self._left, namespace=namespace)
        self.client.on("connect_error", self._refused, namespace=namespace)
        self.why_not: Any = None  # what a refused connect was told

    async def _hear(self, event: str, data: Any = None) -> None:
        self.hear({"event": event, "data": data})

    async def _left(self, *_: Any) -> None:
        self._gone.set()

    async def _refused(self, why: Any) -> None:
        self.why_not = why

    async def connect(self, url: str, auth: Any, transport: str) -> None:
        await self.client.connect(url, auth=auth, namespaces=[self.namespace], transports=[transport])

    async def say(self, event: str, data: Any = None, **fields: Any) -> None:
        await self.client.emit(event, fields if data is None else data, namespace=self.namespace)

    async def closed(self) -> int | None:
        async with asyncio.timeout(PATIENCE):
            await self._gone.wait()
        return None

    async def leave(self) -> None:
        await self.client.disconnect()


def _socketio(transport: str) -> "Ways":
    @asynccontextmanager
    async def way(agent: Agent, *, key: str | None = None, **fields: Any) -> AsyncIterator[Talk]:
        talk = SocketIoTalk()
        await talk.connect(agent.url, {"token": key or agent.token, **fields}, transport)
        try:
            yield talk
        finally:
            await talk.leave()

    return way


Ways = Callable[..., AbstractAsyncContextManager[Talk]]
ways: dict[str, Ways] = {
    "plain": introduced,
    "socketio": _socketio("websocket"),
    "socketio-polling": _socketio("polling"),
}
