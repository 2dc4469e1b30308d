"""Connections between agents and servers: frames in order each way, until it breaks between any two of them.

Each end notices that in its own time, and what was on its way may arrive or not. The server's end is the shipping
`Session`, and what each event means is the shipping gateway's table; the agent's end belongs to its process.
"""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import msgspec

from actors import LoopFuture
from actors.messages import Ack, AddEvidence, ReportResult
from actors.sessions import Session
from interlock.clock import Millis
from interlock.errors import InterlockError
from interlock.frames import Refused
from tests.simulation.loop import Timer
from tests.simulation.network import FAR, NEAR, Network, Sender
from tests.simulation.nodes import LIMITS, Life, Plane
from tests.simulation.truth import Truth
from web.connections import refusal
from web.gateway import HANDLERS, asked_before
from web.services import WebLimits

WEB_LIMITS = WebLimits()
PATIENCE = 8.0  # seconds that an agent waits until it is connected
_PING = 3.0  # seconds between two looks whether the other end is still there
_SILENT = 3  # pings without an answer after which it is taken to be gone

Hear = Callable[["Wire", str, Any, int | None], None]


class Wire:
    """One connection of an agent. `hear` gets each frame, `ended` is called once, both in the agent's process."""

    def __init__(
        self,
        plane: Plane,
        network: Network,
        sender: Sender,
        host_id: str,
        hear: Hear,
        ended: Callable[["Wire"], None],
        *,
        instance_id: str | None,
        running: tuple[str, ...] | None,
        truth: Truth,
    ) -> None:
        self.host_id = host_id
        self.open = True  # at the agent's end
        self.serves = False  # at the server's end
        self.session: Session | None = None
        self.life: Life | None = None
        self.told_to_stop: set[str] = set()  # runs
        self.given: set[str] = set()
        self.acks: set[str] = set()  # jobs that the agent has asked for here
        self._plane = plane
        self._network = network
        self._sender = sender
        self._hear = hear
        self._ended = ended
        self._says = (instance_id, running)
        self._truth = truth
        self._chance = network.chance
        self._broken = False  # nothing that is sent from now on arrives
        self._loses = False  # nor what was on its way
        self._deaf_up = self._deaf_down = False  # a frame got lost on a cut link: nothing behind it arrives
        self._up_at: Millis = 0
        self._down_at: Millis = 0
        self._early: list[tuple[str, Any]] | None = []  # as the gateway keeps it until the config has gone out
        self._silence = {"here": 0, "there": 0}

    # ---- the agent's end -------------------------------------------------------------------------------------------

    def dial(self) -> None:
        """Ask for a connection, wherever the load balancer leads."""
        self._here(PATIENCE, self._not_opened)
        self._here(_PING, self._look_here)
        weather, link = self._plane.weather, self._sender.link
        if link.mute or weather.strikes(weather.mix.request_lost, "request lost"):
            return
        slow = weather.strikes(weather.mix.request_slow, "request slow")
        name = self._network.node_for(self._sender)
        self._plane.loop.call_later(self._chance.uniform(*(FAR if slow else NEAR)), self._arrive, name)

    def _here(self, seconds: float, callback: Callable[..., None], *args: Any) -> Timer:
        return self._sender.process.call_later(seconds, callback, *args)

    def _not_opened(self) -> None:
        if self._early is not None:
            self.hang_up()

    def say(self, event: str, data: Any, frame_id: int) -> None:
        """Send a frame, as long as the agent takes this for a connection."""
        if self.open and not self._lost(up=True):
            self._up_at = self._later(self._up_at)
            if self.life is not None:
                self.life.process.call_later(
                    (self._up_at - self._plane.loop.now_ms) / 1000, self._take, *(event, data, frame_id)
                )

    def hang_up(self) -> None:
        """The agent's end closes, or its process has given up on it."""
        if self.open:
            self.open = False
            self._ended(self)
            self._fin()

    def process_died(self) -> None:
        """The agent is gone: the server learns of it in a moment, or by its silence."""
        self.open = False
        self._fin()

    def _fin(self) -> None:
        life = self.life
        if life is not None and self.serves and not self._sender.link.mute and not self._deaf_up:
            self._up_at = self._later(self._up_at)
            life.process.call_later((self._up_at - self._plane.loop.now_ms) / 1000, self._gone)

    def _look_here(self) -> None:
        """A ping now and then: a server that has died says so, one that is out of reach says nothing."""
        if not self.open:
            return
        life = self.life
        silent = self._broken or self._deaf_up or self._deaf_down or (life is not None and life.process.paused)
        self._silence["here"] = self._silence["here"] + 1 if silent or life is None else 0
        if (life is not None and not life.process.alive) or self._silence["here"] >= _SILENT:
            self.hang_up()
        else:
            self._here(_PING, self._look_here)

    # ---- the way ---------------------------------------------------------------------------------------------------

    def _later(self, at: Millis) -> Millis:
        """When a frame that is sent now arrives: behind those before it."""
        weather = self._plane.weather
        slow = weather.strikes(weather.mix.request_slow / 4, "frame slow")
        delay = self._chance.uniform(*(FAR if slow else NEAR))
        return max(at, self._plane.loop.now_ms + round(delay * 1000))

    def _lost(self, *, up: bool) -> bool:
        """Whether a frame that is sent now does not arrive; perhaps the connection breaks just now."""
        link, weather = self._sender.link, self._plane.weather
        if up and link.mute:
            self._deaf_up = True
        if not up and link.deaf:
            self._deaf_down = True
        if not self._broken and weather.strikes(weather.mix.socket_drops, "socket broke"):
            if weather.strikes(0.5, "frame arrived before the break"):
                self._plane.loop.call_soon(self._break)
                return False
            self._break()
        return self._broken or (self._deaf_up if up else self._deaf_down)

    def _break(self) -> None:
        """Both ends notice that, each when it does."""
        self._broken, self._loses = True, self._chance.random() < 0.5
        self._here(self._chance.choice((0.001, 0.2, 4)), self.hang_up)
        if self.life is not None:
            self.life.process.call_later(self._chance.choice((0.001, 0.2, 4)), self._gone)

    # ---- the server's end ------------------------------------------------------------------------------------------

    def _arrive(self, name: str) -> None:
        life = self._network.life_of(name)
        if life is None or not life.serves:
            self._here(0.001, self.hang_up)  # refused
            return
        self.life = life
        life.process.call_soon(self._accept, life)

    def _accept(self, life: Life) -> None:
        if not self._sender.process.alive or not self.open:
            return  # the end of the connection came right behind
        if life.cluster is not None and not life.cluster.trusted:
            self._here(0.01, self.hang_up)
            return
        instance_id, running = self._says
        number = next(self._plane.numbers)
        self.session = session = Session(
            self.host_id,
            session_id=f"{number}",
            push=self._push,
            close=self._close,
            instance_id=instance_id,
            running=running,
        )
        self.serves = True
        self._truth.connects(self, session)
        self._plane.weather.stats["socket opened"] += 1
        life.process.call_later(_PING, self._look_there)
        life.directory.connect(session).then(self._connected)

    def _connected(self, reply: LoopFuture) -> None:
        if not self.serves:
            return
        if reply.error is not None:
            self._plane.invariants.unexpected(reply.error)
            self._send("error", refusal(reply.error, None), None)
            self._close(1008, "refused")
            return
        early, self._early = self._early or [], None
        self._send("config", None, None)
        for event, data in early:
            self._send(event, data, None)

    def _push(self, event: str, data: Any) -> None:
        self._truth.pushed(self, event, data)
        if self._early is None or event == "error":
            self._send(event, data, None)
        else:
            self._early.append((event, data))

    def _send(self, event: str, data: Any, frame_id: int | None) -> None:
        if self.serves and not self._lost(up=False):
            self._down_at = self._later(self._down_at)
            self._here((self._down_at - self._plane.loop.now_ms) / 1000, self._arrived, event, data, frame_id)

    def _arrived(self, event: str, data: Any, frame_id: int | None) -> None:
        if self.open and not self._loses:
            self._hear(self, event, data, frame_id)

    def _take(self, event: str, asked: Any, frame_id: int) -> None:
        """As the gateway does with a frame."""
        life, session = self.life, self.session
        if life is None or session is None or not self.serves or self._loses:
            return
        before = asked_before(session, asked)
        if before is None:
            self._ask(life, session, event, asked, frame_id)
            return

        def found(reply: LoopFuture) -> None:
            if reply.error is None:
                named = msgspec.structs.replace(asked, job_run_id=reply.outcome)
                self._here(0, self._ask, life, session, event, named, frame_id)
            else:
                self._plane.invariants.unexpected(reply.error)
                self._send("error", refusal(reply.error, event, asked), frame_id)

        life.directory.ask(self.host_id, before).then(found)

    def _ask(self, life: Life, session: Session, event: str, asked: Any, frame_id: int) -> None:
        if self.life is not life or not self.serves:
            return  # it has gone meanwhile
        handler = HANDLERS[event]
        try:
            message = handler.message(session, WEB_LIMITS, asked)
        except InterlockError as error:
            self._send("error", refusal(error, event, asked), frame_id)
            return

        def answered(reply: LoopFuture) -> None:
            self._judge(message, reply)
            if reply.error is None:
                around: Any = SimpleNamespace(limits=LIMITS, clock=life.clock)
                self._send(handler.answer, handler.reply(around, message, asked, reply.outcome), frame_id)
            else:
                self._plane.invariants.unexpected(reply.error)
                self._send("error", refusal(reply.error, event, asked), frame_id)

        if isinstance(message, Ack):
            self.acks.add(message.job_id)
        life.directory.ask(self.host_id, message).then(answered)

    def _judge(self, message: Any, reply: LoopFuture) -> None:
        if isinstance(message, ReportResult):
            self._truth.reported(message, reply)
        elif isinstance(message, Ack) and reply.error is None:
            self._truth.acked(self, reply.outcome)
        elif isinstance(message, AddEvidence):
            self._truth.kept(message, reply.outcome)

    def _close(self, _code: int, _reason: str) -> None:
        """The server's end closes: that goes out behind what was sent, and the handler notices later that it is over."""
        if self.serves:
            self._down_at = self._later(self._down_at)
            self._here((self._down_at - self._plane.loop.now_ms) / 1000, self._closed_there)
            self.serves = False
            if self.life is not None:
                self.life.process.call_later(self._chance.choice((0.001, 0.1, 5)), self._disconnect)

    def _closed_there(self) -> None:
        if not self._broken and not self._deaf_down:
            self.hang_up()

    def _gone(self) -> None:
        """The server has noticed that nobody is there any more."""
        if self.serves:
            self.serves = False
            self._disconnect()

    def _disconnect(self) -> None:
        if self.life is not None and self.session is not None:
            self._truth.disconnects(self, self.session)
            self.session.open = False
            self.life.directory.disconnect(self.session)

    def _look_there(self) -> None:
        if not self.serves or self.life is None:
            return
        self._truth.is_known(self)
        process = self._sender.process
        silent = self._broken or self._deaf_up or self._deaf_down or not self.open or process.paused
        self._silence["there"] = self._silence["there"] + 1 if silent or not process.alive else 0
        if self._silence["there"] >= _SILENT:
            self._gone()
        else:
            self.life.process.call_later(_PING, self._look_there)


def is_refusal(event: str, data: Any) -> bool:
    """Whether that is how an agent is told no."""
    return event == "error" and isinstance(data, Refused)
