"""The actor of one host: decides in `host_state`, commits through the journal, and lets nothing out before that.

Its memory advances when it decides; a decision's answers, events and alarms wait for its commit. Commits come back in
order. The first that fails ends this incarnation: everything behind it is refused, and the directory starts another,
which claims the host and reads the rows.
"""

import logging
from collections import deque
from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import Any, ClassVar

from actors import host_pool, host_rows, host_users
from actors.decision import Decision
from actors.host_handlers import HANDLERS, Handler
from actors.host_polls import serve
from actors.host_state import HostState
from actors.loop_actor import LATER, LoopActor, LoopFuture
from actors.messages import (
    Ack,
    AnyReply,
    Found,
    HandOutAgain,
    Look,
    Message,
    Poll,
    PollAnswer,
    Seen,
)
from actors.pool_messages import PoolEmpty, PoolJob
from actors.row_reads import rows_for
from actors.surroundings import Surroundings
from interlock.clock import Millis
from interlock.errors import InterlockError, Unavailable
from store import Committed, Entry, Incarnation, Missed, Outcome, Refused
from store.claims import Claimed
from store.entries import Change
from store.rows import host_image

log = logging.getLogger(__name__)

MOST_READS = 50  # of the rows of an ended run, on a host that changes all the time
_AGAIN = 2.0  # seconds that a caller is asked to wait while the host's actor is rebuilt


class _InFlight:
    """A decision on its way to the disk, and what waits behind it without changes of its own."""

    __slots__ = ("decision", "followers", "reply")

    def __init__(self, decision: Decision, reply: LoopFuture) -> None:
        self.decision = decision
        self.reply = reply
        self.followers: list[Callable[[InterlockError | None], None]] = []


