"""What comes from outside fits the columns: PostgreSQL refuses a text that is too long, SQLite would let it through."""

from typing import Any

import pytest

from runtime.settings import Settings
from store.models import AuditEvent, Host, IdempotencyKey, Job, JobLog, JobRun
from web import access, agent_messages, idempotency, job_types


@pytest.mark.parametrize(
    ("column", "longest"),
    [
        (Host.instance_id, agent_messages.MAX_INSTANCE),
        (JobRun.instance_id, agent_messages.MAX_INSTANCE),
        (JobRun.error_code, agent_messages.MAX_CODE),
        (Job.error_code, agent_messages.MAX_CODE),
        (JobLog.level, agent_messages._LEVELS),
        (IdempotencyKey.key, idempotency._LONGEST + len(f"#{Settings().max_batch_jobs}")),  # of a batch's part
        (AuditEvent.request_id, access._LONGEST_ID),
        (Job.type, max(len(name) for name in job_types.BUILT_IN)),
    ],
)
def test_a_column_is_as_wide_as_what_may_come(column: Any, longest: int) -> None:
    assert longest <= column.max_length
