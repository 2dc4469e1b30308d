"""Whether the process is up, whether it can do its work, and its figures."""

import asyncio

from aiohttp import web
from peewee import Database

from interlock.errors import InterlockError, Unavailable
from web.services import Services

_PATIENCE = 2.0  # seconds that the database may take to answer


async def alive(_request: web.Request, _services: Services, _: None) -> web.Response:
    """The process is up; nothing else is looked at."""
    return web.json_response({"status": "ok"})


async def ready(_request: web.Request, s: Services, _: None) -> web.Response:
    """The database answers and what was live before the start has been read."""
    if not s.ready.is_set() or s.stopping.is_set():
        raise Unavailable("Starting or stopping")
    try:
        await asyncio.wait_for(s.store.fetch(_ask), _PATIENCE)
    except (InterlockError, TimeoutError) as error:
        raise Unavailable("The database does not answer") from error
    return web.json_response({"status": "ready", "setUp": await s.lookups.is_set_up()})


async def metrics(_request: web.Request, s: Services, _: None) -> web.Response:
    """Prometheus text."""
    return web.Response(body=s.metrics.text(), content_type="text/plain", charset="utf-8")


def _ask(database: Database) -> None:
    database.execute_sql("SELECT 1")
