"""Pages on which little happens: what somebody else changes meanwhile shows up, and nothing that was typed is lost."""

from typing import Any

from playwright.async_api import Page, expect

from tests.support.browsers import person
from tests.support.callers import Tenant
from tests.support.page_parts import row
from tests.support.screens import address


async def put_type(tenant: Tenant, name: str, **values: Any) -> None:
    """Somebody else saves a type."""
    reply = await tenant.as_role("admin").ask("PUT", f"{tenant.path}/job-types/{name}", values)
    assert reply.status in {200, 201}, reply


async def put_settings(tenant: Tenant, **platform: str) -> None:
    """Somebody else saves the settings."""
    reply = await tenant.as_role("admin").ask("PUT", f"{tenant.path}/settings", {"platform": platform})
    assert reply.status == 200, reply


async def test_a_type_that_somebody_makes_or_deletes_comes_and_goes(page: Page, tenant: Tenant) -> None:
    await page.goto(address(tenant, "types"))
    await expect(row(page, "SERVER_START")).to_be_visible()
    await put_type(tenant, "crawl", maxAttempts=7)
    await expect(row(page, "crawl").get_by_role("cell").nth(4)).to_have_text("7")
    await put_type(tenant, "crawl", maxAttempts=8)
    await expect(row(page, "crawl").get_by_role("cell").nth(4)).to_have_text("8")
    assert (await tenant.as_role("admin").ask("DELETE", f"{tenant.path}/job-types/crawl")).status == 204
    await expect(row(page, "crawl")).to_have_count(0)


async def test_a_type_that_nobody_edits_here_is_shown_as_it_is_now(page: Page, tenant: Tenant) -> None:
    await put_type(tenant, "crawl", maxAttempts=2)
    await page.goto(address(tenant, "types", "crawl"))
    await expect(page.get_by_label("Attempts")).to_have_value("2")
    await put_type(tenant, "crawl", maxAttempts=5)
    await expect(page.get_by_label("Attempts")).to_have_value("5")
    await expect(page.get_by_text("Version 2")).to_be_visible()


async def test_what_is_typed_about_a_type_stays_and_both_changes_are_kept(page: Page, tenant: Tenant) -> None:
    await put_type(tenant, "crawl", maxAttempts=2, timeoutSeconds=60)
    await page.goto(address(tenant, "types", "crawl"))
    await page.get_by_label("Timeout, seconds").fill("99")
    await put_type(tenant, "crawl", maxAttempts=5, timeoutSeconds=60)
    await expect(page.get_by_text("Somebody else has changed this type meanwhile.")).to_be_visible()
    await page.get_by_label("Timeout, seconds").fill("100")
    await expect(page.get_by_label("Attempts")).to_have_value("2")
    await page.get_by_role("button", name="Show what has changed").click()
    await page.get_by_label("Timeout, seconds").fill("101")
    await page.get_by_role("button", name="Keep mine").click()
    await expect(page.get_by_label("Attempts")).to_have_value("5")
    await expect(page.get_by_label("Timeout, seconds")).to_have_value("101")
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(page.get_by_text("Saved as version 3")).to_be_visible()


async def test_a_type_that_is_deleted_while_it_is_edited_can_be_made_anew(page: Page, tenant: Tenant) -> None:
    await put_type(tenant, "crawl", maxAttempts=2)
    await page.goto(address(tenant, "types", "crawl"))
    await page.get_by_label("Attempts").fill("4")
    assert (await tenant.as_role("admin").ask("DELETE", f"{tenant.path}/job-types/crawl")).status == 204
    await expect(page.get_by_text("crawl was deleted")).to_be_visible()
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(page.get_by_text("Saved as version 1")).to_be_visible()
    await expect(page.get_by_label("Attempts")).to_have_value("4")


async def test_settings_that_nobody_edits_here_are_shown_as_they_are_now(page: Page, tenant: Tenant) -> None:
    await page.goto(address(tenant, "settings"))
    await expect(page.get_by_text("As every organization begins.")).to_be_visible()
    await put_settings(tenant, region="eu")
    await expect(page.get_by_text("Version 1, saved")).to_be_visible()
    await expect(page.get_by_label("Value of region")).to_have_value("eu")


async def test_what_is_typed_in_the_settings_stays(page: Page, tenant: Tenant) -> None:
    await put_settings(tenant, region="eu", zone="a")
    await page.goto(address(tenant, "settings"))
    await page.get_by_label("Value of zone").fill("b")
    await put_settings(tenant, region="us", zone="a")
    await expect(page.get_by_text("Somebody else has changed this document meanwhile.")).to_be_visible()
    await expect(page.get_by_label("Value of zone")).to_have_value("b")
    await page.get_by_role("button", name="Show what has changed").click()
    await page.get_by_role("button", name="Keep mine").click()
    await expect(page.get_by_label("Value of region")).to_have_value("us")
    await expect(page.get_by_label("Value of zone")).to_have_value("b")


async def test_a_member_who_comes_changes_and_goes_is_seen(page: Page, tenant: Tenant) -> None:
    other = tenant.plane.tenant()
    email = person(other, "viewer")
    await page.goto(address(tenant, "members"))
    owner = tenant.as_role("owner")
    await expect(row(page, "(you)")).to_be_visible()
    assert (await owner.post(f"{tenant.path}/members", {"email": email, "role": "viewer"})).status == 201
    await expect(row(page, email).get_by_role("combobox")).to_have_value("viewer")
    path = f"{tenant.path}/members/{other.user_ids['viewer']}"
    assert (await owner.ask("PATCH", path, {"role": "admin"})).status == 200
    await expect(row(page, email).get_by_role("combobox")).to_have_value("admin")
    assert (await owner.ask("DELETE", path)).status == 204
    await expect(row(page, email)).to_have_count(0)


async def test_whose_own_role_is_changed_sees_what_is_left(page: Page, tenant: Tenant) -> None:
    second = tenant.plane.rows.user(tenant.id, "owner")
    await page.goto(address(tenant, "members"))
    await expect(page.get_by_role("button", name="Add a member")).to_be_visible()
    caller = tenant.plane.caller(tenant.plane.rows.token(second))
    path = f"{tenant.path}/members/{tenant.user_ids['owner']}"
    assert (await caller.ask("PATCH", path, {"role": "viewer"})).status == 200
    await expect(page.get_by_role("button", name="Add a member")).to_have_count(0)
    await expect(page.get_by_role("link", name="Audit")).to_have_count(0)


async def test_new_lines_of_the_trail_come_by_themselves_and_are_offered_further_down(
    page: Page, tenant: Tenant
) -> None:
    for number in range(30):
        await put_type(tenant, f"type-{number}")
    await page.goto(address(tenant, "audit"))
    trail = page.get_by_role("list", name="Audit trail").get_by_role("listitem")
    await expect(trail.filter(has_text="type-29")).to_have_count(1)
    await put_type(tenant, "crawl")
    await expect(trail.first).to_contain_text("crawl")
    await page.evaluate("scrollTo(0, 500)")
    await put_type(tenant, "another")
    offer = page.get_by_role("button", name="1 new")
    await expect(offer).to_be_visible()
    await expect(trail.first).to_contain_text("crawl")
    await offer.click()
    await expect(trail.first).to_contain_text("another")
    await expect(offer).to_have_count(0)
