"""What agents find: a verdict for each item, the same content once per job, and pages for users."""

import asyncio
from typing import Any

import msgspec
import pytest

from tests.support.callers import Agent, Document, Plane, Reply, Tenant

ITEM = {
    "type": "company",
    "title": "Café Ω",
    "source": "google_maps",
    "url": "https://example.com/a?b=c#d",
    "snippet": '{"phone":"1"}',
    "confidence": "high",
    "collectedAt": "2026-11-22T02:34:06.123Z",
    "hash": "the agent's own",
}


def item(**changes: Any) -> Document:
    """One item; None leaves a field out."""
    return {name: value for name, value in (ITEM | changes).items() if value is not None}


async def started(tenant: Tenant, **fields: Any) -> tuple[Agent, Document, str]:
    """A host, its job and the run that its agent has taken."""
    host = tenant.host()
    job = await tenant.create(host, **fields)
    return host, job, (await host.take())["jobRunId"]


async def found(host: Agent, run_id: str, *items: Any, **fields: Any) -> Reply:
    """The agent tells what it has found."""
    return await host.post(f"{host.path}/jobs/{run_id}/evidence", {"evidence": items, **fields})


async def stored(tenant: Tenant, job: Document, **query: Any) -> Document:
    """A page of what a user sees."""
    reply = await tenant.user.get(f"{tenant.jobs_path}/{job['id']}/evidence", **query)
    assert reply.status == 200, reply
    page: Document = reply.json
    return page


async def test_what_was_found_is_kept_with_all_that_it_says(tenant: Tenant) -> None:
    host, job, run_id = await started(tenant)
    reply = await found(host, run_id, item())
    assert reply.status == 200
    (verdict,) = reply.json["items"]
    counts = {"created": 1, "duplicates": 0, "rejected": 0}
    assert reply.json == {"status": "running", "cancelRequested": False, **counts, "items": [verdict]}
    (kept,) = (await stored(tenant, job))["items"]
    assert verdict == {"verdict": "created", "id": kept["id"]}
    assert {name: kept[name] for name in ITEM if name != "hash"} == {n: v for n, v in ITEM.items() if n != "hash"}
    assert (kept["jobId"], kept["jobRunId"]) == (job["id"], run_id)
    assert len(kept["hash"]) == 64
    assert kept["sizeBytes"] > len(ITEM["snippet"])
    assert (await tenant.show(job))["counts"]["evidence"] == 1


async def test_each_item_is_judged_by_itself(tenant: Tenant) -> None:
    host, job, run_id = await started(tenant)
    reply = await found(
        host, run_id, item(), 5, item(title="other"), item(confidence="sure"), item(), item(url="ftp://x")
    )
    verdicts = [each["verdict"] for each in reply.json["items"]]
    assert verdicts == ["created", "rejected", "created", "rejected", "duplicate", "rejected"]
    assert [reply.json[name] for name in ("created", "duplicates", "rejected")] == [2, 1, 3]
    assert reply.json["items"][4]["id"] == reply.json["items"][0]["id"]
    assert "confidence" in reply.json["items"][3]["message"]
    assert len((await stored(tenant, job))["items"]) == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"type": None},
        {"type": ""},
        {"type": "x" * 101},
        {"title": None},
        {"title": "x" * 1001},
        {"source": 7},
        {"snippet": None},
        {"snippet": "x" * 70_000},
        {"url": "javascript:alert(1)"},
        {"url": "//example.com"},
        {"url": "http://"},
        {"url": "http://[::1"},
        {"url": "https://exa mple.com/"},
        {"url": "https://example.com/\n"},
        {"url": "https://example.com/" + "x" * 2048},
        {"collectedAt": "yesterday"},
        {"snippet": {"deep": "\0"}},
        {"title": "a\0b"},
        {"snippet": 2**70},
    ],
)
async def test_an_item_that_cannot_be_kept_is_rejected_with_a_sentence_and_sinks_no_other(
    tenant: Tenant, changes: Document
) -> None:
    host, _, run_id = await started(tenant)
    reply = await found(host, run_id, item(**changes), item())
    assert reply.status == 200, reply
    assert [each["verdict"] for each in reply.json["items"]] == ["rejected", "created"]
    assert reply.json["items"][0]["message"]


