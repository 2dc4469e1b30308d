"""Tenants, people, hosts and keys: the rows behind a credential, and how they come to be."""

from collections.abc import Mapping
from dataclasses import dataclass
from sys import intern
from typing import Any

import msgspec
from peewee import Database, IntegrityError, Model, Query, fn

from interlock.clock import Millis
from interlock.errors import InvalidRequest, NotFound
from store.compiled import ARG, rows
from store.models import (
    AgentKey,
    AuditEvent,
    Host,
    JobType,
    Membership,
    Organization,
    ServerInstance,
    SetupToken,
    User,
)

KINDS = ("machine", "device")  # of hosts: a device is what S2 calls a DeviceAgent, such as a browser extension
MAX_EMAIL = 320  # characters
MAX_LABELS = 50
MAX_LABEL_KEY = 100  # characters
MAX_LABEL_VALUE = 200  # characters
ROLES = ("viewer", "operator", "admin", "owner")  # each may do what those before it may
_TOLD = 5  # ids that a refusal lists
_MOST_INSTANCES = 50  # of a host that come along with the key of its agent


@dataclass(frozen=True, slots=True)
class Person:
    """A user."""

    id: str
    email: str
    name: str
    platform_admin: bool


@dataclass(frozen=True, slots=True)
class Key:
    """An agent's credential as it stands."""

    kid: str
    org_id: str
    host_id: str
    revoked_at: Millis | None


def somebody_exists(database: Database) -> bool:
    """Whether any account exists: until then the server asks to be set up."""
    return bool(list(User.select(User.id).limit(1).tuples().execute(database)))


def person(database: Database, name: str) -> Person | None:
    """The user of that id or e-mail address, whose case does not count."""
    if not name.isprintable():
        return None
    known = next((Person(row[0], row[1], row[2], bool(row[3])) for row in rows(database, _person, name, name)), None)
    if known is not None or "@" not in name:
        return known
    address = address_as_kept(database, name)
    return None if address is None else person(database, address)


def _person() -> Query:
    columns = (User.id, User.email, User.name, User.platform_admin)
    return User.select(*columns).where((User.id == ARG) | (User.email == ARG))


def address_as_kept(database: Database, email: str) -> str | None:
    """The address of an account that is this one but for its case: as it is here, else in lower case, else the oldest.

    New ones are kept in lower case; of older ones several may differ in nothing else.
    """
    lowered = email.lower()
    found = rows(database, _at_hand, email, lowered) or rows(database, _alike, lowered)
    known = [address for (address,) in found]
    return email if email in known else next(iter(known), None)


def _at_hand() -> Query:
    return User.select(User.email).where((User.email == ARG) | (User.email == ARG))


def _alike() -> Query:
    return User.select(User.email).where(fn.LOWER(User.email) == ARG).order_by(User.id)


def role_of(database: Database, org_id: str, user_id: str) -> str | None:
    """What the user is in the org."""
    return next((role for (role,) in rows(database, _role, org_id, user_id)), None)


def _role() -> Query:
    return Membership.select(Membership.role).where((Membership.org_id == ARG) & (Membership.user_id == ARG))


def orgs_of(database: Database, user_id: str) -> list[str]:
    """The orgs of which the user is a member."""
    query = Membership.select(Membership.org_id).where(Membership.user_id == user_id)
    return [org_id for (org_id,) in query.tuples().execute(database)]


def key_of(database: Database, kid: str) -> Key | None:
    """The agent key of that id."""
    found = rows(database, _key, kid)
    return next((Key(row[0], intern(row[1]), row[2], row[3]) for row in found), None)


def _key() -> Query:
    columns = (AgentKey.kid, AgentKey.org_id, AgentKey.host_id, AgentKey.revoked_at)
    return AgentKey.select(*columns).where(AgentKey.kid == ARG)


def org_of_host(database: Database, host_id: str) -> str | None:
    """Whose host it is."""
    return next((org_id for (org_id,) in rows(database, _host, host_id)), None)


def _host() -> Query:
    return Host.select(Host.org_id).where(Host.id == ARG)


def place_of_instance(database: Database, instance_id: str) -> tuple[str, str] | None:
    """The org and the host of a server instance."""
    return next(((row[0], row[1]) for row in rows(database, _instance, instance_id)), None)


