"""Pool jobs between supervisors, host actors and the rows, on two nodes, in every order that matters."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from peewee import OperationalError

from actors import pool
from actors.loop_actor import LoopFuture
from actors.messages import Ack, CancelJob, CreateJob, CreateJobs, EndPoll, Idempotency, Poll, Reject, RetryJob
from actors.org_pool import NEXT_ROUND, PREFIX
from actors.sessions import Session
from interlock.errors import AlreadyTaken, InvalidState, NotFound, QuotaExceeded, Unavailable
from store import Entry, Refused
from tests.support.hosts import NEW_JOB, USER, answer_of
from tests.support.region import Region, Side
from tests.support.rows import host_row, write_host

ORG = "org"
GPU = '{"gpu":"yes"}'


@pytest.fixture
def region() -> Iterator[Region]:
    made = Region()
    yield made
    assert made.a.directory.failures + made.b.directory.failures == []


def host(region: Region, **values: Any) -> str:
    """A host that nobody has claimed yet."""
    row = host_row(**values)
    write_host(region.database, row)
    return row.id


def ask(side: Side, message: Any) -> LoopFuture:
    reply = side.directory.ask_org(ORG, message)
    side.turn()
    return reply


def new(side: Side, **fields: Any) -> LoopFuture:
    """A user asks for a pool job."""
    job = msgspec.structs.replace(NEW_JOB, **({"host_id": None, "labels": "{}", "type": "SEARCH_SINGLE"} | fields))
    return ask(side, CreateJob(job=job, by=USER))


def made(side: Side, **fields: Any) -> str:
    """The same, committed and heard of everywhere; the job's id."""
    reply = new(side, **fields)
    side.region.settle()
    return str(msgspec.json.decode(reply.get())["id"])


def open_run(region: Region, job_id: str) -> tuple[str, str, str | None]:
    """The job's last run: its id, status and host."""
    found: tuple[str, str, str | None] = region.one(
        "SELECT id, status, host_id FROM job_run WHERE job_id = ? ORDER BY id DESC LIMIT 1", job_id
    )
    return found


def parked(side: Side, host_id: str, **declared: Any) -> Poll:
    """A long-poll that waits."""
    poll = side.poll(host_id, waits=True, **declared)
    side.region.settle()
    assert not poll.answer.done
    return poll


def until_claim(side: Side) -> Entry:
    """Let everything happen up to the commit of a claim, which is given back and still to be written."""
    for _ in range(100):
        side.turn()
        if side.readings:
            side.look()()
        elif side.queue:
            item = side.queue[0]
            if isinstance(item, Entry) and item.claim is not None:
                return item
            side.write()
    raise AssertionError("nobody claims anything")


# ---- taking ------------------------------------------------------------------------------------------------------------


def test_a_short_poll_takes_a_pool_job_and_is_sent_away_when_there_is_none(region: Region) -> None:
    host_id, job_id = host(region), made(region.a)
    first, second = region.a.poll(host_id), None
    region.settle()
    assert answer_of(first).job_run_id == open_run(region, job_id)[0]
    region.a.report(host_id, open_run(region, job_id)[0])
    region.settle()
    second = region.a.poll(host_id)
    region.settle()
    assert answer_of(second).taken is None
    assert region.one("SELECT status, host_id FROM job WHERE id = ?", job_id) == ("COMPLETED", host_id)


def test_a_parked_poll_hears_of_a_job_that_another_node_has_made(region: Region) -> None:
    poll = parked(region.a, host(region))
    job_id = made(region.b)
    assert answer_of(poll).job_run_id == open_run(region, job_id)[0]


def test_a_job_of_another_node_is_found_without_a_ring_too(region: Region) -> None:
    poll = parked(region.a, host(region))
    new(region.b)
    region.b.settle()
    region.rings.clear()
    region.settle()
    assert not poll.answer.done
    region.a.directory.look_at_pools()
    region.settle()
    assert answer_of(poll).taken is not None


