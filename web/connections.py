"""One agent's connection, whichever transport carries it.

Frames are taken in the order in which they come; each is decided by the host's actor, which keeps that order, and
answered when its change is committed. None waits for the commit of the one before it, so that a heartbeat is not held up
by a slow write; but only so many are under way at once, and then nothing more is read.
"""

import asyncio
import logging
from time import monotonic
from typing import Any, Protocol

import msgspec

from actors.loop_actor import LoopFuture
from actors.messages import FindRun
from actors.sessions import Session
from interlock import frames
from interlock.errors import Conflict, InterlockError, InvalidRequest, RateLimited, Superseded, TryLater, Unavailable
from interlock.frames import Auth, FrameId, Refused
from store.jobs import jobs_of_runs
from web.access import Agent
from web.agent_messages import instance_of, running_of
from web.agents import listed
from web.allowance import Allowance, weight_of
from web.gateway import HANDLERS, Handler, asked_before
from web.parsing import decode
from web.services import Services

log = logging.getLogger(__name__)

GOING_AWAY, POLICY, FAULT, TRY_LATER = 1001, 1008, 1011, 1013  # codes of RFC 6455 and its registry
MAX_NAME = 100  # characters of an unknown event's name that are repeated
MAX_FRAME_ID = 200  # characters
_NULL, _NOTHING = b"null", b"{}"


class Wire(Protocol):
    """A transport to one agent."""

    def send(self, event: str, data: Any, frame_id: Any) -> None:
        """Write one frame, or drop it when the peer has gone; never blocks, never raises."""

    def end(self, code: int, reason: str) -> None:
        """End it, once; what was sent before goes out first, if the peer still reads."""


