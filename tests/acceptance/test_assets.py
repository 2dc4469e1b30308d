"""Files that agents keep of their runs: whole, once, under their SHA-256; users fetch them as downloads."""

import asyncio
import base64
import hashlib
import os
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import quote

import pytest

from tests.support.callers import PATIENCE, Agent, Caller, Document, Plane, Reply, Tenant

PNG = b"\x89PNG\r\n" + bytes(range(256)) * 9


async def started(tenant: Tenant) -> tuple[Agent, Document, str]:
    """A host, its job and the run that its agent has taken."""
    host = tenant.host()
    job = await tenant.create(host)
    return host, job, (await host.take())["jobRunId"]


async def send(
    host: Agent, run_id: str, data: bytes = PNG, *, name: str = "shot.png", headers: Mapping[str, str] | None = None
) -> Reply:
    """The agent sends a file; `name` is escaped."""
    path = f"{host.path}/jobs/{run_id}/assets/{quote(name, safe='')}"
    return await host.ask("PUT", path, data, headers={"Content-Type": "image/png", **(headers or {})})


async def files(tenant: Tenant, job: Document, **query: Any) -> Document:
    """A page of the job's files."""
    reply = await tenant.user.get(f"{tenant.jobs_path}/{job['id']}/assets", **query)
    assert reply.status == 200, reply
    page: Document = reply.json
    return page


async def fetch(who: Caller, tenant: Tenant, job: Document, asset_id: str, **headers: str) -> Reply:
    return await who.get(f"{tenant.jobs_path}/{job['id']}/assets/{asset_id}", headers=headers)


def kept_bytes(tenant: Tenant) -> list[str]:
    """The SHA-256s of all that is in the folder, of whomever; nothing may be partial."""
    folder = tenant.plane.server.data_dir / "assets"
    assert list((folder / "partial").iterdir()) == []
    return [file.name for file in folder.glob("??/*")]


async def test_a_file_is_kept_listed_and_fetched(tenant: Tenant) -> None:
    host, job, run_id = await started(tenant)
    reply = await send(host, run_id)
    sha256 = hashlib.sha256(PNG).hexdigest()
    asset = reply.json["asset"]
    assert reply.status == 200
    assert reply.json == {"status": "running", "cancelRequested": False, "asset": asset}
    assert asset == {"id": asset["id"], "name": "shot.png", "sizeBytes": len(PNG), "sha256": sha256}
    (listed,) = (await files(tenant, job))["items"]
    assert listed == asset | {
        "jobId": job["id"],
        "jobRunId": run_id,
        "contentType": "image/png",
        "createdAt": listed["createdAt"],
    }
    fetched = await fetch(tenant.as_role("viewer"), tenant, job, asset["id"])
    assert (fetched.status, fetched.body) == (200, PNG)
    assert sha256 in kept_bytes(tenant)


async def test_a_download_is_always_saved_and_never_run(tenant: Tenant) -> None:
    host, job, run_id = await started(tenant)
    name = 'a "b"; é.html'
    sent = await send(host, run_id, b"<script>1</script>", name=name, headers={"Content-Type": "text/html; charset=x"})
    headers = (await fetch(tenant.user, tenant, job, sent.json["asset"]["id"])).headers
    assert headers["Content-Disposition"] == (
        "attachment; filename=\"a _b__ _.html\"; filename*=UTF-8''a%20%22b%22%3B%20%C3%A9.html"
    )
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert headers["Content-Type"] == "text/html"
    assert headers["ETag"] == f'"{sent.json["asset"]["sha256"]}"'
    assert headers["X-Request-Id"]


async def test_what_the_client_has_already_is_not_sent_again(tenant: Tenant) -> None:
    host, job, run_id = await started(tenant)
    asset = (await send(host, run_id)).json["asset"]
    tag = f'"{asset["sha256"]}"'
    again = await fetch(tenant.user, tenant, job, asset["id"], **{"If-None-Match": f'"x", W/{tag}'})
    assert (again.status, again.body, again.headers["ETag"]) == (304, b"", tag)


