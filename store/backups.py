"""A copy of the embedded database while servers write to it, and whether a copy is whole.

SQLite's own backup copies the database as it is at one moment, in one step: it holds up nobody, and whatever was committed
before it began is in it.
"""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from playhouse.migrations import Runner

from store.database import MIGRATIONS, open_database
from store.errors import DatabaseUnusable

_BUSY_SECONDS = 30.0


def copy_database(source: Path, target: Path) -> None:
    """Make `target`, a single file without a journal beside it; `DatabaseUnusable` when that cannot be."""
    try:
        with _opened(f"file:{source.absolute()}?mode=ro") as old, _opened(f"file:{target.absolute()}") as new:
            old.backup(new)
            new.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.Error as error:
        raise DatabaseUnusable(f"{source} cannot be copied to {target}: {error}") from error


def check_database(path: Path) -> list[str]:
    """The migrations that it has had; `DatabaseUnusable` when it is damaged, is none of ours, or is newer than this code."""
    try:
        with _opened(f"file:{path.absolute()}?mode=ro") as database:
            (verdict,) = database.execute("PRAGMA integrity_check(1)").fetchone()
            applied = [str(name) for (name,) in database.execute("SELECT name FROM schema_migration ORDER BY name")]
    except sqlite3.Error as error:
        raise DatabaseUnusable(f"{path} is no database of Interlock's: {error}") from error
    if verdict != "ok":
        raise DatabaseUnusable(f"{path} is damaged: {verdict}")
    newer = set(applied) - set(known_migrations())
    if newer:
        raise DatabaseUnusable(f"{path} was made by a newer Interlock, which knows {max(newer)}: restore it with that")
    return applied


def known_migrations() -> list[str]:
    """Those of this code, in their order."""
    database = open_database("sqlite://:memory:")
    return [migration.name for migration in Runner(database, str(MIGRATIONS)).migrations()]


def files_of(path: Path) -> Iterator[tuple[str, int]]:
    """SHA-256 and size of the files to which a copy's rows lead, each once."""
    with _opened(f"file:{path.absolute()}?mode=ro") as database:
        for sha256, size in database.execute(
            "SELECT sha256, MAX(size_bytes) FROM asset GROUP BY sha256 ORDER BY sha256"
        ):
            yield str(sha256), int(size)


@contextlib.contextmanager
def _opened(uri: str) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS)
    try:
        yield connection
    finally:
        connection.close()
