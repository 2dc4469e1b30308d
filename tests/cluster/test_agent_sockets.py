"""Agents' sockets and dashboards at two nodes: the newest connection has the host, wherever it is."""

import asyncio
from typing import Any

import pytest

from interlock.clock import SystemClock
from store.models import AgentKey
from tests.cluster.rig import Town, by_way_of
from tests.support.callers import PATIENCE
from tests.support.sockets import PlainTalk, SocketIoTalk, Ways, ways

WAYS = pytest.mark.parametrize("connect", [ways["plain"], ways["socketio"]], ids=["plain", "socketio"])


@WAYS
async def test_an_agent_that_moves_to_another_node_takes_its_host_and_its_run_along(town: Town, connect: Ways) -> None:
    at_a, _ = town.tenant()
    host = at_a.host()
    there = by_way_of(host, town.b)
    async with connect(host) as older:
        await older.next("config")
        job = await at_a.create(host)
        await older.next("job:new")
        given = await older.ask("job:ack", jobId=job["id"])
        async with connect(there, running=[given["jobRunId"]]) as newer:
            await newer.next("config")
            await older.closed()
            await newer.ask("job:progress", jobId=job["id"], progress=50)
            assert (await newer.ask("job:done", jobId=job["id"]))["jobStatus"] == "COMPLETED"
            following = await at_a.create(host)
            assert (await newer.next("job:new"))["jobId"] == following["id"]
            if isinstance(older, PlainTalk):
                assert older.socket.close_code in {1008, 1012}


@WAYS
async def test_a_cancel_at_one_node_reaches_the_agent_at_the_other(town: Town, connect: Ways) -> None:
    at_a, _ = town.tenant()
    host = at_a.host()
    async with connect(by_way_of(host, town.b)) as talk:
        await talk.next("config")
        job = await at_a.create(host)
        await talk.next("job:new")
        await talk.ask("job:ack", jobId=job["id"])
        assert (await at_a.cancel(job)).status == 202
        await talk.next("job:cancel")
        assert (await talk.ask("job:cancelled", jobId=job["id"]))["jobStatus"] == "CANCELLED"


@WAYS
async def test_a_revoked_key_closes_its_sockets_at_every_node(town: Town, connect: Ways) -> None:
    at_a, _ = town.tenant()
    hosts = [at_a.host("eu-1"), by_way_of(at_a.host("eu-2"), town.b)]
    async with connect(hosts[0]) as one, connect(hosts[1]) as two:
        for talk in (one, two):
            await talk.next("config")
        with town.rows.database.connection_context():
            here = AgentKey.host_id.in_([host.id for host in hosts])
            AgentKey.update(revoked_at=SystemClock().now()).where(here).execute(town.rows.database)
        for talk in (one, two):
            assert (await talk.next("error"))["code"] == "unauthenticated"
            await talk.closed()


async def test_a_dashboard_over_socketio_hears_of_what_happens_at_the_other_node(town: Town) -> None:
    at_a, at_b = town.tenant()
    talk = SocketIoTalk("/")
    auth: dict[str, Any] = {"token": at_b.as_role("viewer").token, "orgId": at_b.id}
    await talk.connect(town.b.url, auth, "websocket")
    try:
        async with asyncio.timeout(PATIENCE):
            job = await at_a.create(at_a.host())
            assert (await talk.next("job.created"))["jobId"] == job["id"]
    finally:
        await talk.leave()
