"""A job's page: how it stands, why it waits, its log, what was found, and what can be done with it."""

import asyncio
import re

from playwright.async_api import Locator, Page, expect

from tests.support.callers import Agent, Document, Tenant
from tests.support.screens import address

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010804000000b51c0c02"
    "0000000b4944415478da6364f8ff1f0003030200efa2a75b0000000049454e44ae426082"
)

OFFERED = re.compile(r"Attempt 1: offered took ")


def lines(count: int, start: int = 1, **fields: str) -> list[Document]:
    return [{"seq": seq, "message": f"line {seq}", **fields} for seq in range(start, start + count)]


async def keep(host: Agent, run_id: str, name: str, content: bytes, kind: str) -> None:
    path = f"{host.path}/jobs/{run_id}/assets/{name}"
    assert (await host.ask("PUT", path, content, headers={"Content-Type": kind})).status == 200


async def open_job(page: Page, tenant: Tenant, job: Document) -> None:
    await page.goto(address(tenant, "jobs", job["id"]))
    await expect(page.get_by_role("heading", level=1)).to_be_visible()


async def test_a_waiting_job_says_behind_what_it_stands_and_where(page: Page, tenant: Tenant) -> None:
    host = tenant.host("eu-3")
    running = await tenant.create(host, payload={"map": "de_dust2"})
    await host.take()
    await tenant.create(host, job_type="SERVER_STOP")
    await tenant.create(host, job_type="SERVER_RESTART")
    third = await tenant.create(host)
    await open_job(page, tenant, third)
    why = page.locator(".job-why")
    await expect(why).to_contain_text("Third in line, behind SERVER_START map=de_dust2 on host eu-3, which has run for")
    await expect(why.get_by_role("link", name="SERVER_START map=de_dust2")).to_have_attribute(
        "href", address(tenant, "jobs", running["id"])
    )
    await expect(why.get_by_role("link", name="eu-3")).to_have_attribute("href", address(tenant, "hosts", host.id))
    await why.get_by_text("2 jobs ahead of it").click()
    await expect(why.get_by_role("listitem")).to_have_text(["SERVER_STOP", "SERVER_RESTART"])


async def test_the_reason_changes_while_one_looks(page: Page, tenant: Tenant) -> None:
    host = tenant.host("eu-3")
    first = await tenant.create(host)
    second = await tenant.create(host)
    run = await host.take()
    await open_job(page, tenant, second)
    await expect(page.locator(".job-why")).to_contain_text("Next in line, behind SERVER_START on host eu-3")
    await host.finish(run["jobRunId"])
    taken = await host.take()
    assert (taken["jobId"], first["id"]) == (second["id"], run["jobId"])
    await expect(page.locator(".job-why")).to_be_hidden()
    await expect(page.locator(".job-state")).to_contain_text("running")


async def test_reasons_that_lie_with_the_host_are_told_with_its_note(page: Page, tenant: Tenant) -> None:
    host = tenant.host("eu-3")
    job = await tenant.create(host)
    await open_job(page, tenant, job)
    await expect(page.locator(".job-why")).to_contain_text(
        "Its host eu-3 has never connected. It is next once the host is back."
    )
    paused = {"paused": True, "note": "new disk"}
    assert (await tenant.as_role("admin").ask("PATCH", f"{tenant.path}/hosts/{host.id}", paused)).status == 200
    await expect(page.locator(".job-why")).to_contain_text("is paused: “new disk”.")


async def test_an_offer_is_told_and_drawn_until_it_is_accepted(page: Page, tenant: Tenant) -> None:
    host = tenant.host("eu-3")
    headers = {"Authorization": f"Bearer {host.token}"}
    async with tenant.plane.session.ws_connect(f"{tenant.plane.url}/agent", headers=headers) as socket:
        assert (await socket.receive_json())["event"] == "config"
        job = await tenant.create(host)
        await open_job(page, tenant, job)
        await expect(page.locator(".job-why")).to_contain_text("It has been offered to the agent on eu-3")
        await expect(page.locator(".wf-offered.wf-bar")).to_be_visible()
        await socket.send_json({"event": "job:ack", "data": {"jobId": job["id"]}})
        await expect(page.locator(".job-state")).to_contain_text("running")
        await expect(page.locator(".wf-offered.wf-bar")).to_be_visible()
        await socket.send_json({"event": "job:done", "data": {"jobId": job["id"]}})
        await expect(page.locator(".job-state")).to_contain_text("completed")
        run = (await tenant.show(job))["jobRuns"][0]
        assert run["createdAt"] <= run["offeredAt"] <= run["startedAt"] <= run["finishedAt"]
        await page.reload()
        await expect(page.locator(".wf-offered.wf-bar")).to_have_attribute("aria-label", OFFERED)


