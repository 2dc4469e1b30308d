"""Enrolment, server instances, job types and settings."""

import asyncio
import os
import shutil
from asyncio.subprocess import DEVNULL, PIPE, Process
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import pytest
from playwright.async_api import BrowserContext, Page, expect

from tests.support.callers import Agent, Document, Tenant
from tests.support.furnished import furnish
from tests.support.page_parts import choose, row
from tests.support.screens import address, signed_in
from tests.support.server import INTERLOCK


async def command(page: Page) -> str:
    """The command that is to be pasted on the machine."""
    await expect(page.get_by_text("This page waits for the host")).to_be_visible()
    return await page.locator(".copy-text").first.inner_text()


# ---- enrolment -------------------------------------------------------------------------------------------------


async def test_a_machine_that_runs_the_command_appears_and_turns_green(
    page: Page, tenant: Tenant, tmp_path: Path
) -> None:
    (tmp_path / "agent.toml").write_text('[handlers.SERVER_START]\ncommand = ["true"]\n')
    await page.goto(address(tenant, "hosts", "enrol"))
    await page.get_by_role("textbox", name="Labels").fill("zone=eu")
    await page.get_by_role("button", name="Make the command").click()
    enrol, start = (await command(page)).splitlines()
    await _run(f"{enrol} --name eu-7", tmp_path)
    await expect(page.get_by_role("status").filter(has_text="eu-7 has registered")).to_be_visible()
    agent = await _shell(f"exec {start}", tmp_path)
    try:
        await expect(page.locator(".arrival.here")).to_contain_text("eu-7 is here.")
    finally:
        agent.terminate()
        await agent.communicate()
    await page.locator(".arrival.here").get_by_role("link").click()
    await expect(page.get_by_text("zone=eu")).to_be_visible()


