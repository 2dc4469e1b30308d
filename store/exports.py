"""Rows as they leave for good, in the words of `told`. Never a secret.

What a job type hides of a payload stays hidden: `payload` is what users see. The names are those of the columns, so that
what is exported stays readable by the same names.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from peewee import BooleanField, Database, Expression, Model, Tuple

from interlock.clock import Millis
from store.job_lines import SLACK, id_at
from store.models import AuditEvent, Host, Job, JobType, ServerInstance
from store.retention import OF_A_JOB
from store.told import told

Record = dict[str, Any]
PORTION = 200  # rows that are read at once
_TABLES: dict[str, type[Model]] = {"job": Job, **OF_A_JOB, "audit_event": AuditEvent}
_OF_ORG: dict[str, type[Model]] = {"host": Host, "server_instance": ServerInstance, "job_type": JobType}
_UNSHOWN = {"payload_shown", "owner", "epoch", "rev", "next_seq", "log_seq"}
KINDS = ("job", *OF_A_JOB, "audit_event", *_OF_ORG)  # what can be exported, by table


def records(database: Database, table: str, keys: Sequence[str]) -> list[Record]:
    """The rows with these ids, in their order, as documents; those that are gone are left out."""
    return _documents(database, table, _TABLES[table], list(keys))


def _documents(database: Database, table: str, model: Any, keys: list[str]) -> list[Record]:
    query = model.select().where(model.id.in_(keys)).order_by(model.id).dicts()
    return [_record(table, model, row) for row in query.execute(database)]


def jobs_of(
    database: Database, org_id: str, kinds: Sequence[str], since: Millis | None, until: Millis | None
) -> Iterator[Record]:
    """The org's jobs that were created in [since, until), the oldest first, each followed by what belongs to it, as far as
    `kinds` names it. Read in portions: memory does not grow.
    """
    after = "" if since is None else id_at(since - SLACK)
    below = "zz" if until is None else id_at(until + SLACK)
    while True:
        row = Tuple(Job.org_id, Job.id)  # as in lists: so that it is this index, whatever the planner believes
        inside = Expression(row, ">", Tuple(org_id, after)) & Expression(row, "<", Tuple(org_id, below))
        rows = list(Job.select().where(inside).order_by(Job.org_id, Job.id).limit(PORTION).dicts().execute(database))
        for job in rows:
            if job["created_at"] >= (since or 0) and (until is None or job["created_at"] < until):
                if "job" in kinds:
                    yield _record("job", Job, job)
                for table, model in OF_A_JOB.items():
                    if table in kinds:
                        yield from _of_a_job(database, table, model, job["id"])
        if len(rows) < PORTION:
            return
        after = rows[-1]["id"]


def _of_a_job(database: Database, table: str, model: Any, job_id: str) -> Iterator[Record]:
    order = model.seq if table == "job_log" else model.id
    after: Any = -1 if table == "job_log" else ""
    while True:
        query = model.select().where((model.job_id == job_id) & (order > after)).order_by(order).limit(PORTION)
        rows = list(query.dicts().execute(database))
        yield from (_record(table, model, row) for row in rows)
        if len(rows) < PORTION:
            return
        after = rows[-1][order.name]


def of_org(
    database: Database, org_id: str, table: str, since: Millis | None = None, until: Millis | None = None
) -> Iterator[Record]:
    """The org's audit trail in [since, until), or all of its hosts, server instances or own job types, the oldest first."""
    model: Any = AuditEvent if table == "audit_event" else _OF_ORG[table]
    timed = table == "audit_event"
    after = id_at(since) if timed and since is not None else ""
    below = id_at(until) if timed and until is not None else "zz"
    while True:
        inside = (model.org_id == org_id) & (model.id > after) & (model.id < below)
        rows = list(model.select().where(inside).order_by(model.id).limit(PORTION).dicts().execute(database))
        yield from (_record(table, model, row) for row in rows)
        if len(rows) < PORTION:
            return
        after = rows[-1]["id"]


def _record(table: str, model: Any, row: dict[str, Any]) -> Record:
    flags = {field.name for field in model._meta.sorted_fields if isinstance(field, BooleanField)}  # noqa: SLF001 - peewee's own way
    if row.get("payload_shown") is not None:
        row = row | {"payload": row["payload_shown"]}
    return {"table": table} | told({name: value for name, value in row.items() if name not in _UNSHOWN}, flags)
