"""The driver's agents on sockets: they take what is pushed or hinted and report success. They run nothing."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

from benches.agents import Tally
from benches.frames import Socket, framed
from benches.plan import BenchFailed, FleetHost, Plan

ANSWER_SECONDS = 30.0  # that one frame may take to come
AT_ONCE = 50  # connections that are opened at the same time
_JOB, _RUN = b'"jobId":"', b'"jobRunId":"'
_ID_LENGTH = 36
_TOO_LATE = b'"code":"already_taken"', b'"code":"invalid_state"'

CONFIG, NEW, ACKED, DONE, ERROR, HINT = (
    b'{"event":"%s"' % event
    for event in (b"config", b"job:new", b"job:ack_success", b"job:done_ack", b"error", b"job:available")
)
Ids = tuple[bytes, bytes]  # of a job and its run


def ids_in(frame: bytes) -> Ids:
    """The job and the run that a frame is about. Found by their names: reading all the JSON would cost more."""
    return _id_in(frame, _JOB), _id_in(frame, _RUN)


def _id_in(frame: bytes, name: bytes) -> bytes:
    place = frame.find(name) + len(name)
    if place < len(name):
        raise BenchFailed(f"A frame without {name.decode()}: {frame[:300].decode()}")
    return frame[place : place + _ID_LENGTH]


def say(event: bytes, ids: Ids) -> bytes:
    """A frame about that run."""
    return framed(b'{"event":"%s","data":{"jobId":"%s","jobRunId":"%s"}}' % (event, *ids))


class Agent:
    """The agent of one host: acks what is pushed, and reports it done once it has been told that it has it."""

    def __init__(self, host: FleetHost, tally: Tally) -> None:
        self.host = host
        self._tally = tally
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._socket: Socket

    async def connect(self, port: int) -> None:
        """Return once the config is here."""
        self._socket = await Socket.open(port, "/agent?running=", self.host.key, self._received)
        self._socket.lost = self._lost
        await self._ready

    def cut(self) -> None:
        """Hang up."""
        self._socket.lost = _nothing
        self._socket.cut()

    def _received(self, frame: bytes) -> None:
        try:
            self.heard(frame)
        except BenchFailed as failure:
            self._fail(failure)

    def heard(self, frame: bytes) -> None:
        """Do what a frame asks for."""
        if frame.startswith(NEW):
            self._socket.send(say(b"job:ack", ids_in(frame)))
        elif frame.startswith(ACKED):
            self._socket.send(say(b"job:done", ids_in(frame)))
        elif frame.startswith(DONE):
            self._tally.ended(ids_in(frame)[1].decode())
        elif frame.startswith(CONFIG):
            if not self._ready.done():
                self._ready.set_result(None)
        elif not frame.startswith(HINT):
            raise BenchFailed(f"An agent was told {frame[:300].decode()}")

    def _lost(self, why: str) -> None:
        self._fail(BenchFailed(why))

    def _fail(self, why: BenchFailed) -> None:
        if not self._ready.done():
            self._ready.set_exception(why)
        self._tally.fail(why)


class PoolAgent(Agent):
    """One that takes pool jobs: while it is idle it acks the first hint, and the next one when it came too late. It
    forgets the rest once it has a job, and is told again what waits when it has done that.
    """

    def __init__(self, host: FleetHost, tally: Tally) -> None:
        super().__init__(host, tally)
        self.hinted = self.too_late = 0
        self._asks = self._busy = False
        self._hints: dict[bytes, None] = {}

    def heard(self, frame: bytes) -> None:
        """Do what a frame asks for."""
        if frame.startswith(HINT):
            self.hinted += 1
            if not self._busy:
                self._hints[_id_in(frame, _JOB)] = None
                self._ask()
        elif frame.startswith(ERROR) and any(code in frame for code in _TOO_LATE):
            self.too_late += 1
            self._asks = False
            self._ask()
        else:
            if frame.startswith(ACKED):
                self._asks, self._busy = False, True
                self._hints.clear()
            super().heard(frame)
            self._busy = self._busy and not frame.startswith(DONE)

    def _ask(self) -> None:
        if self._hints and not self._asks:
            self._asks = True
            job = next(iter(self._hints))
            del self._hints[job]
            self._socket.send(framed(b'{"event":"job:ack","data":{"jobId":"%s"}}' % job))


class Talk:
    """A socket whose frames are awaited one after the other; those that nobody asks for are passed over."""

    def __init__(self) -> None:
        self.socket: Socket
        self.alive = True
        self._wanted = b""
        self._found: asyncio.Future[tuple[bytes, float]] | None = None
        self._early: list[tuple[bytes, float]] = []  # what came while nobody waited

    async def connect(self, port: int, path: str, token: str = "") -> None:
        """Open it."""
        self.alive = True
        self._early.clear()
        self.socket = await Socket.open(port, path, token, self._received)
        self.socket.lost = self._lost

    async def until(self, wanted: bytes) -> bytes:
        """The next frame that begins so."""
        return (await self.until_at(wanted))[0]

    async def until_at(self, wanted: bytes) -> tuple[bytes, float]:
        """The same, and the moment at which it came; `BenchFailed` when the socket is lost, or it does not come."""
        early, self._early = self._early, []
        for place, (frame, at) in enumerate(early):
            if frame.startswith(wanted):
                self._early = early[place + 1 :]
                return frame, at
        if not self.alive:
            raise BenchFailed("A WebSocket was closed")
        self._wanted, self._found = wanted, asyncio.get_running_loop().create_future()
        try:
            return await asyncio.wait_for(self._found, ANSWER_SECONDS)
        except TimeoutError as error:
            raise BenchFailed(f"No frame {wanted.decode()} within {ANSWER_SECONDS:g} s") from error

    def cut(self) -> None:
        """Hang up."""
        self.alive = False
        self.socket.lost = _nothing
        self.socket.cut()

    def _received(self, frame: bytes) -> None:
        found = self._found
        if found is None or found.done():
            self._early.append((frame, time.perf_counter()))
        elif frame.startswith(self._wanted):
            found.set_result((frame, time.perf_counter()))

    def _lost(self, why: str) -> None:
        self.alive = False
        if self._found is not None and not self._found.done():
            self._found.set_exception(BenchFailed(why))


Made = TypeVar("Made", bound=Agent)


@asynccontextmanager
async def agents_of(
    plan: Plan, kind: Callable[[FleetHost, Tally], Made]
) -> AsyncIterator[tuple[Sequence[Made], Tally]]:
    """An agent with a socket for each host, and the tally of their runs."""
    tally = Tally(plan.count)
    agents = [kind(host, tally) for host in plan.hosts]
    try:
        await together(len(agents), lambda place: agents[place].connect(plan.port))
        yield agents, tally
    finally:
        for agent in agents:
            agent.cut()


async def together(count: int, work: Callable[[int], Awaitable[None]], at_once: int = AT_ONCE) -> None:
    """So many pieces of work, only some of them at once."""
    places = iter(range(count))

    async def one() -> None:
        for place in places:
            await work(place)

    await asyncio.gather(*(one() for _ in range(min(at_once, count))))


def _nothing(_: str) -> None:
    """It was asked to go."""
