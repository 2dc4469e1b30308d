"""Sockets of people at browsers: by the cookie on our own pages only, or by a ticket that opens one socket, once."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from tests.support.browsers import QUICK, Browser, browser, person
from tests.support.callers import PATIENCE, Document, Plane, Tenant, Watch
from tests.support.server import Rows, Server
from tests.support.sockets import SocketIoTalk


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("data"), **QUICK) as running:
        yield running
    assert running.tracebacks() == []


@pytest.fixture
async def page(tenant: Tenant) -> AsyncIterator[Browser]:
    """Where a viewer of the tenant is signed in."""
    async with browser(tenant.plane.url) as made:
        await made.sign_in(person(tenant, "viewer"))
        yield made


def address(tenant: Tenant) -> URL:
    return URL(f"{tenant.plane.url}/ws").with_query(orgId=tenant.id)


async def hears(tenant: Tenant, socket: aiohttp.ClientWebSocketResponse) -> bool:
    """True once the socket has been told of a job."""
    job = await tenant.create(tenant.host())
    return bool(await Watch(socket).until("job.created", jobId=job["id"]))


async def rest_of(socket: aiohttp.ClientWebSocketResponse) -> tuple[list[Document], int | None]:
    """All frames until the server closes, and its code."""
    async with asyncio.timeout(PATIENCE):
        frames = [message.json() async for message in socket]
    return frames, socket.close_code


@asynccontextmanager
async def with_ticket(
    tenant: Tenant, ticket: str, name: str = "ticket"
) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """A socket whose first frame shows the ticket; its page has no cookie, and is of anywhere."""
    async with tenant.plane.session.ws_connect(address(tenant), origin="https://anywhere.example") as socket:
        await socket.send_json({"event": "auth", "data": {name: ticket}})
        yield socket


# ---- the cookie --------------------------------------------------------------------------------------------------------


async def test_the_cookie_opens_a_socket_on_a_page_of_ours(tenant: Tenant, page: Browser) -> None:
    async with page.session.ws_connect(address(tenant), origin=page.url) as socket:
        assert await hears(tenant, socket)


@pytest.mark.parametrize(
    "origin",
    [None, "null", "https://evil.example", "{url}.evil.example", "http://127.0.0.1:1", "chrome-extension://abc"],
)
async def test_the_cookie_opens_nothing_for_a_page_of_another_site(
    tenant: Tenant, page: Browser, origin: str | None
) -> None:
    said = None if origin is None else origin.format(url=page.url)
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await page.session.ws_connect(address(tenant), origin=said)
    assert refused.value.status == 403


async def test_the_cookie_of_a_stranger_opens_nothing(plane: Plane, tenant: Tenant, page: Browser) -> None:
    other = plane.tenant()
    assert tenant.id
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await page.session.ws_connect(address(other), origin=page.url)
    assert refused.value.status == 404


async def test_a_cookie_that_no_longer_holds_is_as_good_as_none(tenant: Tenant, page: Browser) -> None:
    cookie, token = page.cookie, tenant.as_role("viewer").token
    await page.ask("DELETE", "/api/session")
    async with tenant.plane.session.ws_connect(address(tenant), headers={"Cookie": cookie}) as socket:
        await socket.send_json({"event": "auth", "data": {"token": token}})
        assert await hears(tenant, socket)


async def test_a_token_opens_a_socket_for_any_page_whatever_cookie_there_is(tenant: Tenant, page: Browser) -> None:
    headers = {"Authorization": f"Bearer {tenant.as_role('viewer').token}"}
    async with page.session.ws_connect(address(tenant), headers=headers, origin="https://evil.example") as socket:
        assert await hears(tenant, socket)


async def test_agents_doors_do_not_look_at_the_cookie(tenant: Tenant, page: Browser) -> None:
    async with page.session.ws_connect(f"{page.url}/agent", origin=page.url) as socket:
        await socket.send_json({"event": "auth", "data": {"token": await page.ticket()}})
        frames, code = await rest_of(socket)
    assert (code, frames[0]["data"]["code"]) == (1008, "unauthenticated")
    assert tenant.id


# ---- tickets -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ticket", "token"])
async def test_a_ticket_opens_one_socket_and_no_other(tenant: Tenant, page: Browser, name: str) -> None:
    ticket = await page.ticket()
    async with with_ticket(tenant, ticket, name) as socket:
        assert await hears(tenant, socket)
        async with with_ticket(tenant, ticket, name) as again:
            frames, code = await rest_of(again)
        assert (code, frames[0]["data"]["code"]) == (1008, "unauthenticated")
        assert await hears(tenant, socket)


async def test_of_many_sockets_that_show_one_ticket_at_once_one_gets_in(tenant: Tenant, page: Browser) -> None:
    ticket, host = await page.ticket(), tenant.host()

    async def go() -> str:
        async with with_ticket(tenant, ticket) as socket:
            frame: Document = await socket.receive_json()
            return str(frame["event"])

    sockets = [asyncio.create_task(go()) for _ in range(20)]
    async with asyncio.timeout(PATIENCE):
        while not all(task.done() for task in sockets):
            await tenant.create(host)
            await asyncio.wait(sockets, timeout=0)
    events = [task.result() for task in sockets]
    assert sorted(events) == ["error"] * 19 + ["job.created"]


async def test_a_ticket_is_no_token_for_requests(tenant: Tenant, page: Browser) -> None:
    ticket = await page.ticket()
    assert (await tenant.plane.caller(ticket).get(tenant.jobs_path)).refusal == (401, "unauthenticated")
    async with with_ticket(tenant, ticket) as socket:
        assert await hears(tenant, socket)


@pytest.mark.parametrize("ticket", ["ilt_", "ilt_x", "ilt_" + "A" * 43, "ilt_" + "A" * 5000, "ilt_\u00e9"])
async def test_a_ticket_that_was_never_given_opens_nothing(tenant: Tenant, ticket: str) -> None:
    async with with_ticket(tenant, ticket) as socket:
        frames, code = await rest_of(socket)
    assert (code, frames[0]["data"]["code"]) == (1008, "unauthenticated")


async def test_a_ticket_opens_only_what_its_user_may_see(plane: Plane, tenant: Tenant, page: Browser) -> None:
    other = plane.tenant()
    assert tenant.id
    async with with_ticket(other, await page.ticket()) as socket:
        frames, code = await rest_of(socket)
    assert (code, frames[0]["data"]["code"]) == (1008, "not_found")


async def test_a_ticket_ends_with_its_session(tenant: Tenant, page: Browser) -> None:
    ticket = await page.ticket()
    await page.ask("DELETE", "/api/session")
    async with with_ticket(tenant, ticket) as socket:
        frames, code = await rest_of(socket)
    assert (code, frames[0]["data"]["code"]) == (1008, "unauthenticated")


@pytest.mark.parametrize("transport", ["websocket", "polling"])
async def test_a_ticket_opens_a_dashboard_over_socketio_once(tenant: Tenant, page: Browser, transport: str) -> None:
    auth = {"ticket": await page.ticket(), "orgId": tenant.id}
    talk, again = SocketIoTalk("/"), SocketIoTalk("/")
    await talk.connect(page.url, auth, transport)
    try:
        with pytest.raises(Exception, match="failed to connect"):
            await again.connect(page.url, auth, transport)
        assert again.why_not["data"]["code"] == "unauthenticated"
        job = await tenant.create(tenant.host())
        assert (await talk.next("job.created"))["jobId"] == job["id"]
    finally:
        await talk.leave()


@pytest.mark.parametrize("named", [False, True])
async def test_a_dashboard_over_socketio_that_names_no_org_watches_its_token_s_or_the_only_one(
    plane: Plane, tenant: Tenant, *, named: bool
) -> None:
    user_id = plane.rows.user(tenant.id, "viewer")
    if named:
        plane.rows.join(plane.tenant().id, user_id, "viewer")
    token = plane.rows.token(user_id, tenant.id if named else None)
    talk = SocketIoTalk("/")
    await talk.connect(tenant.plane.url, {"token": token}, "websocket")
    try:
        job = await tenant.create(tenant.host())
        assert (await talk.next("job.created"))["jobId"] == job["id"]
    finally:
        await talk.leave()


# ---- ends --------------------------------------------------------------------------------------------------------------


async def test_sockets_of_a_session_end_with_it_and_others_stay(tenant: Tenant, page: Browser) -> None:
    async with (
        page.session.ws_connect(address(tenant), origin=page.url) as by_cookie,
        with_ticket(tenant, await page.ticket()) as by_ticket,
        tenant.watch() as other,
    ):
        assert await hears(tenant, by_cookie)
        assert await hears(tenant, by_ticket)
        assert (await page.ask("DELETE", "/api/session")).status == 204
        for socket in (by_cookie, by_ticket):
            assert (await rest_of(socket))[1] == 1008
        assert await hears(tenant, other.socket)


async def test_a_ticket_holds_for_its_time_only(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    with Server(tmp_path, ticket_seconds=0.001, **QUICK) as server:
        tenant = Plane(server, Rows(tmp_path), session).tenant()
        async with browser(server.url) as page:
            await page.sign_in(person(tenant))
            async with with_ticket(tenant, await page.ticket()) as socket:
                frames, code = await rest_of(socket)
    assert (code, frames[0]["data"]["code"]) == (1008, "unauthenticated")
