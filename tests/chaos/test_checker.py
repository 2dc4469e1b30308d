"""The judge of `./scripts/chaos`: a true history passes, and each lie in it is found."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from chaos_rig.checker import Promises
from chaos_rig.final import Trespass
from chaos_rig.history import (
    Accepted,
    CancelAnswered,
    CancelAsked,
    Clashed,
    Ended,
    Fault,
    History,
    ReportAnswered,
    ReportSent,
    RetryAsked,
    Seen,
    Started,
    Taken,
    Wrong,
    read,
)
from chaos_rig.work import HOLDING, ONCE

from tests.chaos.tale import HOST, MS, WALL, Tale


@pytest.fixture
def tale() -> Tale:
    """Two jobs one after the other, the second with a failed attempt; a dashboard that has seen it all."""
    story = Tale()
    story.watch(1)
    story.done("one", 10, 20, 30)
    story.create("two", 40)
    story.attempt("two", 50, 60, "failed", last=False)
    story.attempt("two", 80, 90)
    return story


def test_a_true_history_breaks_no_promise(tale: Tale) -> None:
    tale.heal(5)
    tale.settle(200)
    tale.listed = {name: job.status for name, job in tale.jobs.items()}
    assert tale.violations() == []


# ---- machines ----------------------------------------------------------------------------------------------------


def test_two_runs_at_once_on_a_machine_overlap(tale: Tale) -> None:
    tale.create("three", 70)
    tale.attempt("three", 85, 95)
    assert "three/1 began on host host while two/2 ran" in tale.said


def test_a_run_that_dies_with_its_agent_is_over(tale: Tale) -> None:
    tale.add(
        Started(at=100 * MS, host=HOST, agent="a", run="x"),
        Ended(at=101 * MS, host=HOST, agent="a", run="x", how="died"),
        Started(at=102 * MS, host=HOST, agent="b", run="y"),
    )
    assert tale.violations() == []


def test_what_a_machines_own_lock_proves_to_be_alone_overlaps_nothing(tale: Tale) -> None:
    tale.add(
        Started(at=100 * MS, host=HOST, agent="a", run="x"),
        Started(at=102 * MS, host=HOST, agent="b", run="y", alone=True),
    )
    assert tale.violations() == []


def test_a_lock_that_is_held_is_an_overlap(tale: Tale) -> None:
    tale.add(Clashed(at=100 * MS, host=HOST, run="x"))
    assert tale.kinds == {"overlap"}


def test_a_run_that_begins_again_is_done_twice(tale: Tale) -> None:
    tale.add(Started(at=100 * MS, host=HOST, agent="b", run="one/1"))
    assert tale.kinds == {"doubled"}


def test_a_run_that_is_handed_to_a_busy_machine_is_an_overlap_even_if_it_does_not_begin(tale: Tale) -> None:
    tale.create("three", 70)
    tale.take("three", "three/1", 85, 9)
    tale.change("three", status="CANCELLED", runs=[])
    assert "three/1 was handed out to host host while two/2 ran" in tale.said


def test_the_late_answer_of_an_old_poll_with_a_run_that_is_known_is_none(tale: Tale) -> None:
    tale.take("one", "one/1", 85, 1, late=True)
    assert tale.violations() == []


def test_the_late_answer_of_an_old_poll_with_a_new_run_is_an_overlap(tale: Tale) -> None:
    tale.create("three", 70)
    tale.take("three", "three/1", 85, 4, late=True)
    assert "overlap" in tale.kinds


def test_a_late_answer_with_a_run_that_was_over_before_the_current_one_began_is_none() -> None:
    story = Tale()
    story.create("old", 10)
    story.attempt("old", 20, 30, "cancelled")
    for kind in (Taken, Started, Ended):
        story.without(kind, run="old/1")
    story.done("new", 35, 40, 60)
    story.take("old", "old/1", 50, 1, late=True, asked_at=15)
    assert story.violations() == []


def test_run_numbers_that_do_not_rise_are_found(tale: Tale) -> None:
    tale.change_run("two", 1, run_no=1)
    assert "run two/2 has number 1 after two/1 with 2" in tale.said


def test_rows_that_overlap_by_the_servers_stamps_are_found(tale: Tale) -> None:
    tale.change_run("one", finished_at=WALL + 55)
    assert tale.kinds == {"overlap"}


def test_a_write_by_a_node_that_had_lost_the_host_is_found(tale: Tale) -> None:
    tale.trespasses.append(Trespass(HOST, "a", "b", "wrote the host's row", WALL + 70))
    (found,) = tale.violations()
    assert (found.kind, found.said, found.at) == (
        "trespass",
        f"node a wrote the host's row when b had host {HOST}",
        70 * MS,
    )


# ---- jobs --------------------------------------------------------------------------------------------------------


def test_an_accepted_job_without_a_row_is_lost(tale: Tale) -> None:
    tale.add(Accepted(at=95 * MS, tag="three", job="three"))
    assert tale.kinds == {"lost"}


def test_an_accepted_job_that_never_ends_is_lost(tale: Tale) -> None:
    tale.create("three", 100)
    assert "three (three) has not ended" in tale.said


def test_jobs_that_are_left_when_patience_is_over_are_lost(tale: Tale) -> None:
    tale.settle(200, left=1)
    assert tale.kinds == {"lost"}


def test_a_create_that_was_repeated_must_name_the_same_job(tale: Tale) -> None:
    tale.add(Accepted(at=95 * MS, tag="one", job="two", replayed=True))
    assert tale.kinds == {"doubled"}


def test_two_jobs_of_one_request_are_found_even_if_nobody_was_told_of_the_second(tale: Tale) -> None:
    tale.jobs["copy"] = msgspec.structs.replace(tale.jobs["one"], id="copy", status="CANCELLED", runs=[])
    assert "one was made 2 times" in tale.said


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"status": "FAILED"}, "it did not end as its last run did"),
        ({"max_attempts": 1}, "it has more than 1 attempts"),
        ({"runs": []}, "it has no run"),
    ],
)
def test_a_job_whose_runs_tell_another_end_has_not_one_outcome(tale: Tale, changes: dict[str, Any], why: str) -> None:
    tale.change("two", **changes)
    assert why in tale.said


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"status": "running"}, "it has ended, a run of it has not"),
        ({"attempt": 2}, "its attempts are not counted one by one"),
        ({"finished_at": None}, "a run has ended at no time"),
    ],
)
def test_a_job_with_an_odd_run_has_not_one_outcome(tale: Tale, changes: dict[str, Any], why: str) -> None:
    tale.change_run("two", **changes)
    assert why in tale.said


def test_a_job_that_a_user_tries_afresh_may_count_from_one_again(tale: Tale) -> None:
    tale.add(RetryAsked(at=70 * MS, job="two"))
    tale.change_run("two", 1, attempt=1)
    assert tale.violations() == []


def test_what_may_not_be_repeated_when_nobody_knows_how_it_ended_is_not(tale: Tale) -> None:
    tale.change("two", type=ONCE)
    assert tale.violations() == []
    tale.change_run("two", status="lost")
    assert "it was repeated, though nobody knows how a run of it ended" in tale.said


def test_two_successes_in_the_rows_are_a_job_done_twice(tale: Tale) -> None:
    tale.change_run("two", status="success")
    assert "two succeeded 2 times" in tale.said


def test_two_successes_that_were_acknowledged_are_a_job_done_twice_whatever_the_rows_say(tale: Tale) -> None:
    ok = ReportAnswered(
        at=61 * MS, host=HOST, run="two/1", sent="success", answer=200, asked_at=60 * MS, status="success"
    )
    tale.add(ok)
    assert "successes of two/1, two/2 were acknowledged" in tale.said


def test_a_cancel_answered_200_must_be_final(tale: Tale) -> None:
    tale.add(CancelAsked(at=15 * MS, job="one"), CancelAnswered(at=16 * MS, job="one", status=200))
    assert "the cancel of job one was answered 200: COMPLETED" in tale.said


def test_a_cancel_answered_202_must_not_be_forgotten(tale: Tale) -> None:
    tale.add(CancelAsked(at=25 * MS, job="one"), CancelAnswered(at=26 * MS, job="one", status=202))
    assert "the cancel of job one was forgotten" in tale.said


def test_a_word_that_a_run_ended_too_early_to_heed_is_kept(tale: Tale) -> None:
    tale.add(CancelAsked(at=25 * MS, job="one"), CancelAnswered(at=26 * MS, job="one", status=202))
    (run,) = tale.jobs["one"].runs
    tale.change("one", runs=[msgspec.structs.replace(run, asked_to_stop="cancel")])
    assert tale.violations() == []


@pytest.mark.parametrize("status", [200, 202])
def test_nothing_begins_after_its_cancel_was_answered(tale: Tale, status: int) -> None:
    tale.add(CancelAsked(at=12 * MS, job="one"), CancelAnswered(at=13 * MS, job="one", status=status))
    assert f"job one was begun after its cancel had been answered {status}: one/1" in tale.said


@pytest.mark.parametrize("listed", [{"one": "COMPLETED"}, {"one": "COMPLETED", "two": "FAILED"}])
def test_lists_must_say_what_the_rows_say(tale: Tale, listed: dict[str, str]) -> None:
    tale.listed = listed
    assert tale.kinds & {"lost", "outcome"}


# ---- reports -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"status": "timed_out"}, "it was answered success and is timed_out"),
        ({"output": '{"proof":"two/1"}'}, "its output is another run's"),
    ],
)
def test_an_acknowledged_report_must_stand(tale: Tale, changes: dict[str, Any], why: str) -> None:
    tale.change_run("one", **changes)
    assert why in tale.said


def test_an_acknowledged_failure_that_will_be_retried_must_have_a_next_run(tale: Tale) -> None:
    tale.change("two", status="FAILED", runs=tale.jobs["two"].runs[:1])
    assert "willRetry was True, and the job has 1 runs" in tale.said


def test_a_run_that_is_handed_out_again_after_its_report_was_acknowledged_was_forgotten(tale: Tale) -> None:
    tale.take("one", "one/1", 40, 1)
    assert "one/1 was handed out again after its report had been acknowledged" in tale.said


def test_a_run_that_was_handed_out_must_be_known(tale: Tale) -> None:
    tale.add(ReportAnswered(at=70 * MS, host=HOST, run="one/1", sent="success", answer=404, asked_at=69 * MS))
    assert tale.kinds == {"report"}


def test_a_late_report_must_be_kept(tale: Tale) -> None:
    late = ReportAnswered(at=70 * MS, host=HOST, run="one/1", sent="failed", answer=409, asked_at=69 * MS, ended=True)
    tale.add(late)
    assert tale.kinds == {"report"}
    tale.late.add("one/1")
    assert tale.violations() == []


def test_a_result_that_nobody_reported_was_made_up(tale: Tale) -> None:
    tale.without(ReportSent, run="one/1")
    assert tale.kinds == {"report"}


# ---- order -------------------------------------------------------------------------------------------------------


def test_a_later_job_that_is_taken_first_is_out_of_order(tale: Tale) -> None:
    tale.create("first", 100)
    tale.create("second", 103)
    tale.attempt("second", 110, 120)
    tale.attempt("first", 130, 140)
    assert tale.kinds == {"order"}


def test_a_higher_priority_goes_first(tale: Tale) -> None:
    tale.create("low", 100)
    tale.create("high", 103, priority=5)
    tale.attempt("high", 110, 120)
    tale.attempt("low", 130, 140)
    assert tale.violations() == []
    tale.change("high", priority=-1)
    assert tale.kinds == {"order"}


def test_what_was_not_yet_answered_or_already_being_cancelled_does_not_count(tale: Tale) -> None:
    tale.create("cancelled", 100)
    tale.create("low", 103)
    tale.create("high", 109, priority=5)  # its 201 arrives while the other is being taken
    tale.add(CancelAsked(at=108 * MS, job="cancelled"), CancelAnswered(at=135 * MS, job="cancelled", status=202))
    tale.attempt("low", 110, 120)
    tale.attempt("high", 122, 124)
    tale.attempt("cancelled", 130, 140)
    tale.change("cancelled", cancel_requested=True)
    assert tale.violations() == []


def test_an_owner_may_overlook_another_nodes_urgent_job_for_as_long_as_is_promised(tale: Tale) -> None:
    tale.create("low", 100)
    tale.create("high", 103, priority=5)
    tale.attempt("low", 110, 120)
    tale.attempt("high", 130, 140)
    assert tale.kinds == {"order"}
    tale.promises = Promises(doorbell_ms=50)
    assert tale.violations() == []


def test_a_job_that_was_offered_may_have_been_chosen_some_time_before_it_started(tale: Tale) -> None:
    tale.create("low", 100)
    tale.create("high", 103, priority=5)
    tale.attempt("low", 29_000, 29_010)
    tale.attempt("high", 40_000, 40_010)
    assert tale.kinds == {"order"}
    tale.change_run("low", 0, offers=1)
    assert tale.violations() == []
    tale.change_run("low", 0, started_at=WALL + 31_000, finished_at=WALL + 31_010)
    assert "order" in tale.kinds


def test_a_retry_that_holds_its_host_lets_nothing_begin_before_it_is_due(tale: Tale) -> None:
    tale.create("held", 100, type=HOLDING)
    tale.attempt("held", 110, 120, "failed", last=False)
    tale.done("other", 121, 130, 140)
    tale.attempt("held", 160, 170)
    tale.change_run("held", 1, available_at=WALL + 125)
    assert tale.violations() == []
    tale.change_run("held", 1, available_at=WALL + 150)
    assert tale.kinds == {"order"}
    tale.change_run("held", 1, status="cancelled", started_at=None, finished_at=WALL + 129)
    assert "order" not in tale.kinds


# ---- events ------------------------------------------------------------------------------------------------------


def test_a_hole_in_the_numbers_is_found(tale: Tale) -> None:
    tale.see("job.log", 100, number=200)
    assert tale.kinds == {"event"}


def test_a_replay_goes_on_where_the_dashboard_was(tale: Tale) -> None:
    last = max(entry.seq for entry in tale.entries if isinstance(entry, Seen))
    tale.watch(100, after=last)
    tale.see("job.log", 101)
    assert tale.violations() == []
    tale.see("job.log", 102, number=last)
    assert tale.kinds == {"event"}


def test_a_gap_needs_a_cause(tale: Tale) -> None:
    tale.see("gap", 110, number=500)
    tale.see("job.log", 111)
    assert "nothing had been lost" in tale.said
    tale.add(Fault(at=105 * MS, kind="kill", target="a"))
    assert tale.violations() == []


def test_a_gap_never_goes_back(tale: Tale) -> None:
    tale.add(Fault(at=105 * MS, kind="kill", target="a"))
    tale.see("gap", 110, number=50)
    assert "a gap that goes back" in tale.said


@pytest.mark.parametrize("event", ["job.created", "job_run.started", "job_run.done"])
def test_an_event_that_did_not_come_true_was_told_too_early(tale: Tale, event: str) -> None:
    tale.see(event, 100, job="none", run="none/1", status="success")
    assert tale.kinds == {"event"}


def test_an_end_is_told_once(tale: Tale) -> None:
    tale.see("job_run.done", 100, job="one", run="one/1", status="success")
    assert "it was told before" in tale.said


def test_behind_a_gap_an_end_may_be_told_again(tale: Tale) -> None:
    tale.see("gap", 99)
    tale.see("job_run.done", 100, job="one", run="one/1", status="success")
    assert "it was told before" not in tale.said


def test_a_number_means_the_same_to_everybody(tale: Tale) -> None:
    tale.see("job.log", 100, watcher="screen", job="one", run="one/1")
    tale.see("job.log", 101, number=tale._frame, watcher="other", job="two", run="two/1")
    assert "to one and" in tale.said


def test_a_dashboard_that_was_there_must_have_heard(tale: Tale) -> None:
    tale.heal(5)
    tale.settle(200)
    tale.without(Seen, event="job_run.done", run="two/2")
    said = [violation.said for violation in tale.violations()]
    assert said == ["screen was never told job_run.done of two/2"]


def test_what_happened_before_a_gap_need_not_have_been_heard(tale: Tale) -> None:
    tale.heal(5)
    tale.settle(200)
    tale.without(Seen, event="job_run.done", run="two/2")
    tale.add(Fault(at=95 * MS, kind="kill", target="a"))
    tale.see("gap", 100, number=500)
    assert tale.violations() == []


# ---- the rest ----------------------------------------------------------------------------------------------------


def test_an_error_of_a_server_is_a_violation(tale: Tale) -> None:
    tale.add(Wrong(at=100 * MS, who="user", said="500"))
    assert tale.kinds == {"wrong"}


def test_a_history_is_read_back_as_it_was_written_in_the_order_of_its_instants(tale: Tale, tmp_path: Path) -> None:
    paths = tmp_path / "even", tmp_path / "odd"
    for half, path in enumerate(paths):
        history = History(path)
        for entry in tale.entries[half::2]:
            history.note(entry)
        history.close()
    with paths[0].open("ab") as file:
        file.write(b'{"what":"Start')  # a writer that was killed
    assert read(paths) == sorted(read(paths), key=lambda entry: entry.at)
    assert sorted(map(str, read(paths))) == sorted(map(str, tale.entries))
