"""How a database would answer what it is asked."""

import re
from typing import Any

from peewee import Database, SqliteDatabase


class Explaining:
    """Stands before a database's `execute_sql` and remembers the plans."""

    def __init__(self, database: Database) -> None:
        self._execute: Any = database.execute_sql
        self._explain = "EXPLAIN QUERY PLAN" if isinstance(database, SqliteDatabase) else "EXPLAIN"
        self.plans: list[str] = []

    def execute(self, sql: str, params: Any = None) -> Any:
        if not sql.startswith("SET"):
            self.plans += [row[-1] for row in self._execute(f"{self._explain} {sql}", params).fetchall()]
        return self._execute(sql, params)

    def scans(self) -> list[str]:
        """Where a whole table is read, in either database's words."""
        return [plan for plan in self.plans if re.search(r"^SCAN(?!.*USING)|Seq Scan", plan)]
