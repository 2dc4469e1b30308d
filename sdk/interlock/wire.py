"""What goes over the wire: one struct per message, camelCase, JSON.

Requests from users refuse unknown fields; requests from agents ignore them, since agents may be newer. Times are
RFC 3339 UTC text, spans carry their unit in the name. `payload` and `output` are any JSON object.
"""

from typing import Any, Literal

import msgspec

from interlock.clock import Millis, rfc3339

Json = dict[str, Any]


def when(at: Millis | None) -> str | None:
    """The instant as RFC 3339 text; nothing stays nothing."""
    return None if at is None else rfc3339(at)


class Strict(msgspec.Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """A request from a user: a field that we do not know is a mistake."""


class Lenient(msgspec.Struct, rename="camel", kw_only=True):
    """A request from an agent, or any answer: unknown fields are passed over."""


Name = msgspec.Meta(min_length=1, max_length=200)


# ---- jobs, for users -------------------------------------------------------------------------------------------


class CreateJob(Strict):
    """`POST /api/orgs/{orgId}/jobs`. At most one target: `serverInstanceId`, `hostId` or `labels`."""

    type: str
    server_instance_id: str | None = None
    host_id: str | None = None
    labels: dict[str, str] | None = None
    payload: Json | None = None
    input: Json | None = None  # S2's name of payload
    run_at: str | None = None
    start_before: str | None = None
    timeout_seconds: float | None = None
    max_attempts: int | None = None
    priority: int = 0


class CancelJob(Strict):
    """`POST …/cancel`; `force` does not wait for the agent."""

    reason: str | None = None
    force: bool = False


class Nothing(Strict):
    """A request whose path says it all."""


class RunResult(Lenient):
    """What an attempt came to."""

    duration_ms: int | None = None
    error_message: str | None = None
    error_code: str | None = None
    output: Any = None


class JobRun(Lenient):
    """One attempt. `offered_at`: when it was pushed to its agent's socket; None for what a poll has taken."""

    id: str
    job_id: str
    host_id: str | None
    attempt: int
    status: str
    created_at: str
    available_at: str | None
    started_at: str | None
    finished_at: str | None
    result: RunResult
    offered_at: str | None = None  # older servers do not say it


class Wait(msgspec.Struct, rename="camel"):
    """Why a job is not running, where it stands (1 is next) and until when."""

    reason: str
    position: int | None = None
    detail: str = ""
    until: str | None = None


class UserRef(Lenient):
    """Who created it."""

    id: str
    name: str
    email: str


class LateReport(Lenient):
    """A report that came after its run had ended; kept as it came."""

    id: str
    job_run_id: str
    received_at: str
    body: Any


class Counts(Lenient):
    """How much hangs on a job."""

    logs: int = 0
    evidence: int = 0


class Job(Lenient, kw_only=True):
    """A job as users see it. `wait` is null unless the job is waiting."""

    id: str
    org_id: str
    type: str
    status: str
    progress: int
    payload: Any
    output: Any
    error_code: str | None
    error_message: str | None
    needs_user_action: bool
    cancel_requested: bool
    late_reports: list[LateReport]
    server_instance_id: str | None
    host_id: str | None
    labels: dict[str, str] | None = None  # of a pool job: what its host must carry; {} is any host
    assigned_agent_id: str | None
    created_by_id: str | None
    created_by: UserRef | None
    created_at: str
    run_at: str | None
    started_at: str | None
    completed_at: str | None
    attempts: int
    max_attempts: int
    priority: int
    timeout_seconds: float | None
    start_before: str | None
    wait: Wait | None
    counts: Counts
    job_runs: list[JobRun]


class JobPage(Lenient):
    """One page of a list, newest first."""

    items: list[Job]
    next_cursor: str | None


class LogLine(Lenient):
    """One line of a job's log; `seq` counts the lines of the job, over its runs, in the order in which they were stored."""

    seq: int
    job_run_id: str
    level: str
    message: str
    progress: int | None
    created_at: str


class LogPage(Lenient):
    """Log lines in order; pass the last line's cursor as `after` to read on."""

    items: list[LogLine]
    next_cursor: str | None


class Evidence(Lenient):
    """An item of evidence as users see it. `snippet` is text; `hash` is the SHA-256 of its canonical content."""

    id: str
    job_id: str
    job_run_id: str
    type: str
    title: str
    source: str
    url: str | None
    snippet: str
    confidence: str
    collected_at: str
    hash: str
    size_bytes: int
    created_at: str


class EvidencePage(Lenient):
    """Evidence of a job, oldest first."""

    items: list[Evidence]
    next_cursor: str | None


# ---- agents over HTTP ------------------------------------------------------------------------------------------

ReportStatus = Literal["success", "failed", "cancelled", "rejected"]


class TakenJob(Lenient, omit_defaults=True):
    """The answer to a poll: the host's next job. `run_no` rises per host; an agent refuses a lower one. `traceparent` and
    `tracestate` are those of the request that created it (W3C Trace Context), if it brought any.
    """

    job_id: str
    job_run_id: str
    run_no: int
    type: str
    payload: Any
    attempt: int
    timeout_seconds: float
    traceparent: str | None = None
    tracestate: str | None = None


class Report(Lenient):
    """`POST …/jobs/{jobRunId}/result`; a fraction of a millisecond is rounded."""

    status: ReportStatus
    duration_ms: float | None = None
    error_message: str | None = None
    error_code: str | None = None
    output: Any = None
    retryable: bool | None = True


class ReportAnswer(Lenient, omit_defaults=True):
    """How the report was taken; `next` only when `?next=1` found one."""

    status: str
    job_status: str
    will_retry: bool
    replayed: bool
    next: TakenJob | None = None


class Progress(Lenient):
    """`POST …/progress`: 0–100; a fraction is rounded down."""

    progress: float
    message: str | None = None
    needs_user_action: bool | None = None


class LogLineIn(Lenient):
    """One line; `seq` counts from 0 or 1 within the run and makes sending it again harmless."""

    seq: int
    message: str
    level: str = "info"
    at: str | None = None


class Logs(Lenient):
    """`POST …/logs`."""

    lines: list[LogLineIn]


class RunState(Lenient, omit_defaults=True, kw_only=True):
    """The answer to progress, logs and evidence: a cancel travels on it. `needs_user_action` is there only while the run
    waits for its user: without it, it goes on.
    """

    status: str
    cancel_requested: bool
    needs_user_action: bool = False


class EvidenceItem(Lenient):
    """What an agent has found (S2's shape). `snippet` is text or any other JSON value; `collectedAt` is RFC 3339.

    A `hash` of the agent's own is passed over: the server makes one of the content.
    """

    type: str
    title: str
    source: str
    snippet: Any
    confidence: Literal["high", "medium", "low"]
    url: str | None = None
    collected_at: str | None = None


class EvidenceIn(Lenient):
    """`POST …/evidence` and `job:evidence`: the items are looked at one by one, so that a bad one sinks no other."""

    evidence: list[msgspec.Raw]


EvidenceVerdictName = Literal["created", "duplicate", "rejected"]


class EvidenceVerdict(Lenient, omit_defaults=True):
    """What became of one item; `id` of the stored one, which a duplicate shares with the first; `message` says why not."""

    verdict: EvidenceVerdictName
    id: str | None = None
    message: str | None = None


class EvidenceAnswer(RunState, kw_only=True):
    """The answer to evidence: the run's state, counts, and a verdict for each item in the order of the request."""

    created: int
    duplicates: int
    rejected: int
    items: list[EvidenceVerdict]


class LogAnswer(RunState, kw_only=True):
    """The answer to log lines. `next_seq` is the least number that is not stored yet, behind which nothing is missing:
    0 while nothing is. `truncated`: the log is full, and what is sent of this run is no longer stored.
    """

    next_seq: int
    truncated: bool = False


class Asset(Lenient):
    """A file that an agent has kept of a run, as users see it. The bytes are at `…/assets/{id}`."""

    id: str
    job_id: str
    job_run_id: str
    name: str
    content_type: str
    size_bytes: int
    sha256: str
    created_at: str


class AssetPage(Lenient):
    """Files of a job, oldest first."""

    items: list[Asset]
    next_cursor: str | None


class AssetRef(Lenient):
    """A file as the agent that has just sent it sees it."""

    id: str
    name: str
    size_bytes: int
    sha256: str


class AssetAnswer(RunState, kw_only=True):
    """The answer to `PUT …/assets/{name}`."""

    asset: AssetRef


class Heartbeat(Lenient):
    """`POST …/heartbeat`: `running` absent says nothing about what runs."""

    instance_id: str | None = None
    running: list[str] | None = None


Verdict = Literal["continue", "cancel", "abandon"]


class RunVerdict(Lenient, omit_defaults=True):
    """What to do with a run that the agent named; `needs_user_action` as in `RunState`."""

    job_run_id: str
    verdict: Verdict
    needs_user_action: bool = False


class Intervals(Lenient):
    """How often the server would like to hear, in seconds."""

    heartbeat_seconds: float
    lease_seconds: float
    poll_wait_seconds: float


class HeartbeatAnswer(Lenient):
    """The server's time and a verdict for each named run."""

    server_time: str
    runs: list[RunVerdict]
    intervals: Intervals


# ---- dashboards ------------------------------------------------------------------------------------------------


class JobEvent(Lenient, omit_defaults=True):
    """`data` of `job.created`, `job_run.started`, `job_run.done`, `job.updated`, `job.cancelled`. `waitedMs`, on
    `job_run.started` alone: from when the run could be taken until it was.
    """

    job_id: str
    job_run_id: str
    type: str
    host_id: str | None
    status: str
    job_status: str
    attempt: int
    will_retry: bool
    duration_ms: int | None = None
    error_message: str | None = None
    error_code: str | None = None
    progress: int | None = None
    needs_user_action: bool | None = None
    waited_ms: int | None = None


class HostEvent(Lenient, omit_defaults=True):
    """`data` of `host.online`, `host.offline`, `host.updated`; `deleted` is there when the host is no more."""

    host_id: str
    presence: str
    health: str
    awaiting_idle: bool
    deleted: bool = False


class OrgEvent(Lenient, omit_defaults=True):
    """`data` of `org.changed`: that something of the organization's was made, changed or deleted, not what it says.

    `what` is `type`, `settings`, `member`, `instance`, `host` (a new one), `key`, `enrolment` or `org` (its name). `id` is the
    type's name, the user's id or the like; of keys and enrolments, which not everybody may see, it is left out. `version` is
    there where there is one, `deleted` when it is no more.
    """

    what: str
    id: str | None = None
    version: int | None = None
    deleted: bool = False


class LogEvent(Lenient):
    """`data` of `job.log`: that there are lines, not the lines."""

    job_id: str
    job_run_id: str
    lines: int


class EvidenceEvent(Lenient):
    """`data` of `evidence.added`: that there is more, not what: items of evidence, or files."""

    job_id: str
    job_run_id: str
    created: int
    assets: int = 0
