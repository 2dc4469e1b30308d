"""The supervisor of one org: routes created jobs to their hosts' actors or into the pool, within the org's quota."""

import logging
from collections.abc import Callable

from actors.loop_actor import LoopActor, LoopFuture, Scheduler, gather
from actors.messages import CancelJob, CreateJob, CreateJobs, Message, RetryJob
from actors.moves import Moves
from actors.org_pool import OrgPool
from actors.pool_messages import HostBusy, HostIdle, PoolDue, PoolNews, PoolNotes, PoolTick
from interlock.clock import Millis
from interlock.errors import InterlockError, QuotaExceeded, Unavailable
from store.entries import Done

log = logging.getLogger(__name__)

Route = Callable[[str, Message], LoopFuture]
Count = Callable[[str, Done], None]


class CountPending(Message, frozen=True, kw_only=True):
    """The sweep has counted the org's waiting jobs. No reply."""

    pending: int


class OrgSupervisor(LoopActor):
    """It waits for no host: the host's reply becomes its own.

    The quota on waiting jobs is off by default. On, it rests on the last count plus what was routed since. That is more
    than waits if jobs were started meanwhile, so before anything is refused the rows are counted afresh.
    """

    def __init__(
        self,
        org_id: str,
        scheduler: Scheduler,
        route: Route,
        max_pending: int,
        count: Count,
        pool: OrgPool,
        moves: Moves,
    ) -> None:
        super().__init__(scheduler)
        self.org_id = org_id
        self.routed = 0
        self.max_pending = max_pending
        self.pool = pool
        self.moves = moves
        self._route = route
        self._count = count
        self._counted = 0
        self._since = 0
        self._under_way = 0  # routed, and not yet committed: no count can know of them
        self._asked = True  # for anything but a count, since it was looked at
        self._quiet_since: Millis = 0

    def quiet_for(self, now: Millis) -> Millis:
        """For how long it could have been gone: nothing has come, and it knows nothing that the rows do not say. It stays
        where it counts jobs that wait: one made afresh would not know of them until the next count.
        """
        counts = self.max_pending > 0 and self._counted + self._since > 0
        if (
            self._asked
            or counts
            or self._under_way
            or not self.inbox.empty()
            or not (self.pool.rests and self.moves.rests)
        ):
            self._asked, self._quiet_since = False, now
        return now - self._quiet_since

    def on_receive(self, message: Message) -> LoopFuture | None:
        """Route jobs, or take a new count."""
        self._asked = self._asked or not isinstance(message, CountPending)
        if isinstance(message, CreateJob):
            return self._create(message)
        if isinstance(message, CreateJobs):
            return gather([self._create(CreateJob(job=job, by=message.by)) for job in message.jobs])
        if isinstance(message, CancelJob | RetryJob):
            return self.pool.change(message)
        if isinstance(message, CountPending):
            self._counted, self._since = message.pending, self._under_way
        else:
            self._about_pool(message)
        return None

    def _about_pool(self, message: Message) -> None:
        pool = self.pool
        if isinstance(message, HostIdle):
            pool.host_is_idle(message)
        elif isinstance(message, HostBusy):
            pool.host_is_busy(message)
        elif isinstance(message, PoolNotes):
            pool.take_notes(message)
        elif isinstance(message, PoolDue):
            pool.look_at_clock()
        elif isinstance(message, PoolNews):
            pool.news()
        elif isinstance(message, PoolTick):
            pool.tick()

    def _create(self, message: CreateJob) -> LoopFuture:
        if not self.max_pending or self._counted + self._since < self.max_pending:
            return self._pass_on(message)
        return self._after_counting(message)

    def _pass_on(self, message: CreateJob) -> LoopFuture:
        host_id = message.job.host_id
        try:
            self.moves.check(message.job.server_instance_id, host_id)
        except InterlockError as refusal:
            return LoopFuture.of(refusal)
        self.routed += 1
        reply = self.pool.create(message) if host_id is None else self._route(host_id, message)
        if self.max_pending:
            self._since += 1
            self._under_way += 1
            reply.then(self._committed)
        return reply

    def _committed(self, _: LoopFuture) -> None:
        self._under_way -= 1

    def _after_counting(self, message: CreateJob) -> LoopFuture:
        reply = LoopFuture()

        def counted(pending: int | None, error: BaseException | None) -> None:
            if pending is None:
                log.warning("The waiting jobs cannot be counted: %s", error, extra={"org": self.org_id})
                reply.settle(Unavailable("The waiting jobs cannot be counted at the moment"))
                return
            self._counted, self._since = pending, self._under_way
            if self._counted + self._since >= self.max_pending:
                detail = f"{self.max_pending} jobs of this organization wait, and no more may"
                reply.settle(QuotaExceeded(detail, retry_after=5))
            else:
                self._pass_on(message).then(lambda answer: answer.forward(reply))

        self._count(self.org_id, counted)
        return reply
