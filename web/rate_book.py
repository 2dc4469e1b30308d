"""How many jobs are made and end in each minute, counted from what this process tells dashboards: no row is read for it."""

from collections import Counter
from typing import Literal

import msgspec

from interlock.clock import Clock, Millis, rfc3339
from interlock.states import JobStatus
from interlock.summary import Rates
from interlock.wire import JobEvent

MINUTES = 60  # that are kept
MINUTE: Millis = 60_000

_Kind = Literal["created", "completed", "failed", "cancelled", "retried"]
_ENDED: dict[str, _Kind] = {
    JobStatus.COMPLETED: "completed",
    JobStatus.FAILED: "failed",
    JobStatus.CANCELLED: "cancelled",
}


class RateBook:
    """The last hour of every org in which something has happened. On the loop only."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._since = clock.now()
        self._newest = 0  # the minute that was counted in last
        self._orgs: dict[str, dict[int, Counter[_Kind]]] = {}
        self._running: dict[str, Counter[_Kind]] = {}  # of each org, the minute that was counted in last

    def count(self, org_id: str, event: str, data: msgspec.Struct) -> None:
        """Listen to the event stream."""
        kind = _kind(event, data)
        if kind is None:
            return
        minute = self._clock.now() // MINUTE
        if minute != self._newest:
            self._turn(minute)
        counted = self._running.get(org_id)
        if counted is None:
            counted = self._running[org_id] = self._orgs.setdefault(org_id, {}).setdefault(minute, Counter())
        counted[kind] += 1

    def of(self, org_id: str) -> Rates:
        """The org's last hour; the minute that goes on is its last."""
        last = self._clock.now() // MINUTE
        minutes = range(last - MINUTES + 1, last + 1)
        known = self._orgs.get(org_id, {})
        rows = [known.get(minute, Counter()) for minute in minutes]
        return Rates(
            begins_at=rfc3339(minutes[0] * MINUTE),
            minute_seconds=MINUTE // 1000,
            counted_since=rfc3339(self._since),
            created=[row["created"] for row in rows],
            completed=[row["completed"] for row in rows],
            failed=[row["failed"] for row in rows],
            cancelled=[row["cancelled"] for row in rows],
            retried=[row["retried"] for row in rows],
        )

    def _turn(self, minute: int) -> None:
        """Forget what is older than is kept, and orgs of which nothing is left."""
        self._newest, self._running = minute, {}
        for org_id, rows in list(self._orgs.items()):
            kept = {at: row for at, row in rows.items() if at > minute - MINUTES}
            if kept:
                self._orgs[org_id] = kept
            else:
                del self._orgs[org_id]


def _kind(event: str, data: msgspec.Struct) -> _Kind | None:
    if event == "job.created":
        return "created"
    if event == "job_run.done" and isinstance(data, JobEvent):
        return "retried" if data.will_retry else _ENDED.get(data.job_status)
    return None
