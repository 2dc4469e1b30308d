"""Pool jobs: what their hosts must carry, and an index that holds what waits in each pool, in its order."""

from typing import Any

UP = """
ALTER TABLE job ADD COLUMN labels TEXT;

ALTER TABLE job_run ADD COLUMN pool_labels TEXT;

ALTER TABLE job_run ADD COLUMN pool_priority INTEGER;

CREATE INDEX job_run_pool ON job_run (org_id, pool_labels, pool_priority DESC, job_id) WHERE host_id IS NULL AND status = 'pending';
"""

DOWN = """
DROP INDEX job_run_pool;

ALTER TABLE job_run DROP COLUMN pool_priority;

ALTER TABLE job_run DROP COLUMN pool_labels;

ALTER TABLE job DROP COLUMN labels;
"""


def up(_migrator: Any, db: Any) -> None:
    """The same text serves SQLite and PostgreSQL."""
    _run(db, UP)


def down(_migrator: Any, db: Any) -> None:
    """Jobs that wait in a pool stay as rows without a host."""
    _run(db, DOWN)


def _run(db: Any, statements: str) -> None:
    for statement in filter(str.strip, statements.split(";")):
        db.execute_sql(statement)
