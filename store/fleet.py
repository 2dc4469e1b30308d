"""An organization's hosts, their keys and its server instances, as its people see and change them.

What a user changes here are columns that a host's owner never writes: it is rung, and reads them.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec
from peewee import Database, fn

from interlock.clock import Millis
from interlock.errors import InvalidState, NotFound, PreconditionFailed
from store.accounts import By, audit, create_key
from store.locks import hold_org, locked
from store.models import LIVE_RUNS, OPEN_RUNS, AgentKey, Host, Job, JobRun, Membership, Organization, ServerInstance
from store.rows import HOST_COLUMNS, HostRow, host_from
from store.told import told

MOST_KEYS = 2  # of a host that hold at once: the old one and the new, while it is rotated

_HOST = [getattr(Host, name) for name in HOST_COLUMNS]
_SET_BY_PEOPLE = ("name", "labels", "paused", "note", "paused_until", "draining", "drain_until")


class OrgRow(NamedTuple):
    """An org, and what a user is in it."""

    id: str
    name: str
    role: str
    created_at: Millis


def orgs_page(database: Database, user_id: str, after: str, limit: int) -> list[OrgRow]:
    """Up to `limit` orgs of the user behind that id, oldest first."""
    query = _orgs_of(user_id).where(Organization.id > after).order_by(Organization.id).limit(limit)
    return [OrgRow(*row) for row in query.tuples().execute(database)]


def org_of(database: Database, user_id: str, org_id: str) -> OrgRow | None:
    """That org, if the user is a member of it."""
    query = _orgs_of(user_id).where(Organization.id == org_id)
    return next((OrgRow(*row) for row in query.tuples().execute(database)), None)


def rename_org(database: Database, org_id: str, name: str, by: By) -> bool:
    """Whether it had another name, in a transaction of the caller's. The audit trail gets what it `was`."""
    hold_org(database, org_id)
    named = Organization.select(Organization.name).where(Organization.id == org_id)
    ((was,),) = named.tuples().execute(database)
    if was == name:
        return False
    Organization.update(name=name).where(Organization.id == org_id).execute(database)
    audit(database, by, org_id, "org.update", ("org", org_id), {"name": name, "was": {"name": was}})
    return True


def _orgs_of(user_id: str) -> Any:
    columns = (Organization.id, Organization.name, Membership.role, Organization.created_at)
    memberships = Organization.select(*columns).join(Membership, on=(Membership.org_id == Organization.id))
    return memberships.where(Membership.user_id == user_id)


# ---- hosts -----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class HostSight:
    """A host with what waits in its line and what is in its slot."""

    host: HostRow
    pending: int = 0
    live_run_id: str | None = None
    live_status: str | None = None


def hosts_page(database: Database, org_id: str, after: str, limit: int) -> list[HostSight]:
    """Up to `limit` hosts of the org behind that id, oldest first."""
    query = Host.select(*_HOST).where((Host.org_id == org_id) & (Host.id > after)).order_by(Host.id).limit(limit)
    return _with_runs(database, query)


def host_sight(database: Database, org_id: str, host_id: str) -> HostSight | None:
    """One host of the org."""
    return next(iter(_with_runs(database, Host.select(*_HOST).where(_is(org_id, host_id)))), None)


def _with_runs(database: Database, hosts: Any) -> list[HostSight]:
    sights = {row[0]: HostSight(host_from(row)) for row in hosts.tuples().execute(database)}
    ids = list(sights)
    live = JobRun.select(JobRun.host_id, JobRun.id, JobRun.status).where(JobRun.host_id.in_(ids) & LIVE_RUNS)
    for host_id, run_id, status in live.tuples().execute(database):
        sights[host_id].live_run_id, sights[host_id].live_status = run_id, status
    waiting = JobRun.select(JobRun.host_id, fn.COUNT(JobRun.id)).where(
        JobRun.host_id.in_(ids) & OPEN_RUNS & (JobRun.status == "pending")
    )
    for host_id, count in waiting.group_by(JobRun.host_id).tuples().execute(database):
        sights[host_id].pending = count
    return list(sights.values())


