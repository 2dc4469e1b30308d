"""What an agent's socket brings: its coming and going, and its word on what it was offered.

One state machine for both ways: a socket says at its connect what a poll says, and what it does not say is no word.
"""

from actors import host_pool
from actors.decision import Decision
from actors.documents import run_document, taken_document
from actors.endings import Ending
from actors.hidden import masked_text
from actors.host_offers import withdraw
from actors.host_polls import declare, serve
from actors.host_state import HostState
from actors.line import Attempt
from actors.messages import Ack, Connect, Disconnect, Found, Reject
from actors.sessions import Session
from interlock.errors import AlreadyTaken, InvalidState, NotFound, Superseded, Unavailable
from interlock.frames import JobGiven, ResumeRun
from interlock.states import LIVE, TERMINAL, RunEvent, RunStatus, StopReason
from store.rows import RunRow

_NEWER = "A newer connection, or another process of this host's agent, has taken over"


def connect(state: HostState, message: Connect, d: Decision) -> None:
    """Its agent is here: note what it declares, remind it of what it may have missed, and offer what waits."""
    session = message.session
    if session.introduced and session.instance_id not in {None, state.host.instance_id}:
        return  # told by an incarnation after the one that has heard of its successor
    if not session.open:
        _gone(state, d)
        return
    state.heard(d)
    d.host_changed = True  # here the host lives from now on: that is not said without the fence
    state.session = session
    _take_back(state, session, d)
    if not session.introduced:
        state.hears(d)
        if session.running is not None:  # an agent that says what it runs does not poll beside its socket
            state.answer_poll(Superseded(_NEWER), d)
        declare(state, session, d)
        _seed(state, session)
    elif _has_missed(state, session):
        state.undelivered = True
    _remind(state, session, d)
    serve(state, d)


def _take_back(state: HostState, session: Session, d: Decision) -> None:
    """What was offered on another connection, unless the agent names it: then it was accepted after all."""
    current = state.current
    if current is None or session.handed(current.job.id) == current.run.id:
        return
    if session.introduced or current.run.id not in (session.running or ()):
        withdraw(state, d)


def _seed(state: HostState, session: Session) -> None:
    """With the job's id alone its agent means the run that goes on, unless it has named an earlier one in its place."""
    current = state.current
    if current is None or current.run.status is RunStatus.OFFERED:
        return
    if session.acked(current.job.id) is None or current.run.id in (session.running or ()):
        session.note_acked(current.job.id, current.run.id)


def _has_missed(state: HostState, session: Session) -> bool:
    """Whether its agent, which ran nothing when it connected, has not been given since what it should be running: an
    incarnation had decided to hand that out, and has ended before it did.
    """
    current = state.current
    if current is None or current.run.status not in LIVE - {RunStatus.OFFERED} or session.running != ():
        return False
    return session.handed(current.job.id) != current.run.id


def _remind(state: HostState, session: Session, d: Decision) -> None:
    """What was pushed while nobody was connected."""
    current = state.current
    if current is None or current.run.status not in LIVE:
        return
    if current.run.stop_reason is not StopReason.NONE:
        state.tell_to_stop(current.run, d)
    elif current.run.timeout_left_ms is not None and not current.job.needs_user_action:
        d.push(session, "job:resume", ResumeRun(job_id=current.job.id, job_run_id=current.run.id))


def disconnect(state: HostState, message: Disconnect, d: Decision) -> None:
    """Its socket has gone. Of an older one that says nothing."""
    if state.session is message.session:
        _gone(state, d)
        serve(state, d)


def _gone(state: HostState, d: Decision) -> None:
    """Nobody is connected: an offer goes back, and the silence of a running agent means something from now on."""
    if state.session is not None:
        state.host.last_seen_at = d.now
    state.session = None
    withdraw(state, d)
    if state.current is not None:
        state.lease(state.current, d)


