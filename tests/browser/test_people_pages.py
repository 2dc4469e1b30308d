"""Members, the audit trail and one's account."""

from urllib.parse import urlsplit

from playwright.async_api import Page, expect

from tests.support.browsers import PASSWORD, person
from tests.support.callers import Tenant
from tests.support.furnished import furnish
from tests.support.page_parts import choose, row
from tests.support.screens import address

# ---- members ---------------------------------------------------------------------------------------------------


async def test_a_member_is_let_in_gets_another_role_and_is_shown_out(page: Page, tenant: Tenant) -> None:
    email = person(tenant.plane.tenant(), "viewer")
    await page.goto(address(tenant, "members"))
    await page.get_by_role("button", name="Add a member").click()
    await page.get_by_label("E-mail address").fill(email)
    await choose(page, "Add")
    await expect(row(page, email)).to_be_visible()
    await row(page, email).get_by_role("combobox").select_option("Admin")
    await expect(page.get_by_text("is admin now")).to_be_visible()
    await row(page, email).get_by_role("button", name="Remove").click()
    await choose(page, "Remove")
    await expect(row(page, email)).to_have_count(0)


async def test_for_an_address_without_an_account_the_command_that_makes_one_is_shown(
    page: Page, tenant: Tenant
) -> None:
    await page.goto(address(tenant, "members"))
    await page.get_by_role("button", name="Add a member").click()
    await page.get_by_label("E-mail address").fill("nobody@example.com")
    await choose(page, "Add")
    shown = page.get_by_role("dialog").locator(".copy-text")
    await expect(shown).to_contain_text(
        f"interlock admin create-user --email nobody@example.com --name nobody --org {tenant.id}"
    )


async def test_the_last_owner_can_neither_leave_nor_become_less(page: Page, tenant: Tenant) -> None:
    await page.goto(address(tenant, "members"))
    own = row(page, "(you)")
    await own.get_by_role("combobox").select_option("Viewer")
    await choose(page, "Change it")
    await expect(page.get_by_role("alert").filter(has_text="Owner is the last owner")).to_be_visible()
    await expect(own.get_by_role("combobox")).to_have_value("owner")
    await own.get_by_role("button", name="Remove").click()
    await choose(page, "Remove")
    await expect(own).to_be_visible()


# ---- the audit trail -------------------------------------------------------------------------------------------


async def test_the_trail_is_narrowed_and_opened(page: Page, tenant: Tenant) -> None:
    there = await furnish(tenant)
    await page.goto(address(tenant, "audit"))
    trail = page.get_by_role("list", name="Audit trail").get_by_role("listitem")
    await expect(trail.filter(has_text="Owner changed host eu-2")).to_have_count(1)
    await page.get_by_label("Action").select_option("drained host")
    await expect(trail).to_have_count(1)
    await expect(trail).to_contain_text("Owner drained host us-1")
    await trail.get_by_role("button", name="Details").click()
    await expect(trail).to_contain_text("drainUntil")
    await trail.get_by_role("button", name="Only this target").click()
    assert urlsplit(page.url).query == f"action=host.drain&targetId={there.draining.id}"
    await page.get_by_role("button", name="Show all").click()
    await expect(trail.filter(has_text="created job").first).to_be_visible()


async def test_a_role_that_was_changed_is_shown_before_and_after(page: Page, tenant: Tenant) -> None:
    tenant.as_role("viewer")
    path = f"{tenant.path}/members/{tenant.user_ids['viewer']}"
    await tenant.as_role("owner").ask("PATCH", path, {"role": "admin"})
    await page.goto(address(tenant, "audit"))
    trail = page.get_by_role("listitem").filter(has_text="Owner changed the role of Viewer")
    await trail.get_by_role("button", name="Details").click()
    await expect(trail.locator(".was")).to_have_text("viewer")
    await expect(trail.locator(".is")).to_have_text("admin")


async def test_a_host_that_was_changed_is_shown_before_and_after(page: Page, tenant: Tenant) -> None:
    host = tenant.host("eu-1")
    owner, path = tenant.as_role("owner"), f"{tenant.path}/hosts/{host.id}"
    await owner.ask("PATCH", path, {"name": "eu-9", "labels": {"zone": "eu"}})
    await page.goto(address(tenant, f"audit?action=host.update&targetId={host.id}"))
    await page.get_by_role("button", name="Details").click()
    await expect(row(page, "name").get_by_role("cell")).to_have_text(["eu-1", "eu-9"])
    await expect(row(page, "labels.zone").get_by_role("cell")).to_have_text(["not set", "eu"])


# ---- one's account ---------------------------------------------------------------------------------------------


async def test_a_password_is_changed_once_the_present_one_is_right(page: Page, tenant: Tenant) -> None:
    await page.goto("/app/account")
    await _passwords(page, "wrong", "a new long password")
    await expect(page.get_by_label("Present password")).to_have_attribute("aria-invalid", "true")
    await _passwords(page, PASSWORD, "a new long password", "another")
    await expect(page.get_by_label("New password again")).to_have_attribute("aria-invalid", "true")
    await _passwords(page, PASSWORD, "a new long password")
    await expect(page.get_by_text("The password is changed")).to_be_visible()
    email = f"{tenant.user_ids['owner']}@example.com"
    for password, status in ((PASSWORD, 401), ("a new long password", 201)):
        reply = await tenant.plane.stranger.post("/api/session", {"email": email, "password": password})
        assert reply.status == status


async def test_another_session_is_ended(page: Page, tenant: Tenant) -> None:
    account = {"email": f"{tenant.user_ids['owner']}@example.com", "password": PASSWORD}
    assert (await tenant.plane.stranger.post("/api/session", account)).status == 201
    await page.goto("/app/account")
    sessions = page.get_by_role("region", name="Sessions").get_by_role("listitem")
    await expect(sessions).to_have_count(2)
    await sessions.get_by_role("button", name="End").click()
    await expect(sessions).to_have_count(1)
    await expect(sessions).to_contain_text("this one")


async def test_a_theme_is_chosen_and_remembered(page: Page) -> None:
    await page.goto("/app/account")
    await page.get_by_label("Dark").check()
    dark = await page.evaluate("getComputedStyle(document.body).backgroundColor")
    await page.reload()
    await expect(page.get_by_label("Dark")).to_be_checked()
    assert await page.evaluate("getComputedStyle(document.body).backgroundColor") == dark
    await page.get_by_label("Light").check()
    assert await page.evaluate("getComputedStyle(document.body).backgroundColor") != dark


async def _passwords(page: Page, present: str, fresh: str, again: str | None = None) -> None:
    await page.get_by_label("Present password").fill(present)
    await page.get_by_label("New password", exact=True).fill(fresh)
    await page.get_by_label("New password again").fill(fresh if again is None else again)
    await page.get_by_role("button", name="Change the password").click()
