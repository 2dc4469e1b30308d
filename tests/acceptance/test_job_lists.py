"""Lists, single jobs and their logs, as users read them."""

import asyncio
import re
from typing import Any

import pytest

from tests.support.callers import Document, Plane, Tenant

CURSOR = re.compile(r"[A-Za-z0-9_-]+")
LINK = re.compile(r'<([^>]+)>; rel="next"')


async def listed(tenant: Tenant, **query: Any) -> list[str]:
    """The ids of a page."""
    reply = await tenant.user.get(tenant.jobs_path, **query)
    assert reply.status == 200, reply
    return [job["id"] for job in reply.json["items"]]


async def made(tenant: Tenant, number: int, **fields: Any) -> list[Document]:
    """Jobs of one host, oldest first."""
    host = tenant.host()
    return [await tenant.create(host, **fields) for _ in range(number)]


async def test_a_list_is_newest_first_with_cursors_that_reach_everything_once(tenant: Tenant) -> None:
    jobs = await made(tenant, 7)
    found: list[str] = []
    query: dict[str, Any] = {"limit": 3}
    while True:
        page = (await tenant.user.get(tenant.jobs_path, **query)).json
        found += [job["id"] for job in page["items"]]
        if page["nextCursor"] is None:
            break
        assert CURSOR.fullmatch(page["nextCursor"])
        query["cursor"] = page["nextCursor"]
    assert found == [job["id"] for job in reversed(jobs)]


async def test_a_link_leads_to_the_next_page_with_the_same_filters(tenant: Tenant) -> None:
    host = tenant.host()
    wanted = [await tenant.create(host, job_type="SERVER_STOP", payload={"a": "b&limit=1"}) for _ in range(3)]
    await tenant.create(host)
    path = f"{tenant.jobs_path}?limit=2&type=SERVER_STOP&q=b%26limit%3D1"
    first = await tenant.user.get(path)
    link = LINK.fullmatch(first.headers["Link"])
    assert link is not None
    second = await tenant.user.get(link[1])
    assert [job["id"] for job in second.json["items"]] == [wanted[0]["id"]]
    assert "Link" not in second.headers


@pytest.mark.parametrize("query", ["zz=%0d%0aX-Evil:%201", "zz=%00", "zz=%E2%82%AC", "zz=%ff", "%3Ex%22"])
async def test_an_odd_query_neither_breaks_a_list_nor_leaks_into_its_headers(tenant: Tenant, query: str) -> None:
    await made(tenant, 2)
    reply = await tenant.user.get(f"{tenant.jobs_path}?limit=1&{query}")
    if reply.status == 400:
        assert reply.code == "invalid_request"
    else:
        assert reply.status == 200
        assert LINK.fullmatch(reply.headers["Link"])
    assert "X-Evil" not in reply.headers


async def test_a_page_has_fifty_jobs_unless_asked_otherwise_and_at_most_two_hundred(tenant: Tenant) -> None:
    items = [{"type": "SERVER_START", "hostId": tenant.host().id}] * 201
    await tenant.user.post(f"{tenant.jobs_path}/batch", {"jobs": items})
    assert len(await listed(tenant)) == 50
    assert len(await listed(tenant, limit=200)) == 200


@pytest.mark.parametrize(
    "query",
    [
        *({"limit": limit} for limit in ("0", "201", "-1", "1.5", "x", "", "1" * 400, "１")),
        *({"status": status} for status in ("pending", "DONE")),
        *({"cursor": cursor} for cursor in ("x", "%", "0" * 36)),
        *({"since": since} for since in ("yesterday", "2026-01-01", "2026-01-01T00:00:00", "9999999999")),
        *({"sort": sort} for sort in ("", "id", "CREATEDAT", "--createdAt", "+status", "priority", "createdAt,status")),
        {"q": "x" * 201},
        {"type": "x" * 101},
    ],
    ids=str,
)
async def test_an_unusable_filter_is_refused(tenant: Tenant, query: dict[str, Any]) -> None:
    assert (await tenant.user.get(tenant.jobs_path, **query)).refusal == (400, "invalid_request")


async def in_all_states(tenant: Tenant) -> dict[str, Document]:
    """A job of each status, by status, in the order of their births; the last was the first to end, then they end in order."""
    host = tenant.host()
    jobs = [await tenant.create(host) for _ in range(5)]
    await tenant.cancel(jobs[4])
    failing = (await host.finish((await host.take())["jobRunId"], take_next=True))["next"]
    await host.finish(failing["jobRunId"], "failed", retryable=False)
    await host.take()
    return dict(zip(("COMPLETED", "FAILED", "RUNNING", "PENDING", "CANCELLED"), jobs, strict=True))


