"""One in-memory database per process, put back to its first state for every world; it says which rows have changed.

Compiling SQL takes peewee longer than running it, so all worlds share one `Database`. Triggers name each row that any
statement touches, whoever sent it: what is checked after a step is what was written, not what somebody meant to write.
"""

from functools import cache
from typing import Any, NamedTuple

from peewee import Database

from interlock.states import TERMINAL
from store import open_database
from store.accounts import By, create_host
from store.database import migrate
from store.rows import (
    HOST_COLUMNS,
    JOB_COLUMNS,
    RUN_COLUMNS,
    HostRow,
    JobRow,
    RunRow,
    host_from,
    job_from,
    run_from,
)

ORG = "0a000000-0000-7000-8000-000000000000"
_TRIGGER = (
    "CREATE TRIGGER told_{verb}_{table} AFTER {verb} ON {table} BEGIN SELECT row_changed('{table}', {row}.id); END"
)
_TABLES: dict[str, tuple[tuple[str, ...], Any]] = {
    "host": (HOST_COLUMNS, host_from),
    "job": (JOB_COLUMNS, job_from),
    "job_run": (RUN_COLUMNS, run_from),
}
_touched: dict[tuple[str, str], None] = {}


def _row_changed(table: str, row_id: str) -> None:
    _touched[table, row_id] = None


@cache
def _database() -> Database:
    database = open_database("sqlite:///:memory:")
    database.connect()
    database.connection().create_function("row_changed", 2, _row_changed)
    return database


@cache
def _first_state(hosts: int) -> bytes:
    """An org with so many hosts, as the bytes of a database file."""
    database = open_database("sqlite:///:memory:")
    database.connect()
    migrate(database)
    for number, host_id in enumerate(ids_of_hosts(hosts)):
        by = By("system", None, 0, f"0d{number:06x}-0000-7000-8000-000000000000")
        create_host(database, host_id, ORG, "sim", by, labels={} if number % 2 else {"even": "yes"})
    for table in _TABLES:
        for verb, row in (("INSERT", "NEW"), ("UPDATE", "NEW"), ("DELETE", "OLD")):
            database.execute_sql(_TRIGGER.format(verb=verb, table=table, row=row))
    state: bytes = database.connection().serialize()
    database.close()
    return state


def ids_of_hosts(hosts: int) -> list[str]:
    """The hosts of a world. The first carries all labels that a job may want."""
    return [f"0c{number:06x}-0000-7000-8000-000000000000" for number in range(hosts)]


FIRST_HOST = ids_of_hosts(1)[0]


def fresh_database(hosts: int) -> Database:
    """The process's database, with nothing in it but its hosts. The world before this one must be over."""
    database = _database()
    connection = database.connection()
    if connection.in_transaction:
        connection.rollback()
    connection.deserialize(_first_state(hosts))
    _touched.clear()
    return database


class HostChange(NamedTuple):
    """A host's row before and after a step."""

    before: HostRow
    after: HostRow


class JobChange(NamedTuple):
    """A job's row before and after a step; no row before is a new job."""

    before: JobRow | None
    after: JobRow


class RunChange(NamedTuple):
    """A run's row before and after a step; no row before is a new run."""

    before: RunRow | None
    after: RunRow


class Changes(NamedTuple):
    """What a step has committed."""

    hosts: list[HostChange]
    jobs: list[JobChange]
    runs: list[RunChange]
    gone: list[str]  # ids of rows that are no more

    def __str__(self) -> str:
        """What has changed, column by column."""
        changes: list[tuple[Any, Any]] = [*self.hosts, *self.jobs, *self.runs]
        return "; ".join(f"{_brief(after.id)} {difference(before, after)}" for before, after in changes)


def _brief(row_id: str) -> str:
    return row_id[:8] if row_id.endswith("0" * 12) else row_id[-4:]


def difference(before: Any, after: Any) -> str:
    """The columns in which two rows differ."""
    if before is None:
        return f"new {type(after).__name__} {_values(after)}"
    return " ".join(
        f"{name} {getattr(before, name)}→{getattr(after, name)}"
        for name in after.__slots__
        if getattr(before, name) != getattr(after, name)
    )


def _values(row: Any) -> str:
    shown = ((name, getattr(row, name)) for name in row.__slots__)
    return " ".join(f"{name}={value}" for name, value in shown if value not in {None, "", 0})


class Rows:
    """The committed rows, as Python values: only those that a step has touched are read again."""

    def __init__(self, database: Database) -> None:
        self._connection = database.connection()
        self.hosts: dict[str, HostRow] = {}
        self.jobs: dict[str, JobRow] = {}
        self.runs: dict[str, RunRow] = {}
        self.runs_of_job: dict[str, list[str]] = {}
        self.open_of_host: dict[str, dict[str, RunRow]] = {}
        for row in self._connection.execute(f"SELECT {', '.join(HOST_COLUMNS)} FROM host ORDER BY id"):  # noqa: S608 - our own names
            host = host_from(row)
            self.hosts[host.id] = host
            self.open_of_host[host.id] = {}

    @property
    def stale(self) -> bool:
        """Whether anything has been touched since the last look."""
        return bool(_touched)

    def refresh(self) -> Changes:
        """Read again what was touched; what of it has changed."""
        gone: list[str] = []
        touched: dict[str, list[str]] = {table: [] for table in _TABLES}
        for table, row_id in sorted(_touched):
            touched[table].append(row_id)
        _touched.clear()
        hosts = [HostChange(self.hosts[row.id], row) for row in self._read("host", touched, gone)]
        jobs = [JobChange(self.jobs.get(row.id), row) for row in self._read("job", touched, gone)]
        runs = [RunChange(self.runs.get(row.id), row) for row in self._read("job_run", touched, gone)]
        self.hosts.update({row.id: row for _, row in hosts})
        self.jobs.update({row.id: row for _, row in jobs})
        for before, run in runs:
            self._keep(before, run)
        return Changes(hosts, jobs, runs, gone)

    def _keep(self, before: RunRow | None, run: RunRow) -> None:
        self.runs[run.id] = run
        if before is None:
            self.runs_of_job.setdefault(run.job_id, []).append(run.id)
        if before is not None and before.host_id is not None:
            self.open_of_host[before.host_id].pop(run.id, None)
        if run.host_id is not None and run.status not in TERMINAL:
            self.open_of_host[run.host_id][run.id] = run

    def _read(self, table: str, touched: dict[str, list[str]], gone: list[str]) -> list[Any]:
        """The touched rows that differ from what is known of them, oldest id first."""
        ids = touched[table]
        if not ids:
            return []
        columns, from_row = _TABLES[table]
        marks = ",".join("?" * len(ids))
        query = f"SELECT {', '.join(columns)} FROM {table} WHERE id IN ({marks}) ORDER BY id"  # noqa: S608 - our own names
        found = [from_row(row) for row in self._connection.execute(query, ids)]
        tables: dict[str, dict[str, Any]] = {"host": self.hosts, "job": self.jobs, "job_run": self.runs}
        known = tables[table]
        if len(found) < len(ids):
            there = {row.id for row in found}
            gone += [row_id for row_id in ids if row_id not in there and row_id in known]
        return [row for row in found if row != known.get(row.id)]
