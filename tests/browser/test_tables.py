"""Tables and filters with long names and on small screens: what there is stays in sight, or shows that there is more."""

import pytest
from playwright.async_api import BrowserContext, Locator, Page, expect

from tests.support.browsers import PASSWORD, give_password
from tests.support.callers import Tenant
from tests.support.screens import address

LONG = "A-VERY-LONG-NAME-WITHOUT-ANY-BREAK-" * 3


async def ends_at(place: Locator) -> float:
    """Where it ends, in px from the left."""
    await expect(place).to_be_visible()
    box = await place.bounding_box()
    assert box is not None
    return box["x"] + box["width"]


async def top_of(place: Locator) -> float:
    """Where it begins, in px from above."""
    await expect(place).to_be_visible()
    box = await place.bounding_box()
    assert box is not None
    return box["y"]


async def test_a_long_name_leaves_the_other_columns_of_the_actors_in_sight(
    page: Page, context: BrowserContext, tenant: Tenant
) -> None:
    rows = tenant.plane.rows
    admin = rows.user(tenant.id, "viewer", platform_admin=True)
    sign_in = {"email": give_password(rows, admin), "password": PASSWORD}
    assert (await context.request.post("/api/session", data=sign_in)).status == 201
    agent = tenant.host(LONG)
    await page.set_viewport_size({"width": 1440, "height": 900})
    async with tenant.parked(agent):
        await page.goto("/app/actors")
        await page.get_by_role("searchbox").fill(agent.id)
        await expect(page.get_by_role("cell", name=LONG).locator("[title]")).to_have_attribute("title", LONG)
        assert await ends_at(page.get_by_role("columnheader", name="Last message")) <= 1440


async def test_a_long_name_leaves_the_other_columns_of_the_instances_in_sight(page: Page, tenant: Tenant) -> None:
    agent = tenant.host(LONG)
    owner = tenant.as_role("owner")
    reply = await owner.post(f"{tenant.path}/server-instances", {"hostId": agent.id, "name": f"on-{LONG}"})
    assert reply.status == 201, reply
    await page.set_viewport_size({"width": 1440, "height": 900})
    await page.goto(address(tenant, "instances"))
    row = page.get_by_role("row").filter(has_text=f"on-{LONG}")
    assert await ends_at(row.get_by_role("button", name="More about")) <= 1440
    await expect(row.get_by_title(f"on-{LONG}", exact=True)).to_be_visible()
    await expect(row.get_by_title(LONG, exact=True)).to_be_visible()
    assert await row.evaluate("(row) => row.offsetHeight") < 60


async def test_a_long_name_takes_one_line_of_the_table_of_hosts(page: Page, tenant: Tenant) -> None:
    tenant.host(LONG)
    await page.goto(address(tenant, "hosts") + "?view=table")
    name = page.get_by_role("link", name=LONG)
    await expect(name).to_have_attribute("title", LONG)
    assert await name.evaluate("(name) => name.closest('.host-row').offsetHeight") < 60


@pytest.mark.parametrize("width", [390, 1440])
async def test_the_host_filter_of_instances_stands_beside_the_search(page: Page, tenant: Tenant, width: int) -> None:
    tenant.host(LONG)
    await page.set_viewport_size({"width": width, "height": 900})
    await page.goto(address(tenant, "instances"))
    search = page.get_by_role("searchbox", name="Search instances")
    host = page.get_by_role("combobox", name="Host")
    assert await top_of(search) == await top_of(host)
    assert await ends_at(host) <= width


async def test_a_table_that_is_wider_than_the_screen_shows_that_it_goes_on(page: Page, tenant: Tenant) -> None:
    reply = await tenant.as_role("admin").ask("PUT", f"{tenant.path}/job-types/{LONG[:-1][:90]}", {})
    assert reply.status == 201, reply
    await page.set_viewport_size({"width": 390, "height": 844})
    await page.goto(address(tenant, "types"))
    assert await ends_at(page.get_by_role("columnheader", name="Type")) < 300  # so that the next is seen to begin
    box = page.locator(".table-box")
    assert await box.evaluate("(box) => box.scrollWidth > box.clientWidth")
    shadow = await box.evaluate("(box) => getComputedStyle(box).backgroundAttachment")
    assert shadow == "local, local, scroll, scroll, scroll"


async def test_on_a_telephone_all_states_and_filters_of_jobs_are_on_the_screen(page: Page, tenant: Tenant) -> None:
    tenant.host(LONG)
    await page.set_viewport_size({"width": 390, "height": 844})
    await page.goto(address(tenant, "jobs"))
    for state in ("All", "Pending", "Running", "Completed", "Failed", "Cancelled"):
        assert await ends_at(page.get_by_role("button", name=state, exact=True)) <= 390
    for label in ("Type", "Host", "Created by", "Created", "Order", "Rows"):
        assert await ends_at(page.get_by_label(label, exact=True)) <= 390
