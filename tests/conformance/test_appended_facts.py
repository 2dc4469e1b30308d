"""Facts that somebody appends who does not own the host, and what they do to its owner."""

from typing import Any

import pytest

from interlock.states import RunStatus
from store import Committed, Incarnation, Refused
from store.entries import AskToStop
from store.rows import HOST_OWNED
from tests.support.desk import Claim, Desk, created, moved
from tests.support.rows import host_row

S = RunStatus


def stranger(at: Claim) -> Claim:
    """Somebody who owns nothing, and knows nothing of the host but its id."""
    return Claim(host_row(id=at.host.id), Incarnation(at.host.id, None))


def owned(desk: Desk, at: Claim) -> tuple[Any, ...]:
    """What belongs to the owner, as stored."""
    return desk.one(f"SELECT {', '.join(HOST_OWNED)} FROM host WHERE id = '{at.host.id}'")  # noqa: S608 - our own id


def asked(desk: Desk, run_id: str) -> str | None:
    word = desk.one(f"SELECT asked_to_stop FROM job_run WHERE id = '{run_id}'")[0]  # noqa: S608 - our own id
    return None if word is None else str(word)


def test_who_owns_nothing_appends_a_job_and_leaves_the_owners_columns_alone(desk: Desk) -> None:
    at = desk.host(run_no=7, instance_id="a")
    before, fence = owned(desk, at), desk.fence(at)
    (outcome,) = desk.committed(stranger(at).entry(*created(*at.new_job())))
    assert (outcome.first_seq, outcome.rev) == (1, fence[3] + 1)
    assert owned(desk, at) == before
    assert desk.fence(at) == (*fence[:2], 2, fence[3] + 1)


def test_the_owner_goes_on_and_sees_the_gap(desk: Desk) -> None:
    at = desk.host()
    desk.committed(stranger(at).entry(*created(*at.new_job())))
    (outcome,) = desk.committed(at.entry(*created(*at.new_job())))
    assert outcome.first_seq == 2


def test_several_strangers_append_to_one_host_in_one_batch(desk: Desk) -> None:
    at, other = desk.host(), desk.host()
    jobs = [at.new_job() for _ in range(3)]
    entries = [stranger(at).entry(*created(*job)) for job in jobs]
    elsewhere = stranger(other).entry(*created(*other.new_job()))
    outcomes = desk.committed(entries[0], elsewhere, *entries[1:])
    assert [outcome.first_seq for outcome in outcomes] == [1, 1, 2, 3]
    assert [desk.stored_job(job.id).seq for job, _ in jobs] == [1, 2, 3]
    assert desk.fence(at)[2] == 4


def test_an_owner_and_a_stranger_in_one_batch_get_places_of_their_own(desk: Desk) -> None:
    at = desk.host()
    mine, theirs = at.new_job(), at.new_job()
    outcomes = desk.committed(stranger(at).entry(*created(*theirs)), at.entry(*created(*mine)))
    assert sorted(outcome.first_seq for outcome in outcomes) == [1, 2]
    assert len({outcome.rev for outcome in outcomes}) == 2
    assert {desk.stored_job(job.id).seq for job, _ in (mine, theirs)} == {1, 2}


def test_a_stranger_may_append_to_a_host_that_nobody_owns_and_to_none_that_is_not_there(desk: Desk) -> None:
    at = desk.host()
    desk.rows(f"UPDATE host SET owner = NULL WHERE id = '{at.host.id}'")  # noqa: S608 - our own id
    desk.committed(stranger(at).entry(*created(*at.new_job())))
    desk.rows(f"DELETE FROM host WHERE id = '{at.host.id}'")  # noqa: S608 - our own id
    desk.refused(stranger(at).entry(*created(*at.new_job())))


# ---- a decision that rests on nobody having appended ---------------------------------------------------------------------


def test_a_decision_that_expects_what_is_there_is_written(desk: Desk) -> None:
    at = desk.host(next_seq=5)
    entry = at.entry(*created(*at.new_job()))
    entry.expects = 5
    (outcome,) = desk.committed(entry)
    assert outcome.first_seq == 5


def test_a_decision_that_expects_something_else_changes_nothing_at_all(desk: Desk) -> None:
    at, other = desk.host(), desk.host()
    desk.committed(stranger(at).entry(*created(*at.new_job())))
    before = (owned(desk, at), desk.fence(at))
    at.host.run_no, at.host.instance_id = 9, "b"
    entry = at.entry(*created(*at.new_job()))
    entry.expects = 1
    outcomes = desk.commit(entry, other.entry())
    assert [type(outcome) for outcome in outcomes] == [Refused, Committed]
    assert outcomes[0] == Refused("another process has appended to this host")
    assert (owned(desk, at), desk.fence(at), desk.count("job")) == (*before, 1)
    assert at.incarnation.poisoned


def test_decisions_of_one_batch_that_expect_different_places_cannot_both_be_right(desk: Desk) -> None:
    at = desk.host()
    entries = [at.entry(), at.entry()]
    entries[0].expects, entries[1].expects = 1, 2
    desk.refused(*entries)


def test_a_decision_that_expects_is_fenced_like_any_other(desk: Desk) -> None:
    at = desk.host()
    desk.claim(at.host.id)
    entry = at.entry()
    entry.expects = 1
    (outcome,) = desk.refused(entry)
    assert outcome.fenced


# ---- a word to the owner ---------------------------------------------------------------------------------------------------


def test_a_run_is_asked_to_stop_and_its_owner_still_writes_it(desk: Desk) -> None:
    at = desk.host()
    job, run = desk.running_job(at)
    desk.committed(stranger(at).entry(AskToStop(run.id, "cancel")))
    assert asked(desk, run.id) == "cancel"
    desk.committed(at.entry(*moved(job, run, S.SUCCESS)))
    assert (desk.status_of(run), asked(desk, run.id)) == ("success", "cancel")


@pytest.mark.parametrize("words", [("cancel", "force"), ("force", "cancel"), ("force", "force")])
def test_of_several_who_ask_in_one_batch_force_counts(desk: Desk, words: tuple[str, str]) -> None:
    at = desk.host()
    _, run = desk.running_job(at)
    desk.committed(*(stranger(at).entry(AskToStop(run.id, word)) for word in words))
    assert asked(desk, run.id) == "force"


def test_who_asks_a_run_to_stop_that_has_ended_is_refused_alone(desk: Desk) -> None:
    at = desk.host()
    job, run = desk.running_job(at)
    open_run = desk.waiting_job(at)[1]
    run.finished_at = 1
    desk.committed(at.entry(*moved(job, run, S.SUCCESS)))
    ended, waiting = (stranger(at).entry(AskToStop(each.id, "cancel")) for each in (run, open_run))
    outcomes = desk.commit(ended, waiting)
    assert [type(outcome) for outcome in outcomes] == [Refused, Committed]
    assert (asked(desk, run.id), asked(desk, open_run.id)) == (None, "cancel")
