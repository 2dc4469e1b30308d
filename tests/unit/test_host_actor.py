"""One incarnation of a host's actor: nothing leaves before its commit, and whatever goes wrong ends it for everybody."""

import contextlib
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from actors.decision import Decision
from actors.host import MOST_READS, HostActor
from actors.host_handlers import HANDLERS
from actors.host_state import HostState
from actors.limits import Limits
from actors.loop_actor import LoopFuture
from actors.messages import CancelJob, CreateJob, Describe, Found, Message, Poll, ReportResult, RetryJob, Take
from actors.ports import Handle
from actors.surroundings import Surroundings
from interlock.errors import InterlockError, NotFound, Unavailable
from interlock.wire import Report
from store import Committed, Entry, Refused
from store.claims import Claimed
from store.entries import JobChange
from store.rows import JobRow, RunRow
from tests.support.hosts import FRESH_HOST, NEW_JOB, NOW, USER, Ids, answer_of

CREATE = CreateJob(job=NEW_JOB, by=USER)


class World:
    """What surrounds an actor: a journal, a reader and a loop that the test works by hand."""

    def __init__(self) -> None:
        self.turns: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self.entries: deque[Entry] = deque()
        self.reads: deque[Callable[[Any, BaseException | None], None]] = deque()
        self.published: list[str] = []
        self.alarms: list[tuple[str, int]] = []
        self.dropped: list[tuple[str, BaseException | None]] = []
        self.settled = 0
        self.next_seq = 1
        self.rev = 0
        around = Surroundings(
            scheduler=self,
            clock=self,
            ids=Ids(),
            journal=self,
            reader=self,
            events=self,
            limits=Limits(),
        )
        around.alarms = self
        around.dropped = self._drop
        around.settled = self._settle
        self.actor = HostActor("host", around)
        self.actor._start_actor_loop()

    # ---- its ports -------------------------------------------------------------------------------------------------

    def now(self) -> int:
        return NOW

    def chance(self) -> float:
        return 0.5

    def call_soon(self, callback: Callable[..., object], *args: Any) -> None:
        self.turns.append((callback, args))

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any) -> Handle:
        raise AssertionError(f"only the directory and pools set timers: {delay} {callback} {args}")

    def submit(self, entry: Entry) -> None:
        self.entries.append(entry)

    def exclusive(self, work: Any, done: Any) -> None:
        raise AssertionError(f"only the directory claims: {work} {done}")

    def read(self, work: Any, done: Callable[[Any, BaseException | None], None]) -> None:
        del work
        self.reads.append(done)

    def publish(self, org_id: str, event: str, data: msgspec.Struct) -> None:
        del org_id, data
        self.published.append(event)

    def set_alarm(self, host_id: str, due_at: int) -> None:
        self.alarms.append((host_id, due_at))

    def _drop(self, actor: HostActor, why: str, error: BaseException | None) -> None:
        """As the directory does."""
        self.dropped.append((why, error))
        actor.refuse_all(Unavailable("being rebuilt"))

    def _settle(self, _: HostActor) -> None:
        self.settled += 1

    # ---- what the test does ----------------------------------------------------------------------------------------

    def wake(self, *runs: tuple[JobRow, RunRow]) -> None:
        """Its rows are here."""
        self.actor.wake(Claimed(replace(FRESH_HOST), list(runs)), started_at=0)
        self.turn()

    def turn(self) -> None:
        """Let everything on the loop run."""
        while self.turns:
            callback, args = self.turns.popleft()
            callback(*args)

    def ask(self, message: Message) -> LoopFuture:
        reply: Any = self.actor.actor_ref.ask(message, block=False)
        self.turn()
        assert isinstance(reply, LoopFuture)
        return reply

    def commit(self) -> Entry:
        """The oldest decision becomes durable."""
        entry = self.entries.popleft()
        new = [change.id for change in entry.changes if isinstance(change, JobChange) and change.new_seq]
        seqs = {job_id: self.next_seq + place for place, job_id in enumerate(new)}
        first, self.next_seq, self.rev = self.next_seq, self.next_seq + len(new), self.rev + 1
        entry.done(Committed(self.rev, first, seqs))
        self.turn()
        return entry

    def refuse(self, why: str = "disk full", *, unknown: bool = False) -> None:
        """The oldest decision is not written."""
        self.entries.popleft().done(Refused(why, unknown=unknown))
        self.turn()

    def rows_of(self, entry: Entry) -> tuple[JobRow, RunRow]:
        """The job and the run that a creation has written."""
        job, run = entry.changes[:2]
        return JobRow(*job.image), RunRow(*run.image)  # type: ignore[union-attr]  # a creation's first two


@pytest.fixture
def world() -> World:
    world = World()
    world.wake()
    return world


def report(run_id: str) -> ReportResult:
    """A success."""
    return ReportResult(job_run_id=run_id, report=Report(status="success"), digest="digest", body="{}")


# ---- commits -----------------------------------------------------------------------------------------------------------


