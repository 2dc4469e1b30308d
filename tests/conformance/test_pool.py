"""Jobs without a host: taken once whoever asks, moved only while they wait, and found by an index."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from peewee import Database

from interlock.states import JobStatus, RunStatus
from store import Claim, Committed, Entry, Incarnation, Missed, Refused, open_database
from store.claims import claim
from store.committer import Committer
from store.entries import JobChange, RunChange, job_change, run_change
from store.pool import count_hosts, due_in_pool, place_of_job, pools_due, pools_expired, read_pool, rows_from, write
from store.pool import waiting as described
from store.rows import JobRow, RunRow, job_image, run_image
from tests.support.desk import Claim as Host
from tests.support.desk import Desk, append, copy_of, created
from tests.support.rows import AT, host_row, job_row, run_row, write_host, write_job, write_run

S, J = RunStatus, JobStatus


def pool_job(labels: str = "{}", **values: Any) -> tuple[JobRow, RunRow]:
    """A job that any host with these labels may take, and its first run."""
    job = job_row(host_id=None, labels=labels, **values)
    return job, run_row(job, pool_labels=labels, pool_priority=job.priority)


def waiting(desk: Desk, *args: Any, **values: Any) -> tuple[JobRow, RunRow]:
    """The same, in the rows."""
    job, run = pool_job(*args, **values)
    assert put(desk.database, [job_change(job, None), run_change(run, None)]) == [True]
    return job, run


def put(database: Database, *wanted: Any) -> list[bool]:
    """In one transaction."""
    with database.atomic():
        return write(database, wanted)


def taken(at: Host, job: JobRow, run: RunRow) -> tuple[JobRow, RunRow]:
    """The rows as they are once the host has them."""
    job, run = copy_of(job, run)
    job.host_id = run.host_id = job.assigned_agent_id = at.host.id
    job.status, run.status, job.attempts, job.started_at, run.run_no = J.RUNNING, S.RUNNING, 1, AT, 7
    return job, run


def claiming(at: Host, job: JobRow, run: RunRow) -> Entry:
    """The host's decision to take it."""
    entry = at.entry()
    entry.claim = Claim(*taken(at, job, run))
    return entry


def back(job: JobRow, run: RunRow) -> tuple[list[Any], RunRow]:
    """The run has failed, and its job goes back to the pool: the changes, and the next run."""
    run.status, run.finished_at = S.FAILED, AT
    job.status, job.host_id = J.PENDING, None
    following = run_row(job, attempt=2, status=S.SCHEDULED, available_at=AT, pool_labels="{}", pool_priority=0)
    of_job = JobChange(job.id, J.RUNNING, job_image(job), leaves=True)
    return [of_job, RunChange(run.id, S.RUNNING, run_image(run)), run_change(following, None)], following


# ---- claims ------------------------------------------------------------------------------------------------------------


def test_a_claim_gives_a_waiting_job_to_the_host(desk: Desk) -> None:
    at = desk.host()
    job, run = waiting(desk)
    (outcome,) = desk.committed(claiming(at, job, run))
    assert type(outcome) is Committed
    wanted = taken(at, job, run)
    assert (desk.stored_job(job.id), desk.stored_run(run.id)) == wanted


def test_of_two_claims_in_one_batch_the_first_has_it_and_the_second_misses(desk: Desk) -> None:
    one, other = desk.host(), desk.host()
    job, run = waiting(desk)
    outcomes = desk.commit(claiming(one, job, run), claiming(other, job, run))
    assert {type(outcome) for outcome in outcomes} == {Committed, Missed}
    winner = [one, other][[type(outcome) for outcome in outcomes].index(Committed)]
    assert desk.stored_run(run.id).host_id == desk.stored_job(job.id).host_id == winner.host.id


