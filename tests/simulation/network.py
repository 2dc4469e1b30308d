"""The way from agents and users to the servers: a load balancer without a memory, and links that fail.

A message is a call at the server and a callback at its sender. Any message may be lost, late or delivered twice, and its
answer lost; what comes to a paused server waits there until it resumes, as it would in its sockets, even when its
sender has long given up.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from interlock.errors import Unavailable
from tests.simulation.loop import Process
from tests.simulation.nodes import Life, Node, Plane

NEAR = (0.001, 0.05)  # seconds on the way
HOP_SECONDS = 8.0  # as long as the routes wait for a host's owner
FAR = (1.0, 20.0)  # the same for a slow one


class Link:
    """Whether a sender's messages arrive, and whether it hears."""

    __slots__ = ("deaf", "mute")

    def __init__(self) -> None:
        self.mute = 0  # cuts that keep its messages from arriving
        self.deaf = 0


class Sender:
    """Whoever sends: its link, the process to which answers come, and the node to which its connection leads."""

    __slots__ = ("home", "link", "process")

    def __init__(self, link: Link, process: Process) -> None:
        self.link = link
        self.process = process
        self.home = ""


class Exchange:
    """One message and its answer, as its sender sees them: over when it is answered or given up."""

    __slots__ = ("_answered", "_closed", "_failed", "_over", "_seen", "sender", "unwritten")

    def __init__(
        self, sender: Sender, answered: Callable[[Any], None], failed: Callable[[], None], *, seen: bool
    ) -> None:
        self.sender = sender
        self.unwritten: Callable[[Any], None] = lambda _: (
            None
        )  # told at the server, of an answer that cannot be written
        self._answered = answered
        self._failed = failed
        self._over = False
        self._closed = False  # its end stood in the server's socket behind the request itself
        self._seen = seen  # the server gets to know when its sender has gone

    def is_open(self) -> bool:
        """What the server's transport says: a sender behind a cut link may be gone without a sign."""
        if self._closed:
            return False
        gone = self._over or not self.sender.process.alive
        return not (gone and self._seen) or self.sender.link.mute > 0

    def arrived(self) -> None:
        """The server has it in hand. Of a process that died on the way, the end of its connection came right behind."""
        self._closed = not self.sender.process.alive

    def answer(self, value: Any) -> None:
        """It is answered, unless it is over."""
        if not self._over:
            self._over = True
            self._answered(value)

    def fail(self) -> None:
        """It is given up, unless it is over."""
        if not self._over:
            self._over = True
            self._failed()


Ask = Callable[[Life, Exchange], Awaitable[Any]]


class Message(NamedTuple):
    """What is on its way: whose it is, what it asks, and of which host's owner, if it is to be passed on to that."""

    exchange: Exchange
    ask: Ask
    at_owner_of: str | None


