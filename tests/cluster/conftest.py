"""Two servers per module on a PostgreSQL and a Redis of their own; a tenant of its own for each test."""

from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest

from engines.postgres import Postgres, postgres
from engines.processes import EngineMissing
from engines.redis_server import OwnRedis, own_redis
from tests.cluster.rig import Node, PostgresRows, Town
from tests.support.backends import missing_engine
from tests.support.redis_rig import redis_or_skip


@pytest.fixture(scope="module")
def database() -> Iterator[Postgres]:
    """A server that a test may stop."""
    try:
        with postgres() as server:
            yield server
    except EngineMissing as error:
        missing_engine(error)


@pytest.fixture(scope="module")
def redis_server() -> Iterator[OwnRedis]:
    with redis_or_skip(own_redis()) as server:
        yield server


@pytest.fixture(scope="module")
def url(database: Postgres) -> str:
    return database.create("town")


@pytest.fixture(scope="module")
def nodes(
    url: str, redis_server: OwnRedis, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[list[Node]]:
    """They share nothing but the database and Redis. A module may set `SETTINGS` of its own."""
    settings = getattr(request.module, "SETTINGS", {})
    made = [Node(tmp_path_factory.mktemp(name), url, redis_server.url, **settings) for name in ("a", "b")]
    try:
        for node in made:
            node.start()
        yield made
    finally:
        for node in made:
            node.resume()
            node.terminate()
    for node in made:
        assert [line for line in node.log if "Traceback" in line] == []


@pytest.fixture(scope="module")
def rows(url: str, tmp_path_factory: pytest.TempPathFactory) -> PostgresRows:
    return PostgresRows(url, tmp_path_factory.mktemp("rows"))


@pytest.fixture
async def town(nodes: list[Node], rows: PostgresRows, session: aiohttp.ClientSession) -> AsyncIterator[Town]:
    """Every test finds both nodes running, and leaves them so."""
    for node in nodes:
        node.resume()
        if not node.runs:
            node.start()
    yield Town(nodes, rows, session)
    for node in nodes:
        node.resume()
