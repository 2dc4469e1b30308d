"""What the two drivers of `bench overload` are asked to do, and what they bring back: JSON between processes."""

from collections.abc import Mapping, Sequence

import msgspec

from benches.plan import FleetHost

DEADLINE_SECONDS = 2.0  # from the moment at which a create was due: an answer that comes later is of no use
DRAIN_SECONDS = 3.0  # behind a storm, for jobs that it has left; what they cost counts too


class Storm(msgspec.Struct, frozen=True, kw_only=True):
    """One side of a storm. Both sides begin at the same instant of the machine's monotonic clock."""

    side: str  # a name in `overload_sides.SIDES`
    port: int
    org: str
    token: str  # a user's
    hosts: Sequence[FleetHost]
    begins_at: float  # seconds
    seconds: float
    rate: float  # creates that fall due in a second
    links: int  # connections of users


class Users(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the creates."""

    due: int
    created: Mapping[str, float]  # ms from the moment at which the create was due, by the job's id
    refused: Mapping[str, int]  # by status
    refused_ms: Sequence[float]
    without_wait: int  # refusals that did not say when to try again
    unsent: int  # no connection was free before the deadline
    broken: int  # the connection was lost
    driver_cpu_seconds: float


class Agents(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the jobs."""

    ended: Sequence[str]  # ids, in the order in which the results were acknowledged, the drain's at the end
    in_storm: int  # so many of them before the storm was over
    turned_away: int  # polls and results that were refused, and sent again
    report_ms: Sequence[float]
    driver_cpu_seconds: float
