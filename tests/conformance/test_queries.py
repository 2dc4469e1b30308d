"""What is read for users and credentials is the same on every database."""

import threading
from typing import Any

import pytest
from peewee import Database

import store.jobs
from interlock.errors import InvalidRequest, NotFound
from interlock.states import JobStatus, RunStatus
from store import accounts
from store.accounts import By
from store.entries import Entry
from store.job_lists import list_jobs
from store.jobs import (
    JobFilter,
    full_job,
    glance_at_hosts,
    job_and_ended_run,
    job_and_last_run,
    job_and_run,
    jobs_of_runs,
    log_lines,
    org_and_host_of_job,
    pending_counts,
)
from store.keys import forget_key, forget_old_keys, keep_answer, stored_answer, take_key
from store.rows import JobRow
from tests.support.desk import Desk, append, created, log_line, moved
from tests.support.rows import AT, new_id

S = RunStatus
KEY = ("ann", "key", "print")


def by() -> By:
    return By("operator", None, AT, new_id())


# ---- jobs --------------------------------------------------------------------------------------------------------------


def job(desk: Desk, **values: object) -> JobRow:
    at = desk.host()
    made, run = at.new_job(**values)
    desk.committed(at.entry(*created(made, run)))
    return made


def found(desk: Desk, limit: int = 10, **narrow: object) -> list[str]:
    return [full.job.id for full in list_jobs(desk.database, "org", JobFilter(**narrow), limit).jobs]  # type: ignore[arg-type]


def test_a_list_is_newest_first_and_bounded_and_goes_on_behind_its_cursor(desk: Desk) -> None:
    jobs = [job(desk).id for _ in range(5)]
    job(desk, org_id="another")
    assert found(desk) == jobs[::-1]
    assert found(desk, 2) == jobs[:-3:-1]
    assert found(desk, before_id=jobs[2]) == [jobs[1], jobs[0]]


def test_a_list_is_narrowed_by_each_of_its_filters(desk: Desk) -> None:
    plain, other = job(desk), job(desk, type="SERVER_STOP", created_by_id="ann", created_at=AT + 5)
    running = desk.host()
    going, _ = desk.running_job(running)
    assert (
        found(desk, type="SERVER_STOP") == found(desk, created_by_id="ann") == found(desk, since=AT + 1) == [other.id]
    )
    assert found(desk, status="RUNNING") == found(desk, host_id=running.host.id) == [going.id]
    assert found(desk, text=plain.id) == [plain.id]
    assert found(desk, status="COMPLETED") == []


@pytest.mark.parametrize("text", ["100%", "a_b", "back\\slash", "it's", "%s", "?", "Ω漢😀", "[a-z]", '"quoted"'])
def test_a_text_is_looked_for_to_the_letter(desk: Desk, text: str) -> None:
    wanted = job(desk, payload=f"before {text} after")
    job(desk, payload="1000 aXb backXslash its 0 Ω a 'quoted'")
    assert found(desk, text=text) == [wanted.id]


def test_a_text_is_looked_for_whatever_its_case(desk: Desk) -> None:
    wanted = job(desk, payload='{"map":"De_Dust2"}')
    assert found(desk, text="dE_dUST2") == [wanted.id]
    assert found(desk, text="server_START") == [wanted.id]


def test_a_jobs_page_has_all_that_hangs_on_it(desk: Desk) -> None:
    at = desk.host()
    made, run = desk.running_job(at, created_by_id="ann")
    late = append("late_report", job_id=made.id, job_run_id=run.id, body="{}", body_hash="hash")
    desk.committed(at.entry(log_line(run, 1), log_line(run, 2), late))
    accounts.create_user(desk.database, "ann", email="ann@x.y", name="Ann", platform_admin=False, by=by())
    full = full_job(desk.database, "org", made.id)
    assert full is not None
    assert (full.job, full.runs, full.creator) == (made, [run], ("ann", "Ann", "ann@x.y"))
    assert (full.logs, [late[1:] for late in full.late_reports]) == (2, [(run.id, AT, "{}")])
    assert full_job(desk.database, "another", made.id) is None
    (listed,) = list_jobs(desk.database, "org", JobFilter(), 10).jobs
    assert (listed.job, listed.runs, listed.logs) == (made, [run], 2)


