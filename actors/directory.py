"""Finds, starts, rebuilds and passivates the actors. A host that exists costs a row; one that has work costs an actor.

The directory owns what must outlive an actor's incarnation: parked polls, sockets and timers. An incarnation whose change was
refused is dropped; if its host has a parked poll, a socket or a live run it is rebuilt at once, else by its next message.
"""

import logging
from collections import Counter
from collections.abc import Collection, Iterable

from actors.claims import Claims
from actors.host import HostActor
from actors.host_state import SEEN_SAVED_EVERY
from actors.host_times import is_silent, next_deadline
from actors.loop_actor import LoopActor, LoopFuture
from actors.messages import NOTHING, Connect, Disconnect, EndPoll, Look, Message, Poll, RunDue, Take, Tick
from actors.moves import Moves
from actors.org import OrgSupervisor
from actors.org_pool import PREFIX, OrgPool
from actors.owners import NotWritten, Owners, Rebuilt
from actors.parked import ParkedPolls
from actors.pool_writer import PoolWriter
from actors.pools import Pools
from actors.ports import LoopPort
from actors.sessions import Session
from actors.surroundings import Surroundings
from actors.switchboard import GOING_AWAY, POLICY, RESTART, Switchboard
from interlock.clock import Millis
from interlock.errors import InterlockError, NotFound, Unavailable
from store.claims import Claimed
from store.entries import Done
from store.jobs import pending_counts

log = logging.getLogger(__name__)

_ELSEWHERE = "Another node has taken this host over"
_REBUILT = "The host's actor is being rebuilt from its rows"


