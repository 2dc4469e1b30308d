"""The queries that run all the time are answered from an index, however many rows there are."""

from typing import Any

import pytest
from peewee import SqliteDatabase

from interlock.states import JobStatus
from store.assets import asset_page
from store.audit_trail import AuditFilter, audit_page
from store.claims import claim, due_by, expired_by, hosts_with_live_runs, read_open
from store.evidence import evidence_page
from store.fleet import hosts_page, instances_page
from store.job_lists import list_jobs
from store.jobs import JobFilter, full_job, glance_at_hosts, job_and_ended_run, log_lines
from store.keys import stored_answer
from tests.support.desk import Desk, append, created
from tests.support.plans import Explaining
from tests.support.rows import job_row, new_id, run_row

MANY = 200  # ended jobs of other hosts, so that some indexes are better than others


@pytest.fixture
def explaining(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Explaining:
    """With a history of ended jobs, and one host in the midst of its work."""
    at = desk.host(id="a")
    pairs = [at.new_job(status=JobStatus.COMPLETED) for _ in range(MANY)]
    for job, run in pairs:
        job.host_id = run.host_id = new_id()
        run.status, run.finished_at = run.status.SUCCESS, 1
    desk.committed(at.entry(*(change for pair in pairs for change in created(*pair))))
    job = job_row(host_id="a", id="j", start_before=1)
    line = append("job_log", job_id="j", job_run_id="r", level="info", message="a line")
    scheduled = job_row(host_id="a")
    retried = run_row(scheduled, status="scheduled", available_at=1)
    desk.committed(at.entry(*created(job, run_row(job, id="r", status="running")), *created(scheduled, retried), line))
    if not isinstance(desk.database, SqliteDatabase):
        desk.rows("ANALYZE")
    made = Explaining(desk.database)
    monkeypatch.setattr(desk.database, "execute_sql", made.execute)
    return made


@pytest.mark.parametrize(
    ("ask", "index"),
    [
        (lambda database: read_open(database, ["a"]), "job_run_open"),
        (lambda database: claim(database, "me", ["a"]), "job_run_open"),
        (hosts_with_live_runs, "job_run_one_live"),
        (lambda database: due_by(database, 1, 10), "job_run_due"),
        (lambda database: expired_by(database, 1, 10), "job_expiring"),
        (lambda database: glance_at_hosts(database, ["a"]), "job_run_one_live"),
        (lambda database: full_job(database, "org", "j"), "jobrun_job_id"),
        (lambda database: job_and_ended_run(database, "j", "a"), "jobrun_job_id"),
        (lambda database: list_jobs(database, "org", JobFilter(), 10), "jobrun_job_id"),
        (lambda database: list_jobs(database, "org", JobFilter(status="FAILED"), 10), "job_org_id_status_id"),
        (lambda database: log_lines(database, "j", 0, 10), "joblog_job_id_seq"),
        (lambda database: evidence_page(database, "j", "", 10), "evidence_job_id_id"),
        (lambda database: asset_page(database, "j", "", 10), "asset_job_id_id"),
        (lambda database: audit_page(database, "org", AuditFilter(), "", 10), "auditevent_org_id_id"),
        (
            lambda database: audit_page(database, "org", AuditFilter(action="job.cancel"), "z", 10),
            "auditevent_org_id_id",
        ),
        (lambda database: hosts_page(database, "org", "", 10), "host_"),
        (lambda database: instances_page(database, "org", "", 10), "server"),
        (lambda database: stored_answer(database, "org", "ann", "key"), "idempotencykey_org_id_user_id_key"),
    ],
)
def test_a_query_that_runs_all_the_time_uses_its_index(
    desk: Desk, explaining: Explaining, ask: Any, index: str
) -> None:
    ask(desk.database)
    assert any(index in plan for plan in explaining.plans), explaining.plans
    assert explaining.scans() == [], explaining.plans
