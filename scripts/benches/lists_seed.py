"""Many jobs of organizations of very different size, with what makes lists slow: filters that match nearly all, few,
none, or only what is oldest.
"""

from collections.abc import Iterator
from itertools import islice

from peewee import Database

from benches.bulk import writer_of
from interlock.states import JobStatus, RunStatus
from store.database import how_to_begin
from store.rows import JobRow, RunRow, job_image, run_image

BIG, MIDDLE, SMALL, TINY = (f"0000000{number}-0000-7000-8000-000000000000" for number in range(1, 5))
HOSTS = 500  # of the big organization
OLD_HOST = "old-host"  # had the first twentieth of the jobs, and none since
ANN, BOB = "ann", "bob"  # nearly all jobs are Ann's
COMMON, SECOND, RARE, OLD_TYPE = "SERVER_START", "SERVER_STOP", "google_maps", "PUBLISH_POST"
BEGAN = 1_700_000_000_000  # ms; a job every 100 ms from then on
EVERY = 100
NEEDLE = "needle"  # in the payload of one job in 250,000
_AT_ONCE = 20_000
_TWENTIETH, _FIFTH = 20, 5


def job_id(at: int, number: int) -> str:
    """A UUIDv7 of that instant (ms)."""
    head = f"{at:012x}"
    return f"{head[:8]}-{head[8:]}-7000-8000-{number:012x}"


def sow_jobs(database: Database, many: int) -> None:
    """So many ended jobs, the newest hundredth of them waiting, each with its run; committed part by part."""
    writer = writer_of(database)
    rows = _rows(many)
    while part := list(islice(rows, _AT_ONCE)):
        with database.atomic(*how_to_begin(database)):
            writer.jobs([job_image(job) for job, _ in part])
            writer.runs([run_image(run) for _, run in part])
    writer.tidy()


def _rows(many: int) -> Iterator[tuple[JobRow, RunRow]]:
    for number in range(many):
        at = BEGAN + number * EVERY
        status = _status(number, many)
        ended = None if status is JobStatus.PENDING else at + 50
        job = JobRow(
            id=job_id(at, number),
            org_id=_org(number, many),
            host_id=OLD_HOST if number < many // _TWENTIETH else f"host-{number % HOSTS}",
            server_instance_id=None,
            type=_type(number, many),
            created_by_id=BOB if number % 20_000 == 7 else ANN,  # noqa: PLR2004 - any
            created_at=at,
            payload=f'{{"map":"de_dust2","note":"{NEEDLE if number % 250_000 == 11 else "hay"}"}}',  # noqa: PLR2004 - any
            policy=None,
            timeout_ms=600_000,
            priority=0,
            run_at=None,
        )
        job.seq, job.status, job.completed_at, job.started_at = number, status, ended, ended
        run = RunRow(job_id(at, number), job.id, job.org_id, job.host_id, 1, at, _RUN[status])
        run.finished_at = ended
        yield job, run


_RUN = {
    JobStatus.PENDING: RunStatus.PENDING,
    JobStatus.COMPLETED: RunStatus.SUCCESS,
    JobStatus.FAILED: RunStatus.FAILED,
    JobStatus.CANCELLED: RunStatus.CANCELLED,
}


def _org(number: int, many: int) -> str:
    """One in a thousand is the small one's, the tiny one has ten of the oldest."""
    if number < 10 * 7 and number % 7 == 0:
        return TINY
    if number % 1000 == 3:  # noqa: PLR2004 - any
        return SMALL
    return MIDDLE if number % 13 == 5 and number < many - many // 10 else BIG  # noqa: PLR2004 - any


def _status(number: int, many: int) -> JobStatus:
    if number >= many - many // 100:
        return JobStatus.PENDING
    if number < many // _TWENTIETH:
        return JobStatus.CANCELLED
    return JobStatus.FAILED if number % 50 == 9 else JobStatus.COMPLETED  # noqa: PLR2004 - any


def _type(number: int, many: int) -> str:
    if number % 50_000 == 17:  # noqa: PLR2004 - any
        return RARE
    if number < many // _FIFTH:
        return OLD_TYPE
    return SECOND if number % 10 == 1 else COMMON
