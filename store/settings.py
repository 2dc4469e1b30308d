"""An organization's settings: one JSON document with a version that rises by one with each change."""

from collections.abc import Collection
from typing import Any, NamedTuple

import msgspec
from peewee import Database, PostgresqlDatabase, Query

from interlock.clock import Millis
from interlock.errors import PreconditionFailed
from store.accounts import By, audit
from store.compiled import ARG, rows
from store.models import OrgSetting

_ABSENT = object()  # unlike any value


class Setting(NamedTuple):
    """The document as JSON text."""

    version: int
    document: str
    updated_at: Millis


def setting_of(database: Database, org_id: str) -> Setting | None:
    """The org's settings; None while nothing was ever set."""
    return next((Setting(*row) for row in rows(database, _setting, org_id)), None)


def _setting() -> Query:
    columns = (OrgSetting.version, OrgSetting.document, OrgSetting.updated_at)
    return OrgSetting.select(*columns).where(OrgSetting.org_id == ARG)


def versions_of(database: Database, org_ids: Collection[str]) -> dict[str, int]:
    """The present version by org; an org without settings is not in it."""
    query = OrgSetting.select(OrgSetting.org_id, OrgSetting.version).where(OrgSetting.org_id.in_(list(org_ids)))
    return dict(query.tuples().execute(database))


def put_setting(
    database: Database, org_id: str, document: str, by: By, expected: Collection[int] | None = None
) -> Setting:
    """Write the document, in a transaction of the caller's; one that says the same as the present one stays.

    `expected` are versions of which the present one must be one, None for any; else `PreconditionFailed`. The audit trail
    gets the version and the names of what `changed`, never a value: one may be a secret.
    """
    first = {"org_id": org_id, "version": 0, "document": "", "updated_at": by.at, "updated_by": by.id}
    OrgSetting.insert(first).on_conflict_ignore().execute(database)
    present = _held(database, org_id)
    if expected is not None and present.version not in expected:
        raise PreconditionFailed(f"The settings are at version {present.version}")
    if present.document == document:
        return present
    now = Setting(present.version + 1, document, by.at)
    values = {"version": now.version, "document": document, "updated_at": by.at, "updated_by": by.id}
    OrgSetting.update(values).where(OrgSetting.org_id == org_id).execute(database)
    detail = {"version": now.version, "changed": _changed(present.document, document)}
    audit(database, by, org_id, "settings.update", ("settings", org_id), detail)
    return now


def _changed(before: str, after: str) -> list[str]:
    """The names of what differs, such as `platform.apiUrl`."""
    old, new = _parts(before), _parts(after)
    return sorted(name for name in old.keys() | new.keys() if old.get(name, _ABSENT) != new.get(name, _ABSENT))


def _parts(text: str) -> dict[str, Any]:
    document = msgspec.json.decode(text) if text else {}
    parts = {f"platform.{key}": value for key, value in document.get("platform", {}).items()}
    return parts | {f"connectors.{each['id']}": each for each in document.get("connectors", [])}


def _held(database: Database, org_id: str) -> Setting:
    """The row, which nobody else changes until the transaction ends."""
    query = OrgSetting.select(OrgSetting.version, OrgSetting.document, OrgSetting.updated_at)
    query = query.where(OrgSetting.org_id == org_id)
    if isinstance(database, PostgresqlDatabase):
        query = query.for_update()
    ((version, document, updated_at),) = query.tuples().execute(database)
    return Setting(version, document, updated_at)
