"""A tenant that has something of everything, each with a mark in it: where the mark appears, something of it has come out."""

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from peewee import Model

from store import models
from tests.support.browsers import browser, give_password
from tests.support.callers import Agent, Document, Plane, Tenant


class Marked(NamedTuple):
    """The tenant; `ids` are the things of it by kind, `mark` stands in all of their texts."""

    tenant: Tenant
    host: Agent
    mark: str
    ids: dict[str, str]
    secrets: tuple[str, ...]  # keys and tokens that were shown once

    @property
    def told(self) -> set[str]:
        """All that must not come out: the mark, the ids, the secrets."""
        return {self.mark, *self.ids.values(), *self.secrets}

    def rows(self) -> dict[str, list[str]]:
        """Every row of the tenant, by table."""
        database = self.tenant.plane.rows.database
        with database.connection_context():
            jobs = [job_id for (job_id,) in _of(models.Job, "org_id", [self.tenant.id], "id").execute(database)]
            known = {"org_id": [self.tenant.id], "job_id": jobs, "user_id": list(self.tenant.user_ids.values())}
            found = {}
            for model in models.ALL_MODELS:
                fields = model._meta.fields
                column = next((name for name in known if name in fields), None)
                if column is not None:
                    found[model.__name__] = sorted(map(repr, _of(model, column, known[column]).execute(database)))
            return found


def _of(model: type[Model], column: str, values: list[str], *wanted: str) -> Any:
    columns = [getattr(model, name) for name in wanted]
    return model.select(*columns).where(getattr(model, column).in_(values)).tuples()


def now(work: Coroutine[Any, Any, Any]) -> Any:
    """Do it on a loop of its own, for fixtures that outlive a test's."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


async def mark_all(plane: Plane, mark: str) -> Marked:
    """Make one. Its agent does not speak again, so that nothing of it changes by itself."""
    tenant = plane.tenant()
    _mark_accounts(plane, tenant, mark)
    admin = tenant.as_role("admin")
    made = await _made(admin.post(f"{tenant.path}/hosts", {"name": mark, "labels": {"zone": mark}}))
    await _made(admin.ask("PATCH", f"{tenant.path}/hosts/{made['id']}", {"note": mark}))
    body = {"name": mark, "hostId": made["id"], "config": {"text": mark}}
    instance = await _made(admin.post(f"{tenant.path}/server-instances", body))
    host = Agent(plane.session, plane.url, made["id"], made["agentKey"], instance["id"])
    enrolment = await _made(admin.post(f"{tenant.path}/enrolments", {"labels": {"zone": mark}}))
    schema = {"type": "object", "title": mark}
    await _made(admin.ask("PUT", f"{tenant.path}/job-types/{mark}", {"schema": schema}))
    await _made(admin.ask("PUT", f"{tenant.path}/settings", {"platform": {"apiUrl": mark}}))
    jobs = await _jobs(tenant, host, mark)
    keys = (await admin.get(f"{tenant.path}/hosts/{host.id}/keys")).json["items"]
    ids = jobs | {
        "org": tenant.id,
        "host": host.id,
        "instance": instance["id"],
        "member": tenant.user_ids["operator"],
        "enrolment": enrolment["id"],
        "key": keys[0]["kid"],
        "session": await _session(tenant),
        "type": mark,
    }
    return Marked(tenant, host, mark, ids, (made["agentKey"], enrolment["token"]))


async def _jobs(tenant: Tenant, host: Agent, mark: str) -> dict[str, str]:
    """One that has ended, one that runs, one that waits, one of the pool."""
    headers = {"Idempotency-Key": "shared"}
    body = {"type": "SERVER_START", "hostId": host.id, "payload": {"text": mark}}
    done = await _made(tenant.user.post(tenant.jobs_path, body, headers=headers))
    run = (await host.take(instance=f"agent-{mark}"))["jobRunId"]
    await host.progress(run, 50, message=mark)
    await host.logs(run, {"seq": 1, "level": "info", "message": mark})
    item = {"type": "page", "title": mark, "source": mark, "snippet": mark, "confidence": "high"}
    found = await _made(host.post(f"{host.path}/jobs/{run}/evidence", {"evidence": [item]}))
    sent = await _made(host.ask("PUT", f"{host.path}/jobs/{run}/assets/{mark}.txt", mark.encode()))
    await host.finish(run, output={"text": mark})
    await host.result(run, "failed", errorMessage=mark)  # a late report
    running = await tenant.create(host, payload={"text": mark}, maxAttempts=1)
    live = (await host.take())["jobRunId"]
    waiting = await tenant.create(host, hostId=None, serverInstanceId=host.server_instance, payload={"text": mark})
    pool = await tenant.pool(payload={"text": mark}, labels={"zone": mark})
    return {
        "job": waiting["id"],
        "run": live,
        "done": done["id"],
        "running": running["id"],
        "pool": pool["id"],
        "asset": sent["asset"]["id"],
        "evidence": found["items"][0]["id"],
    }


async def _session(tenant: Tenant) -> str:
    """A session of its operator at a browser: its id."""
    async with browser(tenant.plane.url) as page:
        await page.sign_in(give_password(tenant.plane.rows, tenant.user_ids["operator"]))
        return str((await page.get("/api/sessions")).json["items"][0]["id"])


def _mark_accounts(plane: Plane, tenant: Tenant, mark: str) -> None:
    for role in ("owner", "admin", "viewer"):
        tenant.as_role(role)
    tenant.user_ids["platform"] = plane.rows.user(tenant.id, "owner", platform_admin=True)
    database = plane.rows.database
    with database.connection_context(), database.atomic("IMMEDIATE"):
        models.Organization.update(name=mark).where(models.Organization.id == tenant.id).execute(database)
        for user_id in tenant.user_ids.values():
            models.User.update(name=mark).where(models.User.id == user_id).execute(database)


async def _made(asking: Coroutine[Any, Any, Any]) -> Document:
    reply = await asking
    assert reply.status in {200, 201}, reply
    made: Document = reply.json
    return made
