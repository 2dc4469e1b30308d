"""agent.toml and the agent key: every mistake is told, and told at once."""

import base64
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from interlock.agent import Agent, AgentSettings, ConfigInvalid, load_config
from interlock.agent.config import CommandSpec, check_config
from interlock.agent.key import host_id_of
from interlock.agent.programs import missing_programs
from interlock.agent.results import reason
from interlock.wire import Report
from tests.support.fake_plane import agent_key, new_id

DOCS = Path(__file__).parents[3] / "docs" / "agent.md"


def mistakes(document: dict[str, Any]) -> list[str]:
    with pytest.raises(ConfigInvalid) as caught:
        check_config(document, Path("agent.toml"))
    return caught.value.mistakes


def test_a_file_gives_commands_with_absolute_folders_and_settings_with_defaults(tmp_path: Path) -> None:
    path = tmp_path / "agent.toml"
    path.write_text(
        '[agent]\ngrace_seconds = 3\n[handlers.SERVER_START]\ncommand = ["./start.sh", "--fast"]\n'
        'timeout_seconds = 60\nenv = { KEY = "value" }\ncwd = "games"\n[handlers.OTHER]\ncommand = ["true"]\n'
    )
    config = load_config(path)
    assert config.settings == AgentSettings(grace_seconds=3.0)
    start = config.commands["SERVER_START"]
    assert (start.command, start.timeout_seconds, start.env) == (["./start.sh", "--fast"], 60.0, {"KEY": "value"})
    assert Path(start.cwd) == tmp_path / "games"
    assert Path(config.commands["OTHER"].cwd) == tmp_path


def test_all_mistakes_are_told_at_once_with_what_was_probably_meant() -> None:
    found = mistakes(
        {
            "agnet": {},
            "agent": {"grace_secs": 1, "output_lines": 0, "heartbeat_seconds": "15"},
            "handlers": {
                "A": {"comand": ["x"]},
                "B": {"command": "start.sh --fast"},
                "C": {"command": []},
                "D": {"command": [""], "env": {"INTERLOCK_JOB_ID": "1", "ok": 2}},
                "E": {"command": ["x"], "timeout_seconds": 0, "env": {"INTERLOCK_JOB_ID": "1"}},
                "F": "x",
                "G": {},
                "": {"command": ["x"]},
            },
        }
    )
    assert found == [
        "agnet: unknown key; did you mean 'agent'?",
        "agent.grace_secs: unknown key; did you mean 'grace_seconds'?",
        "agent.output_lines: expected int >= 1",
        "agent.heartbeat_seconds: expected float, got str",
        "handlers.A.comand: unknown key; did you mean 'command'?",
        "handlers.B.command: expected list, got str",
        "handlers.C.command: expected list of length >= 1",
        "handlers.D.env: expected str, got int at [...]",
        "handlers.D.command: the first word names the program and cannot be empty",
        "handlers.D.env: INTERLOCK_JOB_ID is set by the agent",
        "handlers.E.timeout_seconds: expected float > 0.0",
        "handlers.E.env: INTERLOCK_JOB_ID is set by the agent",
        "handlers.F: a table is expected",
        "handlers.G.command: missing",
        "handlers: a job type has 1 to 200 characters, '' does not",
    ]


@pytest.mark.parametrize(
    ("document", "mistake"),
    [
        ({}, "handlers: none is given"),
        ({"handlers": []}, "handlers: expected table, got list"),
        ({"handlers": {"A": {"command": [""]}}}, "handlers.A.command: the first word"),
        ({"handlers": {"A": {"command": ["x"], "env": {"INTERLOCK_ATTEMPT": "1"}}}}, "is set by the agent"),
        ({"handlers": {"A": {"command": ["x\0"]}}}, "handlers.A.command: expected str matching"),
        ({"handlers": {"A": {"command": ["x"], "env": {"a=b": "1"}}}}, "handlers.A.env: expected str matching"),
    ],
)
def test_what_could_not_work_is_a_mistake(document: dict[str, Any], mistake: str) -> None:
    assert any(mistake in each for each in mistakes(document)), mistakes(document)


@pytest.mark.parametrize(("text", "says"), [(None, "cannot be read"), ("[agent", "is not TOML")])
def test_a_file_that_cannot_be_read_says_why(tmp_path: Path, text: str | None, says: str) -> None:
    path = tmp_path / "agent.toml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigInvalid, match=says):
        load_config(path)


def test_every_setting_is_documented_with_its_default() -> None:
    limits = DOCS.read_text(encoding="utf-8").partition("## Limits")[2]
    rows = dict(re.findall(r"^\| `(\w+)` \| ([^|]+) \|", limits, re.MULTILINE))
    assert rows == {
        field.name: f"{field.default:g}" if isinstance(field.default, float) else str(field.default).lower()
        for field in msgspec.structs.fields(AgentSettings)
    }


def test_the_host_is_read_from_the_key() -> None:
    host = new_id()
    assert host_id_of(agent_key(host)) == host


@pytest.mark.parametrize(
    "key", ["", "abc", "a.b.c", "a.e30.c", "a.!!!!.c", agent_key("../../etc"), agent_key(""), "a.\u00e9.c"]
)
def test_what_is_not_an_agent_key_is_said_to_be_none(key: str) -> None:
    with pytest.raises(ConfigInvalid, match="not an agent key"):
        host_id_of(key)


def test_a_users_token_in_place_of_the_key_is_said_to_be_one() -> None:
    claims = base64.urlsafe_b64encode(msgspec.json.encode({"aud": "interlock", "sub": new_id()})).decode()
    with pytest.raises(ConfigInvalid, match="a user's token, not an agent key"):
        host_id_of(f"a.{claims}.c")


def test_programs_that_are_not_there_are_told_by_where_they_will_be_looked_for(tmp_path: Path) -> None:
    (tmp_path / "start.sh").touch(mode=0o755)
    (tmp_path / "plain.txt").touch(mode=0o644)
    words = {"A": "./start.sh", "B": "start.sh", "C": "./plain.txt", "D": "/nowhere/x", "E": "start.sh"}
    env = {"E": {"PATH": str(tmp_path)}}
    commands = {
        name: CommandSpec(command=[word], cwd=str(tmp_path), env=env.get(name, {})) for name, word in words.items()
    }
    told = missing_programs(commands, {"PATH": "/nowhere"})
    assert [line.partition(".command:")[0] for line in told] == ["handlers.B", "handlers.C", "handlers.D"]


def test_the_log_tells_why_a_run_failed_on_one_line() -> None:
    report = Report(status="failed", error_code="not_started", error_message="x cannot\nbe \x1bstarted")
    assert reason(report) == ": x cannot be  started"
    assert reason(Report(status="failed", error_message="y" * 999)) == ": …" + "y" * 300
    assert reason(Report(status="success", error_message="its output was left out")) == ""


@pytest.mark.parametrize("url", ["", "example.org", "ftp://x", "http://", "https://u:p@x", "https://x?y=1"])
def test_a_url_that_names_no_server_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match="server URL"):
        Agent(url, agent_key(new_id()), state_dir=tmp_path)


def test_a_key_sent_in_clear_over_a_network_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    Agent("http://127.0.0.1:8080", agent_key(new_id()), state_dir=tmp_path)
    assert not caplog.records
    Agent("http://example.org", agent_key(new_id()), state_dir=tmp_path)
    assert "not encrypted" in caplog.text
