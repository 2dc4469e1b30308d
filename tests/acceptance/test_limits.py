"""Quotas and sizes, against a server whose limits are low."""

import asyncio
from collections.abc import Iterator

import pytest

from tests.support.callers import Tenant
from tests.support.server import Server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    limits = {
        "max_pending_per_host": 3,
        "max_pending_per_org": 5,
        "max_payload_bytes": 100,
        "max_body_bytes": 1000,
        "max_batch_jobs": 10,
        "max_json_depth": 8,
        "max_log_line_bytes": 20,
        "max_attempts": 7,
        "timeout_seconds": 33,
    }
    with Server(tmp_path_factory.mktemp("data"), **limits) as running:
        yield running
    assert running.tracebacks() == []


async def test_a_host_takes_no_more_waiting_jobs_than_its_quota(tenant: Tenant) -> None:
    host = tenant.host()
    jobs = [await tenant.create(host) for _ in range(3)]
    body = {"type": "SERVER_START", "hostId": host.id}
    reply = await tenant.user.post(tenant.jobs_path, body)
    assert reply.refusal == (429, "quota_exceeded")
    assert int(reply.headers["Retry-After"]) >= 1
    await tenant.cancel(jobs[0])
    assert (await tenant.user.post(tenant.jobs_path, body)).status == 201
    await host.take()
    assert (await tenant.user.post(tenant.jobs_path, body)).status == 201


async def test_creates_that_arrive_together_do_not_slip_past_the_quota(tenant: Tenant) -> None:
    body = {"type": "SERVER_START", "hostId": tenant.host().id}
    replies = await asyncio.gather(*(tenant.user.post(tenant.jobs_path, body) for _ in range(12)))
    assert sorted(reply.refusal for reply in replies) == [(201, "")] * 3 + [(429, "quota_exceeded")] * 9
    assert len((await tenant.user.get(tenant.jobs_path)).json["items"]) == 3


async def test_a_batch_is_taken_as_far_as_the_quota_goes(tenant: Tenant) -> None:
    item = {"type": "SERVER_START", "hostId": tenant.host().id}
    results = (await tenant.user.post(f"{tenant.jobs_path}/batch", {"jobs": [item] * 5})).json["results"]
    assert ["job" in result for result in results] == [True] * 3 + [False] * 2
    assert {result["error"]["code"] for result in results[3:]} == {"quota_exceeded"}


async def test_an_org_takes_no_more_waiting_jobs_than_its_quota(tenant: Tenant) -> None:
    for host in (tenant.host("a"), tenant.host("b")):
        for _ in range(2):
            await tenant.create(host)
    last = tenant.host("c")
    await tenant.create(last)
    reply = await tenant.user.post(tenant.jobs_path, {"type": "SERVER_START", "hostId": last.id})
    assert reply.refusal == (429, "quota_exceeded")
    other = tenant.plane.tenant()
    assert (await other.create(other.host()))["status"] == "PENDING"


async def test_a_job_that_no_longer_waits_frees_its_place_in_both_quotas(tenant: Tenant) -> None:
    host = tenant.host()
    for _ in range(12):
        await tenant.create(host)
        await host.finish((await host.take())["jobRunId"])


async def test_sizes_are_bounded_by_their_settings(tenant: Tenant) -> None:
    host = tenant.host()
    body = {"type": "SERVER_START", "hostId": host.id}
    for payload in ({"a": "x" * 100}, {"a": "x" * 1000}):
        reply = await tenant.user.post(tenant.jobs_path, body | {"payload": payload})
        assert reply.refusal == (413, "payload_too_large")
    reply = await tenant.user.post(f"{tenant.jobs_path}/batch", {"jobs": [body] * 11})
    assert reply.refusal == (400, "invalid_request")
    deep = b'{"type":"SERVER_START","hostId":"%s","payload":{"a":[[[[[[[]]]]]]]}}' % host.id.encode()
    assert (await tenant.user.post(tenant.jobs_path, deep)).refusal == (400, "invalid_request")


async def test_defaults_of_jobs_come_from_the_settings(tenant: Tenant) -> None:
    host = tenant.host()
    job = await tenant.create(host)
    assert job["maxAttempts"] == 7
    taken = await host.take()
    assert taken["timeoutSeconds"] == 33


@pytest.mark.parametrize("letter", ["x", "ü", "\U0001f600"])
async def test_a_long_log_line_is_cut_to_its_bytes(tenant: Tenant, letter: str) -> None:
    host = tenant.host()
    job = await tenant.create(host)
    await host.logs((await host.take())["jobRunId"], {"seq": 1, "message": letter * 50})
    (line,) = (await tenant.user.get(f"{tenant.jobs_path}/{job['id']}/logs")).json["items"]
    assert len(line["message"].encode()) <= 20
    assert line["message"].startswith(letter * 3)
