"""The operator's commands in this process, on a database of their own."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from peewee import Database, SqliteDatabase

from runtime import admin
from store import open_database

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def invoke(*words: str, input: str | None = None) -> Result:  # noqa: A002 - the runner's name
        options = (*words, "--data-dir", str(tmp_path))
        return CliRunner().invoke(admin.admin, options, prog_name="interlock admin", input=input)

    return invoke


def full_disk(url: str) -> Database:
    """A database that has no room for another page."""
    database = open_database(url)
    assert isinstance(database, SqliteDatabase)
    database.pragma("max_page_count", 1, permanent=True)
    return database


def test_a_full_disk_is_named_and_not_the_rollback_that_it_made_impossible(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("create-org", "acme").exit_code == 0
    monkeypatch.setattr(admin, "open_database", full_disk)
    for number in range(100):
        done = run("create-org", f"{number}-" + "x" * 190)
        if done.exit_code:
            break
    assert done.exit_code == 1
    assert done.stderr == "Error: The database cannot be read or written: database or disk is full\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("create-org", ""), "$.name: expected 1 to 200 printable characters (NAME)"),
        (("setup", "--email", "ann", "--name", "Ann", "--org", "acme"), "(--email)"),
        (
            ("setup", "--email", "a@b.c", "--name", " ", "--org", "acme"),
            "$.name: expected 1 to 200 printable characters (--name)",
        ),
        (
            ("setup", "--email", "a@b.c", "--name", "Ann", "--org", " "),
            "$.org: expected 1 to 200 printable characters (--org)",
        ),
        (("setup", "--email", "a@b.c", "--name", "Ann", "--org", "acme"), "(the line on standard input)"),
    ],
)
def test_a_mistake_names_the_option_that_it_is_in(run: Run, words: tuple[str, ...], said: str) -> None:
    done = run(*words, input="short\n")
    assert done.exit_code == 1
    assert said in done.stderr


def test_a_label_names_its_option(run: Run) -> None:
    assert run("create-org", "acme").exit_code == 0
    done = run("create-host", "--org", "acme", "--name", "eu-1", "--label", f"{'k' * 101}=v")
    assert "a key has 1 to 100 printable characters (--label)" in done.stderr


def test_an_address_names_one_account_however_it_is_written(run: Run) -> None:
    for org in ("one", "two"):
        assert run("create-org", org).exit_code == 0
    users = [
        run("create-user", "--email", email, "--name", "Bob", "--org", org)
        for email, org in (("Bob@x.io", "one"), ("bob@X.io", "two"))
    ]
    assert users[0].stdout == users[1].stdout
    assert run("token", "--raw", "--email", "BOB@x.io").exit_code == 0
    done = run("set-password", "--email", "bOb@x.io", input="a long enough password\n")
    assert json.loads(done.stdout) == {"sessionsEnded": 0}
