"""SQLite's log is as long as it will be before anybody waits for a commit, and the database knows nothing of it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from peewee import Database

import store.database
from store.database import lay_out_log, open_database

FULL = 16 * 1024 * 1024


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = open_database(f"sqlite:///{tmp_path}/interlock.db")
    made.connect()
    made.execute_sql("CREATE TABLE here (number INTEGER)")
    made.execute_sql("INSERT INTO here VALUES (1)")
    yield made
    made.close()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "interlock.db-wal"


def rows(database: Database, sql: str) -> list[tuple[object, ...]]:
    return list(database.execute_sql(sql).fetchall())


def test_the_log_is_long_at_once_and_commits_do_not_make_it_longer(database: Database, log: Path) -> None:
    lay_out_log(database)
    size = log.stat().st_size
    assert size > FULL
    for number in range(100):
        database.execute_sql("INSERT INTO here VALUES (?)", (number,))
    assert log.stat().st_size == size
    assert rows(database, "SELECT count(*) FROM here") == [(101,)]


def test_nothing_is_left_of_it_in_the_database(database: Database, tmp_path: Path) -> None:
    lay_out_log(database)
    assert rows(database, "SELECT name FROM sqlite_master") == [("here",)]
    assert rows(database, "PRAGMA integrity_check") == [("ok",)]
    assert rows(database, "PRAGMA cache_size") == [(store.database.SQLITE_PRAGMAS["cache_size"],)]
    database.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    assert (tmp_path / "interlock.db").stat().st_size < FULL // 100


def test_what_was_committed_is_read_back_by_who_finds_the_log_after_a_crash(database: Database, tmp_path: Path) -> None:
    lay_out_log(database)
    database.execute_sql("INSERT INTO here VALUES (2)")
    crashed = tmp_path / "crashed"
    crashed.mkdir()
    for name in ("interlock.db", "interlock.db-wal"):
        (crashed / name).write_bytes((tmp_path / name).read_bytes())
    found = open_database(f"sqlite:///{crashed}/interlock.db")
    with found.connection_context():
        assert rows(found, "SELECT number FROM here ORDER BY number") == [(1,), (2,)]
        assert rows(found, "SELECT name FROM sqlite_master") == [("here",)]


def test_a_log_that_is_long_is_left_alone(database: Database, log: Path) -> None:
    lay_out_log(database)
    before = log.read_bytes()
    lay_out_log(database)
    assert log.read_bytes() == before


def test_nothing_is_taken_from_a_disk_that_is_nearly_full(
    database: Database, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = os.statvfs(tmp_path)
    monkeypatch.setattr(store.database, "_LOG_ROOM", room.f_blocks * room.f_frsize)
    lay_out_log(database)
    assert log.stat().st_size < FULL


def test_who_cannot_have_the_lock_goes_on_without(
    database: Database, log: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    other = open_database(f"sqlite:///{tmp_path}/interlock.db")
    with other.connection_context(), other.atomic("IMMEDIATE"):
        database.execute_sql("PRAGMA busy_timeout=0")
        lay_out_log(database)
    assert log.stat().st_size < FULL
    assert "not laid out: database is locked" in caplog.text
    database.execute_sql("INSERT INTO here VALUES (2)")
    assert rows(database, "SELECT count(*) FROM here") == [(2,)]
