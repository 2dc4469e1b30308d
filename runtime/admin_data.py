"""`interlock admin` for what is kept: pruning by hand, exports, backups. `runtime/admin.py` makes commands of these."""

import os
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import click
import msgspec

from interlock.clock import SystemClock, parse_rfc3339
from interlock.errors import InvalidRequest, InvalidState
from runtime.backup import BackupFailed, back_up
from runtime.data_folder import expect_database
from runtime.pruning import Pruner, writes_in
from runtime.restore import restore as put_back
from runtime.settings import Settings
from store import accounts, exports, open_database
from store.database import how_to_begin, migrate

_CLOCK = SystemClock()
_WHAT = {  # names on the command line, and tables
    "jobs": "job",
    "runs": "job_run",
    "logs": "job_log",
    "evidence": "evidence",
    "files": "asset",
    "late-reports": "late_report",
    "audit": "audit_event",
    "hosts": "host",
    "instances": "server_instance",
    "job-types": "job_type",
}
_OF_ORG = ("host", "server_instance", "job_type", "audit_event")


@contextmanager
def _database(settings: Settings) -> Iterator[Any]:
    """The server's database, which must be there."""
    expect_database(settings)
    database = open_database(settings.url_of_database)
    migrate(database)
    with closing(database):
        database.connect(reuse_if_open=True)
        yield database


@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
def prune(settings: Settings, *, dry_run: bool) -> dict[str, Any]:
    """Remove what is older than the settings say, beside a running server or without one.

    Example: interlock admin prune --dry-run.
    """
    with _database(settings) as database:
        write = writes_in(database, how_to_begin(database))
        pruner = Pruner(database, settings.retention(), write, _CLOCK, settings.asset_path)
        if dry_run:
            return {"wouldRemove": pruner.would_remove()}
        try:
            if not pruner.round(all_files=True):
                raise InvalidState("A server is just pruning: it removes the same, or try again in a minute")
        except OSError as error:
            raise BackupFailed(f"{error.filename or 'A file'} cannot be written: {error.strerror}") from error
        return {"removed": {table: number for table, number in pruner.counts.items() if number}}


@click.option("--org", required=True, help="Name or id of the organization.")
@click.option("--since", help="Only jobs created, and audit lines written, from this instant on (RFC 3339).")
@click.option("--until", help="Only those before this instant (RFC 3339).")
@click.option("--what", default="jobs,runs,logs,evidence,files,late-reports", show_default=True, help="With commas.")
@click.option("--output", type=click.Path(dir_okay=False), help="A new file, instead of standard output.")
def export(
    settings: Settings, org: str, since: str | None, until: str | None, what: str, output: str | None
) -> dict[str, Any] | None:
    """Write an organization's rows as JSON Lines, beside a running server; see docs/retention.md for their shape.

    Example: interlock admin export --org acme --since 2026-01-01T00:00:00Z --output acme.jsonl.
    """
    kinds = [_table(name) for name in what.split(",")]
    start, end = _instant(since, "since"), _instant(until, "until")
    with _database(settings) as database:
        org_id = accounts.org_named(database, org)
        parts = [exports.of_org(database, org_id, table, start, end) for table in _OF_ORG if table in kinds]
        if set(kinds) - set(_OF_ORG):
            parts.append(exports.jobs_of(database, org_id, kinds, start, end))
        found = chain.from_iterable(parts)
        if output is None:
            _write(found, sys.stdout.buffer)
            return None
        return {"lines": _to_file(found, Path(output)), "output": output}


def _table(name: str) -> str:
    if name not in _WHAT:
        raise InvalidRequest(f"{name!r} cannot be exported; these can: {', '.join(_WHAT)}")
    return _WHAT[name]


def _instant(text: str | None, name: str) -> int | None:
    return None if text is None else parse_rfc3339(text, path=f"--{name}")


def _write(records: Iterator[exports.Record], file: BinaryIO) -> int:
    lines = 0
    for record in records:
        file.write(msgspec.json.encode(record) + b"\n")
        lines += 1
    file.flush()
    return lines


def _to_file(records: Iterator[exports.Record], path: Path) -> int:
    """Under its name only when it is whole and durable; for this user alone."""
    fresh = path.with_name(f".{path.name}-{os.getpid()}")
    try:
        if path.exists():
            raise BackupFailed(f"{path} is there already: an export replaces nothing")
        try:
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                lines = _write(records, file)
                os.fsync(file.fileno())
            path.hardlink_to(fresh)
        finally:
            fresh.unlink(missing_ok=True)
    except OSError as error:
        raise BackupFailed(f"{error.filename or path} cannot be written: {error.strerror}") from error
    return lines


@click.argument("target")
def backup(settings: Settings, target: str) -> dict[str, Any]:
    """Copy database, files and secrets into a new folder or .tar file, while the server runs.

    Example: interlock admin backup /backups/interlock-today.tar.
    """
    made = back_up(settings, Path(target), _CLOCK)
    shown: dict[str, Any] = msgspec.to_builtins(made)
    return {"backup": target, **shown}


@click.argument("source")
def restore(settings: Settings, source: str) -> dict[str, Any]:
    """Put a backup into a new data folder, after it was checked; then start a server on it.

    Example: interlock admin restore /backups/interlock-today.tar --data-dir ./restored.
    """
    found = put_back(settings, Path(source))
    return {"dataDir": str(settings.data_path), "madeAt": found.made_at, "files": found.files}


COMMANDS = (prune, export, backup, restore)
