"""A server without accounts, and `interlock admin` beside it."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.support.callers import Agent, Caller
from tests.support.routes import ALL_ROUTES, NAMES, NOBODY, Route, name_of
from tests.support.server import Server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("data")) as running:
        yield running
    assert running.tracebacks() == []


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One that will be set up."""
    with Server(tmp_path_factory.mktemp("data")) as running:
        yield running
    assert running.tracebacks() == []


@pytest.fixture
async def nobody(server: Server) -> AsyncIterator[Caller]:
    async with aiohttp.ClientSession() as session:
        yield Caller(session, server.url, None)


async def admin(server: Server, *words: str) -> dict[str, str]:
    """One command, which must print exactly one JSON object."""
    done = await asyncio.to_thread(server.admin, *words)
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    printed: dict[str, str] = json.loads(line)
    return printed


async def refused(server: Server, *words: str) -> str:
    """One command that must fail, in a sentence and without anything on stdout."""
    done = await asyncio.to_thread(server.admin, *words)
    assert done.returncode != 0
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.mark.parametrize("route", ALL_ROUTES, ids=name_of)
async def test_until_an_account_exists_every_route_asks_for_the_set_up(nobody: Caller, route: Route) -> None:
    path = route.path.format(**dict.fromkeys(NAMES.values(), NOBODY))
    for token in (None, "x"):
        caller = Caller(nobody.session, nobody.url, token)
        reply = await caller.ask(route.method, path, route.body)
        assert reply.refusal == (503, "setup_required")
        assert int(reply.headers["Retry-After"]) >= 1


async def test_until_an_account_exists_sockets_ask_for_the_set_up(nobody: Caller) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await nobody.session.ws_connect(f"{nobody.url}/ws?orgId={NOBODY}")
    assert caught.value.status == 503


async def test_health_and_readiness_do_not_need_the_set_up(nobody: Caller) -> None:
    assert (await nobody.get("/healthz")).status == 200
    assert (await nobody.get("/readyz")).status == 200


async def test_admin_sets_up_beside_a_running_server_which_sees_it_at_once(second: Server) -> None:
    org_id = (await admin(second, "create-org", "acme"))["id"]
    user = ("create-user", "--email", "ann@example.com", "--name", "Ann", "--org", "acme", "--role", "operator")
    user_id = (await admin(second, *user))["id"]
    token = (await admin(second, "token", "--email", "ann@example.com", "--org", "acme"))["token"]
    host = await admin(second, "create-host", "--org", "acme", "--name", "eu-3")
    instance = ("create-instance", "--org", "acme", "--host", "eu-3", "--name", "dust")
    instance_id = (await admin(second, *instance))["id"]
    async with aiohttp.ClientSession() as session:
        ann = Caller(session, second.url, token)
        body = {"type": "SERVER_START", "serverInstanceId": instance_id}
        made = await ann.post(f"/api/orgs/{org_id}/jobs", body)
        assert made.status == 201
        assert made.json["createdBy"] == {"id": user_id, "name": "Ann", "email": "ann@example.com"}
        agent = Agent(session, second.url, host["id"], host["agentKey"], instance_id)
        assert (await agent.take())["jobId"] == made.json["id"]
        assert (await ann.get("/jobs")).json["items"][0]["id"] == made.json["id"]
        assert (await ann.get("/debug/actors")).refusal == (403, "forbidden")


async def test_admin_takes_ids_wherever_a_thing_is_named(second: Server) -> None:
    org_id = (await admin(second, "create-org", "ids"))["id"]
    words = ("--email", "bob@example.com", "--name", "Bob", "--org", org_id, "--role", "viewer", "--platform-admin")
    user_id = (await admin(second, "create-user", *words))["id"]
    host_id = (await admin(second, "create-host", "--org", org_id, "--name", "eu-1"))["id"]
    assert (await admin(second, "create-instance", "--org", org_id, "--host", host_id, "--name", "i"))["id"]
    token = (await admin(second, "token", "--email", user_id, "--org", org_id, "--ttl", "60"))["token"]
    async with aiohttp.ClientSession() as session:
        bob = Caller(session, second.url, token)
        assert (await bob.get("/debug/actors")).status == 200
        assert (await bob.get(f"/api/orgs/{org_id}/jobs")).json["items"] == []


