"""Shapes that handlers write by hand, as structs: for the document alone."""

from typing import Any

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