class Network:
    """Brings messages to one of the nodes and the answers back."""

    def __init__(self, plane: Plane, nodes: list[Node]) -> None:
        self._plane = plane
        self._nodes = {node.name: node for node in nodes}
        self._names = list(self._nodes)
        self.chance: random.Random = plane.dice("network")

    def send(
        self,
        sender: Sender,
        ask: Ask,
        answered: Callable[[Any], None],
        failed: Callable[[], None],
        patience: float,
        *,
        at_owner_of: str | None = None,
    ) -> None:
        """Send: `ask` is called at a server, and one of the others at the sender."""
        exchange = Exchange(sender, answered, failed, seen=self.chance.random() < 0.7)
        sender.process.call_later(patience, exchange.fail)
        strikes, mix = self._plane.weather.strikes, self._plane.weather.mix
        if sender.link.mute or strikes(mix.request_lost, "request lost"):
            return
        message = Message(exchange, ask, at_owner_of)
        for _ in range(2 if strikes(mix.request_twice, "request twice") else 1):
            slow = strikes(mix.request_slow, "request slow")
            delay = self.chance.uniform(*(FAR if slow else NEAR))
            self._plane.loop.call_later(delay, self._arrive, self.node_for(sender), message)

    def node_for(self, sender: Sender) -> str:
        """As a load balancer chooses: where the sender's connection leads, or anywhere."""
        life = self._nodes[sender.home].life if sender.home else None
        keeps = life is not None and life.serves and self.chance.random() * 100 < self._plane.weather.mix.sticky
        if not keeps:
            sender.home = self._names[int(self.chance.random() * len(self._names))]
        return sender.home

    def life_of(self, name: str) -> Life | None:
        """The server that runs there now."""
        return self._nodes[name].life

    def _arrive(self, name: str, message: Message) -> None:
        life = self._nodes[name].life
        if life is None or not life.serves:
            message.exchange.sender.process.call_later(0.001, message.exchange.fail)  # the connection is refused
        else:
            life.process.call_soon(self._serve, life, message)

    def _serve(self, life: Life, message: Message) -> None:
        def answered(task: "asyncio.Task[Any]") -> None:
            error = task.exception()
            self._plane.invariants.unexpected(error)
            self._write(message.exchange, task.result() if error is None else error)

        message.exchange.arrived()
        life.process.create_task(self._answer(life, message)).add_done_callback(answered)

    async def _answer(self, life: Life, message: Message) -> Any:
        """What the routes do: see whether this node may answer, pass the message on, or have it answered here."""
        cluster, host_id = life.cluster, message.at_owner_of
        if cluster is not None and not cluster.trusted:
            raise Unavailable("This node has lost its database")
        if cluster is not None and host_id is not None and not life.directory.holds(host_id):
            name = await cluster.url_of_owner(host_id)
            if name is not None:
                try:
                    return await asyncio.wait_for(self._pass_on(life, name, message), HOP_SECONDS)
                except (TimeoutError, ConnectionError):
                    self._plane.weather.stats["owner not reached"] += 1  # this node takes over
        return await message.ask(life, message.exchange)

    async def _pass_on(self, here: Life, name: str, message: Message) -> Any:
        """One hop, never two."""
        answer: asyncio.Future[Any] = here.process.create_future()
        weather = self._plane.weather
        weather.stats["passed on"] += 1

        def settle(value: Any, error: BaseException | None) -> None:
            if answer.done() or weather.strikes(weather.mix.hop_lost, "hop lost"):
                return
            if error is None:
                answer.set_result(value)
            else:
                answer.set_exception(error)

        def answered(task: "asyncio.Task[Any]") -> None:
            error = task.exception()
            here.process.call_later(self._hop(), settle, None if error else task.result(), error)

        def arrive() -> None:
            there = self._nodes[name].life
            if there is None or not there.serves:
                here.process.call_later(self._hop(), settle, None, ConnectionRefusedError())
            else:
                there.process.call_soon(serve, there)

        def serve(there: Life) -> None:
            there.process.create_task(self._answer(there, message._replace(at_owner_of=None))).add_done_callback(
                answered
            )

        if not weather.strikes(weather.mix.hop_lost, "hop lost"):
            self._plane.loop.call_later(self._hop(), arrive)
        return await answer

    def _hop(self) -> float:
        return self.chance.uniform(0.001, 0.01)

    def _write(self, exchange: Exchange, value: Any) -> None:
        weather, link = self._plane.weather, exchange.sender.link
        if not exchange.is_open():
            exchange.unwritten(value)
        elif not link.deaf and not weather.strikes(weather.mix.reply_lost, "reply lost"):
            exchange.sender.process.call_later(self.chance.uniform(*NEAR), exchange.answer, value)

    # ---- cuts ------------------------------------------------------------------------------------------------------

    def cut(self, link: Link) -> None:
        """For a while nothing comes through, in one direction or in both."""
        self._plane.weather.stats["link cut"] += 1
        way = self.chance.choice(("both", "both", "up", "down"))
        mute, deaf = way != "down", way != "up"
        link.mute += mute
        link.deaf += deaf
        self._plane.loop.call_later(self.chance.choice((3, 12, 30, 90)), self._mend, link, mute, deaf)

    def _mend(self, link: Link, mute: bool, deaf: bool) -> None:
        link.mute = max(link.mute - mute, 0)
        link.deaf = max(link.deaf - deaf, 0)
