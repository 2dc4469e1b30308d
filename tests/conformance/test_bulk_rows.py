"""What bulk operations read, on every database."""

from peewee import Database

from interlock.states import JobStatus
from store.job_lists import jobs_in
from store.jobs import JobFilter, statuses_of
from tests.support.rows import job_row, write_job

J = JobStatus


def jobs(database: Database, *statuses: JobStatus, org_id: str = "org") -> list[str]:
    """The ids of jobs with these statuses, oldest first."""
    made = [job_row(status=status, org_id=org_id) for status in statuses]
    for job in made:
        write_job(database, job)
    return [job.id for job in made]


def test_jobs_in_several_statuses_come_newest_first(database: Database) -> None:
    a, b, _, c, d = jobs(database, J.PENDING, J.RUNNING, J.FAILED, J.PENDING, J.RUNNING)
    jobs(database, J.PENDING, org_id="other")
    wanted = (J.PENDING, J.RUNNING)
    found = [(d, "RUNNING"), (c, "PENDING"), (b, "RUNNING"), (a, "PENDING")]
    assert jobs_in(database, "org", JobFilter(), wanted, 9) == found
    assert jobs_in(database, "org", JobFilter(), wanted, 3) == found[:3]
    assert jobs_in(database, "org", JobFilter(before_id=c), wanted, 9) == found[2:]
    assert jobs_in(database, "org", JobFilter(status="RUNNING"), wanted, 9) == found[::2]
    assert jobs_in(database, "org", JobFilter(status="FAILED"), wanted, 9) == []
    assert jobs_in(database, "org", JobFilter(type="SERVER_STOP"), wanted, 9) == []


def test_statuses_are_those_of_the_orgs_own_jobs(database: Database) -> None:
    a, b = jobs(database, J.PENDING, J.FAILED)
    (theirs,) = jobs(database, J.PENDING, org_id="other")
    assert statuses_of(database, "org", [a, b, theirs, "nothing"]) == {a: "PENDING", b: "FAILED"}
