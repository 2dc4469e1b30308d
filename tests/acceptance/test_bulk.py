"""Many jobs cancelled or retried with one request: by ids or by a filter, counted first if one likes."""

from typing import Any

import pytest

from tests.support.callers import Agent, Document, Plane, Reply, Tenant
from tests.support.routes import NOBODY


async def bulk(tenant: Tenant, **body: Any) -> Reply:
    return await tenant.user.post(f"{tenant.jobs_path}/bulk", body)


async def counts(tenant: Tenant, **body: Any) -> dict[str, int]:
    reply = await bulk(tenant, **body)
    assert reply.status == 200, reply
    return {name: count for name, count in reply.json.items() if isinstance(count, int) and count and name != "dryRun"}


async def jobs_of(tenant: Tenant, host: Agent, count: int = 3) -> list[Document]:
    return [await tenant.create(host) for _ in range(count)]


async def statuses(tenant: Tenant) -> list[str]:
    return sorted(job["status"] for job in (await tenant.user.get(tenant.jobs_path, limit=200)).json["items"])


async def test_jobs_are_cancelled_by_their_ids(plane: Plane, tenant: Tenant) -> None:
    host, other = tenant.host(), plane.tenant()
    first, *rest = await jobs_of(tenant, host)
    theirs = await other.create(other.host())
    await host.take()
    ids = [job["id"] for job in (first, *rest)]
    named = [*ids, *ids, theirs["id"], NOBODY, "nothing"]
    assert await counts(tenant, op="cancel", ids=named, dryRun=True) == {"matched": 3, "skipped": 3}
    assert await statuses(tenant) == ["PENDING", "PENDING", "RUNNING"]
    assert await counts(tenant, op="cancel", ids=named) == {"matched": 3, "done": 2, "asked": 1, "skipped": 3}
    assert (await tenant.show(first))["cancelRequested"] is True
    assert await counts(tenant, op="cancel", ids=ids, force=True) == {"matched": 1, "done": 1, "skipped": 2}
    assert await statuses(tenant) == ["CANCELLED"] * 3
    assert (await other.show(theirs))["status"] == "PENDING"


async def test_jobs_are_retried_by_a_filter(tenant: Tenant) -> None:
    host, other = tenant.host(), tenant.host("eu-2")
    jobs = [*await jobs_of(tenant, host), *await jobs_of(tenant, other, 2)]
    await bulk(tenant, op="cancel", ids=[job["id"] for job in jobs])
    assert await counts(tenant, op="retry", filter={"hostId": host.id}, dryRun=True) == {"matched": 3}
    assert await counts(tenant, op="retry", filter={"hostId": host.id}) == {"matched": 3, "done": 3}
    assert await statuses(tenant) == ["CANCELLED"] * 2 + ["PENDING"] * 3
    assert await counts(tenant, op="retry", filter={}) == {"matched": 2, "done": 2}


async def test_many_jobs_of_one_host_are_all_retried(tenant: Tenant) -> None:
    many = 60
    wanted = {"type": "SERVER_START", "hostId": tenant.host().id}
    reply = await tenant.user.post(f"{tenant.jobs_path}/batch", {"jobs": [wanted] * many})
    ids = [each["job"]["id"] for each in reply.json["results"]]
    assert await counts(tenant, op="cancel", ids=ids) == {"matched": many, "done": many}
    assert await counts(tenant, op="retry", ids=ids) == {"matched": many, "done": many}
    assert await statuses(tenant) == ["PENDING"] * many


async def test_jobs_in_the_pool_are_cancelled_and_retried_too(tenant: Tenant) -> None:
    for _ in range(3):
        await tenant.user.post(tenant.jobs_path, {"type": "google_maps"})
    assert await counts(tenant, op="cancel", filter={"type": "google_maps"}) == {"matched": 3, "done": 3}
    assert await counts(tenant, op="retry", filter={"status": "CANCELLED"}) == {"matched": 3, "done": 3}
    assert await statuses(tenant) == ["PENDING"] * 3


async def test_a_filter_narrows_as_in_lists(tenant: Tenant) -> None:
    host = tenant.host()
    await jobs_of(tenant, host)
    mark = (await tenant.create(host, payload={"map": "de_dust2"}))["createdAt"]
    narrow: list[tuple[dict[str, Any], int]] = [
        ({}, 4),
        ({"q": "dust2"}, 1),
        ({"since": mark}, 1),
        ({"type": "SERVER_STOP"}, 0),
        ({"status": "PENDING"}, 4),
        ({"status": "COMPLETED"}, 0),
        ({"createdBy": tenant.user_ids["operator"]}, 4),
        ({"createdBy": NOBODY}, 0),
    ]
    for given, count in narrow:
        assert (await counts(tenant, op="cancel", filter=given, dryRun=True)).get("matched", 0) == count


async def test_a_large_filter_is_worked_off_part_by_part(tenant: Tenant) -> None:
    host = tenant.host()
    for _ in range(2):
        jobs = [{"type": "SERVER_START", "hostId": host.id}] * 600
        await tenant.user.post(f"{tenant.jobs_path}/batch", {"jobs": jobs})
    done: list[int] = []
    cursor = None
    while cursor is not None or not done:
        reply = (await bulk(tenant, op="cancel", filter={}, cursor=cursor)).json
        done.append(reply["done"])
        cursor = reply["nextCursor"]
    assert (sum(done), max(done)) == (1200, 1000)
    assert await counts(tenant, op="cancel", filter={}, dryRun=True) == {}


async def test_each_job_is_audited_with_its_reason(tenant: Tenant) -> None:
    (job,) = await jobs_of(tenant, tenant.host(), 1)
    await bulk(tenant, op="cancel", filter={}, reason="maintenance")
    lines = (await tenant.as_role("admin").get(f"{tenant.path}/audit", targetId=job["id"])).json["items"]
    assert (lines[0]["action"], lines[0]["detail"]["reason"]) == ("job.cancel", "maintenance")


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"op": "cancel"}, "$"),
        ({"op": "cancel", "ids": [], "filter": {}}, "$"),
        ({"op": "delete", "ids": []}, "$.op"),
        ({"op": "cancel", "ids": [1]}, "$.ids[0]"),
        ({"op": "cancel", "ids": ["a"] * 1001}, "$.ids"),
        ({"op": "retry", "ids": [], "force": True}, "$.force"),
        ({"op": "cancel", "ids": [], "cursor": NOBODY}, "$.cursor"),
        ({"op": "cancel", "filter": {}, "cursor": "a"}, "$.cursor"),
        ({"op": "cancel", "filter": {"status": "LOST"}}, "$.filter.status"),
        ({"op": "cancel", "filter": {"since": "then"}}, "$.filter.since"),
        ({"op": "cancel", "filter": {"type": "\n"}}, "$.filter.type"),
        ({"op": "cancel", "filter": {"q": "a" * 201}}, "$.filter.q"),
        ({"op": "cancel", "filter": {"colour": "red"}}, "$.filter.colour"),
        ({"op": "cancel", "filter": {}, "dryrun": True}, "$.dryrun"),
    ],
)
async def test_a_request_that_makes_no_sense_is_refused_with_its_place(tenant: Tenant, body: Any, path: str) -> None:
    reply = await bulk(tenant, **body)
    assert (reply.refusal, [error["path"] for error in reply.json["errors"]]) == ((400, "invalid_request"), [path])
