"""What host actors and the supervisor of their org say to each other about jobs that wait in the org's pool."""

from collections.abc import Collection

from actors.messages import Message
from store.pool import Waiting

# ---- to the supervisor -------------------------------------------------------------------------------------------------


class HostIdle(Message, frozen=True, kw_only=True):
    """A host has nothing of its own to do and somebody listens. No reply: it hears of what waits, now and later.

    `polls`: its parked poll may be given a job; with `asks` that poll does not wait, so it is told if there is none.
    `listens`: its socket may be told of jobs, which it then may ack. `refused` are jobs that its agent does not want.
    """

    host_id: str
    labels: str
    polls: bool
    asks: bool
    listens: bool
    refused: Collection[str]


class HostBusy(Message, frozen=True, kw_only=True):
    """It is not idle any more. With `unsure` its actor has ended: what was kept for it is free, or taken. No reply."""

    host_id: str
    unsure: bool = False


class PoolNotes(Message, frozen=True, kw_only=True):
    """Jobs that the host has taken, that it did not find waiting any more, and that were kept for it although it does
    not take them. No reply.
    """

    host_id: str
    taken: tuple[str, ...] = ()
    missed: tuple[str, ...] = ()
    free: tuple[str, ...] = ()


class PoolDue(Message, frozen=True, kw_only=True):
    """An alarm rang, or the sweep found a row: look whether anything in the pool is due. No reply; twice does no harm."""


class PoolNews(Message, frozen=True, kw_only=True):
    """Another node may have written to the pool: read it again, if anybody here is idle. No reply."""


class PoolTick(Message, frozen=True, kw_only=True):
    """Every few seconds. No reply."""


# ---- to the host -------------------------------------------------------------------------------------------------------


class PoolJob(Message, frozen=True, kw_only=True):
    """This job is kept for the host: take it out of the pool for the parked poll. No reply."""

    job_id: str


class PoolEmpty(Message, frozen=True, kw_only=True):
    """Nothing waits that the host could take: a poll that does not wait is answered. No reply."""


class PoolHints(Message, frozen=True, kw_only=True):
    """These jobs wait, and the first to ack one gets it. No reply."""

    jobs: tuple[Waiting, ...]