async def test_a_job_for_the_pool_says_which_labels_nobody_carries(page: Page, tenant: Tenant) -> None:
    await open_job(page, tenant, await tenant.pool(labels={"zone": "mars"}))
    await expect(page.locator(".job-why")).to_contain_text("carries the labels zone=mars")
    await expect(page.locator(".job-facts")).to_contain_text("any host with zone=mars")


async def test_a_held_job_is_released_from_its_page(page: Page, tenant: Tenant) -> None:
    host = tenant.host()
    job = await tenant.create(host)
    held = {"op": "hold", "jobId": job["id"]}
    assert (await tenant.user.post(f"{tenant.path}/hosts/{host.id}/queue", held)).status == 200
    await open_job(page, tenant, job)
    await expect(page.locator(".job-why")).to_contain_text("until somebody releases it")
    await page.get_by_role("button", name="Release").click()
    await expect(page.locator(".job-why")).to_contain_text("has never connected")


async def test_attempts_are_bars_with_durations_and_a_table_beside_them(page: Page, tenant: Tenant) -> None:
    host = tenant.host()
    patient = {"backoff": {"baseSeconds": 60}}  # the page is to be seen while the second attempt waits for its time
    reply = await tenant.as_role("admin").ask("PUT", f"{tenant.path}/job-types/SERVER_START", patient)
    assert reply.status in {200, 201}, reply
    job = await tenant.create(host)
    run = await host.take()
    await host.finish(run["jobRunId"], "failed", errorMessage="out of slots")
    await open_job(page, tenant, job)
    await expect(page.locator(".job-why")).to_contain_text("Attempt 2 of 3 starts")
    await expect(page.locator(".job-why")).to_contain_text("The last one failed: out of slots.")
    attempts = page.get_by_role("list", name="Attempts").get_by_role("listitem")
    await expect(attempts).to_have_count(2)
    ran = attempts.first.locator(".wf-running")
    await expect(ran).to_have_attribute("aria-label", "Attempt 1: running took " + await duration_of(ran) + ", failed")
    await ran.focus()
    await expect(page.locator(".wf-note")).to_contain_text("Attempt 1: running took")
    await expect(attempts.last.locator(".wf-backoff")).to_be_visible()
    await page.get_by_text("As a table").click()
    await expect(page.locator(".wf-table tbody tr")).to_have_count(2)
    await expect(page.locator(".wf-table tbody tr").first).to_contain_text("out of slots")


async def duration_of(bar: Locator) -> str:
    label = await bar.get_attribute("aria-label")
    return str(label).removeprefix("Attempt 1: running took ").removesuffix(", failed")


async def test_bars_stand_to_scale_and_long_pauses_are_shortened(page: Page, tenant: Tenant) -> None:
    await page.goto(address(tenant, "jobs"))
    found = await page.evaluate(
        """async () => {
          const version = document.querySelector("link[rel=modulepreload]").href.match(/static\\/[^/]+/)[0];
          const { axisOf, segmentsOf } = await import(`/app/${version}/parts/waterfall_times.js`);
          const at = (second) => new Date(Date.UTC(2027, 0, 1) + second * 100_000).toISOString();
          const run = (created, available, offered, started, finished) => ({
            createdAt: at(created), availableAt: at(available), offeredAt: offered === null ? null : at(offered),
            startedAt: at(started), finishedAt: at(finished),
          });
          const first = run(0, 0, 2, 4, 8);
          const second = run(8, 10_008, null, 10_008, 10_016);
          const pieces = [segmentsOf(first, null, 0), segmentsOf(second, first, 0)];
          const axis = axisOf(pieces.flat());
          return [pieces.map((all) => all.map(({ kind }) => kind)), pieces[0].map(({ to }) => axis.at(to)), axis.shortened];
        }"""
    )
    assert found == [[["waiting", "offered", "running"], ["backoff", "running"]], [0.1, 0.2, 0.4], True]


