"""What comes from outside fits the columns: PostgreSQL refuses a text that is too long, SQLite would let it through."""

from typing import Any

import pytest

from runtime.settings import Settings
from store.models import AuditEvent, BrowserSession, Host, IdempotencyKey, Job, JobLog, JobRun, User
from web import access, agent_messages, idempotency, job_types, passwords, sign_in


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
        (User.email, sign_in.MAX_EMAIL),
        (User.password_hash, len(passwords.make_hash("x", passwords.Cost(8, 1))) + len("4194304100")),
        (BrowserSession.user_agent, sign_in.MAX_AGENT),
        (BrowserSession.address, sign_in.MAX_ADDRESS),
        (Job.type, max(len(name) for name in job_types.BUILT_IN)),
    ],
)
def test_a_column_is_as_wide_as_what_may_come(column: Any, longest: int) -> None:
    assert longest <= column.max_length
