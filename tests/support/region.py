"""Two nodes on one database, both worked by hand: loops, readings and journals do nothing before the test lets them."""

import heapq
import itertools
from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec
from peewee import Database

from actors import Directory, Limits, Surroundings
from actors.loop_actor import LoopFuture
from actors.messages import CancelJob, CreateJob, Message, Poll, ReportResult, RetryJob, RunDue
from interlock.wire import Report
from store import Entry, nodes, open_database
from store.committer import Committer
from store.database import migrate
from store.entries import Exclusive
from store.journal import report, run_exclusive
from tests.support.hosts import NEW_JOB, USER, Ids
from tests.support.rows import host_row, write_host

NOW = 1_700_000_000_000
LIVES = 1_000_000_000  # ms


class Timer:
    """A callback that can be called off."""

    cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Side:
    """One node, with all its ports."""

    alone = False

    def __init__(self, name: str, region: "Region", limits: Limits) -> None:
        self.name = name
        self.region = region
        self.turns: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self.readings: deque[tuple[Any, Any]] = deque()
        self.queue: deque[Entry | Exclusive] = deque()
        self.timers: list[tuple[int, int, Timer, Callable[..., object], tuple[Any, ...]]] = []
        self.events: list[str] = []
        self.alarms: list[int] = []
        self.committer = Committer(region.database, name)
        around = Surroundings(
            scheduler=self,
            clock=region,
            ids=region.ids,
            journal=self,
            reader=self,
            events=self,
            limits=limits,
            ownership=self,
        )
        around.alarms = self
        self.directory = Directory(around, self, name, started_at=NOW)
        nodes.renew(region.database, name, f"http://{name}", NOW, LIVES)

    # ---- its ports -------------------------------------------------------------------------------------------------

    def call_soon(self, callback: Callable[..., object], *args: Any) -> None:
        self.turns.append((callback, args))

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any) -> Timer:
        timer = Timer()
        heapq.heappush(self.timers, (self.region.at + round(delay * 1000), self.region.number(), timer, callback, args))
        return timer

    def submit(self, entry: Entry) -> None:
        self.queue.append(entry)

    def exclusive(self, work: Any, done: Any) -> None:
        self.queue.append(Exclusive(work, done))

    def read(self, work: Any, done: Any) -> None:
        self.readings.append((work, done))

    def publish(self, _org_id: str, event: str, _data: msgspec.Struct) -> None:
        self.events.append(event)

    def set_alarm(self, _host_id: str, due_at: int) -> None:
        self.alarms.append(due_at)

    def owner_of(self, database: Database, host_id: str) -> str | None:
        owner = nodes.owner_of(database, host_id, NOW)
        return None if owner is None or owner.id == self.name else owner.id

    def now(self, _database: Database) -> int:
        return NOW

    def ring(self, owner: str, host_id: str) -> None:
        self.region.rings.append((owner, host_id))

    def ring_all(self, name: str) -> None:
        self.region.rings += [(other, name) for other in ("a", "b") if other != self.name]

    # ---- what the test does ----------------------------------------------------------------------------------------

    def turn(self) -> None:
        """Everything that is ready on the loop."""
        while self.turns:
            callback, args = self.turns.popleft()
            callback(*args)

    def look(self) -> Callable[[], None]:
        """Let the newest reading look at the rows; call what is given back to let it bring them."""
        work, done = self.readings.pop()
        rows = work(self.region.database)

        def bring() -> None:
            done(rows, None)
            self.turn()

        return bring

    def write(self) -> None:
        """One transaction."""
        item = self.queue.popleft()
        if isinstance(item, Exclusive):
            item.done(*run_exclusive(self.committer, item))
        else:
            report([item], self.committer.commit([item]))
        self.turn()

    def settle(self) -> None:
        """All that can happen here without a ring; the newest reading always comes back first."""
        self.turn()
        while self.readings or self.queue:
            if self.readings:
                self.look()()
            else:
                self.write()

    def wait(self, seconds: float) -> None:
        """Time passes for both nodes, and the timers of this one fire."""
        end = self.region.at + round(seconds * 1000)
        while self.timers and self.timers[0][0] <= end:
            at, _, timer, callback, args = heapq.heappop(self.timers)
            self.region.at = max(self.region.at, at)
            if not timer.cancelled:
                callback(*args)
            self.region.settle()
        self.region.at = end

    def ask(self, host_id: str, message: Message) -> LoopFuture:
        reply = self.directory.ask(host_id, message)
        self.turn()
        return reply

    def create(self, host_id: str, **fields: Any) -> LoopFuture:
        job = msgspec.structs.replace(NEW_JOB, host_id=host_id, **fields)
        return self.ask(host_id, CreateJob(job=job, by=USER))

    def cancel(self, host_id: str, job_id: str, *, force: bool = False) -> LoopFuture:
        return self.ask(host_id, CancelJob(job_id=job_id, by=USER, force=force))

    def retry(self, host_id: str, job_id: str) -> LoopFuture:
        return self.ask(host_id, RetryJob(job_id=job_id, by=USER))

    def report(self, host_id: str, run_id: str, status: str = "success", *, take_next: bool = False) -> LoopFuture:
        return self.ask(
            host_id,
            ReportResult(
                job_run_id=run_id,
                report=msgspec.convert({"status": status}, Report),
                digest=f"{run_id} {status}",
                body="{}",
                take_next=take_next,
            ),
        )

    def poll(
        self, host_id: str, *, running: tuple[str, ...] | None = (), waits: bool = False, instance: str = "one"
    ) -> Poll:
        poll = Poll(host_id, waits=waits, instance_id=instance, running=running)
        self.directory.poll(poll, 25_000)
        self.turn()
        return poll