def test_of_two_nodes_that_claim_one_job_the_first_commit_wins_and_the_other_poll_goes_on_waiting(
    region: Region,
) -> None:
    polls = [parked(region.a, host(region)), parked(region.b, host(region))]
    new(region.a)
    region.a.settle()
    assert answer_of(polls[0]).taken is not None
    region.ring()
    assert not polls[1].answer.done
    assert region.b.directory.hosts[polls[1].host_id].state.poll is polls[1]  # type: ignore[union-attr]


def test_a_claim_that_misses_leaves_its_host_as_it_was_and_it_gets_the_next_job(region: Region) -> None:
    here, there = parked(region.a, host(region)), parked(region.b, host(region))
    new(region.a)
    while not (region.a.queue and isinstance(region.a.queue[0], Entry)):
        region.a.look()() if region.a.readings else region.a.write()
    until_claim(region.a)  # it is on its way
    region.ring()
    assert answer_of(there).taken is not None  # node B was quicker
    region.a.settle()
    assert not here.answer.done
    actor = region.a.directory.hosts[here.host_id]
    assert actor.state is not None
    assert (actor.state.claiming, actor.state.current, actor.state.poll) == (None, None, here)
    job_id = made(region.b)
    assert answer_of(here).job_run_id == open_run(region, job_id)[0]


def test_a_claim_whose_commit_nobody_knows_of_ends_the_incarnation_and_the_job_is_not_lost(region: Region) -> None:
    poll = parked(region.a, host(region))
    job_id = str(msgspec.json.decode(_created(region))["id"])
    entry = until_claim(region.a)
    region.a.queue.popleft()
    entry.done(Refused("the outcome of the commit is unknown", unknown=True))
    region.settle()
    assert answer_of(poll).job_run_id == open_run(region, job_id)[0]
    assert open_run(region, job_id)[1] == "running"


def test_a_claim_that_was_written_although_nobody_knows_is_handed_out_by_the_next_incarnation(region: Region) -> None:
    poll = parked(region.a, host(region))
    job_id = str(msgspec.json.decode(_created(region))["id"])
    entry = until_claim(region.a)
    region.a.queue.popleft()
    region.a.committer.commit([entry])
    entry.done(Refused("the outcome of the commit is unknown", unknown=True))
    region.settle()
    assert answer_of(poll).job_run_id == open_run(region, job_id)[0]
    assert region.one("SELECT count(*) FROM job_run") == 1


def _created(region: Region) -> Any:
    """The document of a job made at node A, with all on its way that follows from its commit."""
    reply = new(region.a)
    while not reply.done:
        if region.a.readings:
            region.a.look()()
        else:
            region.a.write()
    return reply.get()


def test_a_poll_that_ends_while_its_claim_is_under_way_still_gets_the_job(region: Region) -> None:
    poll = parked(region.a, host(region))
    _created(region)
    until_claim(region.a)
    region.a.directory.tell(poll.host_id, EndPoll(poll=poll))
    region.settle()
    assert answer_of(poll).taken is not None


def test_a_poll_that_ends_while_its_claim_misses_is_sent_away(region: Region) -> None:
    here, there = parked(region.a, host(region)), parked(region.b, host(region))
    _created(region)
    until_claim(region.a)
    region.ring()
    assert answer_of(there).taken is not None
    here.over = True
    region.a.directory.tell(here.host_id, EndPoll(poll=here))
    region.settle()
    assert answer_of(here).taken is None


def test_a_newer_poll_that_comes_while_a_claim_is_under_way_gets_the_same_run(region: Region) -> None:
    poll = parked(region.a, host(region))
    _created(region)
    until_claim(region.a)
    newer = region.a.poll(poll.host_id, waits=True)
    region.settle()
    assert answer_of(newer).job_run_id == answer_of(poll).job_run_id
    assert region.one("SELECT count(*) FROM job_run") == 1


