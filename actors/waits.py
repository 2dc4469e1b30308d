"""Why is it not running? The first question that users ask, answered by the host's own actor."""

from actors.host_state import HostState
from actors.line import Attempt
from interlock.clock import Millis
from interlock.states import RunStatus
from interlock.wire import Wait, when
from store.rows import HELD

BY_HAND = "Held back by an operator, until it is released"


def wait_of(state: HostState, attempt: Attempt, now: Millis) -> Wait:
    """The reason, the place in line (1 is next) and until when, of one waiting attempt."""
    run = attempt.run
    if run.status is RunStatus.OFFERED:
        return Wait("offered", 1, "Offered to the host's agent, which has not accepted it yet", when(run.offered_until))
    if run.status is RunStatus.SCHEDULED:
        return _not_before(attempt)
    if attempt.job.rank == HELD:
        return Wait("held", None, BY_HAND)
    return _in_line(state, attempt, state.line.position(attempt), now)


def wait_of_newcomer(state: HostState, attempt: Attempt, now: Millis) -> Wait:
    """The same for a job that is about to be committed: it will stand behind all of its priority."""
    if attempt.run.status is RunStatus.SCHEDULED:
        return _not_before(attempt)
    return _in_line(state, attempt, state.line.ahead_of(attempt.job.priority) + state.joining + 1, now)


def paused(by: str | None, note: str | None) -> str:
    """A pause in words; `by` is a person's name."""
    return f"The host is paused{f' by {by}' if by else ''}{f': {note}' if note else ''}"


def offline(last_seen_at: Millis | None) -> str:
    """Since when nobody has heard of the host, in words."""
    return f"The host's agent {'has never connected' if last_seen_at is None else f'was last seen at {when(last_seen_at)}'}"


def _not_before(attempt: Attempt) -> Wait:
    run = attempt.run
    if run.attempt > 1:
        return Wait(
            "backoff", None, f"Attempt {run.attempt} of {attempt.job.max_attempts} waits", when(run.available_at)
        )
    return Wait("scheduled", None, "Not due yet", when(run.available_at))


def _in_line(state: HostState, attempt: Attempt, position: int, now: Millis) -> Wait:
    host, current, held = state.host, state.current, state.held_by()
    if host.paused and (host.paused_until is None or host.paused_until > now):
        return Wait("host_paused", position, paused(None, host.note), when(host.paused_until))
    if host.draining:
        return Wait("host_draining", position, "The host is being drained: it takes nothing new")
    if host.unhealthy is not None:
        return Wait("host_unhealthy", position, f"Nothing is offered to the host: {host.unhealthy}")
    if not state.online and current is None:
        return Wait("host_offline", position, offline(host.last_seen_at))
    if host.awaiting_idle:
        return Wait(
            "awaiting_idle", position, "A run is over here, but the host's agent has yet to say that it is idle again"
        )
    if position > 1:
        running = f"; {current.job.type} runs now" if current is not None else ""
        return Wait("behind", position, f"{position - 1} ahead of it on the same host{running}")
    if current is not None:
        return Wait("host_busy", position, f"{current.job.type} {current.job.id} is {current.run.status} on the host")
    if held is not None and held is not attempt:
        return Wait(
            "held", position, f"Behind the retry of {held.job.type}, which holds the host", when(held.run.available_at)
        )
    return Wait("behind", position, "Next in line: it goes out with the host's next poll")
