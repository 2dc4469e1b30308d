"""The frame around all pages: signing in, finding one's way, keys, theme, the policy."""

import pytest
from playwright.async_api import Browser, BrowserContext, Page, expect

from tests.support.browsers import PASSWORD, give_password, person
from tests.support.callers import Tenant
from tests.support.screens import Troubles, address


async def test_who_is_not_signed_in_signs_in_and_comes_back(
    browser: Browser, tenant: Tenant, troubles: Troubles
) -> None:
    async with await browser.new_context(base_url=tenant.plane.url) as context:
        page = await context.new_page()
        troubles.watch(page)
        await page.goto(address(tenant, "overview"))
        await page.get_by_label("E-mail address").fill(person(tenant, "viewer"))
        await page.get_by_label("Password").fill("not the password")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("alert").filter(has_text="is not right")).to_be_visible()
        await page.get_by_label("Password").fill(PASSWORD)
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="acme")).to_be_visible()
        assert page.url.endswith(address(tenant, "overview"))
    assert troubles.seen == []


async def test_after_signing_out_the_pages_are_closed(page: Page, tenant: Tenant) -> None:
    await page.goto(address(tenant, "overview"))
    await page.get_by_role("button", name="Account of Owner").click()
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("heading", name="Sign in to Interlock")).to_be_visible()
    await page.goto(address(tenant, "overview"))
    await expect(page.get_by_role("heading", name="Sign in to Interlock")).to_be_visible()


async def test_the_root_leads_to_the_overview_of_the_only_organization(page: Page, tenant: Tenant) -> None:
    await page.goto("/")
    await expect(page.get_by_role("heading", name="acme")).to_be_visible()
    assert page.url.endswith(address(tenant, "overview"))
    assert await page.title() == "Overview · acme · Interlock"


async def test_another_organization_is_not_there(page: Page, tenant: Tenant) -> None:
    await page.goto(address(tenant.plane.tenant(), "overview"))
    await expect(page.get_by_role("heading", name="Not here")).to_be_visible()


async def test_keys_lead_from_page_to_page_and_rest_while_somebody_types(page: Page, tenant: Tenant) -> None:
    await page.goto(address(tenant, "overview"))
    await page.locator("main h1").wait_for()
    await page.keyboard.press("?")
    await expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_have_count(0)
    for keys, path in (("gj", "jobs"), ("gh", "hosts"), ("go", "overview")):
        await page.keyboard.type(keys)
        await page.wait_for_url(f"**{address(tenant, path)}")
        await page.locator("main:not([aria-busy]) h1").wait_for()
    await page.keyboard.press("c")
    await page.wait_for_url(f"**{address(tenant, 'jobs', 'new')}")
    await page.goto(address(tenant, "jobs"))
    search = page.locator("main input[type=search]")
    await search.wait_for()
    await page.keyboard.press("/")
    await expect(search).to_be_focused()
    await page.keyboard.type("gh?c")
    await expect(search).to_have_value("gh?c")
    assert f"{address(tenant, 'jobs')}" in page.url


async def test_a_list_is_walked_with_j_and_k_and_opened_with_enter(page: Page, tenant: Tenant) -> None:
    jobs = [await tenant.create(tenant.host()) for _ in range(2)]
    await page.goto(address(tenant, "jobs"))
    await expect(page.locator("main [data-row]")).to_have_count(2)
    for key in ("j", "j", "k", "j"):
        await page.keyboard.press(key)
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"**{address(tenant, 'jobs', jobs[0]['id'])}*")


async def test_a_theme_is_remembered_and_shown_from_the_first_moment(page: Page, tenant: Tenant) -> None:
    await page.emulate_media(color_scheme="light")
    await page.goto(address(tenant, "overview"))
    paper = "getComputedStyle(document.body).backgroundColor"
    light = await page.evaluate(paper)
    await page.get_by_role("button", name="Account of Owner").click()
    await page.get_by_role("button", name="Theme: dark").click()
    dark = await page.evaluate(paper)
    assert dark != light
    await page.reload()
    assert await page.evaluate(paper) == dark
    await page.get_by_role("button", name="Account of Owner").click()
    await page.get_by_role("button", name="Theme: as the system").click()
    assert await page.evaluate(paper) == light
    await page.emulate_media(color_scheme="dark")
    assert await page.evaluate(paper) == dark


@pytest.mark.parametrize("width", [375, 1280, 2560])
async def test_no_page_is_wider_than_the_window(page: Page, tenant: Tenant, width: int) -> None:
    agent = tenant.host("a-host-with-quite-a-long-name-in-a-place-far-away")
    job = await tenant.create(agent, payload={"words": "x" * 400})
    await page.set_viewport_size({"width": width, "height": 800})
    pages = ("overview", "jobs", "jobs/new", f"jobs/{job['id']}", "hosts", f"hosts/{agent.id}", "members")
    for path in [*(address(tenant, each) for each in pages), "/app/orgs", "/app/account"]:
        await page.goto(path)
        await page.locator("main:not([aria-busy]) h1").wait_for()
        found = await page.evaluate("document.documentElement.scrollWidth")
        assert found <= width, f"{path} is {found} px wide"


async def test_on_a_telephone_every_page_is_reached_from_the_bar_below(page: Page, tenant: Tenant) -> None:
    await page.set_viewport_size({"width": 375, "height": 700})
    await page.goto(address(tenant, "overview"))
    bar = page.get_by_role("navigation", name="Pages")
    await bar.get_by_role("link", name="Hosts").click()
    await page.wait_for_url(f"**{address(tenant, 'hosts')}")
    await bar.get_by_role("button", name="More pages").click()
    await bar.get_by_role("link", name="Members").click()
    await page.wait_for_url(f"**{address(tenant, 'members')}")


