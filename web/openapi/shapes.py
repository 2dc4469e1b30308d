"""Shapes that handlers write by hand, as structs: for the document alone."""

from typing import Any, Literal

import msgspec

from interlock.wire import CreateJob, Job, Lenient


class Mistake(Lenient):
    """One mistake in a request: a JSON path such as `$.runAt`, or `?name` of a query parameter, and what is wrong there."""

    path: str
    message: str


class Problem(Lenient, omit_defaults=True):
    """RFC 9457. `code` is stable; `errors` lists what is not valid; `current` is the present state on a conflict."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    errors: list[Mistake] | msgspec.UnsetType = msgspec.UNSET
    current: Any = None


class CreateJobs(Lenient, forbid_unknown_fields=True):
    """`POST …/jobs/batch`: each item for itself; one that is refused does not sink the rest."""

    jobs: list[CreateJob]


class Created(Lenient):
    """An item that was accepted."""

    job: Job


class NotCreated(Lenient):
    """An item that was refused, and why."""

    error: Problem


class BatchAnswer(Lenient):
    """One result for each item, in their order."""

    results: list[Any]  # Created or NotCreated, which msgspec cannot tell apart


class S2Counts(Lenient):
    """S2's counts."""

    evidence: int
    job_logs: int


class S2Job(Job, kw_only=True):
    """A job with S2's names beside ours: `input` is `payload`, `tenantId` is `orgId`, `_count` is `counts`."""

    input: Any
    tenant_id: str
    count: S2Counts = msgspec.field(name="_count")


class S2JobPage(Lenient):
    """One page of a list, newest first."""

    items: list[S2Job]
    next_cursor: str | None


class RunInLine(Lenient):
    """A run of a host's line, without its result."""

    id: str
    job_id: str
    host_id: str | None
    attempt: int
    status: str
    created_at: str
    available_at: str | None
    started_at: str | None
    finished_at: str | None
    type: str
    seq: int
    priority: int
    held: bool
    front: bool


class AgentConnection(Lenient):
    """A parked poll or an open socket of the host's agent."""

    kind: Literal["poll", "socket"]
    instance_id: str | None


class HostQueue(Lenient):
    """One consistent snapshot of a host's line, from its actor. `pending` and `backoff` show the first 100."""

    host_id: str
    org_id: str
    epoch: int
    rev: int
    next_seq: int
    run_no: int
    instance_id: str | None
    presence: str
    health: str
    unhealthy: str | None
    awaiting_idle: bool
    paused: bool
    draining: bool
    drain_until: str | None
    poll_parked: bool
    connections: list[AgentConnection]
    lease_until: int | None
    current: RunInLine | None
    pending_count: int
    pending: list[RunInLine]
    backoff: list[RunInLine]


class HostLine(HostQueue, kw_only=True):
    """The same, with how many messages wait for the actor."""

    mailbox: int


class Alive(Lenient):
    """The process is up."""

    status: Literal["ok"]


class Ready(Lenient):
    """It can do its work. `setUp`: whether any account exists."""

    status: Literal["ready"]
    set_up: bool


class LiveRun(Lenient):
    """What a host runs."""

    job_run_id: str
    status: str


class LiveHost(Lenient, omit_defaults=True):
    """A host's actor that is alive; all but the first three are absent while it is `activating`."""

    host_id: str
    mailbox: int
    commits: int
    activating: bool = False
    epoch: int | msgspec.UnsetType = msgspec.UNSET
    presence: str | msgspec.UnsetType = msgspec.UNSET
    pending: int | msgspec.UnsetType = msgspec.UNSET
    backoff: int | msgspec.UnsetType = msgspec.UNSET
    current: LiveRun | msgspec.UnsetType | None = msgspec.UNSET
    poll_parked: bool | msgspec.UnsetType = msgspec.UNSET
    awaiting_idle: bool | msgspec.UnsetType = msgspec.UNSET
    busy_seconds: float | msgspec.UnsetType = msgspec.UNSET
    last_message_at: int | msgspec.UnsetType | None = msgspec.UNSET


class LiveOrg(Lenient):
    """An organization's supervisor, and under it the hosts that are alive."""

    org_id: str
    mailbox: int
    routed: int
    hosts: list[LiveHost]


class JournalFigures(Lenient):
    """How much waits to be written, and how much has been."""

    depth: int
    batches: int
    entries: int


class LiveActors(Lenient):
    """The tree of live actors of this process."""

    supervisors: list[LiveOrg]
    hosts: int
    parked_polls: int
    agent_sockets: int
    rebuilt: int
    failures: list[str]
    journal: JournalFigures
    loop_lag_seconds: float


class SocketFrame(Lenient, omit_defaults=True):
    """A frame of `/agent`: JSON text. An answer repeats the `id` of what it answers, a text or a number."""

    event: str
    data: Any = None
    id: str | int | float | None = None


class EventFrame(Lenient):
    """A frame of `/ws`. `seq` grows by one for each event of the organization; `at` is RFC 3339."""

    event: str
    seq: int
    at: str
    data: Any


class Gap(Lenient):
    """`data` of `gap`: events behind the number `after` are lost to this watcher; the stream goes on behind `seq`."""

    after: int
