"""Reading the audit trail. It is written by whoever makes a change, in the transaction of the change."""

from typing import Any, NamedTuple

from peewee import Database, Expression, Tuple

from interlock.clock import Millis
from store.models import AuditEvent

LOOKED_AT = 2000  # lines at which a narrowed page looks: some ms


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


def audit_page(
    database: Database, org_id: str, narrow: AuditFilter, before: str, limit: int, down_to: str = ""
) -> list[AuditRow]:
    """Up to `limit` lines of the org, newest first; those before that id, if it is not empty, and none below `down_to`."""
    columns = [getattr(AuditEvent, name) for name in AuditRow._fields]
    query = AuditEvent.select(*columns).where(_within(org_id, before, down_to))
    for name, wanted in narrow._asdict().items():
        if wanted is not None:
            query = query.where(getattr(AuditEvent, name) == wanted)
    return [AuditRow(*row) for row in query.order_by(*_NEWEST_FIRST).limit(limit).tuples().execute(database)]


def audit_reach(database: Database, org_id: str, narrow: AuditFilter, before: str) -> str:
    """The id down to which a narrowed page may look, so that one that hardly anything fits does not read all; "" is all."""
    if not any(narrow):
        return ""
    query = AuditEvent.select(AuditEvent.id).where(_within(org_id, before, ""))
    found = list(query.order_by(*_NEWEST_FIRST).offset(LOOKED_AT - 1).limit(2).tuples().execute(database))
    return str(found[0][0]) if len(found) > 1 else ""


_NEWEST_FIRST = (AuditEvent.org_id.desc(), AuditEvent.id.desc())


def _within(org_id: str, before: str, down_to: str) -> Any:
    """Whole rows are compared, and sorted by: as in `job_lines`, so that no planner takes another index."""
    row = Tuple(AuditEvent.org_id, AuditEvent.id)
    low, top = Tuple(org_id, down_to), Tuple(org_id, before or "zz")
    return Expression(row, ">=", low) & Expression(row, "<", top)
