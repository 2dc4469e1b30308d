"""What the actors need from the rooms above and below, as small protocols."""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import msgspec

from interlock.clock import Millis
from store import Entry

Done = Callable[[Any, BaseException | None], None]


class JournalPort(Protocol):
    """Where decisions become durable. Outcomes come back on the loop, in order."""

    def submit(self, entry: Entry) -> None:
        """Queue a decision."""

    def exclusive(self, work: Callable[[Any], Any], done: Done) -> None:
        """Queue a short transaction of its own."""


class ReaderPort(Protocol):
    """Reads of committed rows, off the loop."""

    def read(self, work: Callable[[Any], Any], done: Done) -> None:
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
