"""Taking hosts over: raise the epoch on the host's row, then read what it holds. The order matters: once the epoch
is up, no earlier owner can commit any more, so what is read stays true until this owner changes it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from peewee import JOIN, Database, Query, fn

from interlock.clock import Millis
from store.compiled import ARG, rows
from store.locks import locked
from store.models import LIVE_RUNS, OPEN_RUNS, SCHEDULED_RUNS, WAITING_JOBS_THAT_EXPIRE, Host, Job, JobRun, Node
from store.nodes import living
from store.rows import HOST_COLUMNS, JOB_COLUMNS, RUN_COLUMNS, HostRow, JobRow, RunRow, host_from, job_from, run_from

_HOST = [getattr(Host, name) for name in HOST_COLUMNS]
_JOB = [getattr(Job, name) for name in JOB_COLUMNS]
_RUN = [getattr(JobRun, name) for name in RUN_COLUMNS]


@dataclass(slots=True)
class Claimed:
    """A host and its open runs with their jobs, as committed."""

    host: HostRow
    runs: list[tuple[JobRow, RunRow]] = field(default_factory=list)
    left: str | None = None  # the owner from whom it was taken
    of: tuple[int, int] | None = (
        None  # where only news are here: how many open runs there are, and the sum of their births
    )


def claim(database: Database, owner: str, host_ids: Sequence[str]) -> dict[str, Claimed]:
    """Make `owner` the owner of those hosts that exist. To be run in one transaction."""
    ids = sorted(host_ids)
    before = dict(locked(database, Host.select(Host.id, Host.owner).where(Host.id.in_(ids))))
    return _take(database, owner, before)


def claim_free(database: Database, owner: str, host_ids: Sequence[str], now: Millis) -> dict[str, Claimed]:
    """The same for those alone that no living node owns, and that nobody else is just looking at."""
    free = Host.select(Host.id, Host.owner).join(Node, JOIN.LEFT_OUTER, on=living(now))
    free = free.where(Node.id.is_null() | (Host.owner == owner))
    held = [host_id for host_id, _ in locked(database, free.where(Host.id.in_(sorted(host_ids))), skip=True)]
    # Looked at once more: of a row that changed while it was being locked PostgreSQL judges the new version beside the
    # node that it had found, or not found, for the old one.
    return _take(database, owner, dict(free.where(Host.id.in_(held)).tuples().execute(database)))


def _take(database: Database, owner: str, before: dict[str, str | None]) -> dict[str, Claimed]:
    if not before:
        return {}
    moved = {Host.owner: owner, Host.epoch: Host.epoch + 1, Host.rev: Host.rev + 1}
    Host.update(moved).where(Host.id.in_(sorted(before))).execute(database)
    claimed = read_open(database, sorted(before))
    for host_id, left in before.items():
        claimed[host_id].left = left if left != owner else None
    return claimed


def read_open(database: Database, host_ids: Sequence[str]) -> dict[str, Claimed]:
    """The hosts and their open runs, without claiming."""
    hosts, runs = _statements(database, len(host_ids))
    found = database.execute_sql(hosts, tuple(host_ids)).fetchall()
    claimed = {host.id: Claimed(host) for host in map(host_from, found)}
    for columns in database.execute_sql(runs, tuple(host_ids)).fetchall():
        job, run = _run_and_job(columns)
        claimed[str(run.host_id)].runs.append((job, run))
    pass_words_on(database, [run for each in claimed.values() for _, run in each.runs])
    return claimed


def read_news(database: Database, host_id: str, since: Millis, run_id: str | None) -> Claimed | None:
    """The host, its open runs that were made since then, the run of that id, and what all open runs come to: so what
    others have appended is found without reading a long line again, and what was overlooked shows.
    """
    host = host_of(database, host_id)
    if host is None:
        return None
    found = [_run_and_job(columns) for columns in rows(database, _news, host_id, since, run_id)]
    pass_words_on(database, [run for _, run in found])
    ((count, births),) = rows(database, _all_open, host_id)
    return Claimed(host, found, of=(count, int(births or 0)))


def host_of(database: Database, host_id: str) -> HostRow | None:
    """The host's row."""
    return next(map(host_from, rows(database, _host, host_id)), None)


def _host() -> Query:
    return Host.select(*_HOST).where(Host.id == ARG)


def _news() -> Query:
    new = (JobRun.created_at >= ARG) | (JobRun.id == ARG)
    runs = JobRun.select(*_RUN, *_JOB).join(Job, on=(Job.id == JobRun.job_id))
    return runs.where((JobRun.host_id == ARG) & OPEN_RUNS & new)


def _all_open() -> Query:
    return JobRun.select(fn.COUNT(JobRun.id), fn.SUM(JobRun.created_at)).where((JobRun.host_id == ARG) & OPEN_RUNS)


