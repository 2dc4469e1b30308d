"""Whatever hosts, agents and other people write is text on every page: nothing of it is run, drawn or led to."""

from typing import Any
from urllib.parse import quote

import pytest
from playwright.async_api import Page, Route, expect

from tests.support.callers import Agent, Document, Tenant
from tests.support.screens import address

CORPUS = (
    "<img src=x onerror=window.fired=1>",
    "<script>window.fired=2</script>",
    "\"><svg onload=window.fired=3><a href='javascript:window.fired=4'>x</a>",
    "'-window.fired=5-'",
    "</textarea></title></style><iframe srcdoc='<script>parent.fired=6</script>'>",
    "{{constructor.constructor('window.fired=7')()}} ${window.fired=8}",
    "javascript:window.fired=9//%0Awindow.fired=9",
    "&lt;img src=x onerror=window.fired=10&gt; &#60;script&#62;window.fired=11&#60;/script&#62;",
    "\u202egnp.exe\u2066 <b onmouseover=window.fired=12>right to left",
    "__proto__",
)
ALL = " ".join(CORPUS)
SHORT = CORPUS[0]
URL = 'https://example.com/"onmouseover="window.fired=13"><img/src=x/onerror=window.fired=14>'
WHAT_IT_WOULD_MAKE = "iframe, object, embed, base, form[action], [srcdoc], script:not([src]), img[src=x], svg[onload], [onerror], [onload], [onmouseover]"


async def seeded(tenant: Tenant) -> dict[str, str]:
    """A fleet whose every field is hostile; the ids that pages are opened by."""
    host = tenant.host(SHORT)
    admin = tenant.as_role("admin")
    schema = {
        "type": "object",
        "description": ALL,
        "properties": {
            SHORT: {"type": "string", "title": SHORT, "description": ALL, "default": ALL, "examples": [ALL]},
            "choice": {"enum": list(CORPUS)},
        },
    }
    name = "hostile"  # of a type, which may only be a word
    replies = [
        await admin.ask("PUT", f"{tenant.path}/job-types/{name}", {"schema": schema}),
        await admin.ask("PATCH", f"{tenant.path}/hosts/{host.id}", {"labels": {"zone": SHORT, "a<b>": CORPUS[1]}}),
        await admin.post(
            f"{tenant.path}/server-instances", {"name": CORPUS[1], "hostId": host.id, "config": {SHORT: ALL}}
        ),
    ]
    ended = await worked(tenant, host, name)
    running = await running_job(tenant, host)
    replies.append(await tenant.user.post(tenant.jobs_path, {"type": name, "hostId": host.id, "payload": {SHORT: ALL}}))
    pooled = await tenant.user.post(tenant.jobs_path, {"type": "SEARCH_SINGLE", "labels": {"zone<b>": CORPUS[1]}})
    replies.append(await admin.ask("PATCH", f"{tenant.path}/hosts/{host.id}", {"paused": True, "note": ALL}))
    assert [reply.status for reply in [*replies, pooled]] == [201, 200, 201, 201, 200, 201]
    return {
        "host": host.id,
        "ended": ended,
        "running": running,
        "waiting": replies[3].json["id"],
        "pooled": pooled.json["id"],
        "type": name,
    }


async def worked(tenant: Tenant, host: Agent, job_type: str) -> str:
    """A job that has failed, of which its agent said all that it can say."""
    job = await tenant.create(host, job_type=job_type, payload={SHORT: ALL, "nested": {ALL: list(CORPUS)}})
    run = (await host.take())["jobRunId"]
    await host.logs(run, *({"seq": seq, "message": text, "level": "error"} for seq, text in enumerate(CORPUS, 1)))
    item = {"type": SHORT, "title": ALL, "source": CORPUS[1], "snippet": ALL, "confidence": "high"}
    answer = await host.post(
        f"{host.path}/jobs/{run}/evidence", {"evidence": [{**item, "url": URL}, {**item, "url": CORPUS[6]}]}
    )
    assert [each["verdict"] for each in answer.json["items"]] == ["created", "rejected"]
    for text in (SHORT.replace("/", ""), "shot.png"):
        path = f"{host.path}/jobs/{run}/assets/{quote(text, safe='')}"
        assert (await host.ask("PUT", path, ALL.encode(), headers={"Content-Type": "image/png"})).status == 200
    await host.finish(run, "failed", errorMessage=ALL, errorCode=SHORT[:30], output={SHORT: ALL}, retryable=False)
    assert (await host.result(run, "failed", errorMessage=ALL + "!", errorCode=SHORT)).status == 409
    return str(job["id"])


