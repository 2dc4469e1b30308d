"""What an agent tells the server of a run: over the socket while one is open, over HTTP otherwise.

The one place that knows both. Each call is made once, and by one of the two; an error that may pass (`TryLater`) does
not tell whether the server has heard it. Whoever repeats the call may find the other way open by then, which the server
does not mind: lines have numbers, evidence its hash, and a result is known again, as long as it is the same to the byte.
A result that a frame cannot carry whole therefore goes over HTTP always.
"""

from pathlib import Path
from typing import NamedTuple, Protocol

import msgspec

from interlock import frames
from interlock.agent.book import Owed
from interlock.agent.link import Link
from interlock.agent.plane import ControlPlane
from interlock.fleet import Config
from interlock.ids import InstanceId, JobId
from interlock.wire import (
    AssetAnswer,
    EvidenceAnswer,
    Heartbeat,
    HeartbeatAnswer,
    LogLineIn,
    Progress,
    Report,
    ReportAnswer,
    RunState,
    TakenJob,
)

MOST_BYTES = 512 * 1024  # of one frame's data; the server closes a socket for frames of twice that


class _Carrier(NamedTuple):
    """A link, and a frame's data as JSON."""

    link: Link
    data: msgspec.Raw


class Lines(Protocol):
    """Who knows the open link, if there is one."""

    @property
    def link(self) -> Link | None:
        """The link that is open now."""


class Uplink:
    """Methods as of `ControlPlane`, with the same errors."""

    def __init__(self, plane: ControlPlane, lines: Lines) -> None:
        self._plane = plane
        self._lines = lines

    async def report(self, owed: Owed) -> ReportAnswer:
        """Hand over a result."""
        event, frame = _framed(owed)
        carrier = None if frame is None else self._carrier(frame)
        if carrier is None:
            return await self._plane.report(owed.job_run_id, owed.report)
        return await carrier.link.ask(event, carrier.data, ReportAnswer)

    async def heartbeat(self, instance_id: InstanceId, running: list[str]) -> HeartbeatAnswer:
        """Say that this agent lives and what it runs."""
        link = self._lines.link
        if link is None:
            return await self._plane.heartbeat(instance_id, running)
        return await link.ask("heartbeat", Heartbeat(instance_id=instance_id, running=running), HeartbeatAnswer)

    async def logs(self, job: TakenJob, lines: list[LogLineIn]) -> RunState:
        """Add lines to the run's log."""
        carrier = self._carrier(frames.Logs(job_id=job.job_id, job_run_id=job.job_run_id, lines=lines))
        if carrier is None:
            return await self._plane.logs(job.job_run_id, lines)
        return await carrier.link.ask("job:log", carrier.data, RunState)

    async def progress(self, job: TakenJob, progress: Progress) -> RunState:
        """Say how far the run is."""
        frame = frames.Progress(
            job_id=job.job_id,
            job_run_id=job.job_run_id,
            progress=progress.progress,
            message=progress.message,
            needs_user_action=progress.needs_user_action,
        )
        carrier = self._carrier(frame)
        if carrier is None:
            return await self._plane.progress(job.job_run_id, progress)
        return await carrier.link.ask("job:progress", carrier.data, RunState)

    async def evidence(self, job: TakenJob, items: list[msgspec.Raw]) -> EvidenceAnswer:
        """Hand over what was found."""
        carrier = self._carrier(frames.Evidence(job_id=job.job_id, job_run_id=job.job_run_id, evidence=items))
        if carrier is None:
            return await self._plane.evidence(job.job_run_id, items)
        return await carrier.link.ask("job:evidence", carrier.data, EvidenceAnswer)

    async def asset(self, job: TakenJob, name: str, content: Path | bytes, content_type: str) -> AssetAnswer:
        """Store a file beside the job: always over HTTP."""
        return await self._plane.asset(job.job_run_id, name, content, content_type)

    async def config(self) -> Config:
        """The organization's settings: asked for over HTTP, since a socket brings them unasked."""
        return await self._plane.config()

    def _carrier(self, frame: msgspec.Struct) -> _Carrier | None:
        """The open link and what it is to carry; None without one, or for a frame that the server might not take."""
        link = self._lines.link
        if link is None:
            return None
        data = msgspec.json.encode(frame)
        return _Carrier(link, msgspec.Raw(data)) if len(data) <= MOST_BYTES else None


def _framed(owed: Owed) -> tuple[str, msgspec.Struct | None]:
    """The result as an event and its data; None for one that no frame carries whole."""
    job_id, run_id, report = owed.job_id, owed.job_run_id, owed.report
    if job_id is None:
        return "", None
    if report == Report(status="success", duration_ms=report.duration_ms, output=report.output):
        return "job:done", frames.Done(
            job_id=job_id, job_run_id=run_id, output=report.output, duration_ms=report.duration_ms
        )
    if report.status == "failed" and report.error_message and report.error_code:
        return "job:error", _failed(job_id, owed)
    return "", None


def _failed(job_id: JobId, owed: Owed) -> frames.Failed:
    report = owed.report
    return frames.Failed(
        job_id=job_id,
        job_run_id=owed.job_run_id,
        error=report.error_message,
        error_code=report.error_code,
        retryable=report.retryable,
        output=report.output,
        duration_ms=report.duration_ms,
    )
