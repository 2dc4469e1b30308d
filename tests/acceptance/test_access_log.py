"""The log of a server whose requests are all to have a line."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.callers import Plane, Tenant
from tests.support.routes import NOBODY
from tests.support.server import Server

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
ID = "id-of-the-test"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("data"), access_log_share=1) as running:
        yield running


def lines(server: Server, **values: str) -> list[dict[str, Any]]:
    """The lines of the log that have these values, once the server has ended and all are there."""
    server.terminate()
    found = [json.loads(line) for line in server.log if line.startswith("{")]
    server.start()
    return [line for line in found if all(line.get(name) == value for name, value in values.items())]


async def test_a_request_is_told_with_all_that_it_is_about(plane: Plane, tenant: Tenant) -> None:
    host = tenant.host()
    headers = {"X-Request-Id": ID, "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
    wanted = {"type": "SERVER_START", "hostId": host.id}
    job = (await tenant.user.post(tenant.jobs_path, wanted, headers=headers)).json
    run_id = (await host.take())["jobRunId"]
    await host.finish(run_id)
    (created,) = lines(plane.server, request_id=ID)
    assert (created["event"], created["status"]) == ("POST /api/orgs/{org_id}/jobs", 201)
    assert (created["org"], created["job"], created["trace"]) == (tenant.id, job["id"], TRACE)
    assert created["ms"] > 0
    assert created["bytes"] > 100
    assert created["address"] == "127.0.0.1"
    (ended,) = lines(plane.server, run=run_id)
    assert (ended["host"], ended["status"]) == (host.id, 200)


async def test_neither_a_query_nor_a_credential_nor_a_wild_path_gets_into_it(plane: Plane, tenant: Tenant) -> None:
    await tenant.user.get(f"{tenant.jobs_path}/{NOBODY}", ticket="not-for-the-log")
    await plane.stranger.get("/nowhere%0d%0a%1b[2Jnot-for-the-log")
    assert lines(plane.server, event="GET (unknown)", logger="web.access_log")
    assert not [line for line in plane.server.log if "not-for-the-log" in line or (tenant.user.token or "") in line]


async def test_every_line_is_an_object_with_the_same_beginning(plane: Plane) -> None:
    await plane.stranger.get("/healthz")
    for line in lines(plane.server):
        assert list(line)[:4] == ["at", "level", "logger", "event"]
