"""A command line is let in by somebody at a browser: once, for a while, by whoever is signed in, and by nobody else's page."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from store.models import AuditEvent
from tests.acceptance.test_session_lives import all_bytes, served
from tests.support.browsers import QUICK, Browser, browser, person
from tests.support.callers import Document, Plane, Reply, Tenant
from tests.support.server import Rows, Server
from web.device_logins import LETTERS

DEVICE, TAKE, LOOK, ANSWER = (f"/api/login/device{part}" for part in ("", "/token", "/look", "/answer"))
QUICKLY = {"device_poll_seconds": 0.001}


async def asks(plane: Plane, name: str = "ann@laptop") -> Document:
    """A command line that asks."""
    reply = await plane.stranger.post(DEVICE, {"name": name})
    assert reply.status == 201, reply
    begun: Document = reply.json
    return begun


async def take(plane: Plane, begun: Document) -> Reply:
    """What it is told when it asks for its token."""
    while (reply := await plane.stranger.post(TAKE, {"deviceCode": begun["deviceCode"]})).status == 429:
        assert reply.code == "rate_limited"
    return reply


async def says(page: Browser, begun: Document, *, allow: bool = True) -> Reply:
    """What somebody at a browser answers."""
    return await page.post(ANSWER, {"userCode": begun["userCode"], "allow": allow})


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One at which nobody waits long; it must end cleanly."""
    with Server(tmp_path_factory.mktemp("data"), **QUICK, **QUICKLY) as running:
        yield running
    assert running.tracebacks() == []


@pytest.fixture
def here(server: Server, session: aiohttp.ClientSession) -> Plane:
    return Plane(server, Rows(server.data_dir), session)


@pytest.fixture
def tenant(here: Plane) -> Tenant:
    return here.tenant()


@pytest_asyncio.fixture
async def page(here: Plane, tenant: Tenant) -> AsyncIterator[Browser]:
    """Somebody at a browser, who is signed in."""
    async with browser(here.url) as signed_in:
        await signed_in.sign_in(person(tenant))
        yield signed_in


async def test_whoever_says_yes_is_whom_the_token_is_of(here: Plane, tenant: Tenant, page: Browser) -> None:
    begun = await asks(here)
    assert (await take(here, begun)).json == {"status": "waiting", "token": None, "expiresAt": None}
    shown = (await page.post(LOOK, {"userCode": begun["userCode"].lower().replace("-", " ")})).json
    assert (shown["name"], shown["address"]) == ("ann@laptop", "127.0.0.1")
    assert (await says(page, begun)).status == 204
    taken = (await take(here, begun)).json
    me = await here.caller(taken["token"]).get("/api/session")
    assert me.json["user"]["id"] == tenant.user_ids["operator"]
    assert me.json["csrfToken"] is None
    assert (await here.caller(taken["token"]).get(tenant.jobs_path)).status == 200


async def test_the_code_is_short_and_the_secret_is_not(here: Plane) -> None:
    begun = await asks(here)
    one, hyphen, other = begun["userCode"].partition("-")
    assert (len(one), hyphen, len(other)) == (4, "-", 4)
    assert set(one + other) <= set(LETTERS)
    assert len(begun["deviceCode"]) >= 43
    assert begun["verificationPath"] == "/app/device"
    assert begun["deviceCode"] not in begun["userCode"]
    assert (begun["expiresInSeconds"], begun["intervalSeconds"]) == (600, 0.001)


async def test_a_token_is_given_once_however_many_ask_at_once(here: Plane, page: Browser) -> None:
    begun = await asks(here)
    assert (await says(page, begun)).status == 204
    many = [here.stranger.post(TAKE, {"deviceCode": begun["deviceCode"]}) for _ in range(20)]
    statuses = sorted(reply.status for reply in await asyncio.gather(*many))
    assert statuses == [200, *[401] * 19]
    assert (await says(page, begun)).refusal == (404, "not_found")


async def test_a_no_is_told_and_is_not_taken_back(here: Plane, page: Browser) -> None:
    begun = await asks(here)
    assert (await says(page, begun, allow=False)).status == 204
    for _ in range(2):
        assert (await take(here, begun)).refusal == (403, "forbidden")
    assert (await says(page, begun)).refusal == (404, "not_found")


async def test_a_code_holds_for_its_time_only(tmp_path: Path) -> None:
    async with served(tmp_path, device_login_seconds=3, **QUICKLY) as plane, browser(plane.url) as page:
        await page.sign_in(person(plane.tenant()))
        late, begun = await asks(plane), await asks(plane)
        assert (await says(page, late)).status == 204
        while (reply := await take(plane, begun)).status == 202:
            pass
        assert reply.refusal == (401, "unauthenticated")
        assert (await says(page, begun)).refusal == (404, "not_found")
        assert (await take(plane, late)).refusal == (401, "unauthenticated")


async def test_a_token_holds_for_its_time_only(tmp_path: Path) -> None:
    settings = QUICKLY | {"device_token_seconds": 1, "jwt_leeway_seconds": 0}
    async with served(tmp_path, **settings) as plane, browser(plane.url) as page:
        await page.sign_in(person(plane.tenant()))
        begun = await asks(plane)
        assert (await says(page, begun)).status == 204
        caller = plane.caller((await take(plane, begun)).json["token"])
        while (reply := await caller.get("/api/session")).status == 200:
            pass
        assert reply.refusal == (401, "unauthenticated")


