"""Reading the audit trail. It is written by whoever makes a change, in the transaction of the change."""

from typing import NamedTuple

from peewee import Database

from interlock.clock import Millis
from store.models import AuditEvent


class AuditRow(NamedTuple):
    """A line; `detail` is JSON text."""

    id: str
    org_id: str | None
    at: Millis
    actor_kind: str
    actor_id: str | None
    action: str
    target_kind: str
    target_id: str | None
    detail: str
    request_id: str | None
    address: str | None


class AuditFilter(NamedTuple):
    """What a page is narrowed to; None is everything."""

    action: str | None = None
    actor_id: str | None = None
    target_id: str | None = None


def audit_page(database: Database, org_id: str, narrow: AuditFilter, before: str, limit: int) -> list[AuditRow]:
    """Up to `limit` lines of the org, newest first; those before that id, if it is not empty."""
    columns = [getattr(AuditEvent, name) for name in AuditRow._fields]
    query = AuditEvent.select(*columns).where(AuditEvent.org_id == org_id)
    if before:
        query = query.where(AuditEvent.id < before)
    for name, wanted in narrow._asdict().items():
        if wanted is not None:
            query = query.where(getattr(AuditEvent, name) == wanted)
    return [AuditRow(*row) for row in query.order_by(AuditEvent.id.desc()).limit(limit).tuples().execute(database)]
