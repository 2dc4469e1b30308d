"""How long sessions live, how many there may be, and how often anybody may try; servers of their own settings."""

import asyncio
import sqlite3
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from tests.support.browsers import CHEAP, PASSWORD, QUICK, browser, give_password, person
from tests.support.callers import Plane, Reply
from tests.support.server import INTERLOCK, PATIENCE, Rows, Server
from web.passwords import Cost
from web.sessions import COOKIE, SECURE_COOKIE


@asynccontextmanager
async def served(folder: Path, **settings: float | str) -> AsyncIterator[Plane]:
    """A server with these settings."""
    server = Server(folder)
    server._environ |= {f"INTERLOCK_{name.upper()}": str(value) for name, value in (QUICK | settings).items()}
    with server:
        async with aiohttp.ClientSession() as session:
            yield Plane(server, Rows(folder), session)
    assert server.tracebacks() == []


async def until_refused(plane: Plane, cookie: str) -> int:
    """How often the cookie was taken before it no longer was."""
    taken = 0
    while (reply := await plane.stranger.get("/api/session", headers={"Cookie": cookie})).status == 200:
        taken += 1
    assert reply.refusal == (401, "unauthenticated")
    return taken


async def test_a_session_ends_with_its_time_however_busy(tmp_path: Path) -> None:
    async with served(tmp_path, session_seconds=3) as plane, browser(plane.url) as page:
        await page.sign_in(person(plane.tenant()))
        assert await until_refused(plane, page.cookie)


async def test_a_session_that_is_used_goes_on_and_one_that_is_not_ends(tmp_path: Path) -> None:
    async with served(tmp_path, session_idle_seconds=3) as plane:
        email = person(plane.tenant())
        async with browser(plane.url) as busy, browser(plane.url) as idle:
            session, cookie = await busy.sign_in(email), await idle.sign_in(email)
            while len(items := (await busy.get("/api/sessions")).json["items"]) == 2:
                pass  # the busy one is what asks
            assert [item["id"] for item in items] == [session["id"]]
            assert (await idle.get("/api/session")).refusal == (401, "unauthenticated")
            assert (await busy.get("/api/session")).status == 200
            assert cookie["id"] != session["id"]


async def test_with_too_many_sessions_the_one_longest_unused_ends(tmp_path: Path) -> None:
    async with served(tmp_path, sessions_per_user=2) as plane:
        email = person(plane.tenant())
        async with browser(plane.url) as one, browser(plane.url) as two, browser(plane.url) as three:
            for page in (one, two, three):
                await page.sign_in(email)
            assert [(await page.get("/api/session")).status for page in (one, two, three)] == [401, 200, 200]


async def test_a_password_that_is_set_signs_everybody_out(tmp_path: Path) -> None:
    async with served(tmp_path, lookup_cache_seconds=0) as plane, browser(plane.url) as page:
        email = person(plane.tenant())
        await page.sign_in(email)
        assert await asyncio.to_thread(set_password, plane.server, email, "another one") == '{"sessionsEnded":1}'
        assert (await page.get("/api/session")).refusal == (401, "unauthenticated")
        wrong = await page.post("/api/session", {"email": email, "password": PASSWORD})
        assert wrong.refusal == (401, "unauthenticated")
        await page.sign_in(email, "another one")


def set_password(server: Server, email: str, password: str) -> str:
    command = [str(INTERLOCK), "admin", "set-password", "--email", email, "--data-dir", str(server.data_dir)]
    done = subprocess.run(
        command, input=password, capture_output=True, text=True, timeout=PATIENCE, check=False, env=server._environ
    )
    assert done.returncode == 0, done.stderr
    assert password not in done.stderr
    return done.stdout.strip()


async def test_a_hash_of_another_cost_is_renewed_when_its_owner_signs_in(tmp_path: Path) -> None:
    async with served(tmp_path, password_memory_mib=9) as plane, browser(plane.url) as page:
        tenant = plane.tenant()
        user_id = tenant.user_ids["operator"]
        email = give_password(plane.rows, user_id, cost=CHEAP)
        assert "m=8192,t=1," in hash_of(plane, user_id)
        for _ in range(2):
            await page.sign_in(email)
            assert hash_of(plane, user_id).startswith("$argon2id$v=19$m=9216,t=1,p=1$")


def hash_of(plane: Plane, user_id: str) -> str:
    with sqlite3.connect(plane.server.data_dir / "interlock.db") as database:
        ((held,),) = database.execute("SELECT password_hash FROM app_user WHERE id = ?", (user_id,))
    return str(held)


