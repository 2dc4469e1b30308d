"""`client.members`, `client.job_types`, `client.settings`, `client.sessions`, `client.server`."""

from collections.abc import Iterator
from typing import Any

from interlock.client.calls import Calls, Tagged, every, in_org, operation, part, path, without_nones
from interlock.client.fleet import PAGE
from interlock.fleet import (
    AddMember,
    Config,
    JobType,
    JobTypePage,
    Member,
    MemberPage,
    PatchMember,
    PutJobType,
    PutSettings,
)
from interlock.ids import HostId, OrgId, UserId
from interlock.operating import Alive, HostQueue, LiveActors, Ready
from interlock.sessions import (
    AskToSignIn,
    BrowserSession,
    BrowserSessionPage,
    ChangePassword,
    DeviceLogin,
    DeviceToken,
    Session,
    SetUp,
    TakeToken,
)


class Members(Calls):
    """People in an organization, and their roles."""

    def list(self, org_id: OrgId) -> Iterator[Member]:
        """All of them, oldest accounts first."""
        return every(lambda cursor: self.page(org_id, limit=PAGE, cursor=cursor))

    @operation("listMembers")
    def page(self, org_id: OrgId, *, limit: int | None = None, cursor: str | None = None) -> MemberPage:
        """One page of them."""
        return self._call(MemberPage, "GET", in_org(org_id, "members"), query={"limit": limit, "cursor": cursor})

    @operation("addMember")
    def add(self, org_id: OrgId, member: AddMember) -> Member:
        """Let an account join."""
        return self._call(Member, "POST", in_org(org_id, "members"), without_nones(member))

    @operation("showMember")
    def get(self, org_id: OrgId, user_id: UserId) -> Member:
        """One of them."""
        return self._call(Member, "GET", in_org(org_id, "members", user_id))

    @operation("patchMember")
    def patch(self, org_id: OrgId, user_id: UserId, change: PatchMember) -> Member:
        """The member in another role."""
        return self._call(Member, "PATCH", in_org(org_id, "members", user_id), without_nones(change))

    @operation("removeMember")
    def remove(self, org_id: OrgId, user_id: UserId) -> None:
        """The account stays, and is no member any more."""
        self._send("DELETE", in_org(org_id, "members", user_id))


class JobTypes(Calls):
    """How jobs of each type are run."""

    def list(self, org_id: OrgId) -> Iterator[JobType]:
        """All of them, by name; built-in ones too."""
        return every(lambda cursor: self.page(org_id, limit=PAGE, cursor=cursor))

    @operation("listJobTypes")
    def page(self, org_id: OrgId, *, limit: int | None = None, cursor: str | None = None) -> JobTypePage:
        """One page of them."""
        return self._call(JobTypePage, "GET", in_org(org_id, "job-types"), query={"limit": limit, "cursor": cursor})

    @operation("showJobType")
    def get(self, org_id: OrgId, type: str) -> JobType:  # noqa: A002 - its name in the API
        """One of them."""
        return self._call(JobType, "GET", in_org(org_id, "job-types", type))

    @operation("showJobType")
    def changed(
        self,
        org_id: OrgId,
        type: str,  # noqa: A002 - as above
        *,
        if_none_match: str | None = None,
    ) -> Tagged[JobType] | None:
        """The type and its tag; None while it still has that tag."""
        return self._tagged(JobType, in_org(org_id, "job-types", type), if_none_match)

    @operation("putJobType")
    def put(
        self,
        org_id: OrgId,
        type: str,  # noqa: A002 - as above
        definition: PutJobType,
        *,
        if_match: str | None = None,
        if_none_match: str | None = None,
    ) -> JobType:
        """The whole type, new or changed; `if_none_match="*"`: only if it is new."""
        headers = {"If-Match": if_match, "If-None-Match": if_none_match}
        return self._call(JobType, "PUT", in_org(org_id, "job-types", type), without_nones(definition), headers=headers)

    @operation("deleteJobType")
    def delete(self, org_id: OrgId, type: str, *, if_match: str | None = None) -> None:  # noqa: A002 - as above
        """Remove an own type; a built-in one is as it came again."""
        self._send("DELETE", in_org(org_id, "job-types", type), headers={"If-Match": if_match})


