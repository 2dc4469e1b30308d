"""One host's page: its line and how it is rearranged, what holds it back, its keys, its instances, its jobs."""

import pytest
from playwright.async_api import BrowserContext, Locator, Page, expect

from tests.support.callers import Agent, Tenant
from tests.support.furnished import Furnished, furnish
from tests.support.page_parts import choose
from tests.support.screens import address, signed_in


def panel(page: Page, name: str) -> Locator:
    """The part of the page of that name."""
    return page.get_by_role("region", name=name, exact=True)


def line(page: Page) -> Locator:
    """The rows of the jobs in line."""
    return page.get_by_role("list", name="Jobs in line").get_by_role("listitem")


async def visit(page: Page, tenant: Tenant, host: Agent) -> None:
    """Open the host's page and wait until it is there."""
    await page.goto(address(tenant, "hosts", host.id))
    await expect(panel(page, "Now")).to_be_visible()


async def in_line(there: Furnished) -> list[str]:
    """The jobs in line as the server has them."""
    return [run["jobId"] for run in (await there.tenant.queue(there.busy))["pending"]]


async def test_it_shows_what_runs_and_what_waits_in_order(page: Page, tenant: Tenant) -> None:
    there = await furnish(tenant)
    await visit(page, tenant, there.busy)
    await expect(panel(page, "Now")).to_contain_text("SERVER_RESTART runs for")
    await expect(line(page)).to_have_count(3)
    links = line(page).get_by_role("link", name="SERVER_START")
    shown = [await links.nth(at).get_attribute("data-row") for at in range(3)]
    assert shown == await in_line(there)
    await expect(panel(page, "Jobs")).to_contain_text("The port is taken")


async def test_the_line_moves_as_jobs_come_and_end(page: Page, tenant: Tenant) -> None:
    there = await furnish(tenant)
    await visit(page, tenant, there.busy)
    await tenant.create(there.busy, job_type="SERVER_STOP")
    await expect(line(page)).to_have_count(4)
    await there.busy.finish(there.running["jobRuns"][0]["id"])
    await there.busy.take(1, instance="process-1")
    await expect(line(page)).to_have_count(3)
    await expect(panel(page, "Now")).to_contain_text("SERVER_START runs for")


async def test_focus_stays_where_it_is_while_the_line_moves(page: Page, tenant: Tenant) -> None:
    there = await furnish(tenant)
    await visit(page, tenant, there.busy)
    second = line(page).nth(1).get_by_role("button", name="Hold")
    await second.focus()
    await there.busy.finish(there.running["jobRuns"][0]["id"])
    await there.busy.take(1, instance="process-1")
    await tenant.create(there.busy, job_type="SERVER_STOP")
    await expect(line(page).nth(2)).to_contain_text("SERVER_STOP")
    await expect(line(page).nth(0).get_by_role("button", name="Hold")).to_be_focused()


async def test_jobs_are_moved_held_released_and_dropped(page: Page, tenant: Tenant) -> None:
    there = await furnish(tenant)
    first, _, third = (job["id"] for job in there.waiting)
    await visit(page, tenant, there.busy)
    await line(page).nth(2).get_by_role("button", name="To front").click()
    await expect(line(page).nth(0)).to_contain_text("moved to the front")
    assert (await in_line(there))[0] == third
    await line(page).nth(1).get_by_role("button", name="Hold").click()
    held = line(page).filter(has_text="held")
    await expect(held).to_have_count(1)
    await held.get_by_role("button", name="Release").click()
    await expect(held).to_have_count(0)
    await line(page).nth(1).get_by_role("button", name="Drop").click()
    await choose(page, "Drop it")
    await expect(line(page)).to_have_count(2)
    assert (await tenant.show({"id": first}))["status"] == "CANCELLED"


async def test_what_is_tried_again_later_says_when(page: Page, tenant: Tenant) -> None:
    host = tenant.host()
    await tenant.create(host, job_type="SERVER_STOP", runAt="2100-01-01T00:00:00Z")
    await visit(page, tenant, host)
    await expect(panel(page, "Later")).to_contain_text("SERVER_STOP")
    await expect(panel(page, "Later")).to_contain_text("days")


