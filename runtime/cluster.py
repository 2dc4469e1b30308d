"""This server among the others on one PostgreSQL: it says that it lives, and knows who owns a host.

None of that makes anything safe: only the fence in each host's row does. It decides where work goes, and when a node that
cannot reach the database stops to answer from memory.
"""

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from actors import Directory
from interlock.clock import Clock, Millis
from interlock.errors import InterlockError
from store import Store, nodes

log = logging.getLogger(__name__)

FORGOTTEN: Millis = 3_600_000  # rows of nodes that died so long ago are removed
ABANDONED = 500  # hosts of dead nodes that one look takes over
PAUSE = 1.0  # seconds between two tries to renew that failed


class Times(NamedTuple):
    """How quick nodes are to believe each other dead, and how often they look. Seconds; see `runtime/settings.py`."""

    lives: float = 15.0  # a node that has not renewed its row for so long is taken to be dead
    looks: float = 5.0  # between two looks at what doorbells may have missed

    @property
    def renews(self) -> float:
        """Between two renewals."""
        return self.lives / 3

    @property
    def trusted(self) -> float:
        """After the beginning of a renewal that succeeded; a little later others may own its hosts."""
        return self.lives * 13 / 15

    @property
    def looks_unrung(self) -> float:
        """Between two looks while no doorbell gets through."""
        return self.looks / 5


TIMES = Times()


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

    def __init__(self, store: Store, clock: Clock, node: str, times: Times = TIMES) -> None:
        self.node = node
        self.times = times
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
        self._others: tuple[str, ...] = ()

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

    def ring_all(self, name: str) -> None:
        """Tell all other nodes that were alive at the last look to look at a pool."""
        for node in self._others:
            self.bell.ring(node, name)

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
                log.warning("This node could not sign off; others take its hosts in %g s: %s", self.times.lives, error)

    def doubt(self) -> None:
        """Rings may have been lost: look at the rows now."""
        self._doubt.set()

    async def _renew(self) -> None:
        loop = asyncio.get_running_loop()
        began, lapsed = loop.time(), not self.trusted
        lives: Millis = round(self.times.lives * 1000)

        def renew(database: Any) -> None:
            now = self.now(database)
            nodes.renew(database, self.node, self.url, now, lives)
            nodes.forget(database, now - FORGOTTEN)

        # While it is trusted it gives up in time to say that it is not any more.
        patience = self.times.renews if lapsed else min(self.times.renews, self._trusted_until - began)
        async with asyncio.timeout(patience):
            await self._store.fetch(renew)
        self._trusted_until = began + self.times.trusted
        if lapsed:
            self.doubt()  # as after a pause of the whole process: others may have what was ours
        self._tell(trusted=self.trusted)

    def _tell(self, *, trusted: bool) -> None:
        if trusted is self._told:
            return
        self._told = trusted
        if trusted:
            self.directory.resume()
        else:
            log.error(
                "This node could not tell its database for %g s that it lives: it gives up its hosts",
                self.times.trusted,
            )
            self.directory.abandon()
        self.on_trust(trusted)

    async def _live(self) -> None:
        pause = self._until_renewal()
        while True:
            await asyncio.sleep(pause)
            pause = min(PAUSE, self.times.renews)
            try:
                await self._renew()
            except (InterlockError, TimeoutError) as error:
                log.warning("This node could not say that it lives: %s", str(error) or "no answer in time")
            except Exception:
                log.exception("This node could not say that it lives")
            else:
                pause = self._until_renewal()
            if not self.trusted:
                self._tell(trusted=False)

    def _until_renewal(self) -> float:
        return self.times.renews * (0.8 + 0.2 * self._clock.chance())

    async def _look(self) -> None:
        while True:
            # Not `wait_for`, which in Python 3.11 may swallow the cancellation by which `stop` ends this.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.times.looks if self.bell.up else self.times.looks_unrung):
                    await self._doubt.wait()
            self._doubt.clear()
            try:
                async with asyncio.timeout(self.times.lives):
                    await self.look()
            except (InterlockError, TimeoutError) as error:
                log.warning(
                    "The rows of this node's hosts could not be looked at: %s", str(error) or "no answer in time"
                )
            except Exception:
                log.exception("A look at the rows of this node's hosts failed")

    async def look(self) -> None:
        """What others have written to our hosts, whom they have taken over, and which hosts nobody looks after."""
        believed, held = self.directory.epochs(), set(self.directory.hosts)

        def look(database: Any) -> tuple[dict[str, tuple[int, int]], list[str], list[str]]:
            owned = nodes.owned(database, self.node)
            unattended = nodes.abandoned(database, self.now(database), ABANDONED)
            if owned.keys() - held:
                # Ours by the rows alone: this node had given them up, or never heard that its claim was written.
                ours = (host_id for host_id in nodes.busy(database, self.node) if host_id not in held)
                unattended += itertools.islice(ours, ABANDONED)
            return owned, unattended, nodes.alive(database, self.now(database))

        owned, unattended, living = await self._store.fetch(look)
        self._others = tuple(node for node in living if node != self.node)
        self.directory.reconcile(believed, owned)
        self.directory.activate(unattended)
        self.directory.look_at_pools()
