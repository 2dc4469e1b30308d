"""Rows for tests of the store: whole ones, with what matters given and the rest plain."""

import itertools
from dataclasses import asdict, replace
from typing import Any

from peewee import Database

from interlock.states import JobStatus, RunStatus
from store.models import Host, Job, JobRun
from store.rows import HostRow, JobRow, RunRow

_NUMBERS = itertools.count(1)
AT = 1_700_000_000_000


def new_id() -> str:
    """A UUIDv7 of the instant `AT` that sorts behind all before it."""
    born = f"{AT:012x}"
    return f"{born[:8]}-{born[8:]}-7000-8000-{next(_NUMBERS):012x}"


def host_row(**values: Any) -> HostRow:
    """A host that nobody owns."""
    plain = HostRow(
        id=new_id(),
        org_id="org",
        name="eu-3",
        kind="machine",
        labels="{}",
        created_at=AT,
        owner=None,
        epoch=0,
        next_seq=1,
        rev=0,
        paused=False,
        paused_by=None,
        note=None,
        paused_until=None,
        draining=False,
        drain_until=None,
        run_no=0,
        instance_id=None,
        declares=False,
        awaiting_idle=False,
        unhealthy=None,
        last_seen_at=None,
        delivered_at=None,
    )
    return replace(plain, **values)


def job_row(**values: Any) -> JobRow:
    """A job that waits."""
    plain = JobRow(
        id=new_id(),
        org_id="org",
        host_id="host",
        server_instance_id=None,
        type="SERVER_START",
        created_by_id=None,
        created_at=AT,
        payload="{}",
        policy=None,
        timeout_ms=600_000,
        priority=0,
        run_at=None,
    )
    made = replace(plain, **values)
    made.status = JobStatus(made.status)
    return made


def run_row(job: JobRow, **values: Any) -> RunRow:
    """The first attempt of a job, in line."""
    plain = RunRow(new_id(), job.id, job.org_id, job.host_id, 1, AT, RunStatus.PENDING)
    made = replace(plain, **values)
    made.status = RunStatus(made.status)
    return made


def write_host(database: Database, host: HostRow) -> None:
    """Insert it beside the journal."""
    Host.insert(asdict(host)).execute(database)


def write_job(database: Database, job: JobRow) -> None:
    """Insert it beside the journal."""
    Job.insert(asdict(job)).execute(database)


def write_run(database: Database, run: RunRow) -> None:
    """Insert it beside the journal."""
    JobRun.insert(asdict(run)).execute(database)
