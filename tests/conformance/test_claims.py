"""Taking hosts over and giving them up: the epoch fences whoever was there before."""

from dataclasses import replace

import pytest

from interlock.states import LIVE, TERMINAL, WAITING, RunStatus
from store import Incarnation
from store.claims import claim, due_by, expired_by, hosts_with_live_runs, read_open, release
from store.committer import Committer
from tests.support.desk import Desk, created, moved
from tests.support.rows import host_row, job_row, run_row, write_host, write_job, write_run

S = RunStatus


def other_process(desk: Desk) -> Desk:
    """Another owner on the same database."""
    return Desk(desk.database, Committer(desk.database, "another"))


def test_a_claim_makes_an_owner_and_raises_epoch_and_revision(desk: Desk) -> None:
    at = desk.host(epoch=4, rev=7)
    assert (at.host.owner, at.host.epoch, at.host.rev) == ("me", 5, 8)
    assert desk.fence(at)[:2] == ("me", 5)


def test_a_claim_fences_the_former_owner(desk: Desk) -> None:
    at = desk.host()
    job, run = desk.waiting_job(at)
    new = other_process(desk).claim(at.host.id)
    desk.refused(at.entry(*moved(job, run, S.RUNNING)))
    other_process(desk).committed(new.entry())
    assert desk.status_of(run) == "pending"


def test_a_claim_fences_the_same_owners_earlier_incarnation(desk: Desk) -> None:
    at = desk.host()
    desk.claim(at.host.id)
    desk.refused(at.entry())


def test_a_claim_reads_what_is_open_with_its_jobs_and_nothing_that_has_ended(desk: Desk) -> None:
    at = desk.host()
    expected = {}
    for state in [*sorted(WAITING), *sorted(TERMINAL), "running"]:
        job, run = at.new_job()
        run.status, run.finished_at = S(state), 1 if state in TERMINAL else None
        write_job(desk.database, job)
        write_run(desk.database, run)
        if run.status not in TERMINAL:
            expected[run.id] = (job, run)
    other = desk.host()
    write_job(desk.database, job_row(host_id=other.host.id))
    claimed = claim(desk.database, "me", [at.host.id])[at.host.id]
    assert {run.id: (job, run) for job, run in claimed.runs} == expected
    assert claimed.host == replace(at.host, epoch=2, rev=2)


@pytest.mark.parametrize("state", sorted(LIVE))
def test_a_live_run_is_read_with_its_status_as_what_it_is(desk: Desk, state: RunStatus) -> None:
    at = desk.host()
    job, run = at.new_job()
    run.status = state
    write_job(desk.database, job)
    write_run(desk.database, run)
    ((_, read),) = claim(desk.database, "me", [at.host.id])[at.host.id].runs
    assert read.status is state
    assert hosts_with_live_runs(desk.database) == [at.host.id]


def test_many_hosts_are_claimed_at_once_and_one_that_is_not_there_is_left_out(desk: Desk) -> None:
    hosts = [host_row() for _ in range(20)]
    for host in hosts:
        write_host(desk.database, host)
    wanted = [host.id for host in hosts]
    claimed = claim(desk.database, "me", [*wanted, "missing"])
    assert set(claimed) == set(wanted)
    assert {each.host.epoch for each in claimed.values()} == {1}


def test_claiming_nobody_is_fine(desk: Desk) -> None:
    assert claim(desk.database, "me", []) == {}


def test_looking_is_not_claiming(desk: Desk) -> None:
    at = desk.host()
    job, run = desk.waiting_job(at)
    before = desk.fence(at)
    looked = read_open(desk.database, [at.host.id])[at.host.id]
    assert looked.runs == [(job, run)]
    assert desk.fence(at) == before
    desk.committed(at.entry())


def test_who_gives_a_host_up_cannot_write_it_any_more(desk: Desk) -> None:
    at = desk.host()
    release(desk.database, "me", [(at.host.id, at.host.epoch)])
    assert desk.fence(at)[:2] == (None, 1)
    desk.refused(at.entry())


def test_only_who_still_owns_a_host_can_give_it_up(desk: Desk) -> None:
    at = desk.host()
    new = other_process(desk).claim(at.host.id)
    release(desk.database, "me", [(at.host.id, at.host.epoch)])
    release(desk.database, "another", [(at.host.id, at.host.epoch)])
    assert desk.fence(new)[:2] == ("another", 2)


def test_the_epoch_is_never_set_back_by_giving_up(desk: Desk) -> None:
    at = desk.host()
    release(desk.database, "me", [(at.host.id, at.host.epoch)])
    again = desk.claim(at.host.id)
    assert again.host.epoch == 2
    stale = Incarnation(at.host.id, 1)
    at.incarnation = stale
    desk.refused(at.entry())


def test_hosts_with_live_runs_are_named_once_and_no_others(desk: Desk) -> None:
    busy, idle = desk.host(), desk.host()
    desk.running_job(busy)
    desk.waiting_job(idle)
    assert hosts_with_live_runs(desk.database) == [busy.host.id]


def test_what_is_due_comes_earliest_first_and_bounded(desk: Desk) -> None:
    at = desk.host()
    for available_at in (30, 10, 40, 20):
        job = job_row(host_id=at.host.id)
        write_job(desk.database, job)
        write_run(desk.database, run_row(job, status="scheduled", available_at=available_at))
    desk.committed(at.entry(*created(*at.new_job())))
    assert due_by(desk.database, 30, 10) == [(at.host.id, due) for due in (10, 20, 30)]
    assert due_by(desk.database, 30, 2) == [(at.host.id, due) for due in (10, 20)]


def test_what_has_expired_is_bounded(desk: Desk) -> None:
    for _ in range(3):
        write_job(desk.database, job_row(start_before=5))
    assert expired_by(desk.database, 4, 10) == []
    assert len(expired_by(desk.database, 5, 2)) == 2
