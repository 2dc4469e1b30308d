"""Data goes to stdout in one of three shapes; everything said to a person goes to stderr."""

import sys
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from typing import TypeVar

import click
import msgspec

from interlock.cli.exits import printable
from interlock.cli.job_tables import job_tables, jobs_table
from interlock.cli.tables import Table, print_table
from interlock.wire import Job

Item = TypeVar("Item")


class Format(StrEnum):
    """The shapes of data on stdout."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"


def say(message: str) -> None:
    """One line for the person, on stderr. Characters that steer a terminal are left out: names come from elsewhere."""
    click.echo(f"interlock: {printable(message, keep=chr(10))}", err=True)


def show_one(item: Item, shape: Format, tables: Callable[[Item], list[Table]]) -> None:
    """One thing: its tables, an indented object, or an object on one line."""
    if shape is not Format.TABLE:
        print_json(item, shape)
        return
    for number, table in enumerate(tables(item)):
        if number:
            click.echo()
        print_table(table)


def show_all(
    items: Iterable[Item], shape: Format, tables: Callable[[Sequence[Item]], list[Table]], nothing: str
) -> None:
    """Many things: a table, one array, or one object a line, each written as soon as it is read.

    `nothing` is said instead of an empty table.
    """
    if shape is Format.JSONL:
        for item in items:
            print_json(item, shape)
        return
    listed = list(items)
    if shape is Format.TABLE and not listed:
        say(nothing)
    else:
        show_one(listed, shape, tables)


def show_job(job: Job, shape: Format) -> None:
    """One job: a table of its fields and runs, an indented object, or an object on one line."""
    show_one(job, shape, job_tables)


def show_jobs(jobs: Iterable[Job], shape: Format) -> None:
    """Many jobs, as of `show_all`."""
    show_all(jobs, shape, jobs_table, "no jobs.")


def print_json(data: object, shape: Format) -> None:
    """Indented for `json`, else on one line. On a terminal, characters that would steer it are written as escapes."""
    encoded = msgspec.json.encode(data)
    text = (msgspec.json.format(encoded, indent=2) if shape is Format.JSON else encoded).decode()
    click.echo("".join(map(_harmless, text)) if sys.stdout.isatty() and not text.isascii() else text)


def _harmless(each: str) -> str:
    """A character of JSON, or its escape: beyond ASCII, where only texts are, some turn directions or begin commands."""
    if each.isascii() or each.isprintable():
        return each
    units = each.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
