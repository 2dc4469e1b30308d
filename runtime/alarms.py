"""Alarms for retries, by dramatiq. An alarm is only a doorbell: the row's `availableAt` decides, and the sweep finds
what no alarm rang for. As tried, dramatiq alone strands or loses delayed messages in four ways.

With the in-process broker a node rings its own alarms. With Redis (`runtime.alarm_broker`) any node's worker may ring
any alarm, so an alarm names the node that set it, which gets it as a doorbell if it is another.
"""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import dramatiq
from dramatiq.brokers.stub import StubBroker

from interlock.clock import Clock, Millis
from runtime.errands import Errands
from store.tally import Tally

log = logging.getLogger(__name__)

HORIZON: Millis = 60_000  # only alarms due within a minute are set; the sweep sets the others in time
QUEUE = "alarms"
DELAY_SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 60)
STOP_SECONDS = 2.0  # that the worker's threads may take to end; they are daemons

Ring = Callable[[str], None]
Elsewhere = Callable[[str, str], None]


class InProcessBroker(StubBroker):
    """Dramatiq's in-memory broker. Its delay queues are kept out of the declared ones: a worker would else prefetch no
    more than two delayed messages per thread, and far alarms would block near ones. So it prefetches 1,000; beyond that
    many within a minute the sweep stands in for those behind.
    """

    def get_declared_queues(self) -> set[str]:
        """The queues that hold messages that are due."""
        return set(self.queues) - self.delay_queues


class DramatiqAlarms:
    """Sets alarms on a broker, and runs the worker that rings them.

    `ring(host_id)` is called on the loop, or `elsewhere(node, host_id)` when another node has set the alarm. With
    `queue`, alarms are sent by a thread, at most so many waiting, since the broker may block; without it, at once.
    `start` and `stop` may be called twice.
    """

    def __init__(
        self,
        broker: dramatiq.Broker,
        clock: Clock,
        loop: asyncio.AbstractEventLoop,
        ring: Ring,
        *,
        node: str = "",
        elsewhere: Elsewhere | None = None,
        queue: int = 0,
    ) -> None:
        self._broker = broker
        self._clock = clock
        self._loop = loop
        self._ring = ring
        self._node = node
        self._elsewhere = elsewhere
        self._errands = Errands("alarms", queue) if queue else None
        self._worker: dramatiq.Worker | None = None
        self._armed: dict[tuple[str, Millis], None] = {}  # set and not yet due, oldest first
        declare = dramatiq.actor(broker=broker, actor_name="alarm", queue_name=QUEUE)
        self._forget_at: Millis = 0
        self._alarm: Any = declare(self._rung)
        self._failing = False
        self.rung = 0
        self.failed = 0  # alarms that could not be set
        self.delays = Tally(DELAY_SECONDS)  # from when an alarm was due until it rang

    def start(self) -> None:
        """Begin to ring."""
        if self._errands is not None:
            self._errands.start()
        if self._worker is None:
            self._worker = dramatiq.Worker(self._broker, worker_threads=1, worker_timeout=100)
            self._worker.start()

    def stop(self) -> None:
        """Ring no more; what is armed is in the rows anyway. Blocks for two seconds at most for each of two parts."""
        if self._errands is not None:
            self._errands.stop(STOP_SECONDS)
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.stop(timeout=round(STOP_SECONDS * 1000))
            self._broker.close()

    def set_alarm(self, host_id: str, due_at: Millis) -> None:
        """Ring for this host at about that time, if that is near. The same alarm is set once. Never blocks."""
        now = self._clock.now()
        if due_at - now > HORIZON or (host_id, due_at) in self._armed:
            return
        if now >= self._forget_at:
            self._forget(now)
        self._armed[host_id, due_at] = None
        if self._errands is None:
            self._send(host_id, due_at)
        elif not self._errands.send(partial(self._send, host_id, due_at)):
            self._not_set(host_id, due_at)

    def _send(self, host_id: str, due_at: Millis) -> None:
        """On a thread, if the broker may block."""
        ahead = due_at - self._clock.now()
        try:
            self._alarm.send_with_options(args=(host_id, self._node, due_at), delay=ahead if ahead > 0 else None)
        except dramatiq.DramatiqError as error:
            if not self._failing:
                log.warning("Alarms cannot be set, the sweep stands in: %s", error)
            self._failing = True
            self._on_loop(self._not_set, host_id, due_at)
        else:
            self._failing = False

    def _not_set(self, host_id: str, due_at: Millis) -> None:
        """It may be set again: the sweep will try."""
        self.failed += 1
        self._armed.pop((host_id, due_at), None)

    def _forget(self, now: Millis) -> None:
        """Once a second, not at every alarm: a whole fleet may fail within a minute."""
        self._forget_at = now + 1000
        for key in [key for key in self._armed if key[1] < now - HORIZON]:
            del self._armed[key]

    def _rung(self, host_id: str, node: str = "", due_at: Millis = 0) -> None:
        """On a worker's thread. A node of an older version has not sent when it was due."""
        self.rung += 1
        if due_at:
            self.delays.add(max(self._clock.now() - due_at, 0) / 1000)
        if node and node != self._node and self._elsewhere is not None:
            self._on_loop(self._elsewhere, node, host_id)
        else:
            self._on_loop(self._ring, host_id)

    def _on_loop(self, call: Callable[..., None], *args: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(call, *args)
        except RuntimeError:
            log.debug("An alarm came after the loop had closed")


def in_process_broker() -> StubBroker:
    """A broker without retries, time limits or other middleware: an alarm that fails is nobody's loss."""
    return InProcessBroker(middleware=[])
