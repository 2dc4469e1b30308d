"""The tables of the spine: tenants, people, hosts, jobs and their runs, logs and the audit trail."""

from typing import Any

TABLES = """
CREATE TABLE organization (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    name VARCHAR(200) NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE app_user (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    email VARCHAR(320) NOT NULL,
    name VARCHAR(200) NOT NULL,
    platform_admin BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE UNIQUE INDEX user_email ON app_user (email);

CREATE TABLE membership (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    org_id VARCHAR(36) NOT NULL,
    user_id VARCHAR(36) NOT NULL,
    role VARCHAR(20) NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE INDEX membership_user_id ON membership (user_id);

CREATE UNIQUE INDEX membership_org_id_user_id ON membership (org_id, user_id);

CREATE TABLE host (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    org_id VARCHAR(36) NOT NULL,
    name VARCHAR(200) NOT NULL,
    kind VARCHAR(20) NOT NULL,
    labels TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    owner VARCHAR(100),
    epoch BIGINT NOT NULL,
    next_seq BIGINT NOT NULL,
    rev BIGINT NOT NULL,
    paused BOOLEAN NOT NULL,
    paused_by VARCHAR(36),
    note TEXT,
    paused_until BIGINT,
    draining BOOLEAN NOT NULL,
    run_no BIGINT NOT NULL,
    instance_id VARCHAR(200),
    declares BOOLEAN NOT NULL,
    awaiting_idle BOOLEAN NOT NULL,
    unhealthy VARCHAR(200),
    last_seen_at BIGINT,
    delivered_at BIGINT
);

CREATE INDEX host_org_id ON host (org_id);

CREATE TABLE agent_key (
    kid VARCHAR(36) NOT NULL PRIMARY KEY,
    org_id VARCHAR(36) NOT NULL,
    host_id VARCHAR(36) NOT NULL,
    created_at BIGINT NOT NULL,
    revoked_at BIGINT
);

CREATE INDEX agentkey_host_id ON agent_key (host_id);

CREATE TABLE server_instance (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    org_id VARCHAR(36) NOT NULL,
    host_id VARCHAR(36) NOT NULL,
    name VARCHAR(200) NOT NULL,
    config TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE INDEX serverinstance_org_id ON server_instance (org_id);

CREATE INDEX serverinstance_host_id ON server_instance (host_id);

CREATE TABLE job_type (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    org_id VARCHAR(36) NOT NULL,
    name VARCHAR(100) NOT NULL,
    version INTEGER NOT NULL,
    definition TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE UNIQUE INDEX jobtype_org_id_name ON job_type (org_id, name);

CREATE TABLE job (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    org_id VARCHAR(36) NOT NULL,
    host_id VARCHAR(36),
    server_instance_id VARCHAR(36),
    type VARCHAR(100) NOT NULL,
    created_by_id VARCHAR(36),
    created_at BIGINT NOT NULL,
    payload TEXT NOT NULL,
    policy TEXT,
    timeout_ms BIGINT NOT NULL,
    priority INTEGER NOT NULL,
    run_at BIGINT,
    start_before BIGINT,
    seq BIGINT NOT NULL,
    max_attempts INTEGER NOT NULL,
    status VARCHAR(20) NOT NULL,
    attempts INTEGER NOT NULL,
    progress INTEGER NOT NULL,
    log_seq BIGINT NOT NULL,
    output TEXT,
    error_code VARCHAR(200),
    error_message TEXT,
    needs_user_action BOOLEAN NOT NULL,
    cancel_requested BOOLEAN NOT NULL,
    assigned_agent_id VARCHAR(36),
    started_at BIGINT,
    completed_at BIGINT
);

CREATE INDEX job_org_id_status_id ON job (org_id, status, id);

CREATE INDEX job_host_id_id ON job (host_id, id);

CREATE INDEX job_org_id_id ON job (org_id, id);

CREATE INDEX job_expiring ON job (start_before) WHERE start_before IS NOT NULL AND status = 'PENDING';

CREATE TABLE job_run (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    job_id VARCHAR(36) NOT NULL,
    org_id VARCHAR(36) NOT NULL,
    host_id VARCHAR(36),
    attempt INTEGER NOT NULL,
    created_at BIGINT NOT NULL,
    status VARCHAR(20) NOT NULL,
    available_at BIGINT,
    started_at BIGINT,
    finished_at BIGINT,
    run_no BIGINT,
    instance_id VARCHAR(200),
    taken_after VARCHAR(36),
    stop_reason VARCHAR(20) NOT NULL,
    timeout_at BIGINT,
    timeout_left_ms BIGINT,
    stop_by BIGINT,
    leased BOOLEAN NOT NULL,
    unreachable_at BIGINT,
    offered_until BIGINT,
    offers INTEGER NOT NULL,
    duration_ms BIGINT,
    error_code VARCHAR(200),
    error_message TEXT,
    output TEXT,
    report_hash VARCHAR(64)
);

CREATE INDEX jobrun_job_id ON job_run (job_id);

CREATE UNIQUE INDEX job_run_one_live ON job_run (host_id) WHERE status IN ('cancelling', 'offered', 'running', 'unreachable');

CREATE INDEX job_run_open ON job_run (host_id, status) WHERE status IN ('cancelling', 'offered', 'pending', 'running', 'scheduled', 'unreachable');

CREATE INDEX job_run_due ON job_run (available_at) WHERE status = 'scheduled';

CREATE TABLE job_log (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    org_id VARCHAR(36) NOT NULL,
    job_id VARCHAR(36) NOT NULL,
    job_run_id VARCHAR(36) NOT NULL,
    seq BIGINT NOT NULL,
    line_no BIGINT,
    level VARCHAR(20) NOT NULL,
    message TEXT NOT NULL,
    progress INTEGER,
    created_at BIGINT NOT NULL
);

CREATE UNIQUE INDEX joblog_job_id_seq ON job_log (job_id, seq);

CREATE UNIQUE INDEX joblog_job_run_id_line_no ON job_log (job_run_id, line_no);

CREATE TABLE late_report (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    org_id VARCHAR(36) NOT NULL,
    job_id VARCHAR(36) NOT NULL,
    job_run_id VARCHAR(36) NOT NULL,
    received_at BIGINT NOT NULL,
    body TEXT NOT NULL,
    body_hash VARCHAR(64) NOT NULL
);

CREATE INDEX latereport_job_id ON late_report (job_id);

CREATE UNIQUE INDEX latereport_job_run_id_body_hash ON late_report (job_run_id, body_hash);

CREATE TABLE audit_event (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    org_id VARCHAR(36),
    at BIGINT NOT NULL,
    actor_kind VARCHAR(20) NOT NULL,
    actor_id VARCHAR(100),
    action VARCHAR(100) NOT NULL,
    target_kind VARCHAR(50) NOT NULL,
    target_id VARCHAR(100),
    detail TEXT NOT NULL,
    request_id VARCHAR(100),
    address VARCHAR(100)
);

CREATE INDEX auditevent_org_id_id ON audit_event (org_id, id);

CREATE TABLE idempotency_key (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    org_id VARCHAR(36) NOT NULL,
    user_id VARCHAR(36) NOT NULL,
    key VARCHAR(255) NOT NULL,
    fingerprint VARCHAR(64) NOT NULL,
    response TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE INDEX idempotencykey_created_at ON idempotency_key (created_at);

CREATE UNIQUE INDEX idempotencykey_org_id_user_id_key ON idempotency_key (org_id, user_id, key);
"""


def up(_migrator: Any, db: Any) -> None:
    """Create them; the same text serves SQLite and PostgreSQL."""
    for statement in filter(str.strip, TABLES.split(";")):
        db.execute_sql(statement)


def down(_migrator: Any, db: Any) -> None:
    """Drop them, youngest first."""
    for statement in reversed(TABLES.split(";")):
        if "CREATE TABLE" in statement:
            db.execute_sql(f"DROP TABLE {statement.split()[2]}")
