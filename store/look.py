"""A look at a database for `interlock doctor`: what it is and how it is, without a change and without making one."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from peewee import Database, PostgresqlDatabase
from playhouse.migrations import Runner

from interlock.clock import Clock, Millis
from store.accounts import somebody_exists
from store.database import MIGRATIONS, open_database
from store.errors import DRIVER_ERRORS, DatabaseUnusable
from store.nodes import database_now
from store.postgres import check_server

MOST_ERRORS = 5  # of a damaged file that are told
SLOW_SECONDS = 30.0  # that the check of a file may take; a large one is left unfinished


class Migrations(NamedTuple):
    """Their names. `unknown` are those that a newer version has applied."""

    missing: tuple[str, ...]
    unknown: tuple[str, ...]


class Look(NamedTuple):
    """What was seen."""

    version: str
    migrations: Migrations
    set_up: bool  # whether an account exists
    away: Millis | None = None  # how far its clock is ahead of ours; None: it has none of its own
    damage: tuple[str, ...] = ()  # what is wrong with the file
    journal_mode: str | None = None  # of SQLite
    durable: bool = True  # whether the server keeps what it has committed when the machine loses power
    checked: bool = True  # whether the file was looked through to its end


def look_at(url: str, clock: Clock) -> Look | None:
    """The database at the URL; None when its file is not there yet. `DatabaseUnusable` says what is in the way."""
    try:
        return (
            _look_at_file(Path(url.removeprefix("sqlite://")), url) if url.startswith("sqlite:") else _ask(url, clock)
        )
    except DRIVER_ERRORS as error:
        raise DatabaseUnusable(f"The database cannot be read: {str(error).strip()}") from error


def _look_at_file(path: Path, url: str) -> Look | None:
    if not path.exists():
        return None
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as file:
        damage, checked = _damage(file)
        mode = None if damage else file.execute("PRAGMA journal_mode").fetchone()[0]
    version = f"SQLite {sqlite3.sqlite_version}"
    if damage:
        return Look(version, Migrations((), ()), set_up=False, damage=damage)
    database = open_database(url)
    with database.connection_context():
        return Look(
            version, _migrations(database), _set_up(database), damage=damage, journal_mode=mode, checked=checked
        )


def _damage(file: Any) -> tuple[tuple[str, ...], bool]:
    """What `quick_check` says, and whether it came to its end in time."""
    deadline = time.monotonic() + SLOW_SECONDS
    file.set_progress_handler(lambda: time.monotonic() > deadline, 100_000)  # each so many steps of SQLite's machine
    try:
        said = [text for (text,) in file.execute(f"PRAGMA quick_check({MOST_ERRORS})")]
    except sqlite3.OperationalError as error:
        if "interrupted" not in str(error):
            raise
        return (), False
    except sqlite3.DatabaseError as error:
        return (str(error),), True
    finally:
        file.set_progress_handler(None, 0)
    return () if said == ["ok"] else tuple(said), True


def _ask(url: str, clock: Clock) -> Look:
    database = open_database(url)
    with database.connection_context():
        check_server(database)
        before = clock.now()
        theirs = database_now(database, clock)
        away = theirs - (before + clock.now()) // 2
        version, fsync = database.execute_sql(
            "SELECT current_setting('server_version'), current_setting('fsync')"
        ).fetchone()
        is_postgres = isinstance(database, PostgresqlDatabase)
        return Look(
            f"PostgreSQL {version}",
            _migrations(database),
            _set_up(database),
            away=away if is_postgres else None,
            durable=fsync == "on",
        )


def _migrations(database: Database) -> Migrations:
    known = {path.stem for path in MIGRATIONS.glob("[0-9]*.py")}
    applied = set(Runner(database, str(MIGRATIONS)).applied())
    return Migrations(tuple(sorted(known - applied)), tuple(sorted(applied - known)))


def _set_up(database: Database) -> bool:
    return "app_user" in database.get_tables() and somebody_exists(database)
