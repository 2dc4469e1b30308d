"""A host and its org's pool: when it may take from there, and what a claim changes. Pure, as `host_state` is.

A claim is not pipelined as other decisions are: whether the job still waits, only its commit can tell. Until that has
come back the slot is `claiming`: nothing else is taken or offered, and this memory does not change. Who misses has lost
nothing but time.
"""

from typing import NamedTuple

from actors.decision import Decision
from actors.documents import encode, run_document, started_event, taken_document
from actors.host_polls import serve
from actors.host_state import HostState
from actors.line import Attempt
from actors.messages import NOTHING, Ack, Found, Poll, PollAnswer, Reject
from actors.pool_messages import PoolEmpty, PoolHints, PoolJob
from actors.ports import Effect, PoolPort
from actors.sessions import Session
from interlock.clock import Millis
from interlock.errors import AlreadyTaken, InvalidState, NotFound
from interlock.frames import JobAvailable, JobGiven
from interlock.states import JobStatus, RunEvent, RunStatus, step
from store import Claim
from store.labels import carries
from store.rows import JobRow, RunRow

MOST_REFUSED = 1000  # jobs of which a host is not told again
_TAKEN = "Another agent has taken this job"


class Wish(NamedTuple):
    """Who would take a pool job for this host."""

    poll: Poll | None
    session: Session | None
    labels: str


def wish(state: HostState, now: Millis) -> Wish | None:
    """Whether the host is idle, with nothing of its own, and somebody listens."""
    own = state.joining or state.line.first() is not None
    if state.current is not None or state.claiming is not None or own:
        return None
    poll = state.poll if state.poll is not None and state.poll.listens else None
    session = state.session if state.session is not None and state.session.open else None
    if (poll is None and session is None) or not state.may_take(now):
        return None
    return Wish(poll, session, state.host.labels)


def take(state: HostState, message: PoolJob, d: Decision) -> None:
    """A job is kept for the parked poll."""
    wanted = wish(state, d.now)
    if wanted is None or wanted.poll is None or message.job_id in state.refused:
        d.free(message.job_id)
        _send_away(state, d)
    else:
        d.look_up = message


def nothing(state: HostState, _message: PoolEmpty, d: Decision) -> None:
    """There is none: a poll that does not wait goes away."""
    _send_away(state, d)


def _send_away(state: HostState, d: Decision) -> None:
    if state.poll is not None and not state.poll.waits and state.claiming is None:
        state.answer_poll(NOTHING, d)


def hint(state: HostState, message: PoolHints, d: Decision) -> None:
    """Jobs wait: whoever acks one first gets it."""
    wanted = wish(state, d.now)
    if wanted is None or wanted.session is None:
        return  # it hears of what waits when it is idle again
    for item in message.jobs:
        if item.job_id not in state.refused:
            wanted.session.note_hinted(item.job_id, d.now)
            d.push(wanted.session, "job:available", JobAvailable(job_id=item.job_id, type=item.type))


def keep_first(state: HostState, pool: PoolPort, d: Decision) -> None:
    """Of those who ack a job at the same time only one goes on to ask the rows."""
    if isinstance(d.look_up, Ack) and not pool.keep(state.host.org_id, state.host.id, d.look_up.job_id):
        d.look_up, d.reply = None, AlreadyTaken(_TAKEN)


def rows_at_hand(state: HostState, pool: PoolPort, d: Decision) -> tuple[JobRow, RunRow] | None:
    """Of the job that this host would take, where the pool has them."""
    asked = d.look_up
    if not isinstance(asked, Ack | PoolJob):
        return None
    rows = pool.at_hand(state.host.org_id, asked.job_id)
    named = asked.job_run_id if isinstance(asked, Ack) else None
    return rows if rows is not None and named in {None, rows[1].id} else None


def refuse(state: HostState, job: JobRow, d: Decision) -> None:
    """The agent does not want this one: it is not told of it again."""
    state.refused[job.id] = None
    if len(state.refused) > MOST_REFUSED:
        del state.refused[next(iter(state.refused))]
    d.reply = None


def found(state: HostState, message: Found, d: Decision) -> None:
    """The rows of a pool job that this host would take."""
    asked, job, run = message.asked, message.job, message.run
    poll = isinstance(asked, PoolJob)
    mine = job is not None and job.id == asked.job_id and job.org_id == state.host.org_id  # type: ignore[attr-defined]
    if job is None or run is None or not mine or job.labels is None:
        d.missed(asked.job_id)  # type: ignore[attr-defined]  # both kinds have one
        _no(state, d, None if poll else NotFound("No such job for this host"))
    elif isinstance(asked, Reject):
        refuse(state, job, d)
    elif not waits(job, run, d.now):
        d.missed(job.id)
        _no(state, d, None if poll else _refusal(state, run))
    elif not carries(state.host.labels, job.labels):  # it never has, or no longer does
        d.free(job.id)
        _no(state, d, None if poll else NotFound("No such job for this host"))
    else:
        wanted = wish(state, d.now)
        if isinstance(asked, Ack) and asked.session is not None and asked.session is not state.session:
            wanted = None
        if wanted is None or (poll and wanted.poll is None):
            d.free(job.id)
            _no(state, d, None if poll else InvalidState("The host may not take anything now", run_document(run)))
        else:
            claim(state, job, run, d, asked if isinstance(asked, Ack) else None)


