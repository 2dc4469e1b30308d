"""Lists of jobs, page by page, whatever they are narrowed to, in a time that does not depend on how many jobs there are.

Every index that begins with the org and has the id behind what it is narrowed by is a *line*: the jobs in it stand in the
order of the list. One filter alone is answered by its line. With more of them, or with a text, one line is gone along and
the other filters are looked at job by job; how far is bounded, so such a page may be shorter than asked, even empty, with
a cursor that leads on. Of several lines the one is taken in which that many jobs reach back farthest.

PostgreSQL's planner believes that what matches is spread evenly, and would rather go through all jobs backwards by their
key than take the line: half a second where an org's PUBLISH_POST jobs are all old. The conditions compare whole rows, so
that no other index has the wanted order, and sorting is switched off meanwhile.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from peewee import Database, Expression, Field, PostgresqlDatabase, Tuple, fn

from interlock.clock import Millis
from interlock.ids import is_id
from store.database import one_moment
from store.jobs import FullJob, JobFilter, with_latest_runs
from store.models import Job
from store.rows import JOB_COLUMNS, JobRow, job_from

LOOKED_AT = 500  # jobs of which a page looks at the rows: some ms
READ_OVER = 10_000  # jobs that it passes over in an index alone: some ms as well
SLACK: Millis = 60_000  # between a job's id and its `created_at`, at most
_FIRST, _LAST = "", "zz"  # before and behind every id, in any collation
_JOB = [getattr(Job, name) for name in JOB_COLUMNS]
_IN_INDEX = {"type", "created_by_id"}  # what the line of all jobs knows of each


class JobList(NamedTuple):
    """A page: up to as many jobs as were asked for, newest first, and what to ask for to read on, if there is more."""

    jobs: list[FullJob]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class _Line:
    """An index: the org, perhaps what is narrowed by, the id."""

    org_id: str
    column: str | None = None  # the one between the org and the id
    value: str = ""

    def within(self, low: str, top: str) -> Any:
        """That a job stands here, its id in [low, top)."""
        row, values = Tuple(*self._columns), (self.org_id,) if self.column is None else (self.org_id, self.value)
        return Expression(row, ">=", Tuple(*values, low)) & Expression(row, "<", Tuple(*values, top))

    @property
    def order(self) -> list[Any]:
        """Newest first, in words that only this index understands."""
        return [column.desc() for column in self._columns]

    @property
    def _columns(self) -> list[Field]:
        return [Job.org_id, *([getattr(Job, self.column)] if self.column else []), Job.id]


def list_jobs(database: Database, org_id: str, narrow: JobFilter, limit: int) -> JobList:
    """Up to `limit` jobs of the org, each with its latest run, all of one moment."""
    with one_moment(database):
        named = _named(database, org_id, narrow)
        with _by_index(database):
            found, cursor = ([named], None) if named else _page(database, org_id, narrow, limit)
        return JobList(with_latest_runs(database, found), cursor)


def jobs_in(
    database: Database, org_id: str, narrow: JobFilter, statuses: Sequence[str], limit: int
) -> list[tuple[str, str]]:
    """Id and status of up to `limit` jobs in any of these statuses, newest first; read status by status, as the index
    has them. Nothing is left out, however few match: this is for who works through all of them.
    """
    found: list[tuple[str, str]] = []
    with database.atomic(), _by_index(database):
        for status in statuses:
            if narrow.status in {None, status}:
                line = _Line(org_id, "status", status)
                query = Job.select(Job.id, Job.status).where(line.within(*_span(narrow)), *_beside(line, narrow))
                found += query.order_by(*line.order).limit(limit).tuples().execute(database)
    return sorted(found, reverse=True)[:limit]


def _named(database: Database, org_id: str, narrow: JobFilter) -> JobRow | None:
    """The one that the text names by its whole id; only the first page can have it."""
    if narrow.text is None or not is_id(narrow.text) or narrow.before_id is not None:
        return None
    fits = [getattr(Job, column) == value for column, value in _filters(narrow).items()]
    query = Job.select(*_JOB).where((Job.id == narrow.text) & (Job.org_id == org_id), *fits)
    job = next(map(job_from, query.tuples().execute(database)), None)
    return job if job is None or job.created_at >= (narrow.since or 0) else None


def _page(database: Database, org_id: str, narrow: JobFilter, limit: int) -> tuple[list[JobRow], str | None]:
    low, top = _span(narrow)
    line, reached = _line(database, org_id, narrow, (low, top))
    query = Job.select(*_JOB).where(line.within(reached or low, top), *_beside(line, narrow))
    jobs = list(map(job_from, query.order_by(*line.order).limit(limit + 1).tuples().execute(database)))
    if len(jobs) > limit:
        return jobs[:limit], jobs[limit - 1].id
    return jobs, reached


def _line(database: Database, org_id: str, narrow: JobFilter, span: tuple[str, str]) -> tuple[_Line, str | None]:
    """The line to go along, and the id down to which this page may go; None: to the end."""
    filters = _filters(narrow)
    lines = [_Line(org_id, column, value) for column, value in filters.items() if column not in _IN_INDEX]
    lines.append(_Line(org_id))
    found: tuple[_Line, str | None] | None = None
    for line in lines:
        reached = _reached(database, line, narrow, span) if _beside(line, narrow) else None
        if reached is None:
            return line, None
        if found is None or found[1] is None or reached < found[1]:
            found = line, reached
    return found or (lines[-1], None)


def _reached(database: Database, line: _Line, narrow: JobFilter, span: tuple[str, str]) -> str | None:
    """The last id that a page may look at in this line; None when that is all of it."""
    in_index = line.column is None and narrow.since is None and narrow.text is None
    far = READ_OVER if in_index and _filters(narrow).keys() <= _IN_INDEX else LOOKED_AT
    query = Job.select(Job.id).where(line.within(*span)).order_by(*line.order).offset(far - 1).limit(2).tuples()
    found = [str(id_) for (id_,) in query.execute(database)]
    return found[0] if len(found) > 1 else None


def _beside(line: _Line, narrow: JobFilter) -> list[Any]:
    """What the line does not say."""
    # Not `column == value`: either database might take that for a better index.
    rest: list[Any] = [
        (getattr(Job, column) == value) if column in _IN_INDEX else (fn.COALESCE(getattr(Job, column), "") == value)
        for column, value in _filters(narrow).items()
        if column != line.column
    ]
    if narrow.since is not None:
        rest.append(Job.created_at >= narrow.since)
    if narrow.text is not None:
        shown = fn.COALESCE(Job.payload_shown, Job.payload)
        rest.append(Job.type.contains(narrow.text) | shown.contains(narrow.text) | (Job.id == narrow.text))
    return rest


def _filters(narrow: JobFilter) -> dict[str, str]:
    given = {name: getattr(narrow, name) for name in ("host_id", "status", "created_by_id", "type")}
    return {column: value for column, value in given.items() if value is not None}


def _span(narrow: JobFilter) -> tuple[str, str]:
    """The ids within which all that match must be: [low, top)."""
    low = _FIRST if narrow.since is None else id_at(narrow.since - SLACK)
    return low, narrow.before_id or _LAST


def id_at(at: Millis) -> str:
    """What is before the ids of that instant, and behind all earlier ones."""
    text = f"{max(at, 0):012x}"
    return f"{text[:8]}-{text[8:]}"


@contextmanager
def _by_index(database: Database) -> Iterator[None]:
    """PostgreSQL must take the index that has the order; SQLite does anyway."""
    if not isinstance(database, PostgresqlDatabase):
        yield
        return
    database.execute_sql("SET LOCAL enable_sort = off; SET LOCAL enable_incremental_sort = off")
    yield
    database.execute_sql("SET LOCAL enable_sort = on; SET LOCAL enable_incremental_sort = on")