@pytest.mark.parametrize("raw", [b'"\\ud800"', b'{"type":"\\ud800"}', b'"\\u0000"', b"[]", b"null", b"1e999"])
async def test_hostile_items_are_rejected_one_by_one(tenant: Tenant, raw: bytes) -> None:
    host, _, run_id = await started(tenant)
    body = b'{"evidence":[' + raw + b"," + msgspec.json.encode(item()) + b"]}"
    reply = await host.post(f"{host.path}/jobs/{run_id}/evidence", body)
    if reply.status == 400:  # what the whole body cannot be read for
        assert reply.code == "invalid_request"
    else:
        assert [each["verdict"] for each in reply.json["items"]] == ["rejected", "created"]


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        (b"", (400, "invalid_request")),
        (b"{}", (400, "invalid_request")),
        (b"[]", (400, "invalid_request")),
        (b'{"evidence":5}', (400, "invalid_request")),
        (b'{"evidence":[' + b"{}," * 10_000 + b"{}]}", (400, "invalid_request")),
        (b'{"evidence":["' + b"x" * 2**20 + b'"]}', (413, "payload_too_large")),
        (b'{"evidence":[\xff]}', (400, "invalid_request")),
    ],
)
async def test_a_request_that_cannot_be_read_is_refused_whole(
    tenant: Tenant, body: bytes, refusal: tuple[int, str]
) -> None:
    host, job, run_id = await started(tenant)
    assert (await host.post(f"{host.path}/jobs/{run_id}/evidence", body)).refusal == refusal
    assert (await stored(tenant, job))["items"] == []


async def test_a_snippet_may_be_any_json_and_the_order_of_its_keys_does_not_matter(tenant: Tenant) -> None:
    host, job, run_id = await started(tenant)
    first = await found(host, run_id, item(snippet={"b": [1, None], "a": "é"}), item(snippet=7.5), item(snippet=[]))
    again = await found(host, run_id, item(snippet={"a": "é", "b": [1, None]}))
    assert (first.json["created"], again.json["duplicates"]) == (3, 1)
    snippets = [each["snippet"] for each in (await stored(tenant, job))["items"]]
    assert snippets == ['{"a":"é","b":[1,null]}', "7.5", "[]"]


async def test_neither_the_agents_hash_nor_the_time_makes_it_another_item(tenant: Tenant) -> None:
    host, job, run_id = await started(tenant)
    await found(host, run_id, item())
    again = await found(host, run_id, item(hash="another", collectedAt="2026-11-23T00:00:00Z"), item(collectedAt=None))
    assert [each["verdict"] for each in again.json["items"]] == ["duplicate", "duplicate"]
    other = await found(host, run_id, item(url=None), item(url=""), item(title="Cafe"), item(confidence="low"))
    assert (other.json["created"], other.json["duplicates"]) == (3, 1)  # an empty address is none
    assert len((await stored(tenant, job))["items"]) == 4


async def test_the_same_from_many_connections_is_kept_once(tenant: Tenant) -> None:
    host, job, run_id = await started(tenant)
    answers = await asyncio.gather(*(found(host, run_id, item(), item(title="b"), item()) for _ in range(8)))
    assert sum(answer.json["created"] for answer in answers) == 2
    assert sum(answer.json["duplicates"] for answer in answers) == 22
    assert len({answer.json["items"][0]["id"] for answer in answers}) == 1
    assert len((await stored(tenant, job))["items"]) == 2


async def test_another_attempt_does_not_store_it_again_and_another_job_does(tenant: Tenant) -> None:
    host, job, run_id = await started(tenant)
    await found(host, run_id, item())
    await host.finish(run_id, "failed", retryable=False)
    await tenant.retry(job)
    second = (await host.take())["jobRunId"]
    assert (await found(host, second, item())).json["duplicates"] == 1
    await host.finish(second)
    other = await tenant.create(host)
    third = (await host.take())["jobRunId"]
    assert (await found(host, third, item())).json["created"] == 1
    assert len((await stored(tenant, job))["items"]) == len((await stored(tenant, other))["items"]) == 1


