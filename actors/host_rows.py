"""What other nodes have written to this host's rows, taken into the memory of its owner."""

from actors.decision import Decision
from actors.host_polls import serve
from actors.host_state import HostState
from actors.line import Attempt
from actors.messages import Look, Seen
from interlock.states import RunEvent, StopReason
from store.rows import HOST_OWNED, HostRow

_OTHERS = tuple(name for name in HostRow.__slots__ if name not in HOST_OWNED)


def look(state: HostState, message: Look, d: Decision) -> None:
    """Ask the rows, once all that this actor has decided is in them."""
    del state
    d.look_up = message


def seen(state: HostState, message: Seen, d: Decision) -> None:
    """New jobs join the line, what others ended leaves it, and what the run is asked is done."""
    rows = {run.id: (job, run) for job, run in message.claimed.runs}
    for name in _OTHERS:
        setattr(state.host, name, getattr(message.claimed.host, name))
    for attempt in [*state.line, *state.backoff.values()]:
        if attempt.run.id not in rows:
            state.forget(attempt)
    known = {attempt.run.id for attempt in (*state.line, *state.backoff.values())}
    if state.current is not None:
        known.add(state.current.run.id)
        if state.current.run.id in rows:
            state.current.run.asked_to_stop = rows[state.current.run.id][1].asked_to_stop
    for run_id, (job, run) in rows.items():
        if run_id not in known:
            state.place_waiting(Attempt(job, run))
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
    elif current.run.stop_reason is StopReason.NONE:
        state.stop(current, RunEvent.CANCEL, d)
