"""An organization at a glance, on every database."""

from typing import Any

import pytest
from peewee import Database, SqliteDatabase

from interlock.states import JobStatus, RunStatus
from store.summary import first_id, glance
from tests.support.rows import host_row, job_row, new_id, run_row, write_host, write_job, write_run

MOST = 100


def jobs(database: Database, status: JobStatus, count: int, **values: Any) -> None:
    for _ in range(count):
        write_job(database, job_row(org_id="org", status=status, **values))


def test_open_jobs_are_all_counted_and_ended_ones_while_they_are_young(database: Database) -> None:
    jobs(database, JobStatus.PENDING, 3)
    jobs(database, JobStatus.RUNNING, 2)
    jobs(database, JobStatus.RUNNING, 1, needs_user_action=True)
    jobs(database, JobStatus.FAILED, 2)
    write_job(database, job_row(org_id="other", status=JobStatus.PENDING))
    for last, status in enumerate((JobStatus.COMPLETED, JobStatus.PENDING)):
        for at in (4_999, 5_000):
            write_job(database, job_row(org_id="org", status=status, id=f"{first_id(at)[:-1]}{last}"))
    seen = glance(database, "org", 5_000, MOST)
    assert seen.counts == {"PENDING": 5, "RUNNING": 3, "COMPLETED": 1, "FAILED": 2, "CANCELLED": 0}
    assert seen.waiting_for_user == 1


def test_no_count_goes_beyond_its_bound(database: Database) -> None:
    jobs(database, JobStatus.PENDING, 4)
    for _ in range(4):
        write_host(database, host_row(org_id="org"))
    seen = glance(database, "org", 0, 3)
    assert (seen.counts["PENDING"], len(seen.hosts)) == (3, 3)


def test_hosts_come_with_what_is_in_their_slot(database: Database) -> None:
    made = [host_row(org_id="org", name=f"eu-{number}") for number in range(3)]
    for host in (*made, host_row(org_id="other")):
        write_host(database, host)
    for host, status in ((made[0], RunStatus.RUNNING), (made[1], RunStatus.SUCCESS), (made[1], RunStatus.PENDING)):
        job = job_row(org_id="org", host_id=host.id)
        write_job(database, job)
        write_run(database, run_row(job, status=status, finished_at=1 if status is RunStatus.SUCCESS else None))
    seen = glance(database, "org", 0, MOST)
    assert [(host.name, host.live_status) for host in seen.hosts] == [
        ("eu-0", "running"),
        ("eu-1", None),
        ("eu-2", None),
    ]


def test_an_id_is_never_less_than_the_first_of_its_time() -> None:
    fresh = new_id()
    born = int(fresh.replace("-", "")[:12], 16)
    assert first_id(born) <= fresh < first_id(born + 1)
    assert first_id(-1) == first_id(0)


def test_jobs_are_counted_in_an_index_alone(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    if not isinstance(database, SqliteDatabase):
        pytest.skip("PostgreSQL plans by what it has counted, which is nothing yet")
    execute: Any = database.execute_sql
    plans: list[str] = []

    def explained(sql: str, params: Any = None) -> Any:
        if sql.startswith("SELECT COUNT"):
            plans.extend(row[-1] for row in execute(f"EXPLAIN QUERY PLAN {sql}", params).fetchall())
        return execute(sql, params)

    monkeypatch.setattr(database, "execute_sql", explained)
    glance(database, "org", 0, MOST)
    covering = [plan for plan in plans if "USING COVERING INDEX job_org_id_status_id" in plan]
    assert len(covering) == len(JobStatus)
