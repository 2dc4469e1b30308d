"""How connections to PostgreSQL are set up, which servers are refused, and how migrators take turns."""

import logging
import socket
import threading
from collections.abc import Iterator
from urllib.parse import quote

import psycopg2
import pytest
from peewee import Database, OperationalError

from store import open_database
from store.database import MIGRATIONS, migrate
from store.errors import DatabaseUnusable
from store.postgres import MIGRATION_LOCK
from tests.support.backends import Shelf
from tests.support.desk import Desk

LONG = 20.0  # seconds: a bound for what should take none
NAMES = sorted(path.stem for path in MIGRATIONS.glob("[0-9]*.py"))


def show(database: Database, setting: str) -> str:
    return str(database.execute_sql(f"SHOW {setting}").fetchone()[0])


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("synchronous_commit", "on"),
        ("statement_timeout", "5s"),
        ("lock_timeout", "500ms"),
        ("idle_in_transaction_session_timeout", "5s"),
        ("transaction_isolation", "read committed"),
        ("client_encoding", "UTF8"),
        ("application_name", "interlock"),
    ],
)
def test_a_session_is_set_up(postgres_desk: Desk, setting: str, value: str) -> None:
    assert show(postgres_desk.database, setting) == value


@pytest.mark.parametrize("setting", ["connect_timeout", "keepalives", "tcp_user_timeout", "target_session_attrs"])
def test_a_connection_is_set_up(postgres_desk: Desk, setting: str) -> None:
    postgres_desk.rows("SELECT 1")
    assert setting in postgres_desk.database.connection().get_dsn_parameters()


def test_what_the_role_has_set_does_not_weaken_a_commit(shelf: Shelf) -> None:
    name = shelf.create("template0")
    shelf.server.run(f'ALTER DATABASE "{name}" SET synchronous_commit = off')
    shelf.server.run(f"ALTER DATABASE \"{name}\" SET default_transaction_isolation = 'serializable'")
    database = open_database(shelf.server.url(name))
    database.connect()
    assert (show(database, "synchronous_commit"), show(database, "transaction_isolation")) == ("on", "read committed")
    database.close()
    shelf.server.drop(name)


def test_what_the_url_says_counts_before_the_defaults(postgres_url: str) -> None:
    options = quote("-c statement_timeout=1234")
    more = "&" if "?" in postgres_url else "?"
    database = open_database(f"{postgres_url}{more}application_name=mine&connect_timeout=2&options={options}")
    database.connect()
    assert (show(database, "statement_timeout"), show(database, "application_name")) == ("1234ms", "mine")
    assert show(database, "lock_timeout") == "500ms"
    assert database.connection().get_dsn_parameters()["connect_timeout"] == "2"
    database.close()


def test_a_password_may_have_any_letters() -> None:
    database = open_database("postgresql://me:%40%2F%3A%25@db.example/interlock")
    assert database.connect_params["password"] == "@/:%"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://h/d?nonsense=1", "not understood"),
        ("postgresql://[::1/d", "not understood"),
        ("postgresql://h", "names none"),
        ("postgres://h/", "names none"),
    ],
)
def test_a_url_that_leads_nowhere_is_refused_with_a_sentence(url: str, said: str) -> None:
    with pytest.raises(DatabaseUnusable, match=said):
        open_database(url)


@pytest.mark.parametrize("url", ["postgresql://me@127.0.0.1:1/interlock", "postgresql://h:port/d"])
def test_a_server_that_does_not_answer_is_refused_with_a_sentence(url: str) -> None:
    with pytest.raises(DatabaseUnusable, match="cannot be opened"):
        migrate(open_database(url))


def test_while_a_server_cannot_be_reached_not_everybody_waits_for_it_in_turn() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        database = open_database(f"postgresql://me@127.0.0.1:{port}/interlock?connect_timeout=2")
        with pytest.raises(OperationalError, match="timeout expired"):
            database.connect()
        with pytest.raises(OperationalError, match="did not answer a moment ago"):
            database.connect()


def test_a_server_that_refuses_is_tried_again_at_once() -> None:
    database = open_database("postgresql://me@127.0.0.1:1/interlock")
    for _ in range(2):
        with pytest.raises(OperationalError, match="refused"):
            database.connect()


@pytest.fixture
def odd(shelf: Shelf) -> Iterator[str]:
    """The name of a database that may be made otherwise."""
    yield "interlock_odd"
    shelf.server.drop("interlock_odd")


def test_a_database_that_does_not_keep_unicode_is_refused(shelf: Shelf, odd: str) -> None:
    shelf.server.run(f"CREATE DATABASE {odd} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    database = open_database(shelf.server.url(odd))
    with pytest.raises(DatabaseUnusable, match="LATIN1"):
        migrate(database)
    database.close()


def test_a_standby_is_refused(shelf: Shelf, odd: str) -> None:
    shelf.server.create(odd)
    shelf.server.run(f"ALTER DATABASE {odd} SET default_transaction_read_only = on")  # as it answers for one
    with pytest.raises(DatabaseUnusable, match="read-only"):
        migrate(open_database(shelf.server.url(odd)))


def test_a_server_without_fsync_is_spoken_of(postgres_url: str, caplog: pytest.LogCaptureFixture) -> None:
    database = open_database(postgres_url)
    with caplog.at_level(logging.WARNING):
        migrate(database)
    said = any("fsync is off" in message for message in caplog.messages)
    assert said == (show(database, "fsync") == "off")
    database.close()


def test_a_migrator_waits_for_another_and_then_finds_nothing_to_do(shelf: Shelf, odd: str) -> None:
    url = shelf.server.create(odd)
    other = psycopg2.connect(url)
    other.autocommit = True
    other.cursor().execute("SELECT pg_advisory_lock(%s)", (MIGRATION_LOCK,))
    applied: list[list[str]] = []
    thread = threading.Thread(target=lambda: applied.append(migrate_at(url)))
    thread.start()
    wait_for_a_waiter(other)
    assert applied == []
    other.close()
    thread.join(LONG)
    assert applied == [NAMES]
    assert migrate_at(url) == []


def test_after_a_migration_the_session_is_as_it_was(postgres_url: str) -> None:
    database = open_database(postgres_url)
    migrate(database)
    assert (show(database, "statement_timeout"), show(database, "lock_timeout")) == ("5s", "500ms")
    database.close()


def test_a_migration_that_fails_leaves_nothing_and_keeps_nobody_out(
    shelf: Shelf, odd: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = shelf.server.create(odd)
    shelf.server.run("CREATE TABLE job_run (id INTEGER)", odd)  # somebody else's
    database = open_database(url)
    with pytest.raises(DatabaseUnusable, match="job_run"):
        migrate(database)
    monkeypatch.setattr("store.postgres._MIGRATION_PATIENCE", "1ms")
    shelf.server.run("DROP TABLE job_run", odd)
    assert migrate(database) == NAMES
    database.close()


def migrate_at(url: str) -> list[str]:
    """On a connection of its own."""
    database = open_database(url)
    try:
        return migrate(database)
    finally:
        database.close()


def wait_for_a_waiter(connection: "psycopg2.extensions.connection") -> None:
    """Return when a session waits for an advisory lock."""
    cursor = connection.cursor()
    for _ in range(2000):
        cursor.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
        if cursor.fetchall() != [(0,)]:
            return
        cursor.execute("SELECT pg_sleep(0.01)")
    raise AssertionError("nobody waits")
