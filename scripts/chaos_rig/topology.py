"""What is to be broken: nodes, and the engines that they rest on. A mode is a topology and nothing else."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

from chaos_rig.checker import Promises
from chaos_rig.history import History
from chaos_rig.nodes import Node

# Short enough that what time alone brings about comes about within a run of a minute.
SETTINGS = {
    "INTERLOCK_HEARTBEAT_SECONDS": "0.5",
    "INTERLOCK_LEASE_SECONDS": "3",
    "INTERLOCK_LOST_AFTER_SECONDS": "4",
    "INTERLOCK_OFFLINE_AFTER_SECONDS": "3",
    "INTERLOCK_CANCEL_GRACE_SECONDS": "0.5",
    "INTERLOCK_CANCEL_SLACK_SECONDS": "0.5",
    "INTERLOCK_STARTUP_GRACE_SECONDS": "0.5",
    "INTERLOCK_PASSIVATE_AFTER_SECONDS": "2",
    "INTERLOCK_SWEEP_SECONDS": "0.5",
    "INTERLOCK_MAX_BATCH_JOBS": "100",
}


class Engine(Protocol):
    """A database or broker that can be taken away. Both calls return when it is so."""

    name: str
    forgets: bool  # whether it may lose all that it holds at any time

    async def down(self) -> None:
        """End it at once."""

    async def up(self) -> None:
        """Start it again on what its disk holds."""

    async def empty(self) -> None:
        """Remove all that it holds; nothing for one that may not lose anything."""


class Topology:
    """Servers on one database, in the order of their start."""

    def __init__(
        self,
        database_url: str,
        nodes: Sequence[Node],
        engines: Sequence[Engine] = (),
        promises: Promises | None = None,
        witness: str = "",
    ) -> None:
        self.database_url = database_url
        self.nodes = nodes
        self.engines = engines
        self.promises = Promises() if promises is None else promises
        self.witness = witness  # SQL that lets the database see what no machine does


@asynccontextmanager
async def embedded(folder: Path, history: History) -> AsyncIterator[Topology]:
    """The default: one server, SQLite in its data directory, everything in its process."""
    data_dir = folder / "data"
    node = Node("a", data_dir, folder / "node-a.log", history, (), SETTINGS)
    yield Topology(f"sqlite://{(data_dir / 'interlock.db').absolute()}", [node])
