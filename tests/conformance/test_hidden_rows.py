"""What a job hides, its trace, and how many runs are open: the same on every database."""

from interlock.states import RunStatus
from store.entries import run_change
from store.job_lists import list_jobs
from store.jobs import JobFilter, full_job, job_and_last_run
from store.open_runs import open_runs
from store.rows import JobRow
from tests.support.desk import Desk, created

HIDDEN = {"payload": '{"key":"s3cret","map":"dust"}', "payload_shown": '{"key":"***","map":"dust"}'}
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01 congo=t61,rojo=00f"


def job(desk: Desk, **values: object) -> JobRow:
    at = desk.host()
    made, run = at.new_job(**values)
    desk.committed(at.entry(*created(made, run)))
    return made


def test_the_row_keeps_the_real_payload_beside_what_is_shown_and_its_trace(desk: Desk) -> None:
    made = job(desk, trace=TRACE, **HIDDEN)
    full = full_job(desk.database, "org", made.id)
    again, _ = job_and_last_run(desk.database, made.id)
    assert full is not None
    for row in (full.job, again):
        assert row is not None
        assert (row.payload, row.payload_shown, row.trace) == (HIDDEN["payload"], HIDDEN["payload_shown"], TRACE)


def test_a_search_reads_what_is_shown(desk: Desk) -> None:
    hides, plain = job(desk, **HIDDEN), job(desk, payload='{"key":"s3cret"}')

    def found(text: str) -> list[str]:
        return [each.job.id for each in list_jobs(desk.database, "org", JobFilter(text=text), 10).jobs]

    assert found("s3cret") == [plain.id]
    assert found("dust") == found("***") == [hides.id]


def test_open_runs_are_counted_by_their_status(desk: Desk) -> None:
    assert open_runs(desk.database) == {}
    at = desk.host()
    ended, run = at.new_job()
    desk.committed(at.entry(*created(ended, run)))
    run.status, run.finished_at = RunStatus.CANCELLED, 1
    desk.committed(at.entry(run_change(run, RunStatus.PENDING)))
    job(desk)
    job(desk)
    desk.running_job(desk.host())
    assert open_runs(desk.database) == {"pending": 2, "running": 1}
