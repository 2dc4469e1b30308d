"""What a job shows where its type hides parts of the payload, and the trace that it belongs to."""

from typing import Any


def up(_migrator: Any, db: Any) -> None:
    """The same text serves SQLite and PostgreSQL. Jobs that are there hide nothing."""
    db.execute_sql("ALTER TABLE job ADD COLUMN payload_shown TEXT")
    db.execute_sql("ALTER TABLE job ADD COLUMN trace TEXT")


def down(_migrator: Any, db: Any) -> None:
    """What is waiting runs without its trace; ended jobs show what they hid, so they are better deleted before."""
    db.execute_sql("ALTER TABLE job DROP COLUMN trace")
    db.execute_sql("ALTER TABLE job DROP COLUMN payload_shown")
