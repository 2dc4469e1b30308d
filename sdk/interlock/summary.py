"""What goes over the wire about an organization at a glance: the first thing that its dashboard shows."""

from typing import Literal, get_args

from interlock.wire import Lenient

Doing = Literal[
    "running", "offered", "idle", "draining", "paused", "unhealthy", "unreachable", "offline", "never_connected"
]
DOINGS: tuple[Doing, ...] = get_args(Doing)


class JobCounts(Lenient):
    """Jobs by status: all that are open, and of the ended those created since `since`. No count goes beyond `countedTo`."""

    pending: int
    running: int
    waiting_for_user: int
    completed: int
    failed: int
    cancelled: int


class Rates(Lenient):
    """Events in each of the last minutes, oldest first, the last of them not over yet, as this server has seen them since
    `countedSince`; servers of a cluster count each for itself. `retried`: attempts that will be followed by another.
    """

    begins_at: str
    minute_seconds: int
    counted_since: str
    created: list[int]
    completed: list[int]
    failed: list[int]
    cancelled: list[int]
    retried: list[int]


class HostGlance(Lenient):
    """A host, and in one word what it does now."""

    id: str
    name: str
    doing: Doing


class Summary(Lenient):
    """`GET /api/orgs/{orgId}/summary`: give or take a few seconds. `hostCounts` has all hosts by what they do, `hosts` the
    first 1,000, oldest first, and `troubled` up to 20 that take no jobs, the gravest first.
    """

    at: str
    since: str
    counted_to: int
    jobs: JobCounts
    rates: Rates
    host_counts: dict[str, int]
    hosts: list[HostGlance]
    troubled: list[HostGlance]
