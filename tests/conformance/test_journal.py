"""Group commit, exactly as promised: fenced, coalesced, in order, and poisoned where anything is not written."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from peewee import OperationalError

from interlock.states import LIVE, TERMINAL, JobStatus, RunStatus
from store import Committed, Refused
from store.claims import read_open
from store.committer import CommitUnknown
from store.entries import RunChange, job_change, run_change
from store.rows import JobRow, RunRow, run_image
from tests.support.backends import Backend
from tests.support.desk import Claim, Desk, copy_of, created, log_line, moved
from tests.support.rows import job_row, run_row

S = RunStatus
BIGGEST = 2**63 - 1


# ---- the fence ---------------------------------------------------------------------------------------------------------


def test_a_commit_counts_up_the_hosts_revision(desk: Desk) -> None:
    at = desk.host()
    before = desk.fence(at)[3]
    outcomes = desk.committed(at.entry(), at.entry())
    assert [outcome.rev for outcome in outcomes] == [before + 1] * 2
    assert desk.fence(at)[3] == before + 1
    (later,) = desk.committed(at.entry())
    assert later.rev == before + 2


def test_places_are_allotted_in_the_order_of_the_decisions(desk: Desk) -> None:
    at = desk.host(next_seq=7)
    jobs = [at.new_job() for _ in range(3)]
    one = at.entry(*created(*jobs[0]), *created(*jobs[1]))
    outcomes = desk.committed(one, at.entry(), at.entry(*created(*jobs[2])))
    places = {job.id: 7 + number for number, (job, _) in enumerate(jobs)}
    assert all(outcome.seqs == places and outcome.first_seq == 7 for outcome in outcomes)
    assert {job.id: desk.stored_job(job.id).seq for job, _ in jobs} == places
    assert desk.fence(at)[2] == 10


def test_each_host_allots_its_own_places(desk: Desk) -> None:
    one, other = desk.host(), desk.host()
    jobs = [claim.new_job() for claim in (one, other, one)]
    outcomes = desk.committed(
        one.entry(*created(*jobs[0])), other.entry(*created(*jobs[1])), one.entry(*created(*jobs[2]))
    )
    assert [outcome.seqs[job.id] for outcome, (job, _) in zip(outcomes, jobs, strict=True)] == [1, 1, 2]


def test_a_gap_in_the_places_shows_that_somebody_else_appended(desk: Desk) -> None:
    at = desk.host()
    desk.waiting_job(at)
    desk.rows(f"UPDATE host SET next_seq = next_seq + 4, rev = rev + 1 WHERE id = '{at.host.id}'")  # noqa: S608
    (outcome,) = desk.committed(at.entry())
    assert outcome.first_seq == 6


def test_who_was_claimed_away_is_refused_and_poisoned_and_the_others_are_written(desk: Desk) -> None:
    old, other = desk.host(), desk.host()
    new = desk.claim(old.host.id)
    jobs = [claim.new_job() for claim in (old, other, new)]
    outcomes = desk.commit(
        old.entry(*created(*jobs[0])), other.entry(*created(*jobs[1])), new.entry(*created(*jobs[2]))
    )
    assert [type(outcome) for outcome in outcomes] == [Refused, Committed, Committed]
    assert [claim.incarnation.poisoned for claim in (old, other, new)] == [True, False, False]
    assert {row[0] for row in desk.rows("SELECT id FROM job")} == {jobs[1][0].id, jobs[2][0].id}
    assert desk.fence(new)[2] == 2


@pytest.mark.parametrize("change", ["owner = 'another'", "owner = NULL", "epoch = epoch + 1", "epoch = epoch - 1"])
def test_any_change_of_the_fence_refuses(desk: Desk, change: str) -> None:
    at = desk.host()
    desk.rows(f"UPDATE host SET {change} WHERE id = '{at.host.id}'")  # noqa: S608 - our own words
    before = desk.fence(at)
    job, run = at.new_job()
    (outcome,) = desk.refused(at.entry(*created(job, run), log_line(run, 1)))
    assert (outcome.unknown, at.incarnation.poisoned) == (False, True)
    assert desk.fence(at) == before
    assert [desk.count(table) for table in ("job", "job_run", "job_log")] == [0, 0, 0]


def test_a_host_that_is_gone_is_a_miss_of_the_fence(desk: Desk) -> None:
    at = desk.host()
    desk.rows(f"DELETE FROM host WHERE id = '{at.host.id}'")  # noqa: S608
    desk.refused(at.entry())
    assert at.incarnation.poisoned


def test_the_owners_columns_are_written_as_the_last_decision_leaves_them_and_no_others(desk: Desk) -> None:
    at = desk.host(name="eu-3")
    desk.rows(f"UPDATE host SET name = 'renamed', paused = true WHERE id = '{at.host.id}'")  # noqa: S608
    at.host.run_no, at.host.instance_id = 1, "a"
    first = at.entry()
    at.host.run_no, at.host.awaiting_idle, at.host.last_seen_at = 2, True, BIGGEST
    desk.committed(first, at.entry())
    row = read_open(desk.database, [at.host.id])[at.host.id].host
    assert (row.run_no, row.instance_id, row.awaiting_idle, row.last_seen_at) == (2, "a", True, BIGGEST)
    assert (row.name, row.paused) == ("renamed", True)


# ---- coalescing --------------------------------------------------------------------------------------------------------


def test_a_job_that_is_created_taken_and_done_in_one_batch_is_written_once_as_it_is_last(desk: Desk) -> None:
    at = desk.host()
    job, run = at.new_job()
    entries = [at.entry(*created(job, run)), *(at.entry(*moved(job, run, to)) for to in (S.RUNNING, S.SUCCESS))]
    outcomes = desk.committed(*entries)
    job.seq = outcomes[0].seqs[job.id]
    assert desk.stored_job(job.id) == job
    assert desk.stored_run(run.id) == run
    assert (job.status, run.status, job.seq) == (JobStatus.COMPLETED, S.SUCCESS, 1)


def test_the_first_word_on_what_a_row_was_is_what_the_commit_insists_on(desk: Desk) -> None:
    at = desk.host()
    job, run = desk.waiting_job(at)
    desk.committed(*(at.entry(*moved(job, run, to)) for to in (S.RUNNING, S.CANCELLING, S.CANCELLED)))
    assert desk.status_of(run) == "cancelled"


def test_a_freed_slot_is_taken_again_in_the_same_batch_whatever_the_order_of_the_changes(desk: Desk) -> None:
    at = desk.host()
    first, second, third = desk.running_job(at), desk.waiting_job(at), desk.waiting_job(at)
    leaves = moved(*first, S.SUCCESS)
    enters = moved(*second, S.RUNNING)
    desk.committed(at.entry(*enters, *leaves))
    assert [desk.status_of(run) for _, run in (first, second)] == ["success", "running"]
    desk.committed(at.entry(*moved(*second, S.SUCCESS)), at.entry(*moved(*third, S.RUNNING)))
    assert [desk.status_of(run) for _, run in (second, third)] == ["success", "running"]


def test_a_new_job_may_take_the_slot_in_the_batch_that_frees_it(desk: Desk) -> None:
    at = desk.host()
    first = desk.running_job(at)
    job, run = at.new_job()
    run.status, job.status = S.RUNNING, JobStatus.RUNNING
    desk.committed(at.entry(*created(job, run), *moved(*first, S.SUCCESS)))
    assert [desk.status_of(each) for each in (first[1], run)] == ["success", "running"]


def test_a_job_that_is_tried_afresh_gets_a_new_place(desk: Desk) -> None:
    at = desk.host()
    job, _ = desk.waiting_job(at)
    other, _ = desk.waiting_job(at)
    (outcome,) = desk.committed(at.entry(job_change(job, job.status, new_seq=True)))
    assert (outcome.seqs[job.id], desk.stored_job(job.id).seq, desk.stored_job(other.id).seq) == (3, 3, 2)


def test_a_job_that_is_written_again_later_keeps_its_place(desk: Desk) -> None:
    at = desk.host()
    job, run = at.new_job()
    desk.committed(at.entry(*created(job, run)))  # in memory its place is still to be learnt
    desk.committed(at.entry(*moved(job, run, S.RUNNING)))
    assert desk.stored_job(job.id).seq == 1


def test_many_hosts_are_written_in_one_transaction(desk: Desk) -> None:
    claims = [desk.host() for _ in range(50)]
    jobs = [claim.new_job() for claim in claims]
    desk.committed(*(claim.entry(*created(*job)) for claim, job in zip(claims, jobs, strict=True)))
    assert desk.count("job") == desk.count("job_run") == 50


# ---- what had moved ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["run", "job"])
def test_a_row_that_is_not_what_it_was_thought_to_be_fails_its_host_alone(desk: Desk, what: str) -> None:
    wrong, right = desk.host(), desk.host()
    job, run = desk.waiting_job(wrong)
    stale_job, stale_run = copy_of(job, run)
    stale_run.status, stale_job.status = S.CANCELLING, JobStatus.RUNNING
    change = run_change(stale_run, S.RUNNING) if what == "run" else job_change(stale_job, JobStatus.RUNNING)
    line = log_line(run, 1)
    before = desk.fence(wrong)
    outcomes = desk.commit(wrong.entry(line, change), right.entry(*created(*right.new_job())))
    assert [type(outcome) for outcome in outcomes] == [Refused, Committed]
    assert (wrong.incarnation.poisoned, right.incarnation.poisoned) == (True, False)
    assert (desk.fence(wrong), desk.status_of(run), desk.count("job_log")) == (before, "pending", 0)


def test_a_row_that_is_not_there_fails_its_host_alone(desk: Desk) -> None:
    wrong, right = desk.host(), desk.host()
    _, run = wrong.new_job()
    run.status = S.RUNNING
    outcomes = desk.commit(right.entry(), wrong.entry(run_change(run, S.PENDING)), right.entry())
    assert [type(outcome) for outcome in outcomes] == [Committed, Refused, Committed]


def test_all_of_a_host_fails_together(desk: Desk) -> None:
    at = desk.host()
    good, bad = at.new_job(), at.new_job()
    bad[1].status = S.RUNNING
    desk.refused(at.entry(*created(*good)), at.entry(run_change(bad[1], S.PENDING)))
    assert desk.count("job") == 0


def test_two_jobs_of_one_id_fail_their_host_alone(desk: Desk) -> None:
    wrong, right = desk.host(), desk.host()
    job, _ = desk.waiting_job(wrong)
    again = job_row(id=job.id, host_id=wrong.host.id)
    outcomes = desk.commit(wrong.entry(*created(again, run_row(again))), right.entry(*created(*right.new_job())))
    assert [type(outcome) for outcome in outcomes] == [Refused, Committed]


# ---- one live run ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", sorted(LIVE))
def test_no_second_run_of_a_host_can_become_live(desk: Desk, state: RunStatus) -> None:
    at = desk.host()
    first, second = desk.running_job(at), desk.waiting_job(at)
    desk.refused(at.entry(*moved(*second, state)))
    assert [desk.status_of(run) for _, run in (first, second)] == ["running", "pending"]


def test_no_second_run_of_a_host_can_come_to_be_live(desk: Desk) -> None:
    at = desk.host()
    desk.running_job(at)
    job, run = at.new_job()
    run.status = S.RUNNING
    desk.refused(at.entry(*created(job, run)))


def test_two_runs_cannot_become_live_in_one_batch(desk: Desk) -> None:
    at = desk.host()
    jobs = [desk.waiting_job(at) for _ in range(2)]
    desk.refused(*(at.entry(*moved(*job, S.RUNNING)) for job in jobs))
    assert [desk.status_of(run) for _, run in jobs] == ["pending", "pending"]


def test_any_number_of_runs_may_wait_or_have_ended(desk: Desk) -> None:
    at = desk.host()
    for state in sorted(TERMINAL | {S.SCHEDULED, S.PENDING}):
        for _ in range(2):
            job, run = at.new_job()
            run.status = state
            desk.committed(at.entry(*created(job, run)))


# ---- poison ------------------------------------------------------------------------------------------------------------


def test_what_is_queued_behind_a_failed_batch_is_refused_unwritten(desk: Desk) -> None:
    at, other = desk.host(), desk.host()
    job, run = at.new_job()
    create, missing = at.entry(*created(job, run)), at.new_job()[1]
    missing.status = S.RUNNING
    take = at.entry(*moved(job, run, S.RUNNING))
    desk.refused(create, at.entry(run_change(missing, S.PENDING)))  # B is not created …
    before = desk.fence(at)
    outcomes = desk.commit(take, other.entry())  # … so nobody may take it
    assert [type(outcome) for outcome in outcomes] == [Refused, Committed]
    assert (desk.fence(at), desk.count("job_run")) == (before, 0)


def test_even_a_decision_that_could_be_written_is_refused_behind_a_failed_one(desk: Desk) -> None:
    at = desk.host()
    at.incarnation.poisoned = True
    desk.refused(at.entry(*created(*at.new_job())), at.entry())
    assert desk.count("job") == 0


def test_a_new_claim_goes_on_where_the_poisoned_one_ended(desk: Desk) -> None:
    at = desk.host()
    job, run = desk.waiting_job(at)
    at.incarnation.poisoned = True
    new = desk.claim(at.host.id)
    desk.committed(new.entry(*moved(job, run, S.RUNNING)))


@pytest.mark.parametrize("really", [True, False])
def test_an_unknown_outcome_poisons_all_that_were_in_the_batch(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, *, really: bool
) -> None:
    claims = [desk.host() for _ in range(3)]
    finish = desk.committer._finish

    def unknown(connection: Any) -> None:
        if really:
            finish(connection)
        else:
            desk.committer.dialect.roll_back(connection)
        raise CommitUnknown("the answer was lost")

    monkeypatch.setattr(desk.committer, "_finish", unknown)
    outcomes = desk.refused(*(claim.entry(*created(*claim.new_job())) for claim in claims))
    assert all(outcome.unknown for outcome in outcomes)
    assert all(claim.incarnation.poisoned for claim in claims)
    assert desk.count("job") == (3 if really else 0)
    monkeypatch.undo()
    desk.refused(*(claim.entry() for claim in claims))
    desk.committed(*(desk.claim(claim.host.id).entry() for claim in claims))


def test_a_definite_failure_of_the_whole_batch_is_rerun_host_by_host(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    claims = [desk.host() for _ in range(3)]
    finish, failures = desk.committer._finish, [OperationalError("disk full")]

    def fails_once(connection: Any) -> None:
        if failures:
            desk.committer.dialect.roll_back(connection)
            raise failures.pop()
        finish(connection)

    monkeypatch.setattr(desk.committer, "_finish", fails_once)
    outcomes = desk.committed(*(claim.entry(*created(*claim.new_job())) for claim in claims))
    assert all(outcome.first_seq == 1 for outcome in outcomes)
    assert desk.count("job") == 3


def test_a_database_that_is_away_refuses_everybody_and_the_next_commit_may_succeed(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    claims = [desk.host() for _ in range(3)]

    def away() -> Any:
        raise OperationalError("no database")

    monkeypatch.setattr(desk.committer, "_connection", away)
    outcomes = desk.refused(*(claim.entry() for claim in claims))
    assert not any(outcome.unknown for outcome in outcomes)
    monkeypatch.undo()
    desk.committed(*(desk.claim(claim.host.id).entry() for claim in claims))


ORPHANS = {
    "sqlite": [
        "CREATE TRIGGER orphans AFTER INSERT ON job WHEN NEW.type = 'BAD' BEGIN INSERT INTO child VALUES ('no'); END"
    ],
    "postgresql": [
        """CREATE FUNCTION orphan() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN INSERT INTO child VALUES (''no''); RETURN NEW; END'""",
        "CREATE TRIGGER orphans AFTER INSERT ON job FOR EACH ROW WHEN (NEW.type = 'BAD') EXECUTE FUNCTION orphan()",
    ],
}


