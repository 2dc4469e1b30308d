"""All hosts: what each does now, found by state, words and order, and live."""

import re
from urllib.parse import urlsplit

from playwright.async_api import Locator, Page, expect

from tests.support.callers import Agent, Tenant
from tests.support.furnished import furnish
from tests.support.screens import address

HOSTILE = "<img src=x onerror=alert(1)>"


def card(page: Page, host: str) -> Locator:
    """The card of the host of that name."""
    return page.get_by_role("listitem").filter(has=page.get_by_role("link", name=host, exact=True))


def names(page: Page) -> Locator:
    """The hosts' names in the order in which they are shown."""
    return page.locator(".host-name")


def state(page: Page, word: str) -> Locator:
    """The button that narrows the list to one state."""
    return page.get_by_role("group", name="Only hosts that are").get_by_role("button", name=re.compile(f"^{word} "))


async def test_each_host_says_what_it_does(page: Page, tenant: Tenant) -> None:
    await furnish(tenant)
    await page.goto(address(tenant, "hosts"))
    await expect(card(page, "eu-1")).to_contain_text("running")
    await expect(card(page, "eu-1")).to_contain_text("SERVER_RESTART for")
    await expect(card(page, "eu-1")).to_contain_text("3 waiting")
    await expect(card(page, "eu-2")).to_contain_text("paused")
    await expect(card(page, "eu-2")).to_contain_text("zone=eu")
    await expect(card(page, "us-1")).to_contain_text("draining")
    await expect(card(page, "us-2")).to_contain_text("never connected")
    await expect(state(page, "running")).to_have_text("running 1")


async def test_state_words_and_order_stand_in_the_address(page: Page, tenant: Tenant) -> None:
    await furnish(tenant)
    await page.goto(address(tenant, "hosts"))
    await state(page, "draining").click()
    await expect(names(page)).to_have_text(["us-1"])
    await state(page, "All").click()
    await page.get_by_role("searchbox").fill("eu")
    await expect(names(page)).to_have_text(["eu-1", "eu-2"])
    await page.get_by_label("Sort by").select_option("Newest")
    await expect(names(page)).to_have_text(["eu-2", "eu-1"])
    assert urlsplit(page.url).query == "q=eu&sort=new"
    await page.reload()
    await expect(names(page)).to_have_text(["eu-2", "eu-1"])
    await page.get_by_role("searchbox").fill("zone=eu")
    await expect(names(page)).to_have_text(["eu-2"])


async def test_what_hosts_do_is_told_as_it_happens(page: Page, tenant: Tenant) -> None:
    host = tenant.host("eu-1")
    await page.goto(address(tenant, "hosts"))
    await expect(card(page, "eu-1")).to_contain_text("never connected")
    async with tenant.parked(host, instance="process-1"):
        await expect(card(page, "eu-1")).to_contain_text("idle")
    await tenant.create(host)
    taken = await host.take()
    await tenant.create(host)
    await expect(card(page, "eu-1")).to_contain_text("SERVER_START for")
    await expect(card(page, "eu-1")).to_contain_text("1 waiting")
    await host.finish(taken["jobRunId"])
    await expect(card(page, "eu-1")).to_contain_text("Runs nothing")


async def test_a_host_that_comes_and_one_that_goes(page: Page, tenant: Tenant) -> None:
    first = tenant.host("eu-1")
    await page.goto(address(tenant, "hosts"))
    await expect(names(page)).to_have_text(["eu-1"])
    second = tenant.host("eu-2")
    await second.poll(0)
    await expect(names(page)).to_have_text(["eu-1", "eu-2"])
    await tenant.as_role("owner").ask("DELETE", f"{tenant.path}/hosts/{first.id}")
    await second.poll(0)
    await page.reload()
    await expect(names(page)).to_have_text(["eu-2"])


async def test_the_same_hosts_as_a_table(page: Page, tenant: Tenant) -> None:
    there = await furnish(tenant)
    await page.goto(address(tenant, "hosts"))
    await page.get_by_role("button", name="Table").click()
    row = page.get_by_role("row").filter(has_text="eu-1")
    await expect(row.get_by_role("cell")).to_have_count(6)
    await row.get_by_role("link", name="eu-1").click()
    await expect(page.get_by_role("heading", name="eu-1")).to_be_visible()
    assert page.url.endswith(address(tenant, "hosts", there.busy.id))
    await page.go_back()
    await expect(page.get_by_role("table", name="Hosts")).to_be_visible()


async def test_keys_move_among_hosts_and_open_one(page: Page, tenant: Tenant) -> None:
    await furnish(tenant)
    await page.goto(address(tenant, "hosts"))
    await expect(names(page)).to_have_count(4)
    await page.keyboard.press("j")
    await page.keyboard.press("j")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="eu-2")).to_be_visible()


async def test_without_hosts_the_page_says_what_to_do(page: Page, tenant: Tenant) -> None:
    await page.goto(address(tenant, "hosts"))
    await page.get_by_role("link", name="Enrol the first host").click()
    await expect(page.get_by_role("heading", name="Enrol a host")).to_be_visible()


async def test_a_thousand_hosts_are_shown_found_and_kept(page: Page, tenant: Tenant) -> None:
    hosts = await many(tenant, 1000)
    await page.goto(address(tenant, "hosts"))
    await expect(names(page)).to_have_count(1000)
    await expect(state(page, "All")).to_have_text("All 1,000")
    await page.get_by_role("searchbox").fill("host-777")
    await expect(names(page)).to_have_text(["host-777"])
    await hosts[777].poll(0)
    await expect(card(page, "host-777")).to_contain_text("idle")


async def test_names_and_labels_are_text(page: Page, tenant: Tenant) -> None:
    host = tenant.host(HOSTILE)
    path = f"{tenant.path}/hosts/{host.id}"
    await tenant.as_role("owner").ask("PATCH", path, {"labels": {HOSTILE: HOSTILE}, "paused": True, "note": HOSTILE})
    for view in ("cards", "table"):
        await page.goto(address(tenant, f"hosts?view={view}"))
        await expect(page.get_by_role("link", name=HOSTILE)).to_be_visible()
    await page.goto(address(tenant, "hosts", host.id))
    await expect(page.get_by_text(HOSTILE).first).to_be_visible()
    await expect(page.locator("main img")).to_have_count(0)


async def many(tenant: Tenant, count: int) -> list[Agent]:
    """So many hosts, `host-0` and on, written beside the server in one transaction."""
    rows = tenant.plane.rows
    made = rows.hosts(tenant.id, [f"host-{number}" for number in range(count)])
    return [Agent(tenant.plane.session, tenant.plane.url, host_id, key, "") for host_id, key in made]