async def test_a_pause_has_a_note_and_an_end(page: Page, tenant: Tenant) -> None:
    host = tenant.host()
    await visit(page, tenant, host)
    await page.get_by_role("button", name="Pause").click()
    await page.get_by_label("How long").select_option("For an hour")
    await page.get_by_label("Note").fill("new disk")
    await choose(page, "Pause")
    await expect(page.get_by_text("Paused, resumes in 59 min")).to_contain_text("new disk")
    await page.get_by_role("button", name="Resume").click()
    await expect(page.get_by_role("button", name="Pause")).to_be_visible()
    await expect(page.get_by_text("Paused, resumes")).to_have_count(0)


async def test_a_drain_begins_and_ends(page: Page, tenant: Tenant) -> None:
    host = tenant.host()
    await visit(page, tenant, host)
    await page.get_by_role("button", name="Drain").click()
    await page.get_by_label("Deadline").select_option("15 minutes")
    await choose(page, "Drain")
    await expect(page.get_by_text("What still runs is stopped in 14 min")).to_be_visible()
    await page.get_by_role("button", name="End the drain").click()
    await expect(page.get_by_role("button", name="Drain", exact=True)).to_be_visible()


async def test_somebody_else_s_pause_is_seen_at_once(page: Page, tenant: Tenant) -> None:
    host = tenant.host()
    await visit(page, tenant, host)
    await tenant.as_role("admin").ask("PATCH", f"{tenant.path}/hosts/{host.id}", {"paused": True, "note": "mine"})
    await expect(page.get_by_text("Paused until somebody resumes it")).to_contain_text("mine")


async def test_it_gets_another_name_and_labels(page: Page, tenant: Tenant) -> None:
    host = tenant.host()
    await visit(page, tenant, host)
    await page.get_by_role("button", name="Edit").click()
    await page.get_by_label("Name").fill("ap-1")
    await page.get_by_role("textbox", name="Labels").fill("zone=ap\ngpu = yes\nspot")
    await choose(page, "Save")
    await expect(page.get_by_role("heading", name="ap-1")).to_be_visible()
    reply = await tenant.user.get(f"{tenant.path}/hosts/{host.id}")
    assert reply.json["labels"] == {"zone": "ap", "gpu": "yes", "spot": ""}


async def test_an_edit_does_not_undo_what_somebody_else_has_changed(page: Page, tenant: Tenant) -> None:
    host = tenant.host()
    await visit(page, tenant, host)
    await page.get_by_role("button", name="Edit").click()
    await expect(page.get_by_role("dialog")).to_be_visible()
    await tenant.as_role("admin").ask("PATCH", f"{tenant.path}/hosts/{host.id}", {"name": "theirs"})
    await page.get_by_label("Name").fill("mine")
    await choose(page, "Save")
    await expect(page.get_by_role("dialog")).to_contain_text("Somebody has changed it since")
    await choose(page, "Back")
    await expect(page.get_by_role("heading", name="theirs")).to_be_visible()


async def test_a_host_that_runs_a_job_is_deleted_only_when_that_is_confirmed(page: Page, tenant: Tenant) -> None:
    there = await furnish(tenant)
    await visit(page, tenant, there.busy)
    await page.get_by_role("button", name="More").click()
    await page.get_by_role("button", name="Delete the host…").click()
    await choose(page, "Delete the host")
    await expect(page.get_by_role("dialog")).to_contain_text("It runs a job at this moment")
    await choose(page, "End the job and delete")
    await expect(page.get_by_role("heading", name="Hosts", exact=True)).to_be_visible()
    assert (await tenant.user.get(f"{tenant.path}/hosts/{there.busy.id}")).status == 404
    assert (await tenant.show(there.running))["status"] == "CANCELLED"