class Region:
    """The nodes `a` and `b`, and the rings between them, which the test may lose."""

    def __init__(self, **limits: Any) -> None:
        self.at = NOW
        self.ids = Ids()
        self.rings: list[tuple[str, str]] = []
        self._numbers = itertools.count()
        self.database = open_database("sqlite:///:memory:")
        migrate(self.database)
        self.a, self.b = (Side(name, self, Limits(**limits)) for name in ("a", "b"))

    def now(self) -> int:
        return self.at

    def chance(self) -> float:
        return 0.5

    def number(self) -> int:
        return next(self._numbers)

    def ring(self) -> None:
        """Let all rings be heard, and what follows from them."""
        while self.rings:
            owner, host_id = self.rings.pop(0)
            side = self.a if owner == "a" else self.b
            side.directory.rung(host_id)
            side.settle()

    def settle(self) -> None:
        """Everything that can happen at this moment."""
        for _ in range(3):
            for side in (self.a, self.b):
                side.settle()
            self.ring()

    def due(self, host_id: str) -> None:
        """Node A looks at the clock."""
        self.a.directory.tell(host_id, RunDue())
        self.settle()

    def host(self) -> str:
        """A host that node A owns, whose agent has been there."""
        host = host_row()
        write_host(self.database, host)
        self.a.poll(host.id)
        self.settle()
        return host.id

    # ---- what the rows say -----------------------------------------------------------------------------------------

    def one(self, sql: str, *values: Any) -> Any:
        row = self.database.execute_sql(sql, values).fetchone()
        return row[0] if len(row) == 1 else tuple(row)

    def owner(self, host_id: str) -> tuple[str, int]:
        owner, epoch = self.one("SELECT owner, epoch FROM host WHERE id = ?", host_id)
        return owner, epoch

    def runs(self, job_id: str) -> list[str]:
        """The statuses of a job's runs, oldest first."""
        found = self.database.execute_sql("SELECT status FROM job_run WHERE job_id = ? ORDER BY id", (job_id,))
        return [status for (status,) in found.fetchall()]
