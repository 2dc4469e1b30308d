"""A committer and its rows at a test's desk: hosts to claim, decisions to hand in, and what the tables then hold."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from peewee import Database

from interlock.states import JobStatus, RunStatus
from store import Committed, Entry, Incarnation, Outcome, Refused
from store.claims import claim
from store.committer import Committer
from store.entries import Append, Change, job_change, run_change
from store.rows import JOB_COLUMNS, RUN_COLUMNS, HostRow, JobRow, RunRow, host_image, job_from, run_from
from store.statements import APPENDABLE
from tests.support.rows import AT, host_row, job_row, new_id, run_row, write_host


class Desk:
    """Everything is written by the committer but hosts, which come to be beside it."""

    def __init__(self, database: Database, committer: Committer) -> None:
        self.database = database
        self.committer = committer

    # ---- hosts -----------------------------------------------------------------------------------------------------

    def host(self, **values: Any) -> "Claim":
        """A new host, claimed."""
        host = host_row(**values)
        write_host(self.database, host)
        return self.claim(host.id)

    def claim(self, host_id: str) -> "Claim":
        """The host, by its present owner's word."""
        with self.database.atomic(*self.committer.begin):
            claimed = claim(self.database, self.committer.owner, [host_id])[host_id]
        return Claim(claimed.host, Incarnation(host_id, claimed.host.epoch))

    # ---- commits ---------------------------------------------------------------------------------------------------

    def commit(self, *entries: Entry) -> list[Outcome]:
        """What becomes of the decisions, handed in together."""
        return self.committer.commit(entries)

    def committed(self, *entries: Entry) -> list[Committed]:
        """The same, where every one must be written."""
        outcomes = self.commit(*entries)
        assert all(isinstance(outcome, Committed) for outcome in outcomes), outcomes
        return [outcome for outcome in outcomes if isinstance(outcome, Committed)]

    def refused(self, *entries: Entry) -> list[Refused]:
        """The same, where none may be written."""
        outcomes = self.commit(*entries)
        assert all(isinstance(outcome, Refused) for outcome in outcomes), outcomes
        return [outcome for outcome in outcomes if isinstance(outcome, Refused)]

    def waiting_job(self, at: "Claim", **values: Any) -> tuple[JobRow, RunRow]:
        """A job in line, committed."""
        job, run = at.new_job(**values)
        (outcome,) = self.committed(at.entry(*created(job, run)))
        job.seq = outcome.seqs[job.id]
        return job, run

    def running_job(self, at: "Claim", **values: Any) -> tuple[JobRow, RunRow]:
        """A job that runs, committed."""
        job, run = self.waiting_job(at, **values)
        self.committed(at.entry(*moved(job, run, RunStatus.RUNNING)))
        return job, run

    # ---- what the tables hold --------------------------------------------------------------------------------------

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Any statement without values; what it gives back, if it does."""
        cursor = self.database.execute_sql(sql)
        return list(cursor.fetchall()) if cursor.description else []

    def one(self, sql: str) -> tuple[Any, ...]:
        """A query with one row."""
        (row,) = self.rows(sql)
        return tuple(row)

    def stored_job(self, job_id: str) -> JobRow:
        """The job as the table holds it."""
        return job_from(self.one(f"SELECT {', '.join(JOB_COLUMNS)} FROM job WHERE id = '{job_id}'"))  # noqa: S608

    def stored_run(self, run_id: str) -> RunRow:
        """The run as the table holds it."""
        return run_from(self.one(f"SELECT {', '.join(RUN_COLUMNS)} FROM job_run WHERE id = '{run_id}'"))  # noqa: S608

    def status_of(self, run: RunRow) -> str:
        """The run's status as stored."""
        return str(self.one(f"SELECT status FROM job_run WHERE id = '{run.id}'")[0])  # noqa: S608 - our own id

    def count(self, table: str) -> int:
        """How many rows."""
        return int(self.one(f"SELECT count(*) FROM {table}")[0])  # noqa: S608 - our own name

    def fence(self, at: "Claim") -> tuple[Any, ...]:
        """The host's owner, epoch, next place and revision."""
        return self.one(f"SELECT owner, epoch, next_seq, rev FROM host WHERE id = '{at.host.id}'")  # noqa: S608


class Claim:
    """One incarnation of a host, and the rows as it remembers them."""

    def __init__(self, host: HostRow, incarnation: Incarnation) -> None:
        self.host = host
        self.incarnation = incarnation

    def entry(self, *changes: Change, done: Callable[[Outcome], None] = lambda _: None) -> Entry:
        """A decision with these changes."""
        return Entry(self.incarnation, host_image(self.host), list(changes), done)

    def new_job(self, **values: Any) -> tuple[JobRow, RunRow]:
        """A job of this host and its first run, not yet written."""
        job = job_row(host_id=self.host.id, **values)
        return job, run_row(job)


def created(job: JobRow, run: RunRow) -> tuple[Change, Change]:
    """A new job and its first run."""
    return job_change(job, None, new_seq=True), run_change(run, None)


def moved(job: JobRow, run: RunRow, to: RunStatus) -> tuple[Change, Change]:
    """A run that moves, with its job; both are changed in memory too."""
    was, run.status = run.status, to
    before = job.status
    if to is RunStatus.RUNNING:
        job.status = JobStatus.RUNNING
    elif to is RunStatus.SUCCESS:
        job.status = JobStatus.COMPLETED
    return job_change(job, before), run_change(run, was)


def append(table: str, **values: Any) -> Append:
    """A row for one of the tables that only grow."""
    plain = {"id": new_id(), "org_id": "org", "created_at": AT, "received_at": AT, "at": AT}
    return Append(table, tuple((plain | values).get(column) for column in APPENDABLE[table]))


def log_line(run: RunRow, line_no: int | None, message: str = "a line") -> Append:
    """A line of a run's log; the commit gives it its number within the job."""
    return append("job_log", job_id=run.job_id, job_run_id=run.id, line_no=line_no, level="info", message=message)


def copy_of(job: JobRow, run: RunRow) -> tuple[JobRow, RunRow]:
    """The rows as another incarnation would read them."""
    return replace(job), replace(run)
