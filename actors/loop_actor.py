"""Pykka's actors on the event loop: no thread each, 3 KB each, and `await` that never blocks.

Stock `ThreadingActor` is a thread per actor, and awaiting its future blocks the loop (`Future.__await__` calls a blocking
`get`). Measured with 10,000 actors: 1,800 asks/s with threads, 171,000 asks/s so. `LoopActor` uses the three hooks that
Pykka keeps for implementors of actor types; `tests/unit/test_loop_actor.py` pins them (`pykka>=4.5,<5`).

What differs from stock Pykka, on purpose:

* An *unexpected* exception drops the actor under `ask` too, since it may have left its state half changed. Domain errors
  are `InterlockError`s: they go to the caller as a reply and the actor lives on.
* `SystemExit` in one actor ends that actor, not all of them.
* A handler may return a `LoopFuture`: the reply is sent when that is set. Or it takes the reply with `later()`, returns
  `LATER` and settles it itself, for example after a commit.
* Actors are not in Pykka's registry, whose look-up and removal are O(n): whoever starts one keeps it, strongly.
"""

import asyncio
import logging
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Sequence
from typing import Any, Protocol, Self

import pykka
from pykka import messages as pykka_messages
from pykka._envelope import Envelope
from pykka._future import _Unset

from interlock.errors import InterlockError

log = logging.getLogger(__name__)

MESSAGES_PER_TURN = 32  # then the loop gets a turn, so that one busy actor cannot starve the sockets
# What Pykka handles itself. All else is for `on_receive`, without Pykka's own look at it, which costs a call and four.
_PYKKAS = (
    pykka_messages._ActorStop,  # noqa: SLF001 - pinned by the contract test, as the hooks are
    pykka_messages.ProxyCall,
    pykka_messages.ProxyGetAttr,
    pykka_messages.ProxySetAttr,
)


# One lock for all: a reply may be set by another thread just while somebody begins to listen. Held for nanoseconds.
_LISTENING = threading.Lock()


class WouldBlock(RuntimeError):
    """`get` was called on the loop for a reply that is not there yet: await it instead."""


class Scheduler(Protocol):
    """The part of an event loop that actors need; the simulator brings its own."""

    def call_soon(self, callback: Callable[..., object], *args: Any) -> object:
        """Run the callback in one of the next turns, on this thread."""


class LoopFuture(pykka.Future[Any]):
    """A reply that will come. Awaitable on any loop; may be set from any thread, once."""

    # A new one is as its class says: several are made for each request.
    _get_hook: Any = None  # Pykka's two
    _get_hook_result = _Unset()
    _done = False
    _value: Any = None
    _error: BaseException | None = None
    _listeners: "list[Callable[[LoopFuture], None]] | None" = None

    @classmethod
    def of(cls, value: Any) -> "LoopFuture":
        """A reply that is there already; an `InterlockError` becomes its exception."""
        future = cls()
        future.settle(value)
        return future

    def settle(self, value: Any) -> None:
        """Set the value, or raise it at the receiver when it is an `InterlockError`."""
        if isinstance(value, InterlockError):
            self._finish(None, value)
        else:
            self._finish(value, None)

    def set(self, value: Any = None) -> None:
        """Set the value."""
        self._finish(value, None)

    def set_exception(self, exc_info: Any = None) -> None:
        """Set an exception, by default the one being handled."""
        error = (exc_info or sys.exc_info())[1]
        self._finish(None, error or RuntimeError("set_exception without an exception"))

    def then(self, listener: "Callable[[LoopFuture], None]") -> None:
        """Call the listener when the reply is there: at once, or from where it is set."""
        with _LISTENING:
            if not self._done:
                self._listeners = [*(self._listeners or ()), listener]
                return
        listener(self)

    @property
    def done(self) -> bool:
        """Whether the reply is there."""
        return self._done

    @property
    def error(self) -> BaseException | None:
        """The exception that it was set to, if any."""
        return self._error

    @property
    def outcome(self) -> Any:
        """The value, or the exception itself."""
        return self._value if self._error is None else self._error

    def forward(self, to: Any) -> None:
        """Settle another future as this one is."""
        if self._error is not None:
            to.set_exception((type(self._error), self._error, None))
        else:
            to.set(self._value)

    def get(self, *, timeout: float | None = None) -> Any:
        """The value, waiting for it only where that cannot block the loop that would bring it."""
        if self._get_hook is not None:
            return super().get(timeout=timeout)
        if not self._done:
            self._wait(timeout)
        if self._error is not None:
            raise self._error
        return self._value

    def __await__(self) -> Generator[Any, None, Any]:
        while self._get_hook is not None:  # as `stop` and `map` return: their source is known to the hook alone
            try:
                return self.get()
            except WouldBlock:
                yield from asyncio.sleep(0).__await__()
        if not self._done:
            loop = asyncio.get_running_loop()
            thread = threading.get_ident()
            waiter: asyncio.Future[None] = loop.create_future()

            def wake(_: LoopFuture) -> None:
                if threading.get_ident() == thread:
                    _release(waiter)
                else:
                    loop.call_soon_threadsafe(_release, waiter)

            self.then(wake)
            yield from waiter.__await__()
        return self.get()

    def _finish(self, value: Any, error: BaseException | None) -> None:
        if self._done:
            raise RuntimeError("this reply has been sent already")
        with _LISTENING:
            self._value, self._error, self._done = value, error, True
            listeners, self._listeners = self._listeners, None
        for listener in listeners or ():
            listener(self)

    def _wait(self, timeout: float | None) -> None:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            bell = threading.Event()
            self.then(lambda _: bell.set())
            if not bell.wait(timeout):
                raise pykka.Timeout(f"no reply within {timeout} s") from None
        else:
            raise WouldBlock("waiting for a reply would block the loop: await it")


