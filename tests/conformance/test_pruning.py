"""What is old goes, with all that belongs to it, in small portions; what lives, or is young, stays."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from peewee import Database, OperationalError, SqliteDatabase

from interlock.clock import Millis
from interlock.states import JobStatus, RunStatus
from runtime.pruning import DAY, YOUNGEST, Policy, Pruner, writes_in
from store import open_database, retention
from store.database import how_to_begin
from store.job_lines import id_at
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
from tests.support.desk import Desk
from tests.support.plans import Explaining
from tests.support.rows import AT, job_row, run_row, write_job, write_run

NOW = AT + 100 * DAY
POLICY = Policy(jobs=30 * DAY, pause_seconds=0)
TABLES = (Job, JobRun, JobLog, Evidence, Asset, LateReport)


class Now:
    """A clock that stands."""

    def now(self) -> Millis:
        return NOW

    def chance(self) -> float:
        return 0.5


@pytest.fixture(autouse=True)
def orgs(database: Database) -> None:
    for org_id in ("org", "other"):
        Organization.insert(id=org_id, name=org_id, created_at=AT).execute(database)


def born(days_ago: float, number: int = 0) -> tuple[str, Millis]:
    """An id and the instant of its birth."""
    at = NOW - round(days_ago * DAY)
    return f"{id_at(at)}-7000-8000-{number:012x}", at


def job(desk: Desk, days_ago: float, status: JobStatus = JobStatus.COMPLETED, number: int = 0, **values: Any) -> str:
    """A job with a run, three lines, an item of evidence, a file and a late report; it ended a second after its birth."""
    id_, at = born(days_ago, number)
    ended = at + 1000 if status in retention.ENDED else None
    made = job_row(**({"id": id_, "created_at": at, "status": status, "completed_at": ended} | values))
    run = run_row(made, id=f"r{id_[1:]}", status=RunStatus.SUCCESS if ended else RunStatus.RUNNING, finished_at=ended)
    run.host_id = id_
    write_job(desk.database, made)
    write_run(desk.database, run)
    plain = {"org_id": made.org_id, "job_id": id_, "job_run_id": run.id}
    for seq in range(3):
        line = {"id": f"{seq}{id_[1:]}", "seq": seq, "line_no": seq, "level": "info", "message": "m", "created_at": at}
        JobLog.insert(plain | line).execute(desk.database)
    found = {"hash": "h", "size_bytes": 1, "created_at": at, "collected_at": at, "type": "t", "confidence": "low"}
    item = {"id": id_, "source": "s", "title": "t", "snippet": "{}"}
    Evidence.insert(plain | found | item).execute(desk.database)
    file = {"id": id_, "name": "n", "content_type": "a/b", "size_bytes": 1, "sha256": "5" * 64, "created_at": at}
    Asset.insert(plain | file).execute(desk.database)
    LateReport.insert(plain | {"id": id_, "received_at": at, "body": "{}", "body_hash": "b"}).execute(desk.database)
    return id_


def pruner(desk: Desk, tmp_path: Path, policy: Policy = POLICY, write: Any = None) -> Pruner:
    plain = writes_in(desk.database, how_to_begin(desk.database))
    return Pruner(desk.database, policy, write or plain, Now(), tmp_path / "assets")


def kept(desk: Desk) -> list[str]:
    return [id_ for (id_,) in Job.select(Job.id).order_by(Job.id).tuples().execute(desk.database)]


def rows(desk: Desk) -> list[int]:
    return [model.select().count(desk.database) for model in TABLES]


def test_an_old_finished_job_goes_with_all_that_belongs_to_it_and_the_others_stay(desk: Desk, tmp_path: Path) -> None:
    for number, status in enumerate(retention.ENDED):
        job(desk, 31, status, number)
    young = job(desk, 29)
    alive = [job(desk, 50, JobStatus.PENDING), job(desk, 60, JobStatus.RUNNING)]
    just_ended = job(desk, 70, completed_at=NOW - DAY)
    assert pruner(desk, tmp_path).round()
    assert kept(desk) == sorted([young, *alive, just_ended])
    assert rows(desk) == [4, 4, 12, 4, 4, 4]


def test_it_goes_in_portions_and_the_job_last(desk: Desk, tmp_path: Path) -> None:
    for number in range(25):
        job(desk, 40, number=number)
    sizes: list[int] = []
    plain = writes_in(desk.database, how_to_begin(desk.database))

    def write(work: Callable[[Database], Any]) -> Any:
        gone = plain(work)
        if isinstance(gone, dict):
            sizes.append(sum(number for table, number in gone.items() if table != "job"))
        orphans = JobLog.select().where(JobLog.job_id.not_in(kept(desk))).count(desk.database)
        assert orphans == 0, "a line without its job"
        return gone

    made = pruner(desk, tmp_path, POLICY._replace(rows_at_once=10), write)
    made.round()
    assert (kept(desk), rows(desk)) == ([], [0] * 6)
    assert max(sizes) <= 10
    assert made.counts["job"] == 25
    assert made.counts["job_log"] == 75


def test_what_was_interrupted_is_finished_by_the_next_round(desk: Desk, tmp_path: Path) -> None:
    for number in range(5):
        job(desk, 40, number=number)
    plain = writes_in(desk.database, how_to_begin(desk.database))
    left = iter(range(3))

    def write(work: Callable[[Database], Any]) -> Any:
        if next(left, None) is None:
            raise SystemExit("killed")
        return plain(work)

    with pytest.raises(SystemExit):
        pruner(desk, tmp_path, POLICY._replace(rows_at_once=10), write).round()
    assert len(kept(desk)) == 5
    assert rows(desk)[2] == 0
    pruner(desk, tmp_path).round()
    assert rows(desk) == [0] * 6


def test_a_job_that_is_tried_afresh_before_it_is_removed_keeps_all(desk: Desk, tmp_path: Path) -> None:
    old, afresh = job(desk, 40), job(desk, 41)
    plain = writes_in(desk.database, how_to_begin(desk.database))

    def write(work: Callable[[Database], Any]) -> Any:
        Job.update(status="PENDING", completed_at=None).where(Job.id == afresh).execute(desk.database)
        return plain(work)

    pruner(desk, tmp_path, write=write).round()
    assert kept(desk) == [afresh]
    assert old not in kept(desk)
    assert rows(desk) == [1, 1, 3, 1, 1, 1]


def test_of_too_many_jobs_the_oldest_finished_ones_go(desk: Desk, tmp_path: Path) -> None:
    for number in range(6):
        job(desk, 20 - number)
    waiting = job(desk, 25, JobStatus.PENDING)
    other = job(desk, 22, org_id="other")
    newest = job(desk, YOUNGEST / DAY / 2, number=9)
    pruner(desk, tmp_path, POLICY._replace(jobs_per_org=3)).round()
    assert len(kept(desk)) == 3 + 1 + 1
    assert {waiting, other, newest} <= set(kept(desk))


def test_what_goes_is_exported_first(desk: Desk, tmp_path: Path) -> None:
    id_ = job(desk, 40, payload='{"map":"de"}', payload_shown='{"map":null}')
    pruner(desk, tmp_path, POLICY._replace(export_folder=tmp_path / "out", rows_at_once=10)).round()
    (file,) = (tmp_path / "out").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert sorted(line["table"] for line in lines) == sorted(
        ["job", "job_run", "job_log", "job_log", "job_log", "evidence", "asset", "late_report"]
    )
    (found,) = [line for line in lines if line["table"] == "job"]
    assert (found["id"], found["payload"], found["status"]) == (id_, {"map": None}, "COMPLETED")
    assert found["createdAt"].endswith("Z")
    assert found["needsUserAction"] is False


def test_what_cannot_be_exported_stays(desk: Desk, tmp_path: Path) -> None:
    job(desk, 40)
    (tmp_path / "out").write_text("in the way")
    with pytest.raises(OSError, match="out"):
        pruner(desk, tmp_path, POLICY._replace(export_folder=tmp_path / "out")).round()
    assert rows(desk) == [1, 1, 3, 1, 1, 1]


def test_a_line_that_a_full_disk_has_cut_off_spoils_no_other(desk: Desk, tmp_path: Path) -> None:
    policy = POLICY._replace(export_folder=tmp_path / "out")
    job(desk, 40)
    pruner(desk, tmp_path, policy).round()
    (file,) = (tmp_path / "out").iterdir()
    whole = len(file.read_text().splitlines())
    with file.open("a") as half:
        half.write('{"table": "jo')
    job(desk, 41)
    pruner(desk, tmp_path, policy).round()
    lines = file.read_text().splitlines()
    assert len(lines) == 2 * whole + 1
    assert [json.loads(line)["table"] for line in lines[whole + 1 :]]


def test_sessions_tickets_enrolments_and_audit_lines_go_by_their_own_age(desk: Desk, tmp_path: Path) -> None:
    database = desk.database
    for number, days in enumerate((1, 500)):
        at = NOW - days * DAY
        plain = {"user_id": "u", "secret_hash": "s", "created_at": at, "last_seen_at": at}
        BrowserSession.insert(plain | {"id": f"s{number}", "expires_at": at + DAY // 2}).execute(database)
        SocketTicket.insert(ticket_hash=f"t{number}", session_id="s", expires_at=at).execute(database)
        made = {"labels": "{}", "max_uses": 1, "uses": 0, "expires_at": at, "created_at": at}
        Enrolment.insert(made | {"id": f"e{number}", "org_id": "org", "token_hash": str(number)}).execute(database)
        said = {"at": at, "actor_kind": "user", "action": "a", "target_kind": "job", "detail": "{}"}
        AuditEvent.insert(said | {"id": born(days)[0], "org_id": "org"}).execute(database)
    made_pruner = pruner(desk, tmp_path)
    made_pruner.round()
    left = [model.select().count(database) for model in (BrowserSession, SocketTicket, Enrolment, AuditEvent)]
    assert left == [1, 0, 1, 2]
    pruner(desk, tmp_path, POLICY._replace(audit=90 * DAY)).round()
    assert AuditEvent.select().count(database) == 1


def test_a_dry_run_says_what_would_go_and_removes_nothing(desk: Desk, tmp_path: Path) -> None:
    job(desk, 40)
    before = rows(desk)
    said = pruner(desk, tmp_path).would_remove()
    assert said == {"job": 1, "job_run": 1, "job_log": 3, "evidence": 1, "asset": 1, "late_report": 1}
    assert rows(desk) == before


def test_one_process_prunes_at_a_time(url: str, desk: Desk, tmp_path: Path) -> None:
    job(desk, 40)
    other = open_database(url)
    other.connect()
    mine = retention.begin_pruning(other)
    assert mine
    assert pruner(desk, tmp_path).round() is isinstance(other, SqliteDatabase)
    other.close()
    while not pruner(desk, tmp_path).round():
        pass  # PostgreSQL takes a moment to notice that the other has gone
    assert kept(desk) == []


def test_a_stop_ends_a_round_behind_its_portion(desk: Desk, tmp_path: Path) -> None:
    for number in range(5):
        job(desk, 40, number=number)
    made = pruner(desk, tmp_path, POLICY._replace(rows_at_once=10))
    made.stopping.set()
    assert made.round()
    assert rows(desk)[2] == 5


def test_nothing_is_found_by_reading_whole_tables(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(50):
        job(desk, 40 - number / 100, number=number)
    if not isinstance(desk.database, SqliteDatabase):
        desk.rows("ANALYZE")
    explaining = Explaining(desk.database)
    monkeypatch.setattr(desk.database, "execute_sql", explaining.execute)
    made = pruner(desk, tmp_path, POLICY._replace(jobs_per_org=40, rows_at_once=100))
    made._orphans = None  # type: ignore[assignment]  # the files' lookup is asked below
    for job_ids, before in made._old_jobs():
        found, _ = retention.portion(desk.database, job_ids, 100)
        retention.remove_jobs(desk.database, job_ids, found, before)
    retention.files_in_use(desk.database, ["5" * 64, "6" * 64])
    retention.old_rows(desk.database, "audit_event", NOW, 10)
    said = [plan for plan in explaining.scans() if "organization" not in plan]
    assert said == []


def test_a_transaction_that_ended_by_itself_says_why(database: Database) -> None:
    def fill(held: Database) -> None:
        held.execute_sql("ROLLBACK")
        raise OperationalError("database or disk is full")

    with pytest.raises(OperationalError, match="disk is full"):
        writes_in(database, how_to_begin(database))(fill)
