"""PostgreSQL: the hosts' rows are the locks, and rows go many at a time, written out in the text of a statement.

A batch locks its hosts in the order of their ids and passes over those that somebody else holds (`SKIP LOCKED`): so it
never waits for a host, and two batches never wait for each other. An `UPDATE … FROM (VALUES …)` alone would lock in
whatever order the planner likes, and deadlock. The fence is a statement of its own behind the lock: in READ COMMITTED
it sees what was committed before the lock was had.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from peewee import SQL, Cast, Column, Database, NodeList, Query, Table, ValuesList, fn
from psycopg2 import Error, InterfaceError, OperationalError
from psycopg2.extensions import TRANSACTION_STATUS_UNKNOWN
from psycopg2.extras import execute_values

from store.compiled import ARG
from store.database import drop_if_broken
from store.dialect import FENCE_COLUMNS, CommitUnknown, Dialect, Fenced, NotBegun, Statement
from store.models import ALL_MODELS, IN_POOL, Host, JobRun
from store.rows import Image

PAGE = 500  # rows in one statement
_OF_ROWS = {"40001", "40P01", "55P03"}  # serialization failure, deadlock, lock not available
_VALUES = re.compile(r"VALUES (\((?:%s, )*%s\))")
# A column of VALUES whose rows are all NULL is text to PostgreSQL, and text does not become any of these by itself.
_CASTS = {"BIGINT": "BIGINT", "INT": "INTEGER", "BOOL": "BOOLEAN"}
_TYPES = {
    model._meta.table_name: {  # noqa: SLF001 - peewee's own way to look at a model
        field.column_name: _CASTS.get(field.field_type)
        for field in model._meta.sorted_fields  # noqa: SLF001
    }
    for model in ALL_MODELS
}


class PostgresDialect(Dialect):
    """Writes beside others, who may be on other machines."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        ours = Host.select(Host.id).where(Host.id == fn.ANY(ARG))
        lock = ours.order_by(Host.id).for_update("FOR UPDATE SKIP LOCKED")  # type: ignore[arg-type]  # text is fine
        waiting = JobRun.select(JobRun.id).where((JobRun.id == fn.ANY(ARG)) & IN_POOL).order_by(JobRun.id)
        self._waiting = self.database.get_sql_context().parse(waiting.for_update("FOR UPDATE SKIP LOCKED"))[0]  # type: ignore[arg-type]  # as above
        self._lock, self._look = (self.database.get_sql_context().parse(query)[0] for query in (lock, ours))

    def insert(self, table: Table, columns: Sequence[str], otherwise: str = "") -> Statement:
        """`INSERT … VALUES` many rows."""
        compiled = self._compile(table.insert({name: name for name in columns}))
        return Statement(compiled.sql + otherwise, compiled.names, compiled.template)

    def update(self, table: Table, changed: Sequence[str], where: Mapping[str, str | None]) -> Statement:
        """`UPDATE … FROM (VALUES …)`, which gives back the ids that it found."""
        given = _given((*changed, *filter(None, where.values())))
        query = table.update({Column(table, name): _cast(table, name, given) for name in changed}).from_(given)
        fits = (
            Column(table, name) == Column(given, value) if value else Column(table, name).is_null()
            for name, value in where.items()
        )
        return self._compile(query.where(*fits).returning(Column(table, "id")))

    def fence_of(self, owned: Sequence[str], *, held_by: Sequence[str], expecting: bool = False) -> Statement:
        """One for many hosts: their rows are locked already, in order. `held_by` begins with the id."""
        host = Table("host", (*FENCE_COLUMNS, *owned))
        given = _given((*owned, "new_jobs", *held_by, *["expects"] * expecting))
        rev, next_seq = Column(host, "rev"), Column(host, "next_seq")
        # IS NOT DISTINCT FROM means the same here, and keeps the planner from looking for a host among all of its owner's.
        fits: list[Any] = [Column(host, "id") == Column(given, "id")]
        fits += [
            NodeList((Column(host, name), SQL("IS NOT DISTINCT FROM"), Column(given, name))) for name in held_by[1:]
        ]
        fits += [next_seq == Column(given, "expects")] * expecting
        moved = {rev: rev + SQL("1"), next_seq: next_seq + Column(given, "new_jobs")}
        query = host.update(moved | {Column(host, name): _cast(host, name, given) for name in owned}).from_(given)
        return self._compile(query.where(*fits).returning(Column(host, "id"), next_seq, rev))

    def count_up(self, table: Table, column: str) -> Statement:
        """For many rows."""
        given = _given(("more", "id"))
        counter = Column(table, column)
        query = table.update({counter: counter + Column(given, "more")}).from_(given)
        query = query.where(Column(table, "id") == Column(given, "id"))
        return self._compile(query.returning(Column(table, "id"), counter))

    def _compile(self, query: Query) -> Statement:
        """The statement with one hole where its rows will be; what stood there is the pattern of each row."""
        sql, names = self.database.get_sql_context().parse(query)
        row = _VALUES.search(sql)
        if row is None:
            raise TypeError(f"no row of values in {sql}")
        return Statement(sql[: row.start(1)] + "%s" + sql[row.end(1) :], names, row[1])

    def begin(self, connection: Any) -> None:
        """With the lock, in one message."""

    def lock(self, cursor: Any, host_ids: Sequence[str]) -> set[str]:
        """A host that is gone is nobody's, and the fence will miss it."""
        wanted = list(set(host_ids))
        try:
            cursor.execute(f"BEGIN; {self._lock}", (wanted,))
            missing = set(wanted).difference(host_id for (host_id,) in cursor.fetchall())
            if missing:
                cursor.execute(self._look, (list(missing),))
                missing = {host_id for (host_id,) in cursor.fetchall()}
        except Error as error:
            raise NotBegun(str(error)) from error
        return missing

    def fence(self, cursor: Any, statement: Statement, rows: Sequence[Image]) -> list[Fenced | None]:
        """In one statement a host can move but once: one that comes again, since somebody else appends to it or has
        claimed it, goes into another statement behind it.
        """
        found: list[Fenced | None] = [None] * len(rows)
        host_id = statement.names.index("id")
        left = list(range(len(rows)))
        while left:
            wave = {rows[place][host_id]: place for place in reversed(left)}
            for name, *fenced in self._rows(cursor, statement, [rows[place] for place in wave.values()], fetch=True):
                found[wave[name]] = fenced[0], fenced[1]
            left = [place for place in left if wave[rows[place][host_id]] != place]
        return found

    def hold_waiting(self, cursor: Any, run_ids: Sequence[str]) -> set[str]:
        """Whoever holds one is about to take it or to end it: it is passed over, so that no two wait for each other."""
        cursor.execute(self._waiting, (list(run_ids),))
        return {run_id for (run_id,) in cursor.fetchall()}

    def counted(self, cursor: Any, statement: Statement, rows: Sequence[Image]) -> dict[str, int]:
        """A page of rows at a time."""
        return dict(self._rows(cursor, statement, rows, fetch=True))

    def write(self, cursor: Any, statement: Statement, rows: Sequence[Image]) -> int:
        """A page of rows at a time."""
        updating = statement.sql.startswith("UPDATE")
        found = self._rows(cursor, statement, rows, fetch=updating)
        return len(found) if updating else len(rows)

    @staticmethod
    def _rows(cursor: Any, statement: Statement, rows: Sequence[Image], *, fetch: bool) -> list[Any]:
        found: list[Any] = execute_values(cursor, statement.sql, rows, statement.template, PAGE, fetch)
        return found

    def commit(self, connection: Any) -> None:
        """Whoever has been told of an error by a server that goes on knows that it has rolled back. One whose
        connection broke knows nothing.
        """
        cursor = connection.cursor()
        try:
            cursor.execute("COMMIT")
        except Exception as error:
            if connection.closed or connection.get_transaction_status() == TRANSACTION_STATUS_UNKNOWN:
                raise CommitUnknown(str(error)) from error
            raise
        if cursor.statusmessage != "COMMIT":
            raise OperationalError(f"COMMIT was answered with {cursor.statusmessage}")

    def roll_back(self, connection: Any) -> None:
        """A broken connection is let go of: the server has rolled back, or will."""
        if not drop_if_broken(self.database):
            connection.cursor().execute("ROLLBACK")

    def concerns_all(self, error: Exception) -> bool:
        """Time-outs, a full disk, no memory, a connection that broke; what the rows themselves did has other names. A row
        that somebody else is just inserting too is its host's own affair.
        """
        return isinstance(error, OperationalError | InterfaceError) and error.pgcode not in _OF_ROWS


def _given(names: Sequence[str]) -> ValuesList:
    """Rows that are written out, as a table with these columns; each value is the name of what will stand there."""
    return ValuesList([names], columns=names, alias="given")


def _cast(table: Table, name: str, given: ValuesList) -> Any:
    kind = _TYPES[table.__name__][name]
    return Column(given, name) if kind is None else Cast(Column(given, name), kind)
