"""The operator's commands in this process, on a database of their own."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from peewee import Database, SqliteDatabase

from runtime import admin
from runtime.cli import same_database
from runtime.data_folder import note_database
from runtime.settings import Settings
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


# ---- which database ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        ("rotate-secret",),
        ("list-orgs",),
        ("set-password", "--email", "a@b.c"),
        ("create-host", "--org", "acme", "--name", "eu-1"),
        ("backup", "never.tar"),
    ],
)
def test_what_needs_a_database_makes_none(run: Run, tmp_path: Path, words: tuple[str, ...]) -> None:
    """Else `rotate-secret` after a leak would rotate a secret that signs nothing, and say that all is well."""
    done = run(*words, input="a long password\n")
    assert done.exit_code == 1
    assert f"No database is in {tmp_path}" in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "words", [("create-org", "acme"), ("setup", "--email", "a@b.c", "--name", "A", "--org", "o"), ("rotate-secret",)]
)
def test_the_folder_of_a_server_whose_rows_are_elsewhere_gets_no_database(
    run: Run, tmp_path: Path, words: tuple[str, ...]
) -> None:
    note_database(Settings(data_dir=str(tmp_path), database_url="postgresql://db/interlock"))
    done = run(*words, input="a long password\n")
    assert done.exit_code == 1
    assert "keeps its rows in another database: name that with --database-url" in done.stderr
    assert not (tmp_path / "interlock.db").exists()
    note_database(Settings(data_dir=str(tmp_path)))  # it goes back to the embedded one
    assert run("create-org", "acme").exit_code == 0


@pytest.mark.parametrize(
    ("url", "config", "typed", "said"),
    [
        ("", None, False, "--data-dir there"),
        ("", "my a.toml", False, "--config 'my a.toml' --data-dir there"),
        ("postgresql://db/x", "a.toml", False, "--config a.toml"),
        ("postgresql://db/x", None, True, "--database-url postgresql://db/x"),
        ("postgresql://me:secret@db/x", None, True, "--database-url …"),
    ],
)
def test_a_server_without_accounts_says_how_its_own_database_is_found(
    monkeypatch: pytest.MonkeyPatch, url: str, config: str | None, typed: bool, said: str
) -> None:
    monkeypatch.delenv("INTERLOCK_DATABASE_URL", raising=False)
    settings = Settings(data_dir="there", database_url=url)
    assert same_database(settings, config, url if typed else None) == said


def test_a_url_from_the_environment_is_named_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTERLOCK_DATABASE_URL", "postgresql://me:secret@db/x")
    settings = Settings(database_url="postgresql://me:secret@db/x")
    assert same_database(settings, None, None) == '--database-url "$INTERLOCK_DATABASE_URL"'
