"""A payload's `writeOnly` fields reach the agent that runs the job, and nobody else by any way."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
import pytest

from tests.support.callers import Agent, Caller, Document, Plane, Reply, Tenant
from tests.support.routes import NOBODY, WHOLE_TABLE, Scene, set_scene
from tests.support.server import Server
from tests.support.sockets import SocketIoTalk, introduced

MARK = "s3cret-mark-4711"
PAYLOAD = {"map": "dust", "key": MARK, "nodes": [{"name": "a", "key": MARK}], "db_key": {"of": [MARK]}, "n": 1}
SHOWN = {"map": "dust", "key": "***", "nodes": [{"name": "a", "key": "***"}], "db_key": "***", "n": 1}
KEY = {"type": "string", "writeOnly": True}
SCHEMA = {
    "type": "object",
    "$defs": {"key": KEY},
    "properties": {"key": KEY, "nodes": {"items": {"properties": {"key": {"$ref": "#/$defs/key"}}}}},
    "patternProperties": {"_key$": {"writeOnly": True}},
}
TYPE = "DEPLOY"
DOWNLOADS_AND_SOCKETS = ("{asset}", "/agent", "/socket.io", "/ws", "/app", "/api/agent/hosts")


class Place(NamedTuple):
    """A tenant that has a type with secrets, and a platform admin who owns it."""

    tenant: Tenant
    admin: Caller


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """It logs all it can, and in the end nothing of that is hidden anywhere."""
    with Server(tmp_path_factory.mktemp("data"), log_level="debug", access_log_share=1) as running:
        yield running
    assert [line for line in running.log if TYPE in line or "GET" in line]
    assert not [line for line in running.log if MARK in line]


@pytest.fixture
async def place(plane: Plane, tenant: Tenant) -> Place:
    reply = await tenant.as_role("admin").ask("PUT", f"{tenant.path}/job-types/{TYPE}", {"schema": SCHEMA})
    assert reply.status == 201, reply
    user_id = plane.rows.user(tenant.id, "owner", platform_admin=True)
    return Place(tenant, plane.caller(plane.rows.token(user_id, tenant.id)))


def shown(reply: Reply, *statuses: int) -> Document:
    """The job in a reply, which shows nothing that is hidden."""
    assert reply.status in (statuses or (200, 201)), reply
    assert MARK.encode() not in reply.body
    job: Document = reply.json
    job = job.get("job", job)
    assert job["payload"] == SHOWN
    return job


async def create(place: Place, host: Agent, **fields: Any) -> Document:
    wanted = {"type": TYPE, "hostId": host.id, "payload": PAYLOAD, **fields}
    return shown(await place.tenant.user.post(place.tenant.jobs_path, wanted))


async def test_every_way_of_creating_a_job_answers_without_what_is_hidden(place: Place) -> None:
    tenant, host = place.tenant, place.tenant.host()
    wanted = {"type": TYPE, "hostId": host.id, "payload": PAYLOAD}
    await create(place, host)
    for _ in range(2):
        shown(await tenant.user.post(tenant.jobs_path, wanted, headers={"Idempotency-Key": "one"}))
    for headers in ({}, {"Idempotency-Key": "many"}, {"Idempotency-Key": "many"}):
        reply = await tenant.user.post(f"{tenant.jobs_path}/batch", {"jobs": [wanted, wanted]}, headers=headers)
        assert MARK.encode() not in reply.body
        assert [result["job"]["payload"] for result in reply.json["results"]] == [SHOWN, SHOWN]
    shown(await tenant.user.post(tenant.jobs_path, {"type": TYPE, "payload": PAYLOAD}))
    s2 = shown(await place.admin.post("/jobs", {"type": TYPE, "hostId": host.id, "input": PAYLOAD}))
    assert s2["input"] == SHOWN


async def test_no_route_shows_what_is_hidden_while_the_job_runs_and_after(place: Place) -> None:
    scene = await set_scene(place.tenant)
    await scene.host.finish(scene.run_id)
    await scene.tenant.cancel(scene.waiting)
    first = await create(place, scene.host)
    second = await create(place, scene.host)
    run = await scene.host.take()
    assert (run["jobId"], run["payload"]) == (first["id"], PAYLOAD)
    for job in (first, second):
        await nothing_shown(place, scene._replace(running=first, waiting=job, run_id=run["jobRunId"]))
    await scene.host.finish(run["jobRunId"], "failed", errorMessage=f"bad {MARK}", retryable=False)
    await nothing_shown(place, scene._replace(running=first, waiting=first, run_id=run["jobRunId"]))


async def nothing_shown(place: Place, scene: Scene) -> None:
    """Ask every route that reads, as who may read everything."""
    asked = 0
    for route in WHOLE_TABLE:
        if route.method != "GET" or any(part in route.path for part in DOWNLOADS_AND_SOCKETS):
            continue
        plain = {"Accept-Encoding": "identity"}
        reply = await place.admin.get(scene.path(route, type=TYPE, session=NOBODY), headers=plain)
        assert reply.status < 500
        assert MARK.encode() not in reply.body, route
        asked += 1
    assert asked > 20
    queue = await place.tenant.queue(scene.host)
    assert MARK not in msgspec.json.encode(queue).decode()


async def test_what_is_hidden_cannot_be_found_by_searching_for_it(place: Place) -> None:
    tenant, host = place.tenant, place.tenant.host()
    job = await create(place, host)
    found = [(await tenant.user.get(tenant.jobs_path, q=text)).json["items"] for text in ("dust", MARK, MARK[:4])]
    assert [[each["id"] for each in items] for items in found] == [[job["id"]], [], []]
    bulk = {"op": "cancel", "filter": {"q": MARK}, "dryRun": True}
    assert (await tenant.user.post(f"{tenant.jobs_path}/bulk", bulk)).json["matched"] == 0


async def test_an_agent_that_repeats_it_is_not_read_out(place: Place) -> None:
    tenant, host = place.tenant, place.tenant.host()
    job = await create(place, host, maxAttempts=1)
    talk = SocketIoTalk("/")
    await talk.connect(tenant.plane.url, {"token": tenant.as_role("viewer").token, "orgId": tenant.id}, "websocket")
    async with tenant.watch() as watch:
        run_id = (await host.take())["jobRunId"]
        await host.logs(run_id, {"seq": 1, "message": f"got {MARK}"}, {"seq": 2, "message": "fine"})
        await host.progress(run_id, 10, message=f"with {MARK}")
        item = {"type": "t", "title": MARK, "source": "s", "snippet": {"a": MARK}, "confidence": "low"}
        await host.post(f"{host.path}/jobs/{run_id}/evidence", {"evidence": [item]})
        failed = {"errorMessage": f"bad {MARK}", "errorCode": MARK, "output": {"echo": [MARK], MARK: 1}}
        await host.finish(run_id, "failed", **failed)
        late = await host.result(run_id, "success", output={"echo": MARK})
        assert late.status == 409
        await watch.until("job_run.done")
        await talk.next("job_run.done")
    await talk.leave()
    ended = shown(await tenant.user.get(f"{tenant.jobs_path}/{job['id']}"))
    assert ended["errorMessage"] == "bad ***"
    assert ended["output"] == {"echo": ["***"], "***": 1}
    assert ended["lateReports"][0]["body"]["output"] == {"echo": "***"}
    logs = (await tenant.user.get(f"{tenant.jobs_path}/{job['id']}/logs")).json["items"]
    assert [line["message"] for line in logs] == ["got ***", "fine", "with ***"]
    evidence = await tenant.user.get(f"{tenant.jobs_path}/{job['id']}/evidence")
    assert MARK.encode() not in late.body + evidence.body
    assert MARK not in msgspec.json.encode([watch.seen, talk.heard]).decode()


async def test_another_try_carries_the_real_value_again(place: Place) -> None:
    host = place.tenant.host()
    job = await create(place, host, maxAttempts=1)
    await host.finish((await host.take())["jobRunId"], "failed")
    shown(await place.tenant.retry(job))
    assert (await host.take())["payload"] == PAYLOAD


async def test_an_agents_socket_gets_the_real_value_and_a_hint_gets_none(place: Place) -> None:
    host = place.tenant.host()
    async with introduced(host) as agent:
        await agent.next("config")
        await create(place, host)
        offered = await agent.next("job:new")
        assert offered["payload"] == offered["input"] == PAYLOAD


async def test_a_type_that_hides_nothing_more_shows_no_job_of_before(place: Place) -> None:
    host = place.tenant.host()
    job = await create(place, host)
    admin = place.tenant.as_role("admin")
    assert (await admin.ask("PUT", f"{place.tenant.path}/job-types/{TYPE}", {})).status == 200
    shown(await place.tenant.user.get(f"{place.tenant.jobs_path}/{job['id']}"))
    later = await place.tenant.create(host, job_type=TYPE, payload={"key": "open"})
    assert later["payload"] == {"key": "open"}


async def test_a_payload_that_was_copied_from_a_reply_is_refused(place: Place) -> None:
    host = place.tenant.host()
    job = await create(place, host)
    again = {"type": TYPE, "hostId": host.id, "payload": job["payload"]}
    reply = await place.tenant.user.post(place.tenant.jobs_path, again)
    assert reply.refusal == (422, "payload_schema")
    assert "give the value itself" in reply.json["detail"]


async def test_no_table_but_the_jobs_own_has_it(place: Place) -> None:
    tenant, host = place.tenant, place.tenant.host()
    wanted = {"type": TYPE, "hostId": host.id, "payload": PAYLOAD}
    await tenant.user.post(tenant.jobs_path, wanted, headers={"Idempotency-Key": "one"})
    database = tenant.plane.rows.database
    with database.connection_context():
        kept = {
            table: [row for row in database.execute_sql(f'SELECT * FROM "{table}"').fetchall() if MARK in str(row)]  # noqa: S608
            for table in database.get_tables()
        }
    assert [table for table, rows in kept.items() if rows] == ["job"]
