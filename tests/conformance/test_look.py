"""The doctor's look at a database, on either kind."""

from pathlib import Path

from interlock.clock import SystemClock
from store import open_database
from store.database import migrate
from store.look import look_at
from tests.support.backends import Backend

NEAR_MS = 60_000  # the database is on this machine


def test_a_database_that_is_up_to_date_lacks_nothing(backend: Backend, tmp_path: Path) -> None:
    url = backend.fresh(tmp_path)
    database = open_database(url)
    migrate(database)
    database.close()
    seen = look_at(url, SystemClock())
    assert seen is not None
    assert seen.migrations == ((), ())
    assert not seen.damage
    assert not seen.set_up
    assert seen.away is None or abs(seen.away) < NEAR_MS
    assert (seen.away is None) == url.startswith("sqlite:")


def test_an_empty_database_lacks_all_migrations_and_stays_empty(backend: Backend, tmp_path: Path) -> None:
    url = backend.fresh(tmp_path)
    if url.startswith("sqlite:"):
        open_database(url)  # makes the file
    seen = look_at(url, SystemClock())
    assert seen is not None
    assert seen.migrations.missing[0] == "0001_spine"
    database = open_database(url)
    with database.connection_context():
        assert database.get_tables() == []
