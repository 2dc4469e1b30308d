"""What time alone brings about. Every deadline here is read from the state, so a timer that fires early, twice or late
does no harm, and the sweep finds what no timer did.
"""

from actors.decision import Decision
from actors.host_offers import lapse
from actors.host_polls import serve
from actors.host_rows import heed
from actors.host_state import CLONED, MINUTE, HostState
from actors.messages import RunDue, Tick
from interlock.clock import Millis
from interlock.states import RunEvent, RunStatus


def look_at_clock(state: HostState, message: Tick | RunDue, d: Decision) -> None:
    """Do all that is due now."""
    if state.poll is not None or state.session is not None:
        state.host.last_seen_at = d.now  # a parked poll is a connection, as a socket is: the host is here
    d.host_changed = isinstance(message, Tick) and message.save
    for attempt in [attempt for attempt in state.backoff.values() if (attempt.run.available_at or 0) <= d.now]:
        state.advance(attempt, RunEvent.DUE, d)
    state.expire(d)
    heed(state, d)
    _current(state, d)
    _host(state, d)
    serve(state, d)


def next_deadline(state: HostState) -> Millis | None:
    """When this actor's own timer should look again; None when time alone changes nothing here.

    Retries and scheduled jobs are not among these: an alarm rings for them, and the sweep finds them without one. Nor is
    going offline: the sweep sees that too, and a timer for each of 10,000 idle hosts would cost megabytes.
    """
    host, at = state.host, state.expires_at
    if state.current is not None:
        at = _earlier(at, _due_of_current(state)[0])
    if host.paused and (len(state.line) or state.poll is not None or state.session is not None):
        at = _earlier(at, host.paused_until)
    if host.unhealthy == CLONED:
        at = _earlier(at, max((switch.at for switch in state.switches), default=0) + MINUTE)
    return at


def _earlier(one: Millis | None, other: Millis | None) -> Millis | None:
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)


def _due_of_current(state: HostState) -> tuple[Millis | None, RunEvent]:
    """What time will next do to the run in the slot, and when."""
    if state.current is None:
        return None, RunEvent.TIMEOUT
    run, at = state.current.run, None
    event = RunEvent.TIMEOUT
    if run.status is RunStatus.RUNNING:
        at = _earlier(run.timeout_at, state.host.drain_until) if state.host.draining else run.timeout_at
    elif run.status is RunStatus.CANCELLING:
        at, event = run.stop_by, RunEvent.DEADLINE
    elif run.status is RunStatus.OFFERED:
        at, event = run.offered_until, RunEvent.OFFER_LAPSED
    elif run.unreachable_at is not None:
        at, event = run.unreachable_at + state.limits.lost_after_ms, RunEvent.LOST_AFTER
    alive = state.session is not None and not state.beats  # who never heartbeats lives while it is connected
    leased = run.leased and not alive and run.status in {RunStatus.RUNNING, RunStatus.CANCELLING}
    if leased and state.lease_until is not None and (at is None or state.lease_until < at):
        at, event = state.lease_until, RunEvent.LEASE_LAPSED
    return (at if at is None else max(at, state.grace_until)), event


def _current(state: HostState, d: Decision) -> None:
    while state.current is not None:
        at, event = _due_of_current(state)
        if at is None or at > d.now:
            return
        if event is RunEvent.TIMEOUT:
            state.stop(state.current, event, d)
        elif event is RunEvent.OFFER_LAPSED:
            lapse(state, d)
        else:
            state.advance(state.current, event, d)


def is_silent(state: HostState, now: Millis) -> bool:
    """Whether a host that is shown online has not been heard of for too long."""
    seen = max(state.host.last_seen_at or 0, state.built_at)
    here = state.poll is not None or state.session is not None
    return state.online and not here and seen + state.limits.offline_after_ms <= now


def _host(state: HostState, d: Decision) -> None:
    host = state.host
    if is_silent(state, d.now):
        state.online = False
        d.host_changed = True  # so that the row says when it was last seen
        state.announce("host.offline", d)
    if host.paused and host.paused_until is not None and host.paused_until <= d.now:
        host.paused = False  # in this memory, so that no timer is set for it again; in the row the instant says so
    if host.unhealthy == CLONED and not any(switch.at > d.now - MINUTE for switch in state.switches):
        state.set_health(None, d)
