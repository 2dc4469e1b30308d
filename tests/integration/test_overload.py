"""More creates than the server can take in: they wait or are refused by turns, and nothing of that is an agent's matter."""

import asyncio
import itertools
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import msgspec

from tests.cluster.rig import until
from tests.support.callers import Agent, Plane, Reply, Tenant
from tests.support.server import Rows, Server

_WAITING = re.compile(r"^interlock_creates_waiting ([0-9.]+)", re.MULTILINE)
_REFUSED = re.compile(r"^interlock_creates_refused_total ([0-9.]+)", re.MULTILINE)


async def create(tenant: Tenant, host: Agent) -> Reply:
    return await tenant.user.post(tenant.jobs_path, {"type": "SERVER_START", "hostId": host.id})


async def waiting(plane: Plane, count: int) -> None:
    """Return when so many places are waited for."""
    await until(lambda: _figure(plane, _WAITING), lambda found: found == count)


async def _figure(plane: Plane, name: "re.Pattern[str]") -> float:
    found = name.search((await plane.caller(None).get("/metrics")).body.decode())
    assert found is not None
    return float(found[1])


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Nothing is committed meanwhile, so whoever is in stays in."""
    other = sqlite3.connect(folder / "interlock.db", isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")
    finally:
        other.close()


async def test_a_result_is_taken_while_creates_are_refused(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    with Server(tmp_path, creates_least=1, creates_most=1, create_wait_seconds=0.05) as server:
        plane = Plane(server, Rows(tmp_path), session)
        tenant = plane.tenant()
        host = tenant.host()
        await tenant.create(host)
        taken = await host.take()
        with held(tmp_path):
            flood = [asyncio.create_task(create(tenant, host)) for _ in range(20)]
            for done in itertools.islice(asyncio.as_completed(flood), 18):
                assert (await done).refusal == (503, "unavailable")
            result = asyncio.create_task(host.result(taken["jobRunId"]))
            assert (await create(tenant, host)).refusal == (503, "unavailable")
        assert (await result).refusal == (200, "")
        await asyncio.gather(*flood)


async def test_a_flood_is_worked_off_and_its_agent_never_refused(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    with Server(tmp_path, creates_least=1, creates_most=2, create_wait_seconds=0.05) as server:
        plane = Plane(server, Rows(tmp_path), session)
        tenant = plane.tenant()
        host = tenant.host()

        async def insist() -> str:
            reply = await until(lambda: create(tenant, host), lambda reply: reply.status == 201)
            return str(reply.json["id"])

        flood = [asyncio.create_task(insist()) for _ in range(20)]
        ended = []
        for _ in flood:
            taken = await host.take()
            await host.finish(taken["jobRunId"])
            ended.append(taken["jobId"])
        assert sorted(ended) == sorted(await asyncio.gather(*flood))
        assert await _figure(plane, _REFUSED) > 0


async def test_another_organization_does_not_wait_behind_a_flood(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    """One place: turns are always longer than they should be. So creates are committed one after the other."""
    with Server(tmp_path, creates_least=1, creates_most=6, create_wait_seconds=30, turn_seconds=1e-6) as server:
        plane = Plane(server, Rows(tmp_path), session)
        flooding, calm = plane.tenant(), plane.tenant()
        hosts = flooding.host(), calm.host()
        await flooding.create(hosts[0])
        await calm.create(hosts[1])
        with held(tmp_path):
            flood = [asyncio.create_task(create(flooding, hosts[0])) for _ in range(7)]
            await waiting(plane, 5)
            late = asyncio.create_task(create(calm, hosts[1]))
            await waiting(plane, 6)
        assert (await late).status == 201
        assert not all(each.done() for each in flood)
        assert {(await each).status for each in flood} == {201}


async def test_a_connection_whose_first_create_was_refused_is_as_good_as_before(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    with Server(tmp_path, creates_least=1, creates_most=1, create_wait_seconds=0.05) as server:
        plane = Plane(server, Rows(tmp_path), session)
        tenant = plane.tenant()
        host = tenant.host()
        await tenant.create(host)
        with held(tmp_path):
            flood = [asyncio.create_task(create(tenant, host)) for _ in range(3)]
            await next(asyncio.as_completed(flood))
            reader, writer = await asyncio.open_connection("127.0.0.1", int(plane.url.rsplit(":", 1)[1]))
            assert await _asked(reader, writer, tenant, host) == 503
            assert await _asked(reader, writer, tenant, host) == 503
        await until(lambda: _asked(reader, writer, tenant, host), lambda status: status == 201)
        writer.close()
        await writer.wait_closed()
        await asyncio.gather(*flood)


async def _asked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, tenant: Tenant, host: Agent) -> int:
    """The status of a create on this connection, whose answer is read to its end."""
    body = msgspec.json.encode({"type": "SERVER_START", "hostId": host.id})
    head = (
        f"POST {tenant.jobs_path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {tenant.user.token}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    writer.write(head.encode() + body)
    answer = (await reader.readuntil(b"\r\n\r\n")).decode()
    length = re.search(r"\r\nContent-Length: (\d+)", answer)
    assert length is not None
    assert answer.startswith("HTTP/1.1 201 ") or "\r\nRetry-After: " in answer
    await reader.readexactly(int(length[1]))
    return int(answer[9:12])
