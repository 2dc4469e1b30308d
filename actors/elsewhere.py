"""Hosts that another node owns: what users ask of them is appended to their rows, and the owner is rung.

The same decisions as the host's own actor takes, on a state that knows only the job in question: a job is created, ended
while it waits, or tried afresh by whoever is asked. What a machine is at is its owner's to stop: a word is left for it.
"""

import logging
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

from actors import host_users
from actors.decision import Decision
from actors.documents import job_event
from actors.host_state import HostState
from actors.loop_actor import LoopFuture
from actors.messages import CancelJob, CreateJob, Found, Message, RetryJob
from actors.ports import Effect
from actors.rounds import Rounds
from actors.surroundings import Surroundings
from interlock.errors import InterlockError, NotFound, Unavailable
from interlock.states import LIVE, TERMINAL
from store import Entry, Incarnation, Outcome, Refused
from store.claims import Claimed
from store.entries import Change, JobChange
from store.jobs import host_and_waiting, job_and_last_run
from store.keys import stored_answer
from store.rows import HOST_OWNED, HostRow, JobRow, RunRow

log = logging.getLogger(__name__)

APPENDED = (CreateJob, CancelJob, RetryJob)  # what any node may write, whoever owns the host
_OWNED = (None,) * len(HOST_OWNED)  # the owner's columns of the host: not for us to write
MOST_TRIES = 5  # of an append whose rows the owner moved meanwhile


class Rows(NamedTuple):
    """What an append is decided on."""

    host: HostRow
    waiting: int  # open runs of the host
    job: JobRow | None
    run: RunRow | None
    made: bool = False  # under its Idempotency-Key, by another node meanwhile


class Asked(NamedTuple):
    """Something to append, and who waits for it."""

    owner: str | None
    message: Message
    reply: LoopFuture
    tries: int  # that are left


class Elsewhere:
    """Appends facts to hosts that others own."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._rounds: Rounds[Asked] = Rounds(self._round)
        self._under_way: Counter[str] = Counter()  # new jobs by host, decided and not yet known to be in the rows

    def append(self, owner: str | None, host_id: str, message: Message) -> LoopFuture:
        """The reply that the host's own actor would give, once it is durable; `owner` is rung."""
        reply = LoopFuture()
        self._rounds.add(host_id, Asked(owner, message, reply, MOST_TRIES))
        return reply

    def _round(self, host_id: str, asked: list[Asked], end: Callable[[], None]) -> None:
        """Read once for all that is asked, then decide one after the other."""

        def read(rows: list[Rows] | None, error: BaseException | None) -> None:
            if error is not None:
                log.warning("The rows of host %s cannot be read: %s", host_id, error, extra={"host": host_id})
            for place, each in enumerate(asked):
                if rows is not None:
                    self._submit(host_id, each, rows[place])
                elif error is not None:
                    each.reply.settle(Unavailable("The rows cannot be read at the moment"))
                else:
                    each.reply.settle(NotFound("No such host"))
            end()

        self._around.reader.read(lambda database: _look(database, host_id, asked), read)

    def _submit(self, host_id: str, asked: Asked, rows: Rows) -> None:
        new = isinstance(asked.message, CreateJob | RetryJob)
        if rows.made:
            asked.reply.settle(Unavailable("Another node has just made this job", retry_after=1))
            return
        try:
            d = self._decide(rows, asked.message)
        except InterlockError as refusal:
            asked.reply.settle(refusal)
            return
        if not d.changes_anything:
            asked.reply.settle(d.reply)
            return

        def committed(outcome: Outcome) -> None:
            self._under_way[host_id] -= new
            if not self._under_way[host_id]:
                del self._under_way[host_id]
            if not isinstance(outcome, Refused):
                self._release(d, rows.host, asked.owner)
                asked.reply.settle(d.reply)
            elif outcome.unknown or asked.tries <= 1:
                asked.reply.settle(Unavailable(f"It was not written: {outcome.why}", retry_after=2))
            else:
                self._rounds.add(host_id, asked._replace(tries=asked.tries - 1))

        self._under_way[host_id] += new
        self._around.journal.submit(Entry(Incarnation(host_id, None), _OWNED, _narrow(d.seal()), committed))

    def _decide(self, rows: Rows, message: Message) -> Decision:
        around, job, run = self._around, rows.job, rows.run
        d = Decision(around.clock.now(), around.ids, around.clock.chance())
        open_run = [(job, run)] if job is not None and run is not None and run.status not in TERMINAL else []
        state = HostState(Claimed(rows.host, open_run), around.limits, d.now)
        state.joining, state.online = rows.waiting + self._under_way[rows.host.id], True
        if isinstance(message, CreateJob):
            host_users.create_job(state, message, d)
        elif isinstance(message, CancelJob) and job is not None and run is not None and run.status in LIVE:
            _leave_word(message, job, run, d)
        elif open_run:
            host_users.of_a_job(state, message, d)
        else:
            host_users.found(state, Found(asked=message, job=job, run=run, reply=LoopFuture()), d)
        if isinstance(d.reply, InterlockError):
            raise d.reply
        return d

    def _release(self, d: Decision, host: HostRow, owner: str | None) -> None:
        around = self._around
        for effect in d.effects:
            around.events.publish(host.org_id, effect.event, effect.data)
        for due_at in d.alarms:
            around.alarms.set_alarm(host.id, due_at)
        if owner is not None:
            around.ownership.ring(owner, host.id)


def _narrow(changes: list[Change]) -> list[Change]:
    """No column but those of the move itself: the job's others may be written by the owner meanwhile."""
    for change in changes:
        if isinstance(change, JobChange):
            change.wide = False
    return changes


def _leave_word(message: CancelJob, job: JobRow, run: RunRow, d: Decision) -> None:
    forced = message.force or run.asked_to_stop == "force"  # whose word its owner may not have read yet
    d.ask_to_stop(run.id, "force" if forced else "cancel")
    host_users.audit_cancel(message, job, d)
    event = job_event(job, run)
    d.effects.append(Effect("job.updated", event))
    d.reply = False


def _look(database: Any, host_id: str, asked: list[Asked]) -> list[Rows] | None:
    """The rows for each message; None when there is no such host."""
    found = host_and_waiting(database, host_id)
    if found is None:
        return None
    return [Rows(*found, *_job_of(database, each.message), made=_is_made(database, each)) for each in asked]


def _job_of(database: Any, message: Message) -> tuple[JobRow | None, RunRow | None]:
    return job_and_last_run(database, message.job_id) if isinstance(message, CancelJob | RetryJob) else (None, None)


def _is_made(database: Any, asked: Asked) -> bool:
    """Whether it was refused for its key: that is taken but once, however often it is tried."""
    message = asked.message
    if asked.tries == MOST_TRIES or not isinstance(message, CreateJob) or message.idempotency is None:
        return False
    key = message.idempotency
    return stored_answer(database, message.job.org_id, key.user_id, key.key) is not None