def test_a_commit_that_the_database_itself_refuses_leaves_nothing_behind(desk: Desk, backend: Backend) -> None:
    at, other = desk.host(), desk.host()
    desk.rows("CREATE TABLE parent (id TEXT PRIMARY KEY)")
    desk.rows("CREATE TABLE child (id TEXT REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED)")
    for statement in ORPHANS[backend.name]:
        desk.rows(statement)
    bad, good = at.new_job(type="BAD"), other.new_job()
    outcomes = desk.commit(at.entry(*created(*bad)), other.entry(*created(*good)))
    assert [type(outcome) for outcome in outcomes] == [Refused, Committed]
    assert isinstance(outcomes[0], Refused)
    assert not outcomes[0].unknown
    assert desk.rows("SELECT type FROM job") == [("SERVER_START",)]


def test_no_entries_are_no_transaction(desk: Desk) -> None:
    assert desk.commit() == []


# ---- any order ---------------------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.sampled_from([*["create", "take", "end"] * 4, "wrong"])),
        min_size=8,
        max_size=25,
    ),
    st.data(),
)
def test_however_decisions_are_cut_into_batches_each_host_ends_as_it_decided_or_starts_afresh(
    desk: Desk, script: list[tuple[int, str]], data: st.DataObject
) -> None:
    hosts = [_Simple(desk, desk.host()) for _ in range(3)]
    queue = [(hosts[number], hosts[number].decide(step)) for number, step in script]
    while queue:
        size = data.draw(st.integers(1, len(queue)))
        batch, queue = queue[:size], queue[size:]
        outcomes = desk.commit(*(entry for _, entry in batch))
        for (host, _), outcome in zip(batch, outcomes, strict=True):
            host.written &= isinstance(outcome, Committed)
    for host in hosts:
        host.check()