class HostActor(LoopActor):
    """One incarnation. Asleep until `wake` brings its rows; dead once anything of it was refused."""

    handlers: ClassVar[dict[type[Message], Handler]] = HANDLERS

    def __init__(self, host_id: str, around: Surroundings) -> None:
        super().__init__(around.scheduler)
        self.host_id = host_id
        self.state: HostState | None = None
        self.incarnation: Incarnation | None = None
        self.last_message_at: Millis = around.clock.now()
        self.timer: tuple[Millis, Any] | None = None  # kept here by the directory, which owns it
        self.submitted = 0
        self.committed = 0
        self.saved_at: Millis = self.last_message_at  # when the host's row was last written
        self.busy_seconds = 0.0
        self.fenced = False  # another process owns the host now
        self.unwritten = False  # and nothing that still waits for an answer was written, or ever will be
        self._looks = 0  # how often it was asked to look at its rows since it began to
        self._ended: InterlockError | None = None  # what whoever still waits is told, once it has ended
        self._around = around
        self._in_flight: deque[_InFlight] | None = None  # made when first needed: an empty deque weighs 600 bytes
        self.inbox.asleep = True

    @property
    def busy(self) -> bool:
        """Whether commits are under way or messages wait."""
        return bool(self._in_flight) or not self.inbox.empty()

    def wake(self, claimed: Claimed, *, started_at: Millis) -> None:
        """The rows are here: begin to handle what has been waiting in the mailbox."""
        now = self._around.clock.now()
        self.state = HostState(claimed, self._around.limits, now, started_at=started_at)
        self.state.seeks = self._around.pool.seeks
        self.incarnation = Incarnation(self.host_id, claimed.host.epoch)
        # What the last owner was asked and did not hear of comes before what its agent says now: a report of a failure
        # would else be tried again although a user has cancelled.
        d = Decision(now, self._around.ids, self._around.clock.chance())
        host_rows.heed(self.state, d)
        self._carry_out(d, LoopFuture())
        self.inbox.asleep = False
        self.inbox.nudge()

    def refuse_all(self, why: InterlockError) -> None:
        """End it: everybody who waits for this incarnation is told."""
        if self.incarnation is not None:
            self.incarnation.poisoned = True
        self._ended = why
        self.actor_stopped.set()
        waiting, self._in_flight = list(self._in_flight or ()), None
        for flight in waiting:
            _settle(flight.reply, why)
            for follower in flight.followers:
                follower(why)
        while not self.inbox.empty():
            envelope = self.inbox.get()
            if envelope.reply_to is not None:
                envelope.reply_to.set_exception((type(why), why, None))

    def _why_ended(self) -> InterlockError:
        return self._ended or Unavailable("The host's actor is being rebuilt", retry_after=_AGAIN)

    def on_receive(self, message: Message) -> object:
        """Decide, and answer once what was decided is durable."""
        began = perf_counter()
        self._decide(message, self.later())
        self.busy_seconds += perf_counter() - began
        return LATER

    def on_failure(self, exception_type: Any, exception_value: Any, traceback: Any) -> None:
        """A bug: this memory may be half changed, so it goes, and the next incarnation reads the rows."""
        del exception_type, traceback
        self._around.dropped(self, "an unexpected error", exception_value)

    def _decide(self, message: Message, reply: LoopFuture) -> LoopFuture:
        around, state = self._around, self.state
        if state is None:
            raise RuntimeError("a message was handled before the host's rows were read")
        self.last_message_at = now = around.clock.now()
        d = Decision(now, around.ids, around.clock.chance())
        try:
            self.handlers[type(message)](state, message, d)
        except InterlockError as refusal:
            # Refused, but the sign of life that came with it counts; handlers refuse before they change rows.
            d.reply = refusal
        rounds = message.rounds + 1 if isinstance(message, Found) else 0
        if d.look_up is not None and rounds >= MOST_READS:
            d.look_up, d.reply = None, Unavailable("The rows and the memory of this host disagree", retry_after=_AGAIN)
        host_pool.keep_first(state, around.pool, d)
        # With a claim under way the rows may be about to change: they are read behind it.
        at_hand = None if self._in_flight else host_pool.rows_at_hand(state, around.pool, d)
        if d.look_up is not None and at_hand is None:
            self._look_up(d, reply, rounds)
        self._carry_out(d, reply)
        if d.look_up is not None and at_hand is not None:  # nothing needs to be read
            take_in = partial(self._take_in, d.look_up, at_hand, reply, rounds)
            self._once_durable(reply, lambda: self._guarded(take_in, reply))
        around.settled(self)
        return reply

    def _carry_out(self, d: Decision, reply: LoopFuture) -> None:
        if d.changes_anything:
            self._submit(d.seal(), _InFlight(d, reply))
        elif self._in_flight:
            # What it says may rest on changes that are still on their way: it waits for them.
            self._behind_all(lambda failure: self._release(d, reply, failure))
        else:
            self._release(d, reply, None)

    def _submit(self, changes: list[Change], flight: _InFlight) -> None:
        if self.state is None or self.incarnation is None:
            raise RuntimeError("a decision without rows")
        if self._in_flight is None:
            self._in_flight = deque()
        self._in_flight.append(flight)
        entry = Entry(self.incarnation, host_image(self.state.host), changes, partial(self._committed, flight))
        if flight.decision.placed and not self._around.ownership.alone:
            entry.expects = self.state.host.next_seq  # it went out ahead of nobody: was that so?
        entry.claim = flight.decision.claim
        self.submitted += 1
        self.saved_at = self.last_message_at
        self._around.journal.submit(entry)

    def _committed(self, flight: _InFlight, outcome: Outcome) -> None:
        if not self._in_flight or self.state is None:
            return  # this incarnation has ended meanwhile
        if isinstance(outcome, Refused):
            self.fenced = self.unwritten = outcome.fenced and not self._around.ownership.alone
            self._around.dropped(self, outcome.why, None)
        elif flight is not self._in_flight[0]:
            self._failed(RuntimeError("a decision's outcome was told before that of an earlier one"))
        else:
            try:
                self._settle_first(outcome)
            except BaseException as error:  # noqa: BLE001 - whatever it is, it ends this incarnation
                self._failed(error)

    def _settle_first(self, outcome: Committed) -> None:
        """The oldest decision is durable. It leaves the queue last: a bug on the way finds it there, still unanswered."""
        if not self._in_flight:
            return
        flight = self._in_flight[0]
        self.committed += 1
        self._note(outcome)
        if outcome.seqs:
            self._join(flight.decision, outcome)
        if flight.decision.claim is not None:
            self._settle_claim(flight.decision, missed=isinstance(outcome, Missed))
        self._release(flight.decision, flight.reply, None)
        for follower in flight.followers:
            follower(None)
        if self._in_flight:
            self._in_flight.popleft()
        self._in_flight = self._in_flight or None

    def _guarded(self, work: Callable[[], object], reply: LoopFuture) -> None:
        """What runs outside a turn of the mailbox: a bug there ends this incarnation just the same."""
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - as above
            self._failed(error)
            _settle(reply, self._why_ended())

    def _failed(self, error: BaseException) -> None:
        log.error(
            "Unexpected error in the actor of host %s", self.host_id, exc_info=error, extra={"host": self.host_id}
        )
        self._around.dropped(self, "an unexpected error", error)

    def _note(self, outcome: Committed) -> None:
        """Where the host's counters stand now. A gap means that another node has written: the rows are read before
        anything new goes out.
        """
        if self.state is None:
            return
        host = self.state.host
        if outcome.rev > host.rev + 1 or outcome.first_seq > host.next_seq:
            self.state.stale = True
            self.look()
        host.rev, host.next_seq = outcome.rev, max(host.next_seq, outcome.first_seq + len(outcome.seqs))

    @property
    def looks(self) -> bool:
        """Whether it is about to read its rows."""
        return self._looks > 0

    def look(self) -> None:
        """Read the rows, soon: somebody else has written to them. Asked while it reads, it reads once more."""
        self._looks += 1
        if self._looks == 1:
            self.actor_ref.tell(Look())

    def _looked(self) -> None:
        again, self._looks = self._looks > 1, 0
        if again:
            self.look()

    def _join(self, committed: Decision, outcome: Committed) -> None:
        """New jobs have their places: they stand in line, and a parked poll may get one."""
        state = self.state
        if state is None:
            return
        host_users.join(state, committed, outcome.seqs)
        if not committed.joins:
            return
        if state.poll is not None or state.session is not None:  # somebody listens
            d = Decision(self._around.clock.now(), self._around.ids, self._around.clock.chance())
            serve(state, d)
            self._carry_out(d, LoopFuture())
        self._around.settled(self)

    def _settle_claim(self, claimed: Decision, *, missed: bool) -> None:
        """It is known whether the job that was claimed is this host's."""
        if self.state is None:
            return
        d = Decision(self._around.clock.now(), self._around.ids, self._around.clock.chance())
        host_pool.settle(self.state, claimed, d, missed=missed)
        self._carry_out(d, LoopFuture())
        self._around.settled(self)

    def _release(self, d: Decision, reply: LoopFuture, failure: InterlockError | None) -> None:
        """It is durable: let its effects out. Or it failed: say so."""
        if failure is not None:
            _settle(reply, failure)
            return
        state = self.state
        for poll, answer in d.answers:
            self._answer(poll, answer)
        if state is not None:
            for effect in d.effects:
                self._around.events.publish(state.host.org_id, effect.event, effect.data)
        for due_at in d.alarms:
            self._around.alarms.set_alarm(self.host_id, due_at)
        if d.pooled and state is not None:
            self._around.pool.note(state.host.org_id, self.host_id, d.pooled)
        if d.look_up is None:
            _settle(reply, d.reply)
        for session, event, data in d.pushes or ():  # behind the answer: "done" is acknowledged before the next comes
            session.deliver(event, data)
        for session, code, reason in d.ends or ():
            session.end(code, reason)

    def _answer(self, poll: Poll, answer: AnyReply) -> None:
        if not poll.answer.done:
            poll.answer.settle(answer)
        elif isinstance(answer, PollAnswer) and answer.job_run_id is not None:
            self.actor_ref.tell(HandOutAgain(job_run_id=answer.job_run_id))  # nobody was left to get it

    def _look_up(self, d: Decision, reply: LoopFuture, rounds: int) -> None:
        """Not in this memory: ask the rows, once all that was decided before is in them."""
        asked = d.look_up
        if asked is None:
            raise TypeError("nothing is to be looked up")
        work = rows_for(asked, self.host_id, self.state)
        reader = self._around.gathered if isinstance(asked, Ack | PoolJob) else self._around.reader
        tries: list[int] = []  # what had been committed when each read began

        def read() -> None:
            tries.append(self.committed)
            reader.read(work, done)

        def done(rows: Any, error: BaseException | None) -> None:
            if self.actor_stopped.is_set():
                _settle(reply, self._why_ended())
            elif error is not None:
                self._could_not_look(asked)
                log.warning("The rows of host %s cannot be read: %s", self.host_id, error, extra={"host": self.host_id})
                _settle(reply, Unavailable("The rows cannot be read at the moment", retry_after=_AGAIN))
            elif tries[-1] == self.submitted:
                self._guarded(lambda: self._take_in(asked, rows, reply, rounds), reply)
            elif len(tries) < MOST_READS:
                self._once_durable(reply, read)  # the rows may be older than what was decided meanwhile
            else:
                self._could_not_look(asked)
                _settle(reply, Unavailable("The host is too busy to look back", retry_after=_AGAIN))

        self._once_durable(reply, read)

    def _could_not_look(self, asked: Message) -> None:
        """Nothing new goes out until somebody has made it look again: the directory does, every few seconds."""
        if isinstance(asked, Look) and self.state is not None:
            self._looks, self.state.stale = 0, True
        elif isinstance(asked, Ack | PoolJob) and self.state is not None:
            self.actor_ref.tell(PoolEmpty())  # a poll that does not wait is not kept
            self._around.pool.note(self.state.host.org_id, self.host_id, [("free", asked.job_id)])

    def _take_in(self, asked: Message, rows: Any, reply: LoopFuture, rounds: int) -> None:
        if not isinstance(asked, Look):
            job, run, beside = rows if len(rows) > 2 else (*rows, None)  # noqa: PLR2004 - what else was asked for
            self._decide(Found(asked=asked, job=job, run=run, reply=reply, beside=beside, rounds=rounds), reply)
        elif rows is None or self.incarnation is None or rows.host.epoch != self.incarnation.epoch:
            # Nothing is in flight, or it would read again.
            self.fenced = self.unwritten = not self._around.ownership.alone
            self._around.dropped(self, "another process has taken this host over, or it was deleted", None)
            _settle(reply, self._why_ended())
        else:
            self._looked()
            self._decide(Seen(claimed=rows, asked_at=asked.asked_at), reply)

    def _behind_all(self, follower: Callable[[InterlockError | None], None]) -> None:
        """Call it once all that was decided so far is durable, or with the failure."""
        if self._in_flight:
            self._in_flight[-1].followers.append(follower)
        else:
            follower(None)

    def _once_durable(self, reply: LoopFuture, work: Callable[[], object]) -> None:
        """Do it behind all that was decided so far; if that fails, this incarnation has ended, and who waits is told so."""

        def follow(failure: InterlockError | None) -> None:
            if failure is None:
                work()
            else:
                _settle(reply, failure)

        self._behind_all(follow)


def _settle(reply: LoopFuture, value: Any) -> None:
    if not reply.done:
        reply.settle(value)
