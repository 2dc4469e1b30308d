"""One org's pool at work: reads what waits for those who are idle here, creates, ends, and lets time pass.

It belongs to the org's supervisor, whose mailbox puts everything in order. All that it remembers may be old; what it
writes says what the rows must still be.
"""

import logging
from collections.abc import Callable
from typing import Any

from actors import pool_decisions
from actors.decision import Decision
from actors.host_state import SEEN_SAVED_EVERY
from actors.loop_actor import LoopFuture
from actors.messages import CancelJob, CreateJob, Message, RetryJob
from actors.pool import Idle, Pool
from actors.pool_messages import HostBusy, HostIdle, PoolEmpty, PoolHints, PoolJob, PoolNotes
from actors.pool_waits import Census
from actors.pool_writer import PoolWriter
from actors.surroundings import Surroundings
from interlock.clock import Millis
from interlock.errors import InterlockError, InvalidState, NotFound, Unavailable
from interlock.states import TERMINAL, JobStatus, RunStatus
from store.jobs import job_and_last_run
from store.labels import ANY_HOST, carries
from store.pool import DueInPool, HostsAlike, count_hosts, due_in_pool, read_pool, rows_from, waiting
from store.rows import JobRow, RunRow

log = logging.getLogger(__name__)

PREFIX = "pool:"  # of the name by which an alarm means a pool, and not a host
NEWS = "pool-news:"  # of the name by which a doorbell does
MOST_TRIES = 5  # of a change whose rows somebody else moved meanwhile
DUE_AT_ONCE = 200  # jobs that one look at the clock takes in hand
NEXT_ROUND = 0.02  # seconds between two rounds of telling the hosts of a large fleet what waits
COUNTED: Millis = 1000  # for how long the hosts of the org are taken to be as they were counted

Found = tuple[JobRow | None, RunRow | None]
Tell = Callable[[str, Message], bool]  # how a host's actor is told something: False when it cannot be


