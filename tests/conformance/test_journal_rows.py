"""What the journal writes: lines and reports once, and every value to the letter."""

from typing import Any

import pytest

from interlock.states import JobStatus, RunStatus
from store import Committed, Refused
from store.entries import job_change, run_change
from store.rows import JOB_COLUMNS, RUN_COLUMNS, job_image, run_image
from tests.support.desk import Desk, append, created, log_line
from tests.support.rows import job_row, run_row

S = RunStatus
BIGGEST = 2**63 - 1


# ---- what is only ever inserted ----------------------------------------------------------------------------------------


def test_a_log_line_that_comes_again_is_left_as_it_is(desk: Desk) -> None:
    at = desk.host()
    _, run = desk.running_job(at)
    desk.committed(at.entry(log_line(run, 1, "first"), log_line(run, 2, "second")))
    desk.committed(at.entry(log_line(run, 1, "again"), log_line(run, 2, "again"), log_line(run, 3, "third")))
    assert desk.rows("SELECT seq, message FROM job_log ORDER BY seq") == [(1, "first"), (2, "second"), (5, "third")]


def test_a_log_line_that_comes_twice_in_one_batch_is_kept_once(desk: Desk) -> None:
    at = desk.host()
    _, run = desk.running_job(at)
    desk.committed(at.entry(log_line(run, 1, "first")), at.entry(log_line(run, 1, "again")))
    assert desk.rows("SELECT message FROM job_log") == [("first",)]


def test_lines_of_the_servers_own_have_no_number_and_are_all_kept(desk: Desk) -> None:
    at = desk.host()
    _, run = desk.running_job(at)
    desk.committed(at.entry(log_line(run, None), log_line(run, None)))
    assert desk.count("job_log") == 2


def test_lines_of_another_attempt_may_have_the_same_numbers(desk: Desk) -> None:
    at = desk.host()
    job, run = desk.running_job(at)
    second = run_row(job, attempt=2)
    desk.committed(at.entry(log_line(run, 1)), at.entry(log_line(second, 1)))
    assert desk.count("job_log") == 2


def test_a_late_report_is_kept_once_and_another_about_the_same_run_too(desk: Desk) -> None:
    at = desk.host()
    job, run = desk.running_job(at)
    for digest in ("one", "one", "two"):
        late = append("late_report", job_id=job.id, job_run_id=run.id, body="{}", body_hash=digest)
        desk.committed(at.entry(late))
    assert desk.rows("SELECT body_hash FROM late_report ORDER BY body_hash") == [("one",), ("two",)]


def test_an_idempotency_key_that_is_used_already_fails_the_whole_creation(desk: Desk) -> None:
    at = desk.host()
    values = {"user_id": "ann", "key": "key", "fingerprint": "print", "response": "{}"}
    desk.committed(at.entry(*created(*at.new_job()), append("idempotency_key", **values)))
    desk.refused(at.entry(*created(*at.new_job()), append("idempotency_key", **values)))
    assert desk.count("job") == desk.count("idempotency_key") == 1


def test_audit_lines_are_written_with_what_they_tell_of(desk: Desk) -> None:
    at = desk.host()
    job, run = at.new_job()
    line = {"actor_kind": "user", "actor_id": "ann", "action": "job.create", "target_kind": "job", "target_id": job.id}
    desk.committed(at.entry(*created(job, run), append("audit_event", detail="{}", **line)))
    assert desk.one("SELECT org_id, action, target_id, request_id FROM audit_event") == (
        "org",
        "job.create",
        job.id,
        None,
    )


# ---- to the letter -----------------------------------------------------------------------------------------------------

TEXTS = ["", " ", "\\", "'; DROP TABLE job; --", "%s ? :x", "{}", "\t\r\n", "ÅΩ漢😀\u200f\ufffe", "x" * 300_000]


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_text_comes_back_to_the_letter(desk: Desk, text: str) -> None:
    at = desk.host()
    job, run = desk.waiting_job(at, payload=text)
    run.error_message = run.output = text
    desk.committed(at.entry(run_change(run, S.PENDING), log_line(run, 1, text)))
    assert desk.stored_job(job.id).payload == text
    assert (desk.stored_run(run.id).error_message, desk.stored_run(run.id).output) == (text, text)
    assert desk.one("SELECT message FROM job_log") == (text,)


def test_whole_numbers_up_to_64_bits_come_back(desk: Desk) -> None:
    at = desk.host()
    job, run = desk.waiting_job(at, timeout_ms=BIGGEST, run_at=-BIGGEST - 1)
    run.duration_ms, run.available_at, run.run_no = BIGGEST, 0, 2**53 + 1
    desk.committed(at.entry(run_change(run, S.PENDING)))
    assert (desk.stored_job(job.id).timeout_ms, desk.stored_job(job.id).run_at) == (BIGGEST, -BIGGEST - 1)
    kept = desk.stored_run(run.id)
    assert (kept.duration_ms, kept.available_at, kept.run_no) == (BIGGEST, 0, 2**53 + 1)


@pytest.mark.parametrize(
    "values",
    [{"timeout_ms": BIGGEST + 1}, {"timeout_ms": 2**200}, {"payload": "\ud800"}, {"payload": None}],
    ids=["65 bits", "200 bits", "lone surrogate", "nothing"],
)
def test_what_no_column_can_keep_fails_its_host_alone(desk: Desk, values: dict[str, Any]) -> None:
    wrong, right = desk.host(), desk.host()
    outcomes = desk.commit(wrong.entry(*created(*wrong.new_job(**values))), right.entry(*created(*right.new_job())))
    assert [type(outcome) for outcome in outcomes] == [Refused, Committed]
    assert desk.count("job") == 1


def test_a_nul_comes_back_or_fails_its_host_alone(desk: Desk) -> None:
    wrong, right = desk.host(), desk.host()
    job, run = wrong.new_job(payload="a\0b")
    outcomes = desk.commit(wrong.entry(*created(job, run)), right.entry(*created(*right.new_job())))
    assert isinstance(outcomes[1], Committed)
    if isinstance(outcomes[0], Committed):
        assert desk.stored_job(job.id).payload == "a\0b"
    else:
        assert desk.count("job") == 1


def test_every_column_of_a_job_and_a_run_comes_back(desk: Desk) -> None:
    at = desk.host()
    job, run = desk.waiting_job(at)
    for number, name in enumerate(JOB_COLUMNS[JOB_COLUMNS.index("max_attempts") :]):
        if name != "status":
            kind = type(getattr(job_row(), name))
            setattr(
                job,
                name,
                True if kind is bool else number if kind is int or name.endswith(("_at", "rank")) else f"t{number}",
            )
    for number, name in enumerate(RUN_COLUMNS[RUN_COLUMNS.index("available_at") :]):
        texts = {"instance_id", "taken_after", "error_code", "error_message", "output", "report_hash"}
        if name not in {
            "stop_reason",
            "asked_to_stop",
            "pool_labels",
            "pool_priority",
        }:  # no owner ever writes the last three
            setattr(run, name, True if name == "leased" else f"t{number}" if name in texts else number)
    desk.committed(at.entry(job_change(job, JobStatus.PENDING), run_change(run, S.PENDING)))
    assert desk.stored_job(job.id) == job
    assert desk.stored_run(run.id) == run
    assert (job_image(desk.stored_job(job.id)), run_image(desk.stored_run(run.id))) == (
        job_image(job),
        run_image(run),
    )
