"""The life of a job run, as data. What is not in `MOVES` is refused and changes nothing.

A run is one attempt of a job on one host. *Live* runs hold the host's only slot. A retry is a new run with a
new id, so a late report about attempt 1 can never touch attempt 2. The table is closed: a test walks every
state and every event and finds either a move here or a sentence in `REFUSALS`. The picture in
`docs/lifecycle.md` is drawn from this file by `scripts/docs`.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple


class RunStatus(StrEnum):
    """Where one attempt stands; the spellings go over the wire."""

    SCHEDULED = "scheduled"
    PENDING = "pending"
    OFFERED = "offered"
    RUNNING = "running"
    CANCELLING = "cancelling"
    UNREACHABLE = "unreachable"
    SUCCESS = "success"
    FAILED = "failed"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    TIMED_OUT = "timed_out"
    LOST = "lost"
    EXPIRED = "expired"


class JobStatus(StrEnum):
    """Where a job stands, derived from its runs; the spellings go over the wire."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class RunEvent(StrEnum):
    """What can happen to a run. In brackets: who says so."""

    DUE = "due"  # its time has come [alarm or sweep]
    START_BEFORE_PASSED = "start_before_passed"  # nobody started it in time [sweep]
    TAKEN = "taken"  # handed out as the answer to a poll [agent]
    OFFERED = "offered"  # pushed on a socket as job:new [server]
    POOL_ACKED = "pool_acked"  # an agent claimed a hinted pool job [agent]
    ACKED = "acked"  # an agent accepted what it was offered [agent]
    SIGN_OF_LIFE = "sign_of_life"  # progress, log, evidence, or a heartbeat that names it [agent]
    HEARD_IDLE = "heard_idle"  # the same process polls and says that it runs nothing [agent]
    SUCCEEDED = "succeeded"  # [agent]
    FAILED = "failed"  # [agent]
    REJECTED = "rejected"  # the agent will not do it, now or later [agent]
    STOPPED = "stopped"  # the agent says that it has cancelled it [agent]
    OFFER_LAPSED = "offer_lapsed"  # no ack within 30 s, or the socket closed [server]
    UNDELIVERABLE = "undeliverable"  # the fifth offer of this run lapsed [server]
    CANCEL = "cancel"  # [user]
    FORCE = "force"  # cancel without waiting for the agent [user]
    TIMEOUT = "timeout"  # timeoutSeconds passed [server]
    DEADLINE = "deadline"  # the agent did not confirm a cancel in time [server]
    LEASE_LAPSED = "lease_lapsed"  # an agent that heartbeats fell silent [server]
    LOST_AFTER = "lost_after"  # it stayed silent [server]
    NEW_INSTANCE = "new_instance"  # the agent is back as another process, without it [agent]
    HOST_DELETED = "host_deleted"  # [user; for a live run only when forced]


class StopReason(StrEnum):
    """Why a run is being stopped: remembered through `cancelling` and `unreachable`."""

    NONE = ""
    USER = "user"
    TIMEOUT = "timeout"


class Move(NamedTuple):
    """Where an event leads, by the reason for which the run is being stopped, if any."""

    to: RunStatus
    if_user: RunStatus
    if_timeout: RunStatus

    def target(self, reason: StopReason) -> RunStatus:
        """The next status of a run that carries `reason`."""
        if reason is StopReason.USER:
            return self.if_user
        return self.if_timeout if reason is StopReason.TIMEOUT else self.to


def _to(to: RunStatus, *, if_user: RunStatus | None = None, if_timeout: RunStatus | None = None) -> Move:
    return Move(to, if_user or to, if_timeout or to)


S, E = RunStatus, RunEvent

LIVE = frozenset({S.OFFERED, S.RUNNING, S.CANCELLING, S.UNREACHABLE})
WAITING = frozenset({S.SCHEDULED, S.PENDING})
TERMINAL = frozenset(S) - LIVE - WAITING

REPORTS = frozenset({E.SUCCEEDED, E.FAILED, E.REJECTED, E.STOPPED})

# After these the server, not the agent, has ended a live run: the machine may still be at it, so the host gets
# nothing new until its agent declares itself idle (the idle gate).
ENDED_UNHEARD = frozenset({E.FORCE, E.DEADLINE, E.LOST_AFTER, E.HOST_DELETED})

