"""The command line against a real server with real agents: `interlock dev`, and all that can be done with it."""

import json
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from interlock.cli import main
from tests.support.dev_server import Dev
from tests.support.terminal import Terminal

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    running = Dev(tmp_path_factory.mktemp("home"))
    yield running
    assert running.interrupt() == 0
    assert list(running.home.iterdir()) == []  # the temporary data is gone
    assert not [line for line in running.said if "Traceback" in line or "rror" in line]


@pytest.fixture
def environment(dev: Dev, tmp_path: Path) -> dict[str, str]:
    return dev.exports | {"XDG_CONFIG_HOME": str(tmp_path), "INTERLOCK_PROFILE": ""}


@pytest.fixture
def run(environment: dict[str, str]) -> Run:
    def invoke(*words: str, code: int = 0, input: str | None = None) -> Result:  # noqa: A002 - the runner's name
        done = CliRunner(env=environment).invoke(main, words, prog_name="interlock", input=input)
        assert done.exit_code == code, done.output
        return done

    return invoke


def test_jobs_are_created_waited_for_and_read_about(run: Run) -> None:
    done = json.loads(
        run("jobs", "create", "SERVER_START", "--host", "demo-1", "--payload", '{"seconds": 0}', "--wait").stdout
    )
    assert (done["status"], done["output"]) == ("COMPLETED", {"done": "SERVER_START", "seconds": 0.0})
    assert run("jobs", "logs", done["id"]).stdout.startswith("step 1 of 5\n")
    assert (
        json.loads(run("jobs", "logs", done["id"], "--tail", "1", "-o", "json").stdout)[0]["message"] == "step 5 of 5"
    )
    assert run("jobs", "logs", done["id"], "--follow").stdout.count("\n") == 5
    assert done["id"] in run("jobs", "show", done["id"][:23], "-o", "table").stdout
    assert done["id"] in run("jobs", "list", "--status", "COMPLETED", "--host", "demo-1", "-o", "table").stdout
    failing = ("jobs", "create", "SERVER_STOP", "--host", "demo-1", "--payload", '{"seconds": 0, "fail": true}')
    failed = json.loads(run(*failing, "--max-attempts", "1", "--wait", code=1).stdout)
    assert failed["errorMessage"] == "it was asked to fail"
    assert json.loads(run("jobs", "retry", failed["id"]).stdout)["status"] in {"PENDING", "RUNNING"}
    run("jobs", "wait", failed["id"], done["id"], code=1)
    assert "did you mean SERVER_START" in run("jobs", "create", "SERVER_STRT", "--host", "demo-1", code=2).stderr


def test_a_running_job_is_cancelled_from_a_terminal_that_waits_for_nothing(
    run: Run, environment: dict[str, str]
) -> None:
    words = ("jobs", "create", "SERVER_START", "--host", "demo-2", "--payload", '{"seconds": 600}')
    job = json.loads(run(*words).stdout)
    with Terminal("jobs", "wait", job["id"], env=environment) as waiting:
        waiting.until("RUNNING")
        waiting.press("\x03")
        assert waiting.end()[1] == 130
    assert json.loads(run("jobs", "show", job["id"]).stdout)["status"] == "RUNNING"
    second = json.loads(run(*words).stdout)
    assert second["id"] in run("hosts", "queue", "demo-2", "--hold", second["id"], "-o", "table").stdout
    assert "held" in run("hosts", "queue", "demo-2", "-o", "table").stdout
    run("hosts", "queue", "demo-2", "--drop", second["id"])
    run("jobs", "cancel", job["id"])
    run("jobs", "wait", job["id"], second["id"], code=7)


def test_a_file_of_jobs_is_created_once_and_waited_for(run: Run, tmp_path: Path) -> None:
    jobs = tmp_path / "jobs.jsonl"
    jobs.write_text("".join(f'{{"payload": {{"query": "q{n}", "seconds": 0}}}}\n' for n in range(3)))
    done = run("jobs", "create", "SEARCH_SINGLE", "--from", str(jobs), "--wait", "-o", "jsonl")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["status"] for line in lines[3:]] == ["COMPLETED"] * 3
    again = run("jobs", "create", "SEARCH_SINGLE", "--from", str(jobs), "-o", "jsonl")
    assert [json.loads(line)["jobId"] for line in again.stdout.splitlines()] == [line["jobId"] for line in lines[:3]]


