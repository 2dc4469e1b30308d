"""One suite for every database."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from peewee import Database

from store import open_database
from store.committer import Committer
from store.writer import Writer
from tests.support.backends import NAMES, Backend, Postgresql, Shelf, Sqlite, postgres_shelf
from tests.support.desk import Desk


@pytest.fixture(scope="session")
def shelf() -> Iterator[Shelf]:
    """Databases of a PostgreSQL that all tests share."""
    with postgres_shelf() as made:
        yield made


@pytest.fixture(params=NAMES)
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    made = Sqlite() if request.param == Sqlite.name else Postgresql(request.getfixturevalue("shelf"))
    yield made
    made.close()


@pytest.fixture
def empty(backend: Backend, tmp_path: Path) -> str:
    """The URL of an empty database."""
    return backend.fresh(tmp_path)


@pytest.fixture
def url(backend: Backend, tmp_path: Path) -> str:
    """The URL of a database with all tables."""
    return backend.migrated(tmp_path)


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    """A database with all tables, connected on the test's own thread."""
    made = open_database(url)
    made.connect()
    yield made
    made.close()


@pytest.fixture
def desk(database: Database) -> Desk:
    """A committer, and short forms to hand it decisions."""
    return Desk(database, Committer(database, "me"))


@pytest.fixture
def postgres_url(shelf: Shelf) -> Iterator[str]:
    """The URL of a PostgreSQL database with all tables, for what PostgreSQL alone can do."""
    name = shelf.take()
    yield shelf.server.url(name)
    shelf.give_back(name)


@pytest.fixture
def postgres_desk(postgres_url: str) -> Iterator[Desk]:
    """A committer on it."""
    database = open_database(postgres_url)
    yield Desk(database, Committer(database, "me"))
    database.close()


@pytest.fixture
def writer() -> Iterator[Writer]:
    """A process that writes."""
    made = Writer()
    yield made
    made.close()
