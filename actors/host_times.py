"""What time alone brings about. Every deadline here is read from the state, so a timer that fires early, twice or late
does no harm, and the sweep finds what no timer did.
"""

from actors.decision import Decision
from actors.host_polls import serve
from actors.host_state import CLONED, MINUTE, HostState
from actors.messages import RunDue, Tick
from interlock.clock import Millis
from interlock.states import RunEvent, RunStatus


def look_at_clock(state: HostState, message: Tick | RunDue, d: Decision) -> None:
    """Do all that is due now."""
    if state.poll is not None:
        state.host.last_seen_at = d.now  # a parked poll is a connection: the host is here
    d.host_changed = isinstance(message, Tick) and message.save
    for attempt in [attempt for attempt in state.backoff.values() if (attempt.run.available_at or 0) <= d.now]:
        state.advance(attempt, RunEvent.DUE, d)
    _expire(state, d)
    _current(state, d)
    _host(state, d)
    serve(state, d)


def next_deadline(state: HostState) -> Millis | None:
    """When this actor's own timer should look again; None when time alone changes nothing here.

    Retries and scheduled jobs are not among these: an alarm rings for them, and the sweep finds them without one.
    """
    deadlines: list[Millis | None] = [at for at, _ in _deadlines_of_current(state)]
    deadlines.append(state.expires_at)
    host = state.host
    if state.online and state.poll is None and host.last_seen_at is not None:
        deadlines.append(host.last_seen_at + state.limits.offline_after_ms)
    if host.paused and host.paused_until is not None and len(state.line):
        deadlines.append(host.paused_until)
    if host.unhealthy == CLONED:
        deadlines.append((state.switches[-1].at if state.switches else 0) + MINUTE)
    return min((at for at in deadlines if at is not None), default=None)


def _deadlines_of_current(state: HostState) -> list[tuple[Millis, RunEvent]]:
    if state.current is None:
        return []
    run, limits = state.current.run, state.limits
    found: list[tuple[Millis | None, RunEvent]] = []
    if run.status is RunStatus.OFFERED:
        found.append((run.offered_until, RunEvent.OFFER_LAPSED))
    if run.status is RunStatus.RUNNING:
        found.append((run.timeout_at, RunEvent.TIMEOUT))
    if run.status is RunStatus.CANCELLING:
        found.append((run.stop_by, RunEvent.DEADLINE))
    if run.status in {RunStatus.RUNNING, RunStatus.CANCELLING}:
        found.append((state.lease_until if run.leased else None, RunEvent.LEASE_LAPSED))
    if run.unreachable_at is not None:
        found.append((run.unreachable_at + limits.lost_after_ms, RunEvent.LOST_AFTER))
    return sorted((max(at, state.grace_until), event) for at, event in found if at is not None)


def _current(state: HostState, d: Decision) -> None:
    while state.current is not None:
        due = [event for at, event in _deadlines_of_current(state) if at <= d.now]
        if not due:
            return
        if due[0] is RunEvent.TIMEOUT:
            state.stop(state.current, RunEvent.TIMEOUT, d)
        else:
            state.advance(state.current, due[0], d)


def _expire(state: HostState, d: Decision) -> None:
    if state.expires_at is None or state.expires_at > d.now:
        return
    state.expires_at = None
    for attempt in [*state.line, *state.backoff.values()]:
        job = attempt.job
        if job.start_before is not None and job.start_before <= d.now and job.started_at is None:
            state.advance(attempt, RunEvent.START_BEFORE_PASSED, d)
        else:
            state.watch_expiry(attempt)


def _host(state: HostState, d: Decision) -> None:
    host = state.host
    silent = host.last_seen_at is not None and host.last_seen_at + state.limits.offline_after_ms <= d.now
    if state.online and state.poll is None and silent:
        state.online = False
        d.host_changed = True  # so that the row says when it was last seen
        state.announce("host.offline", d)
    if host.unhealthy == CLONED and not any(switch.at > d.now - MINUTE for switch in state.switches):
        state.set_health(None, d)
