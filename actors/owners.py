"""Questions about hosts of which this process has no actor, in a cluster: whoever owns the host is found in its row, and
what users want of another node's host is appended to its rows.
"""

import logging
from collections.abc import Callable
from typing import Protocol

from actors.elsewhere import APPENDED, Elsewhere
from actors.loop_actor import LoopFuture
from actors.messages import Describe, ExplainWait, Message, MoveInLine, ResolveAction
from actors.rounds import Rounds
from actors.surroundings import Surroundings
from interlock.errors import InterlockError, Unavailable

log = logging.getLogger(__name__)

NOT_APPENDED = (ExplainWait, Describe, ResolveAction, MoveInLine)  # what users ask that only the owner can answer


class NotWritten(Unavailable):
    """Another node owns the host, and what was asked is certainly not in the rows."""


class Rebuilt(Unavailable):
    """The host's actor has ended, perhaps since another node has written to its rows: what was asked is in them, or not."""


class Here(Protocol):
    """This process's own hosts, as the directory has them."""

    closed: InterlockError | None

    def holds(self, host_id: str) -> bool:
        """Whether there is an actor of it."""

    def ask_actor(self, host_id: str, message: Message) -> LoopFuture:
        """The reply of its actor, which is started if need be."""

    def rung(self, host_id: str) -> None:
        """Its rows have been written to by somebody else than its actor."""


class Owners:
    """Where to ask. To be used on the loop's thread only."""

    def __init__(self, around: Surroundings, here: Here) -> None:
        self._around = around
        self._here = here
        self._elsewhere = Elsewhere(around)
        self._rounds: Rounds[tuple[Message, LoopFuture]] = Rounds(self._find)

    def ask(self, host_id: str, message: Message) -> LoopFuture:
        """Another node may own the host: then users' wishes are appended to its rows. Whatever else comes here is for
        whoever gets it: agents' requests were passed on before, if their owner could be reached.
        """
        reply = LoopFuture()
        self._rounds.add(host_id, (message, reply))
        return reply

    def or_ask(self, host_id: str, message: Message, reply: LoopFuture) -> LoopFuture:
        """The reply of the actor here, or of the owner if that is another node by now: a user need not notice."""
        if not isinstance(message, APPENDED):
            return reply
        answer = LoopFuture()

        def settled(first: LoopFuture) -> None:
            if isinstance(first.error, NotWritten) and self._here.closed is None:
                self.ask(host_id, message).then(lambda second: second.forward(answer))
            else:
                first.forward(answer)

        reply.then(settled)
        return answer

    def _find(self, host_id: str, asked: list[tuple[Message, LoopFuture]], end: Callable[[], None]) -> None:
        def found(owner: str | None, error: BaseException | None) -> None:
            for message, reply in asked:
                if error is not None:
                    log.warning("The owner of host %s cannot be found: %s", host_id, error, extra={"host": host_id})
                    reply.settle(Unavailable("The host's owner cannot be found at the moment"))
                else:
                    self._send(owner, host_id, message, reply)
            end()

        ownership = self._around.ownership
        self._around.reader.read(lambda database: ownership.owner_of(database, host_id), found)

    def _send(self, owner: str | None, host_id: str, message: Message, reply: LoopFuture) -> None:
        here = self._here

        def appended(answer: LoopFuture) -> None:
            here.rung(host_id)  # this node may have taken the host over while that was written
            answer.forward(reply)

        if here.closed is not None:
            reply.settle(here.closed)
        elif owner is not None and not here.holds(host_id) and isinstance(message, APPENDED):
            self._elsewhere.append(owner, host_id, message).then(appended)
        elif owner is not None and not here.holds(host_id) and isinstance(message, NOT_APPENDED):
            reply.settle(
                Unavailable("The node that owns this host does not answer: once it has gone, another takes over")
            )
        else:
            asked = here.ask_actor(host_id, message)
            self.or_ask(host_id, message, asked).then(lambda answer: answer.forward(reply))