def test_a_machine_is_enrolled_and_its_agent_finds_the_key(run: Run, dev: Dev, tmp_path: Path) -> None:
    order = shlex.split(run("hosts", "enrol", "-o", "table").stdout)
    made = run(*order[1:], "--name", "enrolled", "--label", "zone=eu")
    kept = tmp_path / "interlock" / "agent.env"
    assert kept.stat().st_mode & 0o077 == 0
    assert run("hosts", "show", "enrolled", "-o", "jsonl").stdout.startswith(f'{{"id":"{made.stdout.strip()}"')
    assert "holds a key already" in run(*order[1:], code=8).stderr
    run(*order[1:], "--force", code=4)  # it was for one machine
    assert made.stdout.strip() in {
        json.loads(line)["id"] for line in run("hosts", "list", "-o", "jsonl").stdout.splitlines()
    }
    assert kept.read_text().startswith(f"INTERLOCK_URL={dev.exports['INTERLOCK_URL']}\n")
    (tmp_path / "agent.toml").write_text('[handlers.T]\ncommand = ["true"]\n')
    assert "no mistakes" in run("agent", "--config", str(tmp_path / "agent.toml"), "--check").stdout


def test_hosts_keys_types_and_instances_are_managed(run: Run) -> None:
    made = json.loads(run("hosts", "create", "spare", "--label", "zone=eu").stdout)
    second = json.loads(run("keys", "create", "--host", "spare").stdout)
    run("keys", "revoke", second["kid"], "--host", "spare")
    assert [each["revokedAt"] is None for each in json.loads(run("keys", "list", "--host", "spare").stdout)] == [
        True,
        False,
    ]
    run("instances", "create", "dust", "--host", "spare", "--config", '{"slots": 2}')
    job = json.loads(run("jobs", "create", "SERVER_START", "--instance", "dust").stdout)
    assert job["hostId"] == made["id"]
    assert json.loads(run("hosts", "pause", "spare", "--note", "disk").stdout)["note"] == "disk"
    assert json.loads(run("hosts", "drain", "spare", "--deadline", "5", "--wait").stdout)["draining"] is True
    resumed = json.loads(run("hosts", "resume", "spare").stdout)
    assert (resumed["paused"], resumed["draining"]) == (False, False)
    run("types", "set", "crawl", "--schema", '{"type": "object", "required": ["url"]}', "--attempts", "2")
    assert json.loads(run("types", "set", "crawl", "--timeout", "9").stdout)["maxAttempts"] == 2
    assert "$.payload" in run("jobs", "create", "crawl", code=2).stderr
    assert "host.drain" in run("audit", "--target", made["id"], "-o", "table").stdout
    run("hosts", "delete", "spare")
    run("hosts", "show", "spare", code=3)


def test_signing_in_with_a_password_allows_what_a_token_allows(run: Run, dev: Dev, environment: dict[str, str]) -> None:
    password = re.search(r"password (\S+)", "".join(dev.said))
    assert password is not None
    url = environment["INTERLOCK_URL"]
    for name in ("URL", "TOKEN", "ORG"):
        environment[f"INTERLOCK_{name}"] = ""
    run("login", url, "--email", "dev@example.com", "--password-stdin", input=f"{password[1]}\n")
    done = run("jobs", "create", "SERVER_RESTART", "--host", "demo-1", "--payload", '{"seconds": 0}', "--wait")
    assert json.loads(done.stdout)["createdBy"]["email"] == "dev@example.com"
    run("logout")
    run("hosts", "list", code=4)


def test_a_named_folder_is_used_again_and_its_profile_signs_in(tmp_path: Path) -> None:
    words = ("--data-dir", str(tmp_path / "data"), "--agents", "1", "--profile", "dev")
    profiles = tmp_path / "interlock" / "profiles.json"
    profiles.parent.mkdir()
    profiles.write_text('{"current": "mine", "profiles": {"mine": {"url": "https://example.com", "token": "a.b.c"}}}')
    orgs = set()
    for _ in range(2):
        dev = Dev(tmp_path, *words)
        try:
            orgs.add(dev.exports["INTERLOCK_ORG"])
            env = {
                "XDG_CONFIG_HOME": str(tmp_path),
                **dict.fromkeys(("INTERLOCK_URL", "INTERLOCK_TOKEN", "INTERLOCK_ORG"), ""),
            }
            done = CliRunner(env=env).invoke(main, ["hosts", "list"], prog_name="interlock")
            assert [host["name"] for host in json.loads(done.stdout)] == ["demo-1"]
        finally:
            assert dev.interrupt() == 0
        left = json.loads(profiles.read_text())
        assert (left["current"], list(left["profiles"])) == ("mine", ["mine"])
    assert len(orgs) == 1
