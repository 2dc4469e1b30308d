"""This server among the others on one PostgreSQL: it says that it lives, and knows who owns a host.

None of that makes anything safe: only the fence in each host's row does. It decides where work goes, and when a node that
cannot reach the database stops to answer from memory.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Protocol

from actors import Directory
from interlock.clock import Clock, Millis
from interlock.errors import InterlockError
from store import Store, nodes

log = logging.getLogger(__name__)

LIVES: Millis = 15_000  # a node that has not renewed its row for so long is taken to be dead
RENEWS = 5.0  # seconds between two renewals
TRUSTED = 13.0  # seconds after the beginning of a renewal that succeeded; then others may soon own its hosts
FORGOTTEN: Millis = 3_600_000  # rows of nodes that died so long ago are removed
LOOKS = 5.0  # seconds between two looks at what doorbells may have missed
LOOKS_UNRUNG = 1.0  # the same while no doorbell gets through
ABANDONED = 500  # hosts of dead nodes that one look takes over


class Bell(Protocol):
    """A way to ring at other nodes."""

    @property
    def up(self) -> bool:
        """Whether rings get through now."""

    def ring(self, owner: str, host_id: str) -> None:
        """Tell that node to look at that host."""


class Cluster:
    """An `OwnershipPort` for the actors, and what the routes ask before they pass a request on."""

    alone = False

    def __init__(self, store: Store, clock: Clock, node: str) -> None:
        self.node = node
        self.url = ""  # where other nodes reach this one; known once it listens
        self.bell: Bell
        self.directory: Directory
        self.on_trust: Callable[[bool], None] = lambda _: None
        self._store = store
        self._clock = clock
        self._trusted_until = 0.0  # on the loop's clock
        self._told = True
        self._tasks: list[asyncio.Task[None]] = []
        self._doubt = asyncio.Event()

    # ---- for the actors --------------------------------------------------------------------------------------------

    def now(self, database: Any) -> Millis:
        """The instant on the database's clock."""
        return nodes.database_now(database, self._clock)

    def owner_of(self, database: Any, host_id: str) -> str | None:
        """The other living node that owns the host, if one does."""
        owner = nodes.owner_of(database, host_id, self.now(database))
        return None if owner is None or owner.id == self.node else owner.id

    def ring(self, owner: str, host_id: str) -> None:
        """Tell that node to look at the host."""
        self.bell.ring(owner, host_id)

    # ---- for the routes --------------------------------------------------------------------------------------------

    @property
    def trusted(self) -> bool:
        """Whether this node may still answer from what it remembers."""
        return asyncio.get_running_loop().time() < self._trusted_until

    async def url_of_owner(self, host_id: str) -> str | None:
        """Where the living owner of a host is reached, if that is another node."""

        def look(database: Any) -> nodes.Owner | None:
            return nodes.owner_of(database, host_id, self.now(database))

        owner = await self._store.fetch(look)
        return None if owner is None or owner.id == self.node else owner.url or None

    # ---- its life --------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Say that this node lives; raises when the database cannot be told."""
        await self._renew()
        self._tasks = [
            asyncio.create_task(self._live(), name="node-renewal"),
            asyncio.create_task(self._look(), name="node-look"),
        ]

    async def listens(self, url: str) -> None:
        """From now on others can pass requests on to it."""
        self.url = url
        await self._renew()

    async def stop(self) -> None:
        """Give up all hosts, so that others need not wait; twice does no harm."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if tasks:
            try:
                await self._store.change(lambda database: nodes.leave(database, self.node))
            except InterlockError as error:
                log.warning("This node could not sign off; others take its hosts in %d s: %s", LIVES // 1000, error)

    def doubt(self) -> None:
        """Rings may have been lost: look at the rows now."""
        self._doubt.set()

    async def _renew(self) -> None:
        began = asyncio.get_running_loop().time()

        def renew(database: Any) -> None:
            now = self.now(database)
            nodes.renew(database, self.node, self.url, now, LIVES)
            nodes.forget(database, now - FORGOTTEN)

        await asyncio.wait_for(self._store.fetch(renew), RENEWS)
        self._trusted_until = began + TRUSTED
        self._tell(trusted=True)

    def _tell(self, *, trusted: bool) -> None:
        if trusted is not self._told:
            self._told = trusted
            self.on_trust(trusted)

    async def _live(self) -> None:
        while True:
            await asyncio.sleep(RENEWS * (0.8 + 0.2 * self._clock.chance()) if self._told else 1.0)
            try:
                await self._renew()
            except (InterlockError, TimeoutError) as error:
                log.warning("This node could not say that it lives: %s", error)
            except Exception:
                log.exception("This node could not say that it lives")
            if not self.trusted and self._told:
                log.error("This node has been without its database for %d s and gives up its hosts", TRUSTED)
                self.directory.abandon()
                self._tell(trusted=False)

    async def _look(self) -> None:
        while True:
            try:
                await asyncio.wait_for(self._doubt.wait(), LOOKS if self.bell.up else LOOKS_UNRUNG)
            except TimeoutError:
                self._doubt.clear()
            self._doubt.clear()
            try:
                await self.look()
            except InterlockError as error:
                log.warning("The rows of this node's hosts could not be looked at: %s", error)
            except Exception:
                log.exception("A look at the rows of this node's hosts failed")

    async def look(self) -> None:
        """What others have written to our hosts, whom they have taken over, and which hosts nobody looks after."""
        believed = self.directory.epochs()

        def look(database: Any) -> tuple[dict[str, tuple[int, int]], list[str]]:
            return nodes.owned(database, self.node), nodes.abandoned(database, self.now(database), ABANDONED)

        owned, abandoned = await self._store.fetch(look)
        self.directory.reconcile(believed, owned)
        self.directory.activate(abandoned)
