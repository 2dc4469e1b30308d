"""The supervisor of one org: routes created jobs to their hosts' actors, within the org's quota."""

from collections.abc import Callable

from actors.loop_actor import LoopActor, LoopFuture, Scheduler
from actors.messages import CreateJob, Message
from interlock.errors import QuotaExceeded

Route = Callable[[str, Message], LoopFuture]


class CountPending(Message, frozen=True, kw_only=True):
    """The sweep has counted the org's waiting jobs. No reply."""

    pending: int


class OrgSupervisor(LoopActor):
    """It waits for no host: the host's reply becomes its own.

    The quota on waiting jobs is off by default. On, it rests on a count that the sweep renews every few seconds plus
    what was routed since, so it is kept to within what happens in a few seconds.
    """

    def __init__(self, org_id: str, scheduler: Scheduler, route: Route, max_pending: int) -> None:
        super().__init__(scheduler)
        self.org_id = org_id
        self.routed = 0
        self._route = route
        self.max_pending = max_pending
        self._counted = 0
        self._since = 0

    def on_receive(self, message: Message) -> LoopFuture | None:
        """Route a job, or take a new count."""
        if isinstance(message, CreateJob):
            return self._create(message)
        if isinstance(message, CountPending):
            self._counted, self._since = message.pending, 0
        return None

    def _create(self, message: CreateJob) -> LoopFuture:
        if self.max_pending and self._counted + self._since >= self.max_pending:
            raise QuotaExceeded(f"{self.max_pending} jobs of this organization wait, and no more may", retry_after=5)
        self.routed += 1
        self._since += 1
        return self._route(message.job.host_id, message)