async def test_neither_password_nor_cookie_nor_ticket_is_kept_or_logged(tmp_path: Path) -> None:
    async with served(tmp_path, log_level="debug") as plane, browser(plane.url) as page:
        email = person(plane.tenant())
        session = await page.sign_in(email)
        await page.post("/api/session", {"email": email, "password": f"{PASSWORD}!"})
        ticket, secret = await page.ticket(), page.cookie.partition(".")[2]
    secrets = (PASSWORD, secret, ticket, session["csrfToken"])
    kept = all_bytes(tmp_path)
    assert [text for text in secrets if text.encode() in kept] == []
    assert [line for line in plane.server.log if any(text in line for text in secrets)] == []


def all_bytes(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


# ---- throttling --------------------------------------------------------------------------------------------------------


async def tries(plane: Plane, email: str, password: str, **headers: str) -> Reply:
    return await plane.stranger.post("/api/session", {"email": email, "password": password}, headers=headers)


async def test_an_account_is_tried_so_often_and_then_not_even_the_password_helps(tmp_path: Path) -> None:
    async with served(tmp_path, sign_ins_per_account=3) as plane:
        tenant = plane.tenant()
        email, other = person(tenant), person(tenant, "owner")
        statuses = [(await tries(plane, email, "wrong")).status for _ in range(3)]
        assert statuses == [401] * 3
        for name in (email, email.upper(), f" {email} "):
            refused = await tries(plane, name, PASSWORD)
            assert refused.refusal == (429, "rate_limited")
            assert int(refused.headers["Retry-After"]) >= 1
        assert (await tries(plane, other, PASSWORD)).status == 201
        unknown = [(await tries(plane, "nobody@example.com", "x")).status for _ in range(4)]
        assert unknown == [401, 401, 401, 429]


async def test_who_gets_in_is_forgiven_what_went_before(tmp_path: Path) -> None:
    async with served(tmp_path, sign_ins_per_account=3) as plane:
        email = person(plane.tenant())
        for _ in range(3):
            assert (await tries(plane, email, "wrong")).status == 401
            assert (await tries(plane, email, "wrong")).status == 401
            assert (await tries(plane, email, PASSWORD)).status == 201


async def test_attempts_that_come_together_count_one_by_one(tmp_path: Path) -> None:
    async with served(tmp_path, sign_ins_per_account=3) as plane:
        email = person(plane.tenant())
        replies = await asyncio.gather(*(tries(plane, email, f"wrong {place}") for place in range(12)))
        assert sorted(reply.status for reply in replies) == [401] * 3 + [429] * 9


async def test_the_window_moves_on(tmp_path: Path) -> None:
    async with served(tmp_path, sign_ins_per_account=1, sign_in_window_seconds=3) as plane:
        email = person(plane.tenant())
        assert (await tries(plane, email, "wrong")).status == 401
        statuses = set()
        while 201 not in statuses:
            statuses.add((await tries(plane, email, PASSWORD)).status)
        assert statuses == {201, 429}


async def test_an_address_is_not_changed_by_what_a_stranger_says_of_it(tmp_path: Path) -> None:
    async with served(tmp_path, sign_ins_per_address=3) as plane:
        email = person(plane.tenant())
        names = [f"{place}@example.com" for place in range(3)]
        assert [(await tries(plane, name, "x")).status for name in names] == [401] * 3
        for said in ("1.2.3.4", "127.0.0.1", "::1"):
            reply = await tries(plane, email, PASSWORD, **{"X-Forwarded-For": said, "Forwarded": f"for={said}"})
            assert reply.refusal == (429, "rate_limited")
        setup = await plane.stranger.post("/api/setup", {"token": "", "email": "", "name": "", "password": ""})
        assert setup.refusal == (429, "rate_limited")


async def test_more_passwords_at_once_than_may_wait_are_told_to_come_again(tmp_path: Path) -> None:
    settings = {"password_threads": 1, "password_queue": 1, "password_memory_mib": 64, "sign_ins_per_account": 0}
    async with served(tmp_path, **settings) as plane:
        email = person(plane.tenant())
        give_password(plane.rows, email.partition("@")[0], cost=Cost(64, 1))
        replies = await asyncio.gather(*(tries(plane, email, PASSWORD) for _ in range(20)))
        statuses = [reply.status for reply in replies]
        assert set(statuses) == {201, 503}
        assert all(reply.headers["Retry-After"] for reply in replies if reply.status == 503)
        assert (await tries(plane, email, PASSWORD)).status == 201


# ---- behind a proxy ----------------------------------------------------------------------------------------------------


async def test_behind_a_proxy_that_is_trusted_the_cookie_is_secure_and_the_address_its_clients(tmp_path: Path) -> None:
    async with served(tmp_path, trusted_proxies="10.0.0.0/8, 127.0.0.1", sign_ins_per_address=1) as plane:
        email = person(plane.tenant())
        tls = {"X-Forwarded-Proto": "https"}
        reply = await tries(plane, email, PASSWORD, **tls | {"X-Forwarded-For": "6.6.6.6, 1.2.3.4, 10.0.0.1"})
        assert reply.status == 201
        cookie = reply.headers["Set-Cookie"].partition(";")[0]
        assert cookie.startswith(f"{SECURE_COOKIE}=")
        assert "; Secure" in reply.headers["Set-Cookie"]
        (item,) = (await plane.stranger.get("/api/sessions", headers=tls | {"Cookie": cookie})).json["items"]
        assert item["address"] == "1.2.3.4"
        again = await tries(plane, email, PASSWORD, **tls | {"X-Forwarded-For": "7.7.7.7, 1.2.3.4"})
        assert again.refusal == (429, "rate_limited")
        assert (await tries(plane, email, PASSWORD, **{"X-Forwarded-For": "1.2.3.5"})).status == 201
        unsafe = cookie.replace(SECURE_COOKIE, COOKIE)  # a name that a neighbouring host could set
        assert (await plane.stranger.get("/api/session", headers=tls | {"Cookie": unsafe})).status == 401


async def test_behind_tls_a_page_without_tls_is_not_ours(tmp_path: Path) -> None:
    async with served(tmp_path, public_url="https://interlock.example.com") as plane:
        email, host = person(plane.tenant()), {"Host": "interlock.example.com"}
        reply = await tries(plane, email, PASSWORD, **host)
        cookie, token = reply.headers["Set-Cookie"].partition(";")[0], reply.json["csrfToken"]
        assert cookie.startswith(f"{SECURE_COOKIE}=")
        statuses = {}
        for origin in ("https://interlock.example.com", "http://interlock.example.com", "https://example.com"):
            headers = host | {"Cookie": cookie, "Origin": origin, "X-CSRF-Token": token}
            statuses[origin] = (await plane.stranger.post("/api/session/ticket", headers=headers)).status
        assert list(statuses.values()) == [201, 403, 403]


@pytest.mark.parametrize(
    ("setting", "value"),
    [("public_url", "interlock.example.com"), ("public_url", "https://a/b"), ("trusted_proxies", "proxy, 10.0.0.1")],
)
def test_a_setting_of_the_front_that_makes_no_sense_is_named_at_the_start(
    tmp_path: Path, setting: str, value: str
) -> None:
    server = Server(tmp_path)
    server._environ[f"INTERLOCK_{setting.upper()}"] = value
    with pytest.raises(RuntimeError, match=setting):
        server.start()


# ---- the signing secret ------------------------------------------------------------------------------------------------


async def test_the_signing_secret_is_changed_while_the_server_runs_and_nobody_is_signed_out(tmp_path: Path) -> None:
    async with served(tmp_path, node_look_seconds=0.05) as plane, browser(plane.url) as page:
        tenant = plane.tenant()
        await page.sign_in(person(tenant))
        old, host = tenant.user, tenant.host()
        assert await asyncio.to_thread(rotated, plane.server) == '{"olderAccepted":1}'
        fresh = plane.caller(Rows(tmp_path).token(tenant.user_ids["operator"]))
        while (await fresh.get(tenant.jobs_path)).status == 401:
            pass
        assert [(await caller.get(tenant.jobs_path)).status for caller in (old, fresh)] == [200, 200]
        assert (await host.poll()).status == 204
        assert await asyncio.to_thread(rotated, plane.server, "--forget") == '{"olderAccepted":0}'
        while (await old.get(tenant.jobs_path)).status == 200:
            pass
        assert (await fresh.get(tenant.jobs_path)).status == 200
        assert (await host.poll()).refusal == (401, "unauthenticated")
        assert (await page.get("/api/session")).status == 200


def rotated(server: Server, *words: str) -> str:
    done = server.admin("rotate-secret", *words)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
