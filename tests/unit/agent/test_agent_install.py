"""`interlock agent install --systemd`: what it writes, and what it refuses to write over."""

import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

import click.testing
import pytest

from interlock.agent import AgentSettings
from interlock.cli import agent_install, main
from interlock.cli.systemd import Plan, unit_text
from tests.support.fake_plane import agent_key, new_id

KEY = agent_key(new_id())
URL = "https://interlock.example.org"
ANALYZE = shutil.which("systemd-analyze")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without any units."""
    (tmp_path / "agent.toml").write_text('[agent]\ndrain_seconds = 100\n[handlers.WORK]\ncommand = ["true"]\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(agent_install, "SYSTEM_UNITS", tmp_path / "units")
    monkeypatch.setattr(agent_install, "SYSTEM_KEYS", tmp_path / "keys")
    monkeypatch.setattr(agent_install, "_exists", lambda account: account == "interlock")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path


def install(*options: str, key: str = KEY, url: str = URL) -> click.testing.Result:
    environment = {"INTERLOCK_AGENT_KEY": key, "INTERLOCK_URL": url}
    arguments = ["agent", "install", "--systemd", *options]
    return click.testing.CliRunner(env=environment).invoke(main, arguments, prog_name="interlock")


def plan(folder: Path, **changed: Any) -> Plan:
    known = Plan("agent-1", folder / "interlock", URL, folder / "a.toml", folder / "key", AgentSettings(), "root")
    return known._replace(**changed)


def test_a_unit_and_a_key_that_only_its_owner_can_read_are_written(home: Path) -> None:
    done = install("--name", "agent-1", "--writable", "/srv/games")
    assert done.exit_code == 0, done.output
    unit = (home / "units" / "agent-1.service").read_text()
    key_file = home / "keys" / "agent-1.env"
    assert key_file.read_text() == f"INTERLOCK_AGENT_KEY={KEY}\n"
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert KEY not in unit
    lines = unit.splitlines()
    for line in (
        "User=interlock",
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "PrivateTmp=yes",
        "StateDirectory=agent-1",
        "Restart=always",
        "KillMode=mixed",
        "TimeoutStopSec=120",
        f"EnvironmentFile={key_file}",
        'ReadWritePaths="/srv/games"',
        "WantedBy=multi-user.target",
    ):
        assert line in lines
    assert f'"--config" "{home}/agent.toml" --state-dir %S/agent-1' in unit
    assert "systemctl enable --now agent-1" in done.output


def test_nothing_is_overwritten_without_force(home: Path) -> None:
    assert install().exit_code == 0
    unit = home / "units" / "interlock-agent.service"
    unit.write_text("mine")
    other = agent_key(new_id())
    refused = install(key=other)
    assert refused.exit_code == 1
    assert "--force" in refused.output
    assert (unit.read_text(), other in (home / "keys" / "interlock-agent.env").read_text()) == ("mine", False)
    assert install("--force", key=other).exit_code == 0
    assert unit.read_text().startswith("[Unit]")
    assert other in (home / "keys" / "interlock-agent.env").read_text()


def test_print_writes_nothing(home: Path) -> None:
    shown = install("--print")
    assert shown.output.startswith("[Unit]")
    assert {each.name for each in home.iterdir()} == {"agent.toml"}


def test_a_unit_of_ones_own_needs_no_account_and_no_powers(home: Path) -> None:
    done = install("--user")
    assert done.exit_code == 0, done.output
    unit = (home / "config" / "systemd" / "user" / "interlock-agent.service").read_text()
    assert "User=" not in unit
    assert "ProtectSystem" not in unit
    assert "WantedBy=default.target" in unit
    assert (home / "config" / "interlock" / "interlock-agent.env").exists()
    assert "systemctl --user enable --now" in done.output


@pytest.mark.parametrize(
    ("options", "changed", "code", "says"),
    [
        (("--run-as", "stranger"), {}, 1, "there is no account stranger"),
        (("--user", "--run-as", "interlock"), {}, 2, "with --user it runs as yourself"),
        (("--name", "../x"), {}, 2, "letters, digits"),
        (("--config", "nowhere.toml"), {}, 2, "nowhere.toml"),
        ((), {"key": "abc"}, 2, "not an agent key"),
        ((), {"url": "ftp://x"}, 2, "does not name a server"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_written(
    home: Path, options: tuple[str, ...], changed: dict[str, str], code: int, says: str
) -> None:
    refused = install(*options, **changed)
    assert (refused.exit_code, says in refused.output) == (code, True), refused.output
    assert {each.name for each in home.iterdir()} == {"agent.toml"}


def test_a_folder_that_cannot_be_written_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "file").touch()
    monkeypatch.setattr(agent_install, "SYSTEM_KEYS", home / "file" / "keys")
    refused = install()
    assert refused.exit_code == 1
    assert "cannot be written" in refused.output


def test_nothing_in_a_path_means_something_to_systemd(tmp_path: Path) -> None:
    unit = unit_text(plan(tmp_path, config=Path('/odd "name"/100%/$HOME.toml')))
    assert r'"/odd \"name\"/100%%/$$HOME.toml"' in unit


@pytest.mark.skipif(ANALYZE is None, reason="systemd is not installed here")
@pytest.mark.parametrize("run_as", ["root", None])
def test_systemd_finds_nothing_wrong_with_it(tmp_path: Path, run_as: str | None) -> None:
    program = tmp_path / "interlock"
    program.touch(mode=0o755)
    text = unit_text(plan(tmp_path, program=program, run_as=run_as, writable=(tmp_path / "with space",)))
    (tmp_path / "agent-1.service").write_text(text)
    command = [str(ANALYZE), "verify", "--man=no", "--recursive-errors=no", str(tmp_path / "agent-1.service")]
    verified = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (verified.returncode, verified.stderr) == (0, "")
