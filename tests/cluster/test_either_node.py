"""What users and agents ask comes to the same end through either node, whoever owns the host."""

import asyncio
from contextlib import AsyncExitStack

from tests.cluster.rig import Town, by_way_of, ready, says, until
from tests.support.callers import Reply
from web.pass_on import PASSED_ON


async def test_both_nodes_are_ready(town: Town) -> None:
    assert [await ready(plane.stranger) for plane in (town.a, town.b)] == [200, 200]


async def test_a_job_made_at_the_other_node_reaches_the_parked_poll(town: Town) -> None:
    at_a, at_b = town.tenant()
    host = at_a.host()
    async with at_a.parked(host) as poll:
        job = await at_b.create(host)
        assert job["wait"]["reason"] == "behind"
        taken = (await poll).json
    assert taken["jobId"] == job["id"]
    await host.finish(taken["jobRunId"])
    assert (await at_b.show(job))["status"] == "COMPLETED"


async def test_a_batch_made_at_the_other_node_is_taken_in_its_order(town: Town) -> None:
    at_a, at_b = town.tenant()
    host = at_a.host()
    assert (await host.poll(0)).status == 204
    items = [{"type": "SERVER_START", "hostId": host.id} for _ in range(20)]
    reply = await at_b.user.post(f"{at_b.jobs_path}/batch", {"jobs": items})
    made = [result["job"]["id"] for result in reply.json["results"]]
    taken = []
    for _ in made:
        run = await host.take()
        taken.append(run["jobId"])
        await host.finish(run["jobRunId"])
    assert taken == made


async def test_jobs_of_both_nodes_stand_in_the_line_that_the_commits_gave_them(town: Town) -> None:
    at_a, at_b = town.tenant()
    host = at_a.host()
    assert (await host.poll(0)).status == 204
    made = [(await (at_a, at_b)[i % 2].create(host))["id"] for i in range(10)]
    urgent = await at_b.create(host, priority=5)
    await until(lambda: at_a.queue(host), lambda queue: len(queue["pending"]) == 11)
    taken = []
    for _ in range(11):
        run = await host.take()
        taken.append(run["jobId"])
        await host.finish(run["jobRunId"])
    assert taken == [urgent["id"], *made]


async def test_a_waiting_job_is_cancelled_at_once_through_the_other_node(town: Town) -> None:
    at_a, at_b = town.tenant()
    host = at_a.host()
    first, second = await at_a.create(host), await at_a.create(host)
    run = await host.take()
    assert run["jobId"] == first["id"]
    reply = await at_b.cancel(second)
    assert (reply.status, reply.json["status"]) == (200, "CANCELLED")
    await host.finish(run["jobRunId"])
    assert (await host.poll(0)).status == 204


async def test_a_running_job_is_stopped_through_the_other_node(town: Town) -> None:
    at_a, at_b = town.tenant()
    host = at_a.host()
    job = await at_a.create(host)
    run = await host.take()
    reply = await at_b.cancel(job)
    assert (reply.status, reply.json["status"], reply.json["cancelRequested"]) == (202, "RUNNING", True)
    await says(at_a, job, "cancelling")
    told = await host.progress(run["jobRunId"], 10)
    assert told.json["cancelRequested"] is True
    await host.finish(run["jobRunId"], "cancelled")
    assert (await at_b.show(job))["status"] == "CANCELLED"


async def test_a_running_job_is_forced_to_its_end_through_the_other_node(town: Town) -> None:
    at_a, at_b = town.tenant()
    host = at_a.host()
    job = await at_a.create(host)
    await host.take()
    assert (await at_b.cancel(job, {"force": True})).status == 202
    assert (await says(at_b, job, "cancelled"))["status"] == "CANCELLED"
    assert (await at_b.cancel(job)).status == 200


async def test_a_parked_poll_is_told_of_a_cancel_at_the_other_node(town: Town) -> None:
    at_a, at_b = town.tenant()
    host = at_a.host()
    job = await at_a.create(host)
    run = await host.take(running=(), instance="one")
    async with at_a.parked(host, running=(run["jobRunId"],), instance="one") as poll:
        await at_b.cancel(job)
        reply = await poll
    assert (reply.status, reply.headers["Interlock-Cancel"]) == (204, run["jobRunId"])