_STOPPED = _to(S.FAILED, if_user=S.CANCELLED, if_timeout=S.TIMED_OUT)  # "cancelled" unasked is a failure
_ENDS = {
    E.SUCCEEDED: _to(S.SUCCESS, if_timeout=S.TIMED_OUT),
    E.FAILED: _to(S.FAILED, if_timeout=S.TIMED_OUT),
    E.REJECTED: _to(S.REJECTED, if_timeout=S.TIMED_OUT),
    E.STOPPED: _STOPPED,
}
_BACK = _to(S.RUNNING, if_user=S.CANCELLING, if_timeout=S.CANCELLING)

MOVES: dict[RunStatus, dict[RunEvent, Move]] = {
    S.SCHEDULED: {
        E.DUE: _to(S.PENDING),
        E.START_BEFORE_PASSED: _to(S.EXPIRED),
        E.CANCEL: _to(S.CANCELLED),
        E.FORCE: _to(S.CANCELLED),
        E.HOST_DELETED: _to(S.CANCELLED),
    },
    S.PENDING: {
        E.START_BEFORE_PASSED: _to(S.EXPIRED),
        E.TAKEN: _to(S.RUNNING),
        E.OFFERED: _to(S.OFFERED),
        E.POOL_ACKED: _to(S.RUNNING),
        # Only by the instance that it was last offered to: an ack just after its deadline is not wasted.
        E.ACKED: _to(S.RUNNING),
        E.SIGN_OF_LIFE: _to(S.RUNNING),
        **_ENDS,
        E.CANCEL: _to(S.CANCELLED),
        E.FORCE: _to(S.CANCELLED),
        E.HOST_DELETED: _to(S.CANCELLED),
    },
    S.OFFERED: {
        E.ACKED: _to(S.RUNNING),
        E.SIGN_OF_LIFE: _to(S.RUNNING),
        **_ENDS,
        E.OFFER_LAPSED: _to(S.PENDING),
        E.NEW_INSTANCE: _to(S.PENDING),
        E.UNDELIVERABLE: _to(S.FAILED),
        E.CANCEL: _to(S.CANCELLED),
        E.FORCE: _to(S.CANCELLED),
        E.HOST_DELETED: _to(S.CANCELLED),
    },
    S.RUNNING: {
        E.ACKED: _to(S.RUNNING),
        E.SIGN_OF_LIFE: _to(S.RUNNING),
        E.HEARD_IDLE: _to(S.RUNNING),  # the reply to its take never arrived: the same run is handed out again
        **_ENDS,
        E.CANCEL: _to(S.CANCELLING),
        E.FORCE: _to(S.CANCELLED),
        E.TIMEOUT: _to(S.CANCELLING),
        E.LEASE_LAPSED: _to(S.UNREACHABLE),  # it still holds the host: freeing it runs two jobs on one machine
        E.NEW_INSTANCE: _to(S.LOST),
        E.HOST_DELETED: _to(S.CANCELLED),
    },
    S.CANCELLING: {
        E.ACKED: _to(S.CANCELLING),
        E.SIGN_OF_LIFE: _to(S.CANCELLING),
        E.HEARD_IDLE: _to(S.CANCELLED, if_timeout=S.TIMED_OUT),
        **_ENDS,
        E.CANCEL: _to(S.CANCELLING),
        E.FORCE: _to(S.CANCELLED),
        E.DEADLINE: _to(S.CANCELLED, if_timeout=S.TIMED_OUT),
        E.LEASE_LAPSED: _to(S.UNREACHABLE),
        E.NEW_INSTANCE: _to(S.CANCELLED, if_timeout=S.TIMED_OUT),
        E.HOST_DELETED: _to(S.CANCELLED),
    },
    S.UNREACHABLE: {
        E.ACKED: _BACK,
        E.SIGN_OF_LIFE: _BACK,
        E.HEARD_IDLE: _to(S.RUNNING, if_user=S.CANCELLED, if_timeout=S.TIMED_OUT),
        **_ENDS,
        E.CANCEL: _to(S.UNREACHABLE),
        E.FORCE: _to(S.CANCELLED),
        E.LOST_AFTER: _to(S.LOST, if_user=S.CANCELLED, if_timeout=S.TIMED_OUT),
        E.NEW_INSTANCE: _to(S.LOST, if_user=S.CANCELLED, if_timeout=S.TIMED_OUT),
        E.HOST_DELETED: _to(S.CANCELLED),
    },
}