def _run_and_job(columns: tuple[Any, ...]) -> tuple[JobRow, RunRow]:
    width = len(RUN_COLUMNS)
    return job_from(columns[width:]), run_from(columns[:width])


def pass_words_on(database: Database, runs: list[RunRow]) -> None:
    """A word that a run should stop holds for its retry too, when the run had ended before its owner could read it."""
    retries = {(run.job_id, run.attempt - 1): run for run in runs if run.attempt > 1 and run.asked_to_stop is None}
    if not retries:
        return
    columns = (JobRun.job_id, JobRun.attempt, JobRun.asked_to_stop)
    query = JobRun.select(*columns).where(JobRun.job_id.in_(sorted({job_id for job_id, _ in retries})))
    for job_id, attempt, asked in query.order_by(JobRun.finished_at).tuples().execute(database):
        if (job_id, attempt) in retries:  # the last of that number: a job may have been tried afresh
            retries[job_id, attempt].asked_to_stop = asked


@lru_cache(maxsize=512)
def _statements(database: Database, hosts: int) -> tuple[str, str]:
    """The two SELECTs for so many hosts, compiled once: peewee takes a ms of CPU to build one with all columns."""
    marks = [""] * hosts
    host = Host.select(*_HOST).where(Host.id.in_(marks))
    run = (
        JobRun.select(*_RUN, *_JOB).join(Job, on=(Job.id == JobRun.job_id)).where(JobRun.host_id.in_(marks) & OPEN_RUNS)
    )
    compiled = [database.get_sql_context().parse(query)[0] for query in (host, run)]
    return compiled[0], compiled[1]


def release(database: Database, owner: str, released: Iterable[tuple[str, int]]) -> None:
    """Give up hosts, each only while the epoch is still ours; in the order of their ids, as all do who hold several."""
    given = sorted(released)
    locked(database, Host.select(Host.id).where(Host.id.in_([host_id for host_id, _ in given])))
    for host_id, epoch in given:
        (
            Host.update(owner=None, rev=Host.rev + 1)
            .where((Host.id == host_id) & (Host.owner == owner) & (Host.epoch == epoch))
            .execute(database)
        )


def holder_of(database: Database, host_id: str) -> tuple[str | None, int] | None:
    """The owner and the epoch of a host, as its row has them."""
    return next(((row[0], row[1]) for row in rows(database, _holder, host_id)), None)


def _holder() -> Query:
    return Host.select(Host.owner, Host.epoch).where(Host.id == ARG)


def hosts_with_live_runs(database: Database) -> list[str]:
    """Hosts that held a run when the last server ended: they are brought back at start."""
    return [host_id for (host_id,) in rows(database, _live)]


def _live() -> Query:
    return JobRun.select(JobRun.host_id).where(LIVE_RUNS)


def due_by(
    database: Database, by: Millis, limit: int, *, owner: str | None = None, now: Millis = 0
) -> list[tuple[str, Millis]]:
    """Hosts with a retry or scheduled job that is due by then, and when; the earliest first. With `owner`, only its
    hosts and those that no living node owns.
    """
    found = rows(database, _due, by, limit) if owner is None else rows(database, _our_due, now, by, owner, limit)
    return [(row[0], row[1]) for row in found]


def _due() -> Query:
    due = SCHEDULED_RUNS & (JobRun.available_at <= ARG) & JobRun.host_id.is_null(False)
    return JobRun.select(JobRun.host_id, JobRun.available_at).where(due).order_by(JobRun.available_at).limit(ARG)


def _our_due() -> Query:
    return _ours(_due(), JobRun.host_id)


def expired_by(database: Database, by: Millis, limit: int, *, owner: str | None = None, now: Millis = 0) -> list[str]:
    """Hosts with a job that should have started by then and has not; `owner` as above."""
    found = (
        rows(database, _expired, by, limit) if owner is None else rows(database, _our_expired, now, by, owner, limit)
    )
    return [host_id for (host_id,) in found]


def _expired() -> Query:
    late = WAITING_JOBS_THAT_EXPIRE & (Job.start_before <= ARG)
    return Job.select(Job.host_id).where(late & Job.started_at.is_null() & Job.host_id.is_null(False)).limit(ARG)


def _our_expired() -> Query:
    return _ours(_expired(), Job.host_id)


def _ours(query: Any, host_id: Any) -> Query:
    """Narrowed to the hosts of one owner, and those that no living node owns. Values: now, the query's own, owner."""
    joined = query.join(Host, on=(Host.id == host_id)).join(Node, JOIN.LEFT_OUTER, on=living(ARG))
    ours: Query = joined.where((Host.owner == ARG) | Node.id.is_null())
    return ours
