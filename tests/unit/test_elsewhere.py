"""What users ask of a host that another node owns, in every order with what its owner does meanwhile."""

from collections import deque
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from actors.messages import AppendLogs, Beat, CreateJob, Idempotency, Line, NoteProgress
from interlock.errors import InvalidState, NotFound, QuotaExceeded, Unavailable
from store import nodes
from tests.support.hosts import NEW_JOB, USER, answer_of
from tests.support.region import Region, Side
from tests.support.rows import host_row, write_host


@pytest.fixture
def region() -> Iterator[Region]:
    made = Region()
    yield made
    assert made.a.directory.failures + made.b.directory.failures == []


def made_at(side: Side, host_id: str, **fields: Any) -> str:
    """A job, committed there and heard of everywhere; its id."""
    reply = side.create(host_id, **fields)
    side.region.settle()
    return str(msgspec.json.decode(reply.get())["id"])


def taken(side: Side, host_id: str) -> str:
    """The run that a poll there gets."""
    poll = side.poll(host_id)
    side.region.settle()
    run_id = answer_of(poll).job_run_id
    assert run_id is not None
    return run_id


# ---- facts -----------------------------------------------------------------------------------------------------------------


def test_a_job_is_appended_its_owner_rung_and_nothing_taken_over(region: Region) -> None:
    host_id = region.host()
    owner = region.owner(host_id)
    reply = region.b.create(host_id)
    region.b.settle()
    assert msgspec.json.decode(reply.get())["status"] == "PENDING"
    assert region.rings == [("a", host_id)]
    assert (region.owner(host_id), region.b.directory.hosts) == (owner, {})
    region.ring()
    assert len(taken(region.a, host_id)) > 0


def test_jobs_that_are_asked_for_together_stand_in_line_in_that_order(region: Region) -> None:
    host_id = region.host()
    replies = [region.b.create(host_id) for _ in range(6)]
    region.b.settle()  # readings come back newest first
    made = [msgspec.json.decode(reply.get())["id"] for reply in replies]
    found = region.database.execute_sql("SELECT id FROM job WHERE host_id = ? ORDER BY seq", (host_id,)).fetchall()
    assert [job_id for (job_id,) in found] == made


def test_a_waiting_job_is_cancelled_in_the_rows_and_its_owner_forgets_it(region: Region) -> None:
    host_id = region.host()
    job_id = made_at(region.a, host_id)
    reply = region.b.cancel(host_id, job_id)
    region.settle()
    assert (reply.get(), region.runs(job_id)) == (True, ["cancelled"])
    poll = region.a.poll(host_id)
    region.settle()
    assert answer_of(poll).taken is None


def test_a_running_job_is_left_a_word_which_its_owner_heeds(region: Region) -> None:
    host_id = region.host()
    job_id = made_at(region.a, host_id)
    taken(region.a, host_id)
    reply = region.b.cancel(host_id, job_id)
    region.b.settle()
    assert (reply.get(), region.runs(job_id)) == (False, ["running"])
    region.ring()
    assert region.runs(job_id) == ["cancelling"]


def test_a_cancel_behind_a_force_does_not_weaken_it(region: Region) -> None:
    host_id = region.host()
    job_id = made_at(region.a, host_id)
    taken(region.a, host_id)
    for force in (True, False):
        region.b.cancel(host_id, job_id, force=force)
        region.b.settle()
    region.ring()
    assert region.runs(job_id) == ["cancelled"]


def test_a_cancel_of_a_run_that_is_over_its_time_keeps_it_from_being_tried_again(region: Region) -> None:
    host_id = region.host()
    job_id = made_at(region.a, host_id, timeout_ms=1000)
    run_id = taken(region.a, host_id)
    region.at += 1000
    region.due(host_id)
    assert region.runs(job_id) == ["cancelling"]
    region.b.cancel(host_id, job_id)
    region.settle()
    region.a.report(host_id, run_id, "cancelled")
    region.settle()
    assert region.runs(job_id) == ["cancelled"]


