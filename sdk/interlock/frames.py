"""What goes over an agent's socket: `{"event": …, "data": …, "id"?: …}`, one struct for each `data`.

`EXCHANGES` says of every event that an agent may send what it carries, which event answers it and what that carries;
`PUSHES` what the server sends of its own accord. Every frame may carry an `id`, a text or a number, which its answer
repeats; over Socket.IO, which has no envelope, the `id` stands in `data`. Unknown fields are passed over on both sides.
An `agentId` is a label: who speaks is the key's host.
"""

from typing import Any, NamedTuple, Self

import msgspec

from interlock.wire import EvidenceVerdict, Heartbeat, HeartbeatAnswer, Lenient, LogLineIn, TakenJob

FrameId = str | int | float | None


class Frame(msgspec.Struct):
    """The envelope on a plain WebSocket; `data` is read once the event is known, and an absent one is `{}`."""

    event: str
    data: msgspec.Raw = msgspec.Raw(b"{}")
    id: FrameId = None


class Auth(Lenient):
    """The first frame of whoever brings no header, and Socket.IO's `auth`: an agent's key, a user's token, or the ticket of a user's session.

    `instanceId` and `running` mean what they mean on a poll, where `running` is a text with commas; absent, they say
    nothing. The last two are for dashboards.
    """

    token: str | None = None
    ticket: str | None = None
    instance_id: str | None = None
    running: list[str] | str | None = None
    org_id: str | None = None
    after: int | str | None = None


# ---- what agents send ------------------------------------------------------------------------------------------


class OfJob(Lenient):
    """A run of a job. Without `jobRunId` it is the run that this connection acked, or was last handed, else the last one
    that has ended on this host. A job's later run must have been acked. Both must fit each other.
    """

    job_id: str
    job_run_id: str | None = None


class Ack(OfJob, kw_only=True):
    """`job:ack`: the agent takes an offered run, or a pool job."""


class Reject(OfJob, kw_only=True):
    """`job:reject`: it will not run it."""

    reason: str | None = None


class Progress(OfJob, kw_only=True):
    """`job:progress`: 0–100; a fraction is rounded down."""

    progress: float
    message: str | None = None
    needs_user_action: bool | None = None


class Logs(OfJob, kw_only=True):
    """`job:log`."""

    lines: list[LogLineIn]


class Evidence(OfJob, kw_only=True):
    """`job:evidence`: each item gets a verdict of its own."""

    evidence: list[msgspec.Raw]


class Done(OfJob, kw_only=True):
    """`job:done`."""

    output: Any = None
    duration_ms: float | None = None


class Failed(OfJob, kw_only=True):
    """`job:error`: `error` is a sentence, or an object with a `message`, as JavaScript's errors are."""

    error: Any = None
    error_code: str | None = None
    retryable: bool | None = True
    output: Any = None
    duration_ms: float | None = None


class Cancelled(OfJob, kw_only=True):
    """`job:cancelled`: the agent has stopped it."""

    duration_ms: float | None = None


# ---- what the server answers -----------------------------------------------------------------------------------


class JobGiven(TakenJob, kw_only=True):
    """`job:new` and `job:ack_success`; `input` is S2's name of `payload`. `runNo` rises per host. `cancelRequested` is
    there when its user no longer wants it: it is to be stopped at once.
    """

    input: Any
    cancel_requested: bool = False

    @classmethod
    def of(cls, taken: TakenJob) -> Self:
        """The job as a poll would get it, with S2's name as well."""
        return cls(**msgspec.structs.asdict(taken), input=taken.payload)


class Rejected(Lenient):
    """`job:reject_ack`."""

    job_id: str


class Noted(Lenient, omit_defaults=True, kw_only=True):
    """`job:progress_ack`: a cancel travels on it, as on those that follow; so does whether its user is still needed."""

    job_id: str
    job_run_id: str
    status: str
    cancel_requested: bool
    needs_user_action: bool = False


class LogNoted(Noted, kw_only=True):
    """`job:log_ack`; the rest is as in `wire.LogAnswer`."""

    next_seq: int
    truncated: bool = False


class EvidenceNoted(Noted, kw_only=True):
    """`job:evidence_ack`; `items` are in the order in which they came."""

    created: int
    duplicates: int
    rejected: int
    items: list[EvidenceVerdict]


class Ended(Lenient):
    """`job:done_ack`, `job:error_ack` and `job:cancelled_ack`."""

    job_id: str
    job_run_id: str
    status: str
    job_status: str
    will_retry: bool
    replayed: bool


class Refused(Lenient, omit_defaults=True):
    """`error`: why the frame was not taken, and which. `current` is the present state on a conflict."""

    code: str
    message: str
    event: str | None = None
    job_id: str | None = None
    job_run_id: str | None = None
    current: Any = None
    errors: list[dict[str, str]] | None = None
    retry_after: float | None = None  # seconds


# ---- what the server pushes ------------------------------------------------------------------------------------


class JobAvailable(Lenient):
    """`job:available`: a pool job waits that this host could ack."""

    job_id: str
    type: str


class CancelRun(Lenient):
    """`job:cancel`: stop it, and say `job:cancelled`; the process may have so many seconds to end by itself. `jobId` is
    empty for a run that the agent has named and that was never this host's.
    """

    job_id: str
    job_run_id: str
    grace_seconds: float


class ResumeRun(Lenient):
    """`job:resume`: its user has done what was needed."""

    job_id: str
    job_run_id: str


class Exchange(NamedTuple):
    """What an event carries, the event that answers it and what that carries. The answer may also be `error`."""

    asks: type[msgspec.Struct]
    event: str
    answers: type[msgspec.Struct]


EXCHANGES: dict[str, Exchange] = {
    "heartbeat": Exchange(Heartbeat, "heartbeat_ack", HeartbeatAnswer),
    "job:ack": Exchange(Ack, "job:ack_success", JobGiven),
    "job:reject": Exchange(Reject, "job:reject_ack", Rejected),
    "job:progress": Exchange(Progress, "job:progress_ack", Noted),
    "job:log": Exchange(Logs, "job:log_ack", LogNoted),
    "job:evidence": Exchange(Evidence, "job:evidence_ack", EvidenceNoted),
    "job:done": Exchange(Done, "job:done_ack", Ended),
    "job:error": Exchange(Failed, "job:error_ack", Ended),
    "job:cancelled": Exchange(Cancelled, "job:cancelled_ack", Ended),
}

PUSHES: dict[str, type[msgspec.Struct] | None] = {
    "config": None,  # the org's settings: interlock.fleet.Config
    "job:available": JobAvailable,
    "job:new": JobGiven,
    "job:cancel": CancelRun,
    "job:resume": ResumeRun,
    "error": Refused,
}
