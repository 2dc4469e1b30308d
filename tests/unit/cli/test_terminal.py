"""On a real terminal: tables as wide as it is, colours, bars that move, Ctrl-C, and nothing that steers it."""

import json
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.scripted_server import Asked, Say, ScriptedServer, job_document
from tests.support.terminal import Terminal

ORG = "01938b3e-0000-7000-8000-0000000000cc"
JOB, OTHER = "01938b3e-0000-7000-8000-00000000000a", "01938b3e-0000-7000-8000-00000000000b"
HOSTILE = "\x1b]0;owned\x07\x1b[31mred\x9b2J"
COLOUR = re.compile(r"\x1b\[[0-9;]*m")

Open = Callable[..., Terminal]


@pytest.fixture
def terminal(environment: dict[str, str]) -> Open:
    def start(*words: str, columns: int = 120, **env: str) -> Terminal:
        return Terminal(*words, env=environment | env, columns=columns)

    return start


def listed(*jobs: dict[str, Any]) -> Say:
    return Say(200, {"items": list(jobs), "nextCursor": None})


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_a_table_is_no_wider_than_the_terminal_and_keeps_its_ids(
    server: ScriptedServer, terminal: Open, columns: int
) -> None:
    server.script = [
        listed(job_document("FAILED", errorMessage="long " * 60), job_document("FAILED", errorMessage="漢字" * 90))
    ]
    with terminal("jobs", "list", columns=columns) as shown:
        text, code = shown.end()
    assert code == 0
    head, *rows = COLOUR.sub("", text).splitlines()
    assert all(row.startswith(JOB) for row in rows)
    assert ("TRY" in head) is (columns > 100)
    for row in rows if columns >= 80 else []:
        assert sum(2 if ord(each) > 0x2FFF else 1 for each in row) <= columns
        assert row.endswith("…")


def test_long_values_of_one_job_are_folded_under_their_column(server: ScriptedServer, terminal: Open) -> None:
    server.script = [Say(200, job_document("FAILED", errorMessage="x" * 150, jobRuns=[]))]
    with terminal("jobs", "show", JOB, columns=60) as shown:
        lines = COLOUR.sub("", shown.end()[0]).splitlines()
    folded = [line for line in lines if line.strip("x ") in {"", "error"} and "x" in line]
    assert len(folded) == 3
    assert len({line.index("x") for line in folded}) == 1


@pytest.mark.parametrize(
    ("env", "coloured"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)],
    ids=["as is", "NO_COLOR", "dumb"],
)
def test_states_are_coloured_unless_the_person_or_the_terminal_does_not_want_it(
    server: ScriptedServer, terminal: Open, env: dict[str, str], coloured: bool
) -> None:
    server.script = [listed(job_document("FAILED", errorMessage=HOSTILE))]
    with terminal("jobs", "list", **env) as shown:
        text, _ = shown.end()
    assert ("\x1b[31mFAILED" in text) is coloured
    assert coloured or "\x1b" not in text
    for piece in ("\x07", "\x9b", "\x1b]", "\x1b[31mred"):
        assert piece not in text


def test_json_on_a_terminal_is_the_same_data_and_steers_nothing(server: ScriptedServer, terminal: Open) -> None:
    hostile = f"{HOSTILE} \u202eevil \x7f é 漢 \U000e0001"
    server.script = [listed(job_document("FAILED", errorMessage=hostile))]
    with terminal("jobs", "list", "-o", "jsonl") as shown:
        text, _ = shown.end()
    assert json.loads(text)["errorMessage"] == hostile
    assert all(each.isprintable() or each in "\r\n\x7f" for each in text)


def test_a_bar_moves_and_the_last_word_is_the_outcome(server: ScriptedServer, terminal: Open) -> None:
    states = [
        job_document(wait={"reason": "behind", "position": 2, "detail": f"behind {HOSTILE}"}, attempts=0),
        job_document("RUNNING", progress=40),
        job_document("FAILED", progress=40, errorMessage=HOSTILE),
    ]
    server.script = [Say(200, state) for state in states]
    with terminal("jobs", "wait", JOB) as shown:
        text, code = shown.end()
    assert code == 1
    plain = COLOUR.sub("", text)
    assert "40%" in plain
    assert "PENDING, behind" in plain
    assert "FAILED" in plain.rpartition("40%")[2]
    for piece in ("\x07", "\x9b", "\x1b]"):
        assert piece not in text


def test_several_jobs_have_a_bar_each_and_the_worst_outcome_counts(server: ScriptedServer, terminal: Open) -> None:
    def answer(asked: Asked) -> Say:
        job_id = asked.path.rpartition("/")[2]
        return Say(200, job_document("COMPLETED" if job_id == JOB else "CANCELLED", id=job_id))

    server.script = [answer]
    with terminal("jobs", "wait", JOB, OTHER) as shown:
        text, code = shown.end()
    assert code == 7
    table = COLOUR.sub("", text).rpartition("NOTE")[2]
    assert table.index(JOB) < table.index(OTHER)


def test_of_many_jobs_one_bar_says_how_many_have_ended(server: ScriptedServer, terminal: Open) -> None:
    server.script = [lambda asked: Say(200, job_document("COMPLETED", id=asked.path.rpartition("/")[2]))]
    ids = [f"01938b3e-0000-7000-8000-{number:012d}" for number in range(20)]
    with terminal("jobs", "wait", *ids) as shown:
        text, code = shown.end()
    assert code == 0
    assert "100%" in text
    assert "SERVER_START" not in text.partition("NOTE")[0]