ENDED_LAST = ("FAILED", "COMPLETED", "CANCELLED", "RUNNING", "PENDING")
ORDERS = {
    "-createdAt": ("CANCELLED", "PENDING", "RUNNING", "FAILED", "COMPLETED"),
    "createdAt": ("COMPLETED", "FAILED", "RUNNING", "PENDING", "CANCELLED"),
    "-completedAt": ENDED_LAST,
    "completedAt": ("CANCELLED", "COMPLETED", "FAILED", "RUNNING", "PENDING"),
    "status": ("PENDING", "RUNNING", "COMPLETED", "FAILED", "CANCELLED"),
    "-status": ("CANCELLED", "FAILED", "COMPLETED", "RUNNING", "PENDING"),
}


async def test_a_list_is_sorted_as_a_whole_and_its_pages_follow_that_order(tenant: Tenant) -> None:
    jobs = await in_all_states(tenant)
    for sort, statuses in ORDERS.items():
        found: list[str] = []
        path: str | None = f"{tenant.jobs_path}?limit=2&sort={sort}"
        while path is not None:
            page = await tenant.user.get(path)
            assert page.json["nextCursor"] is None or CURSOR.fullmatch(page.json["nextCursor"])
            found += [job["id"] for job in page.json["items"]]
            following = LINK.fullmatch(page.headers.get("Link", ""))
            path = None if following is None else following[1]
        assert found == [jobs[status]["id"] for status in statuses], sort


async def test_a_sorted_list_can_be_narrowed(tenant: Tenant) -> None:
    jobs = await in_all_states(tenant)
    assert await listed(tenant, sort="-completedAt", status="FAILED") == [jobs["FAILED"]["id"]]
    assert await listed(tenant, sort="-completedAt", status="PENDING") == [jobs["PENDING"]["id"]]
    assert await listed(tenant, sort="status", type="SERVER_STOP") == []
    host_id = jobs["FAILED"]["hostId"]
    assert await listed(tenant, sort="-completedAt", hostId=host_id) == [jobs[status]["id"] for status in ENDED_LAST]


async def test_a_retried_job_stands_among_those_that_have_not_ended(tenant: Tenant) -> None:
    jobs = await in_all_states(tenant)
    assert (await tenant.user.post(f"{tenant.jobs_path}/{jobs['FAILED']['id']}/retry")).status == 200
    wanted = ("COMPLETED", "CANCELLED", "RUNNING", "PENDING", "FAILED")  # of those that wait the newest first
    assert await listed(tenant, sort="-completedAt") == [jobs[status]["id"] for status in wanted]


async def test_a_cursor_is_refused_in_another_order(tenant: Tenant) -> None:
    await made(tenant, 2)
    for sort in ORDERS:
        cursor = (await tenant.user.get(tenant.jobs_path, limit=1, sort=sort)).json["nextCursor"]
        for other in ORDERS:
            reply = await tenant.user.get(tenant.jobs_path, limit=1, sort=other, cursor=cursor)
            assert reply.status == 200 if other == sort else reply.refusal == (400, "invalid_request")


async def test_lists_can_be_narrowed_by_status(tenant: Tenant) -> None:
    host = tenant.host()
    jobs = [await tenant.create(host) for _ in range(4)]
    failed = (await host.finish((await host.take())["jobRunId"], take_next=True))["next"]
    await host.finish(failed["jobRunId"], "failed", retryable=False)
    await tenant.cancel(jobs[3])
    for status, job in zip(("COMPLETED", "FAILED", "PENDING", "CANCELLED"), jobs, strict=True):
        assert await listed(tenant, status=status) == [job["id"]]


async def test_lists_can_be_narrowed_by_type_host_creator_time_and_text(tenant: Tenant) -> None:
    one, two = tenant.host("one"), tenant.host("two")
    first = await tenant.create(one, payload={"map": "100%_sure"})
    second = await tenant.create(two, job_type="SERVER_STOP", payload={"map": "100 sure"})
    body = {"type": "SERVER_RESTART", "hostId": one.id}
    third = (await tenant.as_role("admin").post(tenant.jobs_path, body)).json
    assert await listed(tenant, type="SERVER_STOP") == [second["id"]]
    assert await listed(tenant, hostId=one.id) == [third["id"], first["id"]]
    assert await listed(tenant, createdBy=tenant.user_ids["admin"]) == [third["id"]]
    assert await listed(tenant, since=third["createdAt"]) == [third["id"]]
    assert await listed(tenant, q="100%_") == [first["id"]]
    assert await listed(tenant, hostId=one.id, type="SERVER_START") == [first["id"]]
    assert await listed(tenant, hostId=tenant.plane.tenant().host().id) == []


async def test_a_list_shows_each_job_with_its_latest_run_only(tenant: Tenant) -> None:
    host = tenant.host()
    job = await tenant.create(host)
    await host.finish((await host.take())["jobRunId"], "failed")
    (item,) = (await tenant.user.get(tenant.jobs_path)).json["items"]
    assert [run["attempt"] for run in item["jobRuns"]] == [2]
    assert [run["attempt"] for run in (await tenant.show(job))["jobRuns"]] == [1, 2]


async def test_a_list_shows_nothing_of_another_org(plane: Plane, tenant: Tenant) -> None:
    await made(tenant, 2)
    other = plane.tenant()
    assert await listed(other) == []


