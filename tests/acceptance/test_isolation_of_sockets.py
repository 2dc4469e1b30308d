"""Two tenants never meet on sockets: every event of an agent with the other's ids, and the other's org at a dashboard.

The cases are made from the table of events that the server itself reads by: an event that is new fails here until it says what
it carries besides ids.
"""

import re
from collections.abc import Iterator
from typing import Any

import aiohttp
import msgspec
import pytest
from yarl import URL

from interlock.frames import EXCHANGES
from interlock.ids import UuidIds
from tests.support.browsers import browser, person
from tests.support.callers import Agent, Plane, Tenant
from tests.support.marked import Marked, mark_all, now
from tests.support.server import Rows, Server
from tests.support.sockets import ANSWERS, SocketIoTalk, Talk, plain, ways

THEIRS = "theirmark"
DATA: dict[str, dict[str, Any]] = {
    "heartbeat": {},
    "job:ack": {},
    "job:reject": {"reason": "no"},
    "job:progress": {"progress": 1, "message": "x"},
    "job:log": {"lines": [{"seq": 1, "level": "info", "message": "x"}]},
    "job:evidence": {"evidence": [{"type": "a", "title": "b", "source": "c", "snippet": "d", "confidence": "low"}]},
    "job:done": {"output": {}},
    "job:error": {"error": "x"},
    "job:cancelled": {},
}
OF_JOBS = sorted(set(EXCHANGES) - {"heartbeat"})


async def _marked(server: Server, rows: Rows) -> Marked:
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        return await mark_all(Plane(server, rows, session), THEIRS)


@pytest.fixture(scope="module")
def marked(server: Server, rows: Rows) -> Marked:
    made: Marked = now(_marked(server, rows))
    return made


@pytest.fixture
def victim(marked: Marked) -> Iterator[Marked]:
    """Whose rows are the same afterwards."""
    before = marked.rows()
    yield marked
    assert marked.rows() == before


@pytest.fixture
def host(tenant: Tenant) -> Agent:
    """The intruder's."""
    return tenant.host()


def without(told: Any, *ids: str) -> str:
    """A frame's data but for these ids."""
    text = msgspec.json.encode(told).decode()
    for own_id in ids:
        text = text.replace(own_id, "<id>")
    return re.sub(r'"serverTime":"[^"]*"', "", text)


def leaks(victim: Marked, heard: Any, *sent: str) -> set[str]:
    text = msgspec.json.encode(heard).decode()
    return {told for told in victim.told - set(sent) if told in text}


def test_every_event_of_agents_is_tried() -> None:
    assert set(DATA) == set(EXCHANGES) == set(ANSWERS)


@pytest.mark.parametrize("way", ways)
@pytest.mark.parametrize("event", OF_JOBS)
async def test_an_event_about_another_tenants_job_is_refused_as_one_about_none(
    victim: Marked, host: Agent, event: str, way: str
) -> None:
    absent = UuidIds().new()
    async with ways[way](host) as talk:
        for kind in ("job", "running", "done", "pool"):
            foreign = victim.ids[kind]
            told = [await talk.refusal(event, {"jobId": own_id, **DATA[event]}) for own_id in (foreign, absent)]
            assert without(told[0], foreign) == without(told[1], absent)
            run = victim.ids["run"]
            told = [
                await talk.refusal(event, {"jobId": foreign, "jobRunId": run_id, **DATA[event]})
                for run_id in (run, absent)
            ]
            assert without(told[0], run) == without(told[1], absent)
            assert leaks(victim, talk.heard, *victim.ids.values()) == set()


@pytest.mark.parametrize("event", sorted(set(OF_JOBS) - {"job:ack"}))
async def test_an_event_about_ones_own_job_ends_no_run_of_another_tenant(
    victim: Marked, tenant: Tenant, host: Agent, event: str
) -> None:
    job = await tenant.create(host)
    async with plain(host) as talk:
        await talk.next("job:new")
        run_id = (await talk.ask("job:ack", jobId=job["id"]))["jobRunId"]
        for foreign in (victim.ids["run"], UuidIds().new()):
            told = await talk.refusal(event, {"jobId": job["id"], "jobRunId": foreign, **DATA[event]})
            assert leaks(victim, talk.heard, victim.ids["run"]) == set()
            assert told["code"] in {"not_found", "invalid_request"}
        shown = await tenant.show(job)
        assert (shown["status"], shown["jobRuns"][-1]["id"]) == ("RUNNING", run_id)