def test_a_job_is_tried_afresh_and_stands_behind_all_others(region: Region) -> None:
    host_id = region.host()
    job_id = made_at(region.a, host_id, max_attempts=1)
    region.a.report(host_id, taken(region.a, host_id), "failed")
    region.settle()
    before = made_at(region.a, host_id)
    region.b.retry(host_id, job_id)
    region.settle()
    region.a.report(host_id, taken(region.a, host_id))
    region.settle()
    assert (region.runs(before), region.runs(job_id)) == (["success"], ["failed", "pending"])


def test_what_cannot_be_is_refused_as_its_owner_would(region: Region) -> None:
    host_id = region.host()
    job_id = made_at(region.a, host_id)
    refusals = [region.b.retry(host_id, job_id), region.b.cancel(host_id, "nowhere")]
    region.settle()
    region.a.report(host_id, taken(region.a, host_id))
    region.settle()
    refusals.append(region.b.cancel(host_id, job_id))
    region.settle()
    assert [type(reply.error) for reply in refusals] == [InvalidState, NotFound, InvalidState]


def test_a_host_that_is_gone_is_not_found(region: Region) -> None:
    host_id = region.host()
    reply = region.b.create(host_id)
    region.b.look()()
    region.database.execute_sql("DELETE FROM host WHERE id = ?", (host_id,))
    region.b.settle()
    assert isinstance(reply.error, NotFound)


def test_the_hosts_quota_counts_what_is_just_being_appended() -> None:
    region = Region(max_pending_per_host=3)
    host_id = region.host()
    replies = [region.b.create(host_id) for _ in range(5)]
    region.b.settle()
    assert [isinstance(reply.error, QuotaExceeded) for reply in replies] == [False] * 3 + [True] * 2


def test_a_job_whose_key_another_node_has_just_used_is_not_made_twice(region: Region) -> None:
    host_id = region.host()
    key = Idempotency("ann", "once", "body")
    job = msgspec.structs.replace(NEW_JOB, host_id=host_id)
    at_b, _ = (side.ask(host_id, CreateJob(job=job, by=USER, idempotency=key)) for side in (region.b, region.a))
    while region.b.readings:
        region.b.look()()
    region.a.settle()
    region.b.write()
    region.b.look()()
    assert (at_b.done, region.b.queue) == (True, deque())  # nor tried as often as what might still succeed
    assert isinstance(at_b.error, Unavailable)
    assert region.one("SELECT COUNT(*) FROM job") == 1


# ---- races -----------------------------------------------------------------------------------------------------------------


def test_a_cancel_that_is_late_for_the_take_becomes_a_word(region: Region) -> None:
    host_id = region.host()
    job_id = made_at(region.a, host_id)
    reply = region.b.cancel(host_id, job_id)
    region.b.look()()  # who owns it
    bring = region.b.look()  # it waits
    taken(region.a, host_id)
    bring()
    region.settle()
    assert (reply.get(), region.runs(job_id)) == (False, ["cancelling"])


def test_a_take_that_is_late_for_the_cancel_hands_out_nothing(region: Region) -> None:
    host_id = region.host()
    job_id, following = made_at(region.a, host_id), made_at(region.a, host_id)
    poll = region.a.poll(host_id, waits=True)  # decided, and not yet written
    region.b.cancel(host_id, job_id)
    region.b.settle()
    assert not poll.answer.done
    region.settle()
    assert (region.runs(job_id), region.runs(following)) == (["cancelled"], ["running"])
    assert answer_of(poll).job_run_id is not None


