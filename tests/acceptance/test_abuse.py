"""Attacks that go over a request's usual parts: bombs, forged lines, fixed sessions, floods. See docs/security.md."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import aiohttp
import pytest
import socketio
from yarl import URL

from tests.support.browsers import QUICK, browser, person
from tests.support.callers import Plane, Tenant
from tests.support.raw import request, send
from tests.support.server import Rows, Server
from tests.support.sockets import SocketIoTalk, plain

MEGABYTE = 2**20
FORGED = "2026-01-01 ERROR forged"
HOSTILE = f"\r\n{FORGED}\r\x1b[2J\x1b]0;owned\x07\x9b31m\u202e\u2028{FORGED}\0"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Says as much as it can."""
    limits = {"log_level": "debug", "sockets_per_user": 3, "socket_frames_at_once": 20, "socket_frames_per_second": 1}
    with Server(tmp_path_factory.mktemp("data"), **limits, **QUICK) as running:
        yield running
    assert running.tracebacks() == []


# ---- bodies ------------------------------------------------------------------------------------------------------------


async def test_a_million_keys_are_refused_and_the_server_goes_on(tenant: Tenant) -> None:
    keys = b",".join(b'"%x":0' % number for number in range(1_000_000))
    job = b'{"type":"SERVER_START","payload":{' + keys + b"}}"
    assert len(job) < 16 * MEGABYTE
    one = await tenant.user.post(tenant.jobs_path, job)
    assert one.refusal == (413, "payload_too_large")
    batch = await tenant.user.post(f"{tenant.jobs_path}/batch", b'{"jobs":[' + job + b"]}")
    assert batch.status < 500
    assert b"payload_too_large" in batch.body
    keyed = {"Idempotency-Key": "a million"}
    again = await tenant.user.post(f"{tenant.jobs_path}/batch", b'{"jobs":[' + job + b"]}", headers=keyed)
    assert b"payload_too_large" in again.body
    unknown = await tenant.user.post(f"{tenant.jobs_path}/batch", b"{" + keys + b"}")
    assert unknown.refusal == (400, "invalid_request")
    assert (await tenant.user.get(tenant.jobs_path)).json["items"] == []


async def test_a_name_that_stands_twice_counts_once_and_what_was_checked_is_what_arrives(tenant: Tenant) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer", "maximum": 1}}}
    made = await tenant.as_role("admin").ask("PUT", f"{tenant.path}/job-types/count", {"schema": schema})
    assert made.status in {200, 201}, made
    host = tenant.host()
    body = b'{"type":"count","hostId":"%s","payload":{"n":%%d,"n":%%d}}' % host.id.encode()
    over = await tenant.user.post(tenant.jobs_path, body % (1, 2))
    assert over.refusal == (422, "payload_schema")
    assert (await tenant.user.post(tenant.jobs_path, body % (2, 1))).status == 201
    taken = await host.poll(5)
    assert taken.json["payload"] == {"n": 1}
    assert taken.body.count(b'"n":') == 1
    twice = b'{"type":"nothing","type":"count","hostId":"x","hostId":"%s"}' % host.id.encode()
    assert (await tenant.user.post(tenant.jobs_path, twice)).json["type"] == "count"


# ---- heads -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "lines",
    [[f"X-{n}: {n}" for n in range(20_000)], ["X-A: " + "a" * 9000], [f"X-{n}: " + "a" * 8000 for n in range(100)]],
)
async def test_a_head_that_is_too_large_is_refused(plane: Plane, tenant: Tenant, lines: list[str]) -> None:
    try:
        reply = await send(plane.server.port, request("GET", tenant.jobs_path, tenant.user.token or "", *lines))
    except ConnectionError:
        pass  # it was closed while we still wrote
    else:
        assert reply.status in {400, 431}
        assert reply.code
    assert (await tenant.user.get(tenant.jobs_path)).status == 200


async def test_nothing_that_is_sent_begins_a_header_of_the_answer(plane: Plane, tenant: Tenant) -> None:
    host = tenant.host()
    for _ in range(2):
        await tenant.create(host)
    trick = "%0d%0aX-Evil:%201%0d%0a%0d%0aevil"
    paths = [
        f"{tenant.jobs_path}?limit=1&q={trick}",
        f"{tenant.jobs_path}?limit=1&x={trick}",
        f"{tenant.jobs_path}/{trick}",
        f"/{trick}",
        f"/app/{trick}",
    ]
    for path in paths:
        reply = await send(
            plane.server.port, request("GET", path, tenant.user.token or "", "X-Request-Id: a\tX-Evil: 1")
        )
        assert "x-evil" not in reply.headers, path
        assert not any("\r" in text or "\n" in text for text in reply.headers.values())
        assert reply.headers["x-request-id"] != "a\tX-Evil: 1"


# ---- the log -----------------------------------------------------------------------------------------------------------

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u202e]")


