"""Queries over jobs and runs. They run on the reading threads and activate nobody."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from peewee import JOIN, Database, Query, fn

from interlock.clock import Millis
from store.claims import host_of
from store.compiled import ARG, rows
from store.database import one_moment
from store.models import LIVE_RUNS, OPEN_RUNS, Evidence, Host, Job, JobLog, JobRun, LateReport, ServerInstance, User
from store.rows import (
    JOB_COLUMNS,
    RUN_COLUMNS,
    HostRow,
    JobRow,
    RunRow,
    job_from,
    run_from,
)

LATE_SHOWN = 20  # late reports that a job shows: the newest
_JOB = [getattr(Job, name) for name in JOB_COLUMNS]
_RUN = [getattr(JobRun, name) for name in RUN_COLUMNS]


# An open run is the last, even if the node that made it is behind in time of the one that ended the run before.
_OLDEST_FIRST = (JobRun.finished_at.is_null(), JobRun.id)


@dataclass(slots=True)
class FullJob:
    """A job with all that its page shows."""

    job: JobRow
    runs: list[RunRow]
    creator: tuple[str, str, str] | None = None  # id, name, email
    logs: int = 0
    late_reports: list[tuple[str, str, Millis, str]] = field(default_factory=list)  # id, run, when, body
    evidence: int = 0

    @property
    def id(self) -> str:
        """The job's."""
        return self.job.id


@dataclass(frozen=True, slots=True)
class JobFilter:
    """What a list is narrowed to; None is everything."""

    status: str | None = None
    type: str | None = None
    host_id: str | None = None
    created_by_id: str | None = None
    since: Millis | None = None
    text: str | None = None
    before_id: str | None = None  # a cursor of what is read newest first: ids sort by birth


def job_and_run(database: Database, run_id: str) -> tuple[JobRow | None, RunRow | None]:
    """A run and its job."""
    run = next(map(run_from, rows(database, _run, run_id)), None)
    return (None, None) if run is None else (_job_of(database, run.job_id), run)


def job_and_last_run(database: Database, job_id: str) -> tuple[JobRow | None, RunRow | None]:
    """A job and its latest run."""
    job = _job_of(database, job_id)
    runs = rows(database, _runs, job_id)
    return (None, None) if job is None else (job, run_from(runs[-1]))


def job_and_ended_run(database: Database, job_id: str, host_id: str) -> tuple[JobRow | None, RunRow | None]:
    """A job and, of its runs that went out to this host, the last that has ended; nothing when there is none."""
    run = next(map(run_from, rows(database, _ended_run, job_id, host_id)), None)
    return (None, None) if run is None else (_job_of(database, job_id), run)


def jobs_of_runs(database: Database, host_id: str, run_ids: Sequence[str]) -> dict[str, str]:
    """The job of each of these runs that is or was this host's."""
    query = JobRun.select(JobRun.id, JobRun.job_id).where(JobRun.id.in_(run_ids) & (JobRun.host_id == host_id))
    return dict(query.tuples().execute(database))


def _job_of(database: Database, job_id: str) -> JobRow | None:
    return next(map(job_from, rows(database, _job, job_id)), None)


def _run() -> Query:
    return JobRun.select(*_RUN).where(JobRun.id == ARG)


def _runs() -> Query:
    return JobRun.select(*_RUN).where(JobRun.job_id == ARG).order_by(*_OLDEST_FIRST)


def _ended_run() -> Query:
    ended = JobRun.finished_at.is_null(False) & JobRun.run_no.is_null(False)
    of = (JobRun.job_id == ARG) & (JobRun.host_id == ARG)
    return JobRun.select(*_RUN).where(of & ended).order_by(JobRun.run_no.desc())


def _job() -> Query:
    return Job.select(*_JOB).where(Job.id == ARG)


def host_and_waiting(database: Database, host_id: str) -> tuple[HostRow, int] | None:
    """A host, and how many runs wait on it."""
    host = host_of(database, host_id)
    return None if host is None else (host, rows(database, _waiting_count, host_id)[0][0])


def _waiting_count() -> Query:
    return JobRun.select(fn.COUNT(JobRun.id)).where((JobRun.host_id == ARG) & OPEN_RUNS & ~LIVE_RUNS)


def org_and_host_of_job(database: Database, job_id: str) -> tuple[str, str | None] | None:
    """Whose job it is, and which host's."""
    return next(((row[0], row[1]) for row in rows(database, _place_of_job, job_id)), None)


def _place_of_job() -> Query:
    return Job.select(Job.org_id, Job.host_id).where(Job.id == ARG)


def full_job(database: Database, org_id: str, job_id: str) -> FullJob | None:
    """A job of this org with its runs (oldest first), creator, counts and late reports, all of one moment."""
    with one_moment(database):
        return _full_job(database, org_id, job_id)


def _full_job(database: Database, org_id: str, job_id: str) -> FullJob | None:
    job = _job_of(database, job_id)
    if job is None or job.org_id != org_id:
        return None
    return FullJob(
        job,
        [run_from(columns) for columns in rows(database, _runs, job_id)],
        _creator_of(database, job.created_by_id),
        rows(database, _log_count, job_id)[0][0],
        [(row[0], row[1], row[2], row[3]) for row in reversed(rows(database, _late, job_id, LATE_SHOWN))],
        rows(database, _evidence_count, job_id)[0][0],
    )


