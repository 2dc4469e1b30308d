"""The journal's own statements find rows by their keys, also while PostgreSQL does not know yet how many there are."""

from typing import Any

import pytest

from interlock.states import RunStatus
from store.dialect import Statement
from store.rows import HOST_OWNED, Image, job_image, run_image
from tests.support.desk import Desk
from tests.support.rows import job_row, run_row

BATCHES = [1, 10, 100, 500]


@pytest.fixture
def crowded(postgres_desk: Desk) -> Desk:
    """Many hosts of one owner, each with a run, just come."""
    desk = postgres_desk
    desk.rows(
        """INSERT INTO host (id, org_id, name, kind, labels, created_at, owner, epoch, next_seq, rev, paused, draining,
            run_no, declares, awaiting_idle)
            SELECT 'h' || n, 'org', 'eu', 'machine', '{}', 1, 'me', 1, 1, 1, false, false, 0, false, false
            FROM generate_series(1, 3000) AS n"""
    )
    desk.rows(
        """INSERT INTO job_run (id, job_id, org_id, host_id, attempt, created_at, status, stop_reason, leased, offers)
            SELECT 'r' || n, 'j' || n, 'org', 'h' || n, 1, 1, 'pending', '', false, 0
            FROM generate_series(1, 3000) AS n"""
    )
    return desk


def plan(desk: Desk, statement: Statement, rows: list[Image]) -> str:
    """How a batch of these rows would be carried out."""
    cursor = desk.database.connection().cursor()
    values = b", ".join(cursor.mogrify(statement.template, row) for row in rows)
    cursor.execute(b"EXPLAIN " + statement.sql.encode().replace(b"%s", values, 1))
    return "\n".join(line for (line,) in cursor.fetchall())


def fence_values(place: int) -> Image:
    owned: list[Any] = [0, None, False, False, None, None, None]
    assert len(owned) == len(HOST_OWNED)
    return (*owned, 1, f"h{place}", "me", 1, None)


@pytest.mark.parametrize("size", BATCHES)
def test_the_fence_finds_each_host_by_its_id(crowded: Desk, size: int) -> None:
    statements = crowded.committer.statements
    rows = [statements.pick_fence(fence_values(place)) for place in range(1, size + 1)]
    said = plan(crowded, statements.fence, rows)
    assert "host_pkey" in said, said
    assert "Seq Scan" not in said, said


@pytest.mark.parametrize("size", BATCHES)
def test_hosts_are_locked_by_their_ids(crowded: Desk, size: int) -> None:
    cursor = crowded.database.connection().cursor()
    cursor.execute(f"EXPLAIN {crowded.committer.statements.dialect._lock}", ([f"h{n}" for n in range(size)],))  # type: ignore[attr-defined]
    said = "\n".join(line for (line,) in cursor.fetchall())
    assert "host_pkey" in said, said
    assert "Seq Scan" not in said, said


@pytest.mark.parametrize("size", BATCHES)
def test_an_update_finds_each_row_by_its_id(crowded: Desk, size: int) -> None:
    update = crowded.committer.statements.runs.update
    runs = [run_row(job_row(), id=f"r{place}") for place in range(1, size + 1)]
    said = plan(crowded, update.statement, [update.pick((*run_image(run), RunStatus.PENDING)) for run in runs])
    assert "job_run_pkey" in said, said
    assert "Seq Scan" not in said, said


def test_all_statements_are_understood(crowded: Desk) -> None:
    """Also those that are not often needed: nothing but NULLs must not make them text."""
    statements = crowded.committer.statements
    job = job_row()
    plan(crowded, statements.jobs.update.statement, [statements.jobs.update.pick((*job_image(job), "PENDING"))])
    plan(crowded, statements.place, [statements.pick_place(("j", 1))])
    plan(crowded, statements.ask_to_stop, [statements.pick_ask(("r", "cancel"))])
    plan(crowded, statements.fence_of_anybody, [statements.pick_fence_of_anybody(fence_values(1))])
    expecting = (*fence_values(1)[:-1], 1)
    plan(crowded, statements.fence_expecting, [statements.pick_fence_expecting(expecting)])
