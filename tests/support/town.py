"""Hosts in a real database, with a directory over them whose loop, clock and journal the test works by hand."""

import heapq
import itertools
from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec

from actors import Directory, Limits, Surroundings
from actors.loop_actor import LoopFuture
from actors.messages import CreateJob, Message, Poll
from store import Entry, open_database
from store.committer import Committer
from store.database import migrate
from store.entries import Exclusive
from store.journal import report, run_exclusive
from tests.support.hosts import NEW_JOB, USER, Ids
from tests.support.rows import host_row, write_host

NOW = 1_700_000_000_000


class Timer:
    """A callback at an instant."""

    def __init__(self, callback: Callable[..., object], args: tuple[Any, ...]) -> None:
        self.callback, self.args, self.cancelled = callback, args, False

    def cancel(self) -> None:
        self.cancelled = True


class Town:
    """Hosts in a real database, and a loop and a journal that the test works by hand."""

    def __init__(self, **limits: Any) -> None:
        self.at = NOW
        self.turns: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self.timers: list[tuple[int, int, Timer]] = []
        self.queue: deque[Entry | Exclusive] = deque()
        self.exclusives = 0
        self.fails: list[Exception] = []  # what befalls the next transactions
        self._numbers = itertools.count()
        self.database = open_database("sqlite:///:memory:")
        migrate(self.database)
        self.committer = Committer(self.database, "me")
        self.around = around = Surroundings(
            scheduler=self, clock=self, ids=Ids(), journal=self, reader=self, events=self, limits=Limits(**limits)
        )
        around.alarms = self
        self.directory = Directory(around, self, "me", started_at=NOW)

    # ---- its ports -------------------------------------------------------------------------------------------------

    def now(self) -> int:
        return self.at

    def chance(self) -> float:
        return 0.5

    def call_soon(self, callback: Callable[..., object], *args: Any) -> None:
        self.turns.append((callback, args))

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any) -> Timer:
        timer = Timer(callback, args)
        heapq.heappush(self.timers, (self.at + round(delay * 1000), next(self._numbers), timer))
        return timer

    def submit(self, entry: Entry) -> None:
        self.queue.append(entry)

    def exclusive(self, work: Any, done: Any) -> None:
        self.exclusives += 1
        self.queue.append(Exclusive(work, done))

    def read(self, work: Any, done: Any) -> None:
        self.call_soon(done, work(self.database), None)

    def publish(self, org_id: str, event: str, data: msgspec.Struct) -> None:
        """Nobody listens."""

    def set_alarm(self, host_id: str, due_at: int) -> None:
        """The test rings."""

    # ---- what the test does ----------------------------------------------------------------------------------------

    def turn(self) -> None:
        """Let everything that is ready on the loop run; the disk is left alone."""
        while self.turns:
            callback, args = self.turns.popleft()
            callback(*args)

    def write(self) -> None:
        """One transaction."""
        item = self.queue.popleft()
        if self.fails:
            error = self.fails.pop(0)
            item.done(None, error) if isinstance(item, Exclusive) else self._fail(item)
        elif isinstance(item, Exclusive):
            item.done(*run_exclusive(self.committer, item))
        else:
            report([item], self.committer.commit([item]))
        self.turn()

    def _fail(self, entry: Entry) -> None:
        entry.incarnation.epoch = -1  # the fence will miss
        report([entry], self.committer.commit([entry]))

    def settle(self) -> None:
        """Everything that can happen now."""
        self.turn()
        while self.queue:
            self.write()

    def wait(self, seconds: float) -> None:
        """Time passes, timers fire, and the disk keeps up."""
        end = self.at + round(seconds * 1000)
        while self.timers and self.timers[0][0] <= end:
            at, _, timer = heapq.heappop(self.timers)
            self.at = max(self.at, at)
            if not timer.cancelled:
                timer.callback(*timer.args)
            self.settle()
        self.at = end

    def host(self) -> str:
        """A new host's id."""
        host = host_row()
        write_host(self.database, host)
        return host.id

    def ask(self, host_id: str, message: Message) -> LoopFuture:
        reply = self.directory.ask(host_id, message)
        self.turn()
        return reply

    def create(self, host_id: str) -> LoopFuture:
        """A new job for the host."""
        message = CreateJob(job=msgspec.structs.replace(NEW_JOB, host_id=host_id), by=USER)
        reply = self.directory.ask_org("org", message)
        self.turn()
        return reply

    def poll(self, host_id: str, wait: float = 25, *, waits: bool = True) -> Poll:
        poll = Poll(host_id, waits=waits, instance_id="a", running=())
        self.directory.poll(poll, round(wait * 1000))
        self.turn()
        return poll

    def fence(self, host_id: str) -> tuple[Any, ...]:
        """The host's owner and epoch."""
        sql = "SELECT owner, epoch FROM host WHERE id = ?"
        return tuple(self.database.execute_sql(sql, (host_id,)).fetchone())