def test_a_miss_poisons_nobody_and_leaves_the_other_decisions_of_its_host_in_place(desk: Desk) -> None:
    one, other = desk.host(), desk.host()
    job, run = waiting(desk)
    desk.committed(claiming(one, job, run))
    mine = other.new_job()
    before = desk.fence(other)[3]
    outcomes = desk.commit(claiming(other, job, run), other.entry(*created(*mine)))
    assert [type(outcome) for outcome in outcomes] == [Missed, Committed]
    assert isinstance(outcomes[0], Missed)
    assert outcomes[0].rev == before + 1 == desk.fence(other)[3]
    assert outcomes[0].seqs == {mine[0].id: 1}
    assert not other.incarnation.poisoned
    assert desk.stored_run(run.id).host_id == one.host.id
    desk.committed(other.entry())  # it goes on


@pytest.mark.parametrize("status", [S.SCHEDULED, S.CANCELLED, S.RUNNING])
def test_what_does_not_wait_in_the_pool_is_missed(desk: Desk, status: RunStatus) -> None:
    at = desk.host()
    job, run = pool_job()
    run.status = status
    write_job(desk.database, job)
    write_run(desk.database, run)
    (outcome,) = desk.commit(claiming(at, job, run))
    assert type(outcome) is Missed
    assert desk.stored_run(run.id) == run


def test_a_run_that_waits_on_a_host_is_not_in_the_pool(desk: Desk) -> None:
    one, other = desk.host(), desk.host()
    job, run = desk.waiting_job(one)
    (outcome,) = desk.commit(claiming(other, job, run))
    assert type(outcome) is Missed


def test_a_claim_of_who_has_lost_the_host_is_refused_and_takes_nothing(desk: Desk) -> None:
    at = desk.host()
    job, run = waiting(desk)
    entry = claiming(at, job, run)
    entry.incarnation = Incarnation(at.host.id, 99)
    (outcome,) = desk.refused(entry)
    assert outcome.fenced
    assert desk.stored_run(run.id).host_id is None


def test_a_claim_beside_a_host_whose_rows_do_not_fit_is_tried_by_itself_and_written(desk: Desk) -> None:
    wrong, right = desk.host(), desk.host()
    job, run = waiting(desk)
    late, lost = waiting(desk), waiting(desk)
    desk.committed(claiming(desk.host(), *lost))
    outcomes = desk.commit(
        claiming(right, job, run),
        wrong.entry(run_change(late[1], S.RUNNING)),  # it is not
        claiming(desk.host(), *lost),
    )
    assert [type(outcome) for outcome in outcomes] == [Committed, Refused, Missed]


def test_a_host_takes_a_pool_job_in_the_very_batch_in_which_its_last_run_ends(desk: Desk) -> None:
    at = desk.host()
    first = desk.running_job(at)
    job, run = waiting(desk)
    first[1].status, first[0].status = S.SUCCESS, J.COMPLETED
    desk.committed(at.entry(job_change(first[0], J.RUNNING), run_change(first[1], S.RUNNING)), claiming(at, job, run))
    assert desk.status_of(run) == "running"


def test_a_busy_host_cannot_claim_even_if_it_tries(desk: Desk) -> None:
    at = desk.host()
    desk.running_job(at)
    job, run = waiting(desk)
    desk.refused(claiming(at, job, run))
    assert desk.stored_run(run.id) == run


def test_a_failed_pool_job_goes_back_and_another_host_takes_it(desk: Desk) -> None:
    one, other = desk.host(), desk.host()
    job, run = waiting(desk)
    desk.committed(claiming(one, job, run))
    job, run = taken(one, job, run)
    changes, following = back(job, run)
    desk.committed(one.entry(*changes))
    assert (desk.stored_job(job.id).host_id, desk.stored_run(following.id).host_id) == (None, None)
    assert desk.stored_run(run.id).host_id == one.host.id
    due = replace(following, status=S.PENDING)
    assert put(desk.database, [run_change(due, S.SCHEDULED)]) == [True]
    (outcome,) = desk.commit(claiming(other, job, due))
    assert type(outcome) is Committed
    assert desk.stored_job(job.id).host_id == other.host.id