_NOT_STARTED = "it has not started"
_STARTED = "it has already started"
_HELD = "the host already holds it"
REFUSALS: dict[RunStatus, dict[RunEvent, str]] = {
    S.SCHEDULED: dict.fromkeys((E.TAKEN, E.OFFERED, E.POOL_ACKED), "it is not due yet")
    | dict.fromkeys((E.ACKED, E.SIGN_OF_LIFE, E.HEARD_IDLE, *REPORTS), _NOT_STARTED)
    | dict.fromkeys((E.OFFER_LAPSED, E.UNDELIVERABLE, E.TIMEOUT, E.DEADLINE), _NOT_STARTED)
    | dict.fromkeys((E.LEASE_LAPSED, E.LOST_AFTER, E.NEW_INSTANCE), _NOT_STARTED),
    S.PENDING: {E.DUE: "it is already waiting in line"}
    | dict.fromkeys((E.HEARD_IDLE, E.OFFER_LAPSED, E.UNDELIVERABLE, E.TIMEOUT, E.DEADLINE), _NOT_STARTED)
    | dict.fromkeys((E.LEASE_LAPSED, E.LOST_AFTER, E.NEW_INSTANCE), _NOT_STARTED),
    S.OFFERED: dict.fromkeys((E.DUE, E.START_BEFORE_PASSED, E.TAKEN, E.OFFERED, E.POOL_ACKED), _HELD)
    | dict.fromkeys((E.TIMEOUT, E.DEADLINE, E.LEASE_LAPSED, E.LOST_AFTER), "its offer lapses instead")
    | {E.HEARD_IDLE: "it is offered again when the offer lapses"},
    S.RUNNING: dict.fromkeys((E.DUE, E.START_BEFORE_PASSED, E.OFFER_LAPSED, E.UNDELIVERABLE), _STARTED)
    | dict.fromkeys((E.TAKEN, E.OFFERED, E.POOL_ACKED), _HELD)
    | {E.DEADLINE: "no cancel is under way", E.LOST_AFTER: "its lease has not lapsed"},
    S.CANCELLING: dict.fromkeys((E.DUE, E.START_BEFORE_PASSED, E.OFFER_LAPSED, E.UNDELIVERABLE), _STARTED)
    | dict.fromkeys((E.TAKEN, E.OFFERED, E.POOL_ACKED), _HELD)
    | {E.TIMEOUT: "it is already being stopped", E.LOST_AFTER: "its lease has not lapsed"},
    S.UNREACHABLE: dict.fromkeys((E.DUE, E.START_BEFORE_PASSED, E.OFFER_LAPSED, E.UNDELIVERABLE), _STARTED)
    | dict.fromkeys((E.TAKEN, E.OFFERED, E.POOL_ACKED), _HELD)
    | dict.fromkeys((E.TIMEOUT, E.DEADLINE), "nobody can be asked: its return or lostAfter decides")
    | {E.LEASE_LAPSED: "its lease has already lapsed"},
    **{ended: dict.fromkeys(E, f"it has ended: {ended}") for ended in sorted(TERMINAL)},
}

# Who takes a run on from each state, and who rescues it when they die.
NEXT_MOVER: dict[RunStatus, str] = {
    S.SCHEDULED: "the dramatiq alarm; else the sweep, which reads availableAt",
    S.PENDING: "the host's next poll, an offer on its socket, or a pool's ack; startBefore bounds the wait",
    S.OFFERED: "the agent's ack; else the 30 s offer deadline",
    S.RUNNING: "the agent's report; else timeoutSeconds, and the lease of agents that heartbeat",
    S.CANCELLING: "the agent's confirmation; else the cancel deadline",
    S.UNREACHABLE: "the agent's return; else lostAfter",
    **dict.fromkeys(sorted(TERMINAL), "nobody: it has ended"),
}

# What a job shows as errorCode when the run itself brought none.
ERROR_CODES: dict[RunStatus, str] = {
    S.FAILED: "failed",
    S.REJECTED: "rejected",
    S.TIMED_OUT: "timed_out",
    S.LOST: "lost",
    S.EXPIRED: "expired",
}


def step(status: RunStatus, event: RunEvent, reason: StopReason = StopReason.NONE) -> RunStatus | None:
    """The status after `event`, or None when the table has no such move: then nothing may change."""
    moves = MOVES.get(status)
    move = moves.get(event) if moves else None
    return move.target(reason) if move else None


def job_status(runs: Iterable[RunStatus]) -> JobStatus:
    """The status of a job from those of its runs, oldest first (at least one)."""
    last = S.PENDING
    for last in runs:
        if last in LIVE and last is not S.OFFERED:
            return JobStatus.RUNNING
    if last is S.SUCCESS:
        return JobStatus.COMPLETED
    if last is S.CANCELLED:
        return JobStatus.CANCELLED
    return JobStatus.FAILED if last in TERMINAL else JobStatus.PENDING
