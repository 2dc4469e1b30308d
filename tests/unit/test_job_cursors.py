"""Cursors of lists of jobs: they carry the order in which the list was read, and nothing else is taken for one."""

import re

import pytest

from interlock.job_sort import JobSort
from interlock.states import JobStatus
from store.job_cursors import ALL, ENDED, STRETCHES, Key, Place, cursor_of, place_in

JOB = "01938b3e-0000-7000-8000-00000000000a"


def key(stretch: str) -> Key:
    return (1_700_000_000_000, JOB) if stretch == ENDED else (JOB,)


EVERY = [(sort, Place(stretch, key(stretch))) for sort, stretches in STRETCHES.items() for stretch in stretches]


@pytest.mark.parametrize(("sort", "place"), EVERY)
def test_a_cursor_is_read_as_the_place_that_it_was_made_of(sort: JobSort, place: Place) -> None:
    cursor = cursor_of(sort, place)
    assert re.fullmatch(r"[A-Za-z0-9_-]+", cursor)
    assert place_in(sort, cursor) == place


@pytest.mark.parametrize(("sort", "place"), EVERY)
def test_a_cursor_fits_no_other_order(sort: JobSort, place: Place) -> None:
    for other in JobSort:
        if other is not sort:
            with pytest.raises(ValueError, match="no cursor"):
                place_in(other, cursor_of(sort, place))


def test_newest_first_a_cursor_is_the_id_of_a_job_as_it_always_was() -> None:
    assert cursor_of(JobSort.NEWEST, Place(ALL, (JOB,))) == JOB


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        f"status_{JOB}",
        f"status_ENDED_{JOB}",
        f"status_pending_{JOB}",
        f"status_PENDING_1_{JOB}",
        f"status_PENDING_{JOB}\n",
        f"status_PENDING_{'-' * 36}",
        f"status_PENDING_{JOB.upper()}",
    ],
)
def test_other_text_is_no_cursor(cursor: str) -> None:
    with pytest.raises(ValueError, match="no cursor"):
        place_in(JobSort.STATUS, cursor)


@pytest.mark.parametrize("at", ["", "-1", "1.5", "1" * 16, "１"])
def test_an_end_that_is_no_time_is_no_cursor(at: str) -> None:
    with pytest.raises(ValueError, match="no cursor"):
        place_in(JobSort.LAST_ENDED, f"-completedAt_ENDED_{at}_{JOB}")


def test_every_status_is_in_exactly_one_stretch() -> None:
    for sort, stretches in STRETCHES.items():
        assert len(set(stretches)) == len(stretches), sort
    assert set(STRETCHES[JobSort.STATUS]) == set(JobStatus)
