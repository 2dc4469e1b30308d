"""Polls and heartbeats: what an agent says of itself, and how it gets its next job."""

from collections.abc import Iterable

from actors.decision import Decision
from actors.documents import encode, taken_document
from actors.host_offers import offer, withdraw
from actors.host_state import HostState
from actors.instances import switch_instance
from actors.line import Attempt
from actors.messages import NOTHING, Beat, EndPoll, HandOutAgain, Poll, PollAnswer, Take
from actors.sessions import Session
from interlock.clock import Millis, seconds
from interlock.errors import Superseded
from interlock.frames import CancelRun
from interlock.states import LIVE, RunEvent, RunStatus, StopReason
from interlock.wire import RunVerdict, TakenJob

UNDER_WAY: Millis = 10_000  # how long a heartbeat may have been on its way when it says that nothing runs
_NEWER_POLL = "A newer poll of this host has taken this one's place"


def take(state: HostState, message: Take, d: Decision) -> None:
    """An agent polls: note what it declares, then give it a job, park it, or send it away."""
    poll = message.poll
    if poll.answer.done:
        return
    if not poll.is_open():
        d.answer(poll, NOTHING)  # its process may have died since: what it says is not so any more
        return
    state.heard(d)
    state.host.delivered_at = d.now
    if state.poll is not None and state.poll is not poll:
        state.answer_poll(Superseded(_NEWER_POLL), d)
    state.hears(d)
    state.poll = poll
    state.unread = False
    declare(state, poll, d)
    if state.session is None:
        withdraw(state, d)  # the socket that carried the offer has gone: this poll may have it
    serve(state, d)
    if state.poll is poll and not poll.waits and not (state.seeks and state.may_take(d.now)):
        state.answer_poll(NOTHING, d)  # else once the pool has been asked


def declare(state: HostState, said: Poll | Session, d: Decision) -> None:
    """Take the word of a poll, or of a socket at its connect, for what the machine runs."""
    named = frozenset(said.running or ())
    fresh = said.instance_id is not None and said.instance_id != state.host.instance_id
    if fresh and said.instance_id is not None:
        switch_instance(state, said.instance_id, named, d)
    if said.running is not None:
        state.declares(d)
    mine = _named(state, named)
    if mine is not None:
        sign_of_life(state, mine, d)
    elif state.current is not None and said.running is None:
        _says_nothing(state, said, state.current, d)
    unknown = named - _current_id(state)
    if unknown:
        # The machine is busy with a run that is over here: it must stop that before it gets anything.
        _stop_unknown(state, said, sorted(unknown), d)
        state.set_gate(d, closed=True)
        d.host_changed = True  # nor is it told to stop without the fence: another node may have just started it
    elif not named and (fresh or said.running is not None or not state.host.declares):
        declared_idle(state, said, d)
    elif named:
        state.set_gate(d, closed=False)  # it runs what we think it runs, and nothing else


def _named(state: HostState, named: Iterable[str]) -> Attempt | None:
    """The run, of those that the agent names, which it should be running, or was last offered."""
    found = map(state.addressed, sorted(named))
    return next((attempt for attempt in found if attempt is not None), None)


def _says_nothing(state: HostState, said: Poll | Session, current: Attempt, d: Decision) -> None:
    """A plain poll may come beside a run. A plain socket does not tell that its run has gone: the agent is back with it."""
    if isinstance(said, Poll):
        state.polls_beside = True
    elif current.run.status is not RunStatus.OFFERED:
        sign_of_life(state, current, d)


def _stop_unknown(state: HostState, said: Poll | Session, run_ids: list[str], d: Decision) -> None:
    if isinstance(said, Poll):
        state.answer_poll(PollAnswer(cancel=run_ids[0]), d)
        return
    grace = seconds(state.limits.cancel_grace_ms)
    for run_id in run_ids:
        job_id = said.jobs_named.get(run_id, "")
        if job_id:
            said.note_acked(job_id, run_id)  # this is what it is at: with the job's id alone it means no other
        d.push(said, "job:cancel", CancelRun(job_id=job_id, job_run_id=run_id, grace_seconds=grace))


def declared_idle(state: HostState, said: Poll | Session, d: Decision) -> None:
    """The machine runs nothing: the gate opens, and a run that it should be running is handed out again."""
    state.set_gate(d, closed=False)
    current = state.current
    if current is not None and current.run.status in LIVE - {RunStatus.OFFERED} and said.running is not None:
        state.advance(current, RunEvent.HEARD_IDLE, d)
        state.undelivered = state.current is current
        if state.undelivered and current.run.leased:
            state.lease_until = d.now + state.limits.lease_ms


def serve(state: HostState, d: Decision, *, after: str | None = None) -> None:
    """Give whoever listens what there is for him: the parked poll first, then the connected socket."""
    if state.poll is not None:
        _serve_poll(state, state.poll, d, after)
    if state.session is not None:
        offer(state, state.session, d)


