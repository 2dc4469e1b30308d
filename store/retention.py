"""What has been kept long enough: finding it, in portions, and removing exactly what was found.

A finished job goes with its log lines, evidence, files' rows, late reports and runs; they first, it last, so that whatever
is interrupted is found again. A job that somebody tries afresh meanwhile stays: its row is looked at again, under a lock,
in the transaction that removes.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from peewee import Database, Expression, Model, PostgresqlDatabase, Tuple

from interlock.clock import Millis
from interlock.states import JobStatus
from store.job_lines import READ_OVER, SLACK, id_at
from store.models import (
    Asset,
    AuditEvent,
    BrowserSession,
    Enrolment,
    Evidence,
    Job,
    JobLog,
    JobRun,
    LateReport,
    Organization,
    SocketTicket,
)

ENDED = (JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED)
JOBS_AT_ONCE = 200  # of which a portion is made
OF_A_JOB: dict[str, type[Model]] = {  # in the order in which they go
    "job_log": JobLog,
    "evidence": Evidence,
    "asset": Asset,
    "late_report": LateReport,
    "job_run": JobRun,
}
_LOCK = 0x1E7E_10CD  # any constant: one node prunes at a time

Found = dict[str, list[str]]  # ids of rows, by table


class EndedJobs(NamedTuple):
    """Some that have been kept long enough, and the id to look on behind; None: that was all."""

    ids: list[str]
    after: str | None


def all_org_ids(database: Database) -> list[str]:
    """Every organization's."""
    return [str(org_id) for (org_id,) in Organization.select(Organization.id).tuples().execute(database)]


def begin_pruning(database: Database) -> bool:
    """Whether this connection is the one that may prune, until `end_pruning` or its own end. SQLite has one server."""
    if not isinstance(database, PostgresqlDatabase):
        return True
    return bool(database.execute_sql("SELECT pg_try_advisory_lock(%s)", (_LOCK,)).fetchone()[0])


def end_pruning(database: Database) -> None:
    """Let another node prune."""
    if isinstance(database, PostgresqlDatabase):
        database.execute_sql("SELECT pg_advisory_unlock(%s)", (_LOCK,))


def newest_jobs_end_at(database: Database, org_id: str, many: int) -> str | None:
    """The id of the org's `many`-th newest job, read part by part; None when it has not so many."""
    top, left = "zz", many
    while left > 0:
        step = min(left, READ_OVER)
        row = Tuple(Job.org_id, Job.id)
        within = Expression(row, "<", Tuple(org_id, top)) & Expression(row, ">=", Tuple(org_id, ""))
        order = (Job.org_id.desc(), Job.id.desc())
        query = Job.select(Job.id).where(within).order_by(*order).offset(step - 1).limit(1).tuples()
        found = [str(id_) for (id_,) in query.execute(database)]
        if not found:
            return None
        top, left = found[0], left - step
    return top


def ended_jobs(
    database: Database, org_id: str, status: JobStatus, before: Millis, below: str, after: str = ""
) -> EndedJobs:
    """Of the jobs of this status with ids in (after, below), the oldest first: those that ended before that instant (ms)."""
    columns = (Job.org_id, Job.status, Job.id)
    row = Tuple(*columns)
    within = Expression(row, ">", Tuple(org_id, status, after)) & Expression(row, "<", Tuple(org_id, status, below))
    query = Job.select(Job.id, Job.completed_at).where(within).order_by(*columns).limit(JOBS_AT_ONCE)
    found = list(query.tuples().execute(database))
    ids = [str(id_) for id_, ended_at in found if (ended_at or 0) < before]
    return EndedJobs(ids, str(found[-1][0]) if len(found) == JOBS_AT_ONCE else None)


def born_before(at: Millis) -> str:
    """What is behind the ids of all jobs that were created before that instant."""
    return id_at(at + SLACK)