def test_messages_wait_until_the_rows_are_here() -> None:
    world = World()
    reply = world.ask(Describe())
    assert not reply.done
    world.wake()
    assert reply.get()["hostId"] == "host"


def test_nothing_leaves_before_the_commit(world: World) -> None:
    poll = Poll("host", waits=True)
    world.ask(Take(poll=poll))
    published = len(world.published)
    reply = world.ask(CREATE)
    assert (reply.done, poll.answer.done, len(world.published)) == (False, False, published)
    world.commit()
    assert (reply.done, poll.answer.done) == (True, True)
    assert world.published[published:] == ["job.created", "job_run.started"]


def test_an_answer_without_changes_waits_for_the_changes_that_it_may_rest_on(world: World) -> None:
    created, described = world.ask(CREATE), world.ask(Describe())
    assert (created.done, described.done) == (False, False)
    world.commit()
    assert (created.done, described.done) == (True, True)


def test_an_answer_without_changes_is_given_at_once_when_nothing_is_under_way(world: World) -> None:
    assert world.ask(Describe()).done


def test_a_refusal_too_waits_for_the_changes_that_it_may_rest_on(world: World) -> None:
    world.ask(CREATE)
    refused = world.ask(CancelJob(job_id="unknown", by=USER))
    assert not world.reads
    world.commit()
    world.reads.popleft()((None, None), None)
    with pytest.raises(NotFound):
        refused.get()


def test_alarms_are_set_after_the_commit(world: World) -> None:
    later = NOW + 5000
    world.ask(CreateJob(job=msgspec.structs.replace(NEW_JOB, run_at=later), by=USER))
    assert world.alarms == []
    world.commit()
    assert world.alarms == [("host", later)]


def test_decisions_are_submitted_in_order_with_the_host_as_each_left_it(world: World) -> None:
    for _ in range(2):
        world.ask(CREATE)
        world.commit()
    world.ask(Take(poll=Poll("host", waits=False)))
    taken = world.entries[-1]
    run_id = str(world.actor.state.current.run.id) if world.actor.state and world.actor.state.current else ""
    world.ask(report(run_id))
    assert [entry.host[0] for entry in world.entries] == [1, 1]
    assert taken.incarnation is world.entries[-1].incarnation is world.actor.incarnation


# ---- failures ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unknown", [False, True])
def test_a_refused_commit_ends_the_incarnation_and_everybody_is_told(world: World, *, unknown: bool) -> None:
    first, behind, second = world.ask(CREATE), world.ask(Describe()), world.ask(CREATE)
    left: Any = world.actor.actor_ref.ask(CREATE, block=False)
    world.refuse(unknown=unknown)
    assert [type(reply.error) for reply in (first, behind, second, left)] == [Unavailable] * 4
    assert world.actor.incarnation is not None
    assert world.actor.incarnation.poisoned
    assert not world.actor.actor_ref.is_alive()
    assert world.dropped == [("disk full", None)]
    assert "job.created" not in world.published


def test_outcomes_that_come_after_the_end_change_nothing(world: World) -> None:
    world.ask(CREATE)
    second = world.ask(CREATE)
    world.refuse()
    world.refuse("an earlier change of this host was not written")
    assert len(world.dropped) == 1
    assert isinstance(second.error, Unavailable)


def test_a_gap_in_the_places_means_that_somebody_else_appended_and_the_rows_are_read(world: World) -> None:
    world.next_seq = 5
    created, behind = world.ask(CREATE), world.ask(Describe())
    world.commit()
    assert isinstance(created.get(), bytes)
    assert behind.done
    assert world.dropped == []
    assert world.actor.state is not None
    assert world.actor.state.stale
    assert len(world.reads) == 1


def test_a_bug_in_a_handler_ends_the_incarnation(world: World, caplog: pytest.LogCaptureFixture) -> None:
    bug = RuntimeError("half changed")
    world.actor.handlers = {CreateJob: _raising(bug)}  # type: ignore[misc]  # this actor's only
    reply = world.ask(CREATE)
    assert reply.error is bug
    assert world.dropped == [("an unexpected error", bug)]
    assert "half changed" in caplog.text


