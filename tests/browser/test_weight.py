"""What a first look costs, and what the policy lets in."""

import sys

import pytest
from playwright.async_api import Browser, Page, expect

from tests.support.callers import Tenant
from tests.support.screens import Troubles, address, signed_in

MOST = 200 * 1024  # bytes over the wire until a page is there, nothing having been kept from before
HOSTS = 40
SIZES = """() => {
  const all = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")];
  return all.map(({ name, transferSize, encodedBodySize }) => [name, transferSize || encodedBodySize]);
}"""
FROM_THE_WIRE = """() => performance.getEntriesByType("resource")
  .filter(({ name, transferSize }) => name.includes("/static/") && transferSize > 0).map(({ name }) => name)"""
INJECTED = """async () => {
  window.ran = {};
  const markup = (() => {
    try { document.body.insertAdjacentHTML("beforeend", "<img src=x onerror='ran.handler = 1'>"); }
    catch (error) { return error.name; }
    return "taken";
  })();
  const button = document.createElement("button");
  try { button.setAttribute("onclick", "ran.handler = 1"); } catch { /* refused at once */ }
  document.body.append(button);
  button.click();
  const script = document.createElement("script");
  script.append("ran.script = 1");
  try { document.body.append(script); } catch { /* refused at once */ }
  const marked = document.createElement("p");
  marked.setAttribute("style", "position: fixed");
  document.body.append(marked);
  const style = getComputedStyle(marked).position === "fixed";
  const frame = document.createElement("iframe");
  frame.src = "/docs";
  document.body.append(frame);
  await new Promise((done) => (frame.onload = done));
  let framed = false;
  try { framed = frame.contentDocument?.title.includes("Interlock") ?? false; } catch { /* another origin: an error page */ }
  return { script: "script" in ran, handler: "handler" in ran, style, frame: framed, markup };
}"""
PAINTED = "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null"


@pytest.mark.parametrize("path", ["overview", "jobs", "hosts", "jobs/new"])
async def test_a_first_look_takes_no_more_than_200_kilobytes(page: Page, tenant: Tenant, path: str) -> None:
    for number in range(HOSTS):
        await tenant.create(tenant.host(f"eu-{number}"), payload={"map": "de_dust2"})
    await page.goto(address(tenant, *path.split("/")))
    await page.locator("main:not([aria-busy]) h1").wait_for()
    await page.wait_for_load_state("networkidle")
    sizes = await page.evaluate(SIZES)
    total, painted = sum(size for _, size in sizes), await page.evaluate(PAINTED)
    sys.stdout.write(f"{path}: {total / 1024:.0f} KiB in {len(sizes)} answers, first paint after {painted} ms\n")
    assert total <= MOST, sorted(sizes, key=lambda each: -each[1])[:10]


async def test_a_second_look_takes_next_to_nothing(page: Page, tenant: Tenant) -> None:
    await page.goto(address(tenant, "overview"))
    await page.wait_for_load_state("networkidle")
    await page.goto(address(tenant, "overview") + "?again")
    await page.wait_for_load_state("networkidle")
    assert await page.evaluate(FROM_THE_WIRE) == []


async def test_the_policy_keeps_out_what_is_not_ours(page: Page, troubles: Troubles, tenant: Tenant) -> None:
    await page.goto(address(tenant, "overview"))
    await page.locator("main h1").wait_for()
    tried = await page.evaluate(INJECTED)
    assert tried == {"script": False, "handler": False, "style": False, "frame": False, "markup": "TypeError"}
    assert len(troubles.seen) >= 1
    assert all("Content Security Policy" in each or "Trusted" in each for each in troubles.seen), troubles.seen
    troubles.seen.clear()


async def test_no_other_page_may_show_it_in_a_frame(browser: Browser, tenant: Tenant) -> None:
    async with await browser.new_context(base_url=tenant.plane.url) as context:
        await signed_in(context, tenant)
        page = await context.new_page()
        answer = await page.goto(address(tenant, "overview"))
        assert answer is not None
        policy = answer.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
        await expect(page.get_by_role("button", name="Live", exact=True)).to_be_visible()