def portion(database: Database, job_ids: Sequence[str], most: int) -> tuple[Found, bool]:
    """Up to `most` rows that go with these jobs; and whether the jobs are among them, as they are when nothing else of
    theirs is left behind.
    """
    found: Found = {}
    left = most
    for table, model in OF_A_JOB.items():
        columns: Any = model
        query = model.select(columns.id).where(columns.job_id.in_(list(job_ids))).limit(left + 1)
        ids = [str(id_) for (id_,) in query.tuples().execute(database)]
        found[table] = ids[:left]
        if len(ids) > left:
            return found, False
        left -= len(ids)
    found["job"] = list(job_ids)
    return found, True


def remove_jobs(database: Database, job_ids: Sequence[str], found: Found, before: Millis) -> dict[str, int]:
    """Remove these rows of these jobs, in a transaction of the caller's; how many of each table.

    A job that does not rest any more keeps what it has.
    """
    rests = Job.id.in_(list(job_ids)) & Job.status.in_(list(ENDED)) & (Job.completed_at < before)
    query: Any = Job.select(Job.id).where(rests).order_by(Job.id)
    if isinstance(database, PostgresqlDatabase):
        query = query.for_update("FOR UPDATE SKIP LOCKED")
    resting = [id_ for (id_,) in query.tuples().execute(database)]
    gone: dict[str, int] = {}
    for table, model in OF_A_JOB.items():
        columns: Any = model
        if ids := found.get(table):
            where = columns.id.in_(ids) & columns.job_id.in_(resting)
            gone[table] = model.delete().where(where).execute(database)
    if "job" in found and resting:
        gone["job"] = Job.delete().where(Job.id.in_(resting)).execute(database)
    return gone


def rows_of(database: Database, job_ids: Sequence[str]) -> dict[str, int]:
    """How many rows go with these jobs, by table."""
    counted: dict[str, int] = {}
    for table, model in OF_A_JOB.items():
        columns: Any = model
        counted[table] = model.select().where(columns.job_id.in_(list(job_ids))).count(database)
    return counted


# ---- what belongs to no job ------------------------------------------------------------------------------------------


class Plain(NamedTuple):
    """Rows that go by themselves: their table, their key, and what makes them old, given an instant (ms)."""

    model: type[Model]
    key: str
    old: Any  # Callable[[Millis], Expression]


PLAIN: dict[str, Plain] = {
    "audit_event": Plain(AuditEvent, "id", lambda at: AuditEvent.id < id_at(at)),
    "browser_session": Plain(BrowserSession, "id", lambda at: BrowserSession.expires_at < at),
    "socket_ticket": Plain(SocketTicket, "ticket_hash", lambda at: SocketTicket.expires_at < at),
    "enrolment": Plain(Enrolment, "id", lambda at: Enrolment.expires_at < at),
}


def old_rows(database: Database, table: str, before: Millis, most: int) -> list[str]:
    """The keys of up to `most` rows of that table that are older than that."""
    plain = PLAIN[table]
    key = getattr(plain.model, plain.key)
    query = plain.model.select(key).where(plain.old(before)).order_by(key).limit(most)
    return [str(found) for (found,) in query.tuples().execute(database)]


def count_old_rows(database: Database, table: str, before: Millis) -> int:
    """How many rows of that table are older than that."""
    plain = PLAIN[table]
    counted: int = plain.model.select().where(plain.old(before)).count(database)
    return counted


def remove_rows(database: Database, table: str, keys: Sequence[str], before: Millis) -> int:
    """Remove them, as far as they are still old, in a transaction of the caller's; how many."""
    plain = PLAIN[table]
    where = getattr(plain.model, plain.key).in_(list(keys)) & plain.old(before)
    removed: int = plain.model.delete().where(where).execute(database)
    return removed


def files_in_use(database: Database, hashes: Sequence[str]) -> set[str]:
    """Those of the SHA-256s (hex) to which a row leads."""
    query = Asset.select(Asset.sha256).where(Asset.sha256.in_(list(hashes))).distinct()
    return {str(sha256) for (sha256,) in query.tuples().execute(database)}
