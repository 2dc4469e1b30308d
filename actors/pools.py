"""Between host actors and the pools of their orgs: who is idle is told to the supervisor, once for each change."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from actors.host_pool import Wish, wish
from actors.messages import Message
from actors.org_pool import NEWS, PREFIX
from actors.pool_messages import HostBusy, HostIdle, PoolDue, PoolEmpty, PoolNews, PoolNotes, PoolTick
from actors.ports import AlarmPort
from interlock.clock import Clock, Millis
from store.rows import JobRow, RunRow

if TYPE_CHECKING:
    from actors.host import HostActor
    from actors.org import OrgSupervisor


class Pools:
    """The `PoolPort` of all host actors, for the directory. On the loop's thread only."""

    seeks = True

    def __init__(
        self,
        supervisor: Callable[[str], "OrgSupervisor"],
        actor_of: Callable[[str], "HostActor | None"],
        clock: Clock,
        alarms: Callable[[], AlarmPort],
    ) -> None:
        self._supervisor = supervisor
        self._actor_of = actor_of
        self._clock = clock
        self._alarms = alarms
        self.missed = 0  # claims of pool jobs that had gone meanwhile
        self._told: dict[str, tuple[str, Wish]] = {}  # by host: its org, and what its supervisor knows

    # ---- for host actors -------------------------------------------------------------------------------------------

    def keep(self, org_id: str, host_id: str, job_id: str) -> bool:
        """A call, not a message: the answer is needed within the turn, and both are on one thread."""
        return self._supervisor(org_id).pool.keep(host_id, job_id)

    def at_hand(self, org_id: str, job_id: str) -> tuple[JobRow, RunRow] | None:
        """Of a job that is kept for a host."""
        return self._supervisor(org_id).pool.at_hand(job_id)

    def note(self, org_id: str, host_id: str, notes: Sequence[tuple[str, str | Millis]]) -> None:
        """What has become durable. Whoever was given a job and is idle again says so again. An ack in vain is no news of its
        host: it would hear of the same jobs once more, and ack those in vain too.
        """
        taken, missed, free = (
            tuple(str(what) for said, what in notes if said == kind) for kind in ("taken", "missed", "free")
        )
        for said, what in notes:
            if said == "back":
                self._alarms().set_alarm(PREFIX + org_id, int(what))
        if taken or missed or free:
            self.missed += len(missed)
            self._tell(org_id, PoolNotes(host_id=host_id, taken=taken, missed=missed, free=free))
            told = self._told.get(host_id)
            if taken or (told is not None and told[1].poll is not None):
                self._told.pop(host_id, None)
            actor = self._actor_of(host_id)
            if actor is not None:
                self.settled(actor)

    # ---- for the directory -----------------------------------------------------------------------------------------

    def settled(self, actor: "HostActor") -> None:
        """An actor has decided something: is its host idle now?"""
        state = actor.state
        if state is None:
            return
        told = self._told.get(actor.host_id)
        if told is None and state.current is not None and state.poll is None:
            return  # it is at work, as nearly always
        wanted = wish(state, self._clock.now())
        if wanted is None:
            if told is not None:
                del self._told[actor.host_id]
                self._tell(told[0], HostBusy(host_id=actor.host_id))
            if state.poll is not None and not state.poll.waits and state.claiming is None:
                actor.actor_ref.tell(PoolEmpty())
            return
        if told is not None and told[1] == wanted:
            return
        self._told[actor.host_id] = (state.host.org_id, wanted)
        poll = wanted.poll
        self._tell(
            state.host.org_id,
            HostIdle(
                host_id=actor.host_id,
                labels=wanted.labels,
                polls=poll is not None,
                asks=poll is not None and not poll.waits,
                listens=wanted.session is not None,
                refused=state.refused,
            ),
        )

    def left(self, actor: "HostActor") -> None:
        """The actor has ended, or goes."""
        told = self._told.pop(actor.host_id, None)
        state = actor.state
        if state is not None and (told is not None or state.claiming is not None):
            self._tell(state.host.org_id, HostBusy(host_id=actor.host_id, unsure=True))

    def due(self, name: str) -> None:
        """An alarm of a pool has rung, or the sweep found a row."""
        self._tell(name.removeprefix(PREFIX), PoolDue())

    def knows(self, name: str) -> bool:
        """Whether an alarm or doorbell of that name means a pool. If so it is passed on."""
        if name.startswith(PREFIX):
            self.due(name)
        elif name.startswith(NEWS):
            self._news(name)
        else:
            return False
        return True

    def _news(self, name: str) -> None:
        """Another node has written to that pool: of concern only to those who have anybody idle."""
        self._tell(name.removeprefix(NEWS), PoolNews())

    def tick(self, supervisors: "Sequence[OrgSupervisor]", *, news: bool = False) -> None:
        """Every few seconds; `news` where other nodes may have written what no doorbell told."""
        for supervisor in supervisors:
            if supervisor.pool.memory.idle and supervisor.actor_ref.is_alive():
                supervisor.actor_ref.tell(PoolNews() if news else PoolTick())

    def started_anew(self, org_id: str) -> None:
        """The org's supervisor has been replaced: those who are idle are to be told of again."""
        for host_id in [host_id for host_id, (org, _) in self._told.items() if org == org_id]:
            del self._told[host_id]

    def _tell(self, org_id: str, message: Message) -> None:
        self._supervisor(org_id).tell_now(message)
