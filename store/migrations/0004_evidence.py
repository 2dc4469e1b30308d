"""What agents find and keep: evidence, and the files that belong to it."""

from typing import Any

UP = """
CREATE TABLE evidence (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    org_id VARCHAR(36) NOT NULL,
    job_id VARCHAR(36) NOT NULL,
    job_run_id VARCHAR(36) NOT NULL,
    hash VARCHAR(64) NOT NULL,
    size_bytes BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    collected_at BIGINT NOT NULL,
    type VARCHAR(100) NOT NULL,
    confidence VARCHAR(10) NOT NULL,
    source TEXT NOT NULL,
    title TEXT NOT NULL,
    url TEXT,
    snippet TEXT NOT NULL
);

CREATE UNIQUE INDEX evidence_job_id_hash ON evidence (job_id, hash);

CREATE INDEX evidence_job_id_id ON evidence (job_id, id);

CREATE TABLE asset (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    org_id VARCHAR(36) NOT NULL,
    job_id VARCHAR(36) NOT NULL,
    job_run_id VARCHAR(36) NOT NULL,
    name VARCHAR(255) NOT NULL,
    content_type VARCHAR(200) NOT NULL,
    size_bytes BIGINT NOT NULL,
    sha256 VARCHAR(64) NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE UNIQUE INDEX asset_job_run_id_name_sha256 ON asset (job_run_id, name, sha256);

CREATE INDEX asset_job_id_id ON asset (job_id, id);

CREATE INDEX asset_org_id_size_bytes ON asset (org_id, size_bytes);
"""


def up(_migrator: Any, db: Any) -> None:
    """The same text serves SQLite and PostgreSQL."""
    for statement in filter(str.strip, UP.split(";")):
        db.execute_sql(statement)


def down(_migrator: Any, db: Any) -> None:
    """Forget them; the files stay."""
    db.execute_sql("DROP TABLE asset")
    db.execute_sql("DROP TABLE evidence")
