"""Signing in at a browser: the cookie, what a page must show with it, the list of one's sessions, and how they end."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from tests.support.browsers import PASSWORD, QUICK, Browser, browser, person
from tests.support.callers import Plane, Tenant
from tests.support.server import Server
from web.sessions import COOKIE


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("data"), **QUICK) as running:
        yield running
    assert running.tracebacks() == []


@asynccontextmanager
async def signed_in(tenant: Tenant, role: str = "operator") -> AsyncIterator[Browser]:
    """Somebody of that role at a browser."""
    async with browser(tenant.plane.url) as page:
        await page.sign_in(person(tenant, role))
        yield page


# ---- signing in --------------------------------------------------------------------------------------------------------


async def test_who_signs_in_is_told_who_they_are_and_what_they_may(tenant: Tenant) -> None:
    email = person(tenant, "admin")
    async with browser(tenant.plane.url) as page:
        assert (await page.get("/api/session")).refusal == (401, "unauthenticated")
        reply = await page.post("/api/session", {"email": email, "password": PASSWORD})
        session = page.signed_in(reply)
        assert session["user"] == {
            "id": tenant.user_ids["admin"],
            "email": email,
            "name": "Admin",
            "platformAdmin": False,
        }
        assert session["orgs"] == [{"id": tenant.id, "name": "acme", "role": "admin"}]
        assert (reply.headers["Cache-Control"], reply.headers["Location"]) == ("no-store", "/api/session")
        assert (await page.get("/api/session")).json == session
        assert (await page.get(tenant.jobs_path)).status == 200
        assert (await page.post(f"{tenant.path}/hosts", {"name": "eu-9"})).status == 201


async def test_a_user_name_is_another_name_of_the_address_in_any_case(tenant: Tenant) -> None:
    email = person(tenant)
    async with browser(tenant.plane.url) as page:
        for body in ({"username": email}, {"email": f" {email.upper()} "}, {"email": email, "username": "x"}):
            reply = await page.post("/api/session", body | {"password": PASSWORD})
            assert reply.status == 201


async def test_the_cookie_is_for_this_server_alone_and_no_script_reads_it(tenant: Tenant) -> None:
    email = person(tenant)
    async with browser(tenant.plane.url) as page:
        reply = await page.post("/api/session", {"email": email, "password": PASSWORD})
    name, *parts = reply.headers["Set-Cookie"].split("; ")
    assert name.startswith(f"{COOKIE}=")
    assert sorted(parts) == ["HttpOnly", "Max-Age=1209600", "Path=/", "SameSite=Strict"]
    assert name.partition("=")[2].partition(".")[2] not in reply.body.decode()


async def test_a_cookie_counts_as_its_user_and_no_further(tenant: Tenant) -> None:
    other = tenant.plane.tenant()
    async with signed_in(tenant, "viewer") as page:
        assert (await page.get(other.jobs_path)).refusal == (404, "not_found")
        assert (await page.post(tenant.jobs_path, {"type": "SERVER_START"})).refusal == (403, "forbidden")
        assert (await page.get("/debug/actors")).refusal == (403, "forbidden")
        assert (await page.get("/jobs")).json["items"] == []
        assert (await page.get("/api/orgs")).json["items"][0]["id"] == tenant.id
        host = tenant.host()
        assert (await page.get(f"{host.path}/jobs")).refusal == (401, "unauthenticated")


async def test_with_a_bearer_token_there_is_no_session_and_no_page_to_check(tenant: Tenant) -> None:
    user = tenant.user
    shown = (await user.get("/api/session")).json
    assert (shown["id"], shown["csrfToken"], shown["user"]["id"]) == (None, None, tenant.user_ids["operator"])
    assert (await user.get("/api/sessions")).json == {"items": [], "nextCursor": None}
    assert (await user.ask("DELETE", "/api/session")).refusal == (403, "forbidden")
    assert (await user.post("/api/session/ticket")).refusal == (403, "forbidden")
    host = tenant.host()
    body = {"type": "SERVER_START", "hostId": host.id}
    assert (await user.post(tenant.jobs_path, body, headers={"Origin": "chrome-extension://abc"})).status == 201


async def test_a_bearer_token_counts_where_there_is_a_cookie_too(tenant: Tenant) -> None:
    async with signed_in(tenant, "owner") as page:
        headers = {"Authorization": f"Bearer {tenant.as_role('viewer').token}"}
        shown = (await page.get("/api/session", headers=headers)).json
        assert (shown["id"], shown["user"]["id"]) == (None, tenant.user_ids["viewer"])
        assert (await page.get(tenant.jobs_path, headers={"Authorization": "Bearer x"})).status == 401


# ---- refusals ----------------------------------------------------------------------------------------------------------


async def test_whoever_is_not_known_is_told_the_same_as_who_errs(tenant: Tenant) -> None:
    email = person(tenant)
    without = tenant.as_role("viewer")  # an account that has no password
    assert without.token
    async with browser(tenant.plane.url) as page:
        told = set()
        for name, password in (
            (email, "wrong"),
            (email, ""),
            (email, PASSWORD + " "),
            ("nobody@example.com", PASSWORD),
            (f"{tenant.user_ids['viewer']}@example.com", ""),
            (tenant.user_ids["operator"], PASSWORD),
            ("", PASSWORD),
            ("a\x07b", PASSWORD),
        ):
            reply = await page.post("/api/session", {"email": name, "password": password})
            assert reply.refusal == (401, "unauthenticated")
            assert "Set-Cookie" not in reply.headers
            told.add(reply.json["detail"])
        assert len(told) == 1


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"password": "x"}, "$.email"),
        ({"email": "x"}, "$.password"),
        ({"email": 5, "password": "x"}, "$.email"),
        ({"email": "x", "password": None}, "$.password"),
        ({"email": "x" * 321, "password": "x"}, "$.email"),
        ({"email": "x", "password": "x" * 1025}, "$.password"),
        ({"email": "x", "password": "x", "remember": True}, "$.remember"),
        ({"email": "a\0b", "password": "x"}, "$.email"),
        ({"email": "x", "password": "a\0b"}, "$.password"),
    ],
    ids=str,
)
async def test_a_body_that_makes_no_sense_is_refused_with_the_place(plane: Plane, body: object, path: str) -> None:
    assert plane.tenant().id
    reply = await plane.stranger.post("/api/session", body)
    assert reply.refusal == (400, "invalid_request")
    assert [mistake["path"] for mistake in reply.json["errors"]] == [path]


async def test_a_page_of_another_site_signs_nobody_in(tenant: Tenant) -> None:
    body = {"email": person(tenant), "password": PASSWORD}
    for origin in ("https://evil.example", "null", f"{tenant.plane.url}.evil.example"):
        reply = await tenant.plane.stranger.post("/api/session", body, headers={"Origin": origin})
        assert reply.refusal == (403, "forbidden")
        assert "Set-Cookie" not in reply.headers


async def test_a_cookie_that_does_not_hold_opens_nothing(tenant: Tenant) -> None:
    async with signed_in(tenant) as page:
        cookie, stranger = page.cookie, tenant.plane.stranger
        session_id, _, secret = cookie.partition("=")[2].partition(".")
        for value in (
            session_id,
            f"{session_id}.",
            f"{session_id}.{secret[:-1]}",
            f"{session_id}.{secret}x",
            f"01938b3e-0000-7000-8000-0000000000cc.{secret}",
            f"x.{secret}",
            "\u00e9.\u00e9",
            "x" * 5000,
            "",
        ):
            reply = await stranger.get("/api/session", headers={"Cookie": f"{COOKIE}={value}"})
            assert reply.refusal == (401, "unauthenticated")
        assert (await stranger.get("/api/session", headers={"Cookie": cookie})).status == 200


# ---- what a page must show ---------------------------------------------------------------------------------------------

Pages = dict[str, tuple[dict[str, str | None], int]]  # what is said beside the cookie, and the answer


def pages_of(page: Browser) -> Pages:
    """Every way to be, or not to be, a page of ours; None: the header is left out."""
    ours, token = page.url, page.csrf_token or ""
    scheme, _, host = ours.partition("://")
    return {
        "ours": ({"Origin": ours, "X-CSRF-Token": token}, 204),
        "ours, behind a proxy that does TLS": ({"Origin": f"https://{host}", "X-CSRF-Token": token}, 204),
        "ours in capitals": ({"Origin": ours.upper(), "X-CSRF-Token": token}, 204),
        "no token": ({"Origin": ours, "X-CSRF-Token": None}, 403),
        "an empty token": ({"Origin": ours, "X-CSRF-Token": ""}, 403),
        "half a token": ({"Origin": ours, "X-CSRF-Token": token[:20]}, 403),
        "another token": ({"Origin": ours, "X-CSRF-Token": token.swapcase()}, 403),
        "the cookie as token": ({"Origin": ours, "X-CSRF-Token": page.cookie.partition("=")[2]}, 403),
        "no page, but a program": ({"Origin": None, "X-CSRF-Token": token}, 204),
        "an empty origin": ({"Origin": "", "X-CSRF-Token": token}, 403),
        "origin null": ({"Origin": "null", "X-CSRF-Token": token}, 403),
        "another site": ({"Origin": "https://evil.example", "X-CSRF-Token": token}, 403),
        "our name as its beginning": ({"Origin": f"{ours}.evil.example", "X-CSRF-Token": token}, 403),
        "our name as its end": ({"Origin": f"{scheme}://evil{host}", "X-CSRF-Token": token}, 403),
        "another port": ({"Origin": f"{scheme}://{host.partition(':')[0]}:1", "X-CSRF-Token": token}, 403),
        "an extension": ({"Origin": "chrome-extension://abc", "X-CSRF-Token": token}, 403),
        "two origins": ({"Origin": f"{ours} https://evil.example", "X-CSRF-Token": token}, 403),
        "a path behind it": ({"Origin": f"{ours}/", "X-CSRF-Token": token}, 403),
        "nothing": ({"Origin": None, "X-CSRF-Token": None}, 403),
    }


async def test_what_changes_anything_takes_a_page_of_ours(tenant: Tenant) -> None:
    async with signed_in(tenant, "owner") as page:
        wrong = {}
        for name, (said, status) in pages_of(page).items():
            made = await page.post(f"{tenant.path}/hosts", {"name": "eu-9"})
            assert made.status == 201
            headers = {key: value for key, value in said.items() if value is not None}
            reply = await page.ask("DELETE", f"{tenant.path}/hosts/{made.json['id']}", headers=headers)
            if reply.status != status or (status == 403 and reply.code != "forbidden"):
                wrong[name] = reply.status
        assert wrong == {}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "{org}/jobs", {"type": "SEARCH_SINGLE"}),
        ("POST", "{org}/jobs/batch", {"jobs": []}),
        ("POST", "/jobs", {"type": "SEARCH_SINGLE"}),
        ("PUT", "{org}/settings", {}),
        ("PATCH", "{org}/hosts/{host}", {"paused": True}),
        ("DELETE", "{org}/hosts/{host}", None),
        ("DELETE", "/api/session", None),
        ("DELETE", "/api/sessions/{host}", None),
        ("POST", "/api/session/ticket", None),
        ("PUT", "/api/session/password", {"current": PASSWORD, "password": "another one"}),
    ],
)
async def test_each_way_to_change_something_is_closed_to_other_sites(
    tenant: Tenant, method: str, path: str, body: object
) -> None:
    place = path.format(org=tenant.path, host=tenant.host().id)
    async with signed_in(tenant, "owner") as page:
        for headers in ({}, {"Origin": page.url}, page.page | {"Origin": "https://evil.example"}):
            reply = await page.ask(method, place, body, headers=headers)
            assert reply.refusal == (403, "forbidden")
        assert (await page.get("/api/session")).status == 200


async def test_reading_takes_the_cookie_alone(tenant: Tenant) -> None:
    async with signed_in(tenant) as page:
        for path in (tenant.jobs_path, "/api/orgs", "/api/session", "/api/sessions", f"{tenant.path}/hosts"):
            reply = await page.get(path, headers={})
            assert reply.status == 200
            assert "Access-Control-Allow-Origin" not in reply.headers


# ---- the list, and ends ------------------------------------------------------------------------------------------------


async def test_ones_own_sessions_are_listed_and_ended_one_by_one(tenant: Tenant) -> None:
    email = person(tenant)
    async with browser(tenant.plane.url) as one, browser(tenant.plane.url) as two:
        first, second = await one.sign_in(email), await two.sign_in(email)
        items = (await one.get("/api/sessions")).json["items"]
        assert [(item["id"], item["current"]) for item in items] == [(first["id"], True), (second["id"], False)]
        assert {item["address"] for item in items} == {"127.0.0.1"}
        assert all(item["userAgent"].startswith("Python/") for item in items)
        assert items[0]["createdAt"] <= items[0]["lastSeenAt"] < items[0]["expiresAt"]
        assert (await two.get("/api/session")).status == 200
        assert (await one.ask("DELETE", f"/api/sessions/{second['id']}")).status == 204
        assert (await two.get("/api/session")).refusal == (401, "unauthenticated")
        assert (await one.ask("DELETE", f"/api/sessions/{second['id']}")).refusal == (404, "not_found")
        assert [item["id"] for item in (await one.get("/api/sessions")).json["items"]] == [first["id"]]


async def test_somebody_elses_session_is_not_there(tenant: Tenant) -> None:
    async with signed_in(tenant) as page, signed_in(tenant, "owner") as other:
        theirs = (await other.get("/api/session")).json["id"]
        for session_id in (theirs, "x", "01938b3e-0000-7000-8000-0000000000cc"):
            reply = await page.ask("DELETE", f"/api/sessions/{session_id}")
            assert reply.refusal == (404, "not_found")
        assert (await other.get("/api/session")).status == 200


async def test_who_signs_out_is_out_at_once_and_the_cookie_is_gone(tenant: Tenant) -> None:
    async with signed_in(tenant) as page:
        cookie = page.cookie
        reply = await page.ask("DELETE", "/api/session")
        assert reply.status == 204
        assert "Max-Age=0" in reply.headers["Set-Cookie"]
        assert page.cookie == ""
        replayed = await tenant.plane.stranger.get("/api/session", headers={"Cookie": cookie})
        assert replayed.refusal == (401, "unauthenticated")


async def test_each_sign_in_is_a_session_of_its_own(tenant: Tenant) -> None:
    email = person(tenant)
    async with browser(tenant.plane.url) as page:
        sessions = [await page.sign_in(email) for _ in range(2)]
    assert sessions[0]["id"] != sessions[1]["id"]
    assert sessions[0]["csrfToken"] != sessions[1]["csrfToken"]


# ---- a new password ----------------------------------------------------------------------------------------------------


async def test_who_knows_the_password_changes_it_and_all_other_sessions_end(tenant: Tenant) -> None:
    email, path = person(tenant), "/api/session/password"
    async with browser(tenant.plane.url) as one, browser(tenant.plane.url) as two:
        for page in (one, two):
            await page.sign_in(email)
        wrong = await one.ask("PUT", path, {"current": "wrong", "password": "another one"})
        assert wrong.refusal == (403, "forbidden")
        short = await one.ask("PUT", path, {"current": PASSWORD, "password": "short"})
        assert short.refusal == (400, "invalid_request")
        assert (await two.get("/api/session")).status == 200
        assert (await one.ask("PUT", path, {"current": PASSWORD, "password": "another one"})).status == 204
        assert [(await page.get("/api/session")).status for page in (one, two)] == [200, 401]
        assert (await two.post("/api/session", {"email": email, "password": PASSWORD})).status == 401
        await two.sign_in(email, "another one")


async def test_an_account_without_a_password_has_none_to_change(tenant: Tenant) -> None:
    reply = await tenant.user.ask("PUT", "/api/session/password", {"current": "", "password": PASSWORD})
    assert reply.refusal == (403, "forbidden")
