"""Signing in: what is kept, for whose eyes, and to whom it is shown again."""

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from tests.support.scripted_server import Asked, Say, ScriptedServer, problem

Run = Callable[..., Result]
ORG, OTHER = "01938b3e-0000-7000-8000-0000000000cc", "01938b3e-0000-7000-8000-0000000000cd"
AT = "2026-11-22T02:34:06.123Z"


def org(id_: str = ORG, name: str = "acme") -> dict[str, Any]:
    return {"id": id_, "name": name, "role": "owner", "createdAt": AT}


def session(*orgs: dict[str, Any]) -> dict[str, Any]:
    user = {"id": "u", "email": "ann@example.com", "name": "Ann", "platformAdmin": False}
    return {"id": "s", "user": user, "orgs": list(orgs), "csrfToken": "csrf", "createdAt": AT, "expiresAt": AT}


def gate(asked: Asked) -> Say:
    """A server with one account and one organization."""
    if asked.path == "/api/session" and asked.method == "POST":
        if asked.json()["password"] != "right horse":
            return problem(401, "unauthenticated")
        return Say(201, session(org()), {"Set-Cookie": "__Host-interlock=id.secret; HttpOnly; Secure; Path=/"})
    if asked.path == "/api/session" and asked.method == "DELETE":
        return Say(204, b"")
    if asked.path == "/api/session":
        return Say(200, session(org()))
    return Say(200, {"items": [org()] if asked.path == "/api/orgs" else [], "nextCursor": None})


@pytest.fixture
def alone(environment: dict[str, str]) -> dict[str, str]:
    """No variable says where to go or who asks."""
    for name in ("URL", "TOKEN", "ORG", "PROFILE"):
        environment[f"INTERLOCK_{name}"] = ""
    return environment


@pytest.fixture
def kept(alone: dict[str, str]) -> Path:
    return Path(alone["XDG_CONFIG_HOME"], "interlock", "profiles.json")


def test_a_password_becomes_a_session_that_only_its_owner_can_read(
    server: ScriptedServer, run: Run, kept: Path
) -> None:
    server.script = [gate]
    words = ("login", server.url, "--email", "ann@example.com", "--password-stdin")
    told = run(*words, input="right horse\n")
    assert (told.exit_code, told.stdout) == (0, "")
    assert "signed in" in told.stderr
    assert "right horse" not in told.output + kept.read_text()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    stored = json.loads(kept.read_text())["profiles"]["default"]
    cookie = "__Host-interlock=id.secret"
    assert stored == {"url": server.url, "org": ORG, "cookie": cookie, "csrfToken": "csrf"}
    server.asked.clear()
    assert run("hosts", "list").exit_code == 0
    (asked,) = server.asked
    assert asked.path == f"/api/orgs/{ORG}/hosts"
    assert "Authorization" not in asked.headers
    shown = (asked.headers["Cookie"], asked.headers["X-CSRF-Token"], asked.headers["Origin"])
    assert shown == (cookie, "csrf", server.url)


def test_a_wrong_password_keeps_nothing(server: ScriptedServer, run: Run, kept: Path) -> None:
    server.script = [gate]
    told = run("login", server.url, "--email", "ann@example.com", "--password-stdin", input="wrong\n")
    assert told.exit_code == 4
    assert not kept.exists()


def test_a_token_is_tried_before_it_is_kept(server: ScriptedServer, run: Run, kept: Path) -> None:
    server.script = [gate]
    assert run("login", server.url, "--token", "-", "--profile", "ci", input="a.b.c\n").exit_code == 0
    assert json.loads(kept.read_text())["profiles"]["ci"]["token"] == "a.b.c"
    assert run("hosts", "list", "--profile", "ci").exit_code == 0
    assert server.asked[-1].headers["Authorization"] == "Bearer a.b.c"
    server.script = [problem(401, "unauthenticated")]
    assert run("login", server.url, "--token", "x.y.z").exit_code == 4
    assert "x.y.z" not in kept.read_text()


def test_variables_and_options_win_over_the_profile(
    server: ScriptedServer, run: Run, kept: Path, alone: dict[str, str]
) -> None:
    server.script = [gate]
    run("login", server.url, "--token", "a.b.c")
    assert kept.exists()
    alone["INTERLOCK_TOKEN"] = "from.the.variable"
    run("hosts", "list", "--org", OTHER)
    assert server.asked[-1].headers["Authorization"] == "Bearer from.the.variable"
    assert server.asked[-1].path == f"/api/orgs/{OTHER}/hosts"


def test_a_stored_credential_is_never_shown_to_another_server(server: ScriptedServer, run: Run, kept: Path) -> None:
    server.script = [gate]
    run("login", server.url, "--token", "a.b.c")
    assert kept.exists()
    server.asked.clear()
    told = run("hosts", "list", "--url", server.url.replace("127.0.0.1", "localhost"))
    assert told.exit_code == 4
    assert server.asked == []


def test_of_several_organizations_one_has_to_be_chosen(server: ScriptedServer, run: Run, kept: Path) -> None:
    def two(asked: Asked) -> Say:
        if asked.path == "/api/orgs":
            return Say(200, {"items": [org(), org(OTHER, "beta")], "nextCursor": None})
        return gate(asked)

    server.script = [two]
    told = run("login", server.url, "--token", "a.b.c")
    assert told.exit_code == 0
    assert "Which organization?" in told.stderr
    assert "org" not in json.loads(kept.read_text())["profiles"]["default"]
    assert run("login", server.url, "--token", "a.b.c", "--org", "beta").exit_code == 0
    assert json.loads(kept.read_text())["profiles"]["default"]["org"] == OTHER


