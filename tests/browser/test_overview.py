"""The overview: true while much happens, and after the connection was away."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import APIResponse, Browser, BrowserContext, Page, Route, expect

from tests.support.browsers import QUICK
from tests.support.callers import Agent, Plane, Tenant
from tests.support.screens import address, heard, listen, signed_in, until_heard
from tests.support.server import Rows, Server

RATE = 50  # jobs a second
SECONDS = 2
HIDE = """(hidden) => {
  Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


def tile(name: str) -> str:
    """Where the number of those jobs stands."""
    return f"main .ov-tile:has-text('{name}') strong"


async def finish_all(agent: Agent, count: int, status: str = "success") -> None:
    """Take and end so many jobs, the next one with each report."""
    job = await agent.take()
    for done in range(1, count + 1):
        answer = await agent.finish(job["jobRunId"], status, take_next=done < count, retryable=False)
        job = answer.get("next") or (await agent.take() if done < count else None)


async def create_at_a_rate(tenant: Tenant, agents: list[Agent]) -> None:
    """`RATE` jobs a second for `SECONDS`, spread over the hosts."""
    share = RATE // 5 // len(agents)
    for _ in range(SECONDS * 5):
        jobs = [{"type": "SERVER_START", "hostId": agent.id} for agent in agents for _ in range(share)]
        begun = asyncio.get_running_loop().time()
        reply = await tenant.user.post(f"{tenant.jobs_path}/batch", {"jobs": jobs})
        assert reply.status == 200, reply
        await asyncio.sleep(max(0.0, begun + 0.2 - asyncio.get_running_loop().time()))


async def test_counts_and_cells_are_true_while_fifty_jobs_a_second_pass(page: Page, tenant: Tenant) -> None:
    agents = [tenant.host(f"eu-{number}") for number in range(5)]
    await tenant.create(agents[0])
    await finish_all(agents[0], 1)
    await page.goto(address(tenant, "overview"))
    await expect(page.locator(tile("Completed"))).to_have_text("1")
    await listen(page)
    each = RATE * SECONDS // len(agents)
    await asyncio.gather(create_at_a_rate(tenant, agents), *(finish_all(agent, each) for agent in agents))
    await expect(page.locator(tile("Completed"))).to_have_text(str(1 + RATE * SECONDS))
    await expect(page.locator(tile("Waiting"))).to_have_text("0")
    await expect(page.locator(tile("Running"))).to_have_text("0")
    await expect(page.locator(".ov-cell.idle")).to_have_count(5)
    seqs = [seq for _, seq, _ in await heard(page)]
    assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))


async def test_what_happened_while_the_connection_was_away_is_heard_once(
    page: Page, context: BrowserContext, tenant: Tenant
) -> None:
    agent = tenant.host()
    await page.goto(address(tenant, "overview"))
    await listen(page)
    first = await tenant.create(agent)
    await until_heard(page, 1)
    await context.set_offline(offline=True)
    await expect(page.get_by_role("button", name="Connection lost")).to_be_visible()
    missed = [await tenant.create(agent) for _ in range(3)]
    await finish_all(agent, 1)
    await context.set_offline(offline=False)
    await expect(page.get_by_role("button", name="Live", exact=True)).to_be_visible()
    last = await tenant.create(agent)
    await expect(page.locator(tile("Waiting"))).to_have_text("4")
    events = await heard(page)
    assert [job for event, _, job in events if event == "job.created"] == [job["id"] for job in (first, *missed, last)]
    assert [job for event, _, job in events if event == "job_run.done"] == [first["id"]]
    assert "gap" not in [event for event, _, _ in events]


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Server]:
    """One that a test may kill."""
    with Server(tmp_path, **QUICK) as running:
        yield running


async def test_a_page_outlives_a_server_that_is_killed(browser: Browser, own_server: Server, plane: Plane) -> None:
    tenant = Plane(own_server, Rows(own_server.data_dir), plane.session).tenant()
    agent = tenant.host()
    await tenant.create(agent)
    async with await browser.new_context(base_url=own_server.url) as context:
        await signed_in(context, tenant)
        page = await context.new_page()
        await page.goto(address(tenant, "overview"))
        await expect(page.locator(tile("Waiting"))).to_have_text("1")
        own_server.kill()
        await expect(page.get_by_text("The connection to the server is lost")).to_be_visible()
        own_server.start()
        await expect(page.get_by_role("button", name="Live", exact=True)).to_be_visible(timeout=15_000)
        await expect(page.get_by_text("The connection to the server is lost")).to_be_hidden()
        await tenant.create(agent)
        await expect(page.locator(tile("Waiting"))).to_have_text("2")


