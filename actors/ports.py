"""What the actors need from the rooms above and below, as small protocols."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import msgspec

from interlock.clock import Millis
from store import Entry
from store.entries import Done, Work
from store.rows import JobRow, RunRow


class JournalPort(Protocol):
    """Where decisions become durable. Outcomes come back on the loop, in order."""

    def submit(self, entry: Entry) -> None:
        """Queue a decision."""

    def exclusive(self, work: Work, done: Done) -> None:
        """Queue a short transaction of its own."""


class ReaderPort(Protocol):
    """Reads of committed rows, off the loop."""

    def read(self, work: Work, done: Done) -> None:
        """Run `work(database)`, then `done(result, error)` on the loop."""


class AlarmPort(Protocol):
    """The doorbell for retries. It may ring twice, late or never: the row decides."""

    def set_alarm(self, host_id: str, due_at: Millis) -> None:
        """Ring for this host at about that time."""


class EventPort(Protocol):
    """Fan-out to dashboards; called after the commit, in the order of the commits."""

    def publish(self, org_id: str, event: str, data: msgspec.Struct) -> None:
        """Tell all dashboards of the org."""


class Handle(Protocol):
    """A timer that can be cancelled."""

    def cancel(self) -> None:
        """Do not fire."""


class LoopPort(Protocol):
    """The part of an event loop that the directory needs."""

    def call_soon(self, callback: Callable[..., object], *args: Any) -> object:
        """In one of the next turns."""

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any) -> Handle:
        """After `delay` seconds."""


class Effect(NamedTuple):
    """An event to publish once the decision is durable."""

    event: str
    data: msgspec.Struct


class PoolPort(Protocol):
    """What host actors need of their org's pool."""

    @property
    def seeks(self) -> bool:
        """Whether there is anybody to be asked."""

    def keep(self, org_id: str, host_id: str, job_id: str) -> bool:
        """Whether the host may try to take the job: nobody else is just at it."""

    def at_hand(self, org_id: str, job_id: str) -> tuple[JobRow, RunRow] | None:
        """The rows of a job that is kept for a host, where nobody else can have written to them; None: they are to be read."""

    def note(self, org_id: str, host_id: str, notes: Sequence[tuple[str, str | Millis]]) -> None:
        """Durable news of jobs: "taken"; "missed", since it did not wait any more; "free", though it was kept for the host;
        and "back" in the pool, due at that instant.
        """


class NoPool:
    """For an actor by itself."""

    seeks = False

    def keep(self, org_id: str, host_id: str, job_id: str) -> bool:
        """Nobody else is there."""
        del org_id, host_id, job_id
        return True

    def at_hand(self, org_id: str, job_id: str) -> tuple[JobRow, RunRow] | None:
        """Nothing is."""
        del org_id, job_id
        return None

    def note(self, org_id: str, host_id: str, notes: Sequence[tuple[str, str | Millis]]) -> None:
        """Nobody listens."""


class OwnershipPort(Protocol):
    """Which node owns a host. Only the fence in the rows makes that safe; this is how work finds its way."""

    @property
    def alone(self) -> bool:
        """One process owns everything: nobody else is to be asked or rung."""

    def owner_of(self, database: Any, host_id: str) -> str | None:
        """The other living node that owns the host, if one does. On a reading thread."""

    def now(self, database: Any) -> Millis:
        """The instant on the database's clock, by which nodes live and die. On a thread with a connection."""

    def ring(self, owner: str, host_id: str) -> None:
        """Tell that node to look at the host. It may be lost."""

    def ring_all(self, name: str) -> None:
        """Tell all other nodes to look at the pool of that name. It may be lost."""


class Alone:
    """The embedded default."""

    alone = True

    def owner_of(self, database: Any, host_id: str) -> str | None:
        """Nobody else."""
        del database, host_id
        return None

    def now(self, database: Any) -> Millis:
        """No node ever dies."""
        del database
        return 0

    def ring(self, owner: str, host_id: str) -> None:
        """Nobody is there to be rung."""

    def ring_all(self, name: str) -> None:
        """Nor here."""