def settings_mark(host: HostRow) -> str:
    """16 hex digits that change whenever people change the host, and with nothing that its agent or its jobs do."""
    values = [getattr(host, name) for name in _SET_BY_PEOPLE]
    plain = [
        bool(value) if name in {"paused", "draining"} else value
        for name, value in zip(_SET_BY_PEOPLE, values, strict=True)
    ]
    return hashlib.sha256(msgspec.json.encode(plain)).hexdigest()[:16]


def change_host(
    database: Database,
    org_id: str,
    host_id: str,
    values: Mapping[str, Any],
    by: By,
    detail: dict[str, Any],
    *,
    action: str = "host.update",
    expected: Collection[str] | None = None,
) -> None:
    """Write these columns, in a transaction of the caller's; `NotFound` when the org has no such host.

    `expected` are marks of its settings of which the present one must be one, None for any; else `PreconditionFailed`.
    The audit trail gets the columns of `detail`, and as `was` what those of them that are written held before.
    """
    _held(database, org_id, host_id)
    _expect(database, host_id, expected)
    was = _columns(database, host_id, [name for name in detail if name in values])
    Host.update(dict(values) | {"rev": Host.rev + 1}).where(Host.id == host_id).execute(database)
    audit(database, by, org_id, action, ("host", host_id), told(detail) | ({"was": told(was)} if was else {}))


def _columns(database: Database, host_id: str, names: Sequence[str]) -> dict[str, Any]:
    """What these columns of the host hold."""
    if not names:
        return {}
    (row,) = Host.select(*_HOST).where(Host.id == host_id).tuples().execute(database)
    host = host_from(row)
    return {name: bool(value) if name == "paused" else value for name in names for value in [getattr(host, name)]}


def open_jobs_of(database: Database, host_id: str, limit: int, instance_id: str | None = None) -> list[str]:
    """Jobs with a run on the host that has not ended; those about one of its instances, if it is given."""
    query = JobRun.select(JobRun.job_id).where((JobRun.host_id == host_id) & OPEN_RUNS).limit(limit)
    if instance_id is not None:
        query = query.join(Job, on=(Job.id == JobRun.job_id)).where(Job.server_instance_id == instance_id)
    return [job_id for (job_id,) in query.tuples().execute(database)]


def delete_host(
    database: Database, org_id: str, host_id: str, by: By, expected: Collection[str] | None = None
) -> list[str] | None:
    """Remove the host with its server instances and revoke its keys, whose ids are returned; unless a run of it is open:
    then nothing, and None. `expected` as above.
    """
    _held(database, org_id, host_id)
    _expect(database, host_id, expected)
    if open_jobs_of(database, host_id, 1):
        return None
    kids = [key.kid for key in keys_of(database, org_id, host_id)]
    _revoke(database, AgentKey.host_id == host_id, by)
    ServerInstance.delete().where(ServerInstance.host_id == host_id).execute(database)
    Host.delete().where(Host.id == host_id).execute(database)
    audit(database, by, org_id, "host.delete", ("host", host_id), {})
    return kids


def _expect(database: Database, host_id: str, expected: Collection[str] | None) -> None:
    if expected is None:
        return
    (row,) = Host.select(*_HOST).where(Host.id == host_id).tuples().execute(database)
    if settings_mark(host_from(row)) not in expected:
        raise PreconditionFailed("The host has been changed meanwhile: read it again")


def _held(database: Database, org_id: str, *host_ids: str) -> None:
    """Nobody else changes these hosts of the org until the transaction ends."""
    hosts = Host.select(Host.id).where(Host.id.in_(host_ids) & (Host.org_id == org_id))
    if len(locked(database, hosts)) != len(set(host_ids)):
        raise NotFound("No such host")


def _is(org_id: str, host_id: str) -> Any:
    return (Host.id == host_id) & (Host.org_id == org_id)


# ---- keys ------------------------------------------------------------------------------------------------------


class KeyRow(NamedTuple):
    """An agent's key as it stands."""

    kid: str
    created_at: Millis
    revoked_at: Millis | None


def keys_of(database: Database, org_id: str, host_id: str) -> list[KeyRow]:
    """All keys that the host ever had, oldest first."""
    query = AgentKey.select(AgentKey.kid, AgentKey.created_at, AgentKey.revoked_at).order_by(AgentKey.kid)
    query = query.where((AgentKey.host_id == host_id) & (AgentKey.org_id == org_id))
    return [KeyRow(*row) for row in query.tuples().execute(database)]