class Connection:
    """One agent's connection: what it says goes to its host's actor, what it is told goes out on its wire."""

    __slots__ = (
        "_allowance",
        "_asked",
        "_early",
        "_most_under_way",
        "_room",
        "_s",
        "_under_way",
        "_wire",
        "closed",
        "host_id",
        "org_id",
        "session",
    )

    def __init__(
        self, s: Services, who: Agent, wire: Wire, *, instance_id: str | None, running: tuple[str, ...] | None
    ) -> None:
        limits = s.links.limits
        self.org_id = who.org_id
        self.host_id = who.host_id
        self.closed = False
        self.session = Session(
            who.host_id,
            session_id=s.ids.new(),
            push=self.push,
            close=self.close,
            instance_id=instance_id,
            running=running,
        )
        self._s = s
        self._wire = wire
        self._allowance = Allowance(limits.frames_per_second, limits.frames_at_once, monotonic())
        self._asked: dict[_Frame, None] = {}  # what is under way, oldest first
        self._under_way = 0  # how much that is
        self._most_under_way = limits.frames_under_way
        self._room: asyncio.Future[None] | None = None
        self._early: list[tuple[str, Any]] | None = []  # what was pushed before the config went out

    @property
    def about(self) -> dict[str, str]:
        """Whose connection it is, for the log."""
        return {"org": self.org_id, "host": self.host_id}

    # ---- to the agent ----------------------------------------------------------------------------------------------

    async def begin(self, frame_id: Any = None) -> None:
        """Present it to its host's actor; the config goes out first, then whatever there is. Raises what refuses it.

        `frame_id`, here and below, is the wire's own: it comes back with the answer, and nobody looks at it.
        """
        try:
            async with asyncio.timeout(self._s.web_limits.answer_seconds):
                await self._look_up_jobs()
                await self._s.directory.connect(self.session)
                config = await self._s.config_of(self.org_id)
        except TimeoutError:
            raise Unavailable("The database did not answer in time") from None
        early, self._early = self._early or [], None
        self._wire.send("config", config, frame_id)
        for event, data in early:
            self._wire.send(event, data, None)

    async def _look_up_jobs(self) -> None:
        """Of runs that the agent names and that have ended, or wait, here, the rows alone know the job."""
        named = self.session.running
        if named:
            host_id = self.host_id
            self.session.jobs_named = await self._s.store.fetch(lambda db: jobs_of_runs(db, host_id, named))
            there = self._s.directory.sessions.get(host_id)
            if there is not None and there.id > self.session.id:  # ids sort by birth
                raise Superseded("A newer connection of this host's agent has come meanwhile")

    def end(self) -> None:
        """The transport has gone, or was never presented."""
        self.closed = True
        self.session.open = False
        self._s.directory.disconnect(self.session)

    def push(self, event: str, data: Any) -> None:
        """Write one frame; never blocks, never raises."""
        if self._early is not None and event != "error":
            if event != "config":
                self._early.append((event, data))
            return
        try:
            self._wire.send(event, data, None)
        except Exception:  # whoever pushes must not fall with one agent
            log.exception("An event %s could not be sent", event, extra=self.about)
            self.close(FAULT, "unexpected")

    def deliver(self, event: str, data: Any) -> None:
        """The same, of what concerns all agents of an org."""
        self.push(event, data)

    def close(self, code: int, reason: str) -> None:
        """End the connection."""
        self.closed = True
        self._wake()
        self._wire.end(code, reason)

    def revoked(self) -> None:
        """Its key holds no longer."""
        self.push("error", Refused(code="unauthenticated", message="The key has been revoked"))
        self.close(POLICY, "unauthenticated")

    def refuse(
        self, error: BaseException, event: str | None, frame_id: Any = None, asked: Any = None, **known: Any
    ) -> None:
        """Say why a frame was not taken."""
        self._wire.send("error", refusal(error, event, asked, **known), frame_id)

    # ---- from the agent --------------------------------------------------------------------------------------------

    def take(self, event: str, data: msgspec.Raw | bytes, frame_id: Any, size: int) -> None:
        """Handle one frame; `data` is JSON. Its answer comes when its change is committed."""
        if not self._may_send(event, frame_id, size):
            return
        handler = HANDLERS.get(event)
        if handler is None:
            self.refuse(InvalidRequest(f"There is no event {event[:MAX_NAME]!r}"), event, frame_id)
            return
        asked, limits = None, self._s.web_limits
        try:
            came = bytes(data)
            asked = decode(_NOTHING if came == _NULL else came, handler.decoder, handler.depth(limits))
            message = asked_before(self.session, asked) or handler.message(self.session, limits, asked)
        except Exception as error:  # noqa: BLE001 - whatever a frame does, it is the frame's own misfortune
            self._note_unexpected(error, event)
            self.refuse(error, event, frame_id, asked)
            return
        frame = _Frame(event, handler, asked, message, frame_id, weight_of(size), monotonic())
        self._asked[frame] = None
        self._under_way += frame.weight
        self._ask(frame)

    def _ask(self, frame: "_Frame") -> None:
        self._s.directory.ask(self.host_id, frame.message).then(lambda reply: self._answer(frame, reply))

    def _ask_of(self, frame: "_Frame", run_id: str) -> None:
        """It is known now which run is meant: go on as if the frame had named it."""
        if frame not in self._asked:
            return  # it was too late
        frame.asked.job_run_id = run_id
        try:
            frame.message = frame.handler.message(self.session, self._s.web_limits, frame.asked)
        except Exception as error:  # noqa: BLE001 - as above
            self._note_unexpected(error, frame.event)
            self._over(frame)
            self._refuse(frame, error)
        else:
            self._ask(frame)

    def _note_unexpected(self, error: Exception, event: str) -> None:
        if not isinstance(error, InterlockError):
            log.error("A frame %s could not be handled", event[:MAX_NAME], exc_info=error, extra=self.about)

    def _may_send(self, event: str | None, frame_id: Any, size: int) -> bool:
        if self.closed:
            return False
        verdict = self._allowance.spend(size, monotonic())
        if verdict == "take":
            return True
        wait = self._allowance.wait_seconds
        self.refuse(RateLimited("Frames come too fast; this one was not looked at", retry_after=wait), event, frame_id)
        if verdict == "end":
            self.close(POLICY, "rate_limited")
        return False

    def misread(self, error: InterlockError, size: int, frame_id: Any = None) -> None:
        """Something came that is no frame."""
        if self._may_send(None, frame_id, size):
            self.refuse(error, None, frame_id)

    def _answer(self, frame: "_Frame", reply: LoopFuture) -> None:
        """Called by the actor, whom no answer may bring down."""
        if isinstance(frame.message, FindRun) and reply.error is None:
            # Not at once: the actor is still letting out what it has decided.
            asyncio.get_running_loop().call_soon(self._ask_of, frame, reply.outcome)
            return
        if not self._over(frame):
            return  # it was too late
        try:
            if reply.error is None:
                answer = frame.handler.reply(self._s, frame.message, frame.asked, reply.outcome)
                self._wire.send(frame.handler.answer, answer, frame.id)
                return
            if not isinstance(reply.error, InterlockError):
                log.error("A frame %s was not answered", frame.event, exc_info=reply.error, extra=self.about)
            self._refuse(frame, reply.error)
        except Exception:
            log.exception("The answer to a frame %s could not be made", frame.event, extra=self.about)
            self._refuse(frame, Unavailable("It was taken, but the answer could not be made"))

    def look(self, over: float) -> None:
        """Give up what has been under way since `over`, in seconds of the monotonic clock, or before."""
        for frame in list(self._asked):
            if frame.at > over:
                return
            self._over(frame)
            self._refuse(frame, Unavailable("The database did not answer in time: whether anything changed is open"))

    def _over(self, frame: "_Frame") -> bool:
        """The frame is under way no longer; whether it was until now."""
        if frame not in self._asked:
            return False
        del self._asked[frame]
        self._under_way -= frame.weight
        self._wake()
        return True

    def _refuse(self, frame: "_Frame", error: BaseException) -> None:
        run_id = getattr(frame.message, "job_run_id", None)
        self.refuse(error, frame.event, frame.id, frame.asked, job_run_id=run_id)

    def _wake(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    @property
    def has_room(self) -> bool:
        """Whether another frame may be read."""
        return self._under_way < self._most_under_way

    async def room(self) -> None:
        """Return when another frame may be read."""
        while not self.has_room and not self.closed:
            self._room = asyncio.get_running_loop().create_future()
            await self._room


class _Frame:
    """One that has been taken, and whose answer is still to come."""

    __slots__ = ("asked", "at", "event", "handler", "id", "message", "weight")

    def __init__(
        self, event: str, handler: Handler, asked: Any, message: Any, frame_id: Any, weight: int, at: float
    ) -> None:
        self.event = event
        self.handler = handler
        self.asked = asked
        self.message = message
        self.id = frame_id
        self.weight = weight
        self.at = at


class _Identified(msgspec.Struct):
    """The part of a frame, or over Socket.IO of an event's data, that is the envelope's business."""

    id: Any = None


_identified = msgspec.json.Decoder(_Identified)


def frame_id_in(came: bytes) -> FrameId:
    """The id of what came, as far as it has one: whatever else may be wrong with it, its refusal repeats that."""
    try:
        return frame_id_of(decode(came, _identified, 0).id)
    except InvalidRequest:
        return None


def declared(given: Auth, at: str = "$.") -> tuple[str | None, tuple[str, ...] | None]:
    """The agent's process and what it runs, of what it says at its connect."""
    running = listed(given.running) if isinstance(given.running, str) else given.running
    return instance_of(given.instance_id, f"{at}instanceId"), running_of(running, f"{at}running")


def frame_id_of(value: Any) -> FrameId:
    """A frame's id, which is a short text or a number."""
    if value is None or (isinstance(value, str | int | float) and not isinstance(value, bool)):
        if isinstance(value, str) and len(value) > MAX_FRAME_ID:
            raise InvalidRequest.at("$.id", f"expected up to {MAX_FRAME_ID} characters")
        return value
    raise InvalidRequest.at("$.id", "expected a text or a number")


def refusal(error: BaseException, event: str | None, asked: Any = None, *, job_run_id: str | None = None) -> Refused:
    """The error as a frame's data; what nobody expected is `unavailable`, without its text."""
    if not isinstance(error, InterlockError):
        error = Unavailable("This could not be decided")
    named = asked if isinstance(asked, frames.OfJob) else None
    return Refused(
        code=error.code,
        message=error.detail[:2000],
        event=None if event is None else event[:MAX_NAME],
        job_id=None if named is None else named.job_id[:MAX_NAME],
        job_run_id=job_run_id or (None if named is None or named.job_run_id is None else named.job_run_id[:MAX_NAME]),
        current=error.current if isinstance(error, Conflict) else None,
        errors=error.errors or None if isinstance(error, InvalidRequest) else None,
        retry_after=round(error.retry_after, 3) if isinstance(error, TryLater) else None,
    )
