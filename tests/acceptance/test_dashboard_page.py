"""The dashboard's page and its files over HTTP, and the summary that it shows first."""

import asyncio
import gzip
import re

import pytest

from tests.support.callers import PATIENCE, Document, Plane, Tenant
from web.dashboard import files

PLAIN = {"Accept-Encoding": "identity"}


def static(path: str, version: str | None = None) -> str:
    return f"/app/static/{version or files.version()}/{path}"


@pytest.mark.parametrize("path", ["/app", "/app/", "/app/sign-in", "/app/orgs/x/jobs/y"])
async def test_every_address_below_the_dashboard_gives_its_page(plane: Plane, path: str) -> None:
    reply = await plane.stranger.get(path, headers=PLAIN)
    assert (reply.status, reply.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert reply.headers["Cache-Control"] == "no-cache"
    page = reply.body.decode()
    (script,) = re.findall(r'<script type="module" src="([^"]+)"', page)
    base = path.rpartition("/")[0]
    address = re.sub(r"[^/]+/\.\./", "", re.sub(r"[^/]+/\.\./", "", f"{base}/{script}"))
    assert (await plane.stranger.get(address, headers=PLAIN)).status == 200
    again = await plane.stranger.get(path, headers=PLAIN | {"If-None-Match": reply.headers["ETag"]})
    assert (again.status, again.body) == (304, b"")


async def test_a_path_that_is_no_pages_is_not_found(plane: Plane) -> None:
    assert (await plane.stranger.get("/app/" + "x/" * 40)).refusal == (404, "not_found")


async def test_a_file_is_kept_for_ever_and_sent_compressed_to_who_can_read_that(plane: Plane) -> None:
    plain = await plane.stranger.get(static("lib/dom.js"), headers=PLAIN)
    packed = await plane.stranger.get(static("lib/dom.js"), headers={"Accept-Encoding": "br, gzip;q=0.5"})
    refused = await plane.stranger.get(static("lib/dom.js"), headers={"Accept-Encoding": "gzip; q=0"})
    assert plain.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert "immutable" in plain.headers["Cache-Control"]
    assert plain.headers["X-Content-Type-Options"] == "nosniff"
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.body) == plain.body == refused.body
    assert len(packed.body) < len(plain.body) / 2


@pytest.mark.parametrize("path", ["lib/none.js", "index.html", "../handlers.py", "lib/", "%2e%2e/files.py"])
async def test_what_is_no_file_of_the_dashboard_is_not_found(plane: Plane, path: str) -> None:
    assert (await plane.stranger.get(static(path))).status == 404


async def test_another_versions_files_are_not_there(plane: Plane) -> None:
    assert (await plane.stranger.get(static("lib/dom.js", "000000000000"))).refusal == (404, "not_found")


async def summary(tenant: Tenant) -> Document:
    reply = await tenant.as_role("viewer").get(f"{tenant.path}/summary")
    assert reply.status == 200, reply
    shown: Document = reply.json
    return shown


async def test_the_summary_follows_what_happens(tenant: Tenant) -> None:
    host, other = tenant.host("eu-1"), tenant.host("eu-2")
    jobs = [await tenant.create(host) for _ in range(3)]
    await host.finish((await host.take())["jobRunId"])
    await host.take()
    shown = await summary(tenant)
    assert (shown["jobs"]["pending"], shown["jobs"]["running"], shown["jobs"]["completed"]) == (1, 1, 1)
    assert {each["name"]: each["doing"] for each in shown["hosts"]} == {"eu-1": "running", "eu-2": "never_connected"}
    assert [each["name"] for each in shown["troubled"]] == ["eu-2"]
    assert shown["hostCounts"]["running"] == shown["hostCounts"]["never_connected"] == 1
    assert sum(shown["rates"]["created"]) == len(jobs)
    assert sum(shown["rates"]["completed"]) == 1
    await tenant.create(other)
    async with asyncio.timeout(PATIENCE):
        while (await summary(tenant))["jobs"]["pending"] != 2:
            pass


async def test_the_summary_of_another_organization_is_not_there(tenant: Tenant) -> None:
    stranger = tenant.plane.tenant().user
    assert (await stranger.get(f"{tenant.path}/summary")).refusal == (404, "not_found")
