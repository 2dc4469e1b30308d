"""What the routes need from the room above, as small protocols."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import msgspec

from web.event_stream import EventStream

Listener = Callable[[str, str, msgspec.Struct], None]


class EventStreamsPort(Protocol):
    """Fan-out to dashboards: of one process (`web.event_stream`), or of all nodes (`runtime.event_fanout`).

    It never fails and never makes a job wait: what it cannot tell becomes a `gap`.
    """

    listeners: list[Listener]  # each is called with org, event and data of what this process publishes
    published: int

    def publish(self, org_id: str, event: str, data: msgspec.Struct) -> None:
        """Tell all dashboards of the org; called after the commit, on the loop, and returns at once."""

    async def position(self, org_id: str) -> int | None:
        """The number of the org's newest event, of all that this process has published; None while there is none.

        Nothing is kept for whoever asks: it may be a stranger.
        """

    def watching(self, org_id: str) -> AbstractAsyncContextManager[EventStream]:
        """The org's stream, which is fed as long as somebody watches."""

    async def cursor(self, org_id: str, after: int | None) -> int | None:
        """The cursor behind that number in a stream that is being watched; None when some events after it are gone.

        Without a number: behind the stream's birth.
        """

    def wake_all(self) -> None:
        """The server is stopping: nobody is to wait for an event any more."""


class ClusterPort(Protocol):
    """The other nodes on the same database."""

    node: str

    @property
    def trusted(self) -> bool:
        """Whether this node may still answer from what it remembers."""

    async def url_of_owner(self, host_id: str) -> str | None:
        """Where the living owner of a host is reached, if that is another node."""