async def test_what_was_found_may_trail_the_result(tenant: Tenant) -> None:
    host, job, run_id = await started(tenant)
    await host.finish(run_id)
    await tenant.create(host)
    await host.take()  # the host has gone on
    reply = await found(host, run_id, item())
    assert (reply.status, reply.json["status"], reply.json["created"]) == (200, "success", 1)
    assert (await tenant.show(job))["counts"]["evidence"] == 1


async def test_a_run_that_has_not_started_has_found_nothing(tenant: Tenant) -> None:
    host = tenant.host()
    job = await tenant.create(host)
    assert (await found(host, job["jobRuns"][0]["id"], item())).refusal == (409, "invalid_state")


async def test_a_run_of_another_host_is_not_found(tenant: Tenant) -> None:
    _, job, run_id = await started(tenant)
    for other in (tenant.host("other"), tenant.plane.tenant().host()):
        assert (await found(other, run_id, item())).refusal == (404, "not_found")
    host = tenant.host("third")
    assert (await found(host, "no-id", item())).refusal == (404, "not_found")
    assert (await stored(tenant, job))["items"] == []


async def test_a_cancel_travels_on_the_answer(tenant: Tenant) -> None:
    host, job, run_id = await started(tenant)
    await tenant.cancel(job)
    assert (await found(host, run_id, item())).json["cancelRequested"] is True
    assert (await found(host, run_id)).json["cancelRequested"] is True


async def test_pages_lead_from_one_to_the_next(tenant: Tenant) -> None:
    host, job, run_id = await started(tenant)
    await found(host, run_id, *(item(title=f"n{number}") for number in range(5)))
    first = await stored(tenant, job, limit=2)
    second = await stored(tenant, job, limit=2, cursor=first["nextCursor"])
    last = await stored(tenant, job, limit=2, cursor=second["nextCursor"])
    assert [each["title"] for page in (first, second, last) for each in page["items"]] == [f"n{n}" for n in range(5)]
    assert last["nextCursor"] is None
    path = f"{tenant.jobs_path}/{job['id']}/evidence"
    assert (await tenant.user.get(path, cursor="x")).refusal == (400, "invalid_request")
    assert (await tenant.user.get(path, limit=0)).refusal == (400, "invalid_request")


async def test_who_is_not_of_the_org_sees_nothing(plane: Plane, tenant: Tenant) -> None:
    host, job, run_id = await started(tenant)
    await found(host, run_id, item())
    stranger = plane.tenant()
    assert (await stranger.user.get(f"{tenant.jobs_path}/{job['id']}/evidence")).refusal == (404, "not_found")
    assert (await stranger.user.get(f"{stranger.jobs_path}/{job['id']}/evidence")).refusal == (404, "not_found")
    assert (await plane.caller(None).get(f"{tenant.jobs_path}/{job['id']}/evidence")).refusal == (
        401,
        "unauthenticated",
    )
    viewer = await tenant.as_role("viewer").get(f"{tenant.jobs_path}/{job['id']}/evidence")
    assert viewer.status == 200


async def test_s2s_own_route_and_count_show_it_too(tenant: Tenant) -> None:
    host, job, run_id = await started(tenant)
    await found(host, run_id, item())
    (kept,) = (await tenant.user.get(f"/jobs/{job['id']}/evidence")).json["items"]
    assert (kept["jobId"], kept["title"]) == (job["id"], "Café Ω")
    assert (await tenant.user.get(f"/jobs/{job['id']}")).json["_count"] == {"evidence": 1, "jobLogs": 0}


async def test_dashboards_hear_that_there_is_more_but_not_of_duplicates(tenant: Tenant) -> None:
    host, job, run_id = await started(tenant)
    async with tenant.watch() as watch:
        await found(host, run_id, item(), item(title="b"))
        told = await watch.until("evidence.added")
        assert told["data"] == {"jobId": job["id"], "jobRunId": run_id, "created": 2, "assets": 0}
        await found(host, run_id, item())
        await host.finish(run_id)
        await watch.until("job_run.done")
        assert watch.events.count("evidence.added") == 1