def test_logout_ends_the_session_and_forgets_it(server: ScriptedServer, run: Run, kept: Path) -> None:
    server.script = [gate]
    run("login", server.url, "--email", "ann@example.com", "--password-stdin", input="right horse\n")
    assert run("logout").exit_code == 0
    assert (server.asked[-1].method, server.asked[-1].path) == ("DELETE", "/api/session")
    assert json.loads(kept.read_text())["profiles"] == {}
    assert run("logout").exit_code == 3


def test_logout_forgets_what_a_server_that_is_gone_cannot_end(server: ScriptedServer, run: Run, kept: Path) -> None:
    server.script = [gate]
    run("login", server.url, "--email", "ann@example.com", "--password-stdin", input="right horse\n")
    server.script = [Say(hang_up=True)]
    told = run("logout")
    assert told.exit_code == 0
    assert "ends by itself" in told.stderr
    assert json.loads(kept.read_text())["profiles"] == {}


def test_profiles_are_listed_and_gone_over_to(server: ScriptedServer, run: Run, kept: Path) -> None:
    assert "no profiles" in run("login", "--list").stderr
    server.script = [gate]
    run("login", server.url, "--token", "a.b.c", "--profile", "one")
    run("login", server.url, "--token", "d.e.f", "--profile", "two")
    assert json.loads(kept.read_text())["current"] == "two"
    listed = run("login", "--use", "one").stdout
    assert [row.split()[:2] for row in listed.splitlines()[1:]] == [["one", "current"], ["two", server.url]]
    assert "a.b.c" not in listed
    run("hosts", "list")
    assert server.asked[-1].headers["Authorization"] == "Bearer a.b.c"
    assert "Did you mean two" in run("login", "--use", "tow").stderr


def test_a_refused_session_is_answered_with_what_to_do(server: ScriptedServer, run: Run, kept: Path) -> None:
    server.script = [gate]
    run("login", server.url, "--token", "a.b.c")
    assert kept.exists()
    server.script = [problem(401, "unauthenticated")]
    told = run("hosts", "list")
    assert told.exit_code == 4
    assert "interlock login" in told.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["login", "--token", "a", "--email", "b"],
        ["login", "--browser", "--email", "b"],
        ["login", "--password-stdin"],
        ["login"],  # no terminal to ask at
        ["login", "not a url", "--token", "a.b.c"],
        ["hosts", "list", "--profile", "default"],
    ],
)
def test_a_mistake_sends_nothing(server: ScriptedServer, run: Run, alone: dict[str, str], words: list[str]) -> None:
    assert alone
    told = run(*words)
    assert told.exit_code in {2, 3}
    assert not server.asked


def test_a_file_that_others_can_read_is_warned_of_and_a_damaged_one_refused(
    server: ScriptedServer, run: Run, kept: Path
) -> None:
    server.script = [gate]
    run("login", server.url, "--token", "a.b.c")
    kept.chmod(0o644)
    told = run("hosts", "list")
    assert told.exit_code == 0
    assert "others can read" in told.stderr
    kept.write_text("{")
    told = run("hosts", "list")
    assert told.exit_code == 1
    assert "damaged" in told.stderr


# ---- by browser ------------------------------------------------------------------------------------------------------


BEGUN = {
    "deviceCode": "ild_secret",
    "userCode": "BCDF-GHJK",
    "verificationPath": "/app/device",
    "expiresAt": AT,
    "expiresInSeconds": 600,
    "intervalSeconds": 0.001,
}
WAITING = Say(202, {"status": "waiting", "token": None, "expiresAt": None})


def browsing(*answers: Say) -> Callable[[Asked], Say]:
    """A server at which somebody answers thus, one look after the other."""
    left = list(answers)

    def answer(asked: Asked) -> Say:
        if asked.path == "/api/login/device":
            return Say(201, BEGUN)
        return left.pop(0) if asked.path == "/api/login/device/token" else gate(asked)

    return answer


def test_somebody_at_a_browser_lets_it_in(server: ScriptedServer, run: Run, kept: Path) -> None:
    later = problem(429, "rate_limited")
    server.script = [
        browsing(WAITING, later, WAITING, Say(200, {"status": "allowed", "token": "a.b.c", "expiresAt": AT}))
    ]
    told = run("login", server.url, "--browser")
    assert (told.exit_code, told.stdout) == (0, "")
    assert "BCDF-GHJK" in told.stderr
    assert f"{server.url}/app/device" in told.stderr
    assert "a.b.c" not in told.output
    assert "ild_secret" not in told.output
    stored = json.loads(kept.read_text())["profiles"]["default"]
    assert stored == {"url": server.url, "org": ORG, "token": "a.b.c"}
    begin, *looks = (asked for asked in server.asked if asked.path.startswith("/api/login"))
    assert "@" in begin.json()["name"]
    assert [asked.json() for asked in looks] == [{"deviceCode": "ild_secret"}] * len(looks)
    assert {asked.headers.get("Authorization") for asked in (begin, *looks)} <= {None, "Bearer none"}


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        (problem(403, "forbidden"), 4, "said no"),
        (problem(401, "unauthenticated"), 6, "nobody has said yes in time"),
    ],
)
def test_a_no_and_a_code_that_is_over_keep_nothing(
    server: ScriptedServer, run: Run, kept: Path, answer: Say, code: int, words: str
) -> None:
    server.script = [browsing(WAITING, answer)]
    told = run("login", server.url, "--browser")
    assert (told.exit_code, words in told.stderr) == (code, True), told.stderr
    assert not kept.exists()


def test_a_server_that_knows_no_such_way_is_told_apart(server: ScriptedServer, run: Run, kept: Path) -> None:
    server.script = [problem(404, "not_found")]
    told = run("login", server.url, "--browser")
    assert told.exit_code == 1
    assert "--email or --token" in told.stderr
    assert not kept.exists()
