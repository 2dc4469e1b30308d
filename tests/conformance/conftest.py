"""One suite for every database."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from peewee import Database

from store import open_database
from store.committer import Committer
from store.database import migrate
from tests.support.backends import BACKENDS, Backend
from tests.support.desk import Desk


@pytest.fixture(params=BACKENDS, ids=lambda backend: backend.name)
def backend(request: pytest.FixtureRequest) -> Backend:
    made: Backend = request.param
    return made


@pytest.fixture
def url(backend: Backend, tmp_path: Path) -> str:
    """An empty database."""
    return backend.fresh(tmp_path)


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    """A database with all tables, connected on the test's own thread."""
    made = open_database(url)
    migrate(made)
    yield made
    made.close()


@pytest.fixture
def desk(database: Database) -> Desk:
    """A committer, and short forms to hand it decisions."""
    return Desk(database, Committer(database, "me"))
