"""What goes over the wire about an organization and its fleet. Everything about jobs is in `wire`.

Requests refuse fields that nobody knows; whoever reads an answer passes over those that he does not know.
"""

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from interlock.wire import Json, Lenient, Strict

Scalar = str | int | float | bool | None

# ---- settings --------------------------------------------------------------------------------------------------


class Connector(Strict):
    """A source that agents may use, such as `google_maps`. `id` is unique in its list."""

    id: str
    name: str
    enabled: bool = True


class Platform(Lenient):
    """The keys that every agent finds in `platform`, and their defaults; an organization may add its own beside them."""

    platform_url: Scalar = None
    api_url: Scalar = None
    search_method: Scalar = None


CONNECTORS: tuple[Connector, ...] = (
    Connector(id="google_maps", name="Google Maps"),
    Connector(id="google_search", name="Google Search"),
)
PLATFORM: dict[str, Scalar] = msgspec.to_builtins(Platform())


class PutSettings(Strict):
    """`PUT /api/orgs/{orgId}/settings`: the whole document; a part that is absent becomes what it was at first.

    A document that was read may be sent back as it came: `version` must then be the present one, `updatedAt` is passed over.
    """

    platform: dict[str, Scalar] | None = None
    connectors: list[Connector] | None = None
    version: int | None = None
    updated_at: str | None = None


class Config(Lenient):
    """An organization's settings, which its agents get as `config`. `version` rises by one with each change; 0: nothing
    was ever set.
    """

    platform: dict[str, Scalar]
    connectors: list[Connector]
    version: int
    updated_at: str | None = None


# ---- organizations ---------------------------------------------------------------------------------------------


class CreateOrg(Strict):
    """`POST /api/orgs`, by a platform admin, who becomes its owner."""

    name: str


class Org(Lenient):
    """An organization, and what whoever asks is in it."""

    id: str
    name: str
    role: str
    created_at: str


class OrgPage(Lenient):
    """One page of organizations, oldest first."""

    items: list[Org]
    next_cursor: str | None


# ---- hosts and their keys --------------------------------------------------------------------------------------


class CreateHost(Strict):
    """`POST …/hosts`. `kind` is `machine` or `device`."""

    name: str
    kind: str = "machine"
    labels: dict[str, str] | None = None


class PatchHost(Strict):
    """`PATCH …/hosts/{hostId}`: what is absent stays. `paused: false` also forgets `note` and `pausedUntil`."""

    name: str | UnsetType = UNSET
    labels: dict[str, str] | UnsetType = UNSET
    paused: bool | UnsetType = UNSET
    note: str | UnsetType | None = UNSET
    paused_until: str | UnsetType | None = UNSET


class Host(Lenient):
    """A machine or device that runs one job at a time."""

    id: str
    org_id: str
    name: str
    kind: str
    labels: dict[str, str]
    presence: str
    health: str
    last_seen_at: str | None
    paused: bool
    note: str | None
    paused_until: str | None
    draining: bool
    pending_count: int
    current_job_run_id: str | None
    created_at: str


class NewHost(Host, kw_only=True):
    """The answer to `POST …/hosts`: the agent's key is shown only here."""

    agent_key: str


class HostPage(Lenient):
    """One page of hosts, oldest first."""

    items: list[Host]
    next_cursor: str | None


class AgentKey(Lenient):
    """An agent's key as it stands; the key itself is shown once, when it is made."""

    kid: str
    created_at: str
    revoked_at: str | None


class NewKey(AgentKey, kw_only=True):
    """The answer to `POST …/keys`."""

    agent_key: str


class KeyPage(Lenient):
    """All keys of a host, oldest first."""

    items: list[AgentKey]
    next_cursor: str | None = None


# ---- server instances ------------------------------------------------------------------------------------------


class CreateInstance(Strict):
    """`POST …/server-instances`."""

    name: str
    host_id: str
    config: Json | None = None


class PatchInstance(Strict):
    """`PATCH …/server-instances/{id}`: what is absent stays. Another `hostId` moves it."""

    name: str | UnsetType = UNSET
    host_id: str | UnsetType = UNSET
    config: Json | UnsetType = UNSET


class ServerInstance(Lenient):
    """What lives on a host and jobs are about, such as one game server."""

    id: str
    org_id: str
    host_id: str
    name: str
    config: Any
    created_at: str


class InstancePage(Lenient):
    """One page of server instances, oldest first."""

    items: list[ServerInstance]
    next_cursor: str | None


# ---- the audit trail -------------------------------------------------------------------------------------------


class AuditLine(Lenient):
    """Who did what to what, when, and from where."""

    id: str
    org_id: str | None
    at: str
    actor_kind: str
    actor_id: str | None
    action: str
    target_kind: str
    target_id: str | None
    detail: Any
    request_id: str | None
    address: str | None


class AuditPage(Lenient):
    """One page of the audit trail, newest first."""

    items: list[AuditLine]
    next_cursor: str | None
