"""Requests of a token, a session, a key and an organization are limited, where a setting says so."""

from collections.abc import Iterator

import aiohttp
import pytest

from tests.support.browsers import QUICK, browser, person
from tests.support.callers import Plane, Tenant
from tests.support.server import Server
from tests.support.sockets import SocketIoTalk

MANY = 50  # requests that no test needs for anything else


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    counts = {"token": 5, "session": 3, "key": 7, "org": 20}
    limits = {f"requests_per_{kind}": most for kind, most in counts.items()}
    with Server(tmp_path_factory.mktemp("data"), rate_window_seconds=3600, **limits, **QUICK) as running:
        yield running
    assert running.tracebacks() == []


async def test_a_token_has_so_many_requests_and_another_of_the_same_user_has_its_own(tenant: Tenant) -> None:
    told = [await tenant.user.get(tenant.jobs_path) for _ in range(6)]
    assert [reply.status for reply in told] == [200] * 5 + [429]
    assert [reply.headers["RateLimit"].partition(";t=")[0] for reply in told] == [
        f'"token";r={left}' for left in (4, 3, 2, 1, 0, 0)
    ]
    assert told[-1].code == "rate_limited"
    assert int(told[-1].headers["Retry-After"]) >= 3500
    assert told[-1].headers["RateLimit-Policy"] == '"token";q=5;w=3600'
    other = tenant.plane.caller(tenant.plane.rows.token(tenant.user_ids["operator"], ttl_seconds=60))
    assert (await other.get(tenant.jobs_path)).status == 200
    assert (await tenant.user.get("/api/orgs")).status == 429


async def test_a_refused_request_changes_nothing(tenant: Tenant) -> None:
    host = tenant.host()
    made = [await tenant.user.post(tenant.jobs_path, {"type": "SERVER_START", "hostId": host.id}) for _ in range(7)]
    assert [reply.status for reply in made] == [201] * 5 + [429] * 2
    listed = await tenant.as_role("viewer").get(tenant.jobs_path)
    assert len(listed.json["items"]) == 5


async def test_a_key_has_its_own_count_for_polls_reports_and_sockets(tenant: Tenant) -> None:
    host, other = tenant.host("one"), tenant.host("two")
    job = await tenant.create(host)
    taken = await host.take(0)
    assert (await host.finish(taken["jobRunId"]))["status"]
    told = [await host.poll() for _ in range(6)]
    assert [reply.status for reply in told] == [204] * 5 + [429]
    assert '"key";r=0' in told[-1].headers["RateLimit"]
    assert (await host.beat()).refusal == (429, "rate_limited")
    headers = {"Authorization": f"Bearer {host.token}"}
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await tenant.plane.session.ws_connect(f"{tenant.plane.url}/agent", headers=headers)
    assert refused.value.status == 429
    assert (await other.poll()).status == 204
    assert (await tenant.show(job))["status"] == "COMPLETED"


async def test_a_socket_that_says_who_it_is_only_later_counts_too(tenant: Tenant) -> None:
    host = tenant.host()
    for _ in range(7):
        await host.poll()
    async with tenant.plane.session.ws_connect(f"{tenant.plane.url}/agent") as socket:
        await socket.send_json({"event": "auth", "data": {"token": host.token}})
        frame = await socket.receive_json(timeout=10)
        assert (frame["event"], frame["data"]["code"]) == ("error", "rate_limited")
        assert (await socket.receive(timeout=10)).type is aiohttp.WSMsgType.CLOSE


async def test_connects_over_socketio_count_too(tenant: Tenant) -> None:
    host, dashboard = tenant.host(), {"token": tenant.user.token, "orgId": tenant.id}
    for _ in range(7):
        await host.poll()
    for _ in range(5):
        await tenant.user.get(tenant.jobs_path)
    for namespace, auth in (("/agent", {"token": host.token}), ("/", dashboard)):
        talk = SocketIoTalk(namespace)
        with pytest.raises(Exception, match="failed to connect"):
            await talk.connect(tenant.plane.url, auth, "websocket")
        assert talk.why_not["data"]["code"] == "rate_limited"


async def test_an_organization_has_a_count_over_all_who_belong_to_it_and_no_stranger_uses_it_up(tenant: Tenant) -> None:
    stranger = tenant.plane.tenant()
    for _ in range(5):
        assert (await stranger.user.get(tenant.jobs_path)).status == 404
    hosts = [tenant.host(f"h{number}") for number in range(3)]
    told = [(await host.poll()).status for host in hosts for _ in range(7)]
    assert told == [204] * 20 + [429]
    assert (await tenant.user.get(tenant.jobs_path)).refusal == (429, "rate_limited")
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        async with tenant.watch():
            pass
    assert refused.value.status == 429
    assert (await stranger.as_role("viewer").get(stranger.jobs_path)).status == 200


async def test_who_brings_no_credential_that_holds_is_not_counted_for_anybody(plane: Plane, tenant: Tenant) -> None:
    for _ in range(MANY):
        assert (await plane.caller("x.y.z").get(tenant.jobs_path)).status == 401
    assert (await tenant.user.get(tenant.jobs_path)).status == 200
    assert (await plane.stranger.get("/healthz")).status == 200


async def test_a_session_has_a_count_of_its_own(tenant: Tenant) -> None:
    async with browser(tenant.plane.url) as page:
        await page.sign_in(person(tenant))
        told = [await page.get(tenant.jobs_path) for _ in range(4)]
    assert [reply.refusal for reply in told] == [(200, "")] * 3 + [(429, "rate_limited")]
    assert '"session";r=0' in told[-1].headers["RateLimit"]
    assert (await tenant.user.get(tenant.jobs_path)).status == 200