async def test_an_agent_of_one_s_own_enrols_with_curl(page: Page, tenant: Tenant, tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("There is no curl on this machine: the command cannot be run as people would")
    await page.goto(address(tenant, "hosts", "enrol"))
    await page.get_by_role("button", name="Make the command").click()
    await command(page)
    await page.get_by_text("With curl").click()
    shown = page.get_by_role("group").filter(has_text="With curl").locator(".copy-text")
    registered: Document = msgspec.json.decode(await _run(await shown.inner_text(), tmp_path))
    agent = Agent(tenant.plane.session, tenant.plane.url, registered["hostId"], registered["agentKey"], "")
    await agent.poll(0)
    await expect(page.locator(".arrival.here")).to_be_visible()


async def test_a_host_is_named_by_hand_and_its_key_is_shown_once(page: Page, tenant: Tenant) -> None:
    await page.goto(address(tenant, "hosts", "enrol"))
    await page.get_by_role("tab", name="By name and key").click()
    await page.get_by_role("textbox", name="Name").fill("Ann's browser")
    await page.get_by_label("Kind").select_option("device")
    await page.get_by_role("button", name="Make the host").click()
    _, exported, _ = (await command(page)).splitlines()
    (host,) = (await tenant.user.get(f"{tenant.path}/hosts")).json["items"]
    assert (host["name"], host["kind"]) == ("Ann's browser", "device")
    await Agent(tenant.plane.session, tenant.plane.url, host["id"], exported.partition("=")[2], "").poll(0)
    await expect(page.locator(".arrival.here")).to_contain_text("Ann's browser is here.")


async def test_a_token_that_holds_is_revoked(page: Page, tenant: Tenant) -> None:
    made = await tenant.as_role("admin").post(f"{tenant.path}/enrolments", {"maxUses": 20})
    await page.goto(address(tenant, "hosts", "enrol"))
    await expect(page.get_by_text("0 of 20 used")).to_be_visible()
    await page.get_by_role("button", name="Revoke").click()
    await choose(page, "Revoke")
    await expect(page.get_by_text("0 of 20 used")).to_have_count(0)
    reply = await tenant.plane.stranger.post("/api/agent/register", {"token": made.json["token"], "name": "late"})
    assert reply.status == 401


async def test_who_is_no_admin_is_told_so(context: BrowserContext, tenant: Tenant) -> None:
    await context.clear_cookies()
    await signed_in(context, tenant, "viewer")
    page = await context.new_page()
    for name in ("hosts/enrol", "audit"):
        await page.goto(address(tenant, name))
        await expect(page.get_by_text("This takes an admin")).to_be_visible()
    await page.goto(address(tenant, "settings"))
    await expect(page.get_by_role("button", name="Save")).to_have_count(0)


async def _run(line: str, folder: Path) -> bytes:
    """What a shell says to this line."""
    shell = await _shell(line, folder)
    told, _ = await shell.communicate()
    assert shell.returncode == 0
    return told


async def _shell(line: str, folder: Path) -> Process:
    """A shell of somebody whose home is that folder."""
    path = os.pathsep.join((str(INTERLOCK.parent), os.environ["PATH"]))
    home = {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "XDG_STATE_HOME": str(folder), "PATH": path}
    environ = {**os.environ, **home}
    return await asyncio.create_subprocess_exec(
        "sh", "-euc", line, cwd=folder, env=environ, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL
    )


# ---- server instances ------------------------------------------------------------------------------------------


async def test_an_instance_is_made_started_changed_and_deleted(page: Page, tenant: Tenant) -> None:
    host = tenant.host("eu-1")
    await page.goto(address(tenant, "instances"))
    await page.get_by_role("button", name="New instance").click()
    await page.get_by_role("textbox", name="Name").fill("inferno")
    await page.get_by_role("textbox", name="Config").fill('{"slots": 12,}')
    await choose(page, "Make it")
    await expect(page.get_by_role("dialog")).to_contain_text("Not JSON yet")
    await page.get_by_role("textbox", name="Config").fill('{"slots": 12}')
    await choose(page, "Make it")
    await page.get_by_role("button", name="Start inferno", exact=True).click()
    assert (await host.take())["type"] == "SERVER_START"
    await page.get_by_role("button", name="More about inferno").click()
    await page.get_by_role("button", name="Delete…").click()
    await choose(page, "Delete")
    await expect(page.get_by_role("dialog")).to_contain_text("A job about it is open.")
    await choose(page, "Cancel them and delete")
    await expect(row(page, "inferno")).to_have_count(0)


async def test_instances_are_found_by_name_and_host(page: Page, tenant: Tenant) -> None:
    first, second = tenant.host("eu-1"), tenant.host("eu-2")
    tenant.plane.rows.instance(tenant.id, second.id, "nuke")
    await page.goto(address(tenant, "instances"))
    await expect(page.locator("tbody tr")).to_have_count(3)
    await page.get_by_role("searchbox").fill("eu-2")
    await expect(page.locator("tbody tr")).to_have_count(2)
    await page.get_by_role("searchbox").fill("")
    await page.get_by_label("Host", exact=True).select_option("eu-1")
    await expect(page.locator("tbody tr")).to_have_count(1)
    assert urlsplit(page.url).query == f"hostId={first.id}"


async def test_an_instance_moves_to_another_host(page: Page, tenant: Tenant) -> None:
    tenant.host("eu-1")
    tenant.plane.rows.host(tenant.id, "eu-2")
    await page.goto(address(tenant, "instances"))
    await page.get_by_role("button", name="More about dust").click()
    await page.get_by_role("button", name="Edit…").click()
    await page.get_by_role("dialog").get_by_label("Host").select_option("eu-2")
    await choose(page, "Save")
    await expect(row(page, "dust")).to_contain_text("eu-2")


# ---- job types -------------------------------------------------------------------------------------------------


async def test_a_type_is_made_and_its_mistakes_are_shown_where_they_are(page: Page, tenant: Tenant) -> None:
    await page.goto(address(tenant, "types"))
    await page.get_by_role("button", name="New type").click()
    await page.get_by_role("textbox", name="Name").fill("crawl")
    await choose(page, "Go on")
    schema = page.get_by_role("textbox", name="Schema")
    await schema.fill('{"type": "no such type"}')
    await page.get_by_role("button", name="Make the type").click()
    await expect(schema).to_have_attribute("aria-invalid", "true")
    await schema.fill('{"type": "object", "required": ["url"]}')
    await page.get_by_label("Attempts").fill("0")
    await page.get_by_role("button", name="Make the type").click()
    await expect(page.get_by_label("Attempts")).to_have_attribute("aria-invalid", "true")
    await page.get_by_label("Attempts").fill("5")
    await page.get_by_role("button", name="Make the type").click()
    await expect(page.get_by_text("Saved as version 1")).to_be_visible()
    shown = (await tenant.user.get(f"{tenant.path}/job-types/crawl")).json
    assert (shown["schema"]["required"], shown["maxAttempts"]) == (["url"], 5)


async def test_two_who_change_a_type_at_once_do_not_overwrite_each_other(page: Page, tenant: Tenant) -> None:
    await furnish(tenant)
    path = f"{tenant.path}/job-types/crawl"
    await page.goto(address(tenant, "types", "crawl"))
    await page.get_by_label("Attempts").fill("7")
    await tenant.as_role("admin").ask("PUT", path, {"maxAttempts": 5, "timeoutSeconds": 33})
    await page.get_by_role("button", name="Save").click()
    note = page.get_by_role("alert").filter(has_text="Somebody else has saved this type")
    await expect(note.get_by_role("row").filter(has_text="timeoutSeconds").first).to_contain_text("33")
    await note.get_by_role("button", name="Go on with theirs").click()
    await expect(page.get_by_label("Timeout")).to_have_value("33")
    await page.get_by_label("Attempts").fill("7")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_text("Saved as version 3")).to_be_visible()
    shown = (await tenant.user.get(path)).json
    assert (shown["maxAttempts"], shown["timeoutSeconds"]) == (7, 33)


