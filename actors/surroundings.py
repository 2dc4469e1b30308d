"""What every actor of this process shares."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from actors.limits import Limits
from actors.ports import AlarmPort, Alone, EventPort, JournalPort, LoopPort, NoPool, OwnershipPort, PoolPort, ReaderPort
from interlock.clock import Clock
from interlock.ids import Ids
from store.gathered_reads import GatheredReads

if TYPE_CHECKING:
    from actors.host import HostActor


class Surroundings:
    """Clock, journal, events and the rest, by their ports; `alarms` and the last two are set after it is made."""

    __slots__ = (
        "alarms",
        "clock",
        "dropped",
        "events",
        "gathered",
        "ids",
        "journal",
        "limits",
        "ownership",
        "pool",
        "reader",
        "scheduler",
        "settled",
    )

    def __init__(
        self,
        *,
        scheduler: LoopPort,
        clock: Clock,
        ids: Ids,
        journal: JournalPort,
        reader: ReaderPort,
        events: EventPort,
        limits: Limits,
        ownership: OwnershipPort | None = None,
    ) -> None:
        self.scheduler = scheduler
        self.clock = clock
        self.ids = ids
        self.journal = journal
        self.reader = reader
        self.gathered = GatheredReads(reader.read, scheduler.call_soon)
        self.events = events
        self.limits = limits
        self.ownership = ownership or Alone()
        self.pool: PoolPort = NoPool()  # until there is a directory
        self.alarms: AlarmPort
        self.dropped: Callable[[HostActor, str, BaseException | None], None]  # an incarnation has ended
        self.settled: Callable[[HostActor], None]  # a turn is over: look after its timer
