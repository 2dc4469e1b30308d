"""Alarms for retries, by dramatiq. An alarm is only a doorbell: the row's `availableAt` decides, and the sweep finds
what no alarm rang for. As tried, dramatiq alone strands or loses delayed messages in four ways.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import dramatiq
from dramatiq.brokers.stub import StubBroker

from interlock.clock import Clock, Millis

log = logging.getLogger(__name__)

HORIZON: Millis = 60_000  # only alarms due within a minute are set; the sweep sets the others in time
QUEUE = "alarms"


class InProcessBroker(StubBroker):
    """Dramatiq's in-memory broker. Its delay queues are kept out of the declared ones: a worker would else prefetch no
    more than two delayed messages per thread, and far alarms would block near ones. So it prefetches 1,000; beyond that
    many within a minute the sweep stands in for those behind.
    """

    def get_declared_queues(self) -> set[str]:
        """The queues that hold messages that are due."""
        return set(self.queues) - self.delay_queues


class DramatiqAlarms:
    """Sets alarms on a broker and, in the embedded default, runs the worker that rings them.

    `ring(host_id)` is called on the loop. `start` and `stop` may be called twice.
    """

    def __init__(
        self, broker: dramatiq.Broker, clock: Clock, loop: asyncio.AbstractEventLoop, ring: Callable[[str], None]
    ) -> None:
        self._broker = broker
        self._clock = clock
        self._loop = loop
        self._ring = ring
        self._worker: dramatiq.Worker | None = None
        self._armed: dict[tuple[str, Millis], None] = {}  # set and not yet due, oldest first
        declare = dramatiq.actor(broker=broker, actor_name="alarm", queue_name=QUEUE)
        self._forget_at: Millis = 0
        self._alarm: Any = declare(self._rung)
        self.rung = 0

    def start(self) -> None:
        """Begin to ring."""
        if self._worker is None:
            self._worker = dramatiq.Worker(self._broker, worker_threads=1, worker_timeout=100)
            self._worker.start()

    def stop(self) -> None:
        """Ring no more; what is armed is in the rows anyway."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.stop(timeout=2000)
            self._broker.close()

    def set_alarm(self, host_id: str, due_at: Millis) -> None:
        """Ring for this host at about that time, if that is near. The same alarm is set once."""
        now = self._clock.now()
        if due_at - now > HORIZON or (host_id, due_at) in self._armed:
            return
        if now >= self._forget_at:
            self._forget(now)
        self._armed[host_id, due_at] = None
        try:
            self._alarm.send_with_options(args=(host_id,), delay=max(due_at - now, 0))
        except dramatiq.DramatiqError:
            log.warning("An alarm could not be set; the sweep stands in", exc_info=True)

    def _forget(self, now: Millis) -> None:
        """Once a second, not at every alarm: a whole fleet may fail within a minute."""
        self._forget_at = now + 1000
        for key in [key for key in self._armed if key[1] < now - HORIZON]:
            del self._armed[key]

    def _rung(self, host_id: str) -> None:
        """On a worker's thread."""
        self.rung += 1
        try:
            self._loop.call_soon_threadsafe(self._ring, host_id)
        except RuntimeError:
            log.debug("An alarm rang after the loop had closed")


def in_process_broker() -> StubBroker:
    """A broker without retries, time limits or other middleware: an alarm that fails is nobody's loss."""
    return InProcessBroker(middleware=[])