async def test_a_key_is_issued_shown_once_and_revoked(page: Page, tenant: Tenant) -> None:
    host = tenant.host()
    await visit(page, tenant, host)
    keys = panel(page, "Agent keys")
    await keys.get_by_role("button", name="Rotate").click()
    key = await keys.locator(".copy-text").first.inner_text()
    fresh = Agent(tenant.plane.session, tenant.plane.url, host.id, key, "")
    assert (await fresh.poll(0)).status == 204
    await expect(keys.get_by_role("button", name="Revoke")).to_have_count(2)
    await expect(keys.get_by_role("button", name="Rotate")).to_be_hidden()
    await keys.get_by_role("button", name="I have it").click()
    await expect(keys.locator(".copy-text")).to_have_count(0)
    await keys.get_by_role("button", name="Revoke").first.click()
    await choose(page, "Revoke")
    await expect(keys.get_by_text("1 revoked")).to_be_visible()
    assert (await host.poll(0)).status == 401
    assert (await fresh.poll(0)).status == 204


async def test_an_instance_is_started_by_a_job_of_its_host(page: Page, tenant: Tenant) -> None:
    host = tenant.host()
    await visit(page, tenant, host)
    await page.get_by_role("button", name="Restart dust").click()
    await expect(page.get_by_role("status").get_by_text("Restart of dust is in line")).to_be_visible()
    await expect(line(page)).to_have_count(1)
    taken = await host.take(1)
    assert taken["type"] == "SERVER_RESTART"
    await expect(panel(page, "Now")).to_contain_text("SERVER_RESTART")


async def test_without_an_agent_it_says_how_to_connect_one(page: Page, tenant: Tenant) -> None:
    host = tenant.host()
    await visit(page, tenant, host)
    connect = panel(page, "Connect its agent")
    await expect(connect).to_contain_text(f"export INTERLOCK_URL={tenant.plane.url}")
    async with tenant.parked(host):
        await expect(connect).to_be_hidden()
        await expect(panel(page, "Agent")).to_contain_text("a parked poll")


@pytest.mark.parametrize(("role", "kept"), [("viewer", []), ("operator", ["Hold", "Drop"])])
async def test_who_may_not_change_it_finds_no_buttons_for_that(
    context: BrowserContext, tenant: Tenant, role: str, kept: list[str]
) -> None:
    there = await furnish(tenant, lined_up=1)
    await context.clear_cookies()
    await signed_in(context, tenant, role)
    page = await context.new_page()
    await visit(page, tenant, there.busy)
    await expect(line(page)).to_have_count(1)
    for name in ("Pause", "Drain", "Edit", "Revoke"):
        await expect(page.get_by_role("button", name=name)).to_have_count(0)
    for name in ("Hold", "Drop"):
        await expect(line(page).get_by_role("button", name=name)).to_have_count(int(name in kept))


async def test_a_host_that_somebody_deletes_leads_back_to_the_others(page: Page, tenant: Tenant) -> None:
    host = tenant.host()
    await visit(page, tenant, host)
    job = await tenant.create(host)
    await expect(line(page)).to_have_count(1)
    reply = await tenant.as_role("owner").ask("DELETE", f"{tenant.path}/hosts/{host.id}")
    assert reply.status == 204
    assert (await tenant.show(job))["status"] == "CANCELLED"
    await expect(page.get_by_role("heading", name="Hosts", exact=True)).to_be_visible()


async def test_buttons_and_an_open_menu_stay_while_jobs_come_and_go(page: Page, tenant: Tenant) -> None:
    host = tenant.host("eu-3")
    await tenant.create(host)
    await page.goto(address(tenant, "hosts", host.id))
    await page.get_by_role("button", name="More", exact=True).click()
    await host.take()
    await expect(page.get_by_role("heading", level=1).locator("..")).to_contain_text("running")
    await expect(page.get_by_role("link", name="Its audit trail")).to_be_visible()


async def test_an_agent_that_polls_and_is_at_work_is_not_said_to_be_connected_by_nothing(
    page: Page, tenant: Tenant
) -> None:
    there = await furnish(tenant)
    await visit(page, tenant, there.busy)
    await expect(panel(page, "Agent")).to_contain_text("polls between jobs")
    await visit(page, tenant, there.fresh)
    await expect(panel(page, "Agent")).to_contain_text("nothing at this moment")
