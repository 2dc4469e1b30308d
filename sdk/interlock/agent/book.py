"""What the journal knows, as a fold over its entries: pure, so that disk and memory cannot disagree.

A run is *started* (it may have begun to act), *finished* (its result is known) and *acknowledged* (the server has
answered the result). The highest `runNo` ever started is the agent's fence against anything handed out again.
"""

from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple, TypeAlias

import msgspec

from interlock.agent.identity import ProcessIdentity
from interlock.ids import HostId, JobId, JobRunId
from interlock.wire import Report


class _Entry(msgspec.Struct, frozen=True, kw_only=True, rename="camel", tag_field="event"):
    """One line of the journal."""


class Opened(_Entry, frozen=True, tag="opened"):
    """The first line: whose journal this is, and the last run that it saw."""

    host_id: HostId
    last_run_no: int = 0
    last_job_run_id: JobRunId | None = None


class Started(_Entry, frozen=True, tag="started"):
    """Written before the run may act."""

    run_no: int
    job_run_id: JobRunId
    job_id: JobId
    type: str


class Spawned(_Entry, frozen=True, tag="spawned"):
    """Written before the command is let through its gate."""

    job_run_id: JobRunId
    process: ProcessIdentity


class Finished(_Entry, frozen=True, tag="finished"):
    """Written before the result is reported."""

    job_run_id: JobRunId
    report: Report


class Acknowledged(_Entry, frozen=True, tag="acknowledged"):
    """Written after the server's answer."""

    job_run_id: JobRunId


Entry: TypeAlias = Opened | Started | Spawned | Finished | Acknowledged


class RunRecord(msgspec.Struct):
    """One run as the journal knows it; `report` is None until it has finished."""

    job_run_id: JobRunId
    started: Started | None = None  # None for a run that was cancelled before it came here
    process: ProcessIdentity | None = None
    report: Report | None = None
    acknowledged: bool = False


class Owed(NamedTuple):
    """A result that the server has yet to answer."""

    job_run_id: JobRunId
    job_id: JobId | None  # None for a run that was cancelled before it came here
    report: Report


class Admission(StrEnum):
    """What to do with a run that the server hands out."""

    NEW = "new"
    FINISHED = "finished"  # its result is known: report that again
    RUNNING = "running"  # it is at work already
    LOWER = "lower"  # its number is below one that has been seen
    TWIN = "twin"  # its number belongs to another run


class Book:
    """The state that the entries add up to; of acknowledged runs the last `kept` are remembered."""

    def __init__(self, host_id: HostId, *, kept: int) -> None:
        self.host_id = host_id
        self.last_run_no = 0
        self.last_job_run_id: JobRunId | None = None
        self._kept = kept
        self._runs: dict[JobRunId, RunRecord] = {}

    def apply(self, entry: Entry) -> None:
        """Take `entry` in. Every entry may come twice."""
        match entry:
            case Opened():
                self.last_run_no, self.last_job_run_id = entry.last_run_no, entry.last_job_run_id
            case Started():
                self._record(entry.job_run_id).started = entry
                if entry.run_no > self.last_run_no:
                    self.last_run_no, self.last_job_run_id = entry.run_no, entry.job_run_id
            case Spawned():
                self._record(entry.job_run_id).process = entry.process
            case Finished():
                self._record(entry.job_run_id).report = entry.report
            case Acknowledged():
                self._acknowledge(entry.job_run_id)

    def admit(self, run_no: int, job_run_id: JobRunId) -> Admission:
        """Whether a run that was handed out may start here."""
        known = self._runs.get(job_run_id)
        if known is not None:
            return Admission.RUNNING if known.report is None else Admission.FINISHED
        if run_no < self.last_run_no:
            return Admission.LOWER
        return Admission.TWIN if run_no == self.last_run_no else Admission.NEW

    def knows(self, job_run_id: JobRunId) -> bool:
        """Whether this run has been here, as far as is remembered."""
        return job_run_id in self._runs

    def unfinished(self) -> list[RunRecord]:
        """Runs without a result: the one at work, or after a restart the one that was interrupted."""
        return [run for run in self._runs.values() if run.report is None]

    def unreported(self) -> list[Owed]:
        """Results that the server has not answered, oldest first."""
        return [
            Owed(run.job_run_id, None if run.started is None else run.started.job_id, run.report)
            for run in self._runs.values()
            if run.report is not None and not run.acknowledged
        ]

    def report_again(self, job_run_id: JobRunId) -> None:
        """The server asks for a result that it had answered. In memory only: it would ask again."""
        self._runs[job_run_id].acknowledged = False

    def forget_half(self) -> bool:
        """Let go of the older half of what the server has answered; False when there is nothing to let go."""
        done = self._answered()
        for forgotten in done[: (len(done) + 1) // 2]:
            del self._runs[forgotten]
        return bool(done)

    def entries(self) -> Iterator[Entry]:
        """The shortest list of entries that adds up to this state."""
        yield Opened(host_id=self.host_id, last_run_no=self.last_run_no, last_job_run_id=self.last_job_run_id)
        for run in self._runs.values():
            if run.started is not None:
                yield run.started
            if run.process is not None:
                yield Spawned(job_run_id=run.job_run_id, process=run.process)
            if run.report is not None:
                yield Finished(job_run_id=run.job_run_id, report=run.report)
            if run.acknowledged:
                yield Acknowledged(job_run_id=run.job_run_id)

    def _record(self, job_run_id: JobRunId) -> RunRecord:
        return self._runs.setdefault(job_run_id, RunRecord(job_run_id))

    def _acknowledge(self, job_run_id: JobRunId) -> None:
        """Move the run to the end, so that the order of the rest is that of their acknowledgement; forget the oldest."""
        run = self._runs.pop(job_run_id, None)
        if run is None:
            return
        run.acknowledged = True
        self._runs[job_run_id] = run
        for forgotten in self._answered()[: -self._kept]:
            del self._runs[forgotten]

    def _answered(self) -> list[JobRunId]:
        return [known.job_run_id for known in self._runs.values() if known.acknowledged]
