"""A list of a thousand jobs in which much happens: rows change where they are, and the page does not grow."""

import asyncio
from collections.abc import Sequence

from playwright.async_api import Page, expect

from tests.support.callers import Agent, Tenant
from tests.support.screens import address, listen, until_heard

ROWS = 1000
HOSTS = 10
BATCH = 500  # jobs that the API takes at once
ELEMENTS = "document.getElementsByTagName('*').length"
KEEP = "() => { window.kept = [...document.querySelectorAll('main tr[data-row]')]; }"
SAME = """() => {
  const rows = [...document.querySelectorAll("main tr[data-row]")];
  return rows.filter((row, at) => row === window.kept[at]).length;
}"""
LAID_OUT = """() => [...document.querySelectorAll("main tr[data-row]")]
  .filter((row) => row.querySelector("td.jr-state .badge").checkVisibility({ contentVisibilityAuto: true })).length"""


async def at_work(tenant: Tenant) -> list[tuple[Agent, str]]:
    """As many jobs as the page has rows: all wait but one of each host, which runs. The hosts and those runs."""
    hosts = [tenant.host(f"eu-{number}") for number in range(HOSTS)]
    jobs = [{"type": "SEARCH_SINGLE", "hostId": hosts[number % HOSTS].id} for number in range(ROWS)]
    for begin in range(0, ROWS, BATCH):
        assert (
            await tenant.user.post(f"{tenant.jobs_path}/batch", {"jobs": jobs[begin : begin + BATCH]})
        ).status == 200
    return [(host, (await host.take())["jobRunId"]) for host in hosts]


async def burst(runs: Sequence[tuple[Agent, str]], percents: range) -> None:
    """Every run says how far it is, again and again."""
    for percent in percents:
        await asyncio.gather(*(host.progress(run_id, percent) for host, run_id in runs))


async def test_a_thousand_rows_change_in_place_and_the_page_does_not_grow(page: Page, tenant: Tenant) -> None:
    runs = await at_work(tenant)
    await page.goto(address(tenant, "jobs") + "?size=1000")
    await expect(page.locator("main tr[data-row]")).to_have_count(ROWS)
    await page.evaluate(KEEP)
    await listen(page)
    await burst(runs, range(1, 6))
    await until_heard(page, 5 * HOSTS)
    await expect(page.locator("[role=progressbar][aria-valuenow='5']")).to_have_count(HOSTS)
    after_one = await page.evaluate(ELEMENTS)
    await burst(runs, range(6, 21))
    await until_heard(page, 20 * HOSTS)
    await expect(page.locator("[role=progressbar][aria-valuenow='20']")).to_have_count(HOSTS)
    assert await page.evaluate(ELEMENTS) == after_one
    assert await page.evaluate(SAME) == ROWS


async def test_rows_that_nobody_sees_are_not_laid_out(page: Page, tenant: Tenant) -> None:
    await at_work(tenant)
    await page.goto(address(tenant, "jobs") + "?size=1000")
    await expect(page.locator("main tr[data-row]")).to_have_count(ROWS)
    assert 0 < await page.evaluate(LAID_OUT) < ROWS // 4
    last = page.locator("main tr[data-row]").last
    await last.scroll_into_view_if_needed()
    await expect(last).to_contain_text("SEARCH_SINGLE")
    await expect(last).to_be_in_viewport()


async def test_columns_stand_one_below_the_other(page: Page, tenant: Tenant) -> None:
    host = tenant.host("eu-1")
    await tenant.create(host, job_type="SEARCH_SINGLE", payload={"query": "a town with a rather long name"})
    for width in (1280, 1900):
        await page.set_viewport_size({"width": width, "height": 900})
        await page.goto(address(tenant, "jobs"))
        await expect(page.get_by_role("row")).to_have_count(2)
        heads = page.get_by_role("columnheader")
        cells = page.get_by_role("row").nth(1).get_by_role("cell")
        assert await heads.count() == await cells.count()
        for at in range(await heads.count()):
            head, cell = await heads.nth(at).bounding_box(), await cells.nth(at).bounding_box()
            assert head is not None
            assert cell is not None
            assert (head["x"], head["width"]) == (cell["x"], cell["width"])
