"""The wire contract's routes as data: who may use each, and what a request to it looks like."""

from typing import Any, NamedTuple

from tests.support.callers import Agent, Document, Tenant

ROLES = ("viewer", "operator", "admin", "owner")
NOBODY = "01938b3e-0000-7000-8000-0000000000cc"  # the shape of an id that names nothing


class Route(NamedTuple):
    """`who` is the least role, or agent, or platform."""

    method: str
    path: str
    who: str
    body: Any = None


JOBS, JOB = "/api/orgs/{org}/jobs", "/api/orgs/{org}/jobs/{job}"
HOSTS = "/api/orgs/{org}/hosts"
HOST, RUN = "/api/agent/hosts/{host}", "/api/agent/hosts/{host}/jobs/{run}"

USER_ROUTES = (
    Route("POST", JOBS, "operator", {"type": "SERVER_START", "hostId": "{host}"}),
    Route("POST", f"{JOBS}/batch", "operator", {"jobs": []}),
    Route("POST", f"{JOBS}/bulk", "operator", {"op": "cancel", "ids": [], "dryRun": True}),
    Route("GET", JOBS, "viewer"),
    Route("GET", JOB, "viewer"),
    Route("POST", f"{JOB}/cancel", "operator", {"reason": "test"}),
    Route("POST", f"{JOB}/retry", "operator", {}),
    Route("POST", f"{JOB}/resolve", "operator", {}),
    Route("GET", f"{JOB}/logs", "viewer"),
    Route("GET", f"{JOB}/evidence", "viewer"),
    Route("GET", f"{JOB}/assets", "viewer"),
    Route("GET", "/api/orgs/{org}/hosts/{host}/queue", "viewer"),
    Route("POST", "/api/orgs/{org}/hosts/{host}/queue", "operator", {"op": "front", "jobId": "{job}"}),
    Route("POST", "/api/orgs/{org}/hosts/{host}/drain", "admin", {"deadlineSeconds": 60}),
    Route("DELETE", "/api/orgs/{org}/hosts/{host}/drain", "admin"),
    Route("GET", "/api/orgs/{org}", "viewer"),
    Route("GET", HOSTS, "viewer"),
    Route("POST", HOSTS, "admin", {"name": "eu-9"}),
    Route("GET", f"{HOSTS}/{{host}}", "viewer"),
    Route("PATCH", f"{HOSTS}/{{host}}", "admin", {"note": "test"}),
    Route("DELETE", f"{HOSTS}/{{host}}", "admin"),
    Route("GET", f"{HOSTS}/{{host}}/keys", "admin"),
    Route("POST", f"{HOSTS}/{{host}}/keys", "admin", {}),
    Route("GET", "/api/orgs/{org}/server-instances", "viewer"),
    Route("POST", "/api/orgs/{org}/server-instances", "admin", {"name": "dust", "hostId": "{host}"}),
    Route("GET", "/api/orgs/{org}/server-instances/{instance}", "viewer"),
    Route("PATCH", "/api/orgs/{org}/server-instances/{instance}", "admin", {"config": {"slots": 12}}),
    Route("DELETE", "/api/orgs/{org}/server-instances/{instance}", "admin"),
    Route("GET", "/api/orgs/{org}/job-types", "viewer"),
    Route("GET", "/api/orgs/{org}/job-types/SERVER_START", "viewer"),
    Route("PUT", "/api/orgs/{org}/job-types/SERVER_START", "admin", {"maxAttempts": 2}),
    Route("DELETE", "/api/orgs/{org}/job-types/SERVER_START", "admin"),
    Route("GET", "/api/orgs/{org}/enrolments", "admin"),
    Route("POST", "/api/orgs/{org}/enrolments", "admin", {}),
    Route("GET", "/api/orgs/{org}/members", "viewer"),
    Route("POST", "/api/orgs/{org}/members", "owner", {"userId": "{member}", "role": "viewer"}),
    Route("GET", "/api/orgs/{org}/members/{member}", "viewer"),
    Route("PATCH", "/api/orgs/{org}/members/{member}", "owner", {"role": "operator"}),
    Route("DELETE", "/api/orgs/{org}/members/{member}", "owner"),
    Route("GET", "/api/orgs/{org}/audit", "admin"),
    Route("GET", "/api/orgs/{org}/settings", "viewer"),
    Route("PUT", "/api/orgs/{org}/settings", "admin", {}),
)
AGENT_ROUTES = (
    Route("GET", f"{HOST}/jobs", "agent"),
    Route("POST", f"{RUN}/result", "agent", {"status": "success"}),
    Route("POST", f"{RUN}/progress", "agent", {"progress": 1}),
    Route("POST", f"{RUN}/logs", "agent", {"lines": [{"seq": 1, "level": "info", "message": "x"}]}),
    Route("POST", f"{RUN}/evidence", "agent", {"evidence": []}),
    Route("POST", f"{HOST}/heartbeat", "agent", {"running": []}),
)
PLATFORM_ROUTES = (
    Route("GET", "/debug/actors", "platform"),
    Route("GET", "/debug/actors/hosts/{host}", "platform"),
)
PUBLIC_PATHS = ("/healthz", "/readyz", "/metrics", "/openapi.json", "/docs", "/setup", "/setup.js", "/setup.css")
ALL_ROUTES = USER_ROUTES + AGENT_ROUTES + PLATFORM_ROUTES


def name_of(route: Route) -> str:
    """As a test's id."""
    return f"{route.method} {route.path}"


class Scene(NamedTuple):
    """A tenant whose host runs one job while another waits: something for every route to be about."""

    tenant: Tenant
    host: Agent
    running: Document
    waiting: Document
    run_id: str

    @property
    def names(self) -> dict[str, str]:
        return {
            "org": self.tenant.id,
            "host": self.host.id,
            "instance": self.host.server_instance,
            "member": self.tenant.user_ids["operator"],
            "job": self.waiting["id"],
            "run": self.run_id,
        }

    def path(self, route: Route, **others: str) -> str:
        """The route's path, about this scene but for what is given."""
        return route.path.format(**(self.names | others))

    def body(self, route: Route) -> Any:
        """A body that would be accepted."""
        if not isinstance(route.body, dict):
            return route.body
        names = {f"{{{name}}}": known for name, known in self.names.items()}
        return {key: names.get(value, value) if isinstance(value, str) else value for key, value in route.body.items()}

    async def state(self) -> list[Document]:
        """All that users can see of the tenant's jobs, but for the passing of time."""
        jobs = (await self.tenant.user.get(self.tenant.jobs_path, limit=200)).json["items"]
        return [await self.tenant.show(job) for job in jobs]


async def set_scene(tenant: Tenant) -> Scene:
    """Make one."""
    host = tenant.host()
    running = await tenant.create(host)
    waiting = await tenant.create(host, hostId=None, serverInstanceId=host.server_instance)
    return Scene(tenant, host, running, waiting, (await host.take())["jobRunId"])
