"""How many runs have not ended: what waits for the fleet, and what it is at."""

from typing import Any

from peewee import Database, Query, fn

from store.compiled import ARG, rows
from store.models import OPEN_RUNS, JobRun

MOST = 100_000  # that are counted: some 50 ms of a reading thread


def open_runs(database: Database) -> dict[str, int]:
    """Open runs of all organizations by status; of more than `MOST` only so many are looked at."""
    return dict(rows(database, _open_runs, MOST))


def _open_runs() -> Query:
    some: Any = JobRun.select(JobRun.status).where(OPEN_RUNS).limit(ARG).alias("some")
    return JobRun.select(some.c.status, fn.COUNT(some.c.status)).from_(some).group_by(some.c.status)
