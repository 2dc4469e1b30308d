"""How much agents may leave behind, against a server whose limits are low."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from tests.support.callers import Agent, Document, Reply, Tenant
from tests.support.raw import PATIENCE, _answer
from tests.support.server import Server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    limits = {
        "max_log_lines": 3,
        "max_evidence_items": 4,
        "max_evidence_item_bytes": 200,
        "max_evidence_per_job": 3,
        "max_asset_bytes": 100_000,
        "max_assets_per_job": 3,
        "max_asset_bytes_per_job": 150_000,
        "max_asset_bytes_per_org": 200_000,
        "max_uploads": 2,
        "request_body_seconds": 2,
    }
    with Server(tmp_path_factory.mktemp("data"), **limits) as running:
        yield running
    assert running.tracebacks() == []


async def started(tenant: Tenant) -> tuple[Agent, Document, str]:
    """A host, its job and the run that its agent has taken."""
    host = tenant.host()
    job = await tenant.create(host)
    return host, job, (await host.take())["jobRunId"]


def item(title: str, **changes: Any) -> Document:
    plain = {"type": "t", "title": title, "source": "s", "snippet": "", "confidence": "low"}
    return plain | changes


async def send(host: Agent, run_id: str, size: int, name: str = "a") -> Reply:
    data = name[:1].encode() * size
    return await host.ask("PUT", f"{host.path}/jobs/{run_id}/assets/{name}", data, headers={"Content-Type": "x/y"})


async def test_a_log_that_is_full_ends_with_a_line_that_says_so(tenant: Tenant) -> None:
    host, job, run_id = await started(tenant)
    first = await host.logs(run_id, *({"seq": number, "message": "x"} for number in (1, 2)))
    assert "truncated" not in first.json
    full = await host.logs(run_id, *({"seq": number, "message": "x"} for number in (3, 4, 5)))
    assert (full.status, full.json["truncated"], full.json["nextSeq"]) == (200, True, 6)
    more = await host.logs(run_id, {"seq": 6, "message": "x"})
    assert (more.status, more.json["truncated"]) == (200, True)
    items = (await tenant.user.get(f"{tenant.jobs_path}/{job['id']}/logs")).json["items"]
    assert [each["level"] for each in items] == ["info"] * 3 + ["warn"]
    assert "truncated" in items[-1]["message"]


async def test_evidence_beyond_the_quota_is_rejected_item_by_item(tenant: Tenant) -> None:
    host, _, run_id = await started(tenant)
    path = f"{host.path}/jobs/{run_id}/evidence"
    reply = await host.post(path, {"evidence": [item("a"), item("b"), item("x" * 300), item("c")]})
    assert [each["verdict"] for each in reply.json["items"]] == ["created", "created", "rejected", "created"]
    reply = await host.post(path, {"evidence": [item("d"), item("a")]})
    assert [each["verdict"] for each in reply.json["items"]] == ["rejected", "duplicate"]
    assert "3 items" in reply.json["items"][0]["message"]
    reply = await host.post(path, {"evidence": [item("a")] * 5})
    assert reply.refusal == (400, "invalid_request")


async def test_a_file_that_is_too_large_is_refused_whether_it_says_so_or_not(tenant: Tenant) -> None:
    host, _, run_id = await started(tenant)
    assert (await send(host, run_id, 100_001)).refusal == (413, "payload_too_large")

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(11):
            yield b"x" * 10_000

    url, headers = f"{host.url}{host.path}/jobs/{run_id}/assets/a", {"Authorization": f"Bearer {host.token}"}
    async with host.session.put(url, data=chunks(), headers=headers) as response:
        assert response.status == 413
    assert (await send(host, run_id, 100_000)).status == 200
    assert list((tenant.plane.server.data_dir / "assets" / "partial").iterdir()) == []


async def test_a_job_keeps_no_more_files_and_bytes_than_its_share(tenant: Tenant) -> None:
    host, job, run_id = await started(tenant)
    assert (await send(host, run_id, 100_000, "a")).status == 200
    assert (await send(host, run_id, 50_001, "b")).refusal == (413, "payload_too_large")
    assert (await send(host, run_id, 10, "c")).status == 200
    assert (await send(host, run_id, 10, "d")).status == 200
    assert (await send(host, run_id, 10, "e")).refusal == (413, "payload_too_large")
    assert (await send(host, run_id, 100_000, "a")).status == 200  # it is there already
    items = (await tenant.user.get(f"{tenant.jobs_path}/{job['id']}/assets")).json["items"]
    assert [each["name"] for each in items] == ["a", "c", "d"]


async def test_an_org_keeps_no_more_than_its_share(tenant: Tenant) -> None:
    for name in "ab":
        host, _, run_id = await started(tenant)
        assert (await send(host, run_id, 100_000, name)).status == 200
    reply = await send(host, run_id, 1, "c")
    assert reply.refusal == (429, "quota_exceeded")
    assert int(reply.headers["Retry-After"]) >= 1


def head(host: Agent, run_id: str, size: int) -> bytes:
    return (
        f"PUT {host.path}/jobs/{run_id}/assets/slow HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {host.token}\r\n"
        f"Content-Length: {size}\r\n\r\n"
    ).encode()


async def test_a_slow_line_may_take_longer_than_any_one_portion(tenant: Tenant) -> None:
    """The limit is for progress: 64 KiB in two seconds here, while the whole takes longer than that."""
    host, job, run_id = await started(tenant)
    reader, writer = await asyncio.open_connection("127.0.0.1", tenant.plane.server.port)
    writer.write(head(host, run_id, 90_000))
    for size in (65_000, 20_000, 5_000):
        await asyncio.sleep(0.75)  # that is how slow the line is
        writer.write(b"x" * size)
        await writer.drain()
    async with asyncio.timeout(PATIENCE):
        assert (await _answer(reader)).status == 200
    writer.close()
    items = (await tenant.user.get(f"{tenant.jobs_path}/{job['id']}/assets")).json["items"]
    assert [each["sizeBytes"] for each in items] == [90_000]


async def test_who_stops_in_the_middle_of_a_file_loses_the_connection_and_the_others_get_his_place(
    tenant: Tenant,
) -> None:
    host, job, run_id = await started(tenant)
    writers = []
    readers = []
    for _ in range(2):
        reader, writer = await asyncio.open_connection("127.0.0.1", tenant.plane.server.port)
        writer.write(head(host, run_id, 90_000) + b"x" * 70_000)
        await writer.drain()
        writers.append(writer)
        readers.append(reader)
    for reader in readers:
        async with asyncio.timeout(PATIENCE):
            assert (await _answer(reader)).status == 408
            assert await reader.read() == b""
    assert (await send(host, run_id, 10)).status == 200
    for writer in writers:
        writer.close()
    items = (await tenant.user.get(f"{tenant.jobs_path}/{job['id']}/assets")).json["items"]
    assert [each["sizeBytes"] for each in items] == [10]
