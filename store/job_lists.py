"""Lists of jobs, page by page, in any order that they can be sorted by and whatever they are narrowed to, in a time that
does not depend on how many jobs there are.

One filter alone is answered by its line (`job_lines`). With more of them, or with a text, one line is gone along and the
other filters are looked at job by job; how far is bounded, so such a page may be shorter than asked, even empty, with a
cursor that leads on. Of several lines the one is taken in which that many jobs reach farthest.

Sorted by status, a list is read one status after the other. Sorted by their ends, jobs come from three lines, one for each
status that is an end, and are merged; behind them those follow that have not ended.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from peewee import Database

from interlock.ids import is_id
from interlock.job_sort import JobSort
from interlock.states import JobStatus
from store.database import one_moment
from store.job_cursors import ALL, ENDED, STRETCHES, Key, Place, cursor_of
from store.job_lines import (
    BY_END,
    Line,
    Span,
    beside,
    births,
    by_index,
    ends,
    filters_of,
    line_for,
    reached_in,
)
from store.jobs import FullJob, JobFilter, with_latest_runs
from store.models import Job
from store.rows import JOB_COLUMNS, JobRow, job_from

_JOB = [getattr(Job, name) for name in JOB_COLUMNS]
_ENDS = (JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED)
_UP = {JobSort.OLDEST, JobSort.FIRST_ENDED}


class JobList(NamedTuple):
    """A page: up to as many jobs as were asked for, in their order, and what to ask for to read on, if there is more."""

    jobs: list[FullJob]
    cursor: str | None


class _Part(NamedTuple):
    """What a stretch has given, and where looking has ended because it was far enough; None: there is no more."""

    jobs: list[JobRow]
    reached: Key | None


def list_jobs(
    database: Database,
    org_id: str,
    narrow: JobFilter,
    limit: int,
    sort: JobSort = JobSort.NEWEST,
    after: Place | None = None,
) -> JobList:
    """Up to `limit` jobs of the org behind `after`, each with its latest run, all of one moment."""
    with one_moment(database):
        named = _named(database, org_id, narrow) if after is None else None
        with by_index(database):
            found, place = ([named], None) if named else _page(database, org_id, narrow, limit, sort, after)
        return JobList(with_latest_runs(database, found), None if place is None else cursor_of(sort, place))


def jobs_in(
    database: Database, org_id: str, narrow: JobFilter, statuses: Sequence[str], limit: int
) -> list[tuple[str, str]]:
    """Id and status of up to `limit` jobs in any of these statuses, newest first; read status by status, as the index
    has them. Nothing is left out, however few match: this is for who works through all of them.
    """
    found: list[tuple[str, str]] = []
    span = births(narrow, down=True)
    with database.atomic(), by_index(database):
        for status in statuses:
            if narrow.status in {None, status}:
                line = Line(org_id, "status", status)
                query = Job.select(Job.id, Job.status).where(line.within(span), *beside(line, narrow))
                found += query.order_by(*line.order(span)).limit(limit).tuples().execute(database)
    return sorted(found, reverse=True)[:limit]


def _named(database: Database, org_id: str, narrow: JobFilter) -> JobRow | None:
    """The one that the text names by its whole id; only the first page can have it."""
    if narrow.text is None or not is_id(narrow.text) or narrow.before_id is not None:
        return None
    fits = [getattr(Job, column) == value for column, value in filters_of(narrow).items()]
    query = Job.select(*_JOB).where((Job.id == narrow.text) & (Job.org_id == org_id), *fits)
    job = next(map(job_from, query.tuples().execute(database)), None)
    return job if job is None or job.created_at >= (narrow.since or 0) else None


def _page(
    database: Database, org_id: str, narrow: JobFilter, limit: int, sort: JobSort, after: Place | None
) -> tuple[list[JobRow], Place | None]:
    """Stretch by stretch, until there are enough or it has looked far enough."""
    found: list[JobRow] = []
    for stretch in _stretches(narrow, sort, after):
        key = after.key if after is not None and after.stretch == stretch else None
        part = _read(database, org_id, narrow, limit + 1 - len(found), sort, stretch, key)
        found += part.jobs
        if len(found) > limit:
            return found[:limit], _place_of(sort, found[limit - 1])
        if part.reached is not None:
            return found, Place(stretch, part.reached)
    return found, None


def _stretches(narrow: JobFilter, sort: JobSort, after: Place | None) -> list[str]:
    """Those that are left, and that have jobs of the status that is asked for."""
    names = STRETCHES[sort]
    left = names if after is None else names[names.index(after.stretch) :]
    wanted = {ALL, ENDED, narrow.status} if narrow.status in _ENDS else {ALL, narrow.status}
    return [name for name in left if narrow.status is None or name in wanted]


def _read(
    database: Database,
    org_id: str,
    narrow: JobFilter,
    count: int,
    sort: JobSort,
    stretch: str,
    after: Key | None,
) -> _Part:
    down = sort not in _UP or stretch not in {ALL, ENDED}
    span = (ends if stretch == ENDED else births)(narrow, down=down)
    span = span if after is None else span.behind(after)
    if stretch == ENDED:
        return _ended(database, org_id, narrow, count, span)
    return _born(database, org_id, narrow if stretch == ALL else replace(narrow, status=stretch), count, span)


def _born(database: Database, org_id: str, narrow: JobFilter, count: int, span: Span) -> _Part:
    """Jobs in the order of their ids."""
    line, reached = line_for(database, org_id, narrow, span)
    span = span if reached is None else span.until(reached)
    query = Job.select(*_JOB).where(line.within(span), *beside(line, narrow)).order_by(*line.order(span)).limit(count)
    return _Part(list(map(job_from, query.tuples().execute(database))), reached)


def _ended(database: Database, org_id: str, narrow: JobFilter, count: int, span: Span) -> _Part:
    """Jobs in the order of their ends: only their keys are read of all lines, the rows of those that are shown."""
    lines = [Line(org_id, "status", status, BY_END) for status in _ENDS if narrow.status in {None, status}]
    far = [reached_in(database, line, narrow, span) for line in lines if beside(line, narrow)]
    reached = (max if span.down else min)((key for key in far if key is not None), default=None)
    span = span if reached is None else span.until(reached)
    keys: list[tuple[int, str]] = []
    for line in lines:
        query = Job.select(*line.keys()).where(line.within(span), *beside(line, narrow))
        keys += query.order_by(*line.order(span)).limit(count).tuples().execute(database)
    ids = [job_id for _, job_id in sorted(keys, reverse=span.down)[:count]]
    return _Part(_jobs_of(database, ids), reached)


def _jobs_of(database: Database, ids: Sequence[str]) -> list[JobRow]:
    """The rows with these ids, in their order."""
    if not ids:
        return []
    rows = map(job_from, Job.select(*_JOB).where(Job.id.in_(ids)).tuples().execute(database))
    by_id = {job.id: job for job in rows}
    return [by_id[job_id] for job_id in ids]


def _place_of(sort: JobSort, job: JobRow) -> Place:
    if STRETCHES[sort] == (ALL,):
        return Place(ALL, (job.id,))
    if ENDED in STRETCHES[sort] and job.completed_at is not None:
        return Place(ENDED, (job.completed_at, job.id))
    return Place(job.status, (job.id,))
