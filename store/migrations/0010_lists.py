"""Lists of a million jobs: a host's jobs within their organization, and what an organization's jobs are narrowed by
without looking at their rows. No more indexes than before: on PostgreSQL every change of a job writes to all of them.
And which rows lead to a file.
"""

from typing import Any

UP = """
DROP INDEX job_host_id_id;

DROP INDEX job_org_id_id;

CREATE INDEX job_org_id_host_id_id ON job (org_id, host_id, id);

CREATE INDEX job_org_id_id_type_created_by_id ON job (org_id, id, type, created_by_id);

CREATE INDEX asset_sha256 ON asset (sha256);
"""

DOWN = """
DROP INDEX asset_sha256;

DROP INDEX job_org_id_id_type_created_by_id;

DROP INDEX job_org_id_host_id_id;

CREATE INDEX job_org_id_id ON job (org_id, id);

CREATE INDEX job_host_id_id ON job (host_id, id);
"""


def up(_migrator: Any, db: Any) -> None:
    """The same text serves SQLite and PostgreSQL."""
    for statement in filter(str.strip, UP.split(";")):
        db.execute_sql(statement)


def down(_migrator: Any, db: Any) -> None:
    """Lists read whole organizations again where they are narrowed."""
    for statement in filter(str.strip, DOWN.split(";")):
        db.execute_sql(statement)
