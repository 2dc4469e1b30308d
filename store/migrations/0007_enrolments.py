"""Tokens with which machines enrol themselves: only their hashes."""

from typing import Any

TABLE = """
CREATE TABLE enrolment (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    org_id VARCHAR(36) NOT NULL,
    token_hash VARCHAR(64) NOT NULL,
    labels TEXT NOT NULL,
    max_uses INTEGER NOT NULL,
    uses INTEGER NOT NULL,
    expires_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by_id VARCHAR(36)
)
"""


def up(_migrator: Any, db: Any) -> None:
    """The same text serves SQLite and PostgreSQL."""
    db.execute_sql(TABLE)
    db.execute_sql("CREATE UNIQUE INDEX enrolment_token_hash ON enrolment (token_hash)")
    db.execute_sql("CREATE INDEX enrolment_org_id_id ON enrolment (org_id, id)")


def down(_migrator: Any, db: Any) -> None:
    """Forget them; hosts that have enrolled stay."""
    db.execute_sql("DROP TABLE enrolment")