@pytest.mark.parametrize("way", ways)
async def test_what_an_agent_says_it_runs_is_looked_up_among_its_own(victim: Marked, host: Agent, way: str) -> None:
    run, absent = victim.ids["run"], UuidIds().new()
    async with ways[way](host, instanceId=f"agent-{THEIRS}", running=[run]) as talk:
        told = [await talk.ask("heartbeat", running=[run_id]) for run_id in (run, absent)]
        assert without(told[0], run) == without(told[1], absent)
        assert leaks(victim, talk.heard, run) == set()


async def refused_at(plane: Plane, tenant: Tenant, org_id: str, by: str) -> tuple[Any, ...]:
    """What a dashboard of that org is told, whose credential comes in that way."""
    url, token = URL(f"{plane.url}/ws").with_query(orgId=org_id), tenant.as_role("owner").token
    if by == "header":
        async with plane.session.get(url, headers={"Authorization": f"Bearer {token}"}) as reply:
            told = await reply.json(content_type=None)
            return reply.status, without({name: told[name] for name in told if name != "requestId"}, org_id)
    data: dict[str, Any] = {"token": token}
    if by == "ticket":
        async with browser(plane.url) as page:
            await page.sign_in(person(tenant, "owner"))
            data = {"ticket": await page.ticket()}
    async with plane.session.ws_connect(url) as socket:
        await socket.send_json({"event": "auth", "data": data})
        frame = await socket.receive_json()
        closed = await socket.receive()
    del frame["data"]["requestId"]
    return frame["event"], without(frame["data"], org_id), closed.data, closed.extra


@pytest.mark.parametrize("by", ["header", "frame", "ticket"])
async def test_another_tenants_dashboard_is_refused_as_one_of_no_tenant(
    plane: Plane, tenant: Tenant, victim: Marked, by: str
) -> None:
    told = [await refused_at(plane, tenant, org_id, by) for org_id in (victim.ids["org"], UuidIds().new())]
    assert told[0] == told[1]
    assert "not_found" in str(told[0])
    assert leaks(victim, str(told[0])) == set()


@pytest.mark.parametrize("transport", ["websocket", "polling"])
async def test_another_tenants_dashboard_is_refused_over_socketio_too(
    plane: Plane, tenant: Tenant, victim: Marked, transport: str
) -> None:
    told = []
    for org_id in (victim.ids["org"], UuidIds().new()):
        talk = SocketIoTalk("/")
        with pytest.raises(Exception, match=r"."):  # the client's own
            await talk.connect(plane.url, {"token": tenant.as_role("owner").token, "orgId": org_id}, transport)
        await talk.leave()
        told.append(re.sub(r'"requestId":"[^"]*"', "", without(talk.why_not, org_id)))
    assert told[0] == told[1]
    assert "not_found" in told[0]


async def test_a_number_of_another_tenants_stream_replays_nothing_of_it(
    plane: Plane, tenant: Tenant, marked: Marked
) -> None:
    plane.rows.join(marked.ids["org"], tenant.user_ids["operator"], "viewer")
    url = URL(f"{plane.url}/ws").with_query(orgId=marked.ids["org"], after=0)
    headers = {"Authorization": f"Bearer {tenant.user.token}"}
    async with plane.session.ws_connect(url, headers=headers) as socket:
        newest = (await socket.receive_json())["seq"]  # of the gap
    plane.rows.leave(marked.ids["org"], tenant.user_ids["operator"])
    await tenant.create(tenant.host())
    for after in (newest, newest - 10, newest + 10):
        async with tenant.watch(after=after) as watch:
            job = await tenant.create(tenant.host())
            await watch.until("job.created", jobId=job["id"])
            assert leaks(marked, watch.seen) == set()


async def test_nothing_that_happens_in_a_tenant_is_told_to_another(plane: Plane, tenant: Tenant, host: Agent) -> None:
    board = SocketIoTalk("/")
    await board.connect(plane.url, {"token": tenant.as_role("viewer").token, "orgId": tenant.id}, "websocket")
    async with tenant.watch() as watch, ways["plain"](host) as agent, ways["socketio"](tenant.host()) as other:
        heard: list[Talk] = [agent, other, board]
        for talk in (agent, other):
            await talk.is_open()
        busy = await mark_all(plane, "busymark")
        admin = busy.tenant.as_role("admin")
        await admin.post(f"{busy.tenant.path}/hosts/{busy.host.id}/drain", {})
        await busy.tenant.cancel({"id": busy.ids["job"]})
        own = await tenant.pool()
        for talk in (agent, other):
            await talk.next("job:available", jobId=own["id"])
        await board.next("job.created", jobId=own["id"])
        await watch.until("job.created", jobId=own["id"])
        assert leaks(busy, [watch.seen, *(talk.heard for talk in heard)]) == set()
        assert {frame["data"].get("jobId") for frame in agent.heard + other.heard} <= {own["id"], None}
    await board.leave()
