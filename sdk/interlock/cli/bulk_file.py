"""A file of jobs, a JSON object a line, read and checked before any of it is sent."""

import hashlib
import sys
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import click
import msgspec

from interlock.wire import CreateJob

STDIN = "-"
MOST_MISTAKES = 20  # that are told of one file
LONGEST_LINE = 4 * 1024 * 1024  # bytes


class Wanted(NamedTuple):
    """A job of the file. `line` counts from 1; `mark` is the same for the same job in the same file, wherever it stands:
    a hash of what is asked for, and which of its likes it is.
    """

    line: int
    mark: str
    job: CreateJob
    size: int


def read_jobs(source: str, defaults: dict[str, Any]) -> list[Wanted]:
    """The jobs of a file, or of stdin for `-`, with `defaults` (by wire names) where a line says nothing.

    Empty lines are passed over. A usage error names every line that is no job.
    """
    likes: Counter[str] = Counter()
    wanted: list[Wanted] = []
    mistakes: list[str] = []
    for number, line in enumerate(_lines(source), 1):
        if not line.strip():
            continue
        try:
            job = _job(line, defaults)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            mistakes.append(f"line {number}: {error}")
            continue
        encoded = msgspec.json.encode(job, order="sorted")
        digest = hashlib.sha256(encoded).hexdigest()[:32]
        likes[digest] += 1
        wanted.append(Wanted(number, f"{digest}.{likes[digest]}", job, len(encoded)))
    if mistakes:
        more = [f"… and {len(mistakes) - MOST_MISTAKES} more"] if len(mistakes) > MOST_MISTAKES else []
        listed = "\n  ".join([*mistakes[:MOST_MISTAKES], *more])
        raise click.UsageError(f"Nothing was sent: {source} has lines that are no jobs.\n  {listed}")
    return wanted


def _lines(source: str) -> list[bytes]:
    try:
        return (sys.stdin.buffer.read() if source == STDIN else Path(source).read_bytes()).split(b"\n")
    except OSError as error:
        raise click.BadParameter(f"cannot read {source}: {error.strerror}", param_hint="--from") from error


def _job(line: bytes, defaults: dict[str, Any]) -> CreateJob:
    if len(line) > LONGEST_LINE:
        raise ValueError(f"is longer than {LONGEST_LINE} bytes")
    document = msgspec.json.decode(line, type=dict[str, Any])
    return msgspec.convert(defaults | document, CreateJob)
