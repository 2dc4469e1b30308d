"""Passwords, browsers' sessions with their tickets for sockets, and the door of the first set-up."""

from typing import Any

UP = """
ALTER TABLE app_user ADD COLUMN password_hash VARCHAR(200);

CREATE TABLE browser_session (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    user_id VARCHAR(36) NOT NULL,
    secret_hash VARCHAR(64) NOT NULL,
    created_at BIGINT NOT NULL,
    last_seen_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    address VARCHAR(100),
    user_agent VARCHAR(300)
);

CREATE TABLE socket_ticket (
    ticket_hash VARCHAR(64) NOT NULL PRIMARY KEY,
    session_id VARCHAR(36) NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE TABLE setup_token (
    token_hash VARCHAR(64) NOT NULL PRIMARY KEY,
    expires_at BIGINT NOT NULL
);

CREATE INDEX browsersession_user_id ON browser_session (user_id);

CREATE INDEX socketticket_expires_at ON socket_ticket (expires_at);
"""


DOWN = """
DROP TABLE setup_token;

DROP TABLE socket_ticket;

DROP TABLE browser_session;

ALTER TABLE app_user DROP COLUMN password_hash;
"""


def up(_migrator: Any, db: Any) -> None:
    """The same text serves SQLite and PostgreSQL."""
    _run(db, UP)


def down(_migrator: Any, db: Any) -> None:
    """Everybody is signed out, and passwords are forgotten."""
    _run(db, DOWN)


def _run(db: Any, statements: str) -> None:
    for statement in filter(str.strip, statements.split(";")):
        db.execute_sql(statement)
