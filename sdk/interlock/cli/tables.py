"""Tables: aligned text anywhere; on a terminal as wide as it is and coloured (NO_COLOR and TERM=dumb are honoured)."""

import os
import shutil
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import click
import msgspec

from interlock.cli.exits import printable
from interlock.clock import Millis, parse_rfc3339

GAP = "  "
LEAST_LAST = 16  # columns that the last one keeps before `spare` ones are left out
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
    "online": "green",
    "offline": "red",
    "unreachable": "yellow",
    "never_connected": "yellow",
    "unhealthy": "red",
    "paused": "yellow",
    "draining": "yellow",
    "error": "red",
    "warn": "yellow",
    "warning": "yellow",
    "revoked": "red",
}
_SPANS = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))


class Table(NamedTuple):
    """Text in rows and columns.

    On a narrow terminal the columns named in `spare` are left out in that order, and then the last column gives way: it
    is cut, or folded when `whole`.
    """

    headers: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    whole: bool = False
    spare: tuple[str, ...] = ()


def print_table(table: Table) -> None:
    """Write it to stdout; control characters in it, which other machines may have put there, become spaces."""
    clean = table._replace(rows=[tuple(printable(cell) for cell in row) for row in table.rows])
    if sys.stdout.isatty():
        width = shutil.get_terminal_size().columns
        fitting = _fitting(clean, width)
        for line in _lines(fitting, width, colour=has_colour()):
            click.echo(line)
        return
    for line in _lines(clean, None, colour=False):
        click.echo(line)


def has_colour() -> bool:
    """Whether stdout is a terminal that wants colours."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def coloured(text: str, colour: bool) -> str:
    """`text` in the colour of the state that it names."""
    return click.style(text, fg=_COLOURS[text]) if colour and text in _COLOURS else text


def age(at: str, now: Millis) -> str:
    """How long ago an RFC 3339 time was, in its largest unit: `4m`."""
    seconds = max(0, now - parse_rfc3339(at)) // 1000
    return next((f"{seconds // span}{unit}" for span, unit in _SPANS if seconds >= span), "0s")


def in_json(data: object) -> str:
    """Data as one line of JSON; nothing for None."""
    return "" if data is None else msgspec.json.encode(data).decode()


def labels(of: dict[str, str]) -> str:
    """`key=value` pairs."""
    return " ".join(f"{key}={value}" for key, value in of.items())


def _fitting(table: Table, width: int) -> Table:
    """Without as many of the spare columns as it takes to leave room for the last one."""
    for name in table.spare:
        if width - sum(_widths(table)[:-1]) - len(GAP) * (len(table.headers) - 1) >= LEAST_LAST:
            break
        at = table.headers.index(name)
        rows = [row[:at] + row[at + 1 :] for row in table.rows]
        table = table._replace(headers=table.headers[:at] + table.headers[at + 1 :], rows=rows)
    return table


def _lines(table: Table, width: int | None, *, colour: bool) -> Iterator[str]:
    """The header and the rows; `width` None knows no limit."""
    widths = _widths(table)
    before = sum(widths[:-1]) + len(GAP) * (len(widths) - 1)
    room = None if width is None else max(len(table.headers[-1]), width - before)
    header = GAP.join(name.ljust(size) for name, size in zip(table.headers, widths, strict=True)).rstrip()
    yield click.style(header, dim=True) if colour else header
    for row in table.rows:
        *cells, last = row
        head = "".join(
            _padded(coloured(cell, colour), cell, size) + GAP for cell, size in zip(cells, widths, strict=False)
        )
        first, *more = [last] if room is None else _folded(last, room) if table.whole else [_cut(last, room)]
        yield (head + coloured(first, colour)).rstrip()
        yield from (" " * before + each for each in more)


def _widths(table: Table) -> list[int]:
    return [max(map(columns_of, column)) for column in zip(table.headers, *table.rows, strict=True)]


def _padded(shown: str, text: str, size: int) -> str:
    return shown + " " * (size - columns_of(text))


def columns_of(text: str) -> int:
    """How many columns of a terminal a text takes: East Asian wide characters take two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(_columns(each) for each in text)


def _columns(each: str) -> int:
    if unicodedata.combining(each):
        return 0
    return 2 if unicodedata.east_asian_width(each) in "WF" else 1


def _cut(text: str, room: int) -> str:
    if columns_of(text) <= room:
        return text
    return next(_pieces(text, room - 1)) + "…"


def _folded(text: str, room: int) -> list[str]:
    return list(_pieces(text, room)) or [""]


def _pieces(text: str, room: int) -> Iterator[str]:
    """`text` in pieces of at most `room` columns each."""
    piece, taken = "", 0
    for each in text:
        size = _columns(each)
        if piece and taken + size > room:
            yield piece
            piece, taken = "", 0
        piece, taken = piece + each, taken + size
    if piece:
        yield piece
