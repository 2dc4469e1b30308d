"""The databases on which the conformance suite runs: one suite, whatever keeps the rows."""

import itertools
import os
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import psycopg2
import pytest

from engines.postgres import Cluster, cluster
from engines.processes import EngineMissing
from store import open_database
from store.database import migrate
from store.models import ALL_MODELS

NAMES = ("sqlite", "postgresql")


class Backend(ABC):
    """A kind of database, for one test: it makes databases, and takes them away at the end."""

    name: str
    driver_error: type[Exception]  # what its driver raises when it is away

    @abstractmethod
    def fresh(self, folder: Path) -> str:
        """The URL of an empty database; a folder holds one."""

    @abstractmethod
    def migrated(self, folder: Path) -> str:
        """The URL of a database with all tables."""

    @abstractmethod
    def missing(self, folder: Path) -> str:
        """The URL of a database that is not there and cannot come to be."""

    @abstractmethod
    def close(self) -> None:
        """The test is over."""


class Sqlite(Backend):
    """A file in the test's folder."""

    name = "sqlite"
    driver_error = sqlite3.OperationalError

    def fresh(self, folder: Path) -> str:
        return f"sqlite://{folder / 'interlock.db'}"

    def migrated(self, folder: Path) -> str:
        url = self.fresh(folder)
        _migrate(url)
        return url

    def missing(self, folder: Path) -> str:
        return f"sqlite://{folder / 'missing' / 'interlock.db'}"

    def close(self) -> None:
        pass


class Shelf:
    """Databases with all tables on one server. They are used again: to make one takes 60 to 400 ms, to empty it 2."""

    def __init__(self, server: Cluster) -> None:
        self.server = server
        self._numbers = itertools.count(1)
        self._free: list[str] = []
        self._template = self.create("template0")
        _migrate(server.url(self._template))
        self._empty = ";".join(f"DELETE FROM {model._meta.table_name}" for model in ALL_MODELS)  # noqa: S608
        self._made_of = self._objects(self._template)

    def create(self, template: str) -> str:
        """A new database; its name."""
        name = f"interlock_{os.getpid()}_{next(self._numbers)}"
        self.server.create(name, template)
        return name

    def take(self) -> str:
        """One with all tables and no rows."""
        return self._free.pop() if self._free else self.create(self._template)

    def give_back(self, name: str) -> None:
        """Empty it for the next test, or drop it if this one has changed more than rows."""
        self.server.run(f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{name}'")  # noqa: S608
        if self._objects(name) == self._made_of:
            self.server.run(self._empty, name)
            self._free.append(name)
        else:
            self.server.drop(name)

    def clear(self) -> None:
        """Drop all."""
        for name in (*self._free, self._template):
            self.server.drop(name)

    def _objects(self, name: str) -> list[tuple[object, ...]]:
        names = (
            "SELECT relname FROM pg_class UNION ALL SELECT proname FROM pg_proc UNION ALL SELECT tgname FROM pg_trigger"
        )
        return self.server.run(f"SELECT string_agg(name, ' ' ORDER BY name) FROM ({names}) AS all_of (name)", name)  # noqa: S608


class Postgresql(Backend):
    """Databases on the session's server."""

    name = "postgresql"
    driver_error = psycopg2.OperationalError

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        self._fresh: list[str] = []
        self._taken: list[str] = []

    def fresh(self, folder: Path) -> str:
        del folder
        self._fresh.append(self.shelf.create("template0"))
        return self.shelf.server.url(self._fresh[-1])

    def migrated(self, folder: Path) -> str:
        del folder
        self._taken.append(self.shelf.take())
        return self.shelf.server.url(self._taken[-1])

    def missing(self, folder: Path) -> str:
        del folder
        return self.shelf.server.url("nowhere")

    def close(self) -> None:
        while self._fresh:
            self.shelf.server.drop(self._fresh.pop())
        while self._taken:
            self.shelf.give_back(self._taken.pop())


@contextmanager
def postgres_shelf() -> Iterator[Shelf]:
    """One server for a session of tests."""
    try:
        with cluster() as server:
            shelf = Shelf(server)
            yield shelf
            shelf.clear()
    except EngineMissing as error:
        missing_engine(error)


def missing_engine(error: EngineMissing) -> NoReturn:
    """Skip what needs it, or fail in continuous integration."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"Continuous integration must not skip this: {error}", pytrace=False)
    pytest.skip(str(error))


def _migrate(url: str) -> None:
    database = open_database(url)
    migrate(database)
    database.close()