def _instance() -> Query:
    columns = (ServerInstance.org_id, ServerInstance.host_id)
    return ServerInstance.select(*columns).where(ServerInstance.id == ARG)


def instances_on(database: Database, host_id: str) -> list[str]:
    """The server instances of a host; of very many, some."""
    return [instance_id for (instance_id,) in rows(database, _instances_on, host_id, _MOST_INSTANCES)]


def _instances_on() -> Query:
    return ServerInstance.select(ServerInstance.id).where(ServerInstance.host_id == ARG).limit(ARG)


def definition_of_type(database: Database, org_id: str, name: str) -> str | None:
    """An org's own definition of a job type, as JSON text."""
    return next((text for (text,) in rows(database, _type, org_id, name)), None)


def _type() -> Query:
    return JobType.select(JobType.definition).where((JobType.org_id == ARG) & (JobType.name == ARG))


# ---- coming to be: each in a transaction of the caller's, with its line in the audit trail ------------------------


@dataclass(frozen=True, slots=True)
class By:
    """Who changes the fleet, when, and where the ids of its audit lines come from."""

    kind: str
    id: str | None
    at: Millis
    audit_id: str
    request_id: str | None = None
    address: str | None = None  # from where


def create_org(database: Database, org_id: str, name: str, by: By) -> None:
    """A tenant."""
    _insert(database, Organization, {"id": org_id, "name": clean_name(name), "created_at": by.at})
    audit(database, by, org_id, "org.create", ("org", org_id), {"name": name})


def create_user(
    database: Database,
    user_id: str,
    *,
    email: str,
    name: str,
    platform_admin: bool,
    by: By,
    password_hash: str | None = None,
) -> None:
    """A person; `InvalidRequest` when the address is taken or none. Whoever comes first closes the door of the set-up."""
    address, taken = clean_email(email), f"{email} has an account already"
    if address_as_kept(database, address) is not None:
        raise InvalidRequest(taken)
    values = {
        "id": user_id,
        "email": address,
        "name": clean_name(name),
        "platform_admin": platform_admin,
        "created_at": by.at,
        "password_hash": password_hash,
    }
    SetupToken.delete().execute(database)
    _insert(database, User, values, taken=taken)
    audit(database, by, None, "user.create", ("user", user_id), {"email": address, "platformAdmin": platform_admin})


def add_member(database: Database, membership_id: str, org_id: str, user_id: str, role: str, by: By) -> None:
    """A user's role in an org."""
    if role not in ROLES:
        raise InvalidRequest.at("$.role", f"expected one of {', '.join(ROLES)}")
    values = {"id": membership_id, "org_id": org_id, "user_id": user_id, "role": role, "created_at": by.at}
    _insert(database, Membership, values, taken="the user is a member already")
    audit(database, by, org_id, "member.add", ("user", user_id), {"role": role})


def create_host(
    database: Database,
    host_id: str,
    org_id: str,
    name: str,
    by: By,
    *,
    kind: str = "machine",
    labels: Mapping[str, str] | None = None,
) -> None:
    """A host that has never connected."""
    if kind not in KINDS:
        raise InvalidRequest.at("$.kind", f"expected one of {', '.join(KINDS)}")
    values = {
        "id": host_id,
        "org_id": org_id,
        "name": clean_name(name),
        "kind": kind,
        "labels": label_text(labels or {}),
        "created_at": by.at,
        "epoch": 0,
        "next_seq": 1,
        "rev": 0,
        "paused": False,
        "draining": False,
        "run_no": 0,
        "declares": False,
        "awaiting_idle": False,
    }
    _insert(database, Host, values)
    audit(database, by, org_id, "host.create", ("host", host_id), {"name": name, "kind": kind})


def label_text(labels: Mapping[str, str]) -> str:
    """Labels as a host's row has them: JSON, sorted by key. `InvalidRequest` for too many, or one that is not printable."""
    if len(labels) > MAX_LABELS:
        raise InvalidRequest.at("$.labels", f"up to {MAX_LABELS} labels")
    for key, value in labels.items():
        if not 1 <= len(key) <= MAX_LABEL_KEY or not key.isprintable():
            raise InvalidRequest.at("$.labels", f"a key has 1 to {MAX_LABEL_KEY} printable characters")
        if len(value) > MAX_LABEL_VALUE or not value.isprintable():
            raise InvalidRequest.at(f"$.labels.{key}", f"up to {MAX_LABEL_VALUE} printable characters")
    return msgspec.json.encode(dict(sorted(labels.items()))).decode()


