"""Who speaks Socket.IO: agents on `/agent`, dashboards on `/`."""

import asyncio
from contextlib import ExitStack
from typing import Any, NamedTuple

import msgspec

from interlock.errors import InterlockError, InvalidRequest, TryLater
from interlock.frames import Auth, FrameId
from web.access import Agent, Credential, agent_of, counted_agent, counted_watcher, shown, tenant_of
from web.connections import POLICY, TRY_LATER, Connection, declared, frame_id_of
from web.dashboards import has_failed, has_returned, may_watch, number, tell, until_unwelcome
from web.parsing import decode
from web.services import Services
from web.socketio_server import Line, SocketIo
from web.tokens import AgentClaims

_encode = msgspec.json.Encoder().encode


class _Identified(msgspec.Struct):
    """The part of an event's data that is the envelope's business."""

    id: FrameId = None


class _EventFrame(msgspec.Struct):
    """A dashboard's frame, as a plain socket gets it."""

    seq: int
    event: str
    at: str
    data: msgspec.Raw


class _Ref(NamedTuple):
    """What an answer refers to: the frame's own id, and the number of the acknowledgement that is asked for."""

    id: FrameId
    ack: int | None


_identified = msgspec.json.Decoder(_Identified)
_event_frame = msgspec.json.Decoder(_EventFrame)


def with_fields(data: bytes, **fields: Any) -> bytes:
    """The JSON object `data` with these fields in front."""
    if not fields:
        return data
    front: bytes = _encode(fields)
    return front if data == b"{}" else front[:-1] + b"," + data[1:]


class AgentPeer:
    """An agent. What its frames mean is the gateway's; the `id` of one stands in its data."""

    def __init__(self, s: Services, line: Line, claims: AgentClaims, given: Auth) -> None:
        self._line = line
        self._most_unsent = s.links.limits.unsent_bytes
        self._held = ExitStack()
        who = Agent(claims.host_id, claims.org_id, claims.kid)
        instance_id, running = declared(given)
        self._connection = Connection(s, who, self, instance_id=instance_id, running=running)
        with ExitStack() as held:
            held.enter_context(s.links.of_host(who.host_id))
            held.enter_context(s.links.holding(self._connection))
            held.enter_context(s.revocations.holding(who.kid, self._connection.revoked))
            self._held = held.pop_all()

    def send(self, event: str, data: Any, frame_id: Any) -> None:
        """Write one frame; a peer for whom too much waits is closed."""
        ref: _Ref = frame_id if isinstance(frame_id, _Ref) else _Ref(frame_id, None)
        body = with_fields(_encode(data), **({} if ref.id is None else {"id": ref.id}))
        self._line.emit(event, body)
        if ref.ack is not None:
            self._line.acknowledge(ref.ack, _encode({"event": event, "data": msgspec.Raw(body)}))
        if self._line.waiting_bytes > self._most_unsent:
            self.end(TRY_LATER, "too slow")

    def end(self, code: int, reason: str) -> None:  # noqa: ARG002 - Socket.IO has no word for why
        """Close it; who is not welcome is told not to come back."""
        self._line.end(comes_back=code != POLICY)

    async def begin(self) -> None:
        """Present it to its host's actor."""
        try:
            await self._connection.begin()
        except InterlockError as error:
            self._connection.refuse(error, "connect")
            self.end(TRY_LATER if isinstance(error, TryLater) else POLICY, error.code)

    async def take(self, event: str, data: bytes, ack: int | None) -> None:
        """Hand a frame on."""
        try:
            frame_id = frame_id_of(decode(data, _identified, 0).id if data.startswith(b"{") else None)
        except InvalidRequest as error:
            self._connection.misread(error, len(data))
            return
        ref = None if frame_id is None and ack is None else _Ref(frame_id, ack)
        self._connection.take(event, data, ref, len(data))
        await self._connection.room()

    def misread(self, error: InterlockError, size: int) -> None:
        """It has sent something that is no event."""
        self._connection.misread(error, size)

    def gone(self) -> None:
        """It has gone."""
        self._line.over = True
        self._connection.end()
        self._held.close()


class _Watched(NamedTuple):
    """What a dashboard is told of, and for whom."""

    org_id: str
    credential: Credential
    start: int | None
    replays: bool


class DashboardPeer:
    """A dashboard: each event of its org is emitted under its own name, with `seq` and `at` beside the fields of its data."""

    def __init__(self, s: Services, line: Line, watched: "_Watched", held: ExitStack) -> None:
        self._s = s
        self._held = held
        self._line = line
        self._org_id, self._credential, self._start, self._replays = watched
        self._task: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Tell it what is committed from now on."""
        self._task = asyncio.create_task(self._serve(), name="socketio-dashboard")

    async def _serve(self) -> None:
        s, org_id = self._s, self._org_id
        telling = asyncio.create_task(tell(s, org_id, self._start, self._write, replays=self._replays))
        unwelcome = asyncio.create_task(until_unwelcome(s, self._credential, org_id))
        try:
            await asyncio.wait((telling, unwelcome), return_when=asyncio.FIRST_COMPLETED)
        finally:
            telling.cancel()
            unwelcome.cancel()
            await asyncio.gather(telling, unwelcome, return_exceptions=True)
            has_failed(telling, unwelcome)
        self._line.end(comes_back=not has_returned(unwelcome))

    async def _write(self, frames: list[str]) -> None:
        for text in frames:
            frame = _event_frame.decode(text)
            self._line.emit(frame.event, with_fields(bytes(frame.data), seq=frame.seq, at=frame.at))
        await self._line.taken()

    async def take(self, event: str, data: bytes, ack: int | None) -> None:
        """Dashboards have nothing to say."""

    def misread(self, error: InterlockError, size: int) -> None:
        """Nor is it looked at."""

    def gone(self) -> None:
        """It has gone."""
        self._line.over = True
        self._held.close()
        if self._task is not None:
            self._task.cancel()


async def _join_agent(s: Services, line: Line, given: Auth) -> AgentPeer:
    claims = await agent_of(s, given.token or "")
    await counted_agent(None, s, claims)
    return AgentPeer(s, line, claims, given)


async def _join_dashboard(s: Services, line: Line, given: Auth) -> DashboardPeer:
    credential = await shown(s, given.ticket or given.token or "")
    org_id = given.org_id or await tenant_of(s, credential)
    user_id = await may_watch(s, credential, org_id)
    await counted_watcher(None, s, credential, org_id)
    start = await s.streams.position(org_id) if given.after is None else number(str(given.after))
    with ExitStack() as held:
        held.enter_context(s.links.of_user(user_id))
        watched = _Watched(org_id, credential, start, replays=given.after is not None)
        return DashboardPeer(s, line, watched, held.pop_all())


def make(s: Services) -> SocketIo:
    """The server with its two namespaces."""
    return SocketIo(s, {"/agent": _join_agent, "/": _join_dashboard})
