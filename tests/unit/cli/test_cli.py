"""The command line: what goes to stdout, what is said on stderr, and with which code it exits."""

import json
import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from itertools import pairwise
from pathlib import Path

import click
import pytest
from click.testing import Result

from interlock.cli import exits, root, waiting
from interlock.cli.output import Format
from interlock.cli.session import Session
from interlock.client import Client, RepeatPolicy, Unreachable
from interlock.errors import ALL_PROBLEMS, MethodNotAllowed
from interlock.wire import Job
from tests.support.fake_plane import agent_key
from tests.support.scripted_server import Asked, Say, ScriptedServer, job_document, problem
from tests.support.terminal import PROGRAM

ORG = "01938b3e-0000-7000-8000-0000000000cc"  # as in conftest.py
JOB = "01938b3e-0000-7000-8000-00000000000a"
INSTANCE = "01938b3e-0000-7000-8000-0000000000dd"
HOST = "01938b3e-0000-7000-8000-0000000000bb"
HOSTILE = "red \x1b[31m bell \x07 csi \x9b2J"

Run = Callable[..., Result]
Patient = Callable[[float | None], waiting.Waiting]


# ---- finding commands ------------------------------------------------------------------------------------------


def test_help_lists_our_commands_and_those_that_packages_add(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    added = [
        EntryPoint("serve", "click.testing:no_such_thing", "interlock.commands"),
        EntryPoint("admin", "interlock.cli.jobs:command", "interlock.commands"),
        EntryPoint("odd", "json:dumps", "interlock.commands"),
        EntryPoint("jobs", "json:dumps", "interlock.commands"),
    ]
    monkeypatch.setattr(
        "importlib.metadata.entry_points", lambda group: [each for each in added if each.group == group]
    )
    told = run("--help")
    assert told.exit_code == 0
    for name in ("jobs", "agent", "serve", "admin", "odd"):
        assert f"\n  {name}" in told.output
    for broken in ("odd", "serve"):
        refused = run(broken, "--port", "1")
        assert refused.exit_code == 1
        assert "cannot be loaded" in refused.stderr


def test_our_own_commands_look_at_no_other_package(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(root, "_added", lambda: pytest.fail("it looked"))
    assert run("jobs", "--help").exit_code == 0


def test_the_quick_commands_load_neither_aiohttp_nor_rich_nor_the_server(
    server: ScriptedServer, environment: dict[str, str]
) -> None:
    server.script = [Say(200, {"items": [], "nextCursor": None})]
    code = f"{PROGRAM[:-1]}, standalone_mode=False); print(*sys.modules, file=sys.stderr)"
    for arguments in (["--version"], ["--help"], ["jobs", "--help"], ["jobs", "list"], ["jobs", "list", "-o", "table"]):
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            env=os.environ | environment,
            capture_output=True,
            text=True,
            check=True,
        )
        assert not {"aiohttp", "rich", "asyncio", "runtime", "peewee"} & set(done.stderr.split())


def test_the_package_is_a_program_too() -> None:
    for arguments, shown in ((["--version"], "interlock "), (["jobs", "--help"], "Usage: python -m interlock jobs ")):
        done = subprocess.run(
            [sys.executable, "-m", "interlock", *arguments], capture_output=True, text=True, check=True
        )
        assert done.stdout.startswith(shown)


def test_the_help_of_every_jobs_command_is_a_line_and_an_example(run: Run) -> None:
    for name in ("create", "list", "show", "wait", "logs", "cancel", "retry", "resolve"):
        told = run("jobs", name, "--help").output
        assert "Example: interlock jobs" in told
        assert told.split("\n\n")[1].count("\n") == 0


# ---- create ----------------------------------------------------------------------------------------------------


def test_create_sends_every_option_and_prints_the_job_as_json(server: ScriptedServer, run: Run) -> None:
    server.script = [Say(201, job_document())]
    options = "--run-at 2026-11-22T02:34:06Z --start-before 2027-11-22T02:34:06Z --timeout-seconds 5 --max-attempts 2 --priority 3 --idempotency-key k"
    done = run("jobs", "create", "SERVER_START", "--instance", INSTANCE, "--payload", '{"map": 1}', *options.split())
    assert done.exit_code == 0
    assert json.loads(done.stdout)["id"] == JOB
    assert not done.stderr
    assert server.asked[0].headers["Idempotency-Key"] == "k"
    assert server.asked[0].json() == {
        "type": "SERVER_START",
        "serverInstanceId": INSTANCE,
        "payload": {"map": 1},
        "runAt": "2026-11-22T02:34:06Z",
        "startBefore": "2027-11-22T02:34:06Z",
        "timeoutSeconds": 5.0,
        "maxAttempts": 2,
        "priority": 3,
    }


def test_a_payload_comes_from_a_file_or_stdin_too(server: ScriptedServer, run: Run, tmp_path: Path) -> None:
    server.script = [Say(201, job_document())]
    (tmp_path / "payload.json").write_text('{"from": "file"}')
    run("jobs", "create", "T", "--payload", f"@{tmp_path}/payload.json")
    run("jobs", "create", "T", "--payload", "-", input='{"from": "stdin"}')
    assert [asked.json()["payload"]["from"] for asked in server.asked] == ["file", "stdin"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--payload", "{"],
        ["--payload", "[1]"],
        ["--payload", "@/no/such/file"],
        ["--payload", "[" * 5000],
        ["--instance", "i", "--host", "h"],
        ["--label", "zone=eu", "--host", "h"],
        ["--label", "zone"],
        ["--label", "=eu"],
        ["--timeout", "1"],
        ["--max-attempts", "many"],
        ["--url", "nowhere"],
        ["--idempotency-key", "\n"],
    ],
)
def test_a_mistake_in_the_command_exits_2_and_sends_nothing(
    server: ScriptedServer, run: Run, arguments: list[str]
) -> None:
    done = run("jobs", "create", "T", *arguments)
    assert done.exit_code == 2
    assert not done.stdout
    assert done.stderr
    assert not server.asked


def test_create_and_wait_exits_with_the_outcome(server: ScriptedServer, run: Run) -> None:
    server.script = [Say(201, job_document()), Say(200, job_document("RUNNING")), Say(200, job_document("FAILED"))]
    done = run("jobs", "create", "T", "--wait")
    assert done.exit_code == 1
    assert json.loads(done.stdout)["status"] == "FAILED"


def test_create_and_wait_waits_for_so_long(server: ScriptedServer, run: Run) -> None:
    server.script = [Say(201, job_document()), Say(200, job_document("RUNNING"))]
    done = run("jobs", "create", "T", "--wait", "--timeout", "0")
    assert done.exit_code == 6
    assert "timed out after 0 s; the job goes on" in done.stderr


def test_labels_say_which_hosts_may_take_the_job(server: ScriptedServer, run: Run) -> None:
    server.script = [Say(201, job_document())]
    assert run("jobs", "create", "T", "--label", "zone=eu", "--label", "expr=a=b").exit_code == 0
    assert json.loads(server.asked[0].body)["labels"] == {"zone": "eu", "expr": "a=b"}


def test_the_agents_check_warns_of_a_program_that_is_not_there(run: Run, tmp_path: Path) -> None:
    (tmp_path / "agent.toml").write_text('[handlers.T]\ncommand = ["no-such-program"]\n')
    words = ("--config", str(tmp_path / "agent.toml"), "--key", agent_key(ORG))
    done = run("agent", *words, "--check")
    assert done.exit_code == 0
    assert done.stdout.endswith("agent.toml: 1 handler, no mistakes\n")
    assert "handlers.T.command: no-such-program is not found" in done.stderr


@pytest.mark.parametrize(
    ("path", "message", "options"),
    [
        ("$", "T needs a target: serverInstanceId, hostId or labels", "--instance, --host, --label"),
        ("$.runAt", "expected an RFC 3339 time", "--run-at"),
        ("$.payload.hostId", "is needed", "--payload"),
    ],
)
def test_a_refused_create_names_the_options_as_well(
    server: ScriptedServer, run: Run, path: str, message: str, options: str
) -> None:
    for errors in ([{"path": path, "message": message}], []):
        server.script = [problem(400, "invalid_request", f"{path}: {message}", errors=errors)]
        done = run("jobs", "create", "T")
        assert done.exit_code == 2
        assert f"{path}: {message} (here {options}" in done.stderr


def test_an_unknown_outcome_of_a_create_names_the_key_that_makes_a_repeat_harmless(
    server: ScriptedServer, run: Run
) -> None:
    server.script = [problem(503, "unavailable", headers={"Retry-After": "3600"})]
    done = run("jobs", "create", "T")
    assert done.exit_code == 5
    assert f"--idempotency-key {server.asked[0].headers['Idempotency-Key']}" in done.stderr


# ---- list and show ---------------------------------------------------------------------------------------------


def test_a_disk_that_takes_no_output_is_named(
    server: ScriptedServer, started: Callable[..., subprocess.Popen[bytes]]
) -> None:
    server.script = [Say(200, {"items": [job_document()], "nextCursor": None})]
    with Path("/dev/full").open("wb") as full:
        process = started("jobs", "list", stdout=full, stderr=subprocess.PIPE)
        said = process.communicate(timeout=60)[1].decode()
    assert (process.returncode, said) == (1, "interlock: the output cannot be written: No space left on device.\n")


def test_list_prints_an_array_or_a_line_for_each_job(server: ScriptedServer, run: Run) -> None:
    page = Say(200, {"items": [job_document(id="1"), job_document(id="2")], "nextCursor": "more"})
    server.script = [page]
    assert [job["id"] for job in json.loads(run("jobs", "list", "--limit", "2").stdout)] == ["1", "2"]
    lines = run("jobs", "list", "--limit", "1", "-o", "jsonl").stdout.splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["1"]
    assert len(server.asked) == 2


def test_list_passes_its_filters_on(server: ScriptedServer, run: Run) -> None:
    server.script = [Say(200, {"items": [], "nextCursor": None})]
    filters = f"--status failed --type T --host {HOST} --created-by u --since 2026-11-22T00:00:00Z --search q --all"
    filters += " --sort -completedAt"
    done = run("jobs", "list", "-o", "table", *filters.split())
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "interlock: no jobs.\n")
    assert server.asked[0].query == {
        "status": "FAILED",
        "type": "T",
        "hostId": HOST,
        "createdBy": "u",
        "since": "2026-11-22T00:00:00Z",
        "q": "q",
        "sort": "-completedAt",
        "limit": "200",
    }