LoopFuture.__init__ = object.__init__  # type: ignore[method-assign]  # so nothing is called to make one


def gather(replies: Sequence[LoopFuture]) -> LoopFuture:
    """All of them as one list, in their order, once the last is there; a refusal stands in its place as it is."""
    together = LoopFuture()
    missing = len(replies)

    def one_more(_: LoopFuture) -> None:
        nonlocal missing
        missing -= 1
        if not missing:
            together.set([reply.outcome for reply in replies])

    for reply in replies:
        reply.then(one_more)
    if not replies:
        together.set([])
    return together


def _release(waiter: "asyncio.Future[None]") -> None:
    if not waiter.done():
        waiter.set_result(None)


class _Flag:
    """What `threading.Event` is for an actor, without its lock: 600 bytes less per host."""

    __slots__ = ("up",)

    def __init__(self) -> None:
        self.up = False

    def set(self) -> None:
        self.up = True

    def is_set(self) -> bool:
        return self.up


LATER = object()  # what a handler returns that keeps its reply to settle it itself


class LoopInbox:
    """A mailbox that asks for a turn when something is put in. To be used on the loop's thread only."""

    __slots__ = ("_messages", "_schedule", "asleep", "scheduled")

    def __init__(self) -> None:
        self._messages: deque[Envelope[Any]] | list[Envelope[Any]] = []  # an empty deque weighs 600 bytes
        self._schedule: Callable[[], object] | None = None
        self.scheduled = False
        self.asleep = False  # messages wait while the actor reads its rows

    def __len__(self) -> int:
        return len(self._messages)

    def attach(self, schedule: Callable[[], object]) -> None:
        """From now on ask for turns."""
        self._schedule = schedule
        self.nudge()

    def put(self, envelope: "Envelope[Any]", /) -> None:
        """Take the envelope in."""
        if not self._messages:
            self._messages = deque((envelope,))
        else:
            self._messages.append(envelope)
        self.nudge()

    def get(self) -> "Envelope[Any]":
        """Hand the oldest envelope out."""
        messages = self._messages
        envelope = messages.popleft() if isinstance(messages, deque) else messages.pop(0)
        if not messages:
            self._messages = []
        return envelope

    def empty(self) -> bool:
        """Whether nothing waits."""
        return not self._messages

    def blocked(self) -> bool:
        """Whether a message would have to wait here for anything."""
        return self.scheduled or self.asleep or bool(self._messages)

    def nudge(self) -> None:
        """Ask for a turn when there is something to do."""
        if self._messages and not self.scheduled and not self.asleep and self._schedule is not None:
            self.scheduled = True
            self._schedule()