async def test_a_drop_before_the_first_event_is_made_good_by_loading_afresh(page: Page, tenant: Tenant) -> None:
    await page.goto(address(tenant, "overview"))
    await expect(page.get_by_role("heading", name="First steps")).to_be_visible()
    await listen(page)
    await page.evaluate(HIDE, arg=True)
    await tenant.create(tenant.host())
    await page.evaluate(HIDE, arg=False)
    await expect(page.locator(tile("Waiting"))).to_have_text("1")
    assert [event for event, _, _ in await heard(page)] == ["gap"]


async def test_an_answer_from_before_the_news_is_not_the_last_word(page: Page, tenant: Tenant) -> None:
    """A busy server keeps a summary for longer than the page waits."""
    kept: list[APIResponse] = []

    async def answer(route: Route) -> None:
        if len(kept) < 3:
            kept.append(await route.fetch() if not kept else kept[0])
            await route.fulfill(response=kept[0])
        else:
            await route.continue_()

    await page.route("**/summary", answer)
    await page.goto(address(tenant, "overview"))
    await expect(page.get_by_role("heading", name="First steps")).to_be_visible()
    await listen(page)
    await tenant.create(tenant.host())
    await expect(page.locator(tile("Waiting"))).to_have_text("1", timeout=20_000)


async def test_all_parts_stay_when_the_numbers_come_afresh(page: Page, tenant: Tenant) -> None:
    agent = tenant.host("eu-1")
    await tenant.create(agent)
    await finish_all(agent, 1, "failed")
    tenant.host("eu-2")
    await page.goto(address(tenant, "overview"))
    async with page.expect_response("**/summary"):
        await tenant.create(agent)
    await expect(page.locator(tile("Waiting"))).to_have_text("1")
    await expect(page.locator(".ov-failures tbody tr")).to_have_count(1)
    await expect(page.locator(".ov-troubled tbody tr", has_text="eu-2")).to_have_count(1)


async def test_numbers_lead_to_the_jobs_that_they_count(page: Page, tenant: Tenant) -> None:
    agent = tenant.host()
    await tenant.create(agent)
    await finish_all(agent, 1, "failed")
    await page.goto(address(tenant, "overview"))
    await page.locator(".ov-tile", has_text="Failed").click()
    await page.wait_for_url("**/jobs?status=FAILED&since=24h")
    await expect(page.get_by_role("link", name="SERVER_START")).to_be_visible()


async def test_new_failures_wait_while_somebody_points_at_the_list(page: Page, tenant: Tenant) -> None:
    agent = tenant.host()
    await tenant.create(agent)
    await finish_all(agent, 1, "failed")
    await page.goto(address(tenant, "overview"))
    rows = page.locator(".ov-failures tbody tr")
    await expect(rows).to_have_count(1)
    await rows.first.hover()
    await tenant.create(agent)
    await finish_all(agent, 1, "failed")
    await expect(page.get_by_role("button", name="1 new")).to_be_visible()
    await expect(rows).to_have_count(1)
    await page.mouse.move(0, 0)
    await expect(rows).to_have_count(2)


async def test_a_hidden_tab_is_paused_and_goes_on_where_it_was(page: Page, tenant: Tenant) -> None:
    agent = tenant.host()
    await page.goto(address(tenant, "overview"))
    await listen(page)
    first = await tenant.create(agent)
    await until_heard(page, 1)
    await page.evaluate(HIDE, arg=True)
    await expect(page.get_by_role("button", name="Paused")).to_be_visible()
    missed = await tenant.create(agent)
    await page.evaluate(HIDE, arg=False)
    await expect(page.get_by_role("button", name="Live", exact=True)).to_be_visible()
    await expect(page.locator(tile("Waiting"))).to_have_text("2")
    assert [job for event, _, job in await heard(page) if event == "job.created"] == [first["id"], missed["id"]]


async def test_a_button_that_is_held_down_while_news_come_still_leads_on(page: Page, tenant: Tenant) -> None:
    agent = tenant.host()
    await page.goto(address(tenant, "overview"))
    await page.get_by_role("link", name="Create a job").hover()
    await page.mouse.down()
    async with page.expect_response("**/summary"):
        await agent.beat()
    await page.evaluate("new Promise(requestAnimationFrame)")  # what the summary says has come to the page
    await page.mouse.up()
    await page.wait_for_url("**/jobs/new?*")


async def test_what_is_held_down_is_drawn_anew_once_it_is_let_go(page: Page, tenant: Tenant) -> None:
    agent = tenant.host()
    await page.goto(address(tenant, "overview"))
    step = page.get_by_role("listitem").filter(has_text="Start the agent")
    await step.hover()
    await page.mouse.down()
    async with page.expect_response("**/summary"):
        await agent.beat()
    await page.evaluate("new Promise(requestAnimationFrame)")
    await expect(step).not_to_have_class("done")
    await page.mouse.up()
    await expect(step).to_have_class("done")