def test_another_process_that_comes_while_a_claim_is_under_way_does_not_know_of_it(region: Region) -> None:
    poll = parked(region.a, host(region))
    job_id = str(msgspec.json.decode(_created(region))["id"])
    until_claim(region.a)
    region.a.poll(poll.host_id, instance="two")
    region.settle()
    assert region.runs(job_id)[0] == "lost"
    assert region.runs(job_id)[1] == "scheduled"
    assert open_run(region, job_id)[2] is None


def test_an_own_job_that_comes_while_a_claim_is_under_way_waits_behind_it(region: Region) -> None:
    poll = parked(region.a, host(region))
    _created(region)
    until_claim(region.a)
    own = region.a.create(poll.host_id)
    region.settle()
    assert answer_of(poll).taken is not None
    own_id = msgspec.json.decode(own.get())["id"]
    assert region.runs(own_id) == ["pending"]
    report_and_poll(region, poll.host_id, answer_of(poll).job_run_id or "", own_id)


def report_and_poll(region: Region, host_id: str, run_id: str, next_job: str) -> None:
    region.a.report(host_id, run_id)
    region.settle()
    following = region.a.poll(host_id)
    region.settle()
    assert answer_of(following).job_run_id == open_run(region, next_job)[0]


def test_a_host_that_is_paused_gets_no_pool_job(region: Region) -> None:
    host_id, job_id = host(region, paused=True), made(region.a)
    poll = region.a.poll(host_id)
    region.settle()
    assert answer_of(poll).taken is None
    assert open_run(region, job_id)[1] == "pending"


def test_a_host_whose_pause_ends_while_its_poll_is_parked_gets_a_pool_job(region: Region) -> None:
    poll = parked(region.a, host(region, paused=True, paused_until=region.at + 1000))
    job_id = made(region.a)
    assert not poll.answer.done
    region.a.wait(1)
    assert answer_of(poll).job_run_id == open_run(region, job_id)[0]


def test_hosts_of_another_org_get_nothing(region: Region) -> None:
    made(region.a)
    poll = region.a.poll(host(region, org_id="another"))
    region.settle()
    assert answer_of(poll).taken is None


# ---- going back --------------------------------------------------------------------------------------------------------


def test_a_failure_puts_the_next_attempt_into_the_pool_in_the_same_commit(region: Region) -> None:
    host_id, job_id = host(region), made(region.a)
    poll = region.a.poll(host_id)
    region.settle()
    run_id = answer_of(poll).job_run_id or ""
    reply = region.a.report(host_id, run_id, "failed")
    while not reply.done:
        region.a.write()
    assert region.runs(job_id) == ["failed", "scheduled"]
    assert region.one("SELECT status, host_id FROM job WHERE id = ?", job_id) == ("PENDING", None)
    assert reply.get().will_retry
    other = parked(region.b, host(region))
    region.at += 10_000
    region.a.directory.tell(PREFIX + ORG, RetryJob(job_id="", by=USER))  # as an alarm of that name rings
    region.settle()
    assert answer_of(other).job_run_id == open_run(region, job_id)[0]
    assert open_run(region, job_id)[1:] == ("running", other.host_id)


def test_of_two_nodes_that_see_a_job_come_due_one_moves_it(region: Region) -> None:
    job_id = made(region.a, run_at=region.at + 1000)
    assert open_run(region, job_id)[1] == "scheduled"
    region.at += 1000
    for side in (region.a, region.b):
        side.directory.sweep_pools([ORG])
        side.turn()
    brings = [side.look() for side in (region.a, region.b)]
    for bring in brings:
        bring()
    region.settle()
    assert open_run(region, job_id)[1] == "pending"