class _Simple:
    """A host that decides without waiting, as actors do, and now and then believes something wrong."""

    def __init__(self, desk: Desk, claim: Claim) -> None:
        self.desk = desk
        self.claim = claim
        self.written = True
        self.wrong = False
        self.jobs: list[tuple[JobRow, RunRow]] = []
        self.current: tuple[JobRow, RunRow] | None = None

    def decide(self, step: str) -> Any:
        if step == "create":
            self.jobs.append(self.claim.new_job())
            return self.claim.entry(*created(*self.jobs[-1]))
        waiting = [pair for pair in self.jobs if pair[1].status is S.PENDING]
        if step == "take" and self.current is None and waiting:
            self.current = waiting[0]
            return self.claim.entry(*moved(*self.current, S.RUNNING))
        if step == "end" and self.current is not None:
            ended, self.current = self.current, None
            return self.claim.entry(*moved(*ended, S.SUCCESS))
        if step == "wrong":
            self.wrong = True
            stray = self.claim.new_job()[1]
            return self.claim.entry(RunChange(stray.id, S.RUNNING, run_image(stray)))
        return self.claim.entry()

    def check(self) -> None:
        assert self.written != self.wrong
        if self.written:
            for job, run in self.jobs:
                assert self.desk.status_of(run) == run.status
                assert self.desk.stored_job(job.id).status == job.status
