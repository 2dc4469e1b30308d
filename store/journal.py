"""The committer's thread: drains a queue, writes all that waits in one transaction, reports back on the loop.

The queue's order is the order of decisions, and batches are cut from its front, so two decisions of one host are never
swapped. While a batch is being written the next one grows: the busier the server, the larger the groups.

Decisions whose host somebody else holds, as another node's claim may for a moment, go to the front of the next batch:
they wait, with all later ones of their host behind them, and everybody else goes on.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any

from interlock.errors import Unavailable
from store.committer import Committer
from store.database import connected, drop_if_broken
from store.entries import Done, Entry, Exclusive, Outcome, Refused, Work
from store.tally import Tally
from store.transactions import first_error

log = logging.getLogger(__name__)

_STOPPED = "The journal has stopped"
MAX_BATCH = 1000  # decisions in one transaction; more would only delay the first of them
HELD_SECONDS = 0.005  # until hosts that somebody else holds are tried again, if nothing else comes first
COMMIT_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
BATCH_SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
LAST_SECONDS = 10.0  # for them at a stop: longer than the server lets an idle transaction hold anything


class Journal:
    """Starts with `start`; `stop` writes what is queued and ends the thread; twice does no harm.

    `post` runs a callable on the loop, from any thread. With `soon`, which runs one in the loop's next turn, all that
    is decided in a turn goes to the thread at once: woken at each decision, it would commit them one by one.
    """

    def __init__(self, committer: Committer, post: Callable[[Callable[[], None]], object]) -> None:
        self._committer = committer
        self._post = post
        self._queue: SimpleQueue[Entry | Exclusive | None] = SimpleQueue()
        self._next: Entry | Exclusive | None = None  # taken from the queue, and not part of the last batch
        self._held: list[Entry] = []  # by somebody else: the front of the next batch
        self._soon: Callable[[Callable[[], None]], object] = lambda flush: flush()
        self._decided: deque[Entry | Exclusive] = deque()  # in this turn of the loop
        self._order = threading.Lock()  # held while what was decided goes into the queue
        self._stopping = False
        self._ended = False
        self._thread: threading.Thread | None = None
        self.batches = 0
        self.entries = 0
        self.commit_seconds = Tally(COMMIT_SECONDS)
        self.batch_sizes = Tally(BATCH_SIZES)

    @property
    def depth(self) -> int:
        """Decisions that wait to be written."""
        return self._queue.qsize() + len(self._decided) + len(self._held)

    @property
    def processes(self) -> int:
        """How many processes beside this one write for it."""
        return 0

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
        with self._order:
            self._ended = True
        while not self._queue.empty():  # what was put in at the very moment of the end
            late = self._queue.get()
            if late is not None:
                self._refuse(late)

    def submit(self, entry: Entry) -> None:
        """Queue a decision; `entry.done` is called on the loop with its outcome."""
        self._put(entry)

    def exclusive(self, work: Work, done: Done) -> None:
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
                item = self._decided.popleft()
                if self._ended:
                    self._refuse(item)
                else:
                    self._queue.put(item)

    def _refuse(self, item: Entry | Exclusive) -> None:
        if isinstance(item, Entry):
            self._tell(lambda: item.done(Refused(_STOPPED)))
        else:
            self._tell(lambda: item.done(None, Unavailable(_STOPPED)))

    def _run(self) -> None:
        while True:
            try:
                first, self._next = self._next or self._take(), None
            except Empty:
                self._write([])
                continue
            if first is None:
                break
            self._work_on(first)
        self._write_held()
        self._committer.database.close()

    def _work_on(self, first: Entry | Exclusive) -> None:
        if isinstance(first, Exclusive):
            self._run_exclusive(first)
        else:
            self._write(self._cut(first))

    def _take(self) -> Entry | Exclusive | None:
        """The next item; `Empty` when it is time to try again what was held."""
        return self._queue.get(timeout=HELD_SECONDS if self._held else None)

    def _cut(self, first: Entry) -> list[Entry]:
        """The entries at the front, up to the first that is none."""
        batch = [first]
        while len(batch) < MAX_BATCH and not self._queue.empty():
            item = self._queue.get()
            if not isinstance(item, Entry):
                if item is None:
                    self._queue.put(None)  # the end: after this batch
                self._next = item
                break
            batch.append(item)
        return batch

    def _write(self, batch: list[Entry]) -> None:
        began = time.perf_counter()
        entries, outcomes, self._held = self._committer.write(self._held + batch)
        if entries:
            self._count(entries, time.perf_counter() - began)
            self._tell(lambda: report(entries, outcomes))

    def _count(self, entries: list[Entry], seconds: float) -> None:
        """A batch has been written."""
        self.commit_seconds.add(seconds)
        self.batch_sizes.add(len(entries))
        self.batches += 1
        self.entries += len(entries)

    def _write_held(self) -> None:
        """At the end: what somebody holds is waited for, but not for ever."""
        deadline = time.monotonic() + LAST_SECONDS
        while self._held and time.monotonic() < deadline:
            self._write([])
            time.sleep(HELD_SECONDS)
        for entry in self._held:
            self._refuse(entry)

    def _run_exclusive(self, item: Exclusive) -> None:
        result, error = run_exclusive(self._committer, item)
        self._tell(lambda: item.done(result, error))

    def _tell(self, callback: Callable[[], None]) -> None:
        try:
            self._post(callback)
        except RuntimeError:  # the loop has closed: nobody is left to be told
            log.debug("A commit's outcome came after the loop had closed")


def run_exclusive(committer: Committer, item: Exclusive) -> tuple[Any, BaseException | None]:
    """Run the work in a transaction of its own; its result, or what went wrong."""
    database = committer.database
    try:
        connected(database)
        with database.atomic(*committer.begin):
            return item.work(database), None
    except Exception as error:  # noqa: BLE001 - whoever asked is told
        drop_if_broken(database)
        return None, first_error(error)


def report(batch: list[Entry], outcomes: list[Outcome]) -> None:
    """Tell each decision's actor, in order; one that fails to listen must not silence the others."""
    for entry, outcome in zip(batch, outcomes, strict=True):
        try:
            entry.done(outcome)
        except Exception:
            log.exception("A commit's outcome was not taken")
