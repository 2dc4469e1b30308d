"""The routes about an organization, its fleet and its people."""

from interlock.errors import InvalidState, NotFound, PayloadTooLarge, PreconditionFailed, QuotaExceeded
from interlock.fleet import (
    AddMember,
    AuditPage,
    Config,
    CreateEnrolment,
    CreateHost,
    CreateInstance,
    CreateOrg,
    DrainHost,
    Enrolment,
    EnrolmentPage,
    Host,
    HostPage,
    InstancePage,
    JobType,
    JobTypePage,
    KeyPage,
    Member,
    MemberPage,
    MoveInLine,
    NewEnrolment,
    NewHost,
    NewKey,
    Org,
    OrgPage,
    PatchHost,
    PatchInstance,
    PatchMember,
    PatchOrg,
    PutJobType,
    PutSettings,
    ServerInstance,
)
from interlock.operating import HostLine
from interlock.summary import Summary
from interlock.wire import Nothing
from web.openapi.common import (
    CHANGED,
    CURSOR,
    FORCE,
    GONE,
    IF_MATCH,
    IF_NEW,
    IF_NONE_MATCH,
    IN_THE_WAY,
    NO_SUCH,
    ORG,
    PAGED,
    UNCHANGED,
    made,
    ok,
    page,
)
from web.openapi.description import NOTHING, Body, Operation, Param, printable

_ORGS, _HOSTS, _INSTANCES = "Organizations", "Hosts", "Server instances"
_TYPES, _ENROLMENTS, _MEMBERS = "Job types", "Enrolment", "Members"
_SETTINGS = "Settings"
_HOST = f"{ORG}/hosts/{{host_id}}"
_INSTANCE = f"{ORG}/server-instances/{{instance_id}}"
_TYPE = f"{ORG}/job-types/{{type}}"
_ENROLMENT = f"{ORG}/enrolments/{{enrolment_id}}"
_MEMBER = f"{ORG}/members/{{user_id}}"
_EMPTY = Body(Nothing, required=False)
_ONCE = "The secret in it is shown only here."
_HOST_TAG = (
    "The `ETag` has two halves: `If-None-Match` compares both, all that is shown; `If-Match` only the first, what people"
    " have set (name, labels, pause, note, drain), so that a host at work can be edited."
)

_OF_ORGS: dict[str, Operation] = {
    "GET /api/orgs": Operation(
        "listOrgs", _ORGS, "List one's organizations", (page(OrgPage, "Oldest first."),), params=PAGED
    ),
    "POST /api/orgs": Operation(
        "createOrg",
        _ORGS,
        "Create an organization",
        (made(Org, "Whoever asks is its owner."),),
        body=Body(CreateOrg),
    ),
    f"GET {ORG}": Operation("showOrg", _ORGS, "Show an organization", (ok(Org, "The organization."),)),
    f"PATCH {ORG}": Operation(
        "patchOrg",
        _ORGS,
        "Rename an organization",
        (ok(Org, "The organization as it is now."),),
        body=Body(PatchOrg),
        detail="An organization is never deleted: its history and its audit trail stay.",
    ),
    f"GET {ORG}/summary": Operation(
        "showSummary",
        _ORGS,
        "Show an organization at a glance",
        (ok(Summary, "Counts, rates and what each host does, some seconds old at most."),),
        detail="What a dashboard shows first. Ended jobs are counted from the last 24 hours.",
    ),
    f"GET {ORG}/audit": Operation(
        "listAudit",
        _ORGS,
        "Read the audit trail",
        (page(AuditPage, "Newest first."),),
        params=(
            Param("action", printable(100), "Only that action."),
            Param("actorId", printable(100), "Only what this one did."),
            Param("targetId", printable(100), "Only what was done to this one."),
            *PAGED,
        ),
    ),
    f"GET {ORG}/settings": Operation(
        "showSettings",
        _SETTINGS,
        "Show the organization's settings",
        (ok(Config, "What its agents get as `config`.", "ETag"), UNCHANGED),
        params=(IF_NONE_MATCH,),
    ),
    f"PUT {ORG}/settings": Operation(
        "putSettings",
        _SETTINGS,
        "Replace the organization's settings",
        (ok(Config, "Every connected agent has been sent it.", "ETag"),),
        body=Body(PutSettings),
        params=(IF_MATCH,),
        problems=(PreconditionFailed,),
    ),
}