async def test_the_same_again_is_the_same_file_and_other_content_is_another(tenant: Tenant) -> None:
    host, job, run_id = await started(tenant)
    first = await send(host, run_id)
    assert (await send(host, run_id)).json == first.json
    other = await send(host, run_id, b"other")
    assert other.json["asset"]["id"] != first.json["asset"]["id"]
    copy = await send(host, run_id, name="copy.png")
    assert copy.json["asset"]["sha256"] == first.json["asset"]["sha256"]
    names = [each["name"] for each in (await files(tenant, job))["items"]]
    assert names == ["shot.png", "shot.png", "copy.png"]
    fetched = await fetch(tenant.user, tenant, job, other.json["asset"]["id"])
    assert fetched.body == b"other"


async def test_the_same_from_many_connections_is_one_file(tenant: Tenant) -> None:
    host, job, run_id = await started(tenant)
    data = os.urandom(200_000)
    answers = await asyncio.gather(*(send(host, run_id, data) for _ in range(6)))
    assert len({answer.json["asset"]["id"] for answer in answers}) == 1
    assert len((await files(tenant, job))["items"]) == 1
    assert kept_bytes(tenant).count(hashlib.sha256(data).hexdigest()) == 1


async def test_an_empty_file_is_a_file(tenant: Tenant) -> None:
    host, job, run_id = await started(tenant)
    asset = (await send(host, run_id, b"")).json["asset"]
    assert asset["sizeBytes"] == 0
    assert (await fetch(tenant.user, tenant, job, asset["id"])).body == b""


def digest(data: bytes) -> str:
    """As `Content-Digest` wants it."""
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"X-Content-SHA256": hashlib.sha256(PNG).hexdigest().upper()}, 200),
        ({"Content-Digest": f"sha-512=:eA==:, sha-256=:{digest(PNG)}:"}, 200),
        ({"X-Content-SHA256": hashlib.sha256(b"x").hexdigest()}, 400),
        ({"Content-Digest": f"sha-256=:{digest(b'x')}:"}, 400),
        ({"X-Content-SHA256": "abc"}, 400),
        ({"Content-Digest": "sha-256=abc"}, 400),
        ({"Content-Digest": f"sha-256=:{digest(b'x')}:", "X-Content-SHA256": hashlib.sha256(PNG).hexdigest()}, 400),
    ],
)
async def test_a_file_that_came_damaged_is_refused(tenant: Tenant, headers: dict[str, str], status: int) -> None:
    host, job, run_id = await started(tenant)
    reply = await send(host, run_id, headers=headers)
    assert reply.status == status
    assert len((await files(tenant, job))["items"]) == (status == 200)
    kept_bytes(tenant)


@pytest.mark.parametrize(
    "name", [".", "..", " ", "...", "a/b", "../../etc/passwd", "a\\b", "a\0b", "a\nb", "x" * 256, "é" * 128, "a\u202eb"]
)
async def test_a_hostile_name_is_refused(tenant: Tenant, name: str) -> None:
    host, job, run_id = await started(tenant)
    reply = await send(host, run_id, name=name)
    assert reply.status in {400, 404, 405}, reply  # the client makes another path of dots
    assert reply.code
    assert (await files(tenant, job))["items"] == []


@pytest.mark.parametrize("name", ["%ff", "%C0%AF", "%2e%2e", "%", "%zz", ""])
async def test_a_name_that_is_no_text_is_refused_or_kept_as_it_is(tenant: Tenant, name: str) -> None:
    host, job, run_id = await started(tenant)
    reply = await host.ask("PUT", f"{host.path}/jobs/{run_id}/assets/{name}", b"x")
    assert reply.status in {200, 400, 404, 405}, reply
    for each in (await files(tenant, job))["items"]:
        assert (await fetch(tenant.user, tenant, job, each["id"])).body == b"x"