def test_what_should_have_started_expires_and_is_not_taken_meanwhile(region: Region) -> None:
    job_id = made(region.a, start_before=region.at + 1000)
    region.at += 1000
    poll = region.a.poll(host(region))
    region.settle()
    assert answer_of(poll).taken is None
    region.b.directory.sweep_pools([ORG])
    region.settle()
    assert region.runs(job_id) == ["expired"]
    assert region.one("SELECT status, error_code FROM job WHERE id = ?", job_id) == ("FAILED", "expired")
    assert region.b.events[-1] == "job_run.done"


def test_a_retry_whose_predecessor_was_asked_to_stop_in_vain_is_cancelled_once_due(region: Region) -> None:
    host_id, job_id = host(region), made(region.a)
    poll = region.a.poll(host_id)
    region.settle()
    run_id = answer_of(poll).job_run_id or ""
    asked = region.b.cancel(host_id, job_id)
    region.b.settle()
    assert asked.get() is False  # a word is left for node A, and its ring gets lost
    region.rings.clear()
    region.a.report(host_id, run_id, "failed")
    region.a.settle()
    region.at += 10_000
    region.a.directory.sweep_pools([ORG])
    region.settle()
    assert region.runs(job_id)[-1] == "cancelled"
    assert region.one("SELECT status FROM job WHERE id = ?", job_id) == "CANCELLED"


# ---- users -------------------------------------------------------------------------------------------------------------


def test_a_batch_is_one_transaction(region: Region) -> None:
    job = msgspec.structs.replace(NEW_JOB, host_id=None, labels="{}")
    reply = ask(region.a, CreateJobs(jobs=(job,) * 1000, by=USER))
    region.a.look()()  # how many hosts there are
    assert len(region.a.queue) == 1
    region.a.write()
    assert len(reply.get()) == 1000
    assert not region.a.queue
    assert region.one("SELECT count(*) FROM job") == 1000


def test_of_creates_with_the_same_key_one_is_written_and_the_others_beside_it_are_too(region: Region) -> None:
    job = msgspec.structs.replace(NEW_JOB, host_id=None, labels="{}")
    same = [CreateJob(job=job, by=USER, idempotency=Idempotency("ann", "key", "f")) for _ in range(2)]
    replies = [ask(region.a, message) for message in (*same, CreateJob(job=job, by=USER))]
    region.settle()
    assert [isinstance(reply.outcome, bytes) for reply in replies] == [True, False, True]
    assert isinstance(replies[1].error, Unavailable)
    assert region.one("SELECT count(*) FROM job") == 2


def test_a_cancel_that_comes_after_the_claim_is_passed_on_to_the_host(region: Region) -> None:
    poll = parked(region.a, host(region))
    job_id = str(msgspec.json.decode(_created(region))["id"])
    cancel = ask(region.b, CancelJob(job_id=job_id, by=USER))
    look = region.b.look()  # it waits, as node B has it
    region.a.settle()
    assert answer_of(poll).taken is not None
    look()
    region.settle()
    assert cancel.get() is False
    assert open_run(region, job_id)[1] == "cancelling"


def test_a_claim_that_comes_after_the_cancel_misses(region: Region) -> None:
    poll = parked(region.a, host(region))
    job_id = str(msgspec.json.decode(_created(region))["id"])
    until_claim(region.a)
    cancel = ask(region.b, CancelJob(job_id=job_id, by=USER))
    region.b.settle()
    assert cancel.get() is True
    region.settle()
    assert not poll.answer.done
    assert region.runs(job_id) == ["cancelled"]


def test_what_users_ask_of_ended_and_foreign_pool_jobs_is_refused(region: Region) -> None:
    job_id = made(region.a)
    retry = ask(region.a, RetryJob(job_id=job_id, by=USER))
    region.settle()
    assert isinstance(retry.error, InvalidState)
    for answer in (True, True):
        cancel = ask(region.b, CancelJob(job_id=job_id, by=USER, force=True))
        region.settle()
        assert cancel.get() is answer
    foreign = region.a.directory.ask_org("another", CancelJob(job_id=job_id, by=USER))
    region.settle()
    assert isinstance(foreign.error, NotFound)
    again = [ask(side, RetryJob(job_id=job_id, by=USER)) for side in (region.a, region.b)]
    region.settle()
    assert [reply.error is None for reply in again] == [True, False]
    assert region.runs(job_id) == ["cancelled", "pending"]