_OF_HOSTS: dict[str, Operation] = {
    f"GET {ORG}/hosts": Operation("listHosts", _HOSTS, "List hosts", (page(HostPage, "Oldest first."),), params=PAGED),
    f"POST {ORG}/hosts": Operation(
        "createHost",
        _HOSTS,
        "Create a host",
        (made(NewHost, f"The host with its agent's key. {_ONCE}", "ETag"),),
        Body(CreateHost),
    ),
    f"GET {_HOST}": Operation(
        "showHost",
        _HOSTS,
        "Show a host",
        (ok(Host, "The host as it is now.", "ETag"), UNCHANGED),
        params=(IF_NONE_MATCH,),
        problems=NO_SUCH,
        detail=_HOST_TAG,
    ),
    f"PATCH {_HOST}": Operation(
        "patchHost",
        _HOSTS,
        "Rename, label or pause a host",
        (ok(Host, "The host as it is now.", "ETag"),),
        body=Body(PatchHost),
        params=(IF_MATCH,),
        problems=(*NO_SUCH, *CHANGED),
        detail=_HOST_TAG,
    ),
    f"DELETE {_HOST}": Operation(
        "deleteHost",
        _HOSTS,
        "Delete a host",
        (GONE,),
        body=NOTHING,
        params=(FORCE, IF_MATCH),
        problems=(*IN_THE_WAY, *CHANGED),
        detail="What waits on it is cancelled. While it runs a job that is a conflict, unless it is forced.",
    ),
    f"POST {_HOST}/drain": Operation(
        "drainHost",
        _HOSTS,
        "Drain a host",
        (ok(Host, "It takes nothing new; what runs may end until the deadline.", "ETag"),),
        body=Body(DrainHost, required=False),
        problems=NO_SUCH,
    ),
    f"DELETE {_HOST}/drain": Operation(
        "endDrain",
        _HOSTS,
        "End a drain",
        (GONE._replace(text="The host takes jobs again."),),
        NOTHING,
        problems=NO_SUCH,
    ),
    f"GET {_HOST}/queue": Operation(
        "showQueue",
        _HOSTS,
        "Show a host's line",
        (ok(HostLine, "One consistent snapshot from the host's actor."),),
        problems=NO_SUCH,
    ),
    f"POST {_HOST}/queue": Operation(
        "moveInLine",
        _HOSTS,
        "Rearrange a host's line",
        (ok(HostLine, "The line as it stands then."),),
        body=Body(MoveInLine),
        problems=IN_THE_WAY,
    ),
    f"GET {_HOST}/keys": Operation(
        "listKeys",
        _HOSTS,
        "List the keys of a host's agent",
        (ok(KeyPage, "Those that hold, and those that were revoked; never the keys themselves."),),
        problems=NO_SUCH,
    ),
    f"POST {_HOST}/keys": Operation(
        "createKey",
        _HOSTS,
        "Issue another key",
        (made(NewKey, f"The one before holds until it is revoked. {_ONCE}"),),
        body=_EMPTY,
        problems=IN_THE_WAY,
    ),
    f"DELETE {_HOST}/keys/{{kid}}": Operation(
        "revokeKey",
        _HOSTS,
        "Revoke a key",
        (GONE._replace(text="Its sockets and parked polls end at once."),),
        problems=NO_SUCH,
    ),
}

_OF_INSTANCES: dict[str, Operation] = {
    f"GET {ORG}/server-instances": Operation(
        "listInstances",
        _INSTANCES,
        "List server instances",
        (page(InstancePage, "Oldest first."),),
        params=(Param("hostId", printable(100), "Only those on that host."), *PAGED),
    ),
    f"POST {ORG}/server-instances": Operation(
        "createInstance",
        _INSTANCES,
        "Create a server instance",
        (made(ServerInstance, "The instance, on a host of the same organization.", "ETag"),),
        body=Body(CreateInstance),
        problems=NO_SUCH,
    ),
    f"GET {_INSTANCE}": Operation(
        "showInstance",
        _INSTANCES,
        "Show a server instance",
        (ok(ServerInstance, "The instance.", "ETag"), UNCHANGED),
        params=(IF_NONE_MATCH,),
        problems=NO_SUCH,
    ),
    f"PATCH {_INSTANCE}": Operation(
        "patchInstance",
        _INSTANCES,
        "Rename, configure or move a server instance",
        (ok(ServerInstance, "The instance as it is now.", "ETag"),),
        body=Body(PatchInstance),
        params=(FORCE, IF_MATCH),
        problems=(*IN_THE_WAY, *CHANGED),
        detail="It moves to another host only while no job about it is open, unless it is forced: then those are cancelled.",
    ),
    f"DELETE {_INSTANCE}": Operation(
        "deleteInstance",
        _INSTANCES,
        "Delete a server instance",
        (GONE,),
        body=NOTHING,
        params=(FORCE, IF_MATCH),
        problems=(*IN_THE_WAY, *CHANGED),
        detail="While a job about it is open that is a conflict, unless it is forced: then those are cancelled.",
    ),
}

