"""What one host is doing, and how each event changes that. Pure: looks at the state, the message and the time, changes
this memory, and returns what must be committed and what may then leave the process. No I/O, no clock, no chance.

The moves themselves are in `interlock.states`; here stands what goes with them: the slot, the deadlines and the idle gate; how a
run ends is in `endings`. The handlers by kind of message are in `host_polls`, `host_sockets`, `host_reports`,
`host_users` and `host_times`.
"""

from typing import NamedTuple

from actors.decision import Decision
from actors.documents import job_event, run_document, started_event
from actors.endings import UNREPORTED, Ending, close_job, try_again, write_ending
from actors.limits import Limits
from actors.line import Attempt, Line
from actors.log_book import LogBook
from actors.messages import NOTHING, AnyReply, Poll, PollAnswer
from actors.policies import policy_of
from actors.ports import Effect
from actors.sessions import Session
from interlock.clock import Millis, seconds
from interlock.errors import InvalidState
from interlock.frames import CancelRun
from interlock.states import (
    ENDED_UNHEARD,
    LIVE,
    REFUSALS,
    REPORTS,
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
RUN_NUMBERS_FROM: Millis = 1_767_225_600_000  # 2026 began
SEEN_SAVED_EVERY: Millis = 30_000  # how old the row's word of a connected host may be
CLONED = "two processes use this host's key in turn"
UNACKED = "its agent has accepted none of the last jobs that were pushed to it"
_ACCEPTS = REPORTS | {RunEvent.ACKED, RunEvent.SIGN_OF_LIFE}  # of a run that was offered


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
        "claiming",
        "current",
        "expires_at",
        "fresh_log",
        "given_back",
        "grace_until",
        "handed_out_at",
        "host",
        "joining",
        "lease_until",
        "limits",
        "line",
        "logs",
        "online",
        "poll",
        "polls_beside",
        "refused",
        "reported",
        "seeks",
        "session",
        "stale",
        "switches",
        "synced_at",
        "unacked",
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
        self.claiming: str | None = None  # the pool job that it is about to take: its commit is under way
        self.refused: dict[str, None] = {}  # pool jobs that its agent does not want
        self.reported: str | None = None  # the run that its agent has reported last: a heartbeat may still name it
        self.seeks = False  # whether its org's pool can be asked when it has nothing of its own
        self.poll: Poll | None = None  # the parked poll
        self.session: Session | None = None  # the connected socket
        self.given_back: tuple[Attempt, ...] = ()  # offered before, not accepted, and waiting
        self.unacked = 0  # offers in a row that nobody has accepted in time
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
        self.logs: dict[str, LogBook] | None = None  # by run id: made when first needed
        self.fresh_log: str | None = None  # the run that has just started here: nothing can be in its log
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
            if attempt.run.status is not RunStatus.OFFERED and (attempt.run.started_at or 0) < started_at:
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
            if attempt.run.offers:
                self._remember_offer(attempt)
        self.watch_expiry(attempt)

    def _remember_offer(self, attempt: Attempt) -> None:
        """Its agent may speak of it yet; of those that have left the line meanwhile it may not."""
        others = (other for other in self.given_back if other is not attempt)
        self.given_back = (*(other for other in others if other.run.status is RunStatus.PENDING), attempt)

    def forget(self, attempt: Attempt) -> None:
        """Somebody else has ended it in the rows while it waited."""
        self.given_back = tuple(other for other in self.given_back if other is not attempt)
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

    def addressed(self, run_id: str) -> Attempt | None:
        """The attempt that an agent may speak of: the current one, or one that was last offered to this very process."""
        current = self.current
        if current is not None:
            return current if current.run.id == run_id else None
        for attempt in self.given_back:
            run = attempt.run
            if run.id == run_id and run.status is RunStatus.PENDING and run.instance_id == self.host.instance_id:
                return attempt
        return None

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

    def set_gate(self, d: Decision, *, closed: bool, over: str | None = None) -> None:
        """Close or open the idle gate; closed, the host gets nothing new. `over`: the run that ended without its agent."""
        if self.host.awaiting_idle != closed:
            self.host.awaiting_idle = closed
            d.host_changed = True
            if closed and self.poll is not None:
                # It was parked before: it cannot vouch for the machine now. The agent polls afresh.
                self.answer_poll(NOTHING if over is None else PollAnswer(cancel=over), d)

    def declares(self, d: Decision) -> None:
        """The agent says what it runs: from now on its silence about that is no word that the machine is idle."""
        if not self.host.declares:
            self.host.declares = d.host_changed = True

    def hears(self, d: Decision) -> None:
        """The agent can be reached: it polls, connects, or has accepted what it was offered."""
        self.unacked = 0
        if self.host.unhealthy not in {None, CLONED}:
            self.set_health(None, d)

    def lease(self, attempt: Attempt, d: Decision) -> None:
        """The agent of this run heartbeats, or its socket has just gone: from now on its silence means something."""
        run = attempt.run
        if run.status is RunStatus.OFFERED:
            return
        if not run.leased:
            d.touch_run(run)
            run.leased = True
        self.lease_until = d.now + self.limits.lease_ms

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
        was = run.status
        if to is RunStatus.OFFERED or (was is RunStatus.OFFERED and to is RunStatus.PENDING):
            d.moves_run(run)
        else:
            d.moves(attempt)
        run.status = to
        if (was is RunStatus.OFFERED or was is RunStatus.PENDING) and event in _ACCEPTS:
            self._accepted(attempt, d)
        if to in TERMINAL:
            self._end(attempt, was, event, d, ending)
            return
        attempt.job.status = job_status([to])
        if to is RunStatus.PENDING:
            self._wait_in_line(attempt, was, d)
        elif was is RunStatus.PENDING:
            self._hold(attempt, d)
        if to is RunStatus.RUNNING and run.started_at is None:
            self._start(attempt, d)
        if to is RunStatus.CANCELLING:  # also when it comes back: from now on its agent can be asked
            run.stop_by = d.now + self.limits.cancel_grace_ms + self.limits.cancel_slack_ms
        run.unreachable_at = d.now if to is RunStatus.UNREACHABLE else None

    def _wait_in_line(self, attempt: Attempt, was: RunStatus, d: Decision) -> None:
        if was is RunStatus.SCHEDULED:
            self.backoff.pop(attempt.run.id, None)
        else:
            self.current = None
            d.touch_run(attempt.run)  # it may go out again in this very decision: that is more than one move
            attempt.run.offered_at = attempt.run.offered_until = None
            self._remember_offer(attempt)
            self.watch_expiry(attempt)
        self.line.add(attempt)

    def _accepted(self, attempt: Attempt, d: Decision) -> None:
        """The agent speaks of what it was offered: that is as good as an ack. From now on its silence means something,
        once its socket has gone, or if it heartbeats.
        """
        self.hears(d)
        self.host.delivered_at = d.now
        attempt.run.offered_until = None
        attempt.run.leased = True
        self.lease_until = d.now + self.limits.lease_ms
        self.note_acked(self.session, attempt)

    def note_acked(self, session: Session | None, attempt: Attempt) -> None:
        """With the job's id alone, the agent means this run from now on."""
        if session is not None:
            session.note_acked(attempt.job.id, attempt.run.id)

    def _hold(self, attempt: Attempt, d: Decision) -> None:
        self.line.remove(attempt)
        self.current = attempt
        self.undelivered = False
        self.unread = True
        self.handed_out_at = d.now
        attempt.run.run_no = self.number_run(d.now)
        attempt.run.instance_id = self.host.instance_id

    def number_run(self, now: Millis) -> int:
        """The number of the run that goes out now: above the last one. It follows the clock, so that agents do not refuse what
        comes from a database that was restored from a backup: what they have seen since that was made is lower too.
        """
        self.host.run_no = max(self.host.run_no + 1, now - RUN_NUMBERS_FROM)
        return self.host.run_no

    def _start(self, attempt: Attempt, d: Decision) -> None:
        run, job = attempt.run, attempt.job
        run.started_at = d.now
        run.timeout_at = d.now + job.timeout_ms
        job.started_at = job.started_at or d.now
        job.assigned_agent_id = self.host.id
        job.attempts = run.attempt
        self.fresh_log = run.id
        d.effects.append(Effect("job_run.started", started_event(job, run)))

    def _end(self, attempt: Attempt, was: RunStatus, event: RunEvent, d: Decision, ending: Ending) -> None:
        job, run = attempt.job, attempt.run
        self._leave(attempt, was)
        write_ending(run, event, ending, d.now)
        following = try_again(attempt, d, retryable=ending.retryable)
        if following is None:
            close_job(attempt, d)
        elif following.host_id is not None:
            self.backoff[following.id] = Attempt(job, following)
        d.effects.append(Effect("job_run.done", job_event(job, run, will_retry=following is not None)))
        if job.status is JobStatus.CANCELLED:
            d.effects.append(Effect("job.cancelled", job_event(job, run)))
        if was in LIVE and was is not RunStatus.OFFERED and event in ENDED_UNHEARD:
            self.set_gate(d, closed=True, over=run.id)  # of what was merely offered nothing has begun
        elif ending is not UNREPORTED:
            self.reported = run.id

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

    # ---- stopping --------------------------------------------------------------------------------------------------

    def stop(self, attempt: Attempt, event: RunEvent, d: Decision) -> None:
        """Ask the agent to stop the run (CANCEL, TIMEOUT), or end it without asking (FORCE)."""
        run = attempt.run
        held = run.status in LIVE
        d.touch(attempt)
        reason = StopReason.TIMEOUT if event is RunEvent.TIMEOUT else StopReason.USER
        if event is not RunEvent.TIMEOUT:
            attempt.job.cancel_requested = True
        run.stop_reason = reason
        self.advance(attempt, event, d)
        if run.status in LIVE and self.poll is not None:
            self.answer_poll(PollAnswer(cancel=run.id), d)
        if held:
            self.tell_to_stop(run, d)

    def tell_to_stop(self, run: RunRow, d: Decision) -> None:
        """Push a cancel to the connected agent, if there is one."""
        if self.session is not None:
            grace = seconds(self.limits.cancel_grace_ms)
            stop = CancelRun(job_id=run.job_id, job_run_id=run.id, grace_seconds=grace)
            d.push(self.session, "job:cancel", stop)

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
        free = self.current is None and self.claiming is None
        return free and not blocked and not self.stale and self.held_by() is None

    def takes_at_once(self, new: JobRow, now: Millis) -> bool:
        """Whether a new job would go out by the parked poll or the socket, with nobody ahead of it: then one commit does
        for both.
        """
        alone = not self.joining and not len(self.line) and not new.start_before
        return alone and self._listens() and self.may_take(now)

    def _listens(self) -> bool:
        return (self.poll is not None and self.poll.listens) or (self.session is not None and self.session.open)

    def held_by(self) -> Attempt | None:
        """The retry for which the host is held, if a waiting one's type asks for that."""
        for attempt in self.backoff.values():
            if attempt.run.attempt > 1 and policy_of(attempt.job.policy).while_backing_off == "hold":
                return attempt
        return None
