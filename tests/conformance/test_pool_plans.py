"""What is asked of pools all the time is answered from an index, however many jobs wait."""

from typing import Any

import pytest
from peewee import SqliteDatabase

from interlock.states import RunStatus
from store.entries import Change, job_change, run_change
from store.pool import count_hosts, due_in_pool, place_of_job, pools_due, pools_expired, read_pool, write
from tests.support.desk import Desk
from tests.support.plans import Explaining
from tests.support.rows import AT, job_row, run_row

MANY = 700
COUNT: Any = lambda database: count_hosts(database, "org", AT, AT)  # noqa: E731 - it may read all of an org's hosts


@pytest.fixture
def crowd(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Explaining:
    """A crowded pool, of which much waits for its time, and hosts."""
    wanted: list[list[Change]] = []
    for number in range(MANY):
        labels, priority = ("{}", '{"gpu":"yes"}', '{"never":"there"}')[number % 3], number % 5
        job = job_row(host_id=None, labels=labels, priority=priority, org_id="org" if number % 2 else "another")
        run = run_row(job, pool_labels=labels, pool_priority=priority)
        if number % 7 == 0:
            run.status, run.available_at = RunStatus.SCHEDULED, AT + number
        if number % 11 == 0:
            job.start_before = AT + number
        wanted.append([job_change(job, None), run_change(run, None)])
    with desk.database.atomic():
        assert all(write(desk.database, wanted))
    for _ in range(20):
        desk.host()
    if not isinstance(desk.database, SqliteDatabase):
        desk.rows("ANALYZE")
    made = Explaining(desk.database)
    monkeypatch.setattr(desk.database, "execute_sql", made.execute)
    return made


@pytest.mark.parametrize(
    ("ask", "index"),
    [
        (lambda database: read_pool(database, "org", lambda _: False, most_lanes=10, window=50), "job_run_pool"),
        (lambda database: read_pool(database, "org", lambda _: True, most_lanes=10, window=50), "job_run_pool"),
        (lambda database: pools_due(database, AT + 7, 10), "job_run_due"),
        (lambda database: pools_expired(database, AT + 11, 10), "job_expiring"),
        (lambda database: due_in_pool(database, "org", AT + 7, 10), "job_run_due"),
        (lambda database: place_of_job(database, "j"), ""),
        (COUNT, "job_run_one_live"),
    ],
)
def test_what_is_asked_of_a_pool_uses_its_index(desk: Desk, crowd: Explaining, ask: Any, index: str) -> None:
    ask(desk.database)
    assert any(index in plan for plan in crowd.plans), crowd.plans
    assert crowd.scans() == [] or ask is COUNT, crowd.plans
    assert not any("USE TEMP B-TREE FOR ORDER BY" in plan for plan in crowd.plans), crowd.plans


def test_the_first_of_a_lane_are_read_without_sorting_the_rest(desk: Desk, crowd: Explaining) -> None:
    (lane,) = read_pool(desk.database, "org", lambda labels: labels == "{}", most_lanes=10, window=50).lanes
    assert len(lane.waiting) == 50
    assert not any("Sort" in plan and "Incremental" not in plan for plan in crowd.plans), crowd.plans
