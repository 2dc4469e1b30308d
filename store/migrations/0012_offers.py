"""When a run was pushed to its agent."""

from typing import Any


def up(_migrator: Any, db: Any) -> None:
    """The same text serves SQLite and PostgreSQL. Of runs that are there nobody knows it."""
    db.execute_sql("ALTER TABLE job_run ADD COLUMN offered_at BIGINT")


def down(_migrator: Any, db: Any) -> None:
    """Offers of the past are not drawn any more."""
    db.execute_sql("ALTER TABLE job_run DROP COLUMN offered_at")
