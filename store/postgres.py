"""PostgreSQL: how a connection is set up, how migrators take turns, and when a connection is no good any more.

What a URL says counts before what stands here, for example
`postgresql://me@db/interlock?connect_timeout=2&options=-c%20statement_timeout%3D1000`.
"""

import contextlib
import logging
import select
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg2
from peewee import Database, PostgresqlDatabase
from psycopg2.extensions import parse_dsn

from store.errors import DRIVER_ERRORS, DatabaseUnusable

log = logging.getLogger(__name__)

OLDEST = 140_000  # server version; what is older is not mended by its makers any more
SLOW_SECONDS = 1.0  # a refusal is quick; a server that cannot be reached takes the whole `connect_timeout`
AWAY_SECONDS = 1.0  # for which nobody tries it again
MIGRATION_LOCK = 0x1E7E_10CC  # any constant: one migrator at a time
_MIGRATION_PATIENCE = "60s"  # for another migrator to end
_MIGRATION_LOCK_TIMEOUT = "5s"  # for each table: whoever waits for one holds up everybody behind him

# Of the connection itself. Seconds, but for the user timeout, which is in ms.
CONNECTION: dict[str, Any] = {
    "application_name": "interlock",
    "client_encoding": "UTF8",
    "connect_timeout": 5,
    "keepalives": 1,
    "keepalives_idle": 10,  # a server that is gone without a word is noticed within 25 s, even by an idle connection
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,  # ms that what was sent may stay unacknowledged
    "target_session_attrs": "read-write",  # after a fail-over: the new primary, never a standby
}
# Of the session. Spans in ms.
SESSION: dict[str, str] = {
    "synchronous_commit": "on",  # a commit that returned survives power loss
    "default_transaction_isolation": r"read\ committed",  # the fence is judged on the newest row
    "statement_timeout": "5000",
    "lock_timeout": "500",  # hosts of others are passed over, so this is a row or table that stays locked
    "idle_in_transaction_session_timeout": "5000",  # a process that is paused while it holds hosts loses them
    # Every statement of ours finds its rows by an index. While the planner's statistics lag behind, as they do when a
    # fleet has just come, it would read whole tables for a batch instead.
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}


class Postgres(PostgresqlDatabase):
    """A database that does not let all wait in turn for a server that does not answer: after an attempt that was slow to
    fail, others fail at once for a moment.
    """

    _away_until = 0.0

    def _connect(self) -> Any:
        began = time.monotonic()
        if began < self._away_until:
            raise psycopg2.OperationalError("the server did not answer a moment ago")
        try:
            return super()._connect()  # type: ignore[misc]  # peewee's types leave it out
        except psycopg2.OperationalError:
            if time.monotonic() - began > SLOW_SECONDS:
                self._away_until = time.monotonic() + AWAY_SECONDS
            raise


def open_postgres(url: str) -> Database:
    """The database at a `postgresql://` URL; nothing is connected yet."""
    try:
        given = parse_dsn(url)
    except psycopg2.Error as error:
        raise DatabaseUnusable(f"The URL of the database is not understood: {_first_line(error)}") from error
    name = given.pop("dbname", "")
    if not name:
        raise DatabaseUnusable("The URL of the database names none: postgresql://user@host/name")
    options = " ".join(f"-c {setting}={value}" for setting, value in SESSION.items())
    options = f"{options} {given.pop('options', '')}".strip()
    return Postgres(name, **(CONNECTION | given), options=options)


def check_server(database: Database) -> None:
    """`DatabaseUnusable` when the server cannot keep what we promise; a word in the log when it does not want to."""
    (version,) = database.execute_sql("SELECT current_setting('server_version_num')::int").fetchone()
    if version < OLDEST:
        raise DatabaseUnusable(f"PostgreSQL {version // 10_000} is too old: {OLDEST // 10_000} or newer is needed")
    settings = "SELECT current_setting('server_encoding'), current_setting('fsync')"
    encoding, fsync = database.execute_sql(settings).fetchone()
    if encoding != "UTF8":
        raise DatabaseUnusable(f"The database keeps text as {encoding}: make it with ENCODING 'UTF8'")
    if fsync != "on":
        log.warning("fsync is off on this PostgreSQL: what was accepted may be lost when the machine loses power")


@contextmanager
def one_migrator(database: Database) -> Iterator[None]:
    """Wait until no other process migrates this database, and keep others waiting."""
    database.execute_sql("SET statement_timeout = 0")
    database.execute_sql(f"SET lock_timeout = '{_MIGRATION_PATIENCE}'")
    try:
        database.execute_sql("SELECT pg_advisory_lock(%s)", (MIGRATION_LOCK,))
        database.execute_sql(f"SET lock_timeout = '{_MIGRATION_LOCK_TIMEOUT}'")
        yield
        database.execute_sql("SELECT pg_advisory_unlock(%s)", (MIGRATION_LOCK,))
    except BaseException:
        disconnect(database)  # with the session goes the lock
        raise
    database.execute_sql("RESET lock_timeout")
    database.execute_sql("RESET statement_timeout")


def is_closed_by_server(database: Database) -> bool:
    """Whether an idle connection of this thread has come to its end, as when the server was restarted. A server speaks
    only when it is asked, so anything that is there to be read is its farewell.
    """
    connection = database.connection()
    if connection.closed:
        return True
    ready = select.poll()
    ready.register(connection.fileno(), select.POLLIN)
    return bool(ready.poll(0))


def disconnect(database: Database) -> None:
    """Let this thread's connection go, in whatever state it is."""
    if not database.is_closed():
        with contextlib.suppress(*DRIVER_ERRORS):
            database.connection().close()
        database.dispose()


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
