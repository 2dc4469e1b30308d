"""Two servers on one PostgreSQL and one Redis, all of which can go away."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

from chaos_rig.checker import Promises
from chaos_rig.history import History
from chaos_rig.nodes import Node
from chaos_rig.topology import SETTINGS, Topology
from chaos_rig.witness import TRIGGERS, called
from engines.postgres import Postgres, postgres
from engines.redis_server import OwnRedis, own_redis
from runtime.secret import load_secret

NAMES = ("a", "b")
DOORBELL_MS = 6000  # an owner looks at its rows by itself every few seconds; until then a lost doorbell may cost that
# Whoever takes a dead or silent node's hosts over tells of a gap, and so does a Redis that may have forgotten.
GAP_CAUSES = frozenset({"kill", "writer", "pause", "outage", "flush"})
GAP_LAG_MS = 20_000  # an outage of a few seconds, and then until somebody has noticed
PROMISES = Promises(gap_causes=GAP_CAUSES, gap_lag_ms=GAP_LAG_MS, doorbell_ms=DOORBELL_MS, rises=False)


class Database:
    """PostgreSQL: stopped immediately, then recovering by itself."""

    name = "postgres"
    forgets = False

    def __init__(self, server: Postgres) -> None:
        self._server = server
        self._downs = 0

    async def down(self) -> None:
        """`pg_ctl stop -m immediate`, and every other time `kill -9` of all its processes."""
        self._downs += 1
        await _whole(self._server.stop_immediately if self._downs % 2 else self._server.kill)

    async def up(self) -> None:
        """Start, recover, answer."""
        await _whole(self._server.start)

    async def empty(self) -> None:
        """It may not lose anything."""


class Broker:
    """Redis without a file: each kill empties it too."""

    name = "redis"
    forgets = True

    def __init__(self, server: OwnRedis) -> None:
        self._server = server

    async def down(self) -> None:
        """SIGKILL."""
        await _whole(self._server.kill)

    async def up(self) -> None:
        """Start, with nothing in it."""
        await _whole(self._server.start)

    async def empty(self) -> None:
        """`FLUSHALL`, as an operator's slip would."""
        await _whole(self._server.flush)


async def _whole(work: Callable[[], None]) -> None:
    """Do it on a thread, to its end even when cancelled: a server that starts behind our back would outlive us."""
    doing = asyncio.create_task(asyncio.to_thread(work))
    try:
        await asyncio.shield(doing)
    except asyncio.CancelledError:
        await asyncio.gather(doing, return_exceptions=True)
        raise


@asynccontextmanager
async def cluster(folder: Path, history: History) -> AsyncIterator[Topology]:
    """Both servers with a data directory each and the same secret."""
    with ExitStack() as stack:
        database = await asyncio.to_thread(stack.enter_context, postgres(durable=True))
        broker = await asyncio.to_thread(stack.enter_context, own_redis())
        url = await asyncio.to_thread(database.create, "chaos")
        broker_url = ("--redis-url", broker.url)
        nodes = [_node(name, folder, history, ("--database-url", called(url, name), *broker_url)) for name in NAMES]
        for node in nodes[1:]:
            shutil.copy(nodes[0].data_dir / "secret", node.data_dir / "secret")
        yield Topology(url, nodes, [Database(database), Broker(broker)], PROMISES, TRIGGERS)


def _node(name: str, folder: Path, history: History, options: tuple[str, ...]) -> Node:
    data_dir = folder / f"data-{name}"
    data_dir.mkdir(mode=0o700)
    if name == NAMES[0]:
        load_secret(data_dir)
    return Node(name, data_dir, folder / f"node-{name}.log", history, options, SETTINGS)
