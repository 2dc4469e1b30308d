"""An organization's jobs in the order of their ends, by status: a job enters the index once, when it ends."""

from typing import Any


def up(_migrator: Any, db: Any) -> None:
    """The same text serves SQLite and PostgreSQL."""
    db.execute_sql("CREATE INDEX job_ended ON job (org_id, status, completed_at, id) WHERE completed_at IS NOT NULL")


def down(_migrator: Any, db: Any) -> None:
    """Lists are sorted by their jobs' births again."""
    db.execute_sql("DROP INDEX job_ended")
