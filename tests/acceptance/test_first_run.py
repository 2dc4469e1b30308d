"""The first account: by the link that the server prints, or by the operator on the machine; whichever is first."""

import asyncio
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.browsers import LINK, PASSWORD, QUICK, browser, setup_token
from tests.support.callers import Document, Reply
from tests.support.server import INTERLOCK, PATIENCE, Server

SHORT = 1.0  # seconds that a link holds


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """One on an empty database."""
    with Server(tmp_path, **QUICK) as running:
        yield running
    assert running.tracebacks() == []


def wanted(token: str, **others: str) -> Document:
    return {"token": token, "email": "ann@example.com", "name": "Ann", "password": PASSWORD, "orgName": "acme"} | others


async def set_up(server: Server, body: Document) -> Reply:
    async with browser(server.url) as page:
        return await page.post("/api/setup", body)


def setup_by_operator(server: Server, password: str = PASSWORD) -> subprocess.CompletedProcess[str]:
    words = ("setup", "--email", "op@example.com", "--name", "Op", "--org", "acme")
    command = [str(INTERLOCK), "admin", *words, "--data-dir", str(server.data_dir)]
    return subprocess.run(command, input=f"{password}\n", capture_output=True, text=True, timeout=PATIENCE, check=False)


def accounts(server: Server) -> list[str]:
    with sqlite3.connect(server.data_dir / "interlock.db") as database:
        return [email for (email,) in database.execute("SELECT email FROM app_user")]


async def test_the_printed_link_makes_the_first_owner_who_is_signed_in_and_may_do_all(server: Server) -> None:
    async with browser(server.url) as page:
        assert (await page.get("/api/session")).refusal == (503, "setup_required")
        session = page.signed_in(await page.post("/api/setup", wanted(setup_token(server))))
        assert session["user"] == {
            "id": session["user"]["id"],
            "email": "ann@example.com",
            "name": "Ann",
            "platformAdmin": True,
        }
        (org,) = session["orgs"]
        assert (org["name"], org["role"]) == ("acme", "owner")
        assert (await page.get("/debug/actors")).status == 200
        assert (await page.post(f"/api/orgs/{org['id']}/hosts", {"name": "eu-1"})).status == 201
    async with browser(server.url) as again:
        assert (await again.sign_in("ann@example.com"))["user"] == session["user"]


async def test_a_second_set_up_finds_the_door_closed_whatever_it_shows(server: Server) -> None:
    token = setup_token(server)
    assert (await set_up(server, wanted(token))).status == 201
    for shown in (token, "x", ""):
        assert (await set_up(server, wanted(shown, email="b@example.com"))).refusal == (409, "invalid_state")
    assert server.terminate() == 0
    before = len(server.log)
    server.start()
    assert not [line for line in server.log[before:] if "setup" in line]
    assert accounts(server) == ["ann@example.com"]


async def test_of_two_who_set_up_at_once_one_becomes_the_owner(server: Server) -> None:
    token = setup_token(server)
    bodies = [wanted(token, email=f"{place}@example.com") for place in range(5)]
    replies = await asyncio.gather(*(set_up(server, body) for body in bodies))
    statuses = sorted(reply.status for reply in replies)
    assert statuses[0] == 201
    assert set(statuses[1:]) <= {401, 409}
    assert len(accounts(server)) == 1


async def test_the_operator_and_a_stranger_at_once_make_one_owner(server: Server) -> None:
    done, reply = await asyncio.gather(
        asyncio.to_thread(setup_by_operator, server), set_up(server, wanted(setup_token(server)))
    )
    assert (done.returncode == 0) != (reply.status == 201)
    assert "Traceback" not in done.stderr
    assert len(accounts(server)) == 1


async def test_the_operator_sets_up_beside_the_server_and_the_link_is_worth_nothing_then(server: Server) -> None:
    refused = await asyncio.to_thread(setup_by_operator, server, "short")
    assert refused.returncode != 0
    assert "at least 8 characters" in refused.stderr
    done = await asyncio.to_thread(setup_by_operator, server)
    assert done.returncode == 0, done.stderr
    assert PASSWORD not in done.stdout + done.stderr
    assert (await set_up(server, wanted(setup_token(server)))).refusal == (409, "invalid_state")
    async with browser(server.url) as page:
        assert (await page.sign_in("op@example.com"))["orgs"][0]["role"] == "owner"
    again = await asyncio.to_thread(setup_by_operator, server)
    assert again.returncode != 0
    assert "set up already" in again.stderr


async def test_a_token_that_does_not_hold_opens_nothing(server: Server) -> None:
    token = setup_token(server)
    for shown in ("", "x", token[:-1], token + "x", token.swapcase(), "\u00e9" * 43):
        assert (await set_up(server, wanted(shown))).refusal == (401, "unauthenticated")
    assert accounts(server) == []
    assert (await set_up(server, wanted(token))).status == 201


async def test_a_set_up_that_is_refused_leaves_the_link_as_it_was(server: Server) -> None:
    token = setup_token(server)
    mistakes = {
        "$.password": {"password": "1234567"},
        "$.email": {"email": " "},
        "$.name": {"name": "\x07"},
        "$.orgName": {"orgName": ""},
    }
    for path, others in (*mistakes.items(), ("$.email", {"email": "ann"}), ("$.email", {"email": "@example.com"})):
        reply = await set_up(server, wanted(token, **others))
        assert reply.refusal == (400, "invalid_request")
        assert [mistake["path"] for mistake in reply.json["errors"]] == [path]
    assert (await set_up(server, {"token": token})).refusal == (400, "invalid_request")
    assert (await set_up(server, wanted(token, role="owner"))).refusal == (400, "invalid_request")
    assert (await set_up(server, wanted(token))).status == 201


async def test_a_new_start_makes_a_new_link_and_ends_the_old(server: Server) -> None:
    old = setup_token(server)
    server.terminate()
    server.start()
    new = setup_token(server)
    assert new != old
    assert (await set_up(server, wanted(old))).refusal == (401, "unauthenticated")
    assert (await set_up(server, wanted(new))).status == 201


async def test_a_link_holds_for_its_time_only(tmp_path: Path) -> None:
    with Server(tmp_path, setup_seconds=SHORT, **QUICK) as server:
        body, statuses = wanted(setup_token(server), password="short"), set()
        while 401 not in statuses:
            statuses.add((await set_up(server, body)).status)
        assert statuses <= {400, 401}
        assert accounts(server) == []


def test_the_token_stands_behind_the_hash_and_only_its_digest_is_stored(server: Server) -> None:
    token = setup_token(server)
    assert len(token) == 43
    assert [line for line in server.log if token in line] == [f"  {server.url}{LINK}{token}"]
    server.terminate()
    files = [path for path in server.data_dir.rglob("*") if path.is_file()]
    assert [path for path in files if token.encode() in path.read_bytes()] == []


def test_the_link_names_the_address_that_browsers_use(tmp_path: Path) -> None:
    server = Server(tmp_path)
    server._environ["INTERLOCK_PUBLIC_URL"] = "https://interlock.example.com/"
    with server:
        (line,) = [line for line in server.log if LINK in line]
        assert line.startswith("  https://interlock.example.com/setup#")
