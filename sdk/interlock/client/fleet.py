"""`client.orgs`, `client.hosts`, `client.keys`, `client.instances`, `client.enrolments`: who and what jobs are for."""

from collections.abc import Iterator

import msgspec

from interlock.client.calls import Calls, Tagged, every, force, in_org, operation, path, without_nones
from interlock.fleet import (
    AgentKey,
    AuditLine,
    AuditPage,
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
    KeyPage,
    MoveInLine,
    NewEnrolment,
    NewHost,
    NewKey,
    Org,
    OrgPage,
    PatchHost,
    PatchInstance,
    PatchOrg,
    Register,
    Registered,
    ServerInstance,
)
from interlock.ids import HostId, InstanceId, OrgId
from interlock.operating import HostLine
from interlock.summary import Summary

PAGE = 200  # items in one answer, when all are read


class Orgs(Calls):
    """Organizations, their summaries and their audit trails."""

    def list(self) -> Iterator[Org]:
        """Those that the account is a member of, oldest first."""
        return every(lambda cursor: self.page(limit=PAGE, cursor=cursor))

    @operation("listOrgs")
    def page(self, *, limit: int | None = None, cursor: str | None = None) -> OrgPage:
        """One page of them."""
        return self._call(OrgPage, "GET", path("orgs"), query={"limit": limit, "cursor": cursor})

    @operation("createOrg")
    def create(self, org: CreateOrg) -> Org:
        """A new one, which the account owns; for platform admins."""
        return self._call(Org, "POST", path("orgs"), without_nones(org))

    @operation("showOrg")
    def get(self, org_id: OrgId) -> Org:
        """One of them."""
        return self._call(Org, "GET", in_org(org_id))

    @operation("patchOrg")
    def patch(self, org_id: OrgId, change: PatchOrg) -> Org:
        """The same under another name; for owners."""
        return self._call(Org, "PATCH", in_org(org_id), without_nones(change))

    @operation("showSummary")
    def summary(self, org_id: OrgId) -> Summary:
        """It at a glance: jobs by status, rates, hosts by what they do."""
        return self._call(Summary, "GET", in_org(org_id, "summary"))

    @operation("listAudit")
    def audit_page(
        self,
        org_id: OrgId,
        *,
        action: str | None = None,
        actor_id: str | None = None,
        target_id: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> AuditPage:
        """One page of the audit trail, newest first."""
        shown = {"action": action, "actorId": actor_id, "targetId": target_id}
        return self._call(AuditPage, "GET", in_org(org_id, "audit"), query=shown | {"limit": limit, "cursor": cursor})

    def audit(
        self, org_id: OrgId, *, action: str | None = None, actor_id: str | None = None, target_id: str | None = None
    ) -> Iterator[AuditLine]:
        """All of it that fits."""
        return every(
            lambda cursor: self.audit_page(
                org_id, action=action, actor_id=actor_id, target_id=target_id, limit=PAGE, cursor=cursor
            )
        )


class Hosts(Calls):
    """Machines and devices, and their lines."""

    def list(self, org_id: OrgId) -> Iterator[Host]:
        """All of the organization's, oldest first."""
        return every(lambda cursor: self.page(org_id, limit=PAGE, cursor=cursor))

    @operation("listHosts")
    def page(self, org_id: OrgId, *, limit: int | None = None, cursor: str | None = None) -> HostPage:
        """One page of them."""
        return self._call(HostPage, "GET", in_org(org_id, "hosts"), query={"limit": limit, "cursor": cursor})

    @operation("createHost")
    def create(self, org_id: OrgId, host: CreateHost) -> NewHost:
        """A new one, with its agent's key, which is shown only here."""
        return self._call(NewHost, "POST", in_org(org_id, "hosts"), without_nones(host))

    @operation("showHost")
    def get(self, org_id: OrgId, host_id: HostId) -> Host:
        """One of them."""
        return self._call(Host, "GET", in_org(org_id, "hosts", host_id))

    @operation("showHost")
    def changed(self, org_id: OrgId, host_id: HostId, *, if_none_match: str | None = None) -> Tagged[Host] | None:
        """The host and its tag; None while it still has that tag."""
        return self._tagged(Host, in_org(org_id, "hosts", host_id), if_none_match)

    @operation("patchHost")
    def patch(self, org_id: OrgId, host_id: HostId, change: PatchHost, *, if_match: str | None = None) -> Host:
        """The host with what `change` sets; `PreconditionFailed` when it has no longer the tag of `if_match`."""
        body = msgspec.to_builtins(change)
        return self._call(Host, "PATCH", in_org(org_id, "hosts", host_id), body, headers={"If-Match": if_match})

    @operation("deleteHost")
    def delete(self, org_id: OrgId, host_id: HostId, *, force: bool = False, if_match: str | None = None) -> None:
        """Remove it and revoke its keys; with `force` also while it has jobs, which are cancelled."""
        where, query = in_org(org_id, "hosts", host_id), {"force": _flag(force)}
        self._send("DELETE", where, query=query, headers={"If-Match": if_match})

    @operation("drainHost")
    def drain(self, org_id: OrgId, host_id: HostId, how: DrainHost | None = None) -> Host:
        """Let it begin no more jobs; with a deadline, what still runs then is stopped."""
        body = without_nones(how or DrainHost())
        return self._call(Host, "POST", in_org(org_id, "hosts", host_id, "drain"), body)

    @operation("endDrain")
    def end_drain(self, org_id: OrgId, host_id: HostId) -> None:
        """Let it begin jobs again."""
        self._send("DELETE", in_org(org_id, "hosts", host_id, "drain"))

    @operation("showQueue")
    def queue(self, org_id: OrgId, host_id: HostId) -> HostLine:
        """One consistent snapshot of its line."""
        return self._call(HostLine, "GET", in_org(org_id, "hosts", host_id, "queue"))

    @operation("moveInLine")
    def move_in_line(self, org_id: OrgId, host_id: HostId, move: MoveInLine) -> HostLine:
        """The line, after a waiting job was moved in it."""
        return self._call(HostLine, "POST", in_org(org_id, "hosts", host_id, "queue"), without_nones(move))


class Keys(Calls):
    """The keys of a host's agent."""

    def list(self, org_id: OrgId, host_id: HostId) -> Iterator[AgentKey]:
        """All that it ever had, oldest first."""
        return iter(self.page(org_id, host_id).items)

    @operation("listKeys")
    def page(self, org_id: OrgId, host_id: HostId) -> KeyPage:
        """The same, as the server answers."""
        return self._call(KeyPage, "GET", in_org(org_id, "hosts", host_id, "keys"))

    @operation("createKey")
    def create(self, org_id: OrgId, host_id: HostId) -> NewKey:
        """A further key, which is shown only here; two may hold at once."""
        return self._call(NewKey, "POST", in_org(org_id, "hosts", host_id, "keys"))

    @operation("revokeKey")
    def revoke(self, org_id: OrgId, host_id: HostId, kid: str) -> None:
        """End it: what is connected with it is cut off."""
        self._send("DELETE", in_org(org_id, "hosts", host_id, "keys", kid))


class Instances(Calls):
    """Server instances: what lives on hosts."""

    def list(self, org_id: OrgId, *, host_id: HostId | None = None) -> Iterator[ServerInstance]:
        """All of the organization's, or of one host's, oldest first."""
        return every(lambda cursor: self.page(org_id, host_id=host_id, limit=PAGE, cursor=cursor))

    @operation("listInstances")
    def page(
        self, org_id: OrgId, *, host_id: HostId | None = None, limit: int | None = None, cursor: str | None = None
    ) -> InstancePage:
        """One page of them."""
        query = {"hostId": host_id, "limit": limit, "cursor": cursor}
        return self._call(InstancePage, "GET", in_org(org_id, "server-instances"), query=query)

    @operation("createInstance")
    def create(self, org_id: OrgId, instance: CreateInstance) -> ServerInstance:
        """A new one."""
        return self._call(ServerInstance, "POST", in_org(org_id, "server-instances"), without_nones(instance))

    @operation("showInstance")
    def get(self, org_id: OrgId, instance_id: InstanceId) -> ServerInstance:
        """One of them."""
        return self._call(ServerInstance, "GET", in_org(org_id, "server-instances", instance_id))

    @operation("showInstance")
    def changed(
        self, org_id: OrgId, instance_id: InstanceId, *, if_none_match: str | None = None
    ) -> Tagged[ServerInstance] | None:
        """The instance and its tag; None while it still has that tag."""
        return self._tagged(ServerInstance, in_org(org_id, "server-instances", instance_id), if_none_match)

    @operation("patchInstance")
    def patch(
        self,
        org_id: OrgId,
        instance_id: InstanceId,
        change: PatchInstance,
        *,
        force: bool = False,
        if_match: str | None = None,
    ) -> ServerInstance:
        """The instance with what `change` sets. One with waiting jobs moves only with `force`, which cancels them."""
        where, query = in_org(org_id, "server-instances", instance_id), {"force": _flag(force)}
        body = msgspec.to_builtins(change)
        return self._call(ServerInstance, "PATCH", where, body, query=query, headers={"If-Match": if_match})

    @operation("deleteInstance")
    def delete(
        self, org_id: OrgId, instance_id: InstanceId, *, force: bool = False, if_match: str | None = None
    ) -> None:
        """Remove it; with `force` also while jobs about it are open, which are cancelled."""
        where, query = in_org(org_id, "server-instances", instance_id), {"force": _flag(force)}
        self._send("DELETE", where, query=query, headers={"If-Match": if_match})


class Enrolments(Calls):
    """Tokens with which machines make themselves hosts."""

    def list(self, org_id: OrgId) -> Iterator[Enrolment]:
        """All of the organization's, oldest first."""
        return every(lambda cursor: self.page(org_id, limit=PAGE, cursor=cursor))

    @operation("listEnrolments")
    def page(self, org_id: OrgId, *, limit: int | None = None, cursor: str | None = None) -> EnrolmentPage:
        """One page of them."""
        return self._call(EnrolmentPage, "GET", in_org(org_id, "enrolments"), query={"limit": limit, "cursor": cursor})

    @operation("createEnrolment")
    def create(self, org_id: OrgId, enrolment: CreateEnrolment | None = None) -> NewEnrolment:
        """A new one, with its token, which is shown only here."""
        body = without_nones(enrolment or CreateEnrolment())
        return self._call(NewEnrolment, "POST", in_org(org_id, "enrolments"), body)

    @operation("showEnrolment")
    def get(self, org_id: OrgId, enrolment_id: str) -> Enrolment:
        """One of them."""
        return self._call(Enrolment, "GET", in_org(org_id, "enrolments", enrolment_id))

    @operation("deleteEnrolment")
    def delete(self, org_id: OrgId, enrolment_id: str) -> None:
        """Its token no longer holds; hosts that it has made stay."""
        self._send("DELETE", in_org(org_id, "enrolments", enrolment_id))

    @operation("register")
    def register(self, machine: Register) -> Registered:
        """Make a host with an enrolment's token; the client's own token does not matter."""
        return self._call(Registered, "POST", path("agent", "register"), without_nones(machine))


_flag = force  # which methods have a parameter of that name
