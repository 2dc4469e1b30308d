"""An organization at a glance. Every count stops at a bound, so that a million jobs cost as little as some thousands."""

from collections.abc import Callable
from typing import Any, NamedTuple

from peewee import JOIN, SQL, Database, Query, Select, fn

from interlock.clock import Millis
from interlock.states import JobStatus
from store.compiled import ARG, rows
from store.database import one_moment
from store.models import LIVE_RUNS, Host, Job, JobRun

OPEN = (JobStatus.PENDING, JobStatus.RUNNING)
ENDED = (JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED)


class HostAtWork(NamedTuple):
    """A host with what decides what it does. `live_status`: of the run in its slot."""

    id: str
    name: str
    last_seen_at: Millis | None
    unhealthy: str | None
    paused: bool
    paused_until: Millis | None
    draining: bool
    live_status: str | None


class Glance(NamedTuple):
    """Counts by status, how many jobs wait for their user, and the hosts, oldest first."""

    counts: dict[str, int]
    waiting_for_user: int
    hosts: list[HostAtWork]


def glance(database: Database, org_id: str, since: Millis, most: int) -> Glance:
    """Of one moment: open jobs, ended ones created since `since`, and hosts; no more than `most` of each kind."""
    first = first_id(since)
    with one_moment(database):
        counts = {status.value: _number(database, _open_jobs, org_id, status.value, most) for status in OPEN}
        counts |= {status.value: _number(database, _ended_jobs, org_id, status.value, first, most) for status in ENDED}
        waiting = _number(database, _waiting_jobs, org_id, JobStatus.RUNNING.value, True, most)
        hosts = [HostAtWork(*row) for row in rows(database, _hosts, org_id, most)]
    return Glance(counts, waiting, hosts)


def first_id(at: Millis) -> str:
    """Not greater than any UUIDv7 that was born at that time or later: jobs are found by their age without reading them."""
    digits = f"{max(0, at):012x}"
    return f"{digits[:8]}-{digits[8:12]}-7000-8000-000000000000"


def _number(database: Database, build: Callable[[], Query], *values: Any) -> int:
    number: int = rows(database, build, *values)[0][0]
    return number


def _counted(jobs: Query) -> Query:
    return Select([jobs.limit(ARG)], [fn.COUNT(SQL("1"))])


def _jobs() -> Query:
    return Job.select(Job.id).where((Job.org_id == ARG) & (Job.status == ARG))


def _open_jobs() -> Query:
    return _counted(_jobs())


def _ended_jobs() -> Query:
    return _counted(_jobs().where(Job.id >= ARG))


def _waiting_jobs() -> Query:
    """Those that run are no more than there are hosts."""
    return _counted(_jobs().where(Job.needs_user_action == ARG))


def _hosts() -> Query:
    columns = (Host.id, Host.name, Host.last_seen_at, Host.unhealthy, Host.paused, Host.paused_until, Host.draining)
    in_slot = (JobRun.host_id == Host.id) & LIVE_RUNS
    hosts = Host.select(*columns, JobRun.status).join(JobRun, JOIN.LEFT_OUTER, on=in_slot)
    return hosts.where(Host.org_id == ARG).order_by(Host.id).limit(ARG)
