"""Values that the driver is told how to bind come out as they went in."""

import sqlite3
from contextlib import closing
from typing import Any

import pytest

from interlock.states import JobStatus, RunStatus, StopReason
from store import open_database
from store.rows import job_image, run_image
from tests.support.rows import job_row, run_row

PLAIN = (str, int, float)


@pytest.mark.parametrize(
    ("value", "stored", "kind"),
    [
        (None, None, "null"),
        (True, 1, "integer"),
        (False, 0, "integer"),
        (RunStatus.CANCELLING, "cancelling", "text"),
        (JobStatus.PENDING, "PENDING", "text"),
        (StopReason.NONE, "", "text"),
    ],
)
def test_a_value_is_stored_as_what_it_stands_for(value: Any, stored: Any, kind: str) -> None:
    with closing(open_database("sqlite://:memory:")) as database:
        database.connect()
        found = database.execute_sql("SELECT ?, typeof(?)", (value, value)).fetchone()
    assert found == (stored, kind)


def test_nothing_that_a_job_or_a_run_holds_goes_the_long_way() -> None:
    open_database("sqlite://:memory:")
    adapted = {kind for kind, _ in sqlite3.adapters}
    kinds = {type(value) for value in (*job_image(job_row()), *run_image(run_row(job_row())))}
    assert kinds - {*PLAIN} <= adapted