def create_key(database: Database, kid: str, org_id: str, host_id: str, by: By) -> None:
    """An agent key; the credential itself is never stored."""
    _insert(database, AgentKey, {"kid": kid, "org_id": org_id, "host_id": host_id, "created_at": by.at})
    audit(database, by, org_id, "key.create", ("host", host_id), {"kid": kid})


def create_instance(
    database: Database, instance_id: str, org_id: str, host_id: str, name: str, by: By, *, config: str = "{}"
) -> None:
    """A server instance on a host of the same org; `config` is JSON text."""
    if org_of_host(database, host_id) != org_id:
        raise NotFound("The organization has no such host")
    values = {"id": instance_id, "org_id": org_id, "host_id": host_id, "name": clean_name(name), "config": config}
    _insert(database, ServerInstance, values | {"created_at": by.at})
    audit(database, by, org_id, "instance.create", ("instance", instance_id), {"name": name, "hostId": host_id})


def org_named(database: Database, name: str) -> str:
    """The id of the org that is called so or has that id; `NotFound`, or `InvalidRequest` when several are."""
    return _one(database, Organization, name, None, "organization")


def host_named(database: Database, name: str, org_id: str) -> str:
    """The id of the org's host that is called so or has that id."""
    return _one(database, Host, name, org_id, "host")


def orgs_called(database: Database, name: str) -> list[str]:
    """The ids of the orgs of that name, oldest first."""
    query = Organization.select(Organization.id).where(Organization.name == name).order_by(Organization.id)
    return [org_id for (org_id,) in query.tuples().execute(database)]


def all_orgs(database: Database) -> list[tuple[str, str]]:
    """Id and name of every org, oldest first."""
    query = Organization.select(Organization.id, Organization.name).order_by(Organization.id)
    return list(query.tuples().execute(database))


def _one(database: Database, model: Any, name: str, org_id: str | None, what: str) -> str:
    query = model.select(model.id).where((model.id == name) | (model.name == name))
    if org_id is not None:
        query = query.where(model.org_id == org_id)
    found = (
        [row_id for (row_id,) in query.order_by(model.id).limit(_TOLD + 1).tuples().execute(database)]
        if name.isprintable()
        else []
    )
    if not found:
        raise NotFound(f"There is no {what} {name!r}")
    if len(found) > 1:
        told = ", ".join(found[:_TOLD]) + (" …" if len(found) > _TOLD else "")
        raise InvalidRequest(f"More than one {what} is called {name!r}: use its id, one of {told}")
    return str(found[0])


def clean_name(name: str) -> str:
    """The name without spaces around it; `InvalidRequest` unless it can be shown."""
    clean = name.strip()
    if not 1 <= len(clean) <= 200 or not clean.isprintable():  # noqa: PLR2004 - the column's width
        raise InvalidRequest.at("$.name", "expected 1 to 200 printable characters")
    return clean


def clean_email(email: str) -> str:
    """The address in lower case, without spaces around it; `InvalidRequest` unless it is something@something that can be
    shown.
    """
    clean = email.strip().lower()
    before, _, after = clean.rpartition("@")
    if not before or not after or len(clean) > MAX_EMAIL or not clean.isprintable():
        raise InvalidRequest.at("$.email", f"expected an address such as ann@example.com, up to {MAX_EMAIL} characters")
    return clean


def _insert(database: Database, model: type[Model], values: dict[str, Any], *, taken: str = "it exists") -> None:
    try:
        model.insert(values).execute(database)
    except IntegrityError as error:
        raise InvalidRequest(taken) from error


def audit(
    database: Database, by: By, org_id: str | None, action: str, target: tuple[str, str | None], detail: dict[str, Any]
) -> None:
    """A line in the audit trail; `target` is its kind and id."""
    values = {
        "id": by.audit_id,
        "org_id": org_id,
        "at": by.at,
        "actor_kind": by.kind,
        "actor_id": by.id,
        "action": action,
        "target_kind": target[0],
        "target_id": target[1],
        "detail": msgspec.json.encode(detail).decode(),
        "request_id": by.request_id,
        "address": by.address,
    }
    AuditEvent.insert(values).execute(database)
