"""Command lines that ask to be let in by somebody at a browser: see `store.device_logins`."""

from typing import Any

UP = """
CREATE TABLE device_login (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    device_hash VARCHAR(64) NOT NULL,
    user_code_hash VARCHAR(64) NOT NULL,
    name VARCHAR(100) NOT NULL,
    address VARCHAR(100),
    status VARCHAR(10) NOT NULL,
    user_id VARCHAR(36),
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE UNIQUE INDEX devicelogin_device_hash ON device_login (device_hash);

CREATE UNIQUE INDEX devicelogin_user_code_hash ON device_login (user_code_hash);

CREATE INDEX devicelogin_expires_at ON device_login (expires_at);
"""

DOWN = """
DROP TABLE device_login;
"""


def up(_migrator: Any, db: Any) -> None:
    """The same text serves SQLite and PostgreSQL."""
    _run(db, UP)


def down(_migrator: Any, db: Any) -> None:
    """Who was about to be let in begins anew."""
    _run(db, DOWN)


def _run(db: Any, statements: str) -> None:
    for statement in filter(str.strip, statements.split(";")):
        db.execute_sql(statement)