class OrgPool:
    """To be used by the org's supervisor only."""

    def __init__(
        self,
        org_id: str,
        around: Surroundings,
        writer: PoolWriter,
        tell: Tell,
        route: Callable[[str, Message], LoopFuture],
    ) -> None:
        self.memory = Pool(around.limits)
        self.org_id = org_id
        self.name = PREFIX + org_id
        self._around = around
        self._writer = writer
        self._tell = tell
        self._route = route
        self._census = Census()
        self._counted_at: Millis | None = None
        self._want_count: list[Callable[[InterlockError | None], None]] = []
        self._serves = False  # whether a round of giving out is to come in this turn
        self._tells_on = False  # whether a timer is set for the next
        self._looks = 0  # how often it was asked to look at the clock since it began to

    @property
    def rests(self) -> bool:
        """Whether it is about nothing, and would know as much if it were made afresh."""
        return self.memory.rests and not (self._serves or self._looks or self._want_count)

    # ---- hosts that are idle here ----------------------------------------------------------------------------------

    def host_is_idle(self, message: HostIdle) -> None:
        """It hears of what waits."""
        idle = Idle(message.host_id, message.labels, message.polls, message.asks, message.listens, message.refused)
        self.memory.host_is_idle(idle)
        if not self.memory.has_nothing:
            self.serve()

    def host_is_busy(self, message: HostBusy) -> None:
        """It does not, from now on."""
        if message.unsure:
            self.memory.host_is_gone(message.host_id)
            self.serve()
        else:
            self.memory.host_is_busy(message.host_id)

    def take_notes(self, message: PoolNotes) -> None:
        """What a host has done with what was kept for it."""
        for job_id in message.taken:
            self.memory.gone(job_id)
        for job_id in message.missed:
            self.memory.missed(job_id)
        for job_id in message.free:
            self.memory.free(job_id, message.host_id)
        self.serve()

    def keep(self, host_id: str, job_id: str) -> bool:
        """Whether the host may try to take the job."""
        return self.memory.keep(job_id, host_id, self._around.clock.now())

    def at_hand(self, job_id: str) -> tuple[JobRow, RunRow] | None:
        """The rows of a job that is kept for a host, where they need not be read."""
        item = self.memory.kept(job_id)
        return None if item is None or item.rows is None else rows_from(item.rows)

    def tick(self) -> None:
        """Every few seconds."""
        self.memory.tick(self._around.clock.now())
        self.serve()

    def news(self) -> None:
        """Others may have written to the rows."""
        self.memory.stale = True
        self.serve()

    def serve(self) -> None:
        """Give out what waits, once all that this turn of the loop brings is known: the jobs of a batch go to many hosts."""
        if not self._serves:
            self._serves = True
            self._around.scheduler.call_soon(self._serve)

    def _serve(self) -> None:
        """One round; what has been read runs out, or may be old: then it is read on."""
        self._serves = False
        memory = self.memory
        found = memory.serve(self._around.clock.now())
        for host_id, item in found.jobs:
            if not self._tell(host_id, PoolJob(job_id=item.job_id)):
                memory.free(item.job_id, host_id)
        for host_id, items in found.hints:
            self._tell(host_id, PoolHints(jobs=items))
        for host_id in found.nothing:
            self._tell(host_id, PoolEmpty())
        if memory.needs_reading and not memory.reads:
            self._read()
        if memory.has_more_to_tell and not self._tells_on:
            self._tells_on = True
            self._around.scheduler.call_later(NEXT_ROUND, self._tell_on)

    def _tell_on(self) -> None:
        self._tells_on = False
        self.serve()

    def _read(self) -> None:
        labels, window = self.memory.begin_reading()
        org_id, lanes = self.org_id, self._around.limits.pool_lanes

        def wanted(lane: str) -> bool:
            return any(carries(host, lane) for host in labels)

        def done(read: Any, error: BaseException | None) -> None:
            if error is None:
                self.memory.fill(read)
                self.serve()
            else:
                self._warn("What waits", error)
                self._could_not_read()

        self._around.reader.read(
            lambda database: read_pool(database, org_id, wanted, most_lanes=lanes, window=window), done
        )

    def _warn(self, what: str, error: BaseException | None) -> None:
        """Into the log, in the driver's words: who asked is told in ours."""
        log.warning("%s cannot be read in the pool of %s: %s", what, self.org_id, error, extra={"org": self.org_id})

    def _could_not_read(self) -> None:
        """Nobody who would not wait is kept; the others are served after the next tick."""
        for host_id in self.memory.could_not_read():
            self._tell(host_id, PoolEmpty())

    # ---- users -----------------------------------------------------------------------------------------------------

    def create(self, message: CreateJob) -> LoopFuture:
        """The reply: the new job's document, once it is durable."""
        reply = LoopFuture()

        def decide(failure: InterlockError | None) -> None:
            if failure is not None:
                reply.settle(failure)
                return
            d, limits = self._decision(), self._around.limits
            self._census.idle_are(self.memory.idle_labels)
            job, run = pool_decisions.create(message, d, timeout_ms=limits.timeout_ms, census=self._census)
            self._write(d, reply, lambda: self._came(job, run))

        self._with_count(decide)
        return reply

    def change(self, message: CancelJob | RetryJob) -> LoopFuture:
        """A job of this org is cancelled while it waits, or tried afresh; the reply as a host's actor gives it."""
        reply = LoopFuture()
        self._try(message, reply, MOST_TRIES)
        return reply

    def _try(self, message: CancelJob | RetryJob, reply: LoopFuture, tries: int) -> None:
        def read(found: Found | None, error: BaseException | None) -> None:
            if found is None:
                self._warn("The rows of a job", error)
                reply.settle(Unavailable("The rows cannot be read at the moment"))
                return
            try:
                self._decide(message, found, reply, again)
            except InterlockError as refusal:
                reply.settle(refusal)

        def again() -> None:
            if tries <= 1:
                reply.settle(Unavailable("The job is just being moved; ask again"))
            else:
                self._try(message, reply, tries - 1)

        self._around.reader.read(lambda database: job_and_last_run(database, message.job_id), read)

    def _decide(
        self, message: CancelJob | RetryJob, found: Found, reply: LoopFuture, again: Callable[[], None]
    ) -> None:
        job, run = found
        if job is None or run is None or job.org_id != self.org_id or job.labels is None:
            raise NotFound("No such job")
        d = self._decision()
        if isinstance(message, RetryJob):
            following = pool_decisions.try_afresh(message, job, d)
            self._write(d, reply, lambda: self._came(job, following), again)
        elif run.status not in TERMINAL and run.host_id is None:
            pool_decisions.cancel(message, job, run, d)
            self._write(d, reply, lambda: self.memory.gone(job.id), again)
        elif run.status not in TERMINAL and run.host_id is not None:
            self._route(run.host_id, message).then(lambda answer: answer.forward(reply))  # taken meanwhile
        elif job.status is JobStatus.CANCELLED:
            reply.settle(True)
        else:
            raise InvalidState(f"The job has ended: {job.status}", current={"status": job.status})

    # ---- time ------------------------------------------------------------------------------------------------------

    def look_at_clock(self) -> None:
        """Do all that is due. Asked while it looks, it looks once more."""
        self._looks += 1
        if self._looks == 1:
            now, org_id = self._around.clock.now(), self.org_id
            self._around.reader.read(lambda database: due_in_pool(database, org_id, now, DUE_AT_ONCE), self._due)

    def _due(self, found: DueInPool | None, error: BaseException | None) -> None:
        if found is None:
            self._warn("What is due", error)
            self._looks = 0
            return
        left = len(found.due) + len(found.expired)
        more = max(len(found.due), len(found.expired)) >= DUE_AT_ONCE
        outcomes: list[bool] = []

        def settled(*, written: bool) -> None:
            outcomes.append(written)
            if len(outcomes) >= left:
                again, self._looks = self._looks > 1 or (more and any(outcomes)), 0
                if again:
                    self.look_at_clock()

        if not left:
            settled(written=False)
        late = {job.id for job, _ in found.expired}
        for job, run in found.due:
            if job.id not in late:
                self._move(job, run, settled)
            else:
                settled(written=False)
        for job, run in found.expired:
            self._expire(job, run, settled)

    def _move(self, job: JobRow, run: RunRow, settled: Callable[..., None]) -> None:
        d = self._decision()
        if run.asked_to_stop is not None:
            pool_decisions.stop(job, run, d)
            self._write_due(d, settled, lambda: None)
        else:
            pool_decisions.come_due(run, d)
            self._write_due(d, settled, lambda: self._came(job, run))

    def _expire(self, job: JobRow, run: RunRow, settled: Callable[..., None]) -> None:
        d = self._decision()
        pool_decisions.expire(job, run, d)
        self._write_due(d, settled, lambda: self.memory.gone(job.id))

    def _write_due(self, d: Decision, settled: Callable[..., None], then: Callable[[], None]) -> None:
        reply = LoopFuture()
        reply.then(lambda answer: settled(written=answer.error is None))
        self._write(d, reply, then)

    # ---- writing ---------------------------------------------------------------------------------------------------

    def _decision(self) -> Decision:
        clock = self._around.clock
        return Decision(clock.now(), self._around.ids, clock.chance())

    def _write(
        self, d: Decision, reply: LoopFuture, then: Callable[[], None], again: Callable[[], None] | None = None
    ) -> None:
        """Once it is durable: `then`, the events, and the reply. `again` when somebody else has moved the rows."""

        def done(outcome: bool | InterlockError) -> None:
            if outcome is True:
                then()
                for effect in d.effects:
                    self._around.events.publish(self.org_id, effect.event, effect.data)
                reply.settle(d.reply)
            elif isinstance(outcome, InterlockError):
                self.memory.stale = True  # it may have been written all the same
                reply.settle(outcome)
            elif again is not None:
                again()
            else:
                reply.settle(Unavailable("The job is just being moved; ask again"))

        self._writer.write(d.seal(), done)

    def _came(self, job: JobRow, run: RunRow) -> None:
        """It is in the rows: it waits, for a host or for its time."""
        around = self._around
        if run.status is RunStatus.PENDING:
            self.memory.add(job.labels or ANY_HOST, waiting(job, run))
            self.serve()
            around.ownership.ring_all(NEWS + self.org_id)
        elif run.available_at is not None:
            around.alarms.set_alarm(self.name, run.available_at)
        if job.start_before is not None:
            around.alarms.set_alarm(self.name, job.start_before)

    # ---- hosts of the org ------------------------------------------------------------------------------------------

    def _with_count(self, work: Callable[[InterlockError | None], None]) -> None:
        """Call it once the hosts have been counted lately, or with the failure."""
        now = self._around.clock.now()
        if self._counted_at is not None and now - COUNTED < self._counted_at <= now and not self._want_count:
            work(None)
            return
        self._want_count.append(work)
        if len(self._want_count) == 1:
            self._around.reader.read(self.counting(now), self._counted)

    def counting(self, now: Millis) -> Callable[[Any], list[HostsAlike]]:
        """Work for a reading thread: the org's hosts by their labels."""
        seen_since, org_id = now - self._around.limits.offline_after_ms - SEEN_SAVED_EVERY, self.org_id
        return lambda database: count_hosts(database, org_id, seen_since, now)

    def _counted(self, hosts: list[HostsAlike] | None, error: BaseException | None) -> None:
        waiting, self._want_count = self._want_count, []
        failure = None
        if hosts is None:
            self._warn("The hosts", error)
            failure = Unavailable("The hosts cannot be counted at the moment")
        else:
            self._census, self._counted_at = Census(hosts), self._around.clock.now()
        for work in waiting:
            work(failure)
