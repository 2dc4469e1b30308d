"""The indexes along which lists of jobs are read.

Every index that begins with the org and has the id behind what it is narrowed by is a *line*: the jobs in it stand in the
order of the list. So is the one that has the end of a job before its id, for each status that is an end.

PostgreSQL's planner believes that what matches is spread evenly, and would rather go through all jobs backwards by their
key than take the line: half a second where an org's PUBLISH_POST jobs are all old. The conditions compare whole rows, so
that no other index has the wanted order, and sorting is switched off meanwhile.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from peewee import Database, Expression, Field, PostgresqlDatabase, Tuple, fn

from interlock.clock import Millis
from store.job_cursors import Key
from store.jobs import JobFilter
from store.models import Job

LOOKED_AT = 500  # jobs of which a page looks at the rows: some ms
READ_OVER = 10_000  # jobs that it passes over in an index alone: some ms as well
SLACK: Millis = 60_000  # between a job's id and its `created_at`, at most
BY_ID, BY_END = ("id",), ("completed_at", "id")  # how the jobs of a line stand
_FIRST, _LAST = "", "zz"  # before and behind every id, in any collation
_NEVER: Millis = 10**15  # behind every time
_IN_INDEX = {"type", "created_by_id"}  # what the line of all jobs knows of each


class Span(NamedTuple):
    """A part of a line and the direction in which it is read. The end from which it is read is not in it, the other is."""

    low: Key
    top: Key
    down: bool

    def behind(self, key: Key) -> "Span":
        """What is left of it behind that one."""
        return self._replace(top=key) if self.down else self._replace(low=key)

    def until(self, key: Key) -> "Span":
        """What there is of it up to that one."""
        return self._replace(low=key) if self.down else self._replace(top=key)


def births(narrow: JobFilter, *, down: bool) -> Span:
    """The ids within which all that match must be."""
    low = _FIRST if narrow.since is None else id_at(narrow.since - SLACK)
    return Span((low,), (narrow.before_id or _LAST,), down)


def ends(narrow: JobFilter, *, down: bool) -> Span:
    """The same for the ends of jobs, which come after their births."""
    return Span((-1 if narrow.since is None else narrow.since - SLACK, _FIRST), (_NEVER, _LAST), down)


@dataclass(frozen=True, slots=True)
class Line:
    """An index: the org, perhaps what is narrowed by, and how its jobs stand."""

    org_id: str
    column: str | None = None  # the one between the org and the key
    value: str = ""
    key: tuple[str, ...] = BY_ID

    def within(self, span: Span) -> Any:
        """That a job stands here, and in that part of it."""
        row, values = Tuple(*self._columns), (self.org_id,) if self.column is None else (self.org_id, self.value)
        low, top = Tuple(*values, *span.low), Tuple(*values, *span.top)
        inside = Expression(row, ">=" if span.down else ">", low) & Expression(row, "<" if span.down else "<=", top)
        return inside & Job.completed_at.is_null(False) if self.key == BY_END else inside

    def order(self, span: Span) -> list[Any]:
        """In words that only this index understands."""
        return [column.desc() if span.down else column.asc() for column in self._columns]

    def keys(self) -> list[Field]:
        """By what its jobs stand."""
        return [getattr(Job, name) for name in self.key]

    @property
    def _columns(self) -> list[Field]:
        return [Job.org_id, *([getattr(Job, self.column)] if self.column else []), *self.keys()]


def line_for(database: Database, org_id: str, narrow: JobFilter, span: Span) -> tuple[Line, Key | None]:
    """The line of ids to go along, and up to where this page may go; None: to the end."""
    filters = filters_of(narrow)
    lines = [Line(org_id, column, value) for column, value in filters.items() if column not in _IN_INDEX]
    lines.append(Line(org_id))
    found: tuple[Line, Key] | None = None
    for line in lines:
        reached = reached_in(database, line, narrow, span) if beside(line, narrow) else None
        if reached is None:
            return line, None
        if found is None or (reached < found[1] if span.down else reached > found[1]):
            found = line, reached
    return found or (lines[-1], None)


def reached_in(database: Database, line: Line, narrow: JobFilter, span: Span) -> Key | None:
    """The last that a page may look at in this line; None when that is all of it."""
    in_index = line.column is None and narrow.since is None and narrow.text is None
    far = READ_OVER if in_index and filters_of(narrow).keys() <= _IN_INDEX else LOOKED_AT
    query = Job.select(*line.keys()).where(line.within(span)).order_by(*line.order(span))
    found = list(query.offset(far - 1).limit(2).tuples().execute(database))
    return tuple(found[0]) if len(found) > 1 else None


def beside(line: Line, narrow: JobFilter) -> list[Any]:
    """What the line does not say."""
    # Not `column == value`: either database might take that for a better index.
    rest: list[Any] = [
        (getattr(Job, column) == value) if column in _IN_INDEX else (fn.COALESCE(getattr(Job, column), "") == value)
        for column, value in filters_of(narrow).items()
        if column != line.column
    ]
    if narrow.since is not None:
        rest.append(Job.created_at >= narrow.since)
    if narrow.text is not None:
        shown = fn.COALESCE(Job.payload_shown, Job.payload)
        rest.append(Job.type.contains(narrow.text) | shown.contains(narrow.text) | (Job.id == narrow.text))
    return rest


def filters_of(narrow: JobFilter) -> dict[str, str]:
    """The columns that must have one value."""
    given = {name: getattr(narrow, name) for name in ("host_id", "status", "created_by_id", "type")}
    return {column: value for column, value in given.items() if value is not None}


def id_at(at: Millis) -> str:
    """What is before the ids of that instant, and behind all earlier ones."""
    text = f"{max(at, 0):012x}"
    return f"{text[:8]}-{text[8:]}"


@contextmanager
def by_index(database: Database) -> Iterator[None]:
    """PostgreSQL must take the index that has the order; SQLite does anyway."""
    if not isinstance(database, PostgresqlDatabase):
        yield
        return
    database.execute_sql("SET LOCAL enable_sort = off; SET LOCAL enable_incremental_sort = off")
    yield
    database.execute_sql("SET LOCAL enable_sort = on; SET LOCAL enable_incremental_sort = on")