def test_ctrl_c_at_a_bar_leaves_the_job_alone_and_the_terminal_usable(server: ScriptedServer, terminal: Open) -> None:
    server.script = [Say(200, job_document("RUNNING", progress=10))]
    with terminal("jobs", "wait", JOB) as shown:
        shown.until("RUNNING")
        shown.press("\x03")
        text, code = shown.end()
    assert code == 130
    assert f"interlock jobs wait {JOB}" in text
    assert "Traceback" not in text
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")  # the cursor is there again
    assert {asked.method for asked in server.asked} == {"GET"}


def test_a_log_is_followed_to_the_end_of_its_job_through_a_restart_of_the_server(
    server: ScriptedServer, terminal: Open
) -> None:
    seen, ended = threading.Event(), threading.Event()
    down = iter([True, True])

    def answer(asked: Asked) -> Say:
        if not asked.path.endswith("/logs"):
            return Say(200, job_document("COMPLETED" if ended.is_set() else "RUNNING"))
        after = int(asked.query.get("after", "0"))
        if after == 1:
            assert seen.wait(30)
            if next(down, False):
                return Say(hang_up=True)
            ended.set()
        entry = {"jobRunId": "r", "level": "info", "progress": None, "createdAt": "2026-11-22T02:34:06.123Z"}
        items = [entry | {"seq": after + 1, "message": f"line {after + 1} {HOSTILE}"}] if after < 2 else []
        return Say(200, {"items": items, "nextCursor": str(after + 1) if items else None})

    server.script = [answer]
    with terminal("jobs", "logs", JOB, "--follow") as shown:
        shown.until("line 1")
        seen.set()
        text, code = shown.end()
    assert code == 0
    assert "line 2" in text
    assert "\x1b" not in text


def test_ctrl_c_stops_following_a_log(server: ScriptedServer, terminal: Open) -> None:
    asked_again = threading.Event()

    def answer(asked: Asked) -> Say:
        if not asked.path.endswith("/logs"):
            return Say(200, job_document("RUNNING"))
        if asked_again.is_set():
            return Say(200, {"items": [], "nextCursor": None})
        asked_again.set()
        entry = {"seq": 1, "jobRunId": "r", "level": "info", "message": "begun", "progress": None}
        return Say(200, {"items": [entry | {"createdAt": "2026-11-22T02:34:06.123Z"}], "nextCursor": "1"})

    server.script = [answer]
    with terminal("jobs", "logs", JOB, "-f") as shown:
        shown.until("begun")
        shown.press("\x03")
        text, code = shown.end()
    assert code == 130
    assert "the job goes on" in text


def test_ctrl_c_in_the_middle_of_a_file_says_how_to_go_on(
    server: ScriptedServer, terminal: Open, tmp_path: Path
) -> None:
    arrived, answered = threading.Event(), threading.Event()

    def answer(asked: Asked) -> Say:
        arrived.set()
        assert answered.wait(30)
        return Say(200, {"results": [{"job": job_document()} for _ in asked.json()["jobs"]]})

    server.script = [answer]
    jobs = tmp_path / "jobs.jsonl"
    jobs.write_text('{"type": "T"}\n')
    with terminal("jobs", "create", "--from", str(jobs)) as shown:
        assert arrived.wait(30)
        shown.press("\x03")
        text, code = shown.end()
        answered.set()
    assert code == 130
    assert "the same command goes on" in text.replace("\r\n", " ")
    with terminal("jobs", "create", "--from", str(jobs)) as again:
        assert again.end()[1] == 0
    assert len({asked.headers["Idempotency-Key"] for asked in server.asked}) == 1


def test_a_password_is_asked_for_and_not_shown(server: ScriptedServer, terminal: Open) -> None:
    user = {"id": "u", "email": "ann@example.com", "name": "Ann", "platformAdmin": False}
    begun: dict[str, Any] = {
        "id": "s",
        "user": user,
        "orgs": [],
        "csrfToken": "csrf",
        "createdAt": None,
        "expiresAt": None,
    }
    server.script = [Say(201, begun, {"Set-Cookie": "interlock=1.2; HttpOnly"}), listed()]
    with terminal("login", server.url, "--email", "ann@example.com") as shown:
        shown.until("Password:")
        shown.press("right horse\n")
        text, code = shown.end()
    assert code == 0
    assert "right horse" not in text
    assert server.asked[0].json() == {"email": "ann@example.com", "password": "right horse"}


def test_at_a_terminal_a_browser_is_the_way_in_and_ctrl_c_gives_up(server: ScriptedServer, terminal: Open) -> None:
    begun = {
        "deviceCode": "ild_secret",
        "userCode": "BCDF-GHJK",
        "verificationPath": "/app/device",
        "expiresAt": "2026-11-22T02:34:06.123Z",
        "expiresInSeconds": 600,
        "intervalSeconds": 60,
    }
    server.script = [Say(201, begun)]
    with terminal("login", server.url) as shown:
        shown.until("BCDF-GHJK")
        shown.until("/app/device")
        shown.press("\x03")
        text, code = shown.end()
    assert code == 130
    assert "interrupted" in text
    assert "ild_secret" not in text