def test_a_jobs_page_shows_one_moment(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    at = desk.host()
    made, run = desk.running_job(at)
    read = store.jobs._job_of

    def read_slowly(database: Database, job_id: str) -> Any:
        """Between the job and its runs, somebody else ends it."""
        found = read(database, job_id)
        ended = at.entry(*moved(made, run, S.SUCCESS))
        other = threading.Thread(target=_commits, args=(desk, ended))
        other.start()
        other.join()
        return found

    monkeypatch.setattr(store.jobs, "_job_of", read_slowly)
    full = full_job(desk.database, "org", made.id)
    assert full is not None
    assert (full.job.status, [run.status for run in full.runs]) == (JobStatus.RUNNING, [S.RUNNING])
    monkeypatch.undo()
    full = full_job(desk.database, "org", made.id)
    assert full is not None
    assert (full.job.status, [run.status for run in full.runs]) == (JobStatus.COMPLETED, [S.SUCCESS])


def _commits(desk: Desk, ended: Entry) -> None:
    desk.committed(ended)
    desk.database.close()


def test_rows_of_a_job_and_of_a_run_are_found_together(desk: Desk) -> None:
    at = desk.host()
    made, run = desk.running_job(at)
    desk.committed(at.entry(*moved(made, run, S.SUCCESS)))
    assert job_and_run(desk.database, run.id) == job_and_last_run(desk.database, made.id) == (made, run)
    assert org_and_host_of_job(desk.database, made.id) == ("org", at.host.id)
    other = desk.host()
    assert jobs_of_runs(desk.database, at.host.id, [run.id, "nowhere"]) == {run.id: made.id}
    assert jobs_of_runs(desk.database, other.host.id, [run.id]) == {}
    for nowhere in (job_and_run, job_and_last_run):
        assert nowhere(desk.database, "nowhere") == (None, None)


def test_of_a_jobs_runs_the_last_that_went_out_to_the_host_and_has_ended_is_found(desk: Desk) -> None:
    at = desk.host()
    made, run = desk.running_job(at)
    assert job_and_ended_run(desk.database, made.id, at.host.id) == (None, None)
    never, waited = desk.waiting_job(at)
    waited.finished_at = 5
    desk.committed(at.entry(*moved(never, waited, S.CANCELLED)))
    assert job_and_ended_run(desk.database, never.id, at.host.id) == (None, None)
    run.run_no, run.finished_at = 7, 6
    desk.committed(at.entry(*moved(made, run, S.SUCCESS)))
    assert job_and_ended_run(desk.database, made.id, at.host.id) == (made, run)
    assert job_and_ended_run(desk.database, made.id, "other") == (None, None)
    assert job_and_ended_run(desk.database, "nowhere", at.host.id) == (None, None)


def test_a_glance_at_hosts_says_which_are_busy(desk: Desk) -> None:
    busy, paused = desk.host(last_seen_at=7), desk.host(paused=True, paused_until=9, unhealthy="cloned")
    desk.running_job(busy)
    glances = glance_at_hosts(desk.database, [busy.host.id, paused.host.id, "nowhere"])
    assert set(glances) == {busy.host.id, paused.host.id}
    one, other = glances[busy.host.id], glances[paused.host.id]
    assert (one.busy, one.last_seen_at, one.paused, one.draining) == (True, 7, False, False)
    assert (other.busy, other.paused, other.paused_until, other.unhealthy) == (False, True, 9, "cloned")


def test_log_lines_come_in_order_behind_the_last_one_that_was_read(desk: Desk) -> None:
    at = desk.host()
    made, run = desk.running_job(at)
    desk.committed(at.entry(*(log_line(run, number, f"line {number}") for number in (3, 1, 2))))
    assert [row[0] for row in log_lines(desk.database, made.id, 0, 10)] == [1, 2, 3]
    assert log_lines(desk.database, made.id, 1, 1) == [(2, run.id, "info", "line 1", None, AT)]


def test_waiting_jobs_are_counted_by_org(desk: Desk) -> None:
    for org_id in ("one", "one", "two"):
        job(desk, org_id=org_id)
    job(desk, org_id="one", status=JobStatus.RUNNING)
    assert pending_counts(desk.database, ["one", "two", "three"]) == {"one": 2, "two": 1}


# ---- idempotency keys ----------------------------------------------------------------------------------------------------


def test_a_key_is_taken_once_answered_later_and_forgotten(database: Database) -> None:
    for number in range(2):
        take_key(database, new_id(), "org", KEY, AT + number)
    assert stored_answer(database, "org", *KEY[:2]) == ("print", "", AT)
    keep_answer(database, "org", *KEY[:2], "the answer")
    assert stored_answer(database, "org", *KEY[:2]) == ("print", "the answer", AT)
    assert stored_answer(database, "another", *KEY[:2]) is None
    forget_key(database, "org", *KEY[:2])
    assert stored_answer(database, "org", *KEY[:2]) is None


def test_old_keys_are_forgotten_a_few_at_a_time(database: Database) -> None:
    for number in range(5):
        take_key(database, new_id(), "org", ("ann", f"key {number}", "print"), AT + number)
    assert [forget_old_keys(database, AT + 3, 2) for _ in range(3)] == [2, 1, 0]
    assert stored_answer(database, "org", "ann", "key 3") is not None


# ---- credentials ---------------------------------------------------------------------------------------------------------


def test_what_was_made_is_found_by_its_id_and_by_its_name(database: Database) -> None:
    assert not accounts.somebody_exists(database)
    accounts.create_org(database, "o", "acme", by())
    accounts.create_user(database, "u", email="ann@x.y", name="Ann", platform_admin=True, by=by())
    accounts.add_member(database, new_id(), "o", "u", "admin", by())
    accounts.create_host(database, "h", "o", "eu-3", by())
    accounts.create_key(database, "k", "o", "h", by())
    accounts.create_instance(database, "i", "o", "h", "dust", by())
    assert accounts.somebody_exists(database)
    assert accounts.person(database, "u") == accounts.person(database, "ann@x.y")
    assert accounts.person(database, "u") == accounts.Person("u", "ann@x.y", "Ann", platform_admin=True)
    assert (accounts.role_of(database, "o", "u"), accounts.orgs_of(database, "u")) == ("admin", ["o"])
    assert accounts.key_of(database, "k") == accounts.Key("k", "o", "h", None)
    assert (accounts.org_named(database, "acme"), accounts.host_named(database, "eu-3", "o")) == ("o", "h")
    assert (accounts.org_of_host(database, "h"), accounts.place_of_instance(database, "i")) == ("o", ("o", "h"))
    assert accounts.definition_of_type(database, "o", "MINE") is None


@pytest.mark.parametrize("name", ["", " ", "a\0b", "\udcff", "x" * 201, "two\nlines"])
def test_a_name_that_cannot_be_kept_is_refused_with_a_sentence(database: Database, name: str) -> None:
    with pytest.raises(InvalidRequest):
        accounts.create_org(database, new_id(), name, by())
    with pytest.raises(InvalidRequest):
        accounts.create_host(database, new_id(), "org", name, by())


@pytest.mark.parametrize("email", ["", "ann", "@x.y", "ann@", "a\0b@x.y", "\udcff@x.y", "x" * 321 + "@x.y"])
def test_an_address_that_cannot_be_kept_is_refused_with_a_sentence(database: Database, email: str) -> None:
    with pytest.raises(InvalidRequest):
        accounts.create_user(database, new_id(), email=email, name="Ann", platform_admin=False, by=by())


@pytest.mark.parametrize("name", ["", "nobody", "a\0b", "\udcff", "x" * 10_000])
def test_who_is_not_there_is_not_found_whatever_the_name(database: Database, name: str) -> None:
    assert accounts.person(database, name) is None
    with pytest.raises(NotFound):
        accounts.org_named(database, name)
    with pytest.raises(NotFound):
        accounts.host_named(database, name, "org")


def test_what_is_there_already_is_refused_with_a_sentence(database: Database) -> None:
    accounts.create_user(database, "u", email="ann@x.y", name="Ann", platform_admin=False, by=by())
    with pytest.raises(InvalidRequest, match="has an account already"), database.atomic():
        accounts.create_user(database, "v", email="ann@x.y", name="Ann", platform_admin=False, by=by())
    accounts.add_member(database, new_id(), "o", "u", "admin", by())
    with pytest.raises(InvalidRequest, match="is a member already"), database.atomic():
        accounts.add_member(database, new_id(), "o", "u", "viewer", by())
    assert accounts.role_of(database, "o", "u") == "admin"
