"""Methods, paths, queries and headers that make no sense, down to what is hardly HTTP: a typed problem for each."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.support.callers import Caller, Plane, Tenant
from tests.support.raw import RawReply, request, send
from tests.support.routes import ALL_ROUTES, PUBLIC_PATHS, Route, Scene, name_of, set_scene

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND")
PATHS = {
    path: {route.method for route in ALL_ROUTES if route.path == path} for path in {route.path for route in ALL_ROUTES}
} | {path: {"GET"} for path in (*PUBLIC_PATHS, "/ws")}
TRICKS = [
    *("%00", "%2f", "%2e%2e", "..%2f..", "%5c", "%ff", "%zz", "%", "%25", "%0a", "%0d%0aX-Evil:%201", "%20"),
    *("x", "null", "0", "-1", "*", "~", "'", "%27%20OR%201=1--", "%F0%9F%98%80", "{job}", "$", "x" * 4000),
]
QUERIES = [
    *("%00=%00", "=&&==", "a=%", "a=%zz", "a=%ff", "limit=%00", ";", "?", "&" * 3000, "a[]=1", "limit[]=1", "%0d%0a=1"),
    *("limit=1&limit=2", "a=" + "x" * 6000, "cursor=%00", "after=%F0%9F%98%80", "q=%5C%25_%27", "status=%0a", "#"),
]


def caller_of(scene: Scene, route: Route) -> Caller:
    """Who may use the route."""
    if route.who == "agent":
        return scene.host
    rows = scene.tenant.plane.rows
    if route.who == "platform_admin":
        return scene.tenant.plane.caller(rows.token(rows.user(scene.tenant.id, "viewer", platform_admin=True)))
    return scene.tenant.as_role("owner")


@pytest.fixture
async def scene(tenant: Tenant) -> AsyncIterator[Scene]:
    """Whatever is asked of it, nothing may change."""
    made = await set_scene(tenant)
    before = await made.state()
    yield made
    assert await made.state() == before


@pytest.mark.parametrize("path", sorted(PATHS))
async def test_other_methods_are_refused_with_those_that_exist(scene: Scene, path: str) -> None:
    allowed = PATHS[path]
    shown = path.format(**scene.names)
    odd = {}
    for method in METHODS:
        if method in allowed:
            continue
        reply = await scene.tenant.as_role("owner").ask(method, shown)
        told = {word.strip() for word in reply.headers.get("Allow", "").split(",")}
        code = "method_not_allowed" if method == "HEAD" else reply.code
        if (reply.status, code, told - {"HEAD"}) != (405, "method_not_allowed", allowed):
            odd[method] = (reply.status, code, told)
    assert odd == {}


@pytest.mark.parametrize("route", [route for route in ALL_ROUTES if "{" in route.path], ids=name_of)
async def test_a_tricky_path_finds_nothing(scene: Scene, route: Route) -> None:
    caller = caller_of(scene, route)
    tricks = [*TRICKS, scene.names["org"].upper(), scene.names["org"] + "%00", scene.names["org"] + "%20"]
    odd = {}
    for name in ("org", "host", "job", "run"):
        if f"{{{name}}}" not in route.path:
            continue
        for trick in tricks:
            reply = await caller.ask(route.method, scene.path(route, **{name: trick}), scene.body(route))
            if reply.refusal not in {(404, "not_found"), (403, "forbidden"), (400, "invalid_request")}:
                odd[name, trick] = (reply.status, reply.body[:100])
    assert odd == {}


@pytest.mark.parametrize(
    "path",
    [
        *("//", "/api", "/api/", "/api/orgs/", "/jobs/", "/nothing", "/.env", "/api/orgs/x/jobs/"),
        *("/static/../../etc/passwd", "/%2e%2e/etc/passwd", "/api/agent/hosts", "/socket.io/../healthz/x", "/ws/x"),
    ],
)
async def test_a_path_that_is_none_is_not_found(scene: Scene, path: str) -> None:
    for method in ("GET", "POST"):
        reply = await scene.tenant.as_role("owner").ask(method, path)
        assert reply.refusal in {(404, "not_found"), (405, "method_not_allowed")}
        if reply.status == 405:
            assert reply.headers["Allow"]


@pytest.mark.parametrize("route", [route for route in ALL_ROUTES if route.method == "GET"], ids=name_of)
async def test_an_odd_query_is_ignored_or_a_typed_problem(scene: Scene, route: Route) -> None:
    caller = caller_of(scene, route)
    odd = {}
    for query in QUERIES:
        reply = await caller.get(f"{scene.path(route)}?{query}")
        if reply.status not in {200, 204} and reply.refusal != (400, "invalid_request"):
            odd[query[:50]] = (reply.status, reply.body[:100])
    assert odd == {}


async def test_a_request_keeps_its_own_id_if_that_is_decent(scene: Scene) -> None:
    path = scene.tenant.jobs_path
    kept = await scene.tenant.user.get(path, headers={"X-Request-Id": "req-1"})
    assert kept.headers["X-Request-Id"] == "req-1"
    for odd in ("x" * 101, "ü", ""):
        reply = await scene.tenant.user.get(path, headers={"X-Request-Id": odd})
        assert reply.status == 200
        assert reply.headers["X-Request-Id"] not in {odd, ""}


ODD_HEADERS: dict[str, list[str | bytes]] = {
    "binary id": [b"X-Request-Id: \xff\xfe"],
    "binary tag": [b"If-None-Match: \xff"],
    "binary language": [b"Accept-Language: \xff\x80"],
    "accepts nothing": ["Accept: image/png;q=0"],
    "cookie": [b"Cookie: \xff=\xff; ;;=;"],
    "range": ["Range: bytes=0-0,5-2,x"],
    "two ids": ["X-Request-Id: a", "X-Request-Id: b"],
    "forwarded": ["X-Forwarded-For: '; DROP TABLE job", 'Forwarded: for="[::1]";host=%00'],
    "origin": ["Origin: http://evil.example", "Referer: javascript:alert(1)"],
    "many": [f"X-Header-{n}: {n}" for n in range(100)],
    "empty": ["X-Empty:"],
    "two credentials": ["Authorization: Bearer x"],
    "override": ["X-HTTP-Method-Override: DELETE", "X-Original-URL: /debug/actors"],
    "prefer": [b"Prefer: \xff, wait=\xb2, wait"],
    "upgrade": ["Connection: Upgrade", "Upgrade: h2c"],
    "date": ["If-Modified-Since: never", 'If-Match: "x"'],
}


@pytest.mark.parametrize("name", ODD_HEADERS)
async def test_odd_headers_are_survived(plane: Plane, scene: Scene, name: str) -> None:
    for path in (scene.tenant.jobs_path, f"{scene.tenant.jobs_path}/{scene.waiting['id']}"):
        data = request("GET", path, scene.tenant.user.token or "", *ODD_HEADERS[name])
        reply = await send(plane.server.port, data)
        assert reply.status in {200, 400, 401, 412}
        assert reply.headers["x-request-id"]
        if reply.status >= 400:
            assert reply.code in {"invalid_request", "unauthenticated", "precondition_failed"}


BROKEN = {
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "HTTP/9.9": b"GET /healthz HTTP/9.9\r\nHost: x\r\n\r\n",
    "unknown method": b"NONSENSE /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
    "odd method": b"G\x01T /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
    "NUL in the path": b"GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
    "raw UTF-8 in the path": "GET /é HTTP/1.1\r\nHost: x\r\n\r\n".encode(),
    "long path": b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "long header": b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * 20_000 + b"\r\n\r\n",
    "NUL in a header": b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: a\x00b\r\n\r\n",
    "folded header": b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: a\r\n b\r\nbad line\r\n\r\n",
    "no host": b"GET /healthz HTTP/1.1\r\n\r\n",
    "length is text": b"POST /jobs HTTP/1.1\r\nHost: x\r\nContent-Length: abc\r\n\r\n",
    "length below 0": b"POST /jobs HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
    "length of 10^40": b"POST /jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 1" + b"0" * 40 + b"\r\n\r\n",
    "two lengths": b"POST /jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "length and chunks": b"POST /jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "odd encoding": b"POST /jobs HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n",
}


def assert_typed(reply: RawReply) -> None:
    assert 400 <= reply.status < 500
    assert reply.code in {"invalid_request", "payload_too_large", "unauthenticated"}


@pytest.mark.parametrize("name", BROKEN)
async def test_what_is_hardly_http_is_a_typed_problem(plane: Plane, scene: Scene, name: str) -> None:
    assert scene.run_id
    assert_typed(await send(plane.server.port, BROKEN[name]))


async def test_broken_chunks_are_a_typed_problem(plane: Plane, scene: Scene) -> None:
    lines = ("Content-Type: application/json", "Transfer-Encoding: chunked")
    for body in (b"zz\r\n{}\r\n0\r\n\r\n", b"5\r\n{}\r\n0\r\n\r\n", b"-1\r\n\r\n", b"f" * 40 + b"\r\n"):
        data = request("POST", scene.tenant.jobs_path, scene.tenant.user.token or "", *lines, body=body)
        assert_typed(await send(plane.server.port, data))


async def test_an_expectation_that_is_no_text_is_refused_also_where_no_page_is(scene: Scene) -> None:
    data = request("GET", "/nowhere", "", b"Expect: \xed\xa0\x80")
    assert (await send(scene.tenant.plane.server.port, data)).status in {400, 417}


async def test_an_expectation_that_the_server_does_not_know_is_a_typed_problem(plane: Plane, scene: Scene) -> None:
    data = request("GET", scene.tenant.jobs_path, scene.tenant.user.token or "", "Expect: miracles")
    reply = await send(plane.server.port, data)
    assert reply.status in {200, 400, 417}
    if reply.status >= 400:
        assert reply.code


async def test_a_client_that_asks_first_is_told_to_go_on(plane: Plane, tenant: Tenant) -> None:
    body = b'{"type":"SERVER_START","hostId":"%s"}' % tenant.host().id.encode()
    lines = ("Expect: 100-continue", f"Content-Length: {len(body)}")
    data = request("POST", tenant.jobs_path, tenant.user.token or "", *lines, body=body)
    assert (await send(plane.server.port, data)).status == 201


async def test_a_body_that_stops_half_way_changes_nothing(plane: Plane, scene: Scene) -> None:
    body = b'{"type":"SERVER_START","hostId":"%s"}' % scene.host.id.encode()
    data = request("POST", scene.tenant.jobs_path, scene.tenant.user.token or "", "Content-Length: 500", body=body)
    for _ in range(20):
        _, writer = await asyncio.open_connection("127.0.0.1", plane.server.port)
        writer.write(data)
        await writer.drain()
        writer.close()
        await writer.wait_closed()
    assert (await plane.stranger.get("/healthz")).status == 200


async def test_requests_in_one_go_are_answered_in_order(plane: Plane, scene: Scene) -> None:
    token = scene.tenant.user.token or ""
    data = request("GET", scene.tenant.jobs_path, token, "X-Request-Id: one")
    data += request("GET", "/nothing", token, "X-Request-Id: two")
    assert (await send(plane.server.port, data)).headers["x-request-id"] == "one"