async def test_actors_are_shown_to_platform_admins_and_to_nobody_else(
    page: Page, context: BrowserContext, tenant: Tenant
) -> None:
    await page.goto("/app/actors")
    await expect(page.get_by_role("heading", name="Not for you")).to_be_visible()
    rows = tenant.plane.rows
    admin = rows.user(tenant.id, "viewer", platform_admin=True)
    sign_in = {"email": give_password(rows, admin), "password": PASSWORD}
    assert (await context.request.post("/api/session", data=sign_in)).status == 201
    agent = tenant.host("eu-7")
    async with tenant.parked(agent):
        await page.goto("/app/actors")
        await expect(page.get_by_role("heading", name="Actors", exact=True)).to_be_visible()
        await page.get_by_role("searchbox").fill(agent.id)
        await expect(page.get_by_role("cell", name="eu-7")).to_be_visible()
        await expect(page.get_by_role("cell", name="poll parked")).to_be_visible()


@pytest.mark.parametrize("path", ["account", "orgs", "device"])
async def test_pages_of_no_organization_show_the_way_to_ones_own(page: Page, tenant: Tenant, path: str) -> None:
    await page.goto(f"/app/{path}")
    links = page.get_by_role("navigation", name="Pages").get_by_role("link")
    await expect(links.first).to_have_attribute("href", address(tenant, "overview"))
    await expect(page.get_by_role("button", name="Organization: acme")).to_be_visible()
    tenant.plane.rows.join(tenant.plane.tenant().id, tenant.user_ids["owner"], "viewer")
    await page.goto(address(tenant, "jobs"))
    await page.goto(f"/app/{path}")
    await expect(links.first).to_have_attribute("href", address(tenant, "overview"))


def forget_what_did_not_load(troubles: Troubles) -> None:
    """The browser complains of a file that it asked for without a network."""
    troubles.seen = [each for each in troubles.seen if "ERR_INTERNET_DISCONNECTED" not in each]


async def test_a_page_that_is_asked_for_while_the_connection_is_lost_comes_when_it_is_back(
    page: Page, context: BrowserContext, tenant: Tenant, troubles: Troubles
) -> None:
    tenant.host("eu-7")
    await page.goto(address(tenant, "jobs"))
    await expect(page.get_by_role("button", name="Live", exact=True)).to_be_visible()
    await context.set_offline(offline=True)
    await expect(page.get_by_role("button", name="Connection lost")).to_be_visible()
    for name in ("Hosts", "Overview", "Hosts"):
        await page.get_by_role("navigation", name="Pages").get_by_role("link", name=name).click()
        await expect(page.get_by_role("heading", name="The server cannot answer")).to_be_visible()
    await context.set_offline(offline=False)
    await expect(page.get_by_role("heading", name="Hosts")).to_be_visible()
    await expect(page.get_by_role("link", name="eu-7")).to_be_visible()
    forget_what_did_not_load(troubles)


async def test_a_page_of_no_organization_waits_for_the_connection_too(
    page: Page, context: BrowserContext, tenant: Tenant, troubles: Troubles
) -> None:
    await page.goto(address(tenant, "jobs"))
    await expect(page.get_by_role("button", name="Live", exact=True)).to_be_visible()
    await context.set_offline(offline=True)
    await expect(page.get_by_role("button", name="Connection lost")).to_be_visible()
    await page.get_by_role("button", name="Account of Owner").click()
    await page.get_by_role("link", name="Password and sessions").click()
    await expect(page.get_by_role("heading", name="The server cannot answer")).to_be_visible()
    await context.set_offline(offline=False)
    await expect(page.get_by_role("heading", name="Account")).to_be_visible()
    forget_what_did_not_load(troubles)


@pytest.mark.parametrize(("path", "way"), [("xyz", "To the overview"), ("orgs/{org}/xyz/1", "To the overview")])
async def test_an_address_of_no_page_has_a_way_out(page: Page, tenant: Tenant, path: str, way: str) -> None:
    await page.goto("/app/" + path.format(org=tenant.id))
    await expect(page.get_by_role("heading", name="Not here")).to_be_visible()
    links = page.get_by_role("navigation", name="Pages").get_by_role("link")
    await expect(links.first).to_have_attribute("href", address(tenant, "overview"))
    await expect(page.get_by_role("button", name="Account of Owner")).to_be_visible()
    await expect(page.get_by_text("Paused")).to_be_hidden()
    await page.get_by_role("main").get_by_role("link", name=way).click()
    await expect(page.get_by_role("heading", name="acme")).to_be_visible()


@pytest.mark.parametrize("part", ["jobs", "hosts", "types"])
async def test_what_is_gone_leads_back_to_its_list(page: Page, tenant: Tenant, part: str) -> None:
    await page.goto(address(tenant, part, "0c000000-0000-7000-8000-000000000000"))
    way = {"jobs": "To the jobs", "hosts": "To the hosts", "types": "To the job types"}[part]
    await page.get_by_role("main").get_by_role("link", name=way).click()
    await page.wait_for_url(f"**{address(tenant, part)}")
    await expect(
        page.get_by_role("heading", name={"types": "Job types"}.get(part, part.title()), exact=True)
    ).to_be_visible()
