"""What goes over the wire about the server itself: its hosts' lines, its live actors, whether it is up and ready."""

from typing import Literal

import msgspec

from interlock.wire import Lenient


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
