"""Every route on one screen, and who may use it."""

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from aiohttp import web

from store.accounts import Person
from web import (
    access,
    agent_socket,
    agents,
    api_docs,
    assets,
    audit_trail,
    bulk,
    dashboard,
    dashboards,
    debug,
    device_logins,
    evidence,
    first_page,
    fleet_drains,
    fleet_enrolments,
    fleet_hosts,
    fleet_instances,
    fleet_job_types,
    fleet_keys,
    fleet_lines,
    fleet_members,
    fleet_orgs,
    health,
    jobs,
    logs,
    set_up,
    settings,
    sign_in,
    socketio,
    summary,
)
from web.pass_on import at_owner
from web.s2 import with_s2_names
from web.services import Services

Bound = Callable[[web.Request], Awaitable[web.StreamResponse]]
Guard = Callable[[web.Request, Services], Awaitable[Any]]


async def public(_request: web.Request, _services: Services) -> None:
    """Anybody, even before the set-up."""


def org(role: str) -> Guard:
    """A member of the path's org, at least `role`."""

    async def guard(request: web.Request, s: Services) -> access.Member:
        await access.open_door(s)
        return await access.member(request, s, role)

    guard.__name__ = role
    return guard


def tenant(role: str) -> Guard:
    """S2: a member of the token's org, at least `role`."""

    async def guard(request: web.Request, s: Services) -> access.Member:
        await access.open_door(s)
        return await access.own_tenant(request, s, role)

    guard.__name__ = role
    return guard


async def platform_admin(request: web.Request, s: Services) -> access.Admin:
    """A platform admin."""
    await access.open_door(s)
    return await access.admin(request, s)


async def account(request: web.Request, s: Services) -> Person:
    """Anybody with an account."""
    await access.open_door(s)
    return (await access.signed_in(request, s))[0]


async def visitor(request: web.Request, s: Services) -> sign_in.Visitor:
    """The same, with the session if a cookie was the credential."""
    await access.open_door(s)
    return await sign_in.visitor(request, s)


async def stranger(_request: web.Request, s: Services) -> None:
    """Anybody, once there is an account."""
    await access.open_door(s)


async def first_comer(_request: web.Request, s: Services) -> None:
    """Anybody, even before the set-up, while the server serves."""
    access.serving(s)


async def agent(request: web.Request, s: Services) -> access.Agent:
    """The agent of the path's host."""
    await access.open_door(s)
    return await access.agent(request, s)


async def socket(_request: web.Request, s: Services) -> None:
    """A socket, which may bring its credential in its first frame."""
    await access.open_door(s)


class Route(NamedTuple):
    """A method and path, who may use it, and what answers."""

    method: str
    path: str
    guard: Guard
    handler: Callable[[web.Request, Services, Any], Awaitable[web.StreamResponse]]

    def bound(self, services: Services) -> Bound:
        """The handler behind its guard."""
        guard, handler = self.guard, self.handler

        async def answer(request: web.Request) -> web.StreamResponse:
            return await handler(request, services, await guard(request, services))

        return answer


_JOBS = "/api/orgs/{org_id}/jobs"
_JOB = "/api/orgs/{org_id}/jobs/{job_id}"
_HOSTS = "/api/orgs/{org_id}/hosts"
_INSTANCES = "/api/orgs/{org_id}/server-instances"
_TYPES = "/api/orgs/{org_id}/job-types"
_ENROLMENTS = "/api/orgs/{org_id}/enrolments"
_MEMBERS = "/api/orgs/{org_id}/members"
_HOST = "/api/agent/hosts/{host_id}"
_RUN = "/api/agent/hosts/{host_id}/jobs/{run_id}"