async def test_the_log_follows_pauses_and_is_searched(page: Page, tenant: Tenant) -> None:
    host = tenant.host()
    job = await tenant.create(host)
    run = (await host.take())["jobRunId"]
    await host.logs(run, *lines(700))
    await open_job(page, tenant, job)
    log = page.get_by_role("log")
    await expect(log.get_by_text("line 700", exact=True)).to_be_in_viewport()
    await expect(page.get_by_role("button", name="Show earlier lines (200 before these)")).to_be_attached()
    await host.logs(run, *lines(1, 701))
    await expect(log.get_by_text("line 701", exact=True)).to_be_in_viewport()
    await log.evaluate("(box) => box.scrollTo(0, 0)")
    await expect(page.get_by_role("button", name="Follow")).to_have_attribute("aria-pressed", "false")
    await host.logs(run, *lines(2, 702))
    await page.get_by_role("button", name="2 new lines ↓").click()
    await expect(log.get_by_text("line 703", exact=True)).to_be_in_viewport()
    await page.get_by_role("searchbox", name="Search the log").fill("LINE 70")
    await expect(page.locator(".log-count")).to_have_text("5 of 5")  # 70 and 700 to 703
    await expect(log.locator("mark").first).to_have_text("line 70")
    await page.keyboard.press("Enter")
    await expect(page.locator(".log-count")).to_have_text("1 of 5")
    await expect(log.locator(".log-current .log-text")).to_have_text("line 70")
    await expect(log.locator(".log-current")).to_be_in_viewport()
    await expect(page.get_by_role("button", name="Follow")).to_have_attribute("aria-pressed", "false")


async def test_levels_times_and_wrapping_are_chosen_and_remembered(page: Page, tenant: Tenant) -> None:
    host = tenant.host()
    job = await tenant.create(host)
    run = (await host.take())["jobRunId"]
    await host.logs(
        run,
        {"seq": 1, "message": "all is well", "level": "info"},
        {"seq": 2, "message": "\x1b[31mon fire\x1b[0m", "level": "error"},
    )
    await open_job(page, tenant, job)
    await expect(page.get_by_text("all is well")).to_be_visible()
    await expect(page.get_by_text("on fire", exact=True)).to_be_visible()
    await page.get_by_label("Least level").select_option("error")
    await page.get_by_role("button", name="Times").click()
    await expect(page.get_by_text("all is well")).to_be_hidden()
    await page.reload()
    await expect(page.get_by_text("on fire", exact=True)).to_be_visible()
    await expect(page.get_by_text("all is well")).to_be_hidden()
    await expect(page.locator(".log-error time")).to_be_visible()


async def test_the_whole_log_is_a_download(page: Page, tenant: Tenant) -> None:
    host = tenant.host()
    job = await tenant.create(host)
    run = (await host.take())["jobRunId"]
    for start in (1, 1001):
        await host.logs(run, *lines(1000, start))
    await open_job(page, tenant, job)
    async with page.expect_download() as begun:
        await page.get_by_role("button", name="Download").click()
    download = await begun.value
    text = await asyncio.to_thread((await download.path()).read_text)
    assert download.suggested_filename == f"job-{job['id']}.log"
    assert len(text.splitlines()) == 2000
    assert text.splitlines()[-1].endswith(" info  line 2000")