def test_the_quota_of_an_org_counts_pool_jobs() -> None:
    region = Region(max_pending_per_org=2)
    replies = [new(region.a) for _ in range(3)]
    region.settle()
    assert [reply.error is None for reply in replies] == [True, True, False]
    assert isinstance(replies[2].error, QuotaExceeded)


# ---- sockets -----------------------------------------------------------------------------------------------------------


class Agent:
    """An agent on a socket."""

    def __init__(
        self, side: Side, host_id: str, *, running: tuple[str, ...] | None = None, settles: bool = True
    ) -> None:
        self.side = side
        self.host_id = host_id
        self.frames: list[tuple[str, Any]] = []
        self.session = Session(
            host_id,
            session_id=f"s-{host_id}",
            push=lambda event, data: self.frames.append((event, data)),
            close=lambda _code, _reason: None,
            running=running,
        )
        side.directory.connect(self.session)
        side.turn()
        if settles:
            side.region.settle()

    @property
    def hints(self) -> list[str]:
        return [data.job_id for event, data in self.frames if event == "job:available"]

    @property
    def given(self) -> list[str]:
        """Runs."""
        return [data.job_run_id for event, data in self.frames if event == "job:new"]

    def ack(self, job_id: str) -> LoopFuture:
        return self.side.ask(self.host_id, Ack(session=self.session, job_id=job_id))


def test_sockets_of_both_nodes_are_told_and_of_their_acks_the_first_wins(region: Region) -> None:
    agents = [Agent(side, host(region)) for side in (region.a, region.a, region.b)]
    job_id = made(region.a)
    assert [agent.hints for agent in agents] == [[job_id]] * 3
    replies = [agent.ack(job_id) for agent in agents]
    region.settle()
    won = [reply for reply in replies if reply.error is None]
    assert [reply.get().job_id for reply in won] == [job_id]
    assert {type(reply.error) for reply in replies} == {type(None), AlreadyTaken}
    winner = agents[replies.index(won[0])]
    assert open_run(region, job_id)[1:] == ("running", winner.host_id)
    again = winner.ack(job_id)
    region.settle()
    assert again.get().job_run_id == won[0].get().job_run_id


def test_a_run_that_a_socket_takes_keeps_when_its_agent_was_told_of_it(region: Region) -> None:
    agent = Agent(region.a, host(region))
    job_id = made(region.a)
    told_at = region.at
    region.at += 5_000
    agent.ack(job_id)
    region.settle()
    times = "SELECT offered_at, started_at FROM job_run WHERE job_id = ?"
    assert region.one(times, job_id) == (told_at, region.at)


def test_a_run_that_a_poll_takes_out_of_the_pool_was_never_offered(region: Region) -> None:
    parked(region.a, host(region))
    job_id = made(region.a)
    assert region.one("SELECT status, offered_at FROM job_run WHERE job_id = ?", job_id) == ("running", None)


def test_an_ack_that_is_answered_only_after_its_commit(region: Region) -> None:
    agent = Agent(region.a, host(region))
    job_id = made(region.a)
    reply = agent.ack(job_id)
    until_claim(region.a)
    assert not reply.done
    second = agent.ack(job_id)  # impatient
    region.settle()
    assert reply.get().job_run_id == second.get().job_run_id