ROUTES: tuple[Route, ...] = (
    Route("POST", _JOBS, org("operator"), jobs.create),
    Route("POST", f"{_JOBS}/batch", org("operator"), jobs.create_batch),
    Route("POST", f"{_JOBS}/bulk", org("operator"), bulk.operate),
    Route("GET", _JOBS, org("viewer"), jobs.list_all),
    Route("GET", _JOB, org("viewer"), jobs.show),
    Route("POST", f"{_JOB}/cancel", org("operator"), jobs.cancel),
    Route("POST", f"{_JOB}/retry", org("operator"), jobs.retry),
    Route("POST", f"{_JOB}/resolve", org("operator"), jobs.resolve),
    Route("GET", f"{_JOB}/logs", org("viewer"), logs.show),
    Route("GET", f"{_JOB}/evidence", org("viewer"), evidence.list_all),
    Route("GET", f"{_JOB}/assets", org("viewer"), assets.list_all),
    Route("GET", f"{_JOB}/assets/{{asset_id}}", org("viewer"), assets.download),
    Route("POST", "/jobs", tenant("operator"), with_s2_names(jobs.create)),
    Route("GET", "/jobs", tenant("viewer"), with_s2_names(jobs.list_all)),
    Route("GET", "/jobs/{job_id}", tenant("viewer"), with_s2_names(jobs.show)),
    Route("POST", "/jobs/{job_id}/cancel", tenant("operator"), with_s2_names(jobs.cancel)),
    Route("POST", "/jobs/{job_id}/resolve", tenant("operator"), with_s2_names(jobs.resolve)),
    Route("GET", "/jobs/{job_id}/logs", tenant("viewer"), logs.show),
    Route("GET", "/jobs/{job_id}/evidence", tenant("viewer"), evidence.list_all),
    Route("POST", "/api/setup", first_comer, set_up.create),
    Route("POST", "/api/session", stranger, sign_in.create),
    Route("GET", "/api/session", visitor, sign_in.show),
    Route("DELETE", "/api/session", visitor, sign_in.delete),
    Route("PUT", "/api/session/password", visitor, sign_in.change_password),
    Route("POST", "/api/session/ticket", visitor, sign_in.create_ticket),
    Route("GET", "/api/sessions", visitor, sign_in.list_all),
    Route("DELETE", "/api/sessions/{session_id}", visitor, sign_in.delete_one),
    Route("POST", "/api/login/device", stranger, device_logins.begin),
    Route("POST", "/api/login/device/token", stranger, device_logins.token),
    Route("POST", "/api/login/device/look", visitor, device_logins.look),
    Route("POST", "/api/login/device/answer", visitor, device_logins.answer),
    Route("GET", "/api/orgs", account, fleet_orgs.list_all),
    Route("POST", "/api/orgs", platform_admin, fleet_orgs.create),
    Route("GET", "/api/orgs/{org_id}", org("viewer"), fleet_orgs.show),
    Route("PATCH", "/api/orgs/{org_id}", org("owner"), fleet_orgs.patch),
    Route("GET", _HOSTS, org("viewer"), fleet_hosts.list_all),
    Route("POST", _HOSTS, org("admin"), fleet_hosts.create),
    Route("GET", f"{_HOSTS}/{{host_id}}", org("viewer"), at_owner(fleet_hosts.show)),
    Route("PATCH", f"{_HOSTS}/{{host_id}}", org("admin"), at_owner(fleet_hosts.patch)),
    Route("DELETE", f"{_HOSTS}/{{host_id}}", org("admin"), fleet_hosts.delete),
    Route("POST", f"{_HOSTS}/{{host_id}}/drain", org("admin"), at_owner(fleet_drains.begin)),
    Route("DELETE", f"{_HOSTS}/{{host_id}}/drain", org("admin"), at_owner(fleet_drains.end)),
    Route("GET", f"{_HOSTS}/{{host_id}}/queue", org("viewer"), at_owner(fleet_lines.show)),
    Route("POST", f"{_HOSTS}/{{host_id}}/queue", org("operator"), at_owner(fleet_lines.move)),
    Route("GET", f"{_HOSTS}/{{host_id}}/keys", org("admin"), fleet_keys.list_all),
    Route("POST", f"{_HOSTS}/{{host_id}}/keys", org("admin"), fleet_keys.create),
    Route("DELETE", f"{_HOSTS}/{{host_id}}/keys/{{kid}}", org("admin"), fleet_keys.delete),
    Route("GET", _INSTANCES, org("viewer"), fleet_instances.list_all),
    Route("POST", _INSTANCES, org("admin"), fleet_instances.create),
    Route("GET", f"{_INSTANCES}/{{instance_id}}", org("viewer"), fleet_instances.show),
    Route("PATCH", f"{_INSTANCES}/{{instance_id}}", org("admin"), fleet_instances.patch),
    Route("DELETE", f"{_INSTANCES}/{{instance_id}}", org("admin"), fleet_instances.delete),
    Route("GET", _TYPES, org("viewer"), fleet_job_types.list_all),
    Route("GET", f"{_TYPES}/{{type}}", org("viewer"), fleet_job_types.show),
    Route("PUT", f"{_TYPES}/{{type}}", org("admin"), fleet_job_types.put),
    Route("DELETE", f"{_TYPES}/{{type}}", org("admin"), fleet_job_types.delete),
    Route("GET", _ENROLMENTS, org("admin"), fleet_enrolments.list_all),
    Route("POST", _ENROLMENTS, org("admin"), fleet_enrolments.create),
    Route("GET", f"{_ENROLMENTS}/{{enrolment_id}}", org("admin"), fleet_enrolments.show),
    Route("DELETE", f"{_ENROLMENTS}/{{enrolment_id}}", org("admin"), fleet_enrolments.delete),
    Route("POST", "/api/agent/register", stranger, fleet_enrolments.register),
    Route("GET", _MEMBERS, org("viewer"), fleet_members.list_all),
    Route("POST", _MEMBERS, org("owner"), fleet_members.add),
    Route("GET", f"{_MEMBERS}/{{user_id}}", org("viewer"), fleet_members.show),
    Route("PATCH", f"{_MEMBERS}/{{user_id}}", org("owner"), fleet_members.patch),
    Route("DELETE", f"{_MEMBERS}/{{user_id}}", org("owner"), fleet_members.delete),
    Route("GET", "/api/orgs/{org_id}/summary", org("viewer"), summary.show),
    Route("GET", "/api/orgs/{org_id}/audit", org("admin"), audit_trail.list_all),
    Route("GET", "/api/orgs/{org_id}/settings", org("viewer"), settings.show),
    Route("PUT", "/api/orgs/{org_id}/settings", org("admin"), settings.put),
    Route("GET", "/api/agent/config", agent, settings.show_agent),
    Route("GET", f"{_HOST}/jobs", agent, agents.poll),
    Route("POST", f"{_RUN}/result", agent, at_owner(agents.result)),
    Route("POST", f"{_RUN}/progress", agent, at_owner(agents.progress)),
    Route("POST", f"{_RUN}/logs", agent, at_owner(agents.logs)),
    Route("POST", f"{_RUN}/evidence", agent, at_owner(agents.evidence)),
    Route("PUT", f"{_RUN}/assets/{{name}}", agent, assets.put),
    Route("POST", f"{_HOST}/heartbeat", agent, at_owner(agents.heartbeat)),
    Route("GET", "/agent", socket, agent_socket.connect),
    Route("GET", "/socket.io/", socket, socketio.serve),
    Route("POST", "/socket.io/", socket, socketio.serve),
    Route("OPTIONS", "/socket.io/", socket, socketio.serve),
    Route("GET", "/ws", socket, dashboards.watch),
    Route("GET", "/debug/actors", platform_admin, debug.actors),
    Route("GET", "/debug/actors/hosts/{host_id}", platform_admin, at_owner(debug.host)),
    Route("GET", "/healthz", public, health.alive),
    Route("GET", "/readyz", public, health.ready),
    Route("GET", "/metrics", public, health.metrics),
    Route("GET", "/openapi.json", public, api_docs.document),
    Route("GET", "/docs", public, api_docs.page),
    Route("GET", "/", public, first_page.home),
    Route("GET", "/app", public, dashboard.page),
    Route("GET", "/app/static/{version}/{path:.+}", public, dashboard.static),
    Route("GET", "/app/{path:.*}", public, dashboard.page),
    Route("GET", "/setup", public, first_page.page),
    Route("GET", "/setup.js", public, first_page.script),
    Route("GET", "/setup.css", public, first_page.style),
)
