"""The job types that organizations have defined, built-in ones that they have changed among them: JSON text, versioned."""

from collections.abc import Collection
from typing import Any, NamedTuple

import msgspec
from peewee import Database

from interlock.clock import Millis
from interlock.errors import NotFound, PreconditionFailed, QuotaExceeded
from store.accounts import By, audit
from store.locks import hold_org
from store.models import JobType


class TypeRow(NamedTuple):
    """A type as an org has defined it. `definition` is JSON text; `version` rises by one with each change."""

    name: str
    version: int
    definition: str
    created_at: Millis


_COLUMNS = [getattr(JobType, name) for name in TypeRow._fields]


def type_names(database: Database, org_id: str) -> list[str]:
    """The names of all types that the org has defined, in no order: databases differ in how they sort text."""
    query = JobType.select(JobType.name).where(JobType.org_id == org_id)
    return [name for (name,) in query.tuples().execute(database)]


def types_named(database: Database, org_id: str, names: Collection[str]) -> dict[str, TypeRow]:
    """Those of the names that the org has defined."""
    query = JobType.select(*_COLUMNS).where((JobType.org_id == org_id) & JobType.name.in_(list(names)))
    return {row[0]: TypeRow(*row) for row in query.tuples().execute(database)}


def put_type(  # every argument is one fact of the change
    database: Database,
    new_id: str,
    org_id: str,
    wanted: tuple[str, str],
    by: By,
    *,
    expected: Collection[int] | None = None,
    most: int = 0,
) -> tuple[TypeRow, bool]:
    """Write the type of that name and definition; one that says the same as the present one stays. And whether it is new.

    In a transaction of the caller's. `expected` are versions of which the present one must be one (0: it is not there),
    None for any; else `PreconditionFailed`. `QuotaExceeded` for a new one when the org has `most` (0: no limit).
    """
    name, definition = wanted
    present = _held(database, org_id, name)
    version = 0 if present is None else present.version
    if expected is not None and version not in expected:
        raise PreconditionFailed(f"The job type is at version {version}")
    if present is None:
        if most and len(type_names(database, org_id)) >= most:
            raise QuotaExceeded(f"An organization may have {most} job types of its own", retry_after=60)
        row = TypeRow(name, 1, definition, by.at)
        JobType.insert({"id": new_id, "org_id": org_id, **row._asdict()}).execute(database)
    elif present.definition == definition:
        return present, False
    else:
        row = present._replace(version=version + 1, definition=definition)
        values = {"version": row.version, "definition": definition}
        JobType.update(values).where(_is(org_id, name)).execute(database)
    detail = {"version": row.version, "changed": _changed("{}" if present is None else present.definition, definition)}
    audit(database, by, org_id, "type.put", ("type", name), detail)
    return row, present is None


def delete_type(
    database: Database, org_id: str, name: str, by: By, *, expected: Collection[int] | None = None
) -> TypeRow:
    """Remove it, and return what it was; `NotFound` when the org has not defined it. `expected` as above."""
    present = _held(database, org_id, name)
    if present is None:
        raise NotFound("No such job type")
    if expected is not None and present.version not in expected:
        raise PreconditionFailed(f"The job type is at version {present.version}")
    JobType.delete().where(_is(org_id, name)).execute(database)
    audit(database, by, org_id, "type.delete", ("type", name), {"version": present.version})
    return present


def _changed(before: str, after: str) -> list[str]:
    """The names of what differs; a new type has them all."""
    old, new = msgspec.json.decode(before), msgspec.json.decode(after)
    return sorted(name for name in old.keys() | new.keys() if name not in old or old[name] != new.get(name))


def _held(database: Database, org_id: str, name: str) -> TypeRow | None:
    """The row. Nobody else changes types of this org until the transaction ends."""
    hold_org(database, org_id)
    return types_named(database, org_id, [name]).get(name)


def _is(org_id: str, name: str) -> Any:
    return (JobType.org_id == org_id) & (JobType.name == name)
