"""The queries that run all the time are answered from an index, however many rows there are."""

from collections.abc import Iterator
from typing import Any

import pytest
from peewee import Database

from store import open_database
from store.claims import due_by, expired_by, hosts_with_live_runs, read_open
from store.database import migrate
from store.jobs import glance_at_hosts


class Explaining:
    """A database that remembers how it would answer what it is asked."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._execute: Any = database.execute_sql
        self.plans: list[str] = []

    def execute(self, sql: str, params: Any = None) -> Any:
        for row in self._execute(f"EXPLAIN QUERY PLAN {sql}", params).fetchall():
            self.plans.append(row[-1])
        return self._execute(sql, params)


@pytest.fixture
def explained(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Database, Explaining]]:
    database = open_database("sqlite:///:memory:")
    migrate(database)
    explaining = Explaining(database)
    monkeypatch.setattr(database, "execute_sql", explaining.execute)
    yield database, explaining
    database.close()


@pytest.mark.parametrize(
    ("ask", "index"),
    [
        (lambda database: read_open(database, ["a"]), "job_run_open"),
        (hosts_with_live_runs, "job_run_one_live"),
        (lambda database: due_by(database, 1, 10), "job_run_due"),
        (lambda database: expired_by(database, 1, 10), "job_expiring"),
        (lambda database: glance_at_hosts(database, ["a"]), "job_run_one_live"),
    ],
)
def test_a_query_that_runs_all_the_time_uses_its_index(
    explained: tuple[Database, Explaining], ask: Any, index: str
) -> None:
    database, explaining = explained
    ask(database)
    assert any(index in plan for plan in explaining.plans), explaining.plans
    assert not any(plan.startswith("SCAN") and "USING" not in plan for plan in explaining.plans), explaining.plans
