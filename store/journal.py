"""The committer's thread: drains a queue, writes all that waits in one transaction, reports back on the loop.

The queue's order is the order of decisions, and batches are cut from its front, so two decisions of one host are never
swapped. While a batch is being written the next one grows: the busier the server, the larger the groups.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from interlock.errors import Unavailable
from store.committer import Committer
from store.entries import Entry, Exclusive, Outcome, Refused

log = logging.getLogger(__name__)

_STOPPED = "The journal has stopped"
MAX_BATCH = 1000  # decisions in one transaction; more would only delay the first of them


class Journal:
    """Starts with `start`; `stop` writes what is queued and ends the thread; twice does no harm.

    `post` runs a callable on the loop, from any thread.
    """

    def __init__(self, committer: Committer, post: Callable[[Callable[[], None]], object]) -> None:
        self._committer = committer
        self._post = post
        self._queue: deque[Entry | Exclusive] = deque()
        self._bell = threading.Condition()
        self._stopping = False
        self._thread: threading.Thread | None = None
        self.batches = 0
        self.entries = 0

    @property
    def depth(self) -> int:
        """Decisions that wait to be written."""
        return len(self._queue)

    def start(self) -> None:
        """Begin to write."""
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Write what is queued, then end."""
        with self._bell:
            self._stopping = True
            self._bell.notify()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def submit(self, entry: Entry) -> None:
        """Queue a decision; `entry.done` is called on the loop with its outcome."""
        self._put(entry)

    def exclusive(self, work: Callable[[Any], Any], done: Callable[[Any, BaseException | None], None]) -> None:
        """Queue a transaction of its own: `work(database)`, then `done(result, error)` on the loop."""
        self._put(Exclusive(work, done))

    def _put(self, item: Entry | Exclusive) -> None:
        with self._bell:
            if not self._stopping:
                self._queue.append(item)
                self._bell.notify()
                return
        if isinstance(item, Entry):
            self._tell(lambda: item.done(Refused(_STOPPED)))
        else:
            self._tell(lambda: item.done(None, Unavailable(_STOPPED)))

    def _run(self) -> None:
        while True:
            with self._bell:
                while not self._queue and not self._stopping:
                    self._bell.wait()
                if not self._queue:
                    break
                batch = self._cut()
            self._write(batch)
        self._committer.database.close()

    def _cut(self) -> list[Entry] | Exclusive:
        """The entries at the front up to the first exclusive, or that exclusive."""
        first = self._queue.popleft()
        if isinstance(first, Exclusive):
            return first
        batch = [first]
        while self._queue and len(batch) < MAX_BATCH:
            if isinstance(self._queue[0], Exclusive):
                break
            batch.append(self._queue.popleft())  # type: ignore[arg-type]  # just looked
        return batch

    def _write(self, batch: list[Entry] | Exclusive) -> None:
        if isinstance(batch, Exclusive):
            result, error = run_exclusive(self._committer, batch)
            self._tell(lambda: batch.done(result, error))
            return
        outcomes = self._committer.commit(batch)
        self.batches += 1
        self.entries += len(batch)
        self._tell(lambda: report(batch, outcomes))

    def _tell(self, callback: Callable[[], None]) -> None:
        try:
            self._post(callback)
        except RuntimeError:  # the loop has closed: nobody is left to be told
            log.debug("A commit's outcome came after the loop had closed")


def run_exclusive(committer: Committer, item: Exclusive) -> tuple[Any, BaseException | None]:
    """Run the work in a transaction of its own; its result, or what went wrong."""
    try:
        if committer.database.is_closed():
            committer.database.connect()
        with committer.database.atomic(*committer.begin):
            return item.work(committer.database), None
    except Exception as error:  # noqa: BLE001 - whoever asked is told
        return None, error


def report(batch: list[Entry], outcomes: list[Outcome]) -> None:
    """Tell each decision's actor, in order; one that fails to listen must not silence the others."""
    for entry, outcome in zip(batch, outcomes, strict=True):
        try:
            entry.done(outcome)
        except Exception:
            log.exception("A commit's outcome was not taken")
