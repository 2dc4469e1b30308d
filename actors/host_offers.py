"""Jobs go out on a socket as offers: they start once the agent accepts, and stand first in line again if it does not.

Pure, as `host_state` is. An offer holds the host's slot, but not its machine: an agent begins when it has been told that
its ack was taken.
"""

from actors.decision import Decision
from actors.documents import taken_document
from actors.endings import Ending
from actors.host_state import UNACKED, HostState
from actors.line import Attempt
from actors.sessions import Session
from interlock.frames import JobGiven
from interlock.states import RunEvent, RunStatus, StopReason


def offer(state: HostState, session: Session, d: Decision) -> None:
    """Offer the first in line, or hand out again what its agent should be running and is not."""
    current = state.current
    if not session.open:
        return
    if current is None:
        first = _next(state, d)
        if first is not None:
            _offer(state, session, first, d)
    elif state.undelivered and current.run.stop_reason is StopReason.NONE:
        d.host_changed = True  # nothing goes out without the fence: another node may have ended it meanwhile
        _hand_out(state, session, current, d)


def _next(state: HostState, d: Decision) -> Attempt | None:
    if not len(state.line) or not state.may_take(d.now):
        return None
    state.expire(d)
    return state.line.first()


def _offer(state: HostState, session: Session, attempt: Attempt, d: Decision) -> None:
    state.advance(attempt, RunEvent.OFFERED, d)
    attempt.run.offered_at = d.now
    attempt.run.offered_until = d.now + state.limits.ack_ms
    attempt.run.offers += 1
    _hand_out(state, session, attempt, d)


def _hand_out(state: HostState, session: Session, attempt: Attempt, d: Decision) -> None:
    state.undelivered = False
    state.unread = True
    state.handed_out_at = d.now
    if attempt.run.status is not RunStatus.OFFERED:
        state.note_acked(session, attempt)  # it is this connection's already: its ack is a repeated one
    run, job = attempt.run, attempt.job
    if run.attempt > 1 or run.created_at != job.created_at:  # the second for what a user has had tried afresh
        session.note_repeated(job.id, run.id)
    d.push(session, "job:new", JobGiven.of(taken_document(attempt.job, attempt.run)))


def withdraw(state: HostState, d: Decision) -> None:
    """The connection that carried the offer has gone: its run stands in line again, unless it was offered often enough."""
    current = state.current
    if current is not None and current.run.status is RunStatus.OFFERED:
        _give_back(state, current, d)


def lapse(state: HostState, d: Decision) -> None:
    """Nobody has accepted it in time. Several such offers in a row: the agent is deaf, and gets nothing for now."""
    current = state.current
    if current is None:
        return
    _give_back(state, current, d)
    state.unacked += 1
    if state.unacked >= state.limits.unacked_offers and state.host.unhealthy is None:
        state.set_health(UNACKED, d)


def _give_back(state: HostState, attempt: Attempt, d: Decision) -> None:
    offers = attempt.run.offers
    if offers < state.limits.max_offers:
        state.advance(attempt, RunEvent.OFFER_LAPSED, d)
        return
    why = f"It was offered {offers} times, and the host's agent has not accepted it"
    state.advance(attempt, RunEvent.UNDELIVERABLE, d, Ending(error_code="undeliverable", error_message=why))