def ack(state: HostState, message: Ack, d: Decision) -> None:
    """The agent takes what it was offered. Said twice, it is answered twice."""
    attempt = _answered(state, message, d)
    if attempt is None:
        return
    _not_taken(attempt, message.session)
    state.advance(attempt, RunEvent.ACKED, d)
    state.undelivered = state.unread = False
    state.lease(attempt, d)
    state.note_acked(message.session, attempt)
    d.host_changed = True  # a repeated one starts it too: not without the fence
    d.reply = JobGiven.of(taken_document(attempt.job, attempt.run))
    d.reply.cancel_requested = attempt.run.stop_reason is not StopReason.NONE


def reject(state: HostState, message: Reject, d: Decision) -> None:
    """The agent will not do it, now or later."""
    attempt = _answered(state, message, d)
    if attempt is None:
        return
    state.advance(attempt, RunEvent.REJECTED, d, Ending(error_message=masked_text(attempt.job, message.reason)))
    serve(state, d)


def found(state: HostState, message: Found, d: Decision) -> None:
    """The rows' answer for a job that stands nowhere in this memory."""
    asked, job, run = message.asked, message.job, message.run
    if job is not None and job.labels is not None and (run is None or run.host_id != state.host.id):
        host_pool.found(state, message, d)
        return
    d.free(asked.job_id)  # type: ignore[attr-defined]  # an ack may have kept it
    if job is None or run is None or run.host_id != state.host.id or job.id != asked.job_id:  # type: ignore[attr-defined]
        raise NotFound("No such job for this host")
    if isinstance(asked, Reject) and run.status is RunStatus.REJECTED:
        d.reply = None  # it has said so before
        return
    if run.status in TERMINAL:
        raise InvalidState(f"The run has ended: {run.status}", current=run_document(run))
    if isinstance(asked, Ack) and state.addressed(run.id) is not None and _run_meant(asked) in {None, run.id}:
        ack(state, asked, d)  # it has come to run here while the rows were read: the ack was said twice
        return
    if state.attempt_of_run(run.id) is not None:
        raise _not_offered(run)
    raise Unavailable("The run is just being moved; ask again")  # by another node: this memory is old


def _answered(state: HostState, message: Ack | Reject, d: Decision) -> Attempt | None:
    """The offer that the agent answers; None when it stands nowhere here and the rows are asked."""
    state.heard(d)
    _not_superseded(state, message.session, d)
    attempt = _meant(state, message)
    if attempt is None:
        d.look_up = message
    return attempt


def _not_superseded(state: HostState, session: Session | None, d: Decision) -> None:
    if session is not None and session is not state.session:
        d.host_changed = True  # that too waits for the fence: the newer one may have come to another node
        raise Superseded(_NEWER, current={"instanceId": state.host.instance_id})


def _not_taken(attempt: Attempt, session: Session | None) -> None:
    """What was offered here, taken back, and started by a poll meanwhile, is not started a second time."""
    job, run = attempt.job, attempt.run
    started = run.status not in {RunStatus.OFFERED, RunStatus.PENDING}
    if started and session is not None and session.acked(job.id) != run.id:
        raise AlreadyTaken("A poll of this host has taken it", current=run_document(run))


def _meant(state: HostState, message: Ack | Reject) -> Attempt | None:
    """The attempt that it speaks of: what was offered last of that job. None when it stands nowhere here."""
    known, run_id = state.attempt_of_job(message.job_id), _run_meant(message)
    if known is None or (run_id is not None and known.run.id != run_id):
        return None
    attempt = state.addressed(known.run.id)
    if attempt is None:
        raise _not_offered(known.run)
    return attempt


def _run_meant(message: Ack | Reject) -> str | None:
    """The run that it names, or that its connection was given of that job; None when there is none of either."""
    session = message.session
    if message.job_run_id is not None or session is None:
        return message.job_run_id
    return session.handed(message.job_id) or session.run_of(message.job_id)


def _not_offered(run: RunRow) -> InvalidState:
    return InvalidState(f"The run is {run.status}: it has not been offered to this agent", current=run_document(run))
