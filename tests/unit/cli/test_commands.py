"""The commands as a whole: their help, their names, and what is told for a wrong one."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import click
import pytest
from click.testing import Result

from interlock.cli import main
from interlock.cli.commands import ADDED, OURS, SECTIONS
from tests.support.terminal import PROGRAM

Run = Callable[..., Result]


def _leaves(command: click.Command, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from _leaves(found, (*words, name))
    yield words, command


def _ours() -> list[tuple[tuple[str, ...], click.Command]]:
    found = ((name, main.get_command(click.Context(main), name)) for name in OURS)
    return [leaf for name, command in found if command is not None for leaf in _leaves(command, (name,))]


@pytest.mark.parametrize(("words", "command"), [pytest.param(*leaf, id=" ".join(leaf[0])) for leaf in _ours()])
def test_help_begins_with_one_line_and_ends_with_an_example(words: tuple[str, ...], command: click.Command) -> None:
    assert command.help is not None
    assert command.help.split("\n\n")[0].count("\n") == 0
    if words not in {("agent",), ("agent", "install")}:
        assert command.epilog is not None
        assert command.epilog.startswith(("Example: interlock ", "Example: eval"))


@pytest.mark.parametrize("name", OURS)
def test_the_line_in_the_help_is_the_commands_own(name: str) -> None:
    command = main.get_command(click.Context(main), name)
    assert command is not None
    assert command.get_short_help_str(limit=200) == OURS[name].help


def test_every_name_has_its_place_in_the_help() -> None:
    assert {name for _, names in SECTIONS for name in names} == {*OURS, *ADDED}


def test_what_the_server_adds_is_as_the_table_says() -> None:
    added = {each.name: each for each in entry_points(group="interlock.commands")}
    assert set(added) <= set(ADDED)
    for name in {"serve", "admin", "dev", "doctor"} & set(added):
        command = added[name].load()
        assert command.help.splitlines()[0].startswith(ADDED[name].rstrip("."))


def test_a_command_of_another_package_has_its_own_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    other = EntryPoint("theirs", "interlock.cli.audit:command", "interlock.commands")
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: [other] if group else [])
    told = run("--help").output
    assert "Other:\n  theirs" in told
    assert "Who did what" in told.split("Other:")[1]


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["jbos"], "jobs"),
        (["host"], "hosts"),
        (["jobs", "creat"], "create"),
        (["hosts", "list", "--presense"], "--presence"),
    ],
)
def test_a_name_that_is_nearly_right_is_answered_with_the_right_one(run: Run, words: list[str], meant: str) -> None:
    told = run(*words)
    assert told.exit_code == 2
    assert f"'{meant}'" in told.stderr or f"{meant}?" in told.stderr
    assert "Did you mean" in told.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script_for_the_shell(run: Run, shell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("click.shell_completion.BashComplete._check_version", lambda *_: None)
    told = run("completion", shell)
    assert told.exit_code == 0
    assert f"_INTERLOCK_COMPLETE={shell}_complete" in told.stdout


def test_completing_a_commands_name_loads_no_command(tmp_path: Path) -> None:
    env = {"_INTERLOCK_COMPLETE": "bash_complete", "COMP_WORDS": "interlock ho", "COMP_CWORD": "1"}
    told = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", PROGRAM],
        env=os.environ | env | {"HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.stdout.split() == ["plain,hosts"]
    assert "interlock.cli.hosts" not in told.stderr
    assert "runtime.cli" not in told.stderr