async def test_only_a_page_of_ours_with_a_session_lets_anybody_in(here: Plane, tenant: Tenant, page: Browser) -> None:
    begun = await asks(here)
    body = {"userCode": begun["userCode"], "allow": True}
    for path, sent in ((LOOK, {"userCode": begun["userCode"]}), (ANSWER, body)):
        assert (await tenant.user.post(path, sent)).refusal == (403, "forbidden")  # a bearer token
        assert (await here.stranger.post(path, sent)).refusal == (401, "unauthenticated")
        for headers in (
            {"Origin": "https://evil.example", "X-CSRF-Token": page.csrf_token or ""},
            {"Origin": here.url},
            {"Origin": here.url, "X-CSRF-Token": "x"},
        ):
            assert (await page.ask("POST", path, sent, headers=headers)).refusal == (403, "forbidden")
    assert (await take(here, begun)).status == 202


async def test_what_is_no_code_and_no_name_is_refused(here: Plane, page: Browser) -> None:
    for text in ("", "BCDF", "BCDF-GHJA", "BCDF-GHJ1", "BCDF-GHJK-L", "\u0000" * 8):
        assert (await page.post(LOOK, {"userCode": text})).refusal == (400, "invalid_request")
    for name in ("", " ", "x" * 101, "a\nb", "\x1b[2J"):
        assert (await here.stranger.post(DEVICE, {"name": name})).refusal == (400, "invalid_request")
    for body in ({}, {"deviceCode": "x", "more": 1}, {"deviceCode": 1}):
        assert (await here.stranger.post(TAKE, body)).refusal == (400, "invalid_request")
    assert (await here.stranger.post(TAKE, {"deviceCode": "x"})).refusal == (401, "unauthenticated")


async def test_codes_are_guessed_at_so_often_and_then_not_even_the_right_one_helps(tmp_path: Path) -> None:
    async with served(tmp_path, sign_ins_per_account=3, **QUICKLY) as plane, browser(plane.url) as page:
        email = person(plane.tenant())
        await page.sign_in(email)
        begun = await asks(plane)
        for _ in range(3):
            assert (await page.post(LOOK, {"userCode": "BCDF-GHJK"})).refusal == (404, "not_found")
        assert (await says(page, begun)).refusal == (429, "rate_limited")
        assert (await take(plane, begun)).status == 202
        await page.sign_in(email)  # what was guessed does not count as signing in, nor does signing in forgive it
        assert (await says(page, begun)).refusal == (429, "rate_limited")


async def test_an_address_asks_so_often(tmp_path: Path) -> None:
    async with served(tmp_path, sign_ins_per_address=2) as plane:
        plane.tenant()
        for _ in range(2):
            await asks(plane)
        assert (await plane.stranger.post(DEVICE, {"name": "x"})).refusal == (429, "rate_limited")


async def test_only_so_many_wait_at_once(tmp_path: Path) -> None:
    async with served(tmp_path, device_logins=2) as plane:
        plane.tenant()
        for _ in range(2):
            await asks(plane)
        reply = await plane.stranger.post(DEVICE, {"name": "x"})
        assert reply.refusal == (429, "rate_limited")
        assert int(reply.headers["Retry-After"]) > 1


async def test_whoever_asks_more_often_than_told_is_told_to_wait(tmp_path: Path) -> None:
    async with served(tmp_path, device_poll_seconds=60) as plane:
        plane.tenant()
        begun = await asks(plane)
        sent = {"deviceCode": begun["deviceCode"]}
        assert (await plane.stranger.post(TAKE, sent)).status == 202
        reply = await plane.stranger.post(TAKE, sent)
        assert reply.refusal == (429, "rate_limited")
        assert int(reply.headers["Retry-After"]) > 1


async def test_neither_code_nor_secret_nor_token_is_kept_or_logged(tmp_path: Path) -> None:
    async with served(tmp_path, log_level="debug", **QUICKLY) as plane, browser(plane.url) as page:
        await page.sign_in(person(plane.tenant()))
        begun = await asks(plane)
        assert (await says(page, begun)).status == 204
        token = (await take(plane, begun)).json["token"]
        waits = await asks(plane)
    plain = [each["userCode"].replace("-", "") for each in (begun, waits)]
    secrets = (token, *(each[key] for each in (begun, waits) for key in ("deviceCode", "userCode")), *plain)
    kept = all_bytes(tmp_path)
    assert [text for text in secrets if text.encode() in kept] == []
    assert [line for line in plane.server.log if any(text in line for text in secrets)] == []


async def test_the_audit_trail_says_who_let_what_in(here: Plane, tenant: Tenant, page: Browser) -> None:
    begun, refused = await asks(here), await asks(here, "eve@elsewhere")
    assert (await says(page, begun)).status == 204
    assert (await says(page, refused, allow=False)).status == 204
    assert (await take(here, begun)).status == 200
    lines = trail(here.rows, tenant.user_ids["operator"])
    assert [line[:2] for line in lines] == [
        ("device_login.allow", tenant.user_ids["operator"]),
        ("device_login.deny", tenant.user_ids["operator"]),
        ("device_login.token", tenant.user_ids["operator"]),
    ]
    assert '"ann@laptop"' in lines[0][2]
    assert "127.0.0.1" in lines[1][2]


def trail(rows: Rows, user_id: str) -> list[tuple[Any, ...]]:
    """What that user has done about command lines: action, who, detail."""
    columns = (AuditEvent.action, AuditEvent.actor_id, AuditEvent.detail)
    about = (AuditEvent.target_kind == "device_login") & (AuditEvent.actor_id == user_id)
    with rows.database.connection_context():
        query = AuditEvent.select(*columns).where(about).order_by(AuditEvent.id)
        return list(query.tuples().execute(rows.database))


async def test_before_the_set_up_nobody_is_asked(tmp_path: Path) -> None:
    async with served(tmp_path) as plane:
        assert (await plane.stranger.post(DEVICE, {"name": "x"})).refusal == (503, "setup_required")