def add_key(database: Database, kid: str, org_id: str, host_id: str, by: By) -> None:
    """A further key; `InvalidState` when the host has as many that hold as it may have."""
    _held(database, org_id, host_id)
    if sum(key.revoked_at is None for key in keys_of(database, org_id, host_id)) >= MOST_KEYS:
        raise InvalidState(f"{MOST_KEYS} keys of this host hold: revoke one of them first")
    create_key(database, kid, org_id, host_id, by)


def revoke_key(database: Database, kid: str, org_id: str, host_id: str, by: By) -> None:
    """The key no longer holds; one that was revoked before stays so. `NotFound` when the host has none of that id."""
    _held(database, org_id, host_id)
    if all(key.kid != kid for key in keys_of(database, org_id, host_id)):
        raise NotFound("No such key")
    if _revoke(database, AgentKey.kid == kid, by):
        audit(database, by, org_id, "key.revoke", ("host", host_id), {"kid": kid})


def _revoke(database: Database, which: Any, by: By) -> int:
    query = AgentKey.update(revoked_at=by.at).where(which & AgentKey.revoked_at.is_null())
    revoked: int = query.execute(database)
    return revoked


# ---- server instances ------------------------------------------------------------------------------------------


class InstanceRow(NamedTuple):
    """A server instance; `config` is JSON text."""

    id: str
    org_id: str
    host_id: str
    name: str
    config: str
    created_at: Millis


_INSTANCE: Sequence[Any] = [getattr(ServerInstance, name) for name in InstanceRow._fields]


def instances_page(
    database: Database, org_id: str, after: str, limit: int, host_id: str | None = None
) -> list[InstanceRow]:
    """Up to `limit` instances of the org behind that id, oldest first; those of one host, if it is given."""
    query = ServerInstance.select(*_INSTANCE).where((ServerInstance.org_id == org_id) & (ServerInstance.id > after))
    if host_id is not None:
        query = query.where(ServerInstance.host_id == host_id)
    return [InstanceRow(*row) for row in query.order_by(ServerInstance.id).limit(limit).tuples().execute(database)]


def instance_of(database: Database, org_id: str, instance_id: str) -> InstanceRow | None:
    """One instance of the org."""
    query = ServerInstance.select(*_INSTANCE).where(
        (ServerInstance.id == instance_id) & (ServerInstance.org_id == org_id)
    )
    return next((InstanceRow(*row) for row in query.tuples().execute(database)), None)


def change_instance(
    database: Database, instance: InstanceRow, values: Mapping[str, Any], by: By, detail: dict[str, Any]
) -> InstanceRow | None:
    """The instance with these columns; None, and nothing written, if it is to move while a job about it is open."""
    to = str(values.get("host_id", instance.host_id))
    _held(database, instance.org_id, instance.host_id, to)
    if not _stands_still(database, instance, leaves=to != instance.host_id):
        return None
    ServerInstance.update(dict(values)).where(ServerInstance.id == instance.id).execute(database)
    was = {name: getattr(instance, name) for name in detail}
    audit(
        database, by, instance.org_id, "instance.update", ("instance", instance.id), told(detail) | {"was": told(was)}
    )
    return instance_of(database, instance.org_id, instance.id)


def delete_instance(database: Database, instance: InstanceRow, by: By) -> bool | None:
    """True once it is removed; None, and nothing written, while a job about it is open."""
    _held(database, instance.org_id, instance.host_id)
    if not _stands_still(database, instance, leaves=True):
        return None
    ServerInstance.delete().where(ServerInstance.id == instance.id).execute(database)
    audit(database, by, instance.org_id, "instance.delete", ("instance", instance.id), {"name": instance.name})
    return True


def _stands_still(database: Database, instance: InstanceRow, *, leaves: bool) -> bool:
    """Whether it is where it was read; and, if it `leaves` its host, whether no job about it is open there."""
    if instance_of(database, instance.org_id, instance.id) != instance:
        return False
    return not leaves or not open_jobs_of(database, instance.host_id, 1, instance.id)
