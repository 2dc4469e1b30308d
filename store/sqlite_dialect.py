"""SQLite: `BEGIN IMMEDIATE` is the lock on all hosts, and rows go one by one through a prepared statement."""

from collections.abc import Mapping, Sequence
from itertools import compress
from typing import Any

from peewee import SQL, Column, Database, Query, Table

from store.compiled import ARG
from store.dialect import FENCE_COLUMNS, CommitUnknown, Dialect, Fenced, Statement
from store.models import IN_POOL, Host, JobRun
from store.rows import Image


class SqliteDialect(Dialect):
    """Writes nothing at the same time as anybody else."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._waiting = self._compile(JobRun.select(JobRun.id).where((JobRun.id == ARG) & IN_POOL)).sql
        self._placed = self._compile(Host.select(Host.next_seq, Host.rev).where(Host.id == ARG)).sql

    def insert(self, table: Table, columns: Sequence[str], otherwise: str = "") -> Statement:
        """For one row."""
        compiled = self._compile(table.insert({name: name for name in columns}))
        return Statement(compiled.sql + otherwise, compiled.names)

    def update(self, table: Table, changed: Sequence[str], where: Mapping[str, str | None]) -> Statement:
        """For one row."""
        column = {name: Column(table, name) for name in (*changed, *where)}
        fits = [column[name] == value if value else column[name].is_null() for name, value in where.items()]
        return self._compile(table.update({column[name]: name for name in changed}).where(*fits))

    def fence_of(self, owned: Sequence[str], *, held_by: Sequence[str], expecting: bool = False) -> Statement:
        """For one host."""
        host = Table("host", (*FENCE_COLUMNS, *owned))
        rev, next_seq = Column(host, "rev"), Column(host, "next_seq")
        fits = [Column(host, name) == name for name in held_by] + [next_seq == "expects"] * expecting
        moved = {rev: rev + SQL("1"), next_seq: next_seq + "new_jobs"}
        query = host.update(moved | {Column(host, name): name for name in owned}).where(*fits)
        return self._compile(query)

    def count_up(self, table: Table, column: str) -> Statement:
        """For one row."""
        counter = Column(table, column)
        query = table.update({counter: counter + "more"}).where(Column(table, "id") == "id")
        return self._compile(query.returning(Column(table, "id"), counter))

    def _compile(self, query: Query) -> Statement:
        # Every value in the query is the name of the value that will stand there.
        return Statement(*self.database.get_sql_context().parse(query))

    def begin(self, connection: Any) -> None:
        """Waits its turn."""
        connection.execute("BEGIN IMMEDIATE")

    def lock(self, cursor: Any, host_ids: Sequence[str]) -> set[str]:
        """Nobody else can hold a host now."""
        del cursor, host_ids
        return set()

    def fence(self, cursor: Any, statement: Statement, rows: Sequence[Image]) -> list[Fenced | None]:
        """One by one, and then a look at each row that moved: together a third less than RETURNING takes. What a host's
        row was after an earlier one of several fences follows from what it is at last.
        """
        host_id, new_jobs = statement.names.index("id"), statement.names.index("new_jobs")
        moved = [cursor.execute(statement.sql, row).rowcount for row in rows]
        found: list[Fenced | None] = [None] * len(rows)
        before: dict[str, Fenced] = {}
        for place in compress(reversed(range(len(rows))), reversed(moved)):
            row = rows[place]
            name = row[host_id]
            known = before.get(name)
            if known is None:
                (known,) = cursor.execute(self._placed, (name,)).fetchall()  # all: a COMMIT waits for no reader
            found[place] = known
            before[name] = known[0] - row[new_jobs], known[1] - 1
        return found

    def hold_waiting(self, cursor: Any, run_ids: Sequence[str]) -> set[str]:
        """Nobody else can move them now."""
        return {run_id for run_id in run_ids if cursor.execute(self._waiting, (run_id,)).fetchone() is not None}

    def counted(self, cursor: Any, statement: Statement, rows: Sequence[Image]) -> dict[str, int]:
        """One by one."""
        return dict(found for row in rows for found in cursor.execute(statement.sql, row).fetchall())

    def write(self, cursor: Any, statement: Statement, rows: Sequence[Image]) -> int:
        """`executemany`, which counts."""
        cursor.executemany(statement.sql, rows)
        written: int = cursor.rowcount
        return written

    def commit(self, connection: Any) -> None:
        """SQLite says when a COMMIT that failed has left the transaction open: a definite failure."""
        try:
            connection.execute("COMMIT")
        except Exception as error:
            if connection.in_transaction:
                self.roll_back(connection)
                raise
            raise CommitUnknown(str(error)) from error

    def roll_back(self, connection: Any) -> None:
        """Of a transaction that is open."""
        connection.rollback()

    def concerns_all(self, error: Exception) -> bool:
        """Nothing costs so much here that it must not be tried for each."""
        del error
        return False