async def test_a_job_has_a_tag_that_changes_when_the_job_does(tenant: Tenant) -> None:
    host = tenant.host()
    job = await tenant.create(host)
    path = f"{tenant.jobs_path}/{job['id']}"
    first = await tenant.user.get(path)
    same = await tenant.user.get(path, headers={"If-None-Match": first.headers["ETag"]})
    assert (same.status, same.body, same.headers["ETag"]) == (304, b"", first.headers["ETag"])
    await host.take()
    changed = await tenant.user.get(path, headers={"If-None-Match": first.headers["ETag"]})
    assert changed.status == 200
    assert changed.headers["ETag"] != first.headers["ETag"]


@pytest.mark.parametrize("form", ['"other", {tag}', "W/{tag}", "*"])
async def test_a_tag_is_found_in_every_form_that_http_allows(tenant: Tenant, form: str) -> None:
    job = await tenant.create(tenant.host())
    path = f"{tenant.jobs_path}/{job['id']}"
    tag = (await tenant.user.get(path)).headers["ETag"]
    assert (await tenant.user.get(path, headers={"If-None-Match": form.format(tag=tag)})).status == 304


async def test_a_finished_job_shows_its_output_times_and_runs(tenant: Tenant) -> None:
    host = tenant.host()
    job = await tenant.create(host)
    run_id = (await host.take())["jobRunId"]
    running = await tenant.show(job)
    assert (running["status"], running["attempts"], running["assignedAgentId"]) == ("RUNNING", 1, host.id)
    assert running["startedAt"] == running["jobRuns"][0]["startedAt"]
    await host.finish(run_id, durationMs=1234, output={"pid": 7})
    ended = await tenant.show(job)
    assert (ended["status"], ended["progress"], ended["output"]) == ("COMPLETED", 100, {"pid": 7})
    assert ended["wait"] is None
    (run,) = ended["jobRuns"]
    assert (run["id"], run["status"]) == (run_id, "success")
    assert run["result"] == {"durationMs": 1234, "errorMessage": None, "errorCode": None, "output": {"pid": 7}}
    assert ended["createdAt"] <= ended["startedAt"] <= ended["completedAt"] == run["finishedAt"]


async def test_logs_are_read_in_order_and_page_by_page(tenant: Tenant) -> None:
    host = tenant.host()
    job = await tenant.create(host)
    run_id = (await host.take())["jobRunId"]
    lines = [{"seq": n, "level": "warn", "message": f"line {n}"} for n in range(1, 6)]
    assert (await host.logs(run_id, *lines)).status == 200
    path = f"{tenant.jobs_path}/{job['id']}/logs"
    items = (await tenant.user.get(path, limit=2)).json["items"]
    items += (await tenant.user.get(path, after=items[-1]["seq"])).json["items"]
    assert [item["message"] for item in items] == [f"line {n}" for n in range(1, 6)]
    assert [item["seq"] for item in items] == sorted(item["seq"] for item in items)
    assert set(items[0]) >= {"seq", "jobRunId", "level", "message", "progress", "createdAt"}
    assert {item["jobRunId"] for item in items} == {run_id}
    assert {item["level"] for item in items} == {"warn"}
    assert (await tenant.show(job))["counts"]["logs"] == 5


async def test_following_the_log_waits_for_the_next_line(tenant: Tenant) -> None:
    host = tenant.host()
    job = await tenant.create(host)
    run_id = (await host.take())["jobRunId"]
    following = asyncio.create_task(tenant.user.get(f"{tenant.jobs_path}/{job['id']}/logs", follow=1))
    await tenant.show(job)
    assert not following.done()
    await host.logs(run_id, {"seq": 1, "message": "here"})
    assert [item["message"] for item in (await following).json["items"]] == ["here"]


async def test_a_job_of_the_s2_routes_is_the_same_under_both_names(plane: Plane, tenant: Tenant) -> None:
    host = tenant.host()
    tenant.as_role("operator")
    user = plane.caller(plane.rows.token(tenant.user_ids["operator"], tenant.id))
    reply = await user.post("/jobs", {"type": "SERVER_START", "hostId": host.id, "input": {"a": 1}})
    assert reply.status == 201
    job = reply.json
    assert (job["input"], job["payload"], job["tenantId"]) == ({"a": 1}, {"a": 1}, tenant.id)
    assert job["_count"] == {"evidence": 0, "jobLogs": 0}
    assert (await user.get(f"/jobs/{job['id']}")).json["input"] == {"a": 1}
    assert (await user.get("/jobs")).json["items"][0]["tenantId"] == tenant.id
    assert (await user.post(f"/jobs/{job['id']}/cancel")).json["status"] == "CANCELLED"


async def test_the_s2_routes_find_the_only_org_of_a_user_and_refuse_to_guess(plane: Plane, tenant: Tenant) -> None:
    assert (await tenant.user.get("/jobs")).status == 200
    plane.rows.join(plane.tenant().id, tenant.user_ids["operator"])
    assert (await tenant.user.get("/jobs")).refusal == (400, "invalid_request")
