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
    known = {attempt.run.id: attempt for attempt in (*state.line, *state.backoff.values())}
    if state.current is not None:
        known[state.current.run.id] = state.current
    for run_id, (job, run) in rows.items():
        attempt = known.get(run_id)
        if attempt is None:
            attempt = Attempt(job, run)
            state.place_waiting(attempt)
        attempt.run.asked_to_stop = run.asked_to_stop
        if run.asked_to_stop is not None:
            state.asked.append(attempt)
    if claimed.of not in {None, _all_open(state)}:
        state.stale = True  # somebody has ended what waits here, or clocks differ by more
        look(state, Look(whole=True), d)
        return
    state.synced_at = message.asked_at
    state.stale = False
    heed(state, d)
    serve(state, d)


def _all_open(state: HostState) -> tuple[int, int]:
    births = [attempt.run.created_at for attempt in (*state.line, *state.backoff.values())]
    if state.current is not None:
        births.append(state.current.run.created_at)
    return len(births), sum(births)


def heed(state: HostState, d: Decision) -> None:
    """Stop what users have asked other nodes to stop."""
    asked, state.asked = state.asked, []
    for attempt in asked:
        if state.attempt_of_run(attempt.run.id) is not attempt:
            continue
        if attempt.run.asked_to_stop == "force":
            state.stop(attempt, RunEvent.FORCE, d)
        elif attempt.run.stop_reason is not StopReason.USER:
            state.stop(attempt, RunEvent.CANCEL, d)
