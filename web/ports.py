"""What the routes need from the room above, as small protocols."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

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

    def owner_of(self, database: Any, host_id: str) -> str | None:
        """The other living node that owns the host, if one does. On a thread with a connection."""

    def ring(self, owner: str, host_id: str) -> None:
        """Tell that node to look at the host. It may be lost."""


class AssetDraft(Protocol):
    """A file that is being received. Nobody sees it before it is kept; `Unavailable` when it cannot be written."""

    size_bytes: int  # so far

    @property
    def sha256(self) -> str:
        """Of what was written so far, in hex."""

    async def write(self, data: bytes) -> None:
        """Append."""

    async def keep(self) -> None:
        """Make it durable under its SHA-256; the same content again is kept once."""

    async def discard(self) -> None:
        """Forget it; does nothing to one that was kept."""


class AssetReader(Protocol):
    """A kept file, open."""

    size_bytes: int

    async def read(self) -> bytes:
        """The next portion; empty at the end. `Unavailable` when it cannot be read."""

    async def close(self) -> None:
        """Let go of it; twice does no harm."""


class AssetStorePort(Protocol):
    """Where the bytes of files are: a folder (`runtime.asset_store`), or whatever else finds bytes by their SHA-256."""

    async def draft(self) -> AssetDraft:
        """Begin to receive a file; `Unavailable` when nothing can be written."""

    async def open(self, sha256: str) -> AssetReader | None:
        """The file with that SHA-256 (hex); None when it is not here."""
