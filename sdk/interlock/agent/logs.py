"""Sending a run's output as log lines, beside the work: never in its way, never more than the queue holds."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from itertools import islice

from interlock.agent.pace import Pace
from interlock.agent.settings import AgentSettings
from interlock.agent.text import clean
from interlock.agent.waiting import first
from interlock.clock import Clock, rfc3339
from interlock.errors import InterlockError, TryLater
from interlock.wire import LogLineIn, RunState

logger = logging.getLogger(__name__)

OVERHEAD_BYTES = 80  # of a line's JSON around its message
Send = Callable[[list[LogLineIn]], Awaitable[RunState]]


class LogPump:
    """The queue of one run and the task that empties it. `on_cancel` is called when an answer asks for a cancel.

    When lines come faster than they may be sent, the oldest that wait are dropped and a line in their place says how
    many: the end of a log is what tells most.
    """

    def __init__(self, send: Send, on_cancel: Callable[[], object], settings: AgentSettings, clock: Clock) -> None:
        self._send = send
        self._on_cancel = on_cancel
        self._settings = settings
        self._clock = clock
        self._pace = Pace(settings, clock)
        self._queue: deque[LogLineIn] = deque()
        self._batch: list[LogLineIn] = []  # taken from the queue; sent again, as it is, until it is answered
        self._seq = 0
        self._dropped = 0  # just before the queue's first line
        self._filled = asyncio.Event()
        self._closing = asyncio.Event()

    def add(self, level: str, message: str) -> None:
        """Queue a line."""
        self._seq += 1
        self._queue.append(LogLineIn(seq=self._seq, level=level, message=clean(message), at=self._at()))
        if len(self._queue) > self._settings.log_queue_lines:
            self._drop()
        self._filled.set()

    async def run(self) -> None:
        """Send a batch per interval until `close`, then the end of what is left at once.

        The first batch waits an interval too, so that a short run needs no more than one request.
        """
        delay = self._settings.log_interval_seconds
        while not self._closing.is_set():
            await first(self._filled.wait(), self._closing.wait())
            await first(self._closing.wait(), timeout=delay)
            if not self._closing.is_set():
                delay = await self._send_batch()
        while len(self._queue) > self._fitting(reversed(self._queue)):
            self._drop()
        while self._batch or self._queue:
            delay = await self._send_batch()
            await asyncio.sleep(delay if self._batch else 0.0)

    def close(self) -> None:
        """The run has ended: only the end of what still waits is sent."""
        self._closing.set()

    async def _send_batch(self) -> float:
        """Send one request; the seconds until the next."""
        self._batch = self._batch or self._take_batch()
        try:
            state = await self._send(self._batch)
        except TryLater as error:
            return max(self._settings.log_interval_seconds, self._pace.delay(error))
        except InterlockError as error:
            logger.warning("log lines were refused and are dropped: %s", error)
        else:
            self._pace.succeeded()
            if state.cancel_requested:
                self._on_cancel()
        self._batch = []
        if not self._queue:
            self._filled.clear()
        return self._settings.log_interval_seconds

    def _take_batch(self) -> list[LogLineIn]:
        """What one request may hold of the oldest lines."""
        batch = [self._queue.popleft() for _ in range(self._fitting(self._queue))]
        if self._dropped:
            message = f"… {self._dropped} lines dropped"
            batch.insert(0, LogLineIn(seq=batch[0].seq - 1, level="warn", message=message, at=batch[0].at))
            self._dropped = 0
        return batch

    def _fitting(self, lines: Iterable[LogLineIn]) -> int:
        """How many of `lines` fit into a request, from the first one on: at least one, and room for a note."""
        room = self._settings.log_batch_bytes - OVERHEAD_BYTES
        count = 0
        for line in islice(lines, max(1, self._settings.log_batch_lines - 1)):
            room -= len(line.message.encode()) + OVERHEAD_BYTES
            if room < 0:
                break
            count += 1
        return max(count, min(1, len(self._queue)))

    def _drop(self) -> None:
        self._queue.popleft()
        self._dropped += 1

    def _at(self) -> str:
        return rfc3339(self._clock.now())
