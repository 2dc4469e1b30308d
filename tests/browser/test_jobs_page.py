"""The list of jobs: what it narrows to, what happens in it while one looks, and many jobs changed at once."""

from urllib.parse import parse_qs, urlsplit

from playwright.async_api import Locator, Page, expect

from tests.support.callers import Agent, Document, Tenant
from tests.support.screens import address


def rows(page: Page) -> Locator:
    return page.locator("main tr[data-row]")


def row(page: Page, job: Document) -> Locator:
    return page.locator(f"main tr[data-row='{job['id']}']")


def asked(page: Page) -> dict[str, list[str]]:
    """The query of the address bar."""
    return parse_qs(urlsplit(page.url).query)


async def some(tenant: Tenant, host: Agent, count: int) -> list[Document]:
    return [await tenant.create(host, job_type="SEARCH_SINGLE", payload={"query": f"town {i}"}) for i in range(count)]


async def test_jobs_are_shown_newest_first_with_their_payload_and_host(page: Page, tenant: Tenant) -> None:
    made = await some(tenant, tenant.host("eu-3"), 3)
    await page.goto(address(tenant, "jobs"))
    await expect(rows(page)).to_have_count(3)
    await expect(rows(page).first).to_have_attribute("data-row", made[-1]["id"])
    await expect(rows(page).first).to_contain_text("SEARCH_SINGLE query=town 2")
    await expect(rows(page).first.get_by_role("link", name="eu-3")).to_be_visible()
    await expect(rows(page).first).to_contain_text("host is offline")


async def test_filters_stand_in_the_address_and_hold_when_it_is_opened(page: Page, tenant: Tenant) -> None:
    host = tenant.host()
    waiting, other = await some(tenant, host, 2)
    assert (await tenant.cancel(other)).status == 200
    await page.goto(address(tenant, "jobs"))
    await page.get_by_role("button", name="Pending").click()
    await expect(rows(page)).to_have_count(1)
    await expect(row(page, waiting)).to_be_visible()
    await page.get_by_role("searchbox", name="Search jobs").fill("town 0")
    await page.get_by_label("Host", exact=True).select_option(label="eu-1")
    await expect(page.locator("select.jf-set")).to_have_count(1)
    assert asked(page) == {"status": ["PENDING"], "hostId": [host.id], "q": ["town 0"]}
    await page.reload()
    await expect(page.get_by_role("searchbox", name="Search jobs")).to_have_value("town 0")
    await expect(page.get_by_role("button", name="Pending")).to_have_attribute("aria-pressed", "true")
    await expect(rows(page)).to_have_count(1)
    await page.get_by_role("searchbox", name="Search jobs").fill("no such thing")
    await expect(page.get_by_role("heading", name="No job matches")).to_be_visible()
    await page.get_by_role("button", name="Clear the filter").click()
    await expect(rows(page)).to_have_count(2)


async def test_pages_are_walked_with_the_browser_s_own_way_back(page: Page, tenant: Tenant) -> None:
    host = tenant.host()
    jobs = [{"type": "SEARCH_SINGLE", "hostId": host.id} for _ in range(55)]
    assert (await tenant.user.post(f"{tenant.jobs_path}/batch", {"jobs": jobs})).status == 200
    await page.goto(address(tenant, "jobs"))
    await expect(rows(page)).to_have_count(50)
    await page.get_by_role("link", name="Older").click()
    await expect(rows(page)).to_have_count(5)
    assert "cursor" in asked(page)
    await page.go_back()
    await expect(rows(page)).to_have_count(50)
    await page.get_by_label("Rows").select_option("100")
    await expect(rows(page)).to_have_count(55)


async def test_rows_change_in_place_and_new_ones_wait_behind_a_pill(page: Page, tenant: Tenant) -> None:
    host = tenant.host()
    (job,) = await some(tenant, host, 1)
    await page.goto(address(tenant, "jobs"))
    await expect(row(page, job)).to_contain_text("pending")
    run = await host.take()
    await expect(row(page, job)).to_contain_text("running")
    await host.progress(run["jobRunId"], 40)
    await expect(row(page, job)).to_contain_text("40 %")
    await some(tenant, host, 2)
    await expect(page.get_by_role("button", name="Show 2 new jobs")).to_be_visible()
    await expect(rows(page)).to_have_count(1)
    await host.finish(run["jobRunId"], "failed", errorMessage="no such town", retryable=False)
    await expect(row(page, job)).to_contain_text("no such town")
    await page.get_by_role("button", name="Show 2 new jobs").click()
    await expect(rows(page)).to_have_count(3)
    await expect(page.get_by_role("button", name="Show 2 new jobs")).to_be_hidden()


