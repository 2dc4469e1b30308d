"""A tenant with something on every page: hosts in many states, a line, jobs that ended and one that runs, an own job type."""

from dataclasses import dataclass

from tests.support.callers import Agent, Caller, Document, Tenant


@dataclass(frozen=True)
class Furnished:
    """Who is where: `busy` runs `running` and has `waiting` in line; `paused`, `draining` and `fresh` are what they say."""

    tenant: Tenant
    busy: Agent
    paused: Agent
    draining: Agent
    fresh: Agent
    ended: Document
    running: Document
    waiting: list[Document]

    @property
    def owner(self) -> Caller:
        """The tenant's owner, over HTTP."""
        return self.tenant.as_role("owner")


async def furnish(tenant: Tenant, lined_up: int = 3) -> Furnished:
    """Fill the tenant; `lined_up` jobs wait on the busy host."""
    owner = tenant.as_role("owner")
    busy, paused, draining, fresh = (tenant.host(name) for name in ("eu-1", "eu-2", "us-1", "us-2"))
    ended = await _failed(tenant, busy)
    running = await tenant.create(busy, job_type="SERVER_RESTART")
    taken = await busy.take(1, instance="process-1")
    await busy.progress(taken["jobRunId"], 40, message="warming up")
    waiting = [await tenant.create(busy, payload={"map": f"de_{number}"}) for number in range(lined_up)]
    hosts = f"{tenant.path}/hosts"
    await _done(owner, "PATCH", f"{hosts}/{paused.id}", {"paused": True, "note": "new disk", "labels": {"zone": "eu"}})
    await _done(owner, "POST", f"{hosts}/{draining.id}/drain", {"deadlineSeconds": 3600})
    schema = {"type": "object", "required": ["url"], "properties": {"url": {"type": "string", "title": "Address"}}}
    await _done(owner, "PUT", f"{tenant.path}/job-types/crawl", {"schema": schema, "maxAttempts": 5})
    await _done(owner, "POST", f"{tenant.path}/enrolments", {"maxUses": 20, "labels": {"zone": "eu"}})
    return Furnished(tenant, busy, paused, draining, fresh, ended, running, waiting)


async def _failed(tenant: Tenant, host: Agent) -> Document:
    job = await tenant.create(host, payload={"map": "de_dust2"})
    taken = await host.take(1, instance="process-1")
    await host.logs(taken["jobRunId"], {"seq": 1, "message": "binding the port", "level": "info"})
    item = {"type": "port", "title": "27015", "source": "netstat", "snippet": "in use", "confidence": "high"}
    await host.post(f"{host.path}/jobs/{taken['jobRunId']}/evidence", {"evidence": [item]})
    await host.finish(taken["jobRunId"], "failed", errorMessage="The port is taken", retryable=False)
    return job


async def _done(caller: Caller, method: str, path: str, body: Document) -> None:
    reply = await caller.ask(method, path, body)
    assert reply.status < 300, reply
