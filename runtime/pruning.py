"""Removing what has been kept long enough: in small portions, each exported first where that is wished, in pauses.

All of it runs on one thread with a connection of its own. A portion is found by reading, written to the export and to the
disk, and only then removed, in one short transaction: whatever is interrupted is found again, and at worst exported twice.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from interlock.clock import Clock, Millis
from runtime.export_files import ExportFolder
from runtime.orphans import Orphans
from store import exports, retention
from store.retention import ENDED, PLAIN, Found
from store.transactions import transaction

DAY: Millis = 86_400_000
YOUNGEST: Millis = 3_600_000  # since a job's end, before which it is never removed: its agent may still speak of it
ENROLMENTS_KEPT: Millis = 30 * DAY  # after they have expired
SESSIONS_KEPT: Millis = DAY  # after their end

Write = Callable[[Callable[[Any], Any]], Any]


class Policy(NamedTuple):
    """What is kept for how long (ms; 0: for ever), and how gently the rest is removed."""

    jobs: Millis = 0
    jobs_per_org: int = 0  # ended and others together; 0: no limit
    audit: Millis = 0
    rows_at_once: int = 500
    pause_seconds: float = 0.1
    export_folder: Path | None = None


class Stopped(Exception):
    """The server stops: what is left comes another time."""


class Pruner:
    """One round after another. `write` runs a piece of work in a transaction of its own and returns its result."""

    def __init__(self, database: Any, policy: Policy, write: Write, clock: Clock, assets: Path) -> None:
        self.counts: Counter[str] = Counter()  # rows by table, and `file`
        self.stopping = threading.Event()
        self._database = database
        self._policy = policy
        self._write = write
        self._clock = clock
        self._orphans = Orphans(assets, clock)
        self._export = None if policy.export_folder is None else ExportFolder(policy.export_folder, clock)

    def round(self, *, all_files: bool = False) -> bool:
        """Remove all that is old, and look at a 256th of the files, or at all of them; False, and nothing is done, while
        another process prunes.
        """
        if not retention.begin_pruning(self._database):
            return False
        try:
            for job_ids, before in self._old_jobs():
                self._remove_jobs(job_ids, before)
            for table, before in self._plain():
                self._remove_plain(table, before)
            self.counts["file"] += self._orphans.sweep(self._database, whole=all_files)
        except Stopped:
            pass  # the rest is found again in the next round
        finally:
            retention.end_pruning(self._database)
        return True

    def would_remove(self) -> dict[str, int]:
        """How many rows of each table a round would remove; nothing is."""
        counted: Counter[str] = Counter()
        for job_ids, _ in self._old_jobs():
            counted["job"] += len(job_ids)
            counted.update(retention.rows_of(self._database, job_ids))
        for table, before in self._plain():
            counted[table] += retention.count_old_rows(self._database, table, before)
        counted["file"] = self._orphans.count(self._database)
        return {table: number for table, number in counted.items() if number}

    # ---- jobs ------------------------------------------------------------------------------------------------------

    def _old_jobs(self) -> Iterator[tuple[list[str], Millis]]:
        """Ids of ended jobs, some at a time, and the instant before which they must have ended."""
        for org_id in retention.all_org_ids(self._database):
            for below, before in self._bounds(org_id):
                for status in ENDED:
                    after: str | None = ""
                    while after is not None:
                        found = retention.ended_jobs(self._database, org_id, status, before, below, after)
                        if found.ids:
                            yield found.ids, before
                        after = found.after

    def _bounds(self, org_id: str) -> Iterator[tuple[str, Millis]]:
        """By age and by number: jobs with ids below, ended before."""
        now, policy = self._clock.now(), self._policy
        if policy.jobs:
            before = now - max(policy.jobs, YOUNGEST)
            yield retention.born_before(before), before
        if policy.jobs_per_org:
            kept = retention.newest_jobs_end_at(self._database, org_id, policy.jobs_per_org)
            if kept is not None:
                yield kept, now - YOUNGEST

    def _remove_jobs(self, job_ids: Sequence[str], before: Millis) -> None:
        whole = False
        while not whole:
            found, whole = retention.portion(self._database, job_ids, self._policy.rows_at_once)
            self._keep(found)
            gone = self._write(partial(retention.remove_jobs, job_ids=job_ids, found=found, before=before))
            self.counts.update(gone)
            self._breathe()
            if not any(gone.values()):
                return  # somebody tries them afresh, or holds them

    # ---- the rest --------------------------------------------------------------------------------------------------

    def _plain(self) -> list[tuple[str, Millis]]:
        """The other tables, and what is old in them."""
        now = self._clock.now()
        old = [("browser_session", now - SESSIONS_KEPT), ("socket_ticket", now), ("enrolment", now - ENROLMENTS_KEPT)]
        return [*old, ("audit_event", now - self._policy.audit)] if self._policy.audit else old

    def _remove_plain(self, table: str, before: Millis) -> None:
        while keys := retention.old_rows(self._database, table, before, self._policy.rows_at_once):
            self._keep({table: keys})
            gone = self._write(partial(retention.remove_rows, table=table, keys=keys, before=before))
            self.counts[table] += gone
            self._breathe()
            if not gone:
                return

    def _keep(self, found: Found) -> None:
        """On the disk before it is removed, if that is wished. Sessions, tickets and enrolments are secrets' leavings."""
        if self._export is None:
            return
        for table, keys in found.items():
            if keys and (table not in PLAIN or table == "audit_event"):
                self._export.write(exports.records(self._database, table, keys))
        self._export.flush()

    def _breathe(self) -> None:
        if self.stopping.wait(self._policy.pause_seconds) if self._policy.pause_seconds else self.stopping.is_set():
            raise Stopped


def writes_in(database: Any, begin: tuple[str, ...]) -> Write:
    """Work in transactions on this thread's own connection."""

    def write(work: Callable[[Any], Any]) -> Any:
        with transaction(database, begin):
            return work(database)

    return write
