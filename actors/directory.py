"""Finds, starts, rebuilds and passivates the actors. A host that exists costs a row; one that has work costs an actor.

The directory owns what must outlive an actor's incarnation: parked polls and timers. An incarnation whose change was
refused is dropped; if its host has a parked poll or a live run it is rebuilt at once, else by its next message.
"""

import logging
from collections.abc import Callable, Iterable
from typing import Any

from actors.host import HostActor, Surroundings
from actors.host_times import is_silent, next_deadline
from actors.loop_actor import LoopActor, LoopFuture
from actors.messages import NOTHING, EndPoll, Message, Poll, RunDue, Take, Tick
from actors.org import OrgSupervisor
from actors.ports import Done, Handle, LoopPort
from interlock.clock import Millis
from interlock.errors import InterlockError, NotFound, Unavailable
from store.claims import Claimed, claim, release
from store.jobs import pending_counts

log = logging.getLogger(__name__)

SEEN_SAVED_EVERY: Millis = 30_000  # how old the row's word of a connected host may be
_REBUILT = "The host's actor is being rebuilt from its rows"


class Directory:
    """To be used on the loop's thread only."""

    def __init__(self, around: Surroundings, loop: LoopPort, owner: str, *, started_at: Millis) -> None:
        self.hosts: dict[str, HostActor] = {}
        self.orgs: dict[str, OrgSupervisor] = {}
        self.polls: dict[str, Poll] = {}
        self.rebuilt = 0
        self.failures: list[BaseException] = []  # unexpected errors, oldest first, for the simulator and /debug
        self._around = around
        self._loop = loop
        self._owner = owner
        self._started_at = started_at  # runs that are older were live before a cold start
        self._to_claim: list[str] = []
        self._claiming: set[str] = set()
        self._claim_waiters: list[LoopFuture] = []
        self._poll_ends: dict[Poll, Handle] = {}
        self._retrying: set[str] = set()  # hosts that a timer will claim again
        self._closed: InterlockError | None = None
        around.dropped = self._dropped
        around.settled = self._settled

    # ---- messages --------------------------------------------------------------------------------------------------

    def supervisor(self, org_id: str) -> OrgSupervisor:
        """The org's supervisor, started by its first job."""
        supervisor = self.orgs.get(org_id)
        if supervisor is None or not supervisor.actor_ref.is_alive():
            around = self._around
            most = around.limits.max_pending_per_org
            supervisor = OrgSupervisor(org_id, around.scheduler, self.ask, most, self._count_pending)
            supervisor._start_actor_loop()  # noqa: SLF001 - we keep the actor itself, not a weak reference
            self.orgs[org_id] = supervisor
        return supervisor

    def _count_pending(self, org_id: str, done: Done) -> None:
        self._around.reader.read(lambda database: pending_counts(database, [org_id]).get(org_id, 0), done)

    def ask_org(self, org_id: str, message: Message) -> LoopFuture:
        """The reply of the org's supervisor, to come."""
        return self._ask(self.supervisor(org_id), message)

    def ask(self, host_id: str, message: Message) -> LoopFuture:
        """The reply of the host's actor, to come; `NotFound` when there is no such host."""
        return LoopFuture.of(self._closed) if self._closed else self._ask(self._actor(host_id), message)

    def tell(self, host_id: str, message: Message) -> None:
        """Send without waiting; a full mailbox drops it, which whoever tells must be able to bear."""
        if self._closed is None:
            actor = self._actor(host_id)
            if len(actor.inbox) < self._around.limits.mailbox:
                actor.actor_ref.tell(message)

    def _ask(self, actor: LoopActor, message: Message) -> LoopFuture:
        if self._closed is not None:
            return LoopFuture.of(self._closed)
        if len(actor.inbox) >= self._around.limits.mailbox:
            return LoopFuture.of(Unavailable("Too many requests wait for this host", retry_after=2))
        return actor.ask_now(message)

    # ---- polls -----------------------------------------------------------------------------------------------------

    def poll(self, poll: Poll, wait_ms: Millis) -> None:
        """Take a poll in; it is answered in its own time, at the latest after `wait_ms`."""
        if self._closed is not None:
            poll.answer.settle(self._closed)
            return
        self.polls[poll.host_id] = poll
        poll.answer.then(lambda _: self._poll_answered(poll))
        if poll.waits:
            self._poll_ends[poll] = self._loop.call_later(wait_ms / 1000, self._poll_over, poll)
        self._ask(self._actor(poll.host_id), Take(poll=poll)).then(lambda reply: self._poll_refused(poll, reply))

    def _poll_answered(self, poll: Poll) -> None:
        if self.polls.get(poll.host_id) is poll:
            del self.polls[poll.host_id]
        handle = self._poll_ends.pop(poll, None)
        if handle is not None:
            handle.cancel()

    def _poll_over(self, poll: Poll) -> None:
        """Its actor answers it, or has done so in a decision that is on its way; else whoever rebuilds the actor does."""
        poll.over = True
        actor = self.hosts.get(poll.host_id)
        if poll.answer.done:
            return
        if actor is None or actor.state is None:
            poll.answer.settle(Unavailable(_REBUILT))
        else:
            actor.actor_ref.tell(EndPoll(poll=poll))

    def _poll_refused(self, poll: Poll, reply: LoopFuture) -> None:
        """Nobody took it in. While its host's actor is being rebuilt it waits for the next incarnation."""
        if reply.error is None or poll.answer.done:
            return
        rebuilding = poll.host_id not in self.hosts and self._closed is None and isinstance(reply.error, Unavailable)
        if not (poll.waits and rebuilding):
            poll.answer.settle(reply.error if isinstance(reply.error, InterlockError) else Unavailable(_REBUILT))

    # ---- lives -----------------------------------------------------------------------------------------------------

    def activate(self, host_ids: Iterable[str]) -> None:
        """Bring actors to life without a message, as at start for hosts with live runs."""
        for host_id in host_ids:
            self._actor(host_id)

    async def all_claimed(self) -> None:
        """Return when no host's rows are still to be read."""
        while self._to_claim or self._claiming or self._retrying:
            waiter = LoopFuture()
            self._claim_waiters.append(waiter)
            await waiter

    def _actor(self, host_id: str) -> HostActor:
        actor = self.hosts.get(host_id)
        if actor is None:
            actor = HostActor(host_id, self._around)
            actor._start_actor_loop()  # noqa: SLF001 - we keep the actor itself, not a weak reference
            self.hosts[host_id] = actor
            self._claim_soon(host_id)
        return actor

    def _claim_soon(self, host_id: str) -> None:
        if not self._to_claim:
            self._loop.call_soon(self._claim)
        self._to_claim.append(host_id)

    def _claim(self) -> None:
        """Claim all hosts that are asked for in this turn of the loop, many in one transaction."""
        wanted, self._to_claim = self._to_claim, []
        size = self._around.limits.claims_per_batch
        for start in range(0, len(wanted), size):
            batch = wanted[start : start + size]
            self._claiming.update(batch)
            self._around.journal.exclusive(_claiming(self._owner, batch), self._claimed(batch))

    def _claimed(self, batch: list[str]) -> Callable[[Any, BaseException | None], None]:
        def done(rows: dict[str, Claimed] | None, error: BaseException | None) -> None:
            self._claiming.difference_update(batch)
            for host_id in batch:
                actor = self.hosts.get(host_id)
                if actor is None or actor.state is not None:
                    continue
                if rows is None:
                    self._drop(actor, f"its rows cannot be read: {error}", retry=True)
                elif host_id not in rows:
                    del self.hosts[host_id]
                    actor.refuse_all(NotFound("No such host"))
                else:
                    actor.wake(rows[host_id], started_at=self._started_at)
                    self._look_at_clock(actor)
            waiters, self._claim_waiters = self._claim_waiters, []
            for waiter in waiters:
                waiter.set()

        return done

    def _look_at_clock(self, actor: HostActor) -> None:
        """What came due while nobody kept this host's time."""
        if self._closed is None:
            actor.actor_ref.tell(RunDue())

    # ---- the actors' calls -----------------------------------------------------------------------------------------

    def _dropped(self, actor: HostActor, why: str, error: BaseException | None) -> None:
        if error is not None:
            self.failures.append(error)
            del self.failures[:-100]
        self._drop(actor, why, retry=False)

    def _drop(self, actor: HostActor, why: str, *, retry: bool) -> None:
        if self.hosts.get(actor.host_id) is not actor:
            return
        log.warning("The actor of host %s is dropped: %s", actor.host_id, why)
        del self.hosts[actor.host_id]
        self._set_timer(actor, None)
        self.rebuilt += 1
        retry = retry or not actor.committed  # one that never got anything done is not replaced without a pause
        needed = actor.state is not None and actor.state.current is not None
        actor.refuse_all(Unavailable(_REBUILT))
        poll = self.polls.get(actor.host_id)
        lost = actor.state is None  # nobody knows what it holds
        if self._closed is not None or not (needed or poll is not None or lost) or actor.host_id in self._retrying:
            return
        if retry:
            self._retrying.add(actor.host_id)
            chance = self._around.clock.chance()
            delay = self._around.limits.claim_retry_ms / 1000 * (0.5 + chance)
            self._loop.call_later(delay, self._rebuild, actor.host_id)
        else:
            self._rebuild(actor.host_id)

    def _rebuild(self, host_id: str) -> None:
        """A new incarnation; the parked poll is told to it as if it had just come."""
        self._retrying.discard(host_id)
        if self._closed is not None:
            return
        poll = self.polls.get(host_id)
        if poll is not None and poll.over:
            poll.answer.settle(NOTHING)
        if poll is not None and not poll.answer.done:
            self._ask(self._actor(host_id), Take(poll=poll)).then(lambda reply: self._poll_refused(poll, reply))
        else:
            self._actor(host_id)

    def _settled(self, actor: HostActor) -> None:
        if actor.state is not None:
            self._set_timer(actor, next_deadline(actor.state))

    def _set_timer(self, actor: HostActor, at: Millis | None) -> None:
        """An earlier timer may stay: it fires early, finds nothing due, and is set again."""
        if actor.timer is not None:
            if at is not None and actor.timer[0] <= at:
                return
            actor.timer[1].cancel()
            actor.timer = None
        if at is not None:
            delay = max(at - self._around.clock.now(), 0) / 1000
            actor.timer = (at, self._loop.call_later(delay, self._fire, actor))

    def _fire(self, actor: HostActor) -> None:
        actor.timer = None
        if self.hosts.get(actor.host_id) is actor and actor.state is not None:
            actor.actor_ref.tell(Tick())

    # ---- the sweep -------------------------------------------------------------------------------------------------

    def sweep(self, due: Iterable[str] = ()) -> None:
        """Every few seconds: look at the clock of all that may be due, and let idle actors go."""
        if self._closed is not None:
            return
        now = self._around.clock.now()
        for host_id in due:
            self.tell(host_id, RunDue())
        idle: list[HostActor] = []
        for actor in list(self.hosts.values()):
            state = actor.state
            if state is None:
                continue
            if (state.backoff and (state.first_due() or 0) <= now) or is_silent(state, now):
                actor.actor_ref.tell(RunDue())
            elif state.online and now - actor.saved_at >= SEEN_SAVED_EVERY:
                actor.actor_ref.tell(Tick(save=True))
            elif self._is_idle(actor, now):
                idle.append(actor)
        self._passivate(idle)

    def _is_idle(self, actor: HostActor, now: Millis) -> bool:
        state = actor.state
        quiet = now - actor.last_message_at >= self._around.limits.passivate_after_ms
        if state is None or not quiet or actor.busy:
            return False
        return state.current is None and not state.online and actor.host_id not in self.polls

    def _passivate(self, actors: list[HostActor]) -> None:
        released = [(actor.host_id, actor.incarnation.epoch) for actor in actors if actor.incarnation is not None]
        for actor in actors:
            del self.hosts[actor.host_id]
            self._set_timer(actor, None)
            actor.refuse_all(Unavailable(_REBUILT))
        size = self._around.limits.claims_per_batch
        for start in range(0, len(released), size):
            self._around.journal.exclusive(_releasing(self._owner, released[start : start + size]), _log_failure)

    # ---- the end ---------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Answer parked polls and take nothing more; what was decided is still committed and answered.

        A poll is answered by its actor, so that a job which is on its way to it is not dropped; one whose actor has not
        read its rows yet is answered here.
        """
        self._closed = Unavailable("The server is stopping", retry_after=2)
        for poll in {*self._poll_ends, *self.polls.values()}:
            actor = self.hosts.get(poll.host_id)
            if actor is not None and actor.state is not None and actor.actor_ref.is_alive():
                actor.actor_ref.tell(EndPoll(poll=poll, why=self._closed))
            elif not poll.answer.done:
                poll.answer.settle(self._closed)
        for actor in self.hosts.values():
            self._set_timer(actor, None)


def _claiming(owner: str, host_ids: list[str]) -> Callable[[Any], dict[str, Claimed]]:
    return lambda database: claim(database, owner, host_ids)


def _releasing(owner: str, released: list[tuple[str, int]]) -> Callable[[Any], None]:
    return lambda database: release(database, owner, released)


def _log_failure(_: Any, error: BaseException | None) -> None:
    if error is not None:
        log.warning("Hosts could not be released: %s", error)
