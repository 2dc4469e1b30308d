"""The server's own table of routes as tests walk it: who may use each, and what a request to it looks like.

A route that is new is in every test that walks the table. One that takes a body needs a line in `BODIES`: without it the
test that lets each role in will say that the request was not even understood.
"""

import re
from typing import Any, NamedTuple

import jwt

from tests.support.callers import Agent, Document, Tenant
from web import routes

ROLES = ("viewer", "operator", "admin", "owner")
NOBODY = "01938b3e-0000-7000-8000-0000000000cc"  # the shape of an id that names nothing
NAMES = {  # the parameters of paths, and what a scene calls them
    "org_id": "org",
    "host_id": "host",
    "job_id": "job",
    "run_id": "run",
    "instance_id": "instance",
    "asset_id": "asset",
    "enrolment_id": "enrolment",
    "session_id": "session",
    "user_id": "member",
    "kid": "key",
    "type": "type",
    "name": "file",
    "path": "page",
    "version": "version",
}


class Route(NamedTuple):
    """`who` is the least role, or the name of another guard such as `agent` or `platform_admin`."""

    method: str
    path: str
    who: str
    body: Any = None


JOBS, JOB = "/api/orgs/{org}/jobs", "/api/orgs/{org}/jobs/{job}"
HOSTS = "/api/orgs/{org}/hosts"
HOST, RUN = "/api/agent/hosts/{host}", "/api/agent/hosts/{host}/jobs/{run}"
BODIES: dict[str, Any] = {  # that are accepted
    f"POST {JOBS}": {"type": "SERVER_START", "hostId": "{host}"},
    f"POST {JOBS}/batch": {"jobs": []},
    f"POST {JOBS}/bulk": {"op": "cancel", "ids": [], "dryRun": True},
    f"POST {JOB}/cancel": {"reason": "test"},
    f"POST {JOB}/retry": {},
    f"POST {JOB}/resolve": {},
    "POST /jobs": {"type": "SERVER_START", "hostId": "{host}"},
    "POST /jobs/{job}/cancel": {"reason": "test"},
    "POST /jobs/{job}/resolve": {},
    f"POST {HOSTS}/{{host}}/queue": {"op": "front", "jobId": "{job}"},
    f"POST {HOSTS}/{{host}}/drain": {"deadlineSeconds": 60},
    f"POST {HOSTS}": {"name": "eu-9"},
    f"PATCH {HOSTS}/{{host}}": {"note": "test"},
    f"POST {HOSTS}/{{host}}/keys": {},
    "POST /api/orgs/{org}/server-instances": {"name": "dust", "hostId": "{host}"},
    "PATCH /api/orgs/{org}/server-instances/{instance}": {"config": {"slots": 12}},
    "PUT /api/orgs/{org}/job-types/{type}": {"maxAttempts": 2},
    "POST /api/orgs/{org}/enrolments": {},
    "POST /api/orgs/{org}/members": {"userId": "{member}", "role": "viewer"},
    "PATCH /api/orgs/{org}/members/{member}": {"role": "operator"},
    "PUT /api/orgs/{org}/settings": {},
    "POST /api/orgs": {"name": "new"},
    "PATCH /api/orgs/{org}": {"name": "renamed"},
    "PUT /api/session/password": {"current": "x", "password": "correct horse battery staple"},
    "POST /api/session/ticket": {},
    "POST /api/login/device": {"name": "ann@laptop"},
    "POST /api/login/device/token": {"deviceCode": "x"},
    "POST /api/login/device/look": {"userCode": "BCDF-GHJK"},
    "POST /api/login/device/answer": {"userCode": "BCDF-GHJK", "allow": False},
    "POST /api/session": {"email": "nobody@example.com", "password": "x"},
    "POST /api/setup": {"token": "x", "email": "a@example.com", "password": "correct horse battery", "orgName": "new"},
    "POST /api/agent/register": {"token": "x", "name": "eu-1"},
    f"POST {RUN}/result": {"status": "success"},
    f"POST {RUN}/progress": {"progress": 1},
    f"POST {RUN}/logs": {"lines": [{"seq": 1, "level": "info", "message": "x"}]},
    f"POST {RUN}/evidence": {"evidence": []},
    f"PUT {RUN}/assets/{{file}}": b"test",
    f"POST {HOST}/heartbeat": {"running": []},
}