def test_log_lines_that_the_owner_writes_meanwhile_keep_their_numbers(region: Region) -> None:
    host_id = region.host()
    job_id = made_at(region.a, host_id, max_attempts=1)
    run_id = taken(region.a, host_id)
    region.a.report(host_id, run_id, "failed")
    region.settle()
    reply = region.b.retry(host_id, job_id)
    region.b.look()()
    bring = region.b.look()
    logged(region, host_id, run_id)  # they trail the result
    bring()
    region.settle()
    assert reply.error is None
    logged(region, host_id, taken(region.a, host_id))
    assert region.one("SELECT log_seq FROM job WHERE id = ?", job_id) == 2
    assert region.one("SELECT COUNT(*) FROM job_log") == 2


def logged(region: Region, host_id: str, run_id: str) -> None:
    reply = region.a.ask(host_id, AppendLogs(job_run_id=run_id, lines=(Line(1, "info", "hello", None),)))
    region.settle()
    assert reply.error is None, reply.error


def test_a_word_that_the_last_owner_never_heard_comes_before_what_the_agent_says(region: Region) -> None:
    host_id = region.host()
    job_id = made_at(region.a, host_id)
    run_id = taken(region.a, host_id)
    region.b.cancel(host_id, job_id)
    region.b.settle()
    nodes.leave(region.database, "a")
    reply = region.b.report(host_id, run_id, "failed")
    region.b.settle()
    assert (reply.get().status, reply.get().will_retry) == ("failed", False)
    assert region.runs(job_id) == ["failed"]


def test_a_node_that_takes_the_host_over_while_it_appends_knows_what_it_has_appended(region: Region) -> None:
    host_id = region.host()
    reply = region.b.create(host_id)
    region.b.look()()  # the owner is another node
    region.b.look()()  # decided
    region.b.queue.rotate(-1)
    poll = region.b.poll(host_id, waits=True)
    region.b.queue.rotate(1)  # the claim is written first
    region.b.settle()
    assert reply.error is None
    assert answer_of(poll).taken is not None


def test_after_an_outage_no_run_ends_by_time_alone_before_its_agent_could_report(region: Region) -> None:
    host_id = region.host()
    job_id = made_at(region.a, host_id, timeout_ms=1000)
    run_id = taken(region.a, host_id)
    region.a.directory.abandon()
    region.at += 60_000
    region.a.directory.resume()
    region.a.directory.activate([host_id])
    region.settle()
    assert region.runs(job_id) == ["running"]
    region.a.report(host_id, run_id)
    region.settle()
    assert region.runs(job_id) == ["success"]


# ---- an owner who does not know yet that it is none any more -----------------------------------------------------------------


def test_a_result_of_a_run_that_another_node_has_started_is_not_refused_for_good(region: Region) -> None:
    host_id = region.host()
    made_at(region.a, host_id)
    poll = region.b.poll(host_id)
    region.b.settle()  # the ring to A is lost
    reply = region.a.report(host_id, answer_of(poll).job_run_id or "")
    region.a.settle()
    assert isinstance(reply.error, Unavailable)


def test_a_run_is_not_handed_out_again_by_who_has_lost_it(region: Region) -> None:
    host_id = region.host()
    made_at(region.a, host_id)
    run_id = taken(region.a, host_id)
    region.b.poll(host_id, running=(run_id,))
    region.b.settle()
    region.b.report(host_id, run_id)
    region.b.settle()
    region.rings.clear()
    poll = region.a.poll(host_id)  # idle: by A's memory its run never arrived
    region.a.settle()
    assert isinstance(poll.answer.error, Unavailable)
    assert host_id not in region.a.directory.hosts


def test_a_run_is_not_replayed_by_who_has_lost_it(region: Region) -> None:
    host_id = region.host()
    made_at(region.a, host_id)
    made_at(region.a, host_id)
    first = taken(region.a, host_id)
    second = region.a.report(host_id, first, take_next=True)
    region.settle()
    region.b.poll(host_id, running=(second.get().next.job_run_id,))
    region.b.settle()
    region.b.report(host_id, second.get().next.job_run_id)
    region.b.settle()
    region.rings.clear()
    again = region.a.report(host_id, first, take_next=True)
    region.a.settle()
    assert isinstance(again.error, Unavailable)


