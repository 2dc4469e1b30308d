"""Nodes of a cluster, what they ask of a run that another node owns, and indexes that are quicker to write."""

from typing import Any

UP = """
CREATE TABLE node (
    id VARCHAR(100) NOT NULL PRIMARY KEY,
    url VARCHAR(300) NOT NULL,
    started_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE TABLE shared_secret (
    name VARCHAR(50) NOT NULL PRIMARY KEY,
    secret VARCHAR(200) NOT NULL
);

CREATE INDEX node_expires_at ON node (expires_at);

ALTER TABLE job_run ADD COLUMN asked_to_stop VARCHAR(10);

CREATE INDEX host_owned ON host (owner) WHERE owner IS NOT NULL;

DROP INDEX job_run_one_live;

CREATE UNIQUE INDEX job_run_one_live ON job_run (host_id) WHERE status = 'cancelling' OR status = 'offered' OR status = 'running' OR status = 'unreachable';

DROP INDEX job_run_open;

CREATE INDEX job_run_open ON job_run (host_id, created_at) WHERE finished_at IS NULL;
"""


DOWN = """
DROP INDEX job_run_open;

CREATE INDEX job_run_open ON job_run (host_id, status) WHERE status IN ('cancelling', 'offered', 'pending', 'running', 'scheduled', 'unreachable');

DROP INDEX host_owned;

ALTER TABLE job_run DROP COLUMN asked_to_stop;

DROP TABLE shared_secret;

DROP TABLE node;
"""


def up(_migrator: Any, db: Any) -> None:
    """The same text serves SQLite and PostgreSQL."""
    _run(db, UP)


def down(_migrator: Any, db: Any) -> None:
    """The index over live states says the same in either wording: it stays."""
    _run(db, DOWN)


def _run(db: Any, statements: str) -> None:
    for statement in filter(str.strip, statements.split(";")):
        db.execute_sql(statement)
