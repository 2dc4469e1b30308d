"""From a URL to a database, set up so that a commit that returned survives `kill -9` and power loss."""

import contextlib
import fcntl
import logging
import os
import sqlite3
import time
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from peewee import Database, PostgresqlDatabase, SqliteDatabase
from playhouse.migrations import Runner

from store.errors import DRIVER_ERRORS, DatabaseUnusable
from store.postgres import check_server, disconnect, is_closed_by_server, one_migrator, open_postgres
from store.sqlite_values import bind_quickly
from store.transactions import first_error

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

log = logging.getLogger(__name__)

MIGRATIONS = Path(__file__).parent / "migrations"
OLDEST_SQLITE = (3, 35)  # the first with RETURNING, which numbers lines of logs
_LOG_PAGES = 4700  # what comes between two checkpoints, a large batch, and what the loop writes by itself
_LOG_ROOM = 1 << 30  # bytes that must be free for that: nothing is taken from a disk that is nearly full
_CONNECT_TRIES = 100
_CONNECT_PAUSE = 0.05  # seconds

SQLITE_PRAGMAS: dict[str, Any] = {
    "journal_mode": "wal",
    "synchronous": "full",  # NORMAL may drop the last commits on power loss
    "foreign_keys": 1,
    "busy_timeout": 5000,  # ms; writers queue on one thread, so only `interlock admin` beside us ever waits
    "cache_size": -65536,  # KiB
    "wal_autocheckpoint": 4000,  # pages: 16 MB. With 1000 each page is copied back four times as often: a quarter more CPU
}


def open_database(url: str, pragmas: "Mapping[str, Any]" = MappingProxyType({})) -> Database:
    """The database at `url`: `sqlite:///path`, `sqlite://:memory:` or `postgresql://user@host/name`. `pragmas` are SQLite's,
    in the place of some of ours.
    """
    scheme = url.partition(":")[0]
    if scheme == "sqlite":
        if sqlite3.sqlite_version_info < OLDEST_SQLITE:
            raise DatabaseUnusable(f"SQLite {sqlite3.sqlite_version} is too old: 3.35 or newer is needed")
        path = url.removeprefix("sqlite://").removeprefix("/") if ":memory:" in url else url.removeprefix("sqlite://")
        _make_private(path)
        bind_quickly()
        return SqliteDatabase(path, pragmas=SQLITE_PRAGMAS | dict(pragmas), check_same_thread=False)
    if scheme in {"postgres", "postgresql"}:
        return open_postgres(url)
    raise DatabaseUnusable(f"{scheme or url!r} is no database that Interlock knows: use sqlite:// or postgresql://")


def lay_out_log(database: Database) -> None:
    """Make SQLite's write-ahead log as long as it will ever be, on this connection, which is to stay open.

    A commit that writes where the file already was takes a quarter to a third less time than one that makes the file
    longer, and small installations commit for weeks before their log is full for the first time. What is too large for
    the cache goes to the log before it is committed, and stays there as waste when it is rolled back. Nothing depends on
    it: where it fails, it is left.
    """
    if not isinstance(database, SqliteDatabase) or ":memory:" in database.database:
        return
    path = Path(f"{database.database}-wal")
    size = _LOG_PAGES * 4096
    with contextlib.suppress(OSError):
        room = os.statvfs(path.parent)
        if path.stat().st_size < size and room.f_bavail * room.f_frsize > _LOG_ROOM:
            _write_for_nothing(database.connection(), size)
            with path.open("rb") as file:
                os.fdatasync(file)  # else the first commit would wait for it


def _write_for_nothing(connection: sqlite3.Connection, size: int) -> None:
    connection.execute("PRAGMA cache_size=64")
    try:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("CREATE TABLE waste (bytes BLOB)")
        connection.execute("INSERT INTO waste VALUES (zeroblob(?))", (size,))
    except sqlite3.Error as error:
        log.info("The write-ahead log is not laid out: %s", error)
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        connection.execute(f"PRAGMA cache_size={SQLITE_PRAGMAS['cache_size']}")


def _make_private(path: str) -> None:
    """A file that is not there yet is made for this user alone; SQLite gives its log the same rights. What is there, and
    what cannot be made, is left to SQLite.
    """
    if ":memory:" not in path:
        with contextlib.suppress(OSError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o600))


def migrate(database: Database) -> list[str]:
    """Apply what is missing, one migrator at a time; the names of what was applied."""
    _connect(database)
    try:
        with _one_migrator(database):
            return list(Runner(database, str(MIGRATIONS)).up())
    except DRIVER_ERRORS as error:
        raise DatabaseUnusable(f"The database cannot be brought up to date: {first_error(error)}") from error


def _connect(database: Database) -> None:
    """Connect, with patience: the first switch of a fresh file to WAL does not wait for others as all else does."""
    for _ in range(_CONNECT_TRIES - 1):
        try:
            database.connect(reuse_if_open=True)
        except DRIVER_ERRORS as error:
            if "locked" not in str(error):
                raise DatabaseUnusable(f"The database cannot be opened: {error}") from error
            time.sleep(_CONNECT_PAUSE)
        else:
            return
    raise DatabaseUnusable("The database is locked by another process")


@contextmanager
def _one_migrator(database: Database) -> "Iterator[None]":
    if isinstance(database, PostgresqlDatabase):
        check_server(database)
        with one_migrator(database):
            yield
    else:
        with database.atomic(*how_to_begin(database)):
            yield


def how_to_begin(database: Database) -> tuple[str, ...]:
    """What `database.atomic` is to be given for a transaction that will write: SQLite takes its lock at the beginning."""
    return ("IMMEDIATE",) if isinstance(database, SqliteDatabase) else ()


def one_moment(database: Database) -> Any:
    """A block in which all reads see the rows as they were when it began: a job and its runs are in two tables."""
    return database.atomic(*(("REPEATABLE READ",) if isinstance(database, PostgresqlDatabase) else ()))


def connected(database: Database) -> Any:
    """This thread's connection, the driver's own; one that PostgreSQL has closed meanwhile is replaced."""
    if isinstance(database, PostgresqlDatabase) and not database.is_closed() and is_closed_by_server(database):
        disconnect(database)
    if database.is_closed():
        database.connect()
    return database.connection()


def drop_if_broken(database: Database) -> bool:
    """Let go of this thread's connection if a statement has shown that it is broken; whether it was so. SQLite's never
    is.
    """
    broken = not (database.is_closed() or database.is_connection_usable())
    if broken:
        disconnect(database)
    return broken


class DataDirectory:
    """Where the embedded default keeps everything; `lock` admits one server at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._held: Any = None

    def create(self) -> None:
        """Make it, for this user alone."""
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise DatabaseUnusable(f"{self.path} cannot be made: {error.strerror}") from error

    def lock(self) -> None:
        """Hold it until this process ends; `DatabaseUnusable` when another server does."""
        try:
            self._held = os.fdopen(os.open(self.path / "serve.lock", os.O_WRONLY | os.O_CREAT, 0o600), "w")
            fcntl.flock(self._held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DatabaseUnusable(f"another `interlock serve` uses {self.path}") from error
        except OSError as error:
            raise DatabaseUnusable(f"{self.path} cannot be written: {error.strerror}") from error

    def unlock(self) -> None:
        """Let the next server in; twice does no harm."""
        if self._held is not None:
            self._held.close()
            self._held = None