class Node:
    """A process with hosts of its own, which claims every job that it hears of."""

    def __init__(self, url: str, name: str, hosts: list[str], start: threading.Barrier) -> None:
        self.database = open_database(url)
        self.committer = Committer(self.database, name)
        with self.database.atomic(*self.committer.begin):
            found = claim(self.database, name, hosts)
        self.hosts = [Host(found[host].host, Incarnation(host, found[host].host.epoch)) for host in hosts]
        self.start = start
        self.won: list[str] = []

    def run(self, jobs: list[tuple[JobRow, RunRow]]) -> None:
        for number, (job, run) in enumerate(jobs):
            at = self.hosts[number % len(self.hosts)]
            self.start.wait(20)
            entries = [claiming(at, job, run)]
            while entries:
                _, outcomes, entries = self.committer.write(entries)
                for outcome in outcomes:
                    assert isinstance(outcome, Committed), outcome
                    if type(outcome) is Committed:
                        self.won.append(run.id)
                        done = taken(at, job, run)
                        done[0].status, done[1].status = J.COMPLETED, S.SUCCESS
                        end = at.entry(job_change(done[0], J.RUNNING), run_change(done[1], S.RUNNING))
                        assert isinstance(self.committer.commit([end])[0], Committed)
        self.database.close()


def test_of_two_nodes_that_race_for_every_job_each_job_has_one_winner(desk: Desk, url: str) -> None:
    jobs = [waiting(desk) for _ in range(30)]
    hosts = [host_row() for _ in range(4)]
    for host in hosts:
        write_host(desk.database, host)
    start = threading.Barrier(2)
    nodes = [Node(url, name, [host.id for host in mine], start) for name, mine in (("a", hosts[:2]), ("b", hosts[2:]))]
    with ThreadPoolExecutor(2) as pool:
        for future in [pool.submit(node.run, jobs) for node in nodes]:
            future.result()
    won = [run_id for node in nodes for run_id in node.won]
    assert len(won) == len(set(won))
    # PostgreSQL lets both pass by a row that the other one holds, if that one then rolls back; nobody does so here.
    assert set(won) == {run.id for _, run in jobs}
    agree(desk)


def agree(desk: Desk) -> None:
    """A job that is open has the host of its open run."""
    rows = desk.rows(
        "SELECT job.id FROM job JOIN job_run ON job_run.job_id = job.id WHERE job_run.finished_at IS NULL"
        " AND job.labels IS NOT NULL AND (coalesce(job.host_id, '') <> coalesce(job_run.host_id, '')"
        " OR (job.status = 'RUNNING') <> (job_run.status = 'running') AND job.status <> 'COMPLETED')"
    )
    assert rows == []


# ---- other changes -----------------------------------------------------------------------------------------------------


def test_a_thousand_jobs_are_written_in_one_transaction(desk: Desk) -> None:
    pairs = [pool_job() for _ in range(1000)]
    keyed = [
        [
            job_change(job, None),
            run_change(run, None),
            append("audit_event", actor_kind="user", action="job.create", target_kind="job", detail="{}"),
        ]
        for job, run in pairs
    ]
    assert put(desk.database, *keyed) == [True] * 1000
    assert (desk.count("job"), desk.count("job_run"), desk.count("audit_event")) == (1000, 1000, 1000)
    assert desk.stored_job(pairs[0][0].id) == pairs[0][0]
    assert desk.stored_run(pairs[-1][1].id) == pairs[-1][1]


def cancelled(job: JobRow, run: RunRow) -> list[Any]:
    """A user does not want it any more."""
    job, run = copy_of(job, run)
    was, run.status, job.status = run.status, S.CANCELLED, J.CANCELLED
    run.finished_at = job.completed_at = AT
    return [job_change(job, J.PENDING), run_change(run, was)]


def test_a_cancel_that_comes_after_the_claim_changes_nothing(desk: Desk) -> None:
    at = desk.host()
    (job, run), (other, its) = waiting(desk), waiting(desk)
    desk.committed(claiming(at, job, run))
    assert put(desk.database, cancelled(job, run), cancelled(other, its)) == [False, True]
    assert (desk.status_of(run), desk.status_of(its)) == ("running", "cancelled")
    assert desk.stored_job(other.id).status is J.CANCELLED


