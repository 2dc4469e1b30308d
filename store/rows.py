"""Rows as plain values: what the journal writes and the host actors keep. Instants are ms since 1970, spans ms.

An actor changes its rows in memory when it decides; `image` freezes one for the journal at that moment.
The order of the fields is the order of the columns in every compiled statement.
"""

from dataclasses import dataclass, field, fields
from operator import attrgetter
from sys import intern
from typing import Any

from interlock.clock import Millis
from interlock.states import JobStatus, RunStatus, StopReason

Image = tuple[Any, ...]
HELD = -1  # as a job's rank: it does not go out
Moves = dict[tuple[str, str], tuple[str, ...]]  # from and to: the columns that the move can change


@dataclass(slots=True)
class HostRow:
    """A host. `owner`, `epoch`, `next_seq` and `rev` are the fence; see `committer.py`."""

    id: str
    org_id: str
    name: str
    kind: str
    labels: str  # JSON object of strings
    created_at: Millis
    owner: str | None  # the process that owns it, by its unique name
    epoch: int  # rises with every claim, never reset
    next_seq: int  # the place in line that the next job gets
    rev: int  # counts commits on this host, by anybody
    paused: bool
    paused_by: str | None
    note: str | None
    paused_until: Millis | None
    draining: bool  # nothing new goes out
    drain_until: Millis | None  # while it is draining: what still runs then is stopped; None: it may run on
    # What follows belongs to the owner and is written with the fence.
    run_no: int  # rises with every take, and with the clock; agents refuse a lower one
    instance_id: str | None  # the agent's process, chosen by it at its start
    declares: bool  # the agent says what it runs, in polls or heartbeats
    awaiting_idle: bool  # the idle gate
    unhealthy: str | None  # why nothing is offered, or None
    last_seen_at: Millis | None
    delivered_at: Millis | None  # last poll that could have been answered with a job


@dataclass(slots=True)
class JobRow:
    """What a user asked for. `payload`, `output` and `policy` are JSON text. The agent gets `payload`; all others see
    `payload_shown`, where there is one.
    """

    id: str
    org_id: str
    host_id: str | None
    server_instance_id: str | None
    type: str
    created_by_id: str | None
    created_at: Millis
    payload: str
    policy: str | None  # how the job's type retries, frozen when the job was created; None: the defaults
    timeout_ms: Millis
    priority: int
    run_at: Millis | None
    seq: int = 0  # its place in line: the commit that creates it, or tries it afresh, allots it
    labels: str | None = None  # of a pool job: what its host must carry, a JSON object of strings; {} is any host
    log_seq: int = field(default=0, compare=False)  # the last line's number, when it was read: commits count it up
    payload_shown: str | None = None  # the payload without what its type hides; None: nothing is hidden
    trace: str | None = None  # W3C `traceparent`, and behind a space `tracestate` if there is one
    # What follows changes.
    start_before: Millis | None = None
    max_attempts: int = 3
    status: JobStatus = JobStatus.PENDING
    attempts: int = 0
    progress: int = 0
    output: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    needs_user_action: bool = False
    cancel_requested: bool = False
    assigned_agent_id: str | None = None
    started_at: Millis | None = None
    completed_at: Millis | None = None
    rank: int | None = None  # where somebody has put it in its host's line: `HELD`, or ahead of all, the highest first


@dataclass(slots=True)
class RunRow:
    """One attempt of a job."""

    id: str
    job_id: str
    org_id: str
    host_id: str | None
    attempt: int
    created_at: Millis
    # What follows changes.
    status: RunStatus
    available_at: Millis | None = None  # not before
    offered_at: Millis | None = None  # when a socket brought it to its agent, or the hint; None if that was taken back
    started_at: Millis | None = None
    finished_at: Millis | None = None  # None exactly while it is open: the claims' index rests on that
    run_no: int | None = None
    instance_id: str | None = None  # the agent process that it went to
    taken_after: str | None = None  # the run whose report also took this one
    stop_reason: StopReason = StopReason.NONE
    timeout_at: Millis | None = None  # None while it waits for a user's action
    timeout_left_ms: Millis | None = (
        None  # what was left when it began to wait for a user; kept once he has resolved it
    )
    stop_by: Millis | None = None  # deadline of the agent's confirmation
    leased: bool = False  # its agent heartbeats, or has had it from a socket: its silence means something
    unreachable_at: Millis | None = None
    offered_until: Millis | None = None
    offers: int = 0
    duration_ms: int | None = None
    error_code: str | None = None
    error_message: str | None = None
    output: str | None = None
    report_hash: str | None = None  # SHA-256 of the report that ended it
    # Written by nodes that do not own the host, and never by its owner.
    asked_to_stop: str | None = None  # "cancel" or "force"
    # Of a pool job's runs, and never changed: so one index holds what waits in a pool, in its order.
    pool_labels: str | None = None
    pool_priority: int | None = None