def waits(job: JobRow, run: RunRow, now: Millis) -> bool:
    """Whether it may be taken out of the pool, as these rows have it."""
    late = job.start_before is not None and job.start_before <= now and job.started_at is None
    return run.host_id is None and run.status is RunStatus.PENDING and not late


def _refusal(state: HostState, run: RunRow) -> InvalidState | AlreadyTaken:
    if run.host_id is None or run.host_id == state.host.id:
        return InvalidState(f"The run is {run.status}", run_document(run))
    return AlreadyTaken(_TAKEN, run_document(run))


def _no(state: HostState, d: Decision, why: Exception | None) -> None:
    _send_away(state, d)
    d.reply = why


def claim(state: HostState, job: JobRow, run: RunRow, d: Decision, ack: Ack | None) -> None:
    """Both rows as they will be. The number of the run is used up even if the claim misses."""
    host = state.host
    to = step(run.status, RunEvent.TAKEN if ack is None else RunEvent.POOL_ACKED)
    if to is None:
        raise InvalidState(f"The run is {run.status}", run_document(run))
    host.delivered_at = d.now
    job.host_id = run.host_id = job.assigned_agent_id = host.id
    run.status, job.status = to, JobStatus.RUNNING
    run.run_no, run.instance_id = state.number_run(d.now), host.instance_id
    run.started_at, run.timeout_at = d.now, d.now + job.timeout_ms
    run.leased = state.beats or ack is not None
    job.started_at = job.started_at or d.now
    job.attempts = run.attempt
    d.claim, d.connected = Claim(job, run), state.session
    d.host_changed = True
    d.effects.append(Effect("job_run.started", started_event(job, run)))
    state.claiming = job.id
    document = taken_document(job, run)
    if ack is not None:
        state.hears(d)
        run.offered_at = _offered_at(run, ack.session)
        d.reply = JobGiven.of(document)
        d.claimed_by = ack.session
        if ack.session is not None:  # now: of a commit whose outcome is unknown its agent will ask again
            ack.session.note_acked(job.id, run.id)
    elif state.poll is not None:
        run.taken_after = state.poll.after
        d.claimed_by = state.poll
        state.answer_poll(PollAnswer(taken=encode(document), job_run_id=run.id), d)


def _offered_at(run: RunRow, session: Session | None) -> Millis | None:
    """When the agent was told of the job; of a run that became due later, since then. None: it was not told, or long ago."""
    hinted = None if session is None else session.hinted(run.job_id)
    return None if hinted is None else max(hinted, run.available_at or run.created_at)


def settle(state: HostState, claimed: Decision, d: Decision, *, missed: bool) -> None:
    """The claim's commit has come back: only now does this memory change, and `claimed` let its answers out."""
    made = claimed.claim
    if made is None:
        return
    state.claiming = None
    if missed:
        claimed.missed(made.job.id)
        _miss(state, claimed, d)
    else:
        claimed.taken(made.job.id)
        _win(state, Attempt(made.job, made.run), claimed, d)
    serve(state, d)


def _miss(state: HostState, claimed: Decision, d: Decision) -> None:
    claimed.effects, claimed.answers = [], []
    poll = claimed.claimed_by if isinstance(claimed.claimed_by, Poll) else None
    if poll is None:
        claimed.reply = AlreadyTaken(_TAKEN)
    elif state.poll is None and not poll.over and not poll.answer.done:
        state.poll = poll  # it goes on waiting
    elif not poll.answer.done:
        d.answer(poll, NOTHING)


def _win(state: HostState, attempt: Attempt, claimed: Decision, d: Decision) -> None:
    run = attempt.run
    state.current = attempt
    state.undelivered = False
    state.unread = isinstance(claimed.claimed_by, Poll)
    state.handed_out_at = d.now
    state.fresh_log = run.id
    if run.leased:
        state.lease_until = d.now + state.limits.lease_ms
    if isinstance(claimed.claimed_by, Session):
        state.note_acked(claimed.claimed_by, attempt)
        claimed.claimed_by.note_handed(attempt.job.id, run.id)  # with the answer
    if run.instance_id != state.host.instance_id:
        state.advance(attempt, RunEvent.NEW_INSTANCE, d)  # another process has come meanwhile, and does not know of it
    newer = (state.poll, None if state.session is claimed.connected else state.session)
    if state.current is attempt and any(said is not None and said.running == () for said in newer):
        state.undelivered = True  # a newer poll or socket has come whose agent runs nothing: it gets the same run