@pytest.mark.parametrize("name", ["con", "-rf", "ω.png", "a b", "%2F", "résumé.pdf", "x" * 255, "a;b", "<b>"])
async def test_any_printable_name_is_kept_as_it_is(tenant: Tenant, name: str) -> None:
    host, job, run_id = await started(tenant)
    reply = await send(host, run_id, name=name)
    assert reply.status == 200, reply
    assert [each["name"] for each in (await files(tenant, job))["items"]] == [name]
    assert (await fetch(tenant.user, tenant, job, reply.json["asset"]["id"])).status == 200


@pytest.mark.parametrize("given", ["", "text", "a/b/c", "Text/Plain", "x/" + "y" * 200, "te\txt/x", "text/html\u00e9"])
async def test_a_type_that_is_none_becomes_plain_bytes(tenant: Tenant, given: str) -> None:
    host, job, run_id = await started(tenant)
    await send(host, run_id, headers={"Content-Type": given})
    (listed,) = (await files(tenant, job))["items"]
    assert listed["contentType"] == ("text/plain" if given == "Text/Plain" else "application/octet-stream")


async def test_compressed_bodies_are_refused(tenant: Tenant) -> None:
    host, _, run_id = await started(tenant)
    refusal = (await send(host, run_id, headers={"Content-Encoding": "gzip"})).refusal
    assert refusal == (415, "unsupported_media_type")


async def test_a_file_may_trail_the_result_but_not_come_before_the_start(tenant: Tenant) -> None:
    host, job, run_id = await started(tenant)
    await host.finish(run_id)
    waiting = await tenant.create(host)
    reply = await send(host, run_id)
    assert (reply.status, reply.json["status"]) == (200, "success")
    assert (await send(host, waiting["jobRuns"][0]["id"])).refusal == (409, "invalid_state")
    assert len((await files(tenant, job))["items"]) == 1


async def test_a_run_of_another_host_is_not_found(tenant: Tenant) -> None:
    _, job, run_id = await started(tenant)
    for other in (tenant.host("other"), tenant.plane.tenant().host()):
        assert (await send(other, run_id)).refusal == (404, "not_found")
        assert (await send(other, "no-id")).refusal == (404, "not_found")
    assert (await files(tenant, job))["items"] == []


async def test_who_is_not_of_the_org_fetches_nothing(plane: Plane, tenant: Tenant) -> None:
    host, job, run_id = await started(tenant)
    asset_id = (await send(host, run_id)).json["asset"]["id"]
    stranger = plane.tenant()
    own = await stranger.create(stranger.host())
    assert (await fetch(stranger.user, tenant, job, asset_id)).refusal == (404, "not_found")
    assert (await fetch(stranger.user, stranger, job, asset_id)).refusal == (404, "not_found")
    assert (await fetch(stranger.user, stranger, own, asset_id)).refusal == (404, "not_found")
    assert (await fetch(host, tenant, job, asset_id)).status in {401, 403}
    assert (await fetch(plane.caller(None), tenant, job, asset_id)).refusal == (401, "unauthenticated")
    assert (await fetch(tenant.user, tenant, job, "no-id")).refusal == (404, "not_found")


async def test_pages_lead_from_one_to_the_next(tenant: Tenant) -> None:
    host, job, run_id = await started(tenant)
    for number in range(3):
        await send(host, run_id, name=f"{number}")
    first = await files(tenant, job, limit=2)
    last = await files(tenant, job, limit=2, cursor=first["nextCursor"])
    assert [each["name"] for page in (first, last) for each in page["items"]] == ["0", "1", "2"]
    assert last["nextCursor"] is None


async def test_dashboards_hear_of_a_new_file_once(tenant: Tenant) -> None:
    host, job, run_id = await started(tenant)
    async with tenant.watch() as watch:
        await send(host, run_id)
        await send(host, run_id)
        told = await watch.until("evidence.added")
        assert told["data"] == {"jobId": job["id"], "jobRunId": run_id, "created": 0, "assets": 1}
        await host.finish(run_id)
        await watch.until("job_run.done")
        assert watch.events.count("evidence.added") == 1