_OF_TYPES: dict[str, Operation] = {
    f"GET {ORG}/job-types": Operation(
        "listJobTypes",
        _TYPES,
        "List job types",
        (page(JobTypePage, "By name."),),
        params=(PAGED[0], CURSOR._replace(schema={"type": "string", "pattern": "^[A-Za-z0-9_-]*$"})),
    ),
    f"GET {_TYPE}": Operation(
        "showJobType",
        _TYPES,
        "Show a job type",
        (ok(JobType, "The type.", "ETag"), UNCHANGED),
        params=(IF_NONE_MATCH,),
        problems=NO_SUCH,
    ),
    f"PUT {_TYPE}": Operation(
        "putJobType",
        _TYPES,
        "Define or change a job type",
        (
            ok(JobType, "The type as it is now. Jobs that are there keep what they were made with.", "ETag"),
            made(JobType, "The type is new.", "ETag"),
        ),
        body=Body(PutJobType),
        params=(IF_MATCH, IF_NEW),
        problems=(PreconditionFailed, PayloadTooLarge, QuotaExceeded),
    ),
    f"DELETE {_TYPE}": Operation(
        "deleteJobType",
        _TYPES,
        "Delete a job type",
        (GONE._replace(text="It is gone; a built-in one is again as it came."),),
        body=NOTHING,
        params=(IF_MATCH,),
        problems=(NotFound, InvalidState, PreconditionFailed),
    ),
}

_OF_ENROLMENTS: dict[str, Operation] = {
    f"GET {ORG}/enrolments": Operation(
        "listEnrolments",
        _ENROLMENTS,
        "List enrolments",
        (page(EnrolmentPage, "Oldest first, without tokens."),),
        params=PAGED,
    ),
    f"POST {ORG}/enrolments": Operation(
        "createEnrolment",
        _ENROLMENTS,
        "Make an enrolment token",
        (made(NewEnrolment, f"Machines make themselves hosts with it. {_ONCE}"),),
        body=Body(CreateEnrolment, required=False),
    ),
    f"GET {_ENROLMENT}": Operation(
        "showEnrolment", _ENROLMENTS, "Show an enrolment", (ok(Enrolment, "Without its token."),), problems=NO_SUCH
    ),
    f"DELETE {_ENROLMENT}": Operation(
        "deleteEnrolment",
        _ENROLMENTS,
        "Delete an enrolment",
        (GONE._replace(text="Its token holds no more. Hosts that it has made stay."),),
        body=NOTHING,
        problems=NO_SUCH,
    ),
}

_OF_MEMBERS: dict[str, Operation] = {
    f"GET {ORG}/members": Operation(
        "listMembers", _MEMBERS, "List members", (page(MemberPage, "Oldest accounts first."),), params=PAGED
    ),
    f"POST {ORG}/members": Operation(
        "addMember",
        _MEMBERS,
        "Let an account in",
        (made(Member, "An account that there is has become a member."),),
        body=Body(AddMember),
        problems=IN_THE_WAY,
    ),
    f"GET {_MEMBER}": Operation(
        "showMember", _MEMBERS, "Show a member", (ok(Member, "The member."),), problems=NO_SUCH
    ),
    f"PATCH {_MEMBER}": Operation(
        "patchMember",
        _MEMBERS,
        "Give a member another role",
        (ok(Member, "The member as it is now."),),
        body=Body(PatchMember),
        problems=IN_THE_WAY,
        detail="A conflict when the organization would have no owner.",
    ),
    f"DELETE {_MEMBER}": Operation(
        "removeMember",
        _MEMBERS,
        "Show a member out",
        (GONE._replace(text="The account stays."),),
        body=NOTHING,
        problems=IN_THE_WAY,
        detail="A conflict when the organization would have no owner.",
    ),
}

OPERATIONS: dict[str, Operation] = _OF_ORGS | _OF_HOSTS | _OF_INSTANCES | _OF_TYPES | _OF_ENROLMENTS | _OF_MEMBERS
