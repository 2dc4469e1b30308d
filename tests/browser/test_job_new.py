"""Making a job: fields from its type's schema, JSON beside them, a target, a time, and one job however often one clicks."""

import json
from typing import Any

from playwright.async_api import Page, expect

from tests.support.callers import Document, Tenant
from tests.support.screens import address

SCHEMA: Document = {
    "type": "object",
    "required": ["url"],
    "properties": {
        "url": {"type": "string", "title": "Address", "description": "Where to begin.", "pattern": "^https://"},
        "depth": {"type": "integer", "minimum": 1, "maximum": 5, "default": 2},
        "mode": {"enum": ["fast", "thorough"]},
        "images": {"type": "boolean"},
        "since": {"type": "string", "format": "date-time"},
        "password": {"type": "string", "writeOnly": True},
        "tags": {"type": "array", "items": {"type": "string"}},
        "proxy": {"$ref": "#/$defs/proxy"},
        "extra": {"anyOf": [{"type": "string"}, {"type": "object"}]},
    },
    "$defs": {"proxy": {"type": "object", "required": ["host"], "properties": {"host": {"type": "string"}}}},
}


async def crawl(tenant: Tenant) -> None:
    """A job type of the tenant's own."""
    reply = await tenant.as_role("admin").ask("PUT", f"{tenant.path}/job-types/crawl", {"schema": SCHEMA})
    assert reply.status == 201, reply


async def made(page: Page, tenant: Tenant) -> Any:
    """The job whose page the form has led to."""
    await page.wait_for_url(lambda url: not url.endswith("/new") and "/jobs/0" in url)
    return await tenant.show({"id": page.url.rpartition("/")[2]})


async def test_the_schema_s_fields_make_the_payload(page: Page, tenant: Tenant) -> None:
    await crawl(tenant)
    await page.goto(address(tenant, "jobs", "new") + "?type=crawl")
    await expect(page.get_by_text("Where to begin. Pattern: ^https://")).to_be_visible()
    await expect(page.get_by_label("depth optional")).to_have_value("2")
    await expect(page.get_by_label("password optional")).to_have_attribute("type", "password")
    await page.get_by_label("Address").fill("https://example.com")
    await page.get_by_label("mode optional").select_option("thorough")
    await page.get_by_label("images optional").select_option("yes")
    await page.get_by_label("since optional").fill("2027-03-01T18:00:00")
    await page.get_by_role("group", name="tags optional").get_by_role("button", name="Add").click()
    await page.get_by_label("tags 1").fill("bakery")
    await page.get_by_role("group", name="proxy optional").get_by_label("host").fill("10.0.0.1")
    await page.get_by_label("extra optional").fill('{"deep": [1, 2]}')
    await page.get_by_role("button", name="Create the job").click()
    job = await made(page, tenant)
    since = job["payload"].pop("since")
    assert since.startswith(("2027-03-01T", "2027-03-02T"))  # it was said in local time
    assert job["payload"] == {
        "url": "https://example.com",
        "depth": 2,
        "mode": "thorough",
        "images": True,
        "tags": ["bakery"],
        "proxy": {"host": "10.0.0.1"},
        "extra": {"deep": [1, 2]},
    }


async def test_fields_and_json_stay_in_step(page: Page, tenant: Tenant) -> None:
    await crawl(tenant)
    await page.goto(address(tenant, "jobs", "new") + "?type=crawl")
    await page.get_by_label("Address").fill("https://example.com")
    await page.get_by_role("tab", name="JSON").click()
    raw = page.get_by_role("textbox", name="Payload")
    assert json.loads(await raw.input_value()) == {"url": "https://example.com", "depth": 2}
    await raw.fill('{"url": "https://example.org", "unheard": true')
    await page.get_by_role("button", name="Create the job").click()
    await expect(page.get_by_text("This is not JSON")).to_be_visible()
    await raw.fill('{"url": "https://example.org", "unheard": true}')
    await page.get_by_role("tab", name="Fields").click()
    await expect(page.get_by_label("Address")).to_have_value("https://example.org")
    await page.get_by_label("depth optional").fill("3")
    await page.get_by_role("button", name="Create the job").click()
    assert (await made(page, tenant))["payload"] == {"url": "https://example.org", "unheard": True, "depth": 3}