def test_who_has_lost_a_host_neither_stops_its_runs_nor_sends_its_agent_away(region: Region) -> None:
    host_id = region.host()
    job_id = made_at(region.a, host_id)
    taken(region.a, host_id)
    region.a.cancel(host_id, job_id, force=True)  # the gate is closed
    region.settle()
    made_at(region.a, host_id)
    poll = region.b.poll(host_id)
    region.b.settle()
    run_id = answer_of(poll).job_run_id or ""
    region.rings.clear()
    beat = region.a.ask(host_id, Beat(instance_id="one", running=(run_id,)))
    region.a.settle()
    assert isinstance(beat.error, Unavailable)


def test_who_has_lost_a_host_does_not_call_its_new_process_superseded(region: Region) -> None:
    host_id = region.host()
    region.b.poll(host_id, instance="two")
    region.b.settle()
    region.rings.clear()
    beat = region.a.ask(host_id, Beat(instance_id="two", running=()))
    region.a.settle()
    assert isinstance(beat.error, Unavailable)


def test_what_users_ask_of_who_has_lost_a_host_reaches_its_owner(region: Region) -> None:
    host_id = region.host()
    job_id = made_at(region.a, host_id, max_attempts=1)
    poll = region.b.poll(host_id)
    region.b.settle()
    region.b.report(host_id, answer_of(poll).job_run_id or "", "failed")
    region.b.settle()
    region.rings.clear()
    reply = region.a.retry(host_id, job_id)
    region.settle()
    assert reply.error is None
    assert region.runs(job_id) == ["failed", "pending"]


def test_what_both_nodes_are_asked_for_a_host_that_nobody_has_is_all_made(region: Region) -> None:
    host = host_row()
    write_host(region.database, host)
    replies = [side.create(host.id) for side in (region.a, region.b) for _ in range(3)]
    for side in (region.a, region.b):
        while side.readings:
            side.look()()  # nobody owns it
    region.a.write()  # claimed
    region.b.write()  # and claimed again, before what A decides is written
    region.settle()
    assert [reply.error for reply in replies] == [None] * 6
    assert region.owner(host.id)[0] == "b"
    assert region.one("SELECT COUNT(*) FROM job WHERE host_id = ?", host.id) == 6


def test_what_waits_while_a_node_finds_that_it_has_lost_a_host_reaches_its_owner(region: Region) -> None:
    host_id = region.host()
    region.b.poll(host_id)
    region.b.settle()
    region.a.directory.rung(host_id)
    region.a.turn()
    find_out = region.a.look()
    reply = region.a.directory.ask(host_id, CreateJob(job=msgspec.structs.replace(NEW_JOB, host_id=host_id), by=USER))
    find_out()
    region.settle()
    assert reply.error is None
    assert region.owner(host_id)[0] == "b"
    assert region.one("SELECT COUNT(*) FROM job WHERE host_id = ?", host_id) == 1


def test_a_job_that_another_node_has_just_appended_can_be_cancelled_by_the_owner(region: Region) -> None:
    host_id = region.host()
    reply = region.b.create(host_id)
    region.b.settle()
    region.rings.clear()
    job_id = msgspec.json.decode(reply.get())["id"]
    cancelled = region.a.cancel(host_id, job_id)
    region.a.settle()
    assert (cancelled.get(), region.runs(job_id)) == (True, ["cancelled"])


def test_progress_of_a_run_at_who_has_lost_it_is_asked_for_again(region: Region) -> None:
    host_id = region.host()
    made_at(region.a, host_id)
    run_id = taken(region.a, host_id)
    region.b.poll(host_id, running=(run_id,))
    region.b.settle()
    region.rings.clear()
    reply = region.a.ask(host_id, NoteProgress(job_run_id=run_id, progress=5, message=None, needs_user_action=None))
    region.a.settle()
    assert isinstance(reply.error, Unavailable)