async def test_a_selection_is_counted_and_then_cancelled(page: Page, tenant: Tenant) -> None:
    first, second, third = await some(tenant, tenant.host(), 3)
    assert (await tenant.cancel(third)).status == 200
    await page.goto(address(tenant, "jobs"))
    for job in (first, second, third):
        await row(page, job).get_by_role("checkbox").check()
    await expect(page.get_by_text("3 jobs selected")).to_be_visible()
    await page.get_by_role("region", name="Selected jobs").get_by_role("button", name="Cancel …").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog.get_by_role("heading", name="Cancel 2 jobs?")).to_be_visible()
    await expect(dialog.get_by_text("1 selected job is in no state for it")).to_be_visible()
    await dialog.get_by_role("button", name="Cancel 2 jobs").click()
    await expect(page.get_by_text("2 jobs cancelled, 1 left alone.")).to_be_visible()
    await expect(row(page, first)).to_contain_text("cancelled")
    assert (await tenant.show(second))["status"] == "CANCELLED"


async def test_all_jobs_that_match_are_retried_beyond_the_page(page: Page, tenant: Tenant) -> None:
    host = tenant.host()
    jobs = [{"type": "SEARCH_SINGLE", "hostId": host.id} for _ in range(60)]
    assert (await tenant.user.post(f"{tenant.jobs_path}/batch", {"jobs": jobs})).status == 200
    assert (await tenant.user.post(f"{tenant.jobs_path}/bulk", {"op": "cancel", "filter": {}})).json["done"] == 60
    await page.goto(address(tenant, "jobs") + "?status=CANCELLED")
    await page.get_by_role("checkbox", name="Select all jobs on this page").check()
    await page.get_by_role("button", name="Select all that match").click()
    await page.get_by_role("region", name="Selected jobs").get_by_role("button", name="Retry …").click()
    await page.get_by_role("dialog").get_by_role("button", name="Retry 60 jobs").click()
    await expect(page.get_by_text("60 jobs tried again.")).to_be_visible()
    counted = await tenant.user.post(f"{tenant.jobs_path}/bulk", {"op": "retry", "filter": {}, "dryRun": True})
    assert counted.json["matched"] == 0


async def test_the_list_is_walked_selected_and_opened_by_keys(page: Page, tenant: Tenant) -> None:
    made = await some(tenant, tenant.host(), 3)
    await page.goto(address(tenant, "jobs"))
    await expect(rows(page)).to_have_count(3)
    await page.keyboard.press("/")
    await expect(page.get_by_role("searchbox", name="Search jobs")).to_be_focused()
    await page.keyboard.press("j")
    await expect(page.get_by_role("searchbox", name="Search jobs")).to_have_value("j")
    await page.keyboard.press("Backspace")
    await page.keyboard.press("Tab")
    await expect(rows(page)).to_have_count(3)
    await page.locator("main").focus()
    await page.keyboard.press("j")
    await page.keyboard.press("j")
    await expect(row(page, made[1])).to_be_focused()
    await page.keyboard.press("x")
    await expect(row(page, made[1]).get_by_role("checkbox")).to_be_checked()
    await page.keyboard.press("k")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="SEARCH_SINGLE query=town 2")).to_be_visible()


def head(page: Page, name: str) -> Locator:
    return page.get_by_role("columnheader", name=name)


async def sort_by(page: Page, name: str, order: str) -> None:
    """One more click on the head of a column, after which it says that order."""
    await head(page, name).get_by_role("button").click()
    await expect(head(page, name)).to_have_attribute("aria-sort", order)


async def shown_in_order(page: Page, *jobs: Document) -> None:
    await expect(rows(page)).to_have_count(len(jobs))
    for place, job in enumerate(jobs):
        await expect(rows(page).nth(place)).to_have_attribute("data-row", job["id"])