async def test_mistakes_stand_at_their_fields_whoever_finds_them(page: Page, tenant: Tenant) -> None:
    await crawl(tenant)
    await page.goto(address(tenant, "jobs", "new") + "?type=crawl")
    await page.get_by_label("depth optional").fill("many")
    await page.get_by_role("button", name="Create the job").click()
    await expect(page.get_by_text("This is needed.")).to_be_visible()
    await expect(page.get_by_text("This is not a whole number.")).to_be_visible()
    await page.get_by_label("depth optional").fill("3")
    await page.get_by_label("Address").fill("ftp://example.com")
    await page.get_by_text("When, and how often").click()
    await page.get_by_label("Attempts").fill("1")
    await page.get_by_role("button", name="Create the job").click()
    await expect(page.get_by_label("Address")).to_have_attribute("aria-invalid", "true")
    await expect(page.get_by_label("Address")).to_be_focused()
    await expect(page.locator(".field", has=page.get_by_label("Address")).get_by_role("alert")).not_to_be_empty()
    await page.get_by_label("Address").fill("https://example.com")
    await page.get_by_label("Attempts").fill("1000")
    await page.get_by_role("button", name="Create the job").click()
    await expect(page.get_by_text("expected 1 to 100")).to_be_visible()


async def test_a_job_goes_where_it_is_sent_and_when(page: Page, tenant: Tenant) -> None:
    host = tenant.host("eu-3")
    await page.goto(address(tenant, "jobs", "new"))
    await page.get_by_label("Type", exact=True).select_option("SERVER_START")
    await expect(page.get_by_role("radio", name="A server instance")).to_be_checked()
    await page.get_by_role("button", name="Create the job").click()
    await expect(page.get_by_role("alert").filter(has_text="Choose a server instance.")).to_be_visible()
    await page.get_by_role("combobox", name="Server instance").select_option(label="dust on eu-3")
    await page.get_by_role("textbox", name="Payload").fill('{"map": "de_dust2"}')
    await page.get_by_text("When, and how often").click()
    await page.get_by_label("Not before").fill("2037-03-01T18:00:00")
    await page.get_by_label("Priority").fill("7")
    await page.get_by_role("button", name="Create the job").click()
    job = await made(page, tenant)
    assert (job["hostId"], job["serverInstanceId"], job["priority"]) == (host.id, host.server_instance, 7)
    assert job["runAt"].startswith("2037-03-0")
    await expect(page.locator(".job-why")).to_contain_text("It is not due yet")


async def test_two_clicks_make_one_job(page: Page, tenant: Tenant) -> None:
    await page.goto(address(tenant, "jobs", "new") + "?type=SEARCH_SINGLE")
    keys: list[str | None] = []
    page.on(
        "request",
        lambda sent: (
            keys.append(sent.headers.get("idempotency-key"))
            if sent.method == "POST" and sent.url.endswith("/jobs")
            else None
        ),
    )
    await page.route(
        "**/jobs",
        lambda route: route.abort() if len(keys) == 1 and route.request.method == "POST" else route.continue_(),
    )
    await page.get_by_role("button", name="Create the job").dblclick()
    await expect(page.get_by_text("The server does not answer.")).to_be_visible()
    await page.get_by_role("button", name="Create the job").dblclick()
    await made(page, tenant)
    assert len(set(keys)) == 1
    assert keys[0] is not None
    assert len((await tenant.user.get(tenant.jobs_path)).json["items"]) == 1


async def test_a_job_is_run_again_with_edits(page: Page, tenant: Tenant) -> None:
    await crawl(tenant)
    payload = {"url": "https://example.com", "depth": 4, "password": "hush"}
    reply = await tenant.user.post(tenant.jobs_path, {"type": "crawl", "labels": {"zone": "eu"}, "payload": payload})
    await page.goto(address(tenant, "jobs", reply.json["id"]))
    await page.get_by_role("link", name="Run again …").click()
    await expect(page.get_by_label("Address")).to_have_value("https://example.com")
    await expect(page.get_by_label("password optional")).to_have_value("")
    await expect(page.get_by_role("textbox", name="Labels")).to_have_value("zone=eu")
    await page.get_by_label("Address").fill("https://example.org")
    await page.get_by_role("button", name="Create the job").click()
    job = await made(page, tenant)
    assert job["payload"] == {"url": "https://example.org", "depth": 4}
    assert job["labels"] == {"zone": "eu"}


async def test_the_same_job_is_shown_as_commands_without_secrets(page: Page, tenant: Tenant) -> None:
    await crawl(tenant)
    await page.goto(address(tenant, "jobs", "new") + "?type=crawl")
    await page.get_by_label("Address").fill("https://example.com/it's")
    await page.get_by_label("password optional").fill("hush")
    command = page.locator(".copy-text")
    await expect(command).to_contain_text(
        """-d '{"type":"crawl","payload":{"depth":2,"url":"https://example.com/it'\\''s","password":"REPLACE_ME"}}'"""
    )
    await page.get_by_role("tab", name="interlock").click()
    await expect(command).to_contain_text("interlock jobs create crawl")
    await page.get_by_role("radio", name="Any host with labels").check()
    await page.get_by_role("textbox", name="Labels").fill("zone=eu\ngpu=yes")
    await expect(command).to_contain_text("--label zone=eu")
    await expect(command).to_contain_text("--label gpu=yes")