class OrgSettings(Calls):
    """What an organization's agents get as config."""

    @operation("showSettings")
    def get(self, org_id: OrgId) -> Config:
        """As they stand."""
        return self._call(Config, "GET", in_org(org_id, "settings"))

    @operation("showSettings")
    def changed(self, org_id: OrgId, *, if_none_match: str | None = None) -> Tagged[Config] | None:
        """They and their tag; None while they still have that tag."""
        return self._tagged(Config, in_org(org_id, "settings"), if_none_match)

    @operation("putSettings")
    def put(self, org_id: OrgId, settings: PutSettings, *, if_match: str | None = None) -> Config:
        """The whole document; a part that is absent becomes what it was at first."""
        body = without_nones(settings)
        return self._call(Config, "PUT", in_org(org_id, "settings"), body, headers={"If-Match": if_match})


class Sessions(Calls):
    """The account of the token, and its sessions in browsers."""

    @operation("setUp")
    def set_up(self, first: SetUp) -> Session:
        """The first account of all, by the token of the link that the server printed."""
        return self._call(Session, "POST", path("setup"), without_nones(first))

    @operation("askToSignIn")
    def ask_to_sign_in(self, device: AskToSignIn) -> DeviceLogin:
        """A code for a person at a browser, who may let this program in. It takes no token."""
        return self._call(DeviceLogin, "POST", path("login", "device"), without_nones(device))

    @operation("takeToken")
    def take_token(self, device: TakeToken) -> DeviceToken:
        """The token once they have said yes; `Forbidden` when they have said no, `Unauthenticated` when it is too late."""
        return self._call(DeviceToken, "POST", path("login", "device", "token"), without_nones(device))

    @operation("showSession")
    def me(self) -> Session:
        """Who asks, and what organizations they are in."""
        return self._call(Session, "GET", path("session"))

    @operation("changePassword")
    def change_password(self, change: ChangePassword) -> None:
        """Set another password; other sessions end."""
        self._send("PUT", path("session", "password"), without_nones(change))

    def list(self) -> Iterator[BrowserSession]:
        """One's own sessions, oldest first."""
        return iter(self.page().items)

    @operation("listSessions")
    def page(self) -> BrowserSessionPage:
        """The same, as the server answers."""
        return self._call(BrowserSessionPage, "GET", path("sessions"))

    @operation("endSession")
    def end(self, session_id: str) -> None:
        """Sign that browser out."""
        self._send("DELETE", path("sessions", session_id))


class ServerCalls(Calls):
    """The server itself."""

    @operation("alive")
    def alive(self) -> Alive:
        """Whether the process is up."""
        return self._call(Alive, "GET", "/healthz")

    @operation("ready")
    def ready(self) -> Ready:
        """Whether it can do its work; `Unavailable` while it cannot."""
        return self._call(Ready, "GET", "/readyz")

    @operation("metrics")
    def metrics(self) -> str:
        """Prometheus' text."""
        return self._send("GET", "/metrics").body.decode()

    @operation("describe")
    def openapi(self, *, if_none_match: str | None = None) -> Tagged[dict[str, Any]] | None:
        """The OpenAPI document and its tag; None while it still has that tag."""
        return self._tagged(dict[str, Any], "/openapi.json", if_none_match)

    @operation("showActors")
    def actors(self) -> LiveActors:
        """The tree of live actors; for platform admins."""
        return self._call(LiveActors, "GET", "/debug/actors")

    @operation("showActor")
    def actor(self, host_id: HostId) -> HostQueue:
        """One host's actor in full; for platform admins."""
        return self._call(HostQueue, "GET", f"/debug/actors/hosts/{part(host_id)}")
