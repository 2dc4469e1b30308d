"""Where a page of jobs has ended, as text: it carries the order in which the list was read, and fits no other."""

import re
from typing import NamedTuple

from interlock.ids import is_id
from interlock.job_sort import JobSort
from interlock.states import JobStatus

Key = tuple[int | str, ...]  # of a job within a stretch: (id,) or (completed_at in ms, id)
ALL, ENDED = "", "ENDED"  # stretches that are not named by a status
_KEYED = re.compile(r"(-?[a-zA-Z]+)_([A-Z]*)_(?:([0-9]{1,15})_)?([0-9a-f-]{36})", re.ASCII)
STRETCHES: dict[JobSort, tuple[str, ...]] = {
    JobSort.NEWEST: (ALL,),
    JobSort.OLDEST: (ALL,),
    JobSort.LAST_ENDED: (ENDED, JobStatus.RUNNING, JobStatus.PENDING),
    JobSort.FIRST_ENDED: (ENDED, JobStatus.RUNNING, JobStatus.PENDING),
    JobSort.STATUS: tuple(JobStatus),
    JobSort.STATUS_BACKWARDS: tuple(reversed(JobStatus)),
}


class Place(NamedTuple):
    """Just behind a job. A list is read stretch by stretch: `STRETCHES` has their names and their order."""

    stretch: str
    key: Key


def cursor_of(sort: JobSort, place: Place) -> str:
    """The text for it: letters, digits, `-` and `_`. Newest first it is the job's id, as it always was."""
    if sort is JobSort.NEWEST:
        return str(place.key[-1])
    return "_".join(map(str, (sort, place.stretch, *place.key)))


def place_in(sort: JobSort, cursor: str) -> Place:
    """What `cursor_of` made of, for the same order; `ValueError` for any other text."""
    if sort is JobSort.NEWEST and is_id(cursor):
        return Place(ALL, (cursor,))
    found = _KEYED.fullmatch(cursor)
    if found is None or sort is JobSort.NEWEST:
        raise ValueError("no cursor of this list")
    named, stretch, at, job_id = found.groups()
    if named != sort or stretch not in STRETCHES[sort] or not is_id(job_id) or (at is None) is (stretch == ENDED):
        raise ValueError("no cursor of a list in this order")
    return Place(stretch, (job_id,) if at is None else (int(at), job_id))
