"""What other nodes have written to this host's rows, taken into the memory of its owner."""

from actors.decision import Decision
from actors.host_polls import serve
from actors.host_state import HostState
from actors.line import Attempt
from actors.messages import Look, Seen
from interlock.clock import Millis
from interlock.states import RunEvent, StopReason
from store.rows import HOST_OWNED, HostRow

_OTHERS = tuple(name for name in HostRow.__slots__ if name not in HOST_OWNED)


CLOCKS_DIFFER: Millis = 60_000  # by less than this, as a rule; if not, the count tells, and all is read


def look(state: HostState, message: Look, d: Decision) -> None:
    """Ask the rows, once all that this actor has decided is in them."""
    current = None if state.current is None else state.current.run.id
    since = state.synced_at - CLOCKS_DIFFER
    d.look_up = Look(whole=message.whole, since=since, run_id=current, asked_at=d.now)


def seen(state: HostState, message: Seen, d: Decision) -> None:
    """New jobs join the line, what others ended leaves it, and what the run is asked is done."""
    claimed = message.claimed
    for name in _OTHERS:
        setattr(state.host, name, getattr(claimed.host, name))
    rows = {run.id: (job, run) for job, run in claimed.runs}
    if claimed.of is None:
        for attempt in [*state.line, *state.backoff.values()]:
            if attempt.run.id not in rows:
                state.forget(attempt)
    current = state.current
    if current is not None and current.run.id in rows:
        current.run.asked_to_stop = rows[current.run.id][1].asked_to_stop
    for run_id, (job, run) in rows.items():
        if state.attempt_of_run(run_id) is None:
            state.place_waiting(Attempt(job, run))
    if claimed.of not in {None, len(state.line) + len(state.backoff) + (current is not None)}:
        look(state, Look(whole=True), d)  # somebody has ended what waits here, or clocks differ by more
        return
    state.synced_at = message.asked_at
    state.stale = False
    heed(state, d)
    serve(state, d)


def heed(state: HostState, d: Decision) -> None:
    """Stop the current run if a user has asked another node for that."""
    current = state.current
    if current is None or current.run.asked_to_stop is None:
        return
    if current.run.asked_to_stop == "force":
        state.stop(current, RunEvent.FORCE, d)
    elif current.run.stop_reason is not StopReason.USER:  # one that is over its time is not tried again either
        state.stop(current, RunEvent.CANCEL, d)
