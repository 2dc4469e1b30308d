"""Rows as the documents that users, agents and dashboards see."""

from collections.abc import Iterable

import msgspec

from interlock.clock import seconds
from interlock.wire import Counts, Job, JobEvent, JobRun, LateReport, RunResult, TakenJob, UserRef, Wait, when
from store.labels import pairs_of
from store.rows import JobRow, RunRow

encode = msgspec.json.Encoder().encode
_NOBODY = Counts()


def raw(text: str | None) -> msgspec.Raw | None:
    """JSON text as it stands, without reading it again."""
    return None if text is None else msgspec.Raw(text.encode())


def run_document(run: RunRow) -> JobRun:
    """One attempt as users see it."""
    return JobRun(
        id=run.id,
        job_id=run.job_id,
        host_id=run.host_id,
        attempt=run.attempt,
        status=run.status,
        created_at=when(run.created_at) or "",
        available_at=when(run.available_at),
        offered_at=when(run.offered_at),
        started_at=when(run.started_at),
        finished_at=when(run.finished_at),
        result=RunResult(
            duration_ms=run.duration_ms,
            error_message=run.error_message,
            error_code=run.error_code,
            output=raw(run.output),
        ),
    )


def job_document(
    job: JobRow,
    runs: Iterable[RunRow],
    *,
    wait: Wait | None,
    creator: UserRef | None,
    counts: Counts = _NOBODY,
    late_reports: list[LateReport] | None = None,
) -> Job:
    """A job as users see it."""
    runs = list(runs)
    return Job(
        id=job.id,
        org_id=job.org_id,
        type=job.type,
        status=job.status,
        progress=job.progress,
        payload=raw(job.payload_shown or job.payload),
        output=raw(job.output),
        error_code=job.error_code,
        error_message=job.error_message,
        needs_user_action=job.needs_user_action,
        cancel_requested=job.cancel_requested or any(run.asked_to_stop for run in runs[-1:]),
        late_reports=late_reports or [],
        server_instance_id=job.server_instance_id,
        host_id=job.host_id,
        labels=None if job.labels is None else dict(sorted(pairs_of(job.labels))),
        assigned_agent_id=job.assigned_agent_id,
        created_by_id=job.created_by_id,
        created_by=creator,
        created_at=when(job.created_at) or "",
        run_at=when(job.run_at),
        started_at=when(job.started_at),
        completed_at=when(job.completed_at),
        attempts=job.attempts,
        max_attempts=job.max_attempts,
        priority=job.priority,
        timeout_seconds=seconds(job.timeout_ms),
        start_before=when(job.start_before),
        wait=wait,
        counts=counts,
        job_runs=[run_document(run) for run in runs],
    )


def taken_document(job: JobRow, run: RunRow) -> TakenJob:
    """The job as its agent gets it: the only document with the whole payload."""
    traceparent, _, tracestate = (job.trace or "").partition(" ")
    return TakenJob(
        job_id=job.id,
        job_run_id=run.id,
        run_no=run.run_no or 0,
        type=job.type,
        payload=raw(job.payload),
        attempt=run.attempt,
        timeout_seconds=seconds(job.timeout_ms),
        traceparent=traceparent or None,
        tracestate=tracestate or None,
    )


def job_event(job: JobRow, run: RunRow, *, will_retry: bool = False) -> JobEvent:
    """The data of a job's events on dashboards."""
    return JobEvent(
        job_id=job.id,
        job_run_id=run.id,
        type=job.type,
        host_id=run.host_id,
        status=run.status,
        job_status=job.status,
        attempt=run.attempt,
        will_retry=will_retry,
        duration_ms=run.duration_ms,
        error_message=run.error_message,
        error_code=run.error_code,
    )


def started_event(job: JobRow, run: RunRow) -> JobEvent:
    """The same of a run that has just started, with how long it could have been taken before."""
    event = job_event(job, run)
    event.waited_ms = max((run.started_at or 0) - (run.available_at or run.created_at), 0)
    return event