async def test_an_ended_job_is_tried_afresh_through_the_other_node(town: Town) -> None:
    at_a, at_b = town.tenant()
    host = at_a.host()
    job = await at_a.create(host, maxAttempts=1)
    await host.finish((await host.take())["jobRunId"], "failed")
    assert (await at_b.retry(job)).json["status"] == "PENDING"
    assert (await at_b.retry(job)).refusal == (409, "invalid_state")
    run = await host.take()
    assert run["jobId"] == job["id"]
    await host.finish(run["jobRunId"])
    shown = await at_a.show(job)
    assert (shown["status"], len(shown["jobRuns"])) == ("COMPLETED", 2)


async def test_what_has_ended_is_refused_alike_at_both_nodes(town: Town) -> None:
    at_a, at_b = town.tenant()
    host = at_a.host()
    job = await at_a.create(host)
    await host.finish((await host.take())["jobRunId"])
    for tenant in (at_a, at_b):
        assert (await tenant.cancel(job)).refusal == (409, "invalid_state")
        assert (await tenant.retry(job)).refusal == (409, "invalid_state")


async def test_lists_logs_and_pages_are_the_same_at_both_nodes(town: Town) -> None:
    at_a, at_b = town.tenant()
    host = at_a.host()
    jobs = [await tenant.create(host) for tenant in (at_a, at_b, at_a)]
    run = await host.take()
    await host.logs(run["jobRunId"], {"seq": 1, "message": "hello"})
    pages = [(await tenant.user.get(tenant.jobs_path)).json for tenant in (at_a, at_b)]
    assert pages[0] == pages[1]
    assert {item["id"] for item in pages[0]["items"]} == {job["id"] for job in jobs}
    logs = [(await tenant.user.get(f"{tenant.jobs_path}/{run['jobId']}/logs")).json["items"] for tenant in (at_a, at_b)]
    assert logs[0] == logs[1]
    assert [line["message"] for line in logs[0]] == ["hello"]


async def test_reports_are_passed_on_to_the_owner(town: Town) -> None:
    at_a, at_b = town.tenant()
    host = at_a.host()
    other = by_way_of(host, town.b)
    job, following = await at_a.create(host), await at_a.create(host)
    run = await host.take(running=(), instance="one")
    owner = town.rows.owner(host.id)
    run_id = run["jobRunId"]
    beat = await other.beat(instanceId="one", running=[run_id])
    assert [each["verdict"] for each in beat.json["runs"]] == ["continue"]
    assert (await other.progress(run_id, 40, message="on its way")).json["status"] == "running"
    assert (await other.logs(run_id, {"seq": 1, "message": "hello"})).status == 200
    assert (await at_b.show(job))["progress"] == 40
    reply = await other.result(run_id, take_next=True)
    assert reply.json["next"]["jobId"] == following["id"]
    again = await other.result(run_id, take_next=True)
    assert (again.json["replayed"], again.json["next"]["jobRunId"]) == (True, reply.json["next"]["jobRunId"])
    assert (await other.result(run_id, "failed")).refusal == (409, "invalid_state")
    assert town.rows.owner(host.id) == owner  # nobody has taken it over for all that


async def test_a_superseded_process_is_told_so_through_the_other_node(town: Town) -> None:
    at_a, _ = town.tenant()
    host = at_a.host()
    await host.poll(0, running=(), instance="new")
    assert (await by_way_of(host, town.b).beat(instanceId="old", running=[])).refusal == (409, "superseded")


async def test_the_queue_and_the_actor_are_shown_by_either_node(town: Town) -> None:
    at_a, at_b = town.tenant()
    host = at_a.host()
    admin = town.rows.user(at_a.id, "owner", platform_admin=True)
    async with at_a.parked(host):
        queues = [await tenant.queue(host) for tenant in (at_a, at_b)]
        assert [queue["connections"] for queue in queues] == [[{"kind": "poll", "instanceId": None}]] * 2
        path = f"/debug/actors/hosts/{host.id}"
        shown = [await plane.caller(town.rows.token(admin)).get(path) for plane in (town.a, town.b)]
        assert [(reply.status, reply.json["pollParked"]) for reply in shown] == [(200, True)] * 2


async def test_what_is_no_host_is_not_found_at_either_node(town: Town) -> None:
    at_a, at_b = town.tenant()
    stranger, _ = town.tenant()
    for tenant in (at_a, at_b):
        for name in ("%00", "nowhere", "0" * 300, stranger.host().id):
            assert (await tenant.user.get(f"{tenant.path}/hosts/{name}/queue")).status == 404


async def test_a_job_that_nobodys_host_waits_for_is_made_by_whoever_is_asked(town: Town) -> None:
    at_a, at_b = town.tenant()
    host = at_a.host()
    jobs = [await at_b.create(host), await at_a.create(host)]
    assert (await at_b.cancel(jobs[1])).json["status"] == "CANCELLED"
    assert (await host.take())["jobId"] == jobs[0]["id"]