def _creator() -> Query:
    return User.select(User.id, User.name, User.email).where(User.id == ARG)


def _log_count() -> Query:
    return JobLog.select(fn.COUNT(JobLog.id)).where(JobLog.job_id == ARG)


def _evidence_count() -> Query:
    return Evidence.select(fn.COUNT(Evidence.id)).where(Evidence.job_id == ARG)


def _late() -> Query:
    columns = (LateReport.id, LateReport.job_run_id, LateReport.received_at, LateReport.body)
    return LateReport.select(*columns).where(LateReport.job_id == ARG).order_by(LateReport.id.desc()).limit(LATE_SHOWN)


def statuses_of(database: Database, org_id: str, job_ids: Sequence[str]) -> dict[str, str]:
    """The statuses of those of the jobs that the org has; some hundreds at once."""
    query = Job.select(Job.id, Job.status).where(Job.id.in_(job_ids) & (Job.org_id == org_id))
    return dict(query.tuples().execute(database))


def with_latest_runs(database: Database, jobs: list[JobRow]) -> list[FullJob]:
    """These jobs, each with its latest run."""
    if not jobs:
        return []
    latest: dict[str, RunRow] = {}
    ids = [job.id for job in jobs]
    runs = JobRun.select(*_RUN).where(JobRun.job_id.in_(ids)).order_by(*_OLDEST_FIRST)
    for columns in runs.tuples().execute(database):
        run = run_from(columns)
        latest[run.job_id] = run
    people = {id_: _creator_of(database, id_) for id_ in {job.created_by_id for job in jobs}}
    logs, evidence = _counts(database, JobLog, ids), _counts(database, Evidence, ids)
    return [
        FullJob(job, [latest[job.id]], people[job.created_by_id], logs.get(job.id, 0), evidence=evidence.get(job.id, 0))
        for job in jobs
    ]


def _counts(database: Database, model: type[JobLog | Evidence], job_ids: list[str]) -> dict[str, int]:
    """How many rows hang on each of these jobs; a job without any is not in it."""
    query = model.select(model.job_id, fn.COUNT(model.id)).where(model.job_id.in_(job_ids)).group_by(model.job_id)
    return dict(query.tuples().execute(database))


def _creator_of(database: Database, user_id: str | None) -> tuple[str, str, str] | None:
    return next(((row[0], row[1], row[2]) for row in rows(database, _creator, user_id)), None)


@dataclass(slots=True)
class HostGlance:
    """What a list needs of a host to say why its jobs wait."""

    paused: bool
    paused_by: str | None  # the person's name
    note: str | None
    paused_until: Millis | None
    draining: bool
    unhealthy: str | None
    awaiting_idle: bool
    last_seen_at: Millis | None
    busy: bool


def glance_at_hosts(database: Database, host_ids: Sequence[str]) -> dict[str, HostGlance]:
    """The hosts of a page of jobs, in two queries."""
    live = JobRun.select(JobRun.host_id).where(JobRun.host_id.in_(host_ids) & LIVE_RUNS)
    busy = {host_id for (host_id,) in live.tuples().execute(database)}
    columns = (
        Host.id,
        Host.paused,
        User.name,
        Host.note,
        Host.paused_until,
        Host.draining,
        Host.unhealthy,
        Host.awaiting_idle,
        Host.last_seen_at,
    )
    named = Host.select(*columns).join(User, JOIN.LEFT_OUTER, on=(User.id == Host.paused_by))
    query = named.where(Host.id.in_(host_ids)).tuples().execute(database)
    return {name: HostGlance(*(*known, name in busy)) for name, *known in query}


def instance_of_job(database: Database, job_id: str) -> tuple[str | None, str | None]:
    """The server instance that the job is about, if it is about one, and the host on which that is now, if it is."""
    found = Job.select(Job.server_instance_id, ServerInstance.host_id).where(Job.id == job_id)
    joined = found.join(ServerInstance, JOIN.LEFT_OUTER, on=(ServerInstance.id == Job.server_instance_id))
    return next(iter(joined.tuples().execute(database)), (None, None))


def log_lines(
    database: Database, job_id: str, after: int, limit: int
) -> list[tuple[int, str, str, str, int | None, Millis]]:
    """Up to `limit` lines after the given number, oldest first: seq, run, level, message, progress, when."""
    query = (
        JobLog.select(JobLog.seq, JobLog.job_run_id, JobLog.level, JobLog.message, JobLog.progress, JobLog.created_at)
        .where((JobLog.job_id == job_id) & (JobLog.seq > after))
        .order_by(JobLog.seq)
        .limit(limit)
    )
    return list(query.tuples().execute(database))


def pending_counts(database: Database, org_ids: Sequence[str]) -> dict[str, int]:
    """Waiting jobs by org."""
    query = (
        Job.select(Job.org_id, fn.COUNT(Job.id))
        .where(Job.org_id.in_(org_ids) & (Job.status == "PENDING"))
        .group_by(Job.org_id)
    )
    return dict(query.tuples().execute(database))