async def test_a_built_in_type_that_was_changed_is_as_it_came_again(page: Page, tenant: Tenant) -> None:
    await page.goto(address(tenant, "types", "SERVER_START"))
    await expect(page.get_by_text("built in", exact=True)).to_be_visible()
    await page.get_by_label("Attempts").fill("9")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_text("built in, changed")).to_be_visible()
    await page.get_by_role("button", name="Back to how it came").click()
    await choose(page, "Reset it")
    await expect(page.get_by_label("Attempts")).to_have_value("3")


# ---- settings --------------------------------------------------------------------------------------------------


async def test_settings_are_changed_in_fields_and_as_json(page: Page, tenant: Tenant) -> None:
    await page.goto(address(tenant, "settings"))
    await page.get_by_label("Kind of apiUrl").select_option("Text")
    await page.get_by_label("Value of apiUrl").fill("https://api.example.com")
    await page.get_by_role("button", name="Add a connector").click()
    await page.get_by_label("Id of the connector").last.fill("bing")
    await page.get_by_label("Name of the new connector").fill("Bing")
    await page.get_by_role("tab", name="JSON").click()
    text = page.get_by_role("textbox", name="Settings")
    draft = msgspec.json.decode(await text.input_value())
    assert draft["platform"]["apiUrl"] == "https://api.example.com"
    draft["platform"]["maxTabs"] = 3
    await text.fill(msgspec.json.encode(draft).decode())
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_text("Saved as version 1")).to_be_visible()
    saved = (await tenant.user.get(f"{tenant.path}/settings")).json
    assert saved["platform"]["maxTabs"] == 3
    assert [each["id"] for each in saved["connectors"]] == ["google_maps", "google_search", "bing"]


async def test_two_who_change_the_settings_at_once_do_not_overwrite_each_other(page: Page, tenant: Tenant) -> None:
    await page.goto(address(tenant, "settings"))
    await page.get_by_label("Kind of searchMethod").select_option("Text")
    await page.get_by_label("Value of searchMethod").fill("browser")
    await tenant.as_role("admin").ask("PUT", f"{tenant.path}/settings", {"platform": {"maxTabs": 3}})
    await page.get_by_role("button", name="Save").click()
    note = page.get_by_role("alert").filter(has_text="Somebody else has saved this document")
    await expect(note.get_by_role("row").filter(has_text="platform.maxTabs").first).to_contain_text("3")
    await note.get_by_role("button", name="Keep mine, on top of theirs").click()
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_text("Saved as version 2")).to_be_visible()
    saved = (await tenant.user.get(f"{tenant.path}/settings")).json
    assert (saved["platform"]["searchMethod"], saved["platform"]["maxTabs"]) == ("browser", 3)


# ---- text -----------------------------------------------------------------------------------------------------


async def test_what_people_and_agents_have_named_is_text_everywhere(page: Page, tenant: Tenant) -> None:
    hostile = "<img src=x onerror=alert(1)>"
    owner = tenant.as_role("owner")
    instance = {"name": hostile, "hostId": tenant.host(hostile).id, "config": {hostile: hostile}}
    await owner.post(f"{tenant.path}/server-instances", instance)
    settings = {"platform": {hostile: hostile}, "connectors": [{"id": hostile, "name": hostile}]}
    await owner.ask("PUT", f"{tenant.path}/settings", settings)
    for name, shown in (
        ("instances", page.get_by_role("strong").filter(has_text=hostile)),
        ("settings", page.get_by_label("Id of the connector")),
        ("settings?as=json", page.get_by_role("textbox", name="Settings")),
        ("audit", page.get_by_role("listitem").filter(has_text=hostile)),
    ):
        await page.goto(address(tenant, name))
        await expect(shown.first).to_be_visible()
        await expect(page.locator("main img")).to_have_count(0)