class LoopActor(pykka.Actor):
    """An actor whose turns are callbacks of the loop. Handlers are synchronous, short, and do no I/O."""

    def __init__(self, scheduler: Scheduler) -> None:
        super().__init__()
        self._reply_to: LoopFuture | None = None
        self._handling = False
        self.actor_stopped = self._actor_ref.actor_stopped = _Flag()  # type: ignore[assignment]
        self._scheduler = scheduler

    @classmethod
    def start(cls, *args: Any, **kwargs: Any) -> "pykka.ActorRef[Self]":
        """Start an actor. It lives as long as somebody keeps its reference."""
        actor = cls(*args, **kwargs)
        actor._start_actor_loop()
        return actor.actor_ref

    @property
    def inbox(self) -> LoopInbox:
        """The mailbox, by its real type."""
        return self.actor_inbox  # type: ignore[return-value]

    @staticmethod
    def _create_actor_inbox() -> Any:
        return LoopInbox()

    @staticmethod
    def _create_future() -> "pykka.Future[Any]":
        return LoopFuture()

    def _start_actor_loop(self) -> None:
        self._actor_loop_setup()
        self.inbox.attach(lambda: self._scheduler.call_soon(self._turn))

    def ask_now(self, message: Any) -> LoopFuture:
        """The reply, to come. Where nothing is ahead of the message it is handled at once: two turns of the loop less
        than `ActorRef.ask`. To be called by who holds the actor itself, and not from within the actor's own handlers.
        """
        inbox: LoopInbox = self.actor_inbox  # type: ignore[assignment]
        if self._handling or inbox.blocked() or self.actor_stopped.is_set():
            return self.actor_ref.ask(message, block=False)  # type: ignore[return-value]  # our own `_create_future`
        reply = LoopFuture()
        self._handle(message, reply)
        return reply

    def tell_now(self, message: Any) -> None:
        """Handle it at once, if nothing is ahead of it: for what is only to be noted. Even within one of the actor's own
        turns, whose handler must be able to bear that.
        """
        inbox: LoopInbox = self.actor_inbox  # type: ignore[assignment]
        if inbox.blocked() or self.actor_stopped.is_set():
            self.actor_ref.tell(message)
            return
        outer = self._reply_to, self._handling
        self._handle(message, None)
        self._reply_to, self._handling = outer

    def _turn(self) -> None:
        inbox = self.inbox
        inbox.scheduled = False
        for _ in range(MESSAGES_PER_TURN):
            if self.actor_stopped.is_set():
                self._actor_loop_teardown()
                return
            if inbox.asleep or inbox.empty():
                return
            envelope = inbox.get()
            self._handle(envelope.message, envelope.reply_to)  # type: ignore[arg-type]  # our own `_create_future`
        inbox.nudge()

    def _handle(self, message: Any, reply_to: LoopFuture | None) -> None:
        self._reply_to = reply_to
        self._handling = True
        try:
            response = self._handle_receive(message) if isinstance(message, _PYKKAS) else self.on_receive(message)
        except InterlockError as refusal:
            if reply_to is not None:
                reply_to.set_exception((type(refusal), refusal, None))
        except BaseException:  # noqa: BLE001 - whatever it is, it ends this actor and nothing else
            self._fail(reply_to)
        else:
            if reply_to is None or response is LATER:
                return
            if isinstance(response, LoopFuture):
                response.then(lambda answer: answer.forward(reply_to))
            else:
                reply_to.set(response)
        finally:
            self._handling = False

    def later(self) -> LoopFuture:
        """The reply to the message at hand, for a handler that returns `LATER` and settles it itself."""
        return self._reply_to or LoopFuture()

    def _fail(self, reply_to: LoopFuture | None) -> None:
        failure = sys.exc_info()
        self._handle_failure(*failure)
        if reply_to is not None and not reply_to.done:
            reply_to.set_exception(failure)
        try:
            self.on_failure(*failure)
        except Exception:
            log.exception("on_failure of %s failed", self)
        self._actor_loop_teardown()
