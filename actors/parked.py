"""Parked polls: one per host, each with the timer that ends it. They outlive the actors that answer them."""

from collections.abc import Callable

from actors.messages import Poll
from actors.ports import Handle, LoopPort
from interlock.clock import Millis


class ParkedPolls:
    """A poll leaves with its answer, whoever gives it. `over` is called for one whose time has come."""

    def __init__(self, loop: LoopPort, over: Callable[[Poll], None]) -> None:
        self.by_host: dict[str, Poll] = {}  # the newest of each
        self._loop = loop
        self._over = over
        self._ends: dict[Poll, Handle] = {}

    def put(self, poll: Poll, wait_ms: Millis) -> None:
        """Keep it until it is answered; one that waits is over after `wait_ms`."""
        self.by_host[poll.host_id] = poll
        poll.answer.then(lambda _: self._answered(poll))
        if poll.waits:
            self._ends[poll] = self._loop.call_later(wait_ms / 1000, self._end, poll)

    def all(self) -> set[Poll]:
        """Also those in whose place a newer one came, while they are not answered."""
        return {*self._ends, *self.by_host.values()}

    def _answered(self, poll: Poll) -> None:
        if self.by_host.get(poll.host_id) is poll:
            del self.by_host[poll.host_id]
        handle = self._ends.pop(poll, None)
        if handle is not None:
            handle.cancel()

    def _end(self, poll: Poll) -> None:
        poll.over = True
        if not poll.answer.done:
            self._over(poll)