JOB_COLUMNS = tuple(field.name for field in fields(JobRow))
RUN_COLUMNS = tuple(field.name for field in fields(RunRow))
HOST_COLUMNS = tuple(field.name for field in fields(HostRow))
JOB_CHANGING = JOB_COLUMNS[JOB_COLUMNS.index("start_before") :]
RUN_CHANGING = RUN_COLUMNS[RUN_COLUMNS.index("status") : RUN_COLUMNS.index("asked_to_stop")]
_AFRESH = (
    "start_before",
    "status",
    "attempts",
    "progress",
    "output",
    "error_code",
    "error_message",
    "cancel_requested",
    "started_at",
    "completed_at",
    "rank",
)
# What the moves that nearly every job makes can change. Most other moves, and two moves of a row in one
# transaction, write all of the above: naming a column costs time even where its value stays.
JOB_MOVES: Moves = {
    (JobStatus.PENDING, JobStatus.RUNNING): ("status", "attempts", "assigned_agent_id", "started_at"),
    (JobStatus.RUNNING, JobStatus.COMPLETED): (
        "status",
        "progress",
        "output",
        "error_code",
        "error_message",
        "needs_user_action",
        "completed_at",
    ),
    # Of nodes that do not own the host: its owner may just be writing `log_seq`.
    (JobStatus.PENDING, JobStatus.CANCELLED): (
        "status",
        "output",
        "error_code",
        "error_message",
        "needs_user_action",
        "cancel_requested",
        "completed_at",
    ),
    (JobStatus.FAILED, JobStatus.PENDING): _AFRESH,
    (JobStatus.CANCELLED, JobStatus.PENDING): _AFRESH,
}
_REPORTED = ("status", "finished_at", "duration_ms", "error_code", "error_message", "output", "report_hash")
RUN_MOVES: Moves = {
    (RunStatus.PENDING, RunStatus.RUNNING): (
        "status",
        "started_at",
        "run_no",
        "instance_id",
        "taken_after",
        "timeout_at",
        "leased",
    ),
    (RunStatus.PENDING, RunStatus.OFFERED): (
        "status",
        "offered_at",
        "run_no",
        "instance_id",
        "offered_until",
        "offers",
    ),
    (RunStatus.OFFERED, RunStatus.RUNNING): ("status", "started_at", "timeout_at", "leased", "offered_until"),
    (RunStatus.RUNNING, RunStatus.SUCCESS): _REPORTED,
    (RunStatus.RUNNING, RunStatus.FAILED): _REPORTED,
}
HOST_OWNED = HOST_COLUMNS[HOST_COLUMNS.index("run_no") :]

job_image: "attrgetter[Image]" = attrgetter(*JOB_COLUMNS)
run_image: "attrgetter[Image]" = attrgetter(*RUN_COLUMNS)
host_image: "attrgetter[Image]" = attrgetter(*HOST_OWNED)


def job_from(columns: Image) -> JobRow:
    """The row of a SELECT over `JOB_COLUMNS`."""
    row = JobRow(*columns)
    row.status = JobStatus(row.status)
    row.needs_user_action, row.cancel_requested = bool(row.needs_user_action), bool(row.cancel_requested)
    return row


def run_from(columns: Image) -> RunRow:
    """The row of a SELECT over `RUN_COLUMNS`."""
    row = RunRow(*columns)
    row.status, row.stop_reason, row.leased = RunStatus(row.status), StopReason(row.stop_reason), bool(row.leased)
    return row


def host_from(columns: Image) -> HostRow:
    """The row of a SELECT over `HOST_COLUMNS`."""
    row = HostRow(*columns)
    row.org_id, row.kind, row.labels = intern(row.org_id), intern(row.kind), intern(row.labels)  # shared by many
    row.paused, row.draining = bool(row.paused), bool(row.draining)
    row.declares, row.awaiting_idle = bool(row.declares), bool(row.awaiting_idle)
    return row