async def test_a_body_without_a_length_is_received_too(tenant: Tenant) -> None:
    host, job, run_id = await started(tenant)

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b"x" * 10_000

    url = f"{host.url}{host.path}/jobs/{run_id}/assets/big.bin"
    async with host.session.put(url, data=chunks(), headers={"Authorization": f"Bearer {host.token}"}) as response:
        assert response.status == 200
    (listed,) = (await files(tenant, job))["items"]
    assert listed["sizeBytes"] == 400_000


async def test_who_leaves_in_the_middle_leaves_nothing(tenant: Tenant) -> None:
    host, job, run_id = await started(tenant)
    begun = asyncio.Event()

    async def half() -> AsyncIterator[bytes]:
        yield b"x" * 200_000
        begun.set()
        await asyncio.Event().wait()

    url = f"{host.url}{host.path}/jobs/{run_id}/assets/half.bin"

    async def send_half() -> None:
        async with host.session.put(url, data=half(), headers={"Authorization": f"Bearer {host.token}"}):
            raise AssertionError("half a file was answered")

    sending = asyncio.create_task(send_half())
    await begun.wait()
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    folder = tenant.plane.server.data_dir / "assets" / "partial"
    async with asyncio.timeout(10):
        while list(folder.iterdir()):
            await send(host, run_id)
    assert [each["name"] for each in (await files(tenant, job))["items"]] in ([], ["shot.png"])


async def test_a_file_that_is_gone_from_the_disk_is_said_to_be_away(tenant: Tenant) -> None:
    host, job, run_id = await started(tenant)
    asset = (await send(host, run_id, os.urandom(100))).json["asset"]
    path = tenant.plane.server.data_dir / "assets" / asset["sha256"][:2] / asset["sha256"]
    path.write_bytes(b"short")
    assert (await fetch(tenant.user, tenant, job, asset["id"])).refusal == (503, "unavailable")
    path.unlink()
    assert (await fetch(tenant.user, tenant, job, asset["id"])).refusal == (503, "unavailable")


def head(host: Agent, run_id: str, *headers: str) -> bytes:
    """A request's head, to be sent by hand."""
    lines = [f"PUT {host.path}/jobs/{run_id}/assets/raw.bin HTTP/1.1", "Host: x", f"Authorization: Bearer {host.token}"]
    return "\r\n".join([*lines, *headers, "", ""]).encode()


async def by_hand(tenant: Tenant, sent: bytes) -> bytes:
    """What the server answers until it closes the connection, or says that it goes on."""
    reader, writer = await asyncio.open_connection("127.0.0.1", tenant.plane.server.port)
    try:
        writer.write(sent)
        async with asyncio.timeout(PATIENCE):
            return await reader.readuntil(b"\r\n\r\n")
    finally:
        writer.close()


@pytest.mark.parametrize("body", [b"zz\r\nabc\r\n0\r\n\r\n", b"5\r\nabcdefgh\r\n0\r\n\r\n", b"-1\r\n"])
async def test_a_body_in_broken_chunks_is_refused_and_leaves_nothing(tenant: Tenant, body: bytes) -> None:
    host, job, run_id = await started(tenant)
    answer = await by_hand(tenant, head(host, run_id, "Transfer-Encoding: chunked") + body)
    assert answer.split(b" ")[1] == b"400"
    assert (await files(tenant, job))["items"] == []
    kept_bytes(tenant)


async def test_who_asks_first_is_told_to_go_on(tenant: Tenant) -> None:
    host, _, run_id = await started(tenant)
    answer = await by_hand(tenant, head(host, run_id, "Expect: 100-continue", "Content-Length: 5"))
    assert answer.startswith(b"HTTP/1.1 100 ")
