"""A run that waits for its user: its clock stands still, and goes on once somebody says that it is done."""

from actors.decision import Decision
from actors.documents import job_event
from actors.host_state import HostState
from actors.line import Attempt
from actors.messages import ResolveAction
from actors.ports import Effect
from interlock.frames import ResumeRun
from interlock.states import StopReason
from interlock.wire import JobEvent


def needs_user(attempt: Attempt, d: Decision, *, needed: bool) -> None:
    """The agent says whether the run waits for its user."""
    if attempt.job.needs_user_action == needed:
        return
    d.touch(attempt)
    if needed:
        attempt.job.needs_user_action = True
        _stop_clock(attempt, d)
    else:
        _go_on(attempt, d)
        attempt.run.timeout_left_ms = None  # it knows: nobody needs to tell it again


def resolve_action(state: HostState, message: ResolveAction, d: Decision) -> None:
    """Its user has done what the run waited for; a connected agent is told, any other when it connects again."""
    attempt = state.attempt_of_job(message.job_id)
    if attempt is None:
        d.look_up = message
        return
    job, run = attempt.job, attempt.run
    if not job.needs_user_action:
        return
    d.touch(attempt)
    _go_on(attempt, d)
    d.audit(message.by, "job.resolve", job.org_id, ("job", job.id))
    d.effects.append(Effect("job.updated", progress_event(attempt)))
    if state.session is not None and run.stop_reason is StopReason.NONE:
        d.push(state.session, "job:resume", ResumeRun(job_id=job.id, job_run_id=run.id))


def progress_event(attempt: Attempt) -> JobEvent:
    """How far the job is, and whether it waits for its user, for dashboards."""
    event = job_event(attempt.job, attempt.run)
    event.progress, event.needs_user_action = attempt.job.progress, attempt.job.needs_user_action
    return event


def _stop_clock(attempt: Attempt, d: Decision) -> None:
    run = attempt.run
    run.timeout_left_ms = None if run.timeout_at is None else max(run.timeout_at - d.now, 0)
    run.timeout_at = None


def _go_on(attempt: Attempt, d: Decision) -> None:
    """What was left of its time is kept: it says that the run has waited, for an agent that was away meanwhile."""
    run = attempt.run
    attempt.job.needs_user_action = False
    if run.timeout_left_ms is not None:
        run.timeout_at = d.now + run.timeout_left_ms