def test_a_claim_that_comes_after_the_cancel_misses(desk: Desk) -> None:
    job, run = waiting(desk)
    assert put(desk.database, cancelled(job, run)) == [True]
    (outcome,) = desk.commit(claiming(desk.host(), job, run))
    assert type(outcome) is Missed
    assert desk.stored_job(job.id).host_id is None


def test_of_two_changes_of_one_row_in_one_transaction_the_first_is_written(desk: Desk) -> None:
    job, run = waiting(desk)
    assert put(desk.database, cancelled(job, run), cancelled(job, run)) == [True, False]


def test_a_key_that_is_taken_fails_all_that_is_written_with_it(desk: Desk) -> None:
    keys = [append("idempotency_key", user_id="u", key="k", fingerprint="f", response="{}") for _ in range(2)]
    pairs = [pool_job() for _ in range(2)]
    wanted = [[job_change(job, None), run_change(run, None), key] for (job, run), key in zip(pairs, keys, strict=True)]
    with pytest.raises(Exception, match=r"(?i)unique"):
        put(desk.database, *wanted)
    assert desk.count("job") == 0


def test_an_ended_pool_job_is_tried_afresh_without_its_host(desk: Desk) -> None:
    at = desk.host()
    job, run = waiting(desk)
    desk.committed(claiming(at, job, run))
    job, run = taken(at, job, run)
    job.status, run.status, job.needs_user_action = J.FAILED, S.FAILED, True
    desk.committed(at.entry(job_change(job, J.RUNNING), run_change(run, S.RUNNING)))
    again = replace(job, status=J.PENDING, host_id=None, needs_user_action=False)
    following = run_row(again, pool_labels="{}", pool_priority=0)
    fresh = [JobChange(job.id, J.FAILED, job_image(again), wide=False, leaves=True), run_change(following, None)]
    assert put(desk.database, fresh, fresh[:1]) == [True, False]
    stored = desk.stored_job(job.id)
    assert (stored.status, stored.host_id) == (J.PENDING, None)
    assert stored.needs_user_action  # no column is written but those of the move


def test_cancels_of_the_same_jobs_from_two_sides_do_not_deadlock(desk: Desk, url: str) -> None:
    pairs = [waiting(desk) for _ in range(100)]
    other = open_database(url)

    def reversed_order() -> int:
        with other.connection_context(), other.atomic(*desk.committer.begin):
            return sum(write(other, [cancelled(*pair) for pair in reversed(pairs)]))

    with ThreadPoolExecutor(1) as pool:
        theirs = pool.submit(reversed_order)
        with desk.database.atomic(*desk.committer.begin):
            mine = sum(write(desk.database, [cancelled(*pair) for pair in pairs]))
        assert mine + theirs.result() == 100


# ---- readings ----------------------------------------------------------------------------------------------------------


def test_a_pool_is_read_by_its_labels_in_order_and_no_further_than_asked(desk: Desk) -> None:
    plain = [waiting(desk, priority=priority) for priority in (0, 5, 0, -1)]
    special = waiting(desk, '{"gpu":"yes"}', type="google_maps")
    waiting(desk, '{"never":"asked"}')
    scheduled = pool_job(run_at=AT + 1)
    scheduled[1].status = S.SCHEDULED
    put(desk.database, [job_change(scheduled[0], None), run_change(scheduled[1], None)])
    found = read_pool(desk.database, "org", lambda text: "never" not in text, most_lanes=10, window=3)
    assert sorted(found.labels) == ['{"gpu":"yes"}', '{"never":"asked"}', "{}"]
    lanes = {lane.labels: lane for lane in found.lanes}
    assert [item.job_id for item in lanes["{}"].waiting] == [plain[place][0].id for place in (1, 0, 2)]
    assert (lanes["{}"].whole, lanes['{"gpu":"yes"}'].whole) == (False, True)
    (item,) = lanes['{"gpu":"yes"}'].waiting
    assert item[:4] == (special[0].id, special[1].id, "google_maps", 0)
    assert item.rows is not None
    assert rows_from(item.rows) == special
    few = read_pool(desk.database, "org", lambda text: text == "{}", most_lanes=2, window=1)
    assert few.labels == ["{}", '{"gpu":"yes"}'], "what any host may take is found however many labels there are"
    assert [lane.labels for lane in few.lanes] == ["{}"]
    assert read_pool(desk.database, "another", lambda _: True, most_lanes=2, window=1) == ([], [])