def _route(route: routes.Route) -> Route:
    path = re.sub(r"\{(\w+)(?::[^}]*)?\}", lambda found: f"{{{NAMES[found[1]]}}}", route.path)
    return Route(route.method, path, route.guard.__name__, BODIES.get(f"{route.method} {path}"))


def _guarded(*guards: str, on: str = "/") -> tuple[Route, ...]:
    return tuple(route for route in WHOLE_TABLE if route.who in guards and route.path.startswith(on))


def _besides(some: tuple[Route, ...], others: tuple[Route, ...]) -> tuple[Route, ...]:
    return tuple(route for route in some if route not in others)


WHOLE_TABLE = tuple(map(_route, routes.ROUTES))
USER_ROUTES = _guarded(*ROLES, on="/api/orgs/{org}")
S2_ROUTES = _besides(_guarded(*ROLES), USER_ROUTES)
UPLOADS = tuple(route for route in WHOLE_TABLE if isinstance(route.body, bytes))
AGENT_ROUTES = _besides(_guarded("agent"), UPLOADS)
PLATFORM_ROUTES = _guarded("platform_admin")
DEBUG_ROUTES = _guarded("platform_admin", on="/debug")
ACCOUNT_ROUTES = _guarded("account", "visitor")
OPEN_ROUTES = _guarded("public", "stranger", "first_comer")
SOCKETS = _guarded("socket")
ALL_ROUTES = USER_ROUTES + AGENT_ROUTES + DEBUG_ROUTES
PUBLIC_PATHS = ("/healthz", "/readyz", "/metrics", "/openapi.json", "/docs", "/setup", "/setup.js", "/setup.css")


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
    asset_id: str
    enrolment_id: str

    @property
    def names(self) -> dict[str, str]:
        """What stands for the parameters of paths."""
        claims = jwt.decode(self.host.token or "", options={"verify_signature": False})
        return {
            "org": self.tenant.id,
            "host": self.host.id,
            "instance": self.host.server_instance,
            "member": self.tenant.user_ids["operator"],
            "job": self.waiting["id"],
            "run": self.run_id,
            "asset": self.asset_id,
            "enrolment": self.enrolment_id,
            "key": claims["kid"],
            "type": "SERVER_START",
            "file": "page.html",
            "session": NOBODY,
            "page": "jobs",
            "version": "1",
        }

    def path(self, route: Route, **others: str) -> str:
        """The route's path, about this scene but for what is given."""
        names = self.names | ({"job": self.running["id"]} if "{asset}" in route.path else {})
        return route.path.format(**(names | others))

    def body(self, route: Route) -> Any:
        """A body that would be accepted."""
        return filled(route.body, self.names)

    async def state(self) -> list[Document]:
        """All that users can see of the tenant's jobs, but for the passing of time."""
        jobs = (await self.tenant.user.get(self.tenant.jobs_path, limit=200)).json["items"]
        return [await self.tenant.show(job) for job in jobs]


def filled(body: Any, names: dict[str, str]) -> Any:
    """The body with `{name}` replaced, wherever it stands."""
    if isinstance(body, dict):
        return {key: filled(value, names) for key, value in body.items()}
    if isinstance(body, list):
        return [filled(value, names) for value in body]
    return names.get(body[1:-1], body) if isinstance(body, str) and body.startswith("{") else body


async def set_scene(tenant: Tenant) -> Scene:
    """Make one."""
    host = tenant.host()
    running = await tenant.create(host)
    waiting = await tenant.create(host, hostId=None, serverInstanceId=host.server_instance)
    run_id = (await host.take())["jobRunId"]
    sent = await host.ask("PUT", f"{host.path}/jobs/{run_id}/assets/page.html", b"<html>")
    enrolled = await tenant.as_role("admin").post(f"{tenant.path}/enrolments", {})
    return Scene(tenant, host, running, waiting, run_id, sent.json["asset"]["id"], enrolled.json["id"])
