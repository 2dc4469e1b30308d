"""Whether the process is up, whether it can do its work, and its figures."""

import asyncio

from aiohttp import web
from peewee import Database

from interlock.errors import Unavailable
from store import Store
from store.probe import write_probe
from web.access import LOST
from web.heeded import heeded
from web.open_runs import OpenRuns
from web.services import Services

_PATIENCE = 2.0  # seconds that the database may take to answer
_BELIEVED = 1.0  # seconds that an answer holds: whoever asks more often does not make it write more often


class Probe:
    """Reads and writes, once for all who ask at the same time or soon after."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._asking: asyncio.Task[None] | None = None
        self._asked_at = 0.0

    async def ask(self) -> None:
        """Return when the database can be read and written; `Unavailable` when not, or when it takes too long."""
        now = asyncio.get_running_loop().time()
        if self._asking is None or (self._asking.done() and self._asked_at + _BELIEVED < now):
            self._asked_at = now
            self._asking = heeded(asyncio.create_task(self._ask(), name="readiness"))
        try:
            await asyncio.wait_for(asyncio.shield(self._asking), _PATIENCE)
        except TimeoutError:
            raise Unavailable("The database does not answer in time") from None

    async def _ask(self) -> None:
        await self._store.fetch(_read)
        await self._store.change(write_probe)


PROBE: web.AppKey[Probe] = web.AppKey("probe", Probe)
OPEN_RUNS: web.AppKey[OpenRuns] = web.AppKey("open_runs", OpenRuns)


async def alive(_request: web.Request, _services: Services, _: None) -> web.Response:
    """The process is up; nothing else is looked at."""
    return web.json_response({"status": "ok"})


async def ready(request: web.Request, s: Services, _: None) -> web.Response:
    """The database can be read and written, and what was live before the start has been read."""
    if not s.stopping.is_set() and s.cluster is not None and not s.cluster.trusted:
        raise Unavailable(LOST)
    if not s.ready.is_set() or s.stopping.is_set():
        raise Unavailable("Starting or stopping")
    await request.app[PROBE].ask()
    return web.json_response({"status": "ready", "setUp": await s.lookups.is_set_up()})


async def metrics(request: web.Request, s: Services, _: None) -> web.Response:
    """All figures, in Prometheus' text format or in OpenMetrics."""
    await request.app[OPEN_RUNS].look()
    body, media = s.metrics.text(request.headers.get("Accept", ""))
    return web.Response(body=body, headers={"Content-Type": media})


def _read(database: Database) -> None:
    database.execute_sql("SELECT 1")