async def test_pictures_are_shown_by_their_bytes_alone(page: Page, tenant: Tenant) -> None:
    host = tenant.host()
    job = await tenant.create(host)
    run = (await host.take())["jobRunId"]
    await keep(host, run, "shot.png", PNG, "image/png")
    await keep(host, run, "page.png", b"<html><script>alert(1)</script>", "image/png")
    await keep(host, run, "drawing.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml")
    item = {
        "type": "post",
        "title": "Open from eight",
        "source": "example",
        "snippet": "a bakery",
        "confidence": "high",
    }
    answer = await host.post(
        f"{host.path}/jobs/{run}/evidence", {"evidence": [{**item, "url": "https://example.com/7"}]}
    )
    assert answer.status == 200
    await open_job(page, tenant, job)
    await expect(page.get_by_role("img", name="shot.png")).to_be_visible()
    await expect(page.locator(".ev-file")).to_have_count(3)
    await expect(page.locator(".ev-file img")).to_have_count(1)
    link = page.get_by_role("link", name="https://example.com/7")
    await expect(link).to_have_attribute("rel", "noopener noreferrer")
    await page.get_by_role("button", name="Show shot.png").click()
    await expect(page.get_by_role("dialog").get_by_role("img", name="shot.png")).to_be_visible()
    await page.keyboard.press("Escape")
    async with page.expect_download() as begun:
        await page.get_by_role("link", name="drawing.svg").click()
    assert (await begun.value).suggested_filename == "drawing.svg"


async def test_a_person_is_asked_and_says_that_it_is_done(page: Page, tenant: Tenant) -> None:
    host = tenant.host()
    job = await tenant.create(host)
    await open_job(page, tenant, job)
    run = (await host.take())["jobRunId"]
    await host.progress(run, 40, message="The platform asks for a code", needsUserAction=True)
    banner = page.get_by_role("alert").filter(has_text="It waits for you")
    await expect(banner).to_contain_text("The platform asks for a code")
    await banner.get_by_role("button", name="Resolve").click()
    await expect(banner).to_be_hidden()
    assert (await tenant.show(job))["needsUserAction"] is False


async def test_a_running_job_is_cancelled_and_then_ended_by_force(page: Page, tenant: Tenant) -> None:
    host = tenant.host()
    job = await tenant.create(host)
    await host.take()
    await open_job(page, tenant, job)
    await page.get_by_role("button", name="Cancel …", exact=True).click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Reason").fill("wrong map")
    await dialog.get_by_role("button", name="Cancel the job").click()
    await expect(page.locator(".job-state")).to_contain_text("cancel requested")
    await page.get_by_role("button", name="Force cancel …").click()
    await page.get_by_role("dialog").get_by_role("button", name="End it now").click()
    await expect(page.locator(".job-state")).to_contain_text("cancelled")
    await expect(page.locator(".job-trail")).to_contain_text("wrong map")
    await expect(page.locator(".job-trail")).to_contain_text("by you")


async def test_a_failed_job_shows_why_and_is_retried(page: Page, tenant: Tenant) -> None:
    host = tenant.host()
    job = await tenant.create(host)
    run = (await host.take())["jobRunId"]
    await host.finish(run, "failed", errorMessage="no such map", errorCode="bad_map", retryable=False)
    assert (await host.result(run, "success")).status == 409
    await open_job(page, tenant, job)
    await expect(page.locator(".job-failed")).to_contain_text("bad_map")
    await expect(page.locator(".job-failed")).to_contain_text("no such map")
    await expect(page.locator(".job-late")).to_contain_text('"status": "success"')
    await page.get_by_role("button", name="Retry").click()
    await expect(page.locator(".job-state")).to_contain_text("pending")
    await expect(page.get_by_role("list", name="Attempts").get_by_role("listitem")).to_have_count(2)


async def test_output_comes_when_the_job_ends(page: Page, tenant: Tenant) -> None:
    host = tenant.host()
    job = await tenant.create(host, payload={"map": "de_dust2"})
    await open_job(page, tenant, job)
    await expect(page.locator(".job-payload")).to_contain_text('"map": "de_dust2"')
    run = (await host.take())["jobRunId"]
    await host.finish(run, output={"port": 27015})
    await expect(page.locator(".job-output")).to_contain_text('"port": 27015')


async def test_a_button_that_is_held_down_while_the_job_goes_on_still_works(page: Page, tenant: Tenant) -> None:
    host = tenant.host()
    job = await tenant.create(host)
    run = await host.take()
    await open_job(page, tenant, job)
    await page.get_by_role("button", name="Force cancel …").hover()
    await page.mouse.down()
    await host.progress(run["jobRunId"], 40)
    await expect(page.get_by_role("progressbar")).to_have_attribute("value", "40")
    await page.mouse.up()
    await expect(page.get_by_role("heading", name="End it without its agent?")).to_be_visible()
