"""A run that waits for its user: said by the agent, shown, resolved by a user, heard by the agent."""

import pytest

from store.models import AuditEvent
from tests.support.callers import Agent, Document, Reply, Tenant


async def waiting(tenant: Tenant) -> tuple[Agent, Document, str]:
    """A host, its job, and its run, which waits for its user."""
    host = tenant.host()
    job = await tenant.create(host)
    run_id = (await host.take())["jobRunId"]
    told = await host.progress(run_id, 40, message="A code, please", needsUserAction=True)
    assert told.json == {"status": "running", "cancelRequested": False, "needsUserAction": True}
    return host, job, run_id


async def resolve(tenant: Tenant, job: Document, role: str = "operator") -> Reply:
    return await tenant.as_role(role).post(f"{tenant.jobs_path}/{job['id']}/resolve")


async def test_it_is_shown_until_a_user_has_resolved_it(tenant: Tenant) -> None:
    host, job, run_id = await waiting(tenant)
    assert (await tenant.show(job))["needsUserAction"] is True
    reply = await resolve(tenant, job)
    assert (reply.status, reply.json["needsUserAction"], reply.json["status"]) == (200, False, "RUNNING")
    assert reply.json == await tenant.show(job)
    await host.finish(run_id)


async def test_an_agent_that_polls_hears_of_it_in_every_answer(tenant: Tenant) -> None:
    host, job, run_id = await waiting(tenant)
    line = {"seq": 1, "message": "waiting"}
    assert (await host.progress(run_id, 40)).json["needsUserAction"] is True
    assert (await host.logs(run_id, line)).json["needsUserAction"] is True
    assert (await host.beat(running=[run_id])).json["runs"] == [
        {"jobRunId": run_id, "verdict": "continue", "needsUserAction": True}
    ]
    await resolve(tenant, job)
    assert (await host.progress(run_id, 40)).json == {"status": "running", "cancelRequested": False}
    assert "needsUserAction" not in (await host.logs(run_id, line)).json
    assert (await host.beat(running=[run_id])).json["runs"] == [{"jobRunId": run_id, "verdict": "continue"}]


async def test_dashboards_hear_of_both(tenant: Tenant) -> None:
    async with tenant.watch() as watch:
        _, job, _ = await waiting(tenant)
        await watch.until("job.updated", jobId=job["id"], needsUserAction=True)
        await resolve(tenant, job)
        await watch.until("job.updated", jobId=job["id"], needsUserAction=False)


async def test_it_is_in_the_audit_trail_who_resolved_it(tenant: Tenant) -> None:
    _, job, _ = await waiting(tenant)
    await resolve(tenant, job)
    database = tenant.plane.rows.database
    with database.connection_context():
        (line,) = (
            AuditEvent.select()
            .where(AuditEvent.action == "job.resolve")
            .where(AuditEvent.target_id == job["id"])
            .execute(database)
        )
    assert (line.actor_kind, line.actor_id, line.org_id) == ("user", tenant.user_ids["operator"], tenant.id)


async def test_what_waits_for_nobody_cannot_be_resolved(tenant: Tenant) -> None:
    host, job, run_id = await waiting(tenant)
    await resolve(tenant, job)
    assert (await resolve(tenant, job)).refusal == (409, "invalid_state")
    behind = await tenant.create(host)
    assert (await resolve(tenant, behind)).refusal == (409, "invalid_state")
    await host.finish(run_id)
    assert (await resolve(tenant, job)).refusal == (409, "invalid_state")


async def test_a_run_that_ends_waits_for_nobody(tenant: Tenant) -> None:
    host, job, run_id = await waiting(tenant)
    await host.finish(run_id)
    assert (await tenant.show(job))["needsUserAction"] is False


async def test_an_agent_may_go_on_by_itself(tenant: Tenant) -> None:
    host, job, run_id = await waiting(tenant)
    await host.progress(run_id, 50, needsUserAction=False)
    assert (await tenant.show(job))["needsUserAction"] is False
    assert (await resolve(tenant, job)).refusal == (409, "invalid_state")


async def test_it_may_happen_again(tenant: Tenant) -> None:
    host, job, run_id = await waiting(tenant)
    await resolve(tenant, job)
    await host.progress(run_id, 60, needsUserAction=True)
    assert (await resolve(tenant, job)).json["needsUserAction"] is False


@pytest.mark.parametrize("body", [{"surprise": 1}, []])
async def test_a_body_that_says_anything_is_refused(tenant: Tenant, body: object) -> None:
    _, job, _ = await waiting(tenant)
    reply = await tenant.user.post(f"{tenant.jobs_path}/{job['id']}/resolve", body)
    assert reply.refusal == (400, "invalid_request")


async def test_s2_has_a_path_of_its_own_for_it(tenant: Tenant) -> None:
    _, job, _ = await waiting(tenant)
    reply = await tenant.user.post(f"/jobs/{job['id']}/resolve", {})
    assert (reply.status, reply.json["needsUserAction"], reply.json["tenantId"]) == (200, False, tenant.id)
