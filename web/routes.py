"""Every route on one screen, and who may use it."""

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from aiohttp import web

from web import access, agents, dashboards, debug, health, jobs
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
_HOST = "/api/agent/hosts/{host_id}"
_RUN = "/api/agent/hosts/{host_id}/jobs/{run_id}"

ROUTES: tuple[Route, ...] = (
    Route("POST", _JOBS, org("operator"), jobs.create),
    Route("POST", f"{_JOBS}/batch", org("operator"), jobs.create_batch),
    Route("GET", _JOBS, org("viewer"), jobs.list_all),
    Route("GET", _JOB, org("viewer"), jobs.show),
    Route("POST", f"{_JOB}/cancel", org("operator"), jobs.cancel),
    Route("POST", f"{_JOB}/retry", org("operator"), jobs.retry),
    Route("GET", f"{_JOB}/logs", org("viewer"), jobs.logs),
    Route("POST", "/jobs", tenant("operator"), with_s2_names(jobs.create)),
    Route("GET", "/jobs", tenant("viewer"), with_s2_names(jobs.list_all)),
    Route("GET", "/jobs/{job_id}", tenant("viewer"), with_s2_names(jobs.show)),
    Route("POST", "/jobs/{job_id}/cancel", tenant("operator"), with_s2_names(jobs.cancel)),
    Route("GET", "/jobs/{job_id}/logs", tenant("viewer"), jobs.logs),
    Route("GET", "/api/orgs/{org_id}/hosts/{host_id}/queue", org("viewer"), at_owner(jobs.host_queue)),
    Route("GET", f"{_HOST}/jobs", agent, agents.poll),
    Route("POST", f"{_RUN}/result", agent, at_owner(agents.result)),
    Route("POST", f"{_RUN}/progress", agent, at_owner(agents.progress)),
    Route("POST", f"{_RUN}/logs", agent, at_owner(agents.logs)),
    Route("POST", f"{_HOST}/heartbeat", agent, at_owner(agents.heartbeat)),
    Route("GET", "/ws", socket, dashboards.watch),
    Route("GET", "/debug/actors", platform_admin, debug.actors),
    Route("GET", "/debug/actors/hosts/{host_id}", platform_admin, at_owner(debug.host)),
    Route("GET", "/healthz", public, health.alive),
    Route("GET", "/readyz", public, health.ready),
    Route("GET", "/metrics", public, health.metrics),
)
