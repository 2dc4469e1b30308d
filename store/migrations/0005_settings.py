"""What an organization's agents get as config."""

from typing import Any


def up(_migrator: Any, db: Any) -> None:
    """The same text serves SQLite and PostgreSQL."""
    db.execute_sql("""
CREATE TABLE org_setting (
    org_id VARCHAR(36) NOT NULL PRIMARY KEY,
    version INTEGER NOT NULL,
    document TEXT NOT NULL,
    updated_at BIGINT NOT NULL,
    updated_by VARCHAR(36)
)
""")


def down(_migrator: Any, db: Any) -> None:
    """Forget them."""
    db.execute_sql("DROP TABLE org_setting")