async def test_the_whole_list_is_sorted_by_the_heads_of_its_columns(page: Page, tenant: Tenant) -> None:
    host = tenant.host()
    first, second, third = await some(tenant, host, 3)
    assert (await tenant.cancel(second)).status == 200
    await host.finish((await host.take())["jobRunId"])
    await page.goto(address(tenant, "jobs"))
    await expect(head(page, "Created")).to_have_attribute("aria-sort", "descending")
    await shown_in_order(page, third, second, first)
    await sort_by(page, "Created", "ascending")
    await shown_in_order(page, first, second, third)
    await sort_by(page, "Ended", "descending")
    await expect(head(page, "Created")).not_to_have_attribute("aria-sort", "ascending")
    await shown_in_order(page, first, second, third)
    await sort_by(page, "Ended", "ascending")
    await shown_in_order(page, second, first, third)
    assert asked(page) == {"sort": ["completedAt"]}
    await page.reload()
    await shown_in_order(page, second, first, third)
    await sort_by(page, "Status", "ascending")
    await shown_in_order(page, third, first, second)
    await sort_by(page, "Status", "descending")
    await shown_in_order(page, second, first, third)
    await head(page, "Status").get_by_role("button").click()
    await shown_in_order(page, third, second, first)
    assert asked(page) == {}


async def test_a_sorted_list_is_walked_page_by_page(page: Page, tenant: Tenant) -> None:
    host = tenant.host()
    jobs = [{"type": "SEARCH_SINGLE", "hostId": host.id} for _ in range(55)]
    made = (await tenant.user.post(f"{tenant.jobs_path}/batch", {"jobs": jobs})).json["results"]
    await page.goto(address(tenant, "jobs") + "?sort=createdAt")
    await expect(rows(page)).to_have_count(50)
    await page.get_by_role("link", name="Next").click()
    await expect(rows(page)).to_have_count(5)
    await expect(rows(page).last).to_have_attribute("data-row", made[-1]["job"]["id"])
    await page.get_by_role("link", name="First page").click()
    await expect(rows(page).first).to_have_attribute("data-row", made[0]["job"]["id"])


async def test_what_has_just_ended_waits_behind_the_pill_of_a_list_that_is_sorted_by_ends(
    page: Page, tenant: Tenant
) -> None:
    host = tenant.host()
    first, second = await some(tenant, host, 2)
    assert (await tenant.cancel(first)).status == 200
    await page.goto(address(tenant, "jobs") + "?sort=-completedAt&status=CANCELLED")
    await shown_in_order(page, first)
    await some(tenant, host, 1)
    assert (await tenant.cancel(second)).status == 200
    await page.get_by_role("button", name="Show 1 new job").click()
    await shown_in_order(page, second, first)


async def test_on_a_small_screen_the_order_is_chosen_from_a_list(page: Page, tenant: Tenant) -> None:
    made = await some(tenant, tenant.host(), 2)
    await page.set_viewport_size({"width": 375, "height": 700})
    await page.goto(address(tenant, "jobs"))
    await page.get_by_label("Order").select_option("Oldest first")
    await shown_in_order(page, *made)
    assert asked(page) == {"sort": ["createdAt"]}


async def test_an_empty_list_says_what_to_type_next(page: Page, tenant: Tenant) -> None:
    await page.goto(address(tenant, "jobs"))
    await expect(page.get_by_role("heading", name="No jobs yet")).to_be_visible()
    await expect(page.get_by_text("interlock jobs create")).to_be_visible()


async def test_who_comes_back_from_a_job_goes_on_from_its_row(page: Page, tenant: Tenant) -> None:
    made = await some(tenant, tenant.host(), 4)
    await page.goto(address(tenant, "jobs"))
    await expect(rows(page)).to_have_count(4)
    for _ in range(3):
        await page.keyboard.press("j")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="SEARCH_SINGLE query=town 1")).to_be_visible()
    await page.go_back()
    await expect(row(page, made[1])).to_be_focused()
    await page.keyboard.press("j")
    await expect(row(page, made[0])).to_be_focused()
