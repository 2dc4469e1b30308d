"""A million rows in a minute: SQLite takes them by the journal's own statements, PostgreSQL by COPY of the same columns."""

import io
from collections.abc import Sequence
from typing import Any, Protocol

from peewee import Database, PostgresqlDatabase

from store.rows import JOB_COLUMNS, RUN_COLUMNS, Image
from store.statements import JournalStatements

_ESCAPED = str.maketrans({"\\": r"\\", "\n": r"\n", "\t": r"\t", "\r": r"\r"})


class Writer(Protocol):
    """Writes whole images; a transaction is open."""

    def jobs(self, images: Sequence[Image]) -> None:
        """New rows of `job`."""

    def runs(self, images: Sequence[Image]) -> None:
        """New rows of `job_run`."""

    def tidy(self) -> None:
        """Once all is committed: do now what the database would else do while figures are taken."""


def writer_of(database: Database) -> Writer:
    """How this database takes many rows."""
    return _Copy(database) if isinstance(database, PostgresqlDatabase) else _Journal(database)


class _Journal:
    def __init__(self, database: Database) -> None:
        self._statements = JournalStatements(database)
        self._database = database

    def jobs(self, images: Sequence[Image]) -> None:
        rows = self._statements.jobs
        self._cursor().executemany(rows.insert.sql, list(map(rows.pick_insert, images)))

    def runs(self, images: Sequence[Image]) -> None:
        rows = self._statements.runs
        self._cursor().executemany(rows.insert.sql, list(map(rows.pick_insert, images)))

    def tidy(self) -> None:
        """The checkpoint comes with the closing of the last connection."""

    def _cursor(self) -> Any:
        return self._database.cursor()


class _Copy:
    def __init__(self, database: Database) -> None:
        self._database = database

    def jobs(self, images: Sequence[Image]) -> None:
        self._copy("job", JOB_COLUMNS, images)

    def runs(self, images: Sequence[Image]) -> None:
        self._copy("job_run", RUN_COLUMNS, images)

    def tidy(self) -> None:
        """Old jobs have been vacuumed and counted long ago where they came one by one."""
        connection = self._database.connection()
        connection.autocommit = True
        for order in ("SET statement_timeout = 0", "SET lock_timeout = 0", "VACUUM (ANALYZE)", "CHECKPOINT"):
            connection.cursor().execute(order)

    def _copy(self, table: str, columns: Sequence[str], images: Sequence[Image]) -> None:
        text = io.StringIO("".join(["\t".join(map(_field, image)) + "\n" for image in images]))
        self._database.cursor().copy_expert(f"COPY {table} ({', '.join(columns)}) FROM STDIN", text)


def _field(value: Any) -> str:
    if value is None:
        return r"\N"
    return str(value).translate(_ESCAPED)  # a StrEnum's text is its value, a bool's is one that PostgreSQL reads
