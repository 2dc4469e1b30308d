"""What one host is doing, and how each event changes that. Pure: looks at the state, the message and the time, changes
this memory, and returns what must be committed and what may then leave the process. No I/O, no clock, no chance.

The moves themselves are in `interlock.states`; here stands what goes with them: the slot, the deadlines, the retry that
is written in the same commit as the failure, and the idle gate. The handlers by kind of message are in `host_polls`,
`host_reports`, `host_users` and `host_times`.
"""

from typing import NamedTuple

from actors.decision import Decision
from actors.documents import job_event, run_document
from actors.limits import Limits
from actors.line import Attempt, Line
from actors.messages import NOTHING, AnyReply, Poll, PollAnswer
from actors.policies import policy_of
from actors.ports import Effect
from interlock.clock import Millis
from interlock.errors import InvalidState
from interlock.retry import decide_retry
from interlock.states import (
    ENDED_UNHEARD,
    ERROR_CODES,
    LIVE,
    REFUSALS,
    TERMINAL,
    JobStatus,
    RunEvent,
    RunStatus,
    StopReason,
    job_status,
    step,
)
from interlock.wire import HostEvent
from store.claims import Claimed
from store.rows import HostRow, JobRow, RunRow

MINUTE: Millis = 60_000
SEEN_SAVED_EVERY: Millis = 30_000  # how old the row's word of a connected host may be
CLONED = "two processes use this host's key in turn"


class Ending(NamedTuple):
    """What is known of how a run ended, beside its status."""

    duration_ms: Millis | None = None
    error_code: str | None = None
    error_message: str | None = None
    output: str | None = None  # JSON text
    digest: str | None = None  # of the report
    retryable: bool = True


UNREPORTED = Ending()


class Switch(NamedTuple):
    """A change of the agent's process."""

    left: str
    at: Millis
    returned: bool  # to a process that had been left within the minute