def test_a_table_in_a_pipe_is_plain_aligned_and_free_of_control_characters(server: ScriptedServer, run: Run) -> None:
    jobs = [job_document("FAILED", errorMessage=HOSTILE), job_document(wait={"reason": "behind", "position": 2})]
    server.script = [Say(200, {"items": jobs, "nextCursor": None}), Say(200, jobs[0])]
    header, failed, waits = run("jobs", "list", "-o", "table").stdout.splitlines()
    assert header.index("NOTE") == failed.index("red") == waits.index("behind (number 2)")
    shown = run("jobs", "show", JOB, "-o", "table").stdout
    assert "SERVER_START" in shown
    assert not {"\x1b", "\x07", "\x9b"} & set(failed + shown)


@pytest.mark.parametrize("no_color", ["", "1"])
def test_a_table_on_a_terminal_has_colours_unless_no_color_is_set(
    server: ScriptedServer, started: Callable[..., subprocess.Popen[bytes]], no_color: str
) -> None:
    server.script = [Say(200, {"items": [job_document("FAILED", errorMessage=HOSTILE)], "nextCursor": None})]
    ours, theirs = pty.openpty()
    env = {"TERM": "xterm", "COLUMNS": "200", "NO_COLOR": no_color}
    with started("jobs", "list", env=env, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        shown = _read_all(ours)
    assert process.returncode == 0
    assert JOB in shown
    assert ("\x1b[31mFAILED" in shown) is not bool(no_color)
    assert "red \x1b[31m bell" not in shown


def _read_all(terminal: int) -> str:
    """All that is written to a terminal until its last writer closes it."""
    pieces = []
    try:
        while piece := os.read(terminal, 65536):
            pieces.append(piece)
    except OSError:  # EIO is how Linux says that nobody writes any more
        pass
    finally:
        os.close(terminal)
    return b"".join(pieces).decode()


# ---- wait ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "code"), [("COMPLETED", 0), ("FAILED", 1), ("CANCELLED", 7)])
def test_wait_says_what_changes_and_exits_with_the_outcome(
    server: ScriptedServer, run: Run, status: str, code: int
) -> None:
    waits = job_document(wait={"reason": "behind"}, attempts=0)
    server.script = [
        Say(200, waits),
        Say(200, waits),
        Say(200, job_document("RUNNING")),
        Say(200, job_document(status)),
    ]
    done = run("jobs", "wait", JOB)
    assert done.exit_code == code
    assert json.loads(done.stdout)["status"] == status
    assert [line.split(" is ")[1].split(",")[0] for line in done.stderr.splitlines()] == [
        "PENDING (behind).",
        "RUNNING",
        status,
    ]


def test_wait_that_times_out_exits_6_and_tells_how_to_follow_on(server: ScriptedServer, run: Run) -> None:
    server.script = [Say(200, job_document())]
    done = run("jobs", "wait", JOB, "--timeout", "0", "--url", server.url, "--token", "other.secret")
    assert done.exit_code == 6
    assert json.loads(done.stdout)["status"] == "PENDING"
    assert f"interlock jobs wait {JOB} --url {server.url} --token …" in done.stderr
    assert "other.secret" not in done.stderr


def test_ctrl_c_exits_130_leaves_the_job_alone_and_tells_how_to_follow_on(
    server: ScriptedServer, started: Callable[..., subprocess.Popen[bytes]]
) -> None:
    asked_twice = threading.Event()

    def pending(_: Asked) -> Say:
        if len(server.asked) > 1:
            asked_twice.set()
        return Say(200, job_document())

    server.script = [pending]
    with started("jobs", "wait", JOB, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert asked_twice.wait(timeout=30)
        process.send_signal(signal.SIGINT)
        printed, said = process.communicate()
    assert process.returncode == 130
    assert not printed
    assert f"interlock jobs wait {JOB}" in said.decode()
    assert b"Traceback" not in said
    assert {asked.method for asked in server.asked} == {"GET"}


class TimeThatPasses:
    """A clock that moves on only by sleeping."""

    def __init__(self) -> None:
        self.at = 0.0

    def now(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.at += seconds


@pytest.fixture
def time() -> TimeThatPasses:
    return TimeThatPasses()


@pytest.fixture
def patient(server: ScriptedServer, time: TimeThatPasses) -> Iterator[Patient]:
    with Client(server.url, "t", repeat=RepeatPolicy(attempts=1)) as client:
        session = Session(client, ORG, Format.JSON)
        yield lambda timeout: waiting.Waiting(session, timeout, now=time.now, sleep=time.sleep)


def test_waiting_lives_through_a_restart_of_the_server_but_not_through_its_end(
    server: ScriptedServer, patient: Patient, time: TimeThatPasses
) -> None:
    gone = Say(hang_up=True)
    server.script = [Say(200, job_document()), gone, gone, Say(200, job_document()), gone]
    with pytest.raises(Unreachable):
        patient(None).until_done([JOB])
    assert len(server.asked) > 5
    assert time.at > waiting.OUTAGE_SECONDS


def test_waiting_for_a_server_that_never_answered_ends_at_once(server: ScriptedServer, patient: Patient) -> None:
    server.script = [Say(hang_up=True)]
    with pytest.raises(Unreachable):
        patient(None).until_done([JOB])
    assert len(server.asked) == 1


def test_waiting_looks_ever_more_seldom_and_once_more_on_the_deadline(
    server: ScriptedServer, patient: Patient, time: TimeThatPasses
) -> None:
    looks: list[float] = []

    def pending(_: Asked) -> Say:
        looks.append(time.at)
        return Say(200, job_document())

    server.script = [pending]
    jobs, code = patient(60.0).until_done([JOB])
    assert ([isinstance(job, Job) for job in jobs], code) == ([True], exits.Exit.TIMED_OUT)
    assert looks[1] == waiting.FIRST_PAUSE_SECONDS
    assert looks[-1] == pytest.approx(60.0)
    assert max(later - earlier for earlier, later in pairwise(looks)) <= waiting.LONGEST_PAUSE_SECONDS


# ---- cancel, retry, refusals -----------------------------------------------------------------------------------


def test_cancel_says_whether_it_is_done_or_asked_for(server: ScriptedServer, run: Run) -> None:
    server.script = [Say(200, job_document("CANCELLED")), Say(202, job_document("RUNNING", cancelRequested=True))]
    assert "cancelled." in run("jobs", "cancel", JOB, "--reason", "wrong map").stderr
    asked = run("jobs", "cancel", JOB, "--force")
    assert asked.exit_code == 0
    assert "has been asked" in asked.stderr
    assert [each.json() for each in server.asked] == [{"reason": "wrong map", "force": False}, {"force": True}]


def test_resolve_prints_the_job(server: ScriptedServer, run: Run) -> None:
    server.script = [Say(200, job_document("RUNNING"))]
    assert json.loads(run("jobs", "resolve", JOB).stdout)["status"] == "RUNNING"


def test_retry_prints_the_job(server: ScriptedServer, run: Run) -> None:
    server.script = [Say(200, job_document())]
    assert json.loads(run("jobs", "retry", JOB).stdout)["status"] == "PENDING"


@pytest.mark.parametrize(
    ("refusal", "code"),
    [
        (problem(400, "invalid_request"), 2),
        (problem(401, "unauthenticated"), 4),
        (problem(403, "forbidden"), 4),
        (problem(404, "not_found"), 3),
        (problem(409, "invalid_state"), 8),
        (problem(413, "payload_too_large"), 1),
        (problem(422, "payload_schema"), 2),
        (problem(429, "quota_exceeded"), 5),
        (problem(500, "internal"), 1),
        (problem(503, "unavailable"), 5),
        (Say(200, b"<html>"), 1),
        (Say(hang_up=True), 5),
    ],
)
def test_a_refusal_reads_as_a_sentence_and_has_its_exit_code(
    server: ScriptedServer, run: Run, refusal: Say, code: int
) -> None:
    server.script = [refusal]
    done = run("jobs", "cancel", JOB)
    assert done.exit_code == code
    assert not done.stdout
    assert done.stderr.startswith("interlock: ")
    assert done.stderr.endswith((".\n", "?\n"))
    assert "Traceback" not in done.stderr


def test_every_error_of_the_vocabulary_has_an_exit_code() -> None:
    for kind in ALL_PROBLEMS:
        error = kind(frozenset()) if issubclass(kind, MethodNotAllowed) else kind("no")
        assert exits.exit_code(error) in set(exits.Exit) - {exits.Exit.OK}


def test_a_refusal_names_every_mistake_and_the_request_and_cannot_steer_the_terminal(
    server: ScriptedServer, run: Run
) -> None:
    mistakes = [{"path": "$.runAt", "message": "not a time"}, {"path": "$.type", "message": HOSTILE}]
    server.script = [problem(400, "invalid_request", "Two mistakes", errors=mistakes, requestId="r-1")]
    said = run("jobs", "retry", JOB).stderr
    assert said.startswith("interlock: Two mistakes (request r-1).\n  $.runAt: not a time\n  $.type: red")
    assert not {"\x1b", "\x07", "\x9b"} & set(said)


def test_without_a_token_nothing_is_sent_and_the_exit_code_is_4(
    server: ScriptedServer, environment: dict[str, str], run: Run
) -> None:
    environment["INTERLOCK_TOKEN"] = " "
    done = run("jobs", "list")
    assert done.exit_code == 4
    assert "interlock login" in done.stderr
    assert "INTERLOCK_TOKEN" in done.stderr
    assert not server.asked


def test_a_surprise_is_one_line_unless_a_traceback_is_asked_for(
    run: Run, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    @click.command()
    def broken() -> None:
        raise ZeroDivisionError("by \x1b[31m nought")

    monkeypatch.setattr(root, "_load", lambda _: broken)
    done = run("broken")
    assert done.exit_code == 1
    assert done.stderr.startswith("interlock: this should not have happened: ZeroDivisionError: by")
    assert "\x1b" not in done.stderr
    environment["INTERLOCK_DEBUG"] = "1"
    assert isinstance(run("broken").exception, ZeroDivisionError)
