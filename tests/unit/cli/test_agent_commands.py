"""`interlock agent` and `interlock agent enrol` as somebody meets them who has prepared nothing, or something odd."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from tests.support.fake_plane import agent_key
from tests.support.scripted_server import Say, ScriptedServer

Run = Callable[..., Result]
HOST = "01938b3e-0000-7000-8000-0000000000b1"
ORG = "01938b3e-0000-7000-8000-0000000000cc"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "agent.toml"
    path.write_text('[handlers.T]\ncommand = ["true"]\n')
    return path


@pytest.fixture
def nothing(environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No address, no key, and no agent.toml."""
    environment["INTERLOCK_URL"] = environment["INTERLOCK_AGENT_KEY"] = ""
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("nothing")
def test_whoever_has_nothing_is_told_where_to_begin(run: Run) -> None:
    told = run("agent")
    assert told.exit_code == 2
    assert "Missing --url and --key" in told.stderr
    assert "interlock agent enrol" in told.stderr


@pytest.mark.usefixtures("nothing")
def test_whoever_has_a_key_and_no_agent_toml_is_told_to_write_one(run: Run) -> None:
    told = run("agent", "--url", "http://127.0.0.1:1", "--key", agent_key(HOST))
    assert told.exit_code == 2
    assert "agent.toml is not there. Write it" in told.stderr
    assert "[handlers.SERVER_START]" in told.stderr


@pytest.mark.usefixtures("nothing")
def test_a_check_needs_neither_address_nor_key(run: Run, config: Path) -> None:
    told = run("agent", "--config", str(config), "--check")
    assert (told.exit_code, told.stdout) == (0, f"{config}: 1 handler, no mistakes\n")
    told = run("agent", "--config", str(config), "--check", "--key", "abc")
    assert told.exit_code == 2
    assert "not an agent key" in told.stderr


@pytest.mark.parametrize("below", ["", "state"])
def test_a_state_directory_that_is_a_file_has_the_exit_code_of_the_table(run: Run, config: Path, below: str) -> None:
    words = ("--config", str(config), "--key", agent_key(HOST), "--state-dir", str(config / below))
    told = run("agent", *words)
    assert told.exit_code == 9
    assert "it is, or is in, a file" in told.stderr


def test_enrol_names_the_command_that_works_next(server: ScriptedServer, run: Run, tmp_path: Path) -> None:
    server.script = [Say(201, {"hostId": HOST, "orgId": ORG, "agentKey": "a.b.c"})]
    file = tmp_path / "a key.env"
    told = run("agent", "enrol", "--token", "t", "--key-file", str(file))
    assert (told.exit_code, told.stdout) == (0, f"{HOST}\n")
    assert f"`interlock agent --key-file '{file}'`" in told.stderr
    assert "agent.toml" in told.stderr
    server.script = [Say(201, {"hostId": HOST, "orgId": ORG, "agentKey": "a.b.c"})]
    assert "with `interlock agent`." in run("agent", "enrol", "--token", "t").stderr