async def test_dashboards_at_both_nodes_see_all_events(town: Town) -> None:
    at_a, at_b = town.tenant()
    host = at_a.host()
    async with AsyncExitStack() as stack:
        boards = [await stack.enter_async_context(tenant.watch()) for tenant in (at_a, at_b)]
        for number, tenant in enumerate((at_a, at_b)):
            job = await tenant.create(host)
            run = await (host, by_way_of(host, town.b))[number].take()
            await by_way_of(host, town.b).finish(run["jobRunId"])
            for board in boards:
                await board.until("job_run.done", jobId=job["id"])
    assert [frame["seq"] for frame in boards[0].seen] == [frame["seq"] for frame in boards[1].seen]
    assert boards[0].events == boards[1].events
    assert {"job.created", "job_run.started", "job_run.done"} <= set(boards[0].events)
    assert "gap" not in boards[0].events


async def test_the_same_key_at_the_same_time_on_two_nodes_makes_one_job(town: Town) -> None:
    at_a, at_b = town.tenant()
    host = at_a.host()
    assert (await host.poll(0)).status == 204
    for number in range(5):
        key = {"Idempotency-Key": f"once-{number}"}
        body = {"type": "SERVER_START", "hostId": host.id}

        async def insist(tenant: object, key: dict[str, str] = key, body: dict[str, str] = body) -> str:
            ask = lambda: tenant.user.post(tenant.jobs_path, body, headers=key)  # type: ignore[attr-defined]  # noqa: E731
            reply = await until(ask, lambda reply: reply.status != 503)
            assert reply.status == 201, reply
            return str(reply.json["id"])

        made = await asyncio.gather(*(insist(tenant) for tenant in (at_a, at_b, at_a, at_b)))
        assert len(set(made)) == 1
    assert len((await at_a.user.get(at_a.jobs_path)).json["items"]) == 5


async def test_the_same_key_for_a_batch_on_two_nodes_makes_each_job_once(town: Town) -> None:
    """Both nodes claim the host at once, and neither of the two who ask is to notice."""
    for _ in range(10):
        at_a, at_b = town.tenant()
        host = at_a.host()
        body = {"jobs": [{"type": "SERVER_START", "hostId": host.id} for _ in range(10)]}
        key = {"Idempotency-Key": "batch"}
        asked = (tenant.user.post(f"{tenant.jobs_path}/batch", body, headers=key) for tenant in (at_a, at_b))
        made = [_made(reply) for reply in await asyncio.gather(*asked)]
        assert made[0] == made[1]
        assert len((await at_a.user.get(at_a.jobs_path)).json["items"]) == len(set(made[0])) == 10
        again = await at_a.user.post(f"{at_a.jobs_path}/batch", body, headers=key)
        assert _made(again) == made[0]


async def test_batches_on_two_nodes_for_a_host_that_nobody_has_are_both_made(town: Town) -> None:
    for _ in range(10):
        at_a, at_b = town.tenant()
        host = at_a.host()
        body = {"jobs": [{"type": "SERVER_START", "hostId": host.id} for _ in range(10)]}
        asked = (tenant.user.post(f"{tenant.jobs_path}/batch", body) for tenant in (at_a, at_b))
        made = [_made(reply) for reply in await asyncio.gather(*asked)]
        there = {job["id"] for job in (await at_a.user.get(f"{at_a.jobs_path}?limit=50")).json["items"]}
        assert there == {*made[0], *made[1]}
        assert len(there) == 20


def _made(reply: Reply) -> list[str]:
    assert reply.status == 200, reply.json
    refused = [result for result in reply.json["results"] if "job" not in result]
    assert not refused, refused
    return [result["job"]["id"] for result in reply.json["results"]]


async def test_a_request_that_was_passed_on_too_late_does_not_bring_the_host_back(town: Town) -> None:
    at_a, _ = town.tenant()
    host = at_a.host()
    there = by_way_of(host, town.b)
    assert (await there.poll()).status == 204
    owner = town.rows.owner(host.id)
    body = {"instanceId": "one", "running": []}
    reply = await host.ask("POST", f"{host.path}/heartbeat", body, headers={PASSED_ON: "somebody"})
    assert reply.refusal == (503, "unavailable")
    assert town.rows.owner(host.id) == owner
    assert (await host.ask("POST", f"{host.path}/heartbeat", body)).status == 200