async def test_odd_schemas_give_way_to_json(page: Page, tenant: Tenant) -> None:
    await page.goto(address(tenant, "jobs", "new"))
    found = await page.evaluate(
        """async () => {
          const version = document.querySelector("link[rel=modulepreload]").href.match(/static\\/[^/]+/)[0];
          const { kindOf, resolved, defaultOf, withoutSecrets } = await import(`/app/${version}/parts/schema_kinds.js`);
          const kinds = [
            {type: "string"}, {type: ["string", "null"]}, {type: ["string", "number"]}, {enum: ["a", 1, null]}, {const: 3},
            {type: "array", items: {type: "object"}}, {type: "array", items: {enum: ["a"]}}, {type: "object"}, {}, true,
            {$ref: "#/$defs/a"}, {$ref: "#/$defs/gone"}, {$ref: "https://example.com/x"}, {type: "string", maxLength: 4000},
          ];
          const gap = {type: "object", required: ["f"], properties: {e: {default: 1}, f: {}}};
          const root = {$defs: {a: {type: "integer"}}};
          const secret = {properties: {a: {writeOnly: true}, b: {properties: {c: {writeOnly: true}}}}};
          return [
            kinds.map((each) => kindOf(resolved(each, root), root)),
            defaultOf({type: "object", properties: {a: {default: [1]}, b: {type: "object", properties: {c: {}}}, d: gap}}, {}),
            withoutSecrets({a: "x", b: {c: "y", d: null}}, secret, secret),
          ];
        }"""
    )
    kinds = "text text json choice choice json list json json json integer json json long"
    assert found == [kinds.split(), {"a": [1]}, {"b": {"d": None}}]


async def test_a_viewer_is_told_that_it_takes_more(page: Page, tenant: Tenant) -> None:
    tenant.plane.rows.user(tenant.id, "owner")  # so that the first may become less
    owner = tenant.user_ids["owner"]
    reply = await tenant.as_role("owner").ask("PATCH", f"{tenant.path}/members/{owner}", {"role": "viewer"})
    assert reply.status == 200, reply
    await page.goto(address(tenant, "jobs", "new"))
    await expect(page.get_by_role("heading", name="Not for you")).to_be_visible()


async def test_a_command_that_cannot_work_is_not_copied(page: Page, tenant: Tenant) -> None:
    await crawl(tenant)
    tenant.host("eu-3")
    await page.goto(address(tenant, "jobs", "new"))
    copy = page.get_by_role("button", name="Copy", exact=True)
    await expect(copy).to_be_disabled()
    kind = page.get_by_label("Type", exact=True)
    await kind.select_option("SERVER_START")
    await expect(copy).to_be_disabled()
    await page.get_by_role("combobox", name="Server instance").select_option(label="dust on eu-3")
    await expect(copy).to_be_enabled()
    await page.get_by_role("radio", name="Any host", exact=True).check()
    await expect(copy).to_be_disabled()
    await kind.select_option("SEARCH_SINGLE")
    await page.get_by_role("radio", name="Any host", exact=True).check()
    await page.get_by_role("tab", name="JSON").or_(page.get_by_role("textbox", name="Payload")).first.click()
    await page.get_by_role("textbox", name="Payload").fill('{"query": "coffee"}')
    await expect(copy).to_be_enabled()
    await page.get_by_role("textbox", name="Payload").fill('{"query": ')
    await expect(copy).to_be_disabled()
    await kind.select_option("crawl")
    await page.get_by_role("textbox", name="Payload").fill("{}")
    await page.get_by_role("tab", name="Fields").click()
    await expect(copy).to_be_disabled()
    await page.get_by_label("Address").fill("https://example.com")
    await expect(copy).to_be_enabled()
    await page.get_by_text("When, and how often").click()
    await page.get_by_label("Priority").fill("high")
    await expect(copy).to_be_disabled()


async def test_the_payload_is_named_once(page: Page, tenant: Tenant) -> None:
    await page.goto(address(tenant, "jobs", "new"))
    await expect(page.get_by_role("textbox", name="Payload")).to_be_visible()
    named = page.get_by_text("Payload", exact=True)
    shown = [box for box in [await each.bounding_box() for each in await named.all()] if box and box["height"] > 1]
    assert len(shown) == 1
