"""One real server per module; a tenant of its own for each test, so that they never meet."""

from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.support.callers import Plane, Tenant
from tests.support.server import Rows, Server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """It must end cleanly, and its log must name no unexpected error."""
    data_dir: Path = tmp_path_factory.mktemp("data")
    with Server(data_dir) as running:
        yield running
    assert running.tracebacks() == []


@pytest.fixture(scope="module")
def rows(server: Server) -> Rows:
    return Rows(server.data_dir)


@pytest.fixture
def plane(server: Server, rows: Rows, session: aiohttp.ClientSession) -> Plane:
    return Plane(server, rows, session)


@pytest.fixture
def tenant(plane: Plane) -> Tenant:
    return plane.tenant()