def test_rows_are_read_ahead_for_short_jobs_that_no_agent_has_had(desk: Desk) -> None:
    """What an agent of an earlier attempt may still write to must be read when it is taken."""
    short, long = waiting(desk, payload='"x"'), waiting(desk, payload='"' + "é" * 3000 + '"')
    had, run = waiting(desk)
    at = desk.host()
    desk.committed(claiming(at, had, run))
    gone = taken(at, had, run)
    changes, following = back(*gone)
    desk.committed(at.entry(*changes))
    following.status = S.PENDING
    assert put(desk.database, [run_change(following, S.SCHEDULED)]) == [True]
    (lane,) = read_pool(desk.database, "org", lambda _: True, most_lanes=10, window=10).lanes
    rows = {item.job_id: item.rows and rows_from(item.rows) for item in lane.waiting}
    assert rows == {short[0].id: short, long[0].id: None, had.id: None}
    assert [item.rows for item in map(described, *zip(short, long, strict=True))] == [
        (*run_image(short[1]), *job_image(short[0])),
        None,
    ]


def test_what_is_due_and_what_is_too_late_is_found_with_its_org(desk: Desk) -> None:
    job, run = pool_job(run_at=AT)
    run.status, run.available_at = S.SCHEDULED, AT
    late, its = pool_job(start_before=AT)
    mine, own = desk.host().new_job(start_before=AT)
    own.status, own.available_at = S.SCHEDULED, AT
    put(
        desk.database,
        *([job_change(job, None), run_change(run, None)] for job, run in ((job, run), (late, its), (mine, own))),
    )
    assert pools_due(desk.database, AT - 1, 10) == []
    assert pools_due(desk.database, AT, 10) == [("org", AT)]
    assert pools_expired(desk.database, AT, 10) == ["org"]
    assert due_in_pool(desk.database, "org", AT, 10) == ([(job, run)], [(late, its)])
    assert due_in_pool(desk.database, "another", AT, 10) == ([], [])
    assert place_of_job(desk.database, job.id) == ("org", None, "{}")
    assert place_of_job(desk.database, "nowhere") is None


def test_a_retry_that_is_due_carries_the_word_that_its_predecessor_was_to_stop(desk: Desk) -> None:
    job, run = pool_job()
    first = replace(run, status=S.FAILED, finished_at=AT, asked_to_stop="cancel", host_id="h")
    second = run_row(job, attempt=2, status=S.SCHEDULED, available_at=AT, pool_labels="{}", pool_priority=0)
    write_job(desk.database, job)
    write_run(desk.database, first)
    write_run(desk.database, second)
    ((_, found),) = due_in_pool(desk.database, "org", AT, 10).due
    assert found.asked_to_stop == "cancel"


def test_hosts_are_counted_by_their_labels(desk: Desk) -> None:
    for values in ({"last_seen_at": AT}, {"last_seen_at": AT - 100}, {"last_seen_at": AT, "paused": True}, {}):
        write_host(desk.database, host_row(**values))
    write_host(desk.database, host_row(last_seen_at=AT, paused=True, paused_until=AT - 1))
    write_host(desk.database, host_row(labels='{"gpu":"yes"}', last_seen_at=AT, draining=True))
    write_host(desk.database, host_row(org_id="another"))
    at = desk.host()
    desk.running_job(at)
    counted = sorted(count_hosts(desk.database, "org", AT, AT))
    assert counted == [('{"gpu":"yes"}', 1, 1, 0, 1), ("{}", 6, 4, 1, 1)]