class HostState:
    """A cache of the host's rows, with what only matters while this process lives."""

    __slots__ = (
        "asked",
        "backoff",
        "beats",
        "built_at",
        "current",
        "expires_at",
        "grace_until",
        "handed_out_at",
        "host",
        "joining",
        "lease_until",
        "limits",
        "line",
        "online",
        "poll",
        "polls_beside",
        "stale",
        "switches",
        "synced_at",
        "undelivered",
        "unread",
    )

    def __init__(self, claimed: Claimed, limits: Limits, now: Millis, *, started_at: Millis = 0) -> None:
        self.host: HostRow = claimed.host
        self.limits = limits
        self.built_at = now
        self.line = Line()
        self.backoff: dict[str, Attempt] = {}  # by run id: scheduled, not yet due
        self.current: Attempt | None = None  # the one slot
        self.poll: Poll | None = None  # the parked poll
        self.polls_beside = False  # its agent polls while it runs: its polls do not say that it is idle
        self.synced_at = now  # up to then this memory is known to have what others wrote
        self.stale = False  # somebody else has appended to the rows: nothing new goes out before they are read
        self.asked: list[Attempt] = []  # users have asked other nodes that these stop
        self.joining = 0  # new jobs whose commit will give them their places
        self.lease_until: Millis | None = None
        self.handed_out_at = now  # when a job last went out: an older "I run nothing" may still be under way
        self.undelivered = False  # the reply that carried the current run was never written
        self.unread = (
            True  # the agent may not have read yet what went out last: it has neither polled nor named it since
        )
        self.beats = False  # the agent's process heartbeats: its silence means something
        self.online = (self.host.last_seen_at or 0) + limits.offline_after_ms + SEEN_SAVED_EVERY > now  # as last told
        self.grace_until: Millis = 0  # time alone does not end the current run before this instant
        self.expires_at: Millis | None = None  # the earliest startBefore of those that wait
        self.switches: tuple[Switch, ...] = ()  # of the last minute
        if self.host.unhealthy == CLONED:
            # The rows keep that, but not since when: it came with a poll, so no later than the last one they know of.
            self.switches = (Switch(self.host.instance_id or "", min(self.host.delivered_at or 0, now), returned=True),)
        for job, run in claimed.runs:
            self._place(Attempt(job, run), now, started_at)

    def _place(self, attempt: Attempt, now: Millis, started_at: Millis) -> None:
        if attempt.run.asked_to_stop is not None:
            self.asked.append(attempt)
        if attempt.run.status in LIVE:
            self.current = attempt
            if (attempt.run.started_at or 0) < started_at:
                self.grace_until = started_at + self.limits.startup_grace_ms
            if attempt.run.leased:
                self.lease_until = now + self.limits.lease_ms
        else:
            self.place_waiting(attempt)

    def place_waiting(self, attempt: Attempt) -> None:
        """Let it wait: for its time if that lies ahead, else in line."""
        if attempt.run.status is RunStatus.SCHEDULED:
            self.backoff[attempt.run.id] = attempt
        else:
            self.line.add(attempt)
        self.watch_expiry(attempt)

    def forget(self, attempt: Attempt) -> None:
        """Somebody else has ended it in the rows while it waited."""
        if self.backoff.pop(attempt.run.id, None) is None:
            self.line.remove(attempt)

    def watch_expiry(self, attempt: Attempt) -> None:
        """Remember the earliest startBefore of a job that has not started."""
        before = attempt.job.start_before
        if before is not None and attempt.job.started_at is None:
            self.expires_at = before if self.expires_at is None else min(self.expires_at, before)

    def expire(self, d: Decision) -> None:
        """End what should have started by now and has not."""
        if self.expires_at is None or self.expires_at > d.now:
            return
        self.expires_at = None
        for attempt in [*self.line, *self.backoff.values()]:
            job = attempt.job
            if job.start_before is not None and job.start_before <= d.now and job.started_at is None:
                self.advance(attempt, RunEvent.START_BEFORE_PASSED, d)
            else:
                self.watch_expiry(attempt)

    def first_due(self) -> Millis | None:
        """The earliest instant at which something scheduled is due."""
        return min((attempt.run.available_at or 0 for attempt in self.backoff.values()), default=None)

    # ---- finding ---------------------------------------------------------------------------------------------------

    def attempt_of_job(self, job_id: str) -> Attempt | None:
        """The open attempt of a job, wherever it stands."""
        if self.current is not None and self.current.job.id == job_id:
            return self.current
        waiting = next((attempt for attempt in self.backoff.values() if attempt.job.id == job_id), None)
        return waiting or self.line.find_job(job_id)

    def attempt_of_run(self, run_id: str) -> Attempt | None:
        """The open attempt with this run, wherever it stands."""
        if self.current is not None and self.current.run.id == run_id:
            return self.current
        return self.backoff.get(run_id) or self.line.find_run(run_id)

    # ---- signs of life ---------------------------------------------------------------------------------------------

    def heard(self, d: Decision) -> None:
        """Any authenticated request of the agent is a sign of life."""
        self.host.last_seen_at = d.now
        if not self.online:
            self.online = True
            self.announce("host.online", d)

    def announce(self, event: str, d: Decision) -> None:
        """Tell dashboards how the host is."""
        host = self.host
        health = "unhealthy" if host.unhealthy else "ok"
        data = HostEvent(host_id=host.id, presence=self.presence(), health=health, awaiting_idle=host.awaiting_idle)
        d.effects.append(Effect(event, data))

    def presence(self) -> str:
        """As users see it."""
        if self.current is not None and self.current.run.status is RunStatus.UNREACHABLE:
            return "unreachable"
        if self.online:
            return "online"
        return "never_connected" if self.host.last_seen_at is None else "offline"

    def set_gate(self, d: Decision, *, closed: bool) -> None:
        """Close or open the idle gate; closed, the host gets nothing new."""
        if self.host.awaiting_idle != closed:
            self.host.awaiting_idle = closed
            d.host_changed = True
            if closed and self.poll is not None:
                # It was parked before: it cannot vouch for the machine now. The agent polls afresh.
                self.answer_poll(NOTHING, d)

    def declares(self, d: Decision) -> None:
        """The agent says what it runs: from now on its silence about that is no word that the machine is idle."""
        if not self.host.declares:
            self.host.declares = d.host_changed = True

    def switch_instance(self, instance_id: str, named: frozenset[str], d: Decision) -> None:
        """Another process of the agent has come; what the old one ran and the new one does not name is lost."""
        host = self.host
        before, host.instance_id = host.instance_id, instance_id
        self.beats = False
        d.host_changed = True
        if before is not None:
            recent = tuple(switch for switch in self.switches if switch.at > d.now - MINUTE)
            returned = any(switch.left == instance_id for switch in recent)
            self.switches = (*recent, Switch(before, d.now, returned))
            if sum(switch.returned for switch in self.switches) >= self.limits.alternations:
                self.set_health(CLONED, d)
        current = self.current
        if before is not None and current is not None and current.run.id not in named:
            self.advance(current, RunEvent.NEW_INSTANCE, d)

    def set_health(self, unhealthy: str | None, d: Decision) -> None:
        """Say why nothing is offered to this host, or that all is well."""
        if self.host.unhealthy != unhealthy:
            self.host.unhealthy = unhealthy
            d.host_changed = True
            self.announce("host.updated", d)

    # ---- moves -----------------------------------------------------------------------------------------------------

    def advance(self, attempt: Attempt, event: RunEvent, d: Decision, ending: Ending = UNREPORTED) -> None:
        """Move a run as the table says; `InvalidState` with the present state when it has no such move."""
        run = attempt.run
        to = step(run.status, event, run.stop_reason)
        if to is None:
            why = REFUSALS[run.status][event]
            raise InvalidState(f"The run is {run.status}: {why}", current=run_document(run))
        if to is run.status:
            return
        d.moves(attempt)
        was, run.status = run.status, to
        if to in TERMINAL:
            self._end(attempt, was, event, d, ending)
            return
        attempt.job.status = job_status([to])
        if to is RunStatus.PENDING:
            self._wait_in_line(attempt, was)
        elif was is RunStatus.PENDING:
            self._hold(attempt, d)
        if to is RunStatus.RUNNING and run.started_at is None:
            self._start(attempt, d)
        if to is RunStatus.CANCELLING:  # also when it comes back: from now on its agent can be asked
            run.stop_by = d.now + self.limits.cancel_grace_ms + self.limits.cancel_slack_ms
        run.unreachable_at = d.now if to is RunStatus.UNREACHABLE else None

    def _wait_in_line(self, attempt: Attempt, was: RunStatus) -> None:
        if was is RunStatus.SCHEDULED:
            self.backoff.pop(attempt.run.id, None)
        else:
            self.current = None
        self.line.add(attempt)

    def _hold(self, attempt: Attempt, d: Decision) -> None:
        self.line.remove(attempt)
        self.current = attempt
        self.undelivered = False
        self.unread = True
        self.handed_out_at = d.now
        self.host.run_no += 1
        attempt.run.run_no = self.host.run_no
        attempt.run.instance_id = self.host.instance_id

    def _start(self, attempt: Attempt, d: Decision) -> None:
        run, job = attempt.run, attempt.job
        run.started_at = d.now
        run.timeout_at = d.now + job.timeout_ms
        job.started_at = job.started_at or d.now
        job.assigned_agent_id = self.host.id
        job.attempts = run.attempt
        d.effects.append(Effect("job_run.started", job_event(job, run)))

    def _end(self, attempt: Attempt, was: RunStatus, event: RunEvent, d: Decision, ending: Ending) -> None:
        job, run = attempt.job, attempt.run
        self._leave(attempt, was)
        run.finished_at = d.now
        run.error_message, run.output, run.report_hash = ending.error_message, ending.output, ending.digest
        run.duration_ms = ending.duration_ms
        if run.duration_ms is None and run.started_at is not None:
            run.duration_ms = d.now - run.started_at
        unasked = event is RunEvent.STOPPED and run.status is RunStatus.FAILED
        run.error_code = ending.error_code or ("agent_cancelled" if unasked else ERROR_CODES.get(run.status))
        will_retry = self._retry(attempt, d, retryable=ending.retryable)
        if not will_retry:
            self._close(attempt, d)
        d.effects.append(Effect("job_run.done", job_event(job, run, will_retry=will_retry)))
        if job.status is JobStatus.CANCELLED:
            d.effects.append(Effect("job.cancelled", job_event(job, run)))
        if was in LIVE and event in ENDED_UNHEARD:
            self.set_gate(d, closed=True)

    def _leave(self, attempt: Attempt, was: RunStatus) -> None:
        if was in LIVE:
            self.current = None
            self.lease_until = None
            self.undelivered = False
            self.grace_until = 0
        elif was is RunStatus.SCHEDULED:
            self.backoff.pop(attempt.run.id, None)
        else:
            self.line.remove(attempt)

    def _retry(self, attempt: Attempt, d: Decision, *, retryable: bool) -> bool:
        job, run = attempt.job, attempt.run
        policy = policy_of(job.policy)
        decision = decide_retry(
            run.status,
            run.attempt,
            job.max_attempts,
            d.now,
            retryable=retryable,
            retry_unheard=policy.on_lost == "retry",
            cancel_requested=job.cancel_requested,
            backoff=policy.backoff,
            chance=d.chance,
        )
        if decision is None:
            return False
        following = new_run(job, d, decision.attempt, available_at=decision.available_at)
        self.backoff[following.id] = Attempt(job, following)
        d.alarms.append(decision.available_at)
        job.status = JobStatus.PENDING
        job.progress = 0
        job.needs_user_action = False
        return True

    def _close(self, attempt: Attempt, d: Decision) -> None:
        job, run = attempt.job, attempt.run
        job.status = job_status([run.status])
        job.completed_at = d.now
        job.needs_user_action = False
        job.error_code, job.error_message = run.error_code, run.error_message
        if run.output is not None:
            job.output = run.output
        if job.status is JobStatus.COMPLETED:
            job.progress = 100

    # ---- stopping --------------------------------------------------------------------------------------------------

    def stop(self, attempt: Attempt, event: RunEvent, d: Decision) -> None:
        """Ask the agent to stop the run (CANCEL, TIMEOUT), or end it without asking (FORCE)."""
        run = attempt.run
        d.touch(attempt)
        reason = StopReason.TIMEOUT if event is RunEvent.TIMEOUT else StopReason.USER
        if event is not RunEvent.TIMEOUT:
            attempt.job.cancel_requested = True
        run.stop_reason = reason
        self.advance(attempt, event, d)
        if run.status in LIVE and self.poll is not None:
            self.answer_poll(PollAnswer(cancel=run.id), d)

    # ---- polls -----------------------------------------------------------------------------------------------------

    def answer_poll(self, answer: AnyReply, d: Decision) -> None:
        """Answer the parked poll, if there is one."""
        if self.poll is not None:
            d.answer(self.poll, answer)
            self.poll = None

    def may_take(self, now: Millis) -> bool:
        """Whether the host may get something new."""
        host = self.host
        paused = host.paused and (host.paused_until is None or host.paused_until > now)
        blocked = paused or host.draining or host.awaiting_idle or host.unhealthy is not None
        return self.current is None and not blocked and not self.stale and self.held_by() is None

    def takes_at_once(self, new: JobRow, now: Millis) -> bool:
        """Whether a new job would go out by the parked poll, with nobody ahead of it: then one commit does for both."""
        alone = not self.joining and not len(self.line) and not new.start_before
        return alone and self.poll is not None and self.poll.listens and self.may_take(now)

    def held_by(self) -> Attempt | None:
        """The retry for which the host is held, if a waiting one's type asks for that."""
        for attempt in self.backoff.values():
            if attempt.run.attempt > 1 and policy_of(attempt.job.policy).while_backing_off == "hold":
                return attempt
        return None


def new_run(job: JobRow, d: Decision, attempt: int, *, available_at: Millis | None = None) -> RunRow:
    """The row of a job's next attempt: `scheduled` until `available_at`, else `pending`."""
    run = RunRow(
        id=d.ids.new(),
        job_id=job.id,
        org_id=job.org_id,
        host_id=job.host_id,
        attempt=attempt,
        created_at=d.now,
        status=RunStatus.PENDING if available_at is None else RunStatus.SCHEDULED,
        available_at=available_at,
    )
    d.new_run(run)
    return run
