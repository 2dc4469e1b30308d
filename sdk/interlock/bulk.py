"""What goes over the wire about many jobs at once."""

from typing import Literal

from interlock.wire import Lenient, Strict


class BulkFilter(Strict):
    """Which jobs a bulk operation is for, as in lists; what is absent narrows nothing."""

    status: str | None = None
    type: str | None = None
    host_id: str | None = None
    created_by: str | None = None
    since: str | None = None
    q: str | None = None


class BulkJobs(Strict):
    """`POST …/jobs/bulk`: one of `ids` and `filter`. A large filter is worked off part by part, by `cursor`."""

    op: Literal["cancel", "retry"]
    ids: list[str] | None = None
    filter: BulkFilter | None = None
    dry_run: bool = False
    force: bool = False
    reason: str | None = None
    cursor: str | None = None


class BulkResult(Lenient):
    """What a bulk operation came to.

    `matched` jobs were in a state for it, of which `done` are now as wanted, the agents of `asked` are being asked, and
    `failed` may be tried again; `skipped` were named, and are not there or not in a state for it. `next_cursor`: there
    are more.
    """

    op: str
    dry_run: bool
    matched: int = 0
    done: int = 0
    asked: int = 0
    skipped: int = 0
    failed: int = 0
    next_cursor: str | None = None
