"""A thread for what may block: the event loop hands it errands and never waits."""

import logging
import queue
import threading
from collections.abc import Callable

log = logging.getLogger(__name__)


class Errands:
    """One after the other, at most `limit` of them waiting. `start` and `stop` may be called twice."""

    def __init__(self, name: str, limit: int) -> None:
        self._name = name
        self._waiting: queue.Queue[Callable[[], None]] = queue.Queue(limit)
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()

    def start(self) -> None:
        """Begin."""
        if self._thread is None:
            self._stopping.clear()
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()

    def stop(self, seconds: float) -> None:
        """What waits is dropped; return when the one under way has ended, or the time is up."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._stopping.set()
            self.send(_nothing)
            thread.join(seconds)

    def send(self, errand: Callable[[], None]) -> bool:
        """Queue it; False when too many wait already."""
        try:
            self._waiting.put_nowait(errand)
        except queue.Full:
            return False
        return True

    def _run(self) -> None:
        while not self._stopping.is_set():
            errand = self._waiting.get()
            try:
                errand()
            except Exception:
                log.exception("An errand of %s failed", self._name)


def _nothing() -> None:
    """It only wakes the thread, so that it sees that it is to stop."""