async def test_nobody_writes_lines_of_the_log(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    with Server(tmp_path, log_level="debug", **QUICK) as server:
        plane = Plane(server, Rows(tmp_path), session)
        tenant = plane.tenant()
        await say_everywhere(plane, tenant)
    assert len(server.log) > 1
    forged = [line for line in server.log if line.startswith(FORGED) or _CONTROL.search(line)]
    assert forged == []
    assert server.tracebacks() == []


async def say_everywhere(plane: Plane, tenant: Tenant) -> None:
    """Put a hostile text wherever one may stand."""
    escaped = "".join(f"%{byte:02x}" for byte in HOSTILE.encode())
    raw = HOSTILE.encode().replace(b"\r", b"").replace(b"\n", b"").replace(b"\0", b"")
    token = tenant.user.token or ""
    for data in (
        request("GET", f"/{escaped}?{escaped}", token),
        request(
            "GET", tenant.jobs_path, token, b"X-Request-Id: " + raw, b"User-Agent: " + raw, b"X-Forwarded-For: " + raw
        ),
        request("GET", tenant.jobs_path, token, b"traceparent: " + raw, b"Origin: " + raw, b"Cookie: " + raw),
        request("GET", tenant.jobs_path, escaped),
        b"GET /" + HOSTILE.encode() + b" HTTP/1.1\r\n\r\n",
        HOSTILE.encode() * 3 + b"\r\n\r\n",
        b"POST /api/session HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + HOSTILE.encode() + b"\r\n",
    ):
        with suppress(ConnectionError):  # what is no request may just be closed
            await send(plane.server.port, data)
    await plane.stranger.post("/api/session", {"email": HOSTILE, "password": HOSTILE})
    await tenant.user.post(tenant.jobs_path, {"type": HOSTILE, "payload": {HOSTILE: HOSTILE}})
    await tenant.as_role("admin").post(f"{tenant.path}/hosts", {"name": HOSTILE})
    host = tenant.host()
    job = await tenant.create(host, payload={"text": HOSTILE.replace("\0", "")})
    taken = await host.take(0)
    await host.logs(taken["jobRunId"], {"seq": 1, "level": "info", "message": HOSTILE.replace("\0", "")})
    await host.finish(taken["jobRunId"], "failed", errorMessage=HOSTILE.replace("\0", ""))
    assert (await tenant.show(job))["id"]
    async with plain(host) as talk:
        await talk.say(HOSTILE)
        await talk.say("job:done", **{HOSTILE: HOSTILE})


# ---- sessions ----------------------------------------------------------------------------------------------------------


async def test_a_cookie_that_somebody_else_has_put_there_never_becomes_the_victims(tenant: Tenant) -> None:
    attacker, victim = person(tenant, "viewer"), person(tenant, "operator")
    url = tenant.plane.url
    async with browser(url) as evil, browser(url) as page:
        theirs = await evil.sign_in(attacker)
        page.session.cookie_jar.update_cookies(evil.session.cookie_jar.filter_cookies(URL(url)), URL(url))
        assert page.cookie == evil.cookie
        own = await page.sign_in(victim)
        assert own["id"] != theirs["id"]
        assert page.cookie != evil.cookie
        assert (await evil.get("/api/session")).json["user"]["email"] == attacker
        assert (await page.get("/api/session")).json["user"]["email"] == victim
        made_up = {"Cookie": f"interlock_session={own['id']}.{'a' * 43}"}
        assert (await tenant.plane.stranger.get("/api/session", headers=made_up)).status == 401


# ---- sockets -----------------------------------------------------------------------------------------------------------


async def test_no_socket_agrees_to_compression(tenant: Tenant) -> None:
    host = tenant.host()
    for path, token in ((f"/ws?orgId={tenant.id}", tenant.user.token), ("/agent", host.token)):
        headers = {"Authorization": f"Bearer {token}"}
        async with tenant.plane.session.ws_connect(tenant.plane.url + path, headers=headers, compress=15) as socket:
            assert not socket.compress


async def test_an_account_opens_only_so_many_dashboards(tenant: Tenant) -> None:
    async with AsyncExitStack() as crowd:
        for _ in range(3):
            await crowd.enter_async_context(tenant.watch())
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await crowd.enter_async_context(tenant.watch())
        assert refused.value.status == 429
        async with tenant.plane.session.ws_connect(f"{tenant.plane.url}/ws?orgId={tenant.id}") as late:
            await late.send_json({"event": "auth", "data": {"token": tenant.as_role("viewer").token}})
            assert (await late.receive_json(timeout=10))["data"]["code"] == "rate_limited"
        headers = {"Authorization": f"Bearer {tenant.user.token}"}  # somebody else
        await crowd.enter_async_context(
            tenant.plane.session.ws_connect(f"{tenant.plane.url}/ws?orgId={tenant.id}", headers=headers)
        )
    async with tenant.watch() as again:
        assert not again.socket.closed


async def test_dashboards_over_socketio_count_among_them_until_they_leave(tenant: Tenant) -> None:
    talks = [SocketIoTalk("/") for _ in range(4)]
    auth = {"token": tenant.as_role("viewer").token, "orgId": tenant.id}
    async with tenant.watch():
        for talk in talks[:2]:
            await talk.connect(tenant.plane.url, auth, "websocket")
        with pytest.raises(Exception, match="failed to connect"):
            await talks[2].connect(tenant.plane.url, auth, "websocket")
        assert talks[2].why_not["data"]["code"] == "rate_limited"
        await talks[0].leave()
        while not talks[3].client.connected:  # the server learns a moment later that it has gone
            with suppress(socketio.exceptions.ConnectionError):
                await talks[3].connect(tenant.plane.url, auth, "websocket")
    for talk in talks[1:]:
        await talk.leave()


async def test_a_dashboard_that_talks_without_end_is_closed(tenant: Tenant) -> None:
    async with tenant.watch() as dashboard:
        socket = dashboard.socket
        with suppress(ConnectionError):
            for _ in range(200):
                await socket.send_str("x" * 1000)
        async with asyncio.timeout(10):
            while not socket.closed:
                await socket.receive()
        assert socket.close_code == 1008


def test_every_case_of_the_page_has_a_test() -> None:
    """The table of docs/security.md names tests that exist."""
    root = Path(__file__).parents[2]
    page = (root / "docs" / "security.md").read_text()
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", page)
    assert len(named) > 30
    for file, test in named:
        text = (root / file).read_text()
        assert not test or f"def {test}(" in text, (file, test)
