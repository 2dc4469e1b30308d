"""When a host that is draining stops what it runs, and where somebody has put a job in its host's line."""

from typing import Any


def up(_migrator: Any, db: Any) -> None:
    """The same text serves SQLite and PostgreSQL."""
    db.execute_sql("ALTER TABLE host ADD COLUMN drain_until BIGINT")
    db.execute_sql("ALTER TABLE job ADD COLUMN rank INTEGER")


def down(_migrator: Any, db: Any) -> None:
    """Jobs stand by their priority again, and what runs on a host that is draining runs on."""
    db.execute_sql("ALTER TABLE job DROP COLUMN rank")
    db.execute_sql("ALTER TABLE host DROP COLUMN drain_until")
