"""Jobs, their runs and their logs for a person."""

from collections.abc import Sequence

from interlock.cli.exits import printable
from interlock.cli.tables import Table, age, coloured, in_json
from interlock.clock import SystemClock
from interlock.wire import Job, JobRun, LogLine


def jobs_table(jobs: Sequence[Job]) -> list[Table]:
    """A line for each job."""
    now = SystemClock().now()
    rows = [(job.id, job.type, job.status, _tries(job), age(job.created_at, now), _note(job)) for job in jobs]
    return [Table(("ID", "TYPE", "STATUS", "TRY", "AGE", "NOTE"), rows, spare=("TRY",))]


def job_tables(job: Job) -> list[Table]:
    """A job's fields that say something, then a line for each of its runs."""
    fields = Table(("FIELD", "VALUE"), [field for field in _fields(job) if field[1]], whole=True)
    if not job.job_runs:
        return [fields]
    headers = ("TRY", "RUN", "STATUS", "TOOK", "MESSAGE")
    return [fields, Table(headers, [_run_row(run) for run in job.job_runs], whole=True)]


def log_line(line: LogLine, *, colour: bool, times: bool) -> str:
    """A line of a job's log: its time if asked for, its level unless that is `info`, and its text."""
    level = printable(line.level)
    parts = [line.created_at] if times else []
    parts += [coloured(level, colour)] if level != "info" else []
    return " ".join([*parts, printable(line.message, keep="\t")])


def waits(job: Job) -> str:
    """Why a job is not running, in words; nothing when it does not wait."""
    if job.wait is None:
        return ""
    position = f" (number {job.wait.position})" if job.wait.position else ""
    until = f", until {job.wait.until}" if job.wait.until else ""
    return f"{job.wait.detail or job.wait.reason}{position}{until}"


def _fields(job: Job) -> list[tuple[str, ...]]:
    who = job.created_by.email if job.created_by else job.created_by_id
    return [
        ("job", job.id),
        ("type", job.type),
        ("status", job.status),
        ("progress", f"{job.progress} %" if job.progress and not job.completed_at else ""),
        ("try", _tries(job)),
        ("host", job.host_id or "any"),
        ("instance", job.server_instance_id or ""),
        ("created", f"{job.created_at} by {who}" if who else job.created_at),
        ("run at", job.run_at or ""),
        ("ended", job.completed_at or ""),
        ("payload", in_json(job.payload)),
        ("output", in_json(job.output)),
        ("error", ": ".join(each for each in (job.error_code, job.error_message) if each)),
        ("waits", waits(job)),
        ("note", _remark(job)),
    ]


def _remark(job: Job) -> str:
    if job.needs_user_action:
        return f"waits for a person: `interlock jobs resolve {job.id}` once that is done"
    return "a cancel has been requested" if job.cancel_requested and not job.completed_at else ""


def _run_row(run: JobRun) -> tuple[str, ...]:
    took = "" if run.result.duration_ms is None else f"{run.result.duration_ms / 1000:.1f}s"
    message = run.result.error_message or in_json(run.result.output)
    return (str(run.attempt), run.id, run.status, took, message)


def _tries(job: Job) -> str:
    return f"{job.attempts}/{job.max_attempts}"


def _note(job: Job) -> str:
    if job.status == "RUNNING":
        running = [f"{job.progress} %"] if job.progress else []
        running += ["cancel requested"] if job.cancel_requested else []
        running += ["waits for a person"] if job.needs_user_action else []
        return ", ".join(running)
    return job.error_message or waits(job)