async def org_of_that_name_too(server: Server, name: str) -> str:
    """Over REST several may have one name."""
    org_id = (await admin(server, "create-org", f"beside {name}"))["id"]
    words = ("--email", f"root@{name}.example", "--name", "Root", "--org", org_id, "--platform-admin")
    user_id = (await admin(server, "create-user", *words))["id"]
    done = await asyncio.to_thread(server.admin, "token", "--raw", "--email", user_id)
    async with aiohttp.ClientSession() as session:
        made = await Caller(session, server.url, done.stdout.strip()).post("/api/orgs", {"name": name})
    assert made.status == 201
    return str(made.json["id"])


async def test_admin_lists_the_organizations(second: Server) -> None:
    org_id = (await admin(second, "create-org", "listed"))["id"]
    listed = await asyncio.to_thread(second.admin, "list-orgs")
    assert {"id": org_id, "name": "listed"} in json.loads(listed.stdout)["items"]


def test_admin_says_when_it_has_made_a_new_database(tmp_path: Path) -> None:
    server = Server(tmp_path / "new")
    first, again = server.admin("create-org", "acme"), server.admin("list-orgs")
    assert f"made a new database in {tmp_path / 'new'}" in first.stderr
    assert (again.stderr, again.returncode) == ("", 0)


async def test_admin_says_calmly_what_is_wrong(second: Server) -> None:
    first_id = (await admin(second, "create-org", "twice"))["id"]
    second_id = await org_of_that_name_too(second, "twice")
    host = ("create-host", "--name", "h")
    user = ("create-user", "--email", "x@example.com", "--name", "X", "--org", "nowhere")
    nobody = ("create-user", "--email", "x", "--name", "X", "--org", first_id)
    mistakes = {
        "'nowhere'": (*host, "--org", "nowhere"),
        f"use its id, one of {first_id}, {second_id}": (*host, "--org", "twice"),
        f"already: its id is {first_id}": ("create-org", " twice "),
        "$.email: expected an address": nobody,
        "'nobody@example.com'": ("token", "--email", "nobody@example.com"),
        "1 to 200 printable characters": ("create-org", ""),
        "printable": ("create-org", "a\x07b"),
        "--ttl": ("token", "--email", "x", "--ttl", "0"),
        "There is no organization 'nowhere'": (*user, "--role", "viewer"),
        "--role": (*user, "--role", "king"),
    }
    said = await asyncio.gather(*(refused(second, *words) for words in mistakes.values()))
    assert [told for told, text in zip(mistakes, said, strict=True) if told not in text] == []


def test_a_second_server_on_the_same_data_says_why_it_cannot_start(server: Server) -> None:
    with pytest.raises(RuntimeError, match="another"):
        Server(server.data_dir).start()


def test_a_server_whose_port_is_taken_says_so(server: Server, tmp_path: Path) -> None:
    other = Server(tmp_path)
    other.port = server.port
    with pytest.raises(RuntimeError, match="cannot be listened on"):
        other.start()
    assert not any("Traceback" in line for line in other.log)


@pytest.mark.parametrize("settings", [{"lease_secnods": 1}, {"max_attempts": 0}, {"sweep_seconds": 0}])
def test_a_setting_that_makes_no_sense_is_named_at_the_start(tmp_path: Path, settings: dict[str, float]) -> None:
    (name,) = settings
    with pytest.raises(RuntimeError, match=f"(?i){name}") as caught:
        Server(tmp_path, **settings).start()
    assert "Traceback" not in str(caught.value)
