"""Hosts that another node owns: what users ask of them is appended to their rows, and the owner is rung.

The same decisions as the host's own actor takes, on a state that knows only the job in question: a job is created, ended
while it waits, or tried afresh by whoever is asked. What a machine is at is its owner's to stop: a word is left for it.
"""

import logging
from collections.abc import Callable
from typing import Any, NamedTuple

from actors import host_users
from actors.decision import Decision
from actors.documents import job_event
from actors.host_state import HostState
from actors.loop_actor import LoopFuture
from actors.messages import CancelJob, CreateJob, Found, Message, RetryJob
from actors.ports import Effect
from actors.surroundings import Surroundings
from interlock.errors import InterlockError, NotFound, Unavailable
from interlock.states import LIVE, TERMINAL
from store import Entry, Incarnation, Outcome, Refused
from store.claims import Claimed
from store.jobs import host_and_waiting, job_and_last_run
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


class Elsewhere:
    """Appends facts to hosts that others own."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around

    def append(self, owner: str | None, host_id: str, message: Message) -> LoopFuture:
        """The reply that the host's own actor would give, once it is durable; `owner` is rung."""
        reply = LoopFuture()
        self._try(owner, host_id, message, reply, MOST_TRIES)
        return reply

    def _try(self, owner: str | None, host_id: str, message: Message, reply: LoopFuture, tries: int) -> None:
        def read(rows: Rows | None, error: BaseException | None) -> None:
            if error is not None:
                reply.settle(Unavailable(f"The rows cannot be read: {error}"))
            elif rows is None:
                reply.settle(NotFound("No such host"))
            else:
                decide(rows)

        def decide(rows: Rows) -> None:
            try:
                d = self._decide(rows, message)
            except InterlockError as refusal:
                reply.settle(refusal)
                return
            if d.changes_anything:
                entry = Entry(Incarnation(host_id, None), _OWNED, d.seal(), lambda outcome: committed(d, rows, outcome))
                self._around.journal.submit(entry)
            else:
                reply.settle(d.reply)

        def committed(d: Decision, rows: Rows, outcome: Outcome) -> None:
            if not isinstance(outcome, Refused):
                self._release(d, rows.host, owner)
                reply.settle(d.reply)
            elif outcome.unknown or tries <= 1:
                reply.settle(Unavailable(f"It was not written: {outcome.why}", retry_after=2))
            else:
                self._try(owner, host_id, message, reply, tries - 1)

        self._around.reader.read(_looking(host_id, message), read)

    def _decide(self, rows: Rows, message: Message) -> Decision:
        around, job, run = self._around, rows.job, rows.run
        d = Decision(around.clock.now(), around.ids, around.clock.chance())
        open_run = [(job, run)] if job is not None and run is not None and run.status not in TERMINAL else []
        state = HostState(Claimed(rows.host, open_run), around.limits, d.now)
        state.joining, state.online = rows.waiting, True
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


def _leave_word(message: CancelJob, job: JobRow, run: RunRow, d: Decision) -> None:
    d.ask_to_stop(run.id, "force" if message.force else "cancel")
    host_users.audit_cancel(message, job, d)
    event = job_event(job, run)
    d.effects.append(Effect("job.updated", event))
    d.reply = False


def _looking(host_id: str, message: Message) -> Callable[[Any], Rows | None]:
    def look(database: Any) -> Rows | None:
        found = host_and_waiting(database, host_id)
        if found is None:
            return None
        job, run = (None, None) if isinstance(message, CreateJob) else job_and_last_run(database, message.job_id)  # type: ignore[attr-defined]  # all others name a job
        return Rows(*found, job, run)

    return look
