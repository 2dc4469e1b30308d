"""Users rearrange a host's line: one job ahead of all others, one held back, one let go again, one dropped."""

from actors.decision import Decision
from actors.documents import job_event
from actors.host_polls import serve
from actors.host_state import HostState
from actors.line import Attempt
from actors.messages import MoveInLine
from actors.ports import Effect
from interlock.errors import InvalidState
from interlock.states import WAITING, RunEvent, RunStatus
from store.rows import HELD


def move_in_line(state: HostState, message: MoveInLine, d: Decision) -> None:
    """A job keeps its rank until it is moved again or a user tries it afresh: its retries stand there too."""
    attempt = state.attempt_of_job(message.job_id)
    if attempt is None:
        d.look_up = message
        return
    job, run = attempt.job, attempt.run
    current = {"status": run.status}
    if run.status not in WAITING:
        raise InvalidState(f"The run is {run.status}: only what waits can be moved", current=current)
    if message.op == "release" and job.rank != HELD:
        raise InvalidState("The job is not held", current=current)
    if message.op == "drop":
        state.stop(attempt, RunEvent.CANCEL, d)
    else:
        ranks = {"front": state.line.highest_rank() + 1, "hold": HELD, "release": None}
        _put(state, attempt, ranks[message.op], d)
        d.effects.append(Effect("job.updated", job_event(job, run)))
    d.audit(message.by, f"queue.{message.op}", job.org_id, ("job", job.id))
    serve(state, d)


def _put(state: HostState, attempt: Attempt, rank: int | None, d: Decision) -> None:
    in_line = attempt.run.status is RunStatus.PENDING
    if in_line:
        state.line.remove(attempt)
    d.touch_job(attempt.job)
    attempt.job.rank = rank
    if in_line:
        state.line.add(attempt)
    if rank == HELD:  # who was offered it before may not have it any more
        state.given_back = tuple(other for other in state.given_back if other is not attempt)