def test_a_bug_in_what_follows_a_look_up_ends_the_incarnation_too(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    reply = world.ask(RetryJob(job_id="unknown", by=USER))
    bug = RuntimeError("half changed")
    monkeypatch.setattr("actors.host_users.found", _raising(bug))
    _swallow(lambda: world.reads.popleft()((None, None), None))
    assert reply.done
    assert [error for _, error in world.dropped] == [bug]
    assert not world.actor.actor_ref.is_alive()


def test_a_bug_in_what_follows_a_commit_ends_the_incarnation_too(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    reply, behind = world.ask(CREATE), world.ask(Describe())
    bug = RuntimeError("half changed")
    monkeypatch.setattr("actors.host_users.join", _raising(bug))
    _swallow(world.commit)
    assert (reply.done, behind.done) == (True, True)
    assert [error for _, error in world.dropped] == [bug]
    assert not world.actor.actor_ref.is_alive()


def test_an_outcome_that_is_told_before_an_earlier_ones_answers_nobody_and_ends_the_incarnation(world: World) -> None:
    jobs = []
    for _ in range(2):
        world.ask(CREATE)
        jobs.append(world.rows_of(world.commit())[0])
    replies = [world.ask(CancelJob(job_id=job.id, by=USER)) for job in jobs]
    world.entries.rotate()
    world.commit()
    assert [type(reply.error) for reply in replies] == [Unavailable, Unavailable]
    assert "job.cancelled" not in world.published
    assert not world.actor.actor_ref.is_alive()


def _raising(error: BaseException) -> Callable[..., None]:
    def fail(*_: Any) -> None:
        raise error

    return fail


def _swallow(call: Callable[[], object]) -> None:
    """As the journal and the loop do with what a callback raises."""
    with contextlib.suppress(RuntimeError):
        call()


# ---- look-ups ----------------------------------------------------------------------------------------------------------


def test_what_is_not_in_memory_is_read_and_decided_then(world: World) -> None:
    world.ask(CREATE)
    job, run = world.rows_of(world.commit())
    run.id, job.host_id = "elsewhere", "host"
    reply = world.ask(report("elsewhere"))
    world.reads.popleft()((job, replace(run, host_id="another")), None)
    with pytest.raises(NotFound):
        reply.get()


def test_rows_that_were_read_while_something_was_decided_are_read_again(world: World) -> None:
    reply = world.ask(RetryJob(job_id="unknown", by=USER))
    read = world.reads.popleft()
    world.ask(CREATE)
    read((None, None), None)
    assert (reply.done, len(world.reads)) == (False, 0)
    world.commit()
    world.reads.popleft()((None, None), None)
    assert isinstance(reply.error, NotFound)


def test_rows_that_never_answer_what_was_asked_are_not_read_for_ever(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asks_again(_state: HostState, message: Found, d: Decision) -> None:
        d.look_up = message.asked

    monkeypatch.setattr(HostActor, "handlers", HANDLERS | {Found: asks_again})
    reply = world.ask(RetryJob(job_id="unknown", by=USER))
    reads = 0
    while world.reads:
        world.reads.popleft()((None, None), None)
        world.turn()
        reads += 1
        assert reads <= MOST_READS
    assert isinstance(reply.error, Unavailable)


def test_rows_that_cannot_be_read_are_a_try_later(world: World) -> None:
    reply = world.ask(RetryJob(job_id="unknown", by=USER))
    world.reads.popleft()(None, RuntimeError("no database"))
    assert isinstance(reply.error, Unavailable)
    assert world.actor.actor_ref.is_alive()


def test_a_look_up_that_comes_back_after_the_end_is_a_try_later(world: World) -> None:
    reply = world.ask(RetryJob(job_id="unknown", by=USER))
    world.actor.refuse_all(Unavailable("being rebuilt"))
    world.reads.popleft()((None, None), None)
    assert isinstance(reply.error, Unavailable)


def test_a_look_up_behind_a_commit_that_fails_is_a_try_later(world: World) -> None:
    world.ask(CREATE)
    reply = world.ask(RetryJob(job_id="unknown", by=USER))
    world.refuse()
    assert isinstance(reply.error, InterlockError)
    assert not world.reads


# ---- lives -------------------------------------------------------------------------------------------------------------


def test_a_poll_that_is_answered_already_is_not_answered_again(world: World) -> None:
    poll = Poll("host", waits=True)
    world.ask(Take(poll=poll))
    world.ask(CREATE)
    poll.answer.settle(Unavailable("the client has gone"))
    world.commit()
    assert isinstance(poll.answer.error, Unavailable)


def test_a_poll_that_is_answered_with_a_job_knows_its_run(world: World) -> None:
    poll = Poll("host", waits=True)
    world.ask(Take(poll=poll))
    world.ask(CREATE)
    _, run = world.rows_of(world.commit())
    assert answer_of(poll).job_run_id == run.id


def test_whoever_waits_in_the_mailbox_of_an_actor_that_ends_is_told(world: World) -> None:
    waiting: Any = world.actor.actor_ref.ask(Describe(), block=False)
    world.actor.refuse_all(NotFound("No such host"))
    world.turn()
    assert isinstance(waiting.error, NotFound)


def test_it_is_busy_while_commits_are_under_way_or_messages_wait(world: World) -> None:
    seen = [world.actor.busy]
    for step in (lambda: world.ask(CREATE), world.commit, lambda: world.actor.actor_ref.tell(Describe())):
        step()
        seen.append(world.actor.busy)
    assert seen == [False, True, False, True]


def test_after_every_turn_its_timer_is_looked_after(world: World) -> None:
    world.ask(Describe())
    assert world.settled == 1
    assert isinstance(world.actor.state, HostState)