class Directory:
    """To be used on the loop's thread only."""

    def __init__(self, around: Surroundings, loop: LoopPort, owner: str, *, started_at: Millis) -> None:
        self.hosts: dict[str, HostActor] = {}
        self.orgs: dict[str, OrgSupervisor] = {}
        self.switchboard = Switchboard()
        self.rebuilt = 0
        self.restarts: Counter[str] = Counter()  # by host or org, while its actor is alive: how many came before it
        self.claimed = 0  # hosts of which the rows were claimed
        self.fenced = 0  # hosts that somebody else had claimed meanwhile
        self.failures: list[BaseException] = []  # unexpected errors, oldest first, for the simulator and /debug
        self._around = around
        self._loop = loop
        self._started_at = started_at  # runs that are older were live before a cold start
        self._claims = Claims(around, loop, owner, self._claimed)
        self._owners = Owners(around, self)
        self._parked = ParkedPolls(loop, self._poll_over)
        self._retrying: set[str] = set()  # hosts that a timer will claim again
        self.closed: InterlockError | None = None  # what whoever asks is told, once it takes nothing more
        self.pools = around.pool = Pools(self.supervisor, self.hosts.get, around.clock, lambda: around.alarms)
        self._pool_writer = PoolWriter(around.journal, around.scheduler)
        around.dropped = self._dropped
        around.settled = self._settled

    # ---- messages --------------------------------------------------------------------------------------------------

    def supervisor(self, org_id: str) -> OrgSupervisor:
        """The org's supervisor, started by its first job."""
        supervisor = self.orgs.get(org_id)
        if supervisor is None or not supervisor.actor_ref.is_alive():
            around = self._around
            most = around.limits.max_pending_per_org
            pool = OrgPool(org_id, around, self._pool_writer, self._tell_if_there, self.ask)
            self.pools.started_anew(org_id)
            if supervisor is not None:
                self.restarts[org_id] += 1
            moves = Moves(around.clock)
            supervisor = OrgSupervisor(org_id, around.scheduler, self.ask, most, self._count_pending, pool, moves)
            supervisor._start_actor_loop()  # noqa: SLF001 - we keep the actor itself, not a weak reference
            self.orgs[org_id] = supervisor
        return supervisor

    def _count_pending(self, org_id: str, done: Done) -> None:
        self._around.reader.read(lambda database: pending_counts(database, [org_id]).get(org_id, 0), done)

    def ask_org(self, org_id: str, message: Message) -> LoopFuture:
        """The reply of the org's supervisor, to come."""
        return self._ask(self.supervisor(org_id), message)

    def holds(self, host_id: str) -> bool:
        """Whether this process has the host's actor."""
        return host_id in self.hosts

    def ask(self, host_id: str, message: Message) -> LoopFuture:
        """The reply of the host's actor, to come; `NotFound` when there is no such host."""
        if self.closed is not None:
            return LoopFuture.of(self.closed)
        if self._around.ownership.alone:
            return self._ask(self._actor(host_id), message)
        if host_id not in self.hosts:
            return self._owners.ask(host_id, message)
        return self._owners.or_ask(host_id, message, self.ask_actor(host_id, message))

    def ask_actor(self, host_id: str, message: Message) -> LoopFuture:
        """The reply of the host's actor here, whoever owns the host."""
        return self._ask(self._actor(host_id), message)

    def tell(self, host_id: str, message: Message) -> None:
        """Send without waiting; a full mailbox drops it, which whoever tells must be able to bear."""
        if self.closed is not None or self.pools.knows(host_id):
            return
        if host_id in self.hosts or self._around.ownership.alone:
            self._tell_actor(self._actor(host_id), message)

    def _tell_if_there(self, host_id: str, message: Message) -> bool:
        actor = self.hosts.get(host_id)
        return actor is not None and self.closed is None and self._tell_actor(actor, message)

    def _tell_actor(self, actor: HostActor, message: Message) -> bool:
        if len(actor.inbox) >= self._around.limits.mailbox:
            return False
        actor.actor_ref.tell(message)
        return True

    def _ask(self, actor: LoopActor, message: Message) -> LoopFuture:
        if self.closed is not None:
            return LoopFuture.of(self.closed)
        if len(actor.inbox) >= self._around.limits.mailbox:
            return LoopFuture.of(Unavailable("Too many requests wait for this host", retry_after=2))
        return actor.ask_now(message)

    # ---- polls -----------------------------------------------------------------------------------------------------

    @property
    def polls(self) -> dict[str, Poll]:
        """The parked polls of this process, by host."""
        return self._parked.by_host

    def poll(self, poll: Poll, wait_ms: Millis) -> None:
        """Take a poll in; it is answered in its own time, at the latest after `wait_ms`."""
        if self.closed is not None:
            poll.answer.settle(self.closed)
            return
        self._parked.put(poll, wait_ms)
        self._ask(self._actor(poll.host_id), Take(poll=poll)).then(lambda reply: self._poll_refused(poll, reply))

    def _poll_over(self, poll: Poll) -> None:
        """Its actor answers it, or has done so in a decision that is on its way; else whoever rebuilds the actor does."""
        actor = self.hosts.get(poll.host_id)
        if actor is None or actor.state is None:
            poll.answer.settle(Unavailable(_REBUILT))
        else:
            actor.actor_ref.tell(EndPoll(poll=poll))

    def _poll_refused(self, poll: Poll, reply: LoopFuture) -> None:
        """Nobody took it in. While its host's actor is being rebuilt it waits for the next incarnation."""
        if reply.error is None or poll.answer.done:
            return
        rebuilding = poll.host_id not in self.hosts and self.closed is None and isinstance(reply.error, Unavailable)
        if not (poll.waits and rebuilding):
            poll.answer.settle(reply.error if isinstance(reply.error, InterlockError) else Unavailable(_REBUILT))

    # ---- sockets ---------------------------------------------------------------------------------------------------

    @property
    def sessions(self) -> dict[str, Session]:
        """The connected sockets of this process, by host."""
        return self.switchboard.sessions

    def connect(self, session: Session) -> LoopFuture:
        """Take an agent's socket in: an older one of its host is closed, and here the host lives from now on. The reply
        is None once that is durable; when it is an error, the session is not kept, and its agent is to connect again.
        """
        if self.closed is not None:
            return LoopFuture.of(self.closed)
        actor = self._actor(session.host_id)
        self.switchboard.put(session)
        reply = self._ask(actor, Connect(session=session))
        reply.then(lambda answer: self._connected(session, answer))
        return reply

    def _connected(self, session: Session, reply: LoopFuture) -> None:
        session.introduced = reply.error is None
        if reply.error is not None:
            self.switchboard.forget(session)

    def disconnect(self, session: Session) -> None:
        """The transport has gone. Of a session that has been superseded this says nothing."""
        session.open = False
        if not self.switchboard.forget(session) or self.closed is not None:
            return
        actor = self.hosts.get(session.host_id)
        if actor is not None:
            actor.actor_ref.tell(Disconnect(session=session))  # whatever waits there: they are no more than connections

    # ---- lives -----------------------------------------------------------------------------------------------------

    def activate(self, host_ids: Iterable[str]) -> None:
        """Bring actors to life without a message, as at start for hosts with live runs. Hosts of living nodes are left
        to them.
        """
        for host_id in host_ids:
            if host_id not in self.hosts and self.closed is None:
                self._start(host_id)
                self._claims.soon(host_id, free=not self._around.ownership.alone)

    async def all_claimed(self) -> None:
        """Return when no host's rows are still to be read."""
        while self._claims.open or self._retrying:
            await self._claims.progress()

    def _actor(self, host_id: str) -> HostActor:
        actor = self.hosts.get(host_id)
        if actor is None:
            actor = self._start(host_id)
            self._claims.soon(host_id)
        return actor

    def _start(self, host_id: str) -> HostActor:
        actor = self.hosts[host_id] = HostActor(host_id, self._around)
        actor._start_actor_loop()  # noqa: SLF001 - we keep the actor itself, not a weak reference
        session = self.sessions.get(host_id)
        if session is not None:
            actor.actor_ref.tell(Connect(session=session))  # before anything else that it hears
        return actor

    def _claimed(self, host_id: str, rows: Claimed | None, error: BaseException | None, free: bool) -> None:
        self.claimed += rows is not None
        actor = self.hosts.get(host_id)
        if actor is None or actor.state is not None:
            return
        if error is not None:
            self._drop(actor, f"its rows cannot be read: {error}", retry=True)
        elif rows is not None:
            self._wake(actor, rows)
        elif free and (host_id in self.polls or len(actor.inbox) > (host_id in self.sessions)):
            self._claims.soon(host_id)  # a living node has it, but an agent has come here meanwhile
        else:
            del self.hosts[host_id]
            actor.refuse_all(Unavailable(_ELSEWHERE) if free else NotFound("No such host"))
            self.switchboard.close(host_id, *((RESTART, "restart") if free else (POLICY, "no such host")))

    def _wake(self, actor: HostActor, claimed: Claimed) -> None:
        actor.wake(claimed, started_at=self._started_at)
        if claimed.left is not None:
            self._around.ownership.ring(claimed.left, actor.host_id)  # it may hold a poll of the same agent
        self._look_at_clock(actor)

    def _look_at_clock(self, actor: HostActor) -> None:
        """What came due while nobody kept this host's time."""
        if self.closed is None:
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
        log.warning("The actor of host %s is dropped: %s", actor.host_id, why, extra={"host": actor.host_id})
        self._forget(actor)
        self.rebuilt += 1
        self.restarts[actor.host_id] += 1
        if actor.fenced:
            self.fenced += 1
            self._let_go(actor)
            return
        retry = retry or not actor.committed  # one that never got anything done is not replaced without a pause
        state = actor.state
        needed = state is not None and (state.current is not None or state.online)  # somebody must say that it went
        actor.refuse_all(Unavailable(_REBUILT) if self._around.ownership.alone else Rebuilt(_REBUILT))
        needed = needed or actor.host_id in self.polls or actor.host_id in self.sessions
        lost = actor.state is None  # nobody knows what it holds
        if self.closed is not None or not (needed or lost) or actor.host_id in self._retrying:
            return
        if retry:
            self._retrying.add(actor.host_id)
            chance = self._around.clock.chance()
            delay = self._around.limits.claim_retry_ms / 1000 * (0.5 + chance)
            self._loop.call_later(delay, self._rebuild, actor.host_id)
        else:
            self._rebuild(actor.host_id)

    def _forget(self, actor: HostActor) -> None:
        """It is nobody's actor any more; whoever waits for it is still to be told."""
        del self.hosts[actor.host_id]
        self._set_timer(actor, None)
        self.pools.left(actor)

    def _rebuild(self, host_id: str) -> None:
        """A new incarnation; the parked poll is told to it as if it had just come."""
        self._retrying.discard(host_id)
        if self.closed is not None:
            return
        poll = self.polls.get(host_id)
        if poll is not None and poll.over:
            poll.answer.settle(NOTHING)
        if poll is not None and not poll.answer.done:
            self._ask(self._actor(host_id), Take(poll=poll)).then(lambda reply: self._poll_refused(poll, reply))
        else:
            self.activate([host_id])

    def _let_go(self, actor: HostActor) -> None:
        """Another node has it now: its agent has gone there, and a poll that is still parked here is an old one. So is a
        socket; if not, its agent comes back with another.
        """
        actor.refuse_all(NotWritten(_ELSEWHERE) if actor.unwritten else Unavailable(_ELSEWHERE))
        self.switchboard.close(actor.host_id, RESTART, "restart")
        poll = self.polls.get(actor.host_id)
        if poll is not None and not poll.answer.done:
            poll.answer.settle(NOTHING)

    def _settled(self, actor: HostActor) -> None:
        if actor.state is not None:
            at, timer = next_deadline(actor.state), actor.timer
            # A timer that is too early, or for nothing, may stay: it finds nothing due, and is set again if need be. Most
            # runs end long before their time is over, and the next one's timer is later still.
            if at is not None and (timer is None or at < timer[0]):
                self._set_timer(actor, at)
            self.pools.settled(actor)

    def _set_timer(self, actor: HostActor, at: Millis | None) -> None:
        if actor.timer is not None:
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

    def sweep(self, due: Collection[str] = ()) -> None:
        """Every few seconds: look at the clock of all that may be due, and let idle actors go."""
        if self.closed is not None:
            return
        now = self._around.clock.now()
        self.pools.tick(list(self.orgs.values()))
        for host_id in due:
            self.tell(host_id, RunDue())
        self.activate(due)
        idle: list[HostActor] = []
        for actor in list(self.hosts.values()):
            state = actor.state
            if state is None:
                continue
            if state.stale and not actor.looks:
                actor.look()  # it could not read its rows when it should have
            if (state.backoff and (state.first_due() or 0) <= now) or is_silent(state, now):
                actor.actor_ref.tell(RunDue())
            elif state.online and now - actor.saved_at >= SEEN_SAVED_EVERY:
                actor.actor_ref.tell(Tick(save=True))
            elif self._is_idle(actor, now):
                idle.append(actor)
        self._passivate(idle)
        self._let_orgs_rest(now)

    def _let_orgs_rest(self, now: Millis) -> None:
        most = self._around.limits.passivate_after_ms
        for org_id in [name for name, supervisor in self.orgs.items() if supervisor.quiet_for(now) >= most]:
            del self.orgs[org_id]  # whoever needs it starts it again
        for name in [name for name in self.restarts if name not in self.hosts and name not in self.orgs]:
            del self.restarts[name]

    def sweep_pools(self, orgs: Iterable[str]) -> None:
        """In the pools of these orgs something is due."""
        for org_id in orgs if self.closed is None else ():
            self.pools.due(PREFIX + org_id)

    def look_at_pools(self) -> None:
        """Every few seconds in a cluster: what other nodes have put into pools may have been told by no doorbell."""
        self.pools.tick(list(self.orgs.values()), news=True)

    def _is_idle(self, actor: HostActor, now: Millis) -> bool:
        state = actor.state
        quiet = now - actor.last_message_at >= self._around.limits.passivate_after_ms
        if state is None or not quiet or actor.busy:
            return False
        return state.current is None and not state.online and actor.host_id not in self.polls

    def _passivate(self, actors: list[HostActor]) -> None:
        epochs = self.epochs()
        released = [(actor.host_id, epochs[actor.host_id]) for actor in actors if actor.host_id in epochs]
        for actor in actors:
            self._forget(actor)
            actor.refuse_all(Unavailable(_REBUILT))
        self._claims.release(released)

    # ---- other nodes -----------------------------------------------------------------------------------------------

    def changed(self, host_id: str) -> LoopFuture:
        """The host's row has just been changed by this process: nothing new goes out before its actor has read it. The
        reply comes then.
        """
        actor = self.hosts.get(host_id)
        if actor is None or actor.state is None or self.closed is not None:
            return LoopFuture.of(None)
        actor.state.stale = True
        reply = self._ask(actor, Look())
        self._look_at_clock(actor)
        return reply

    def deleted(self, host_id: str) -> None:
        """The host's row has just gone: nobody acts for it any more, and its agent's connection and poll end."""
        gone = NotFound("No such host")
        actor = self.hosts.get(host_id)
        if actor is not None:
            self._forget(actor)
            actor.refuse_all(gone)
        self.switchboard.close(host_id, POLICY, "no such host")
        poll = self.polls.get(host_id)
        if poll is not None and not poll.answer.done:
            poll.answer.settle(gone)

    def rung(self, host_id: str) -> None:
        """Another node has written to a host's rows, or has taken it over; or to the pool that is called so."""
        if self.closed is None and self.pools.knows(host_id):
            return
        actor = self.hosts.get(host_id)
        if actor is not None and actor.state is not None and self.closed is None:
            actor.look()
            actor.actor_ref.tell(RunDue())

    def epochs(self) -> dict[str, int]:
        """The hosts that this node believes to own, with the epochs of its claims."""
        return {
            actor.host_id: actor.incarnation.epoch or 0
            for actor in self.hosts.values()
            if actor.incarnation is not None
        }

    def reconcile(self, believed: dict[str, int], owned: dict[str, tuple[int, int]]) -> None:
        """Every few seconds: what doorbells may have missed. `owned` was read after `believed` was."""
        for host_id, epoch in believed.items():
            actor = self.hosts.get(host_id)
            if actor is None or actor.state is None or actor.incarnation is None or actor.incarnation.epoch != epoch:
                continue
            row = owned.get(host_id)
            if row is None or row[0] != epoch:
                actor.state.stale = True  # nothing new goes out; it finds out for itself, behind what is on its way
            if row is None or row > (epoch, actor.state.host.rev) or actor.state.stale:
                actor.look()

    def abandon(self) -> None:
        """This node can no longer say that it lives: others may own its hosts by now. Their agents ask again, anywhere."""
        for poll in list(self.polls.values()):
            if not poll.answer.done:
                poll.answer.settle(Unavailable("This node has lost its database", retry_after=2))
        self.switchboard.close_all(RESTART, "restart")
        for actor in list(self.hosts.values()):
            actor.fenced = True
            self._drop(actor, "this node has not been able to say that it lives", retry=False)

    def resume(self) -> None:
        """The database is back: as after a cold start, nothing ends by time alone before agents have had the time to
        bring what they kept.
        """
        self._started_at = self._around.clock.now()

    # ---- the end ---------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Answer parked polls and take nothing more; what was decided is still committed and answered.

        A poll is answered by its actor, so that a job which is on its way to it is not dropped; one whose actor has not
        read its rows yet is answered here.
        """
        self.closed = Unavailable("The server is stopping", retry_after=2)
        self.switchboard.close_all(GOING_AWAY, "the server is stopping")
        for poll in self._parked.all():
            actor = self.hosts.get(poll.host_id)
            if actor is not None and actor.state is not None and actor.actor_ref.is_alive():
                actor.actor_ref.tell(EndPoll(poll=poll, why=self.closed))
            elif not poll.answer.done:
                poll.answer.settle(self.closed)
        for actor in self.hosts.values():
            self._set_timer(actor, None)
