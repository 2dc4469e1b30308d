"""What is stored of a run's log, for who goes on writing it."""

from collections.abc import Iterable
from typing import NamedTuple

from peewee import SQL, Database, Function, Query, SqliteDatabase, fn

from store.compiled import ARG, rows
from store.jobs import job_and_run
from store.models import Job, JobLog
from store.rows import JobRow, RunRow

TRUNCATED = -1  # the number of the line that says that the log ends here: so there is but one


class LogStored(NamedTuple):
    """How many lines, of how many bytes together, and the agent's numbers as ranges, both ends included, in order."""

    lines: int
    size_bytes: int
    ranges: list[tuple[int, int]]
    truncated: bool


def run_and_log(database: Database, run_id: str) -> tuple[JobRow | None, RunRow | None, LogStored | None]:
    """A run, its job and what is stored of its log; Nones where there is no such run."""
    job, run = job_and_run(database, run_id)
    return job, run, None if run is None else log_stored(database, run_id)


def is_over(database: Database, job_id: str) -> bool:
    """Whether a job has ended: its log may still grow by what trails, but nobody needs to wait for that."""
    return bool(rows(database, _ended, job_id))


def _ended() -> Query:
    return Job.select(Job.id).where((Job.id == ARG) & Job.completed_at.is_null(False))


def log_stored(database: Database, run_id: str) -> LogStored:
    """What is stored of a run's log."""
    totals = _totals_of_sqlite if isinstance(database, SqliteDatabase) else _totals_of_postgresql
    lines, size_bytes, least = rows(database, totals, run_id)[0]
    return LogStored(lines, int(size_bytes), _ranges(database, run_id), least == TRUNCATED)


def _totals_of_sqlite() -> Query:
    return _totals(fn.LENGTH(JobLog.message.cast("BLOB")))  # of text it would count characters


def _totals_of_postgresql() -> Query:
    return _totals(fn.OCTET_LENGTH(JobLog.message))


def _totals(size: Function) -> Query:
    of_all = fn.COALESCE(fn.SUM(size), SQL("0"))
    return JobLog.select(fn.COUNT(JobLog.id), of_all, fn.MIN(JobLog.line_no)).where(JobLog.job_run_id == ARG)


def _ranges(database: Database, run_id: str) -> list[tuple[int, int]]:
    count, first, last = rows(database, _extent, run_id)[0]
    if count == 0:
        return []
    if last - first + 1 == count:
        return [(first, last)]
    return ranges_of(number for (number,) in rows(database, _numbers, run_id))


def ranges_of(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Numbers that rise, as ranges with both ends included."""
    ranges: list[tuple[int, int]] = []
    for number in numbers:
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1] = (ranges[-1][0], number)
        else:
            ranges.append((number, number))
    return ranges


def _extent() -> Query:
    numbered = (JobLog.job_run_id == ARG) & (JobLog.line_no >= SQL("0"))
    return JobLog.select(fn.COUNT(JobLog.line_no), fn.MIN(JobLog.line_no), fn.MAX(JobLog.line_no)).where(numbered)


def _numbers() -> Query:
    numbered = (JobLog.job_run_id == ARG) & (JobLog.line_no >= SQL("0"))
    return JobLog.select(JobLog.line_no).where(numbered).order_by(JobLog.line_no)