def _serve_poll(state: HostState, poll: Poll, d: Decision, after: str | None) -> None:
    """Answer the parked poll if there is something to say: a job, a repeated job, or a run to stop."""
    current = state.current
    if not poll.listens:
        state.answer_poll(NOTHING, d)
    elif current is not None:
        if current.run.stop_reason is not StopReason.NONE:
            state.answer_poll(PollAnswer(cancel=current.run.id), d)
        elif state.undelivered:
            state.undelivered = False
            state.unread = True
            state.handed_out_at = d.now
            d.host_changed = True  # nothing goes out without the fence: another node may have ended it meanwhile
            state.answer_poll(_hand_out(current), d)
    else:
        taken = take_next(state, d, after=after or poll.after)
        if taken is not None:
            state.answer_poll(_hand_out(taken), d)


def take_next(state: HostState, d: Decision, *, after: str | None = None) -> Attempt | None:
    """Move the first in line into the slot; None when the host may not take, or nothing waits."""
    if not len(state.line) or not state.may_take(d.now):
        return None
    state.expire(d)
    first = state.line.first()
    if first is None:
        return None
    state.advance(first, RunEvent.TAKEN, d)
    first.run.taken_after = after
    if state.beats:  # part of the move: no column beyond those that a take changes anyway
        first.run.leased = True
        state.lease_until = d.now + state.limits.lease_ms
    return first


def sign_of_life(state: HostState, attempt: Attempt, d: Decision) -> None:
    """The agent speaks of the current run: it lives, and its lease is extended."""
    state.advance(attempt, RunEvent.SIGN_OF_LIFE, d)
    state.undelivered = state.unread = False  # it has arrived after all
    if attempt.run.leased and state.current is attempt:
        state.lease_until = d.now + state.limits.lease_ms


def beat(state: HostState, message: Beat, d: Decision) -> None:
    """A heartbeat: a verdict for each run that it names; if it names none at all, for the one that its host should be at."""
    instance, host, session = message.instance_id, state.host, message.session
    replaced = instance is not None and host.instance_id is not None and instance != host.instance_id
    if replaced or (session is not None and session is not state.session):
        d.host_changed = True  # the refusal waits for the fence: the newer one may have come to another node
        raise Superseded(
            "Another process of this host's agent has taken over", current={"instanceId": host.instance_id}
        )
    state.heard(d)
    if not state.beats and state.current is not None:
        state.lease_until = d.now + state.limits.lease_ms  # from this one on, silence counts
    state.beats = True
    named = message.running
    if named is not None:
        state.declares(d)
    spoken_of = _started(state) if named is None else _named(state, named)
    if spoken_of is not None:
        sign_of_life(state, spoken_of, d)
        state.lease(spoken_of, d)
    if named is not None and set(named) - _current_id(state) - {state.reported}:  # its report and this may have crossed
        state.set_gate(d, closed=True)
        d.host_changed = True  # "abandon" waits for the fence, as above
    elif named == () and not (state.polls_beside and (state.unread or d.now - state.handed_out_at < UNDER_WAY)):
        state.set_gate(d, closed=False)
    asked = named if named is not None else () if spoken_of is None else (spoken_of.run.id,)
    d.reply = [_verdict(state, run_id) for run_id in asked]
    serve(state, d)


def _started(state: HostState) -> Attempt | None:
    """The run that the machine is at, as far as is known here. A heartbeat that names nothing hears of its cancel so."""
    current = state.current
    return None if current is None or current.run.status is RunStatus.OFFERED else current


def _current_id(state: HostState) -> set[str]:
    return set() if state.current is None else {state.current.run.id}


def _verdict(state: HostState, run_id: str) -> RunVerdict:
    current = state.current
    if current is None or current.run.id != run_id:
        return RunVerdict(job_run_id=run_id, verdict="abandon")
    stopping, waiting = current.run.stop_reason is not StopReason.NONE, current.job.needs_user_action
    return RunVerdict(job_run_id=run_id, verdict="cancel" if stopping else "continue", needs_user_action=waiting)


def end_poll(state: HostState, message: EndPoll, d: Decision) -> None:
    """The poll has waited long enough; whoever holds it, it is answered, behind all that is under way."""
    if state.poll is message.poll:
        state.heard(d)
        state.poll = None
    if not message.poll.answer.done:
        d.answer(message.poll, message.why or NOTHING)


def hand_out_again(state: HostState, message: HandOutAgain, d: Decision) -> None:
    """The reply with the current run was never written: the next poll gets the same run."""
    current = state.current
    if current is not None and current.run.id == message.job_run_id and current.run.status is RunStatus.RUNNING:
        state.undelivered = True
        serve(state, d)


def _hand_out(attempt: Attempt) -> PollAnswer:
    return PollAnswer(taken=encode(taken_document(attempt.job, attempt.run)), job_run_id=attempt.run.id)


def next_document(attempt: Attempt | None) -> TakenJob | None:
    """What `?next=1` answers."""
    return None if attempt is None else taken_document(attempt.job, attempt.run)
