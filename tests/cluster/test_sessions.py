"""People at browsers whose requests come to either node."""

from collections.abc import AsyncIterator

import pytest

from tests.cluster.rig import Town, until
from tests.support.browsers import QUICK, Browser, browser, person

SETTINGS = QUICK | {"lookup_cache_seconds": 1.0}


@pytest.fixture
async def pages(town: Town) -> AsyncIterator[tuple[Browser, Browser]]:
    """One browser, as it speaks to either node: a cookie does not know of ports."""
    async with browser(town.a.url) as at_a:
        yield at_a, Browser(at_a.session, town.b.url)


async def test_a_session_counts_at_both_nodes_and_ends_at_both(town: Town, pages: tuple[Browser, Browser]) -> None:
    tenant, _ = town.tenant()
    at_a, at_b = pages
    session = await at_a.sign_in(person(tenant))
    assert (await at_b.get("/api/session")).json == session
    at_b.csrf_token = at_a.csrf_token
    cookie = {"Cookie": at_a.cookie}
    assert (await at_b.ask("DELETE", "/api/session")).status == 204
    await until(lambda: town.a.stranger.get("/api/session", headers=cookie), lambda reply: reply.status == 401)


async def test_a_page_changes_a_host_that_the_other_node_owns(town: Town, pages: tuple[Browser, Browser]) -> None:
    tenant, _ = town.tenant()
    host = tenant.host()
    async with tenant.parked(host):
        _, at_b = pages
        await at_b.sign_in(person(tenant, "admin"))
        reply = await at_b.ask("PATCH", f"{tenant.path}/hosts/{host.id}", {"paused": True})
        assert (reply.status, reply.json["paused"], reply.json["presence"]) == (200, True, "online")
        forged = await at_b.ask(
            "PATCH", f"{tenant.path}/hosts/{host.id}", {"paused": False}, headers={"Origin": at_b.url}
        )
        assert forged.refusal == (403, "forbidden")


async def test_of_one_ticket_one_node_opens_a_socket(town: Town, pages: tuple[Browser, Browser]) -> None:
    tenant, _ = town.tenant()
    at_a, _ = pages
    await at_a.sign_in(person(tenant))
    ticket = await at_a.ticket()
    codes = []
    for node in (town.b, town.a):
        async with node.session.ws_connect(f"{node.url}/ws?orgId={tenant.id}") as socket:
            await socket.send_json({"event": "auth", "data": {"ticket": ticket}})
            await tenant.create(tenant.host())
            frame = await socket.receive_json()
            codes.append(frame["data"].get("code"))
    assert codes == [None, "unauthenticated"]
