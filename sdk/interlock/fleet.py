"""What goes over the wire about an organization and its fleet. Everything about jobs is in `wire`.

Requests refuse fields that nobody knows; whoever reads an answer passes over those that he does not know.
"""

from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from interlock.retry import Backoff
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


class PatchOrg(Strict):
    """`PATCH /api/orgs/{orgId}`, by an owner of it."""

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
    drain_until: str | None
    pending_count: int
    current_job_run_id: str | None
    created_at: str


class DrainHost(Strict):
    """`POST …/hosts/{id}/drain`: what still runs after so many seconds is stopped; None: it may run on."""

    deadline_seconds: float | None = None


class MoveInLine(Strict):
    """`POST …/hosts/{id}/queue`: put a waiting job ahead of all others, hold it back, let it go again, or drop it."""

    op: Literal["front", "hold", "release", "drop"]
    job_id: str


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


# ---- job types -------------------------------------------------------------------------------------------------


class PutJobType(Strict):
    """`PUT …/job-types/{type}`: the whole type; what is absent becomes what it is for a built-in one, else the default.

    A type that was read may be sent back as it came: `version` must then be the present one; `type`, `builtIn` and
    `createdAt` are passed over.
    """

    schema: Json | None = None
    timeout_seconds: float | None = None
    max_attempts: int | None = None
    backoff: Backoff | None = None
    while_backing_off: Literal["overtake", "hold"] | None = None
    on_lost: Literal["retry", "fail"] | None = None
    version: int | None = None
    type: str | None = None
    built_in: bool | None = None
    created_at: str | None = None


class JobType(Lenient):
    """How jobs of a type are run, and what their payload must look like. `version` 0: a built-in one as it came."""

    type: str
    built_in: bool
    version: int
    schema: Any
    timeout_seconds: float
    max_attempts: int
    backoff: Backoff
    while_backing_off: str
    on_lost: str
    created_at: str | None


class JobTypePage(Lenient):
    """One page of job types, by name."""

    items: list[JobType]
    next_cursor: str | None


# ---- enrolment -------------------------------------------------------------------------------------------------


class CreateEnrolment(Strict):
    """`POST …/enrolments`: a token with which up to `maxUses` machines make themselves hosts."""

    expires_in_seconds: float = 3600
    max_uses: int = 1
    labels: dict[str, str] | None = None


class Enrolment(Lenient):
    """An enrolment as it stands; every host that it makes carries its labels."""

    id: str
    org_id: str
    labels: dict[str, str]
    max_uses: int
    uses: int
    expires_at: str
    created_at: str
    created_by_id: str | None


class NewEnrolment(Enrolment, kw_only=True):
    """The answer to `POST …/enrolments`: the token is shown only here."""

    token: str


class EnrolmentPage(Lenient):
    """One page of enrolments, oldest first."""

    items: list[Enrolment]
    next_cursor: str | None


class Register(Lenient):
    """`POST /api/agent/register`: a machine makes itself a host. Labels of the enrolment come before its own."""

    token: str
    name: str
    labels: dict[str, str] | None = None
    kind: str = "machine"


class Registered(Lenient):
    """Its answer: the agent's key is shown only here."""

    host_id: str
    org_id: str
    agent_key: str


# ---- members ---------------------------------------------------------------------------------------------------

Role = Literal["viewer", "operator", "admin", "owner"]


class AddMember(Strict):
    """`POST …/members`: an account, by its e-mail address or its id."""

    role: Role
    email: str | None = None
    user_id: str | None = None


class PatchMember(Strict):
    """`PATCH …/members/{userId}`."""

    role: Role


class Member(Lenient):
    """A user in an organization."""

    user_id: str
    email: str
    name: str
    role: str
    created_at: str


class MemberPage(Lenient):
    """One page of members, oldest accounts first."""

    items: list[Member]
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
