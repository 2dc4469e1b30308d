"""From the link that the server prints to the first finished job, with what the pages say and nothing else."""

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from tests.support.browsers import PASSWORD, QUICK, setup_token
from tests.support.screens import Troubles
from tests.support.server import Server

AGENT_TOML = '[handlers.SERVER_START]\ncommand = ["echo", "started"]\n'


@pytest.fixture
def empty_server(tmp_path: Path) -> Iterator[Server]:
    """On an empty database."""
    with Server(tmp_path / "data", **QUICK) as running:
        yield running
    assert running.tracebacks() == []


def furnish(folder: Path) -> None:
    folder.mkdir()
    (folder / "agent.toml").write_text(AGENT_TOML)


@contextlib.asynccontextmanager
async def pasted(command: str, folder: Path) -> AsyncIterator[None]:
    """The command in a shell of a machine that has what the page asks for; it and its agent end with the block."""
    await asyncio.to_thread(furnish, folder)
    environ = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(folder)}
    log = (folder / "log").open("wb")
    shell = await asyncio.create_subprocess_exec(
        *("sh", "-c", command), cwd=folder, env=environ, stdout=log, stderr=log, start_new_session=True
    )
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(shell.pid, signal.SIGTERM)
        await shell.wait()
        log.close()


async def test_from_the_printed_link_to_the_first_finished_job(
    browser: Browser, empty_server: Server, troubles: Troubles, tmp_path: Path
) -> None:
    async with await browser.new_context(base_url=empty_server.url) as context:
        page = await context.new_page()
        troubles.watch(page)
        await make_the_account(page, setup_token(empty_server))
        await expect(page.get_by_role("heading", name="First steps")).to_be_visible()
        await page.get_by_role("link", name="Enrol a host").click()
        await page.get_by_role("button", name="Make the command").click()
        command = await page.locator("pre", has_text="interlock agent").first.inner_text()
        async with pasted(command, tmp_path / "machine"):
            await expect(page.get_by_label("Hosts that have come").get_by_role("link").first).to_be_visible()
            await page.get_by_role("link", name="Overview").click()
            await expect(page.get_by_role("listitem").filter(has_text="Start the agent")).to_have_class("done")
            await page.get_by_role("link", name="Create a job").click()
            await page.get_by_role("button", name="Create the job").click()
            await expect(page.locator("[data-status=COMPLETED]").first).to_be_visible()
        await page.get_by_role("link", name="Overview").click()
        await expect(page.get_by_role("link", name=re.compile(r"1\s*Completed"))).to_be_visible()
    assert troubles.seen == []


async def make_the_account(page: Page, token: str) -> None:
    await page.goto(f"/setup#token={token}")
    await page.get_by_label("Organization").fill("Arcade")
    await page.get_by_label("Your name").fill("Ann")
    await page.get_by_label("E-mail address").fill("ann@example.com")
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Make the account").click()
    await page.get_by_role("link", name="Open the dashboard").click()


async def test_before_the_set_up_the_dashboard_says_how_to_do_it(browser: Browser, empty_server: Server) -> None:
    async with await browser.new_context(base_url=empty_server.url) as context:
        page = await context.new_page()
        await page.goto("/")
        await expect(page.get_by_role("heading", name="Interlock is not set up yet")).to_be_visible()
        await expect(page.get_by_text("interlock admin setup")).to_be_visible()
