"""Jobs as tables: aligned text anywhere, coloured by rich on a terminal (which honours NO_COLOR and TERM=dumb)."""

from collections.abc import Sequence
from typing import NamedTuple

import click
import msgspec

from interlock.cli.exits import printable
from interlock.clock import SystemClock, parse_rfc3339
from interlock.wire import Job, JobRun

_COLOURS = {
    "PENDING": "yellow",
    "RUNNING": "cyan",
    "COMPLETED": "green",
    "FAILED": "red",
    "CANCELLED": "magenta",
    "scheduled": "yellow",
    "pending": "yellow",
    "success": "green",
    "cancelled": "magenta",
    "failed": "red",
    "rejected": "red",
    "timed_out": "red",
    "lost": "red",
    "expired": "red",
}
_SPANS = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))


class Table(NamedTuple):
    """Text in rows and columns. On a narrow terminal the last column gives way: it is cut, or folded when `whole`."""

    headers: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    whole: bool = False


def print_jobs(jobs: list[Job], *, rich: bool) -> None:
    """A line for each job."""
    now = SystemClock().now()
    rows = [(job.id, job.type, job.status, _tries(job), _age(job.created_at, now), _note(job)) for job in jobs]
    _print(Table(("ID", "TYPE", "STATUS", "TRY", "AGE", "NOTE"), rows), rich=rich)


def print_job(job: Job, *, rich: bool) -> None:
    """A job's fields that say something, then a line for each of its runs."""
    _print(Table(("FIELD", "VALUE"), [field for field in _fields(job) if field[1]], whole=True), rich=rich)
    if job.job_runs:
        click.echo()
        headers = ("TRY", "RUN", "STATUS", "TOOK", "MESSAGE")
        _print(Table(headers, [_run_row(run) for run in job.job_runs], whole=True), rich=rich)


def _fields(job: Job) -> list[tuple[str, ...]]:
    who = job.created_by.email if job.created_by else job.created_by_id
    return [
        ("job", job.id),
        ("type", job.type),
        ("status", job.status),
        ("try", _tries(job)),
        ("host", job.host_id or "any"),
        ("instance", job.server_instance_id or ""),
        ("created", f"{job.created_at} by {who}" if who else job.created_at),
        ("run at", job.run_at or ""),
        ("ended", job.completed_at or ""),
        ("payload", _json(job.payload)),
        ("output", _json(job.output)),
        ("error", ": ".join(each for each in (job.error_code, job.error_message) if each)),
        ("waits", _waits(job)),
        ("note", "a cancel has been requested" if job.cancel_requested else ""),
    ]


def _run_row(run: JobRun) -> tuple[str, ...]:
    took = "" if run.result.duration_ms is None else f"{run.result.duration_ms / 1000:.1f}s"
    message = run.result.error_message or _json(run.result.output)
    return (str(run.attempt), run.id, run.status, took, message)


def _tries(job: Job) -> str:
    return f"{job.attempts}/{job.max_attempts}"


def _note(job: Job) -> str:
    if job.cancel_requested and job.status == "RUNNING":
        return "cancel requested"
    return job.error_message or _waits(job)


def _waits(job: Job) -> str:
    if job.wait is None:
        return ""
    position = f" (number {job.wait.position})" if job.wait.position else ""
    until = f", until {job.wait.until}" if job.wait.until else ""
    return f"{job.wait.detail or job.wait.reason}{position}{until}"


def _age(at: str, now: int) -> str:
    seconds = max(0, now - parse_rfc3339(at)) // 1000
    return next((f"{seconds // span}{unit}" for span, unit in _SPANS if seconds >= span), "0s")


def _json(data: object) -> str:
    return "" if data is None else msgspec.json.encode(data).decode()


def _print(table: Table, *, rich: bool) -> None:
    clean = table._replace(rows=[tuple(printable(cell) for cell in row) for row in table.rows])
    if rich:
        _print_rich(clean)
    else:
        _print_plain(clean)


def _print_plain(table: Table) -> None:
    widths = _widths(table)
    for line in (table.headers, *table.rows):
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _widths(table: Table) -> list[int]:
    return [max(map(len, column)) for column in zip(table.headers, *table.rows, strict=True)]


def _print_rich(table: Table) -> None:
    from rich.console import Console  # noqa: PLC0415 - only a terminal pays for it
    from rich.table import Table as RichTable  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = Console(highlight=False)
    grid = RichTable(box=None, pad_edge=False, header_style="dim", show_edge=False)
    for header in table.headers[:-1]:
        grid.add_column(header, no_wrap=True)
    # Without a limit rich would take the room for the last column from the ids, which are there to be copied.
    room = max(len(table.headers[-1]), console.width - sum(width + 2 for width in _widths(table)[:-1]))
    if table.whole:
        grid.add_column(table.headers[-1], overflow="fold")
    else:
        grid.add_column(table.headers[-1], no_wrap=True, overflow="ellipsis", max_width=room)
    for row in table.rows:
        grid.add_row(*(Text(cell, style=_COLOURS.get(cell, "")) for cell in row))
    console.print(grid)
