"""A server for each module, a tenant for each test, and every way in which an agent may connect."""

from collections.abc import Iterator

import aiohttp
import pytest

from tests.support.callers import Agent, Plane, Tenant
from tests.support.server import Rows, Server
from tests.support.sockets import Ways, ways


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """It must end cleanly, and its log must name no unexpected error."""
    with Server(tmp_path_factory.mktemp("data")) as running:
        yield running
    assert running.tracebacks() == []


@pytest.fixture
def plane(server: Server, session: aiohttp.ClientSession) -> Plane:
    return Plane(server, Rows(server.data_dir), session)


@pytest.fixture
def tenant(plane: Plane) -> Tenant:
    return plane.tenant()


@pytest.fixture
def host(tenant: Tenant) -> Agent:
    return tenant.host()


@pytest.fixture(params=sorted(ways))
def connect(request: pytest.FixtureRequest) -> Ways:
    """How the agent connects."""
    way: Ways = ways[request.param]
    return way