@pytest.mark.parametrize("running", [None, ()])
def test_a_newer_socket_that_comes_while_an_ack_is_under_way_gets_the_run_if_it_says_that_it_runs_nothing(
    region: Region, running: tuple[str, ...] | None
) -> None:
    older = Agent(region.a, host(region), running=running)
    job_id = made(region.a)
    older.ack(job_id)
    until_claim(region.a)
    newer = Agent(region.a, older.host_id, running=running, settles=False)
    region.settle()
    run_id, *held = open_run(region, job_id)
    assert held == ["running", older.host_id]
    assert older.given == []
    assert newer.given == ([] if running is None else [run_id])


def test_a_newer_socket_gets_the_run_from_the_next_incarnation_if_the_one_that_would_hand_it_out_has_ended(
    region: Region,
) -> None:
    older = Agent(region.a, host(region), running=())
    job_id = made(region.a)
    older.ack(job_id)
    until_claim(region.a)
    newer = Agent(region.a, older.host_id, running=(), settles=False)
    region.a.write()  # the claim
    region.a.write()  # the newer one's connect
    last = region.a.queue.popleft()
    assert isinstance(last, Entry)
    last.done(Refused("the disk is full"))
    assert newer.given == []
    region.settle()
    assert newer.given == [open_run(region, job_id)[0]]


def test_an_agent_that_asks_again_after_a_claim_of_unknown_outcome_is_given_what_it_has(region: Region) -> None:
    agent = Agent(region.a, host(region))
    job_id = made(region.a)
    reply = agent.ack(job_id)
    entry = until_claim(region.a)
    region.a.queue.popleft()
    region.a.committer.commit([entry])
    entry.done(Refused("the outcome of the commit is unknown", unknown=True))
    region.settle()
    assert isinstance(reply.error, Unavailable)
    again = agent.ack(job_id)
    region.settle()
    assert again.get().job_run_id == open_run(region, job_id)[0]


def test_a_refused_hint_is_not_repeated_but_goes_to_others(region: Region) -> None:
    agent = Agent(region.a, host(region))
    job_id = made(region.a)
    region.a.ask(agent.host_id, Reject(session=agent.session, job_id=job_id, reason="no"))
    region.settle()
    region.a.directory.look_at_pools()
    region.settle()
    assert agent.hints == [job_id]
    assert Agent(region.a, host(region)).hints == [job_id]
    assert open_run(region, job_id)[1] == "pending"


def test_a_socket_is_told_only_of_what_its_host_may_take(region: Region) -> None:
    plain, special = Agent(region.a, host(region)), Agent(region.a, host(region, labels=GPU))
    job_id = made(region.b, labels=GPU)
    assert (plain.hints, special.hints) == ([], [job_id])


def test_of_many_idle_sockets_those_that_are_told_first_may_take_it_before_the_others_hear(
    region: Region, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "HINTED_AT_ONCE", 2)
    agents = [Agent(region.a, host(region)) for _ in range(5)]

    def told(job_id: str) -> list[Agent]:
        return [agent for agent in agents if job_id in agent.hints]

    first = made(region.a)
    assert len(told(first)) == 2
    region.a.wait(NEXT_ROUND)
    assert len(told(first)) == 4
    told(first)[0].ack(first)
    region.settle()
    region.a.wait(1)
    assert len(told(first)) == 4
    second = made(region.a)
    region.a.wait(1)
    assert len(told(second)) == 4  # all but the one that is at work


# ---- rows that cannot be read ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("message", [CancelJob(job_id="x", by=USER), RetryJob(job_id="x", by=USER), None])
def test_what_the_driver_says_is_for_the_log_and_not_for_the_caller(
    region: Region, message: CancelJob | RetryJob | None, caplog: pytest.LogCaptureFixture
) -> None:
    reply = new(region.a) if message is None else ask(region.a, message)
    ((_, done),) = region.a.readings
    done(None, OperationalError("no such table: job"))
    region.a.turn()
    assert isinstance(reply.error, Unavailable)
    assert "table" not in str(reply.error.detail)
    assert "no such table: job" in caplog.text