async def running_job(tenant: Tenant, host: Agent) -> str:
    """A job that asks for a person, in its own words, and is to be cancelled for a reason."""
    job = await tenant.create(host, payload={"map": ALL})
    run = (await host.take())["jobRunId"]
    await host.progress(run, 40, message=ALL, needsUserAction=True)
    assert (await tenant.cancel(job, {"reason": ALL[:900]})).status == 202
    return str(job["id"])


async def harmless(page: Page) -> None:
    """Nothing has been run, and nothing has become an element that could be."""
    await page.wait_for_load_state("networkidle")
    for point in ("[title]", "summary", "td", "time"):
        first = page.locator(f"main {point}").first
        if await first.count():  # by an event, not by the mouse: what is shown may just be drawn afresh
            await first.dispatch_event("mouseover")
    assert await page.evaluate("window.fired") is None
    assert await page.evaluate("({}).polluted") is None
    assert await page.locator(WHAT_IT_WOULD_MAKE).count() == 0
    assert await page.evaluate("[...document.links].filter(({protocol}) => !/^https?:$/.test(protocol)).length") == 0


PAGES = [
    ("overview", ""),
    ("jobs", SHORT),
    ("jobs/{ended}", CORPUS[4]),
    ("jobs/{running}", CORPUS[1]),
    ("jobs/{waiting}", CORPUS[1]),
    ("jobs/{pooled}", "zone<b>"),
    ("jobs/new?from={ended}", SHORT),
    ("jobs/new?type={type}", SHORT),
    ("hosts", SHORT),
    ("hosts/{host}", SHORT),
    ("instances", CORPUS[1]),
    ("types", "hostile"),
    ("types/{type}", "hostile"),
    ("audit", ""),
]


@pytest.mark.parametrize(("path", "shown"), PAGES, ids=[path for path, _ in PAGES])
async def test_hostile_words_are_only_words(page: Page, tenant: Tenant, path: str, shown: str) -> None:
    page.on("dialog", lambda dialog: pytest.fail(f"A dialog was opened: {dialog.message}"))
    ids = await seeded(tenant)
    await page.goto(address(tenant, path.format(**ids)))
    await expect(page.get_by_role("heading", level=1)).to_be_visible()
    if shown:
        await expect(page.locator("main")).to_contain_text(shown, use_inner_text=False)
    await harmless(page)


async def test_hostile_words_that_come_while_one_looks_are_only_words(page: Page, tenant: Tenant) -> None:
    host = tenant.host()
    job = await tenant.create(host)
    await page.goto(address(tenant, "jobs", job["id"]))
    run = (await host.take())["jobRunId"]
    await host.logs(run, *({"seq": seq, "message": text} for seq, text in enumerate(CORPUS, 1)))
    await expect(page.get_by_role("log")).to_contain_text(CORPUS[4])
    await page.get_by_role("searchbox", name="Search the log").fill("<img src=x")
    await expect(page.get_by_role("log").locator("mark").first).to_have_text("<img src=x")
    await host.finish(run, "failed", errorMessage=ALL, retryable=False)
    await expect(page.locator(".job-failed")).to_contain_text(CORPUS[1])
    await harmless(page)


async def test_addresses_that_a_browser_would_run_are_no_links_even_if_they_came(page: Page, tenant: Tenant) -> None:
    host = tenant.host()
    job = await tenant.create(host)
    run = (await host.take())["jobRunId"]
    item = {
        "type": "post",
        "title": "a find",
        "source": "example",
        "snippet": "",
        "confidence": "low",
        "url": "https://example.com",
    }
    assert (await host.post(f"{host.path}/jobs/{run}/evidence", {"evidence": [{**item, "snippet": "x"}]})).status == 200

    async def altered(route: Route) -> None:
        answer = await route.fetch()
        found: Any = await answer.json()
        kinds = (
            "javascript:window.fired=1",
            " java\tscript:window.fired=1",
            "data:text/html,<script>window.fired=1</script>",
            "vbscript:x",
        )
        items: list[Document] = [{**found["items"][0], "id": str(place), "url": url} for place, url in enumerate(kinds)]
        await route.fulfill(response=answer, json={**found, "items": items})

    await page.route("**/evidence?*", altered)
    await page.goto(address(tenant, "jobs", job["id"]))
    await expect(page.locator(".ev-item")).to_have_count(4)
    await expect(page.locator(".ev-item a")).to_have_count(0)
    await harmless(page)
