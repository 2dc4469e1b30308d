"""Every page of the dashboard before axe-core, in light and dark, wide and narrow; and what axe cannot see.

axe-core comes from npm into a folder of `.venv`, as the Socket.IO client does; where it cannot be had, these are skipped.
"""

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from tests.support.callers import Tenant
from tests.support.furnished import Furnished, furnish
from tests.support.node import node_or_skip
from tests.support.screens import Troubles, address

TABLE = Path(__file__).parents[2] / "web/dashboard/static/pages/index.js"
GRAVE = {"serious", "critical"}
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
SEARCH = """rules => axe.run(document, {runOnly: {type: "tag", values: rules}, resultTypes: ["violations"]}).then(
  ({violations}) => violations.map(({id, impact, nodes}) => ({
    id, impact, nodes: nodes.map(({target, failureSummary}) => `${target.join(" ")}: ${failureSummary}`),
  })))"""


def pages() -> list[str]:
    """The paths of the table of pages, below `/app/`."""
    text = TABLE.read_text("utf-8")
    own = [f"orgs/:orgId/{path}" for path in re.findall(r'\bown\("([^"]+)"', text)]
    found = [path for path in re.findall(r'\{ path: "([^"]+)"', text) if path != "sign-in"]
    assert len(own) + len(found) + 1 == text.count('import("./'), "A page of the table was not understood here"
    return [*found, *own]


@pytest.fixture(scope="module")
def axe() -> str:
    """The source of axe-core."""
    _, folder = node_or_skip()
    return (folder / "node_modules/axe-core/axe.min.js").read_text("utf-8")


async def violations(page: Page, axe: str) -> list[Any]:
    """What axe finds grave on the page as it stands."""
    await page.evaluate(axe)
    found = await page.evaluate(SEARCH, RULES)
    return [each for each in found if each["impact"] in GRAVE]


async def settled(page: Page) -> None:
    """The page is shown, and nothing of it moves any more."""
    await expect(page.locator("main")).not_to_have_attribute("aria-busy", "true")
    await expect(page.locator("main h1").first).to_be_visible()


async def everywhere(page: Page, axe: str) -> list[Any]:
    """The same in light on a wide screen and in dark on a narrow one; each of them in both themes."""
    found = []
    for scheme, width in (("light", 1280), ("dark", 375)):
        await page.set_viewport_size({"width": width, "height": 900})
        await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light", reduced_motion="reduce")
        found += [(scheme, each) for each in await violations(page, axe)]
    return found


def path_of(path: str, all_there: Furnished) -> str:
    """The page's address with the ids of what is there."""
    ids = {
        "orgId": all_there.tenant.id,
        "jobId": all_there.ended["id"],
        "hostId": all_there.busy.id,
        "type": "crawl",
    }
    return "/app/" + re.sub(r":(\w+)", lambda found: ids[found[1]], path)


@pytest.mark.parametrize("path", pages())
async def test_axe_finds_nothing_grave(page: Page, tenant: Tenant, axe: str, path: str) -> None:
    await page.goto(path_of(path, await furnish(tenant)))
    await settled(page)
    assert await everywhere(page, axe) == []


async def test_axe_finds_nothing_grave_before_anybody_signs_in(
    browser: Browser, tenant: Tenant, troubles: Troubles, axe: str
) -> None:
    async with await browser.new_context(base_url=tenant.plane.url) as context:
        page = await context.new_page()
        troubles.watch(page)
        await page.goto("/app/sign-in")
        await settled(page)
        assert await everywhere(page, axe) == []
    assert troubles.seen == []


@pytest.mark.parametrize("name", ["Pause", "Drain", "Edit"])
async def test_axe_finds_nothing_grave_in_dialogs(page: Page, tenant: Tenant, axe: str, name: str) -> None:
    there = await furnish(tenant)
    await page.goto(address(tenant, "hosts", there.busy.id))
    await page.get_by_role("button", name=name, exact=True).click()
    await expect(page.get_by_role("dialog")).to_be_visible()
    assert await everywhere(page, axe) == []


async def test_nothing_moves_where_less_motion_is_wanted(page: Page, tenant: Tenant) -> None:
    await page.emulate_media(reduced_motion="reduce")
    await page.goto(address(tenant, "hosts", "enrol"))
    await page.get_by_role("button", name="Make the command").click()
    await expect(page.get_by_text("This page waits for the host")).to_be_visible()
    assert await page.evaluate("document.getAnimations().length") == 0


async def test_every_page_has_one_first_heading_and_a_title_of_its_own(page: Page, tenant: Tenant) -> None:
    titles = set()
    for name in ("hosts", "hosts/enrol", "instances", "types", "settings", "members", "audit"):
        await page.goto(address(tenant, name))
        await settled(page)
        await expect(page.locator("h1")).to_have_count(1)
        titles.add(await page.title())
    assert len(titles) == 7
