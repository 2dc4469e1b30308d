"""`interlock login` by way of the dashboard: from the terminal to the page and back."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from tests.browser.test_hostile_text import CORPUS, WHAT_IT_WOULD_MAKE
from tests.support.browsers import PASSWORD, person
from tests.support.callers import Document, Tenant
from tests.support.screens import Troubles
from tests.support.terminal import Terminal

CODE = "your code is "


@pytest.fixture
def terminal(tenant: Tenant, tmp_path: Path) -> Iterator[Terminal]:
    """A terminal without a screen, at which somebody has typed `interlock login`."""
    variables = dict.fromkeys(
        ("INTERLOCK_TOKEN", "INTERLOCK_ORG", "INTERLOCK_PROFILE", "DISPLAY", "WAYLAND_DISPLAY"), ""
    )
    with Terminal("login", tenant.plane.url, env=variables | {"XDG_CONFIG_HOME": str(tmp_path)}) as shown:
        yield shown


async def code_in(terminal: Terminal) -> str:
    """The code that it shows."""
    text = await asyncio.to_thread(terminal.until, "/app/device")
    return text.partition(CODE)[2][:9]


async def asks(tenant: Tenant, name: str) -> Document:
    """A command line of that name asks."""
    reply = await tenant.plane.stranger.post("/api/login/device", {"name": name})
    assert reply.status == 201, reply
    begun: Document = reply.json
    return begun


async def typed(page: Page, code: str) -> None:
    """Somebody types the code."""
    await page.goto("/app/device")
    await page.get_by_label("Code").fill(code)
    await page.get_by_role("button", name="Go on").click()


async def test_a_terminal_is_signed_in_from_a_browser(
    page: Page, tenant: Tenant, terminal: Terminal, tmp_path: Path
) -> None:
    await typed(page, (await code_in(terminal)).lower())
    asking = page.get_by_role("region", name="Who asks")
    await expect(asking).to_contain_text("@")
    await expect(asking).to_contain_text("127.0.0.1")
    await expect(asking).to_contain_text(f"{tenant.user_ids['owner']}@example.com")
    await page.get_by_role("button", name="Let it in").click()
    await expect(page.get_by_role("heading", name="It is signed in")).to_be_focused()
    text, code = await asyncio.to_thread(terminal.end)
    assert code == 0, text
    assert f"signed in to {tenant.plane.url} as {tenant.user_ids['owner']}@example.com in acme" in text
    kept = json.loads((tmp_path / "interlock/profiles.json").read_text())["profiles"]["default"]
    assert kept["org"] == tenant.id
    assert kept["token"] not in text
    me = await tenant.plane.caller(kept["token"]).get("/api/session")
    assert me.json["user"]["id"] == tenant.user_ids["owner"]


async def test_a_terminal_that_is_refused_says_so(page: Page, terminal: Terminal, tmp_path: Path) -> None:
    await typed(page, await code_in(terminal))
    await page.get_by_role("button", name="Refuse it").click()
    await expect(page.get_by_role("heading", name="It was refused")).to_be_visible()
    text, code = await asyncio.to_thread(terminal.end)
    assert (code, "said no" in text) == (4, True), text
    assert not (tmp_path / "interlock/profiles.json").exists()


async def test_who_is_not_signed_in_signs_in_first_and_comes_back(
    browser: Browser, tenant: Tenant, troubles: Troubles
) -> None:
    begun = await asks(tenant, "ann@laptop")
    async with await browser.new_context(base_url=tenant.plane.url) as context:
        page = await context.new_page()
        troubles.watch(page)
        await page.goto("/app/device")
        await page.get_by_label("E-mail address").fill(person(tenant, "viewer"))
        await page.get_by_label("Password").fill(PASSWORD)
        await page.keyboard.press("Enter")
        await page.get_by_label("Code").fill(begun["userCode"])
        await page.keyboard.press("Enter")
        await expect(page.get_by_text("ann@laptop")).to_be_visible()
    assert troubles.seen == []


async def test_a_code_that_is_none_is_refused_at_its_field(page: Page) -> None:
    await typed(page, "hello")
    await expect(page.get_by_label("Code")).to_have_attribute("aria-invalid", "true")
    await page.get_by_label("Code").fill("BCDF-GHJK")
    await page.get_by_role("button", name="Go on").click()
    await expect(page.get_by_role("alert").filter(has_text="No command line waits with this code")).to_be_visible()


async def test_an_answer_that_comes_too_late_is_told(page: Page, tenant: Tenant) -> None:
    begun = await asks(tenant, "ann@laptop")
    await typed(page, begun["userCode"])
    await expect(page.get_by_role("heading", name="Let this command line in?")).to_be_focused()
    second = await page.context.new_page()
    await typed(second, begun["userCode"])
    await second.get_by_role("button", name="Refuse it").click()
    await expect(second.get_by_role("heading", name="It was refused")).to_be_visible()
    await page.get_by_role("button", name="Let it in").click()
    await expect(page.get_by_role("heading", name="It is too late")).to_be_visible()


@pytest.mark.parametrize("name", [text for text in CORPUS if text.isprintable() and len(text) <= 100])
async def test_what_a_machine_calls_itself_is_text(page: Page, tenant: Tenant, name: str) -> None:
    begun = await asks(tenant, name)
    await typed(page, begun["userCode"])
    await expect(page.get_by_role("region", name="Who asks").locator("strong")).to_have_text(name)
    assert await page.evaluate("window.fired") is None
    assert await page.locator("main").locator(WHAT_IT_WOULD_MAKE).count() == 0
