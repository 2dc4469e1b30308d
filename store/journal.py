"""The committer's thread: drains a queue, writes all that waits in one transaction, reports back on the loop.

The queue's order is the order of decisions, and batches are cut from its front, so two decisions of one host are never
swapped. While a batch is being written the next one grows: the busier the server, the larger the groups.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

from interlock.errors import Unavailable
from store.committer import Committer
from store.entries import Entry, Exclusive, Outcome, Refused

log = logging.getLogger(__name__)

_STOPPED = "The journal has stopped"
MAX_BATCH = 1000  # decisions in one transaction; more would only delay the first of them


class Journal:
    """Starts with `start`; `stop` writes what is queued and ends the thread; twice does no harm.

    `post` runs a callable on the loop, from any thread. With `soon`, which runs one in the loop's next turn, all that
    is decided in a turn goes to the thread at once: woken at each decision, it would commit them one by one.
    """

    def __init__(self, committer: Committer, post: Callable[[Callable[[], None]], object]) -> None:
        self._committer = committer
        self._post = post
        self._queue: SimpleQueue[Entry | Exclusive | None] = SimpleQueue()
        self._held: Entry | Exclusive | None = None  # taken from the queue, and not part of the last batch
        self._soon: Callable[[Callable[[], None]], object] = lambda flush: flush()
        self._decided: deque[Entry | Exclusive] = deque()  # in this turn of the loop
        self._order = threading.Lock()  # held while what was decided goes into the queue
        self._stopping = False
        self._thread: threading.Thread | None = None
        self.batches = 0
        self.entries = 0

    @property
    def depth(self) -> int:
        """Decisions that wait to be written."""
        return self._queue.qsize() + len(self._decided)

    def start(self, soon: Callable[[Callable[[], None]], object] | None = None) -> None:
        """Begin to write."""
        self._soon = soon or self._soon
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Write what is queued, then end."""
        self._stopping = True
        self._flush()
        self._queue.put(None)
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
        while not self._queue.empty():  # what was put in at the very moment of the end
            late = self._queue.get()
            if late is not None:
                self._refuse(late)

    def submit(self, entry: Entry) -> None:
        """Queue a decision; `entry.done` is called on the loop with its outcome."""
        self._put(entry)

    def exclusive(self, work: Callable[[Any], Any], done: Callable[[Any, BaseException | None], None]) -> None:
        """Queue a transaction of its own: `work(database)`, then `done(result, error)` on the loop."""
        self._put(Exclusive(work, done))

    def _put(self, item: Entry | Exclusive) -> None:
        if self._stopping:
            self._refuse(item)
        else:
            self._decided.append(item)
            if len(self._decided) == 1:
                self._soon(self._flush)

    def _flush(self) -> None:
        with self._order:
            while self._decided:
                self._queue.put(self._decided.popleft())

    def _refuse(self, item: Entry | Exclusive) -> None:
        if isinstance(item, Entry):
            self._tell(lambda: item.done(Refused(_STOPPED)))
        else:
            self._tell(lambda: item.done(None, Unavailable(_STOPPED)))

    def _run(self) -> None:
        while True:
            first, self._held = self._held or self._queue.get(), None
            if first is None:
                break
            self._write(first if isinstance(first, Exclusive) else self._cut(first))
        self._committer.database.close()

    def _cut(self, first: Entry) -> list[Entry]:
        """The entries at the front, up to the first that is none."""
        batch = [first]
        while len(batch) < MAX_BATCH and not self._queue.empty():
            item = self._queue.get()
            if not isinstance(item, Entry):
                if item is None:
                    self._queue.put(None)  # the end: after this batch
                self._held = item
                break
            batch.append(item)
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
