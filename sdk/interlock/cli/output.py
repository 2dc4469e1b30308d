"""Data goes to stdout in one of three shapes; everything said to a person goes to stderr."""

import sys
from collections.abc import Iterable
from enum import StrEnum

import click
import msgspec

from interlock.cli import tables
from interlock.wire import Job


class Format(StrEnum):
    """The shapes of data on stdout."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"


def say(message: str) -> None:
    """One line for the person, on stderr."""
    click.echo(f"interlock: {message}", err=True)


def show_job(job: Job, shape: Format) -> None:
    """One job: a table of its fields and runs, an indented object, or an object on one line."""
    if shape is Format.TABLE:
        tables.print_job(job, rich=sys.stdout.isatty())
    else:
        _show_json(job, shape)


def show_jobs(jobs: Iterable[Job], shape: Format) -> None:
    """Many jobs: a table, one array, or one object a line, each written as soon as it is read."""
    if shape is Format.JSONL:
        for job in jobs:
            _show_json(job, shape)
    elif shape is Format.JSON:
        _show_json(list(jobs), shape)
    else:
        listed = list(jobs)
        if not listed:
            say("no jobs.")
            return
        tables.print_jobs(listed, rich=sys.stdout.isatty())


def _show_json(data: Job | list[Job], shape: Format) -> None:
    encoded = msgspec.json.encode(data)
    click.echo(msgspec.json.format(encoded, indent=2) if shape is Format.JSON else encoded)
