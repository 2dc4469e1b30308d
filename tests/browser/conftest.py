"""The dashboard in Debian's Chromium: one browser and one server for all tests, a tenant and a tab for each.

All of them run in one event loop, since a browser belongs to the loop in which it was started.
"""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

from engines import chromium as engine
from engines.processes import EngineMissing
from tests.support.browsers import QUICK
from tests.support.callers import PATIENCE, Plane, Tenant
from tests.support.screens import Troubles, signed_in
from tests.support.server import Rows, Server

HERE = Path(__file__).parent
UNTESTED = "nothing of the dashboard is tested"

expect.set_options(timeout=PATIENCE * 1000)  # a page on a busy machine is slow, not wrong


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest.fixture(scope="session")
def chromium() -> str:
    """The program; without one all tests here are skipped, and fail where CI is set."""
    try:
        return engine.chromium()
    except EngineMissing as missing:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"{missing}: {UNTESTED}")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser(chromium: str) -> AsyncIterator[Browser]:
    """Chromium without a window."""
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(executable_path=chromium, args=engine.LEAN)
        yield running
        await running.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """It must end cleanly, and its log must name no unexpected error."""
    with Server(tmp_path_factory.mktemp("data"), **QUICK) as running:
        yield running
    assert running.tracebacks() == []


@pytest_asyncio.fixture(loop_scope="session")
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """As everywhere, in the browser's loop."""
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        yield session


@pytest.fixture
def plane(server: Server, session: aiohttp.ClientSession) -> Plane:
    return Plane(server, Rows(server.data_dir), session)


@pytest.fixture
def tenant(plane: Plane) -> Tenant:
    return plane.tenant()


@pytest.fixture
def troubles() -> Troubles:
    """What the browser complains of, which must be nothing at the end of the test."""
    return Troubles()


@pytest_asyncio.fixture(loop_scope="session")
async def context(browser: Browser, tenant: Tenant, troubles: Troubles) -> AsyncIterator[BrowserContext]:
    """Cookies of their own: the tenant's owner is signed in."""
    made = await browser.new_context(base_url=tenant.plane.url, viewport={"width": 1280, "height": 900})
    await signed_in(made, tenant, "owner")
    made.on("page", troubles.watch)
    yield made
    await made.close()
    assert troubles.seen == []


@pytest_asyncio.fixture(loop_scope="session")
async def page(context: BrowserContext) -> Page:
    """A tab in which nothing has been opened; addresses are the server's, such as `/app/orgs`."""
    return await context.new_page()
