"""Server instances over REST: made, shown, changed, moved and deleted by admins; jobs about them go to their host."""

import asyncio
from typing import Any

import pytest

from tests.support.callers import Agent, Document, Plane, Reply, Tenant
from tests.support.routes import NOBODY


class Instances:
    """An admin of a tenant, and an instance on one of its hosts."""

    def __init__(self, tenant: Tenant) -> None:
        self.tenant = tenant
        self.path = f"{tenant.path}/server-instances"
        self.admin = tenant.as_role("admin")
        self.host = tenant.host()

    async def create(self, host: Agent | None = None, **fields: Any) -> Document:
        body = {"name": "dust", "hostId": (host or self.host).id}
        reply = await self.admin.post(self.path, body | fields)
        assert reply.status == 201, reply
        made: Document = reply.json
        return made

    async def patch(self, made: Document, body: Any, **query: Any) -> Reply:
        return await self.admin.ask("PATCH", f"{self.path}/{made['id']}", body, **query)

    async def delete(self, made: Document, **query: Any) -> Reply:
        return await self.admin.ask("DELETE", f"{self.path}/{made['id']}", **query)

    async def job(self, made: Document) -> Document:
        """A job about it."""
        body = {"type": "SERVER_START", "serverInstanceId": made["id"]}
        reply = await self.tenant.user.post(self.tenant.jobs_path, body)
        assert reply.status == 201, reply
        job: Document = reply.json
        return job


@pytest.fixture
def instances(tenant: Tenant) -> Instances:
    return Instances(tenant)


async def test_a_server_instance_sends_its_jobs_to_its_host(instances: Instances) -> None:
    body = {"name": "dust", "hostId": instances.host.id, "config": {"slots": 12}}
    reply = await instances.admin.post(instances.path, body)
    made = reply.json
    assert (reply.status, reply.headers["Location"]) == (201, f"{instances.path}/{made['id']}")
    assert made.items() >= (body | {"orgId": instances.tenant.id}).items()
    assert (await instances.tenant.as_role("viewer").get(f"{instances.path}/{made['id']}")).json == made
    job = await instances.job(made)
    assert (job["hostId"], job["serverInstanceId"]) == (instances.host.id, made["id"])


async def test_server_instances_are_listed_for_the_org_or_for_a_host(instances: Instances) -> None:
    hosts, viewer = [instances.tenant.host(), instances.tenant.host()], instances.tenant.as_role("viewer")
    made = [await instances.create(host) for host in hosts]
    assert (await viewer.get(instances.path)).json["items"][-2:] == made
    assert made[1] in (await viewer.get(instances.path, hostId=hosts[1].id)).json["items"]
    assert made[0] not in (await viewer.get(instances.path, hostId=hosts[1].id)).json["items"]
    page = (await viewer.get(instances.path, limit=4)).json
    rest = (await viewer.get(instances.path, limit=4, cursor=page["nextCursor"])).json
    assert ((page["items"] + rest["items"])[-2:], rest["nextCursor"]) == (made, None)


async def test_a_server_instance_lives_on_a_host_of_its_own_org(plane: Plane, instances: Instances) -> None:
    made, theirs = await instances.create(), plane.tenant().host()
    for host_id in (theirs.id, NOBODY, "nothing"):
        reply = await instances.admin.post(instances.path, {"name": "a", "hostId": host_id})
        assert reply.refusal == (404, "not_found")
        assert (await instances.patch(made, {"hostId": host_id})).refusal == (404, "not_found")


async def test_what_is_given_changes_and_the_rest_stays(instances: Instances) -> None:
    made = await instances.create(config={"slots": 12})
    assert (await instances.patch(made, {"name": "inferno"})).json == made | {"name": "inferno"}
    assert (await instances.patch(made, {"config": {}})).json == made | {"name": "inferno", "config": {}}
    assert (await instances.patch(made, {})).json == made | {"name": "inferno", "config": {}}


async def test_an_instance_that_moves_sends_its_next_jobs_to_its_new_host(instances: Instances) -> None:
    made, other = await instances.create(), instances.tenant.host()
    first = await instances.job(made)
    assert (await instances.patch(made, {"hostId": other.id})).refusal == (409, "invalid_state")
    await instances.host.finish((await instances.host.take())["jobRunId"])
    assert (await instances.patch(made, {"hostId": other.id})).json == made | {"hostId": other.id}
    assert ((await instances.job(made))["hostId"], first["hostId"]) == (other.id, instances.host.id)


async def test_a_job_whose_instance_has_moved_or_gone_since_is_not_tried_again_on_its_old_host(
    instances: Instances,
) -> None:
    made, other = await instances.create(), instances.tenant.host()
    job = await instances.job(made)
    path = f"{instances.tenant.jobs_path}/{job['id']}"
    assert (await instances.tenant.user.post(f"{path}/cancel", {})).status == 200
    assert (await instances.patch(made, {"hostId": other.id})).status == 200
    moved = await instances.tenant.user.post(f"{path}/retry", {})
    assert (moved.refusal, moved.json["current"]) == ((409, "invalid_state"), {"status": "CANCELLED"})
    assert "on another host now" in moved.json["detail"]
    assert (await instances.patch(made, {"hostId": instances.host.id})).status == 200
    assert (await instances.delete(made)).status == 204
    gone = await instances.tenant.user.post(f"{path}/retry", {})
    assert (gone.refusal, "has been deleted" in gone.json["detail"]) == ((409, "invalid_state"), True)
    assert (await instances.host.poll()).status == 204


async def test_a_job_that_is_made_while_its_instance_moves_is_never_left_on_the_old_host(instances: Instances) -> None:
    other, outcomes = instances.tenant.host(), set()
    for number in range(20):
        made = await instances.create()
        body = {"type": "SERVER_START", "serverInstanceId": made["id"]}
        create = instances.tenant.user.post(instances.tenant.jobs_path, body)
        both = (instances.patch(made, {"hostId": other.id}), create)
        replies = await asyncio.gather(*(both if number % 2 else reversed(both)))
        move, job = replies if number % 2 else reversed(replies)
        outcomes.add((move.status, job.status))
        if (move.status, job.status) == (200, 201):
            assert job.json["hostId"] == other.id
    assert outcomes <= {(200, 503), (409, 201), (200, 201)}


async def test_a_forced_move_cancels_what_waits_for_the_instance_and_nothing_else(instances: Instances) -> None:
    made, other = await instances.create(), instances.tenant.host()
    beside, ours = await instances.tenant.create(instances.host), await instances.job(made)
    assert (await instances.patch(made, {"hostId": other.id}, force=1)).status == 200
    assert (await instances.tenant.show(ours))["status"] == "CANCELLED"
    assert (await instances.tenant.show(beside))["status"] == "PENDING"


async def test_an_instance_with_open_jobs_is_deleted_only_by_force(instances: Instances) -> None:
    made = await instances.create()
    job = await instances.job(made)
    reply = await instances.delete(made)
    assert (reply.refusal, reply.json["current"]) == ((409, "invalid_state"), {"openJobs": 1})
    assert (await instances.delete(made, force=1)).status == 204
    assert (await instances.tenant.show(job))["status"] == "CANCELLED"
    assert (await instances.delete(made)).refusal == (404, "not_found")
    body = {"type": "SERVER_START", "serverInstanceId": made["id"]}
    assert (await instances.tenant.user.post(instances.tenant.jobs_path, body)).refusal == (404, "not_found")


async def test_another_tenants_instances_are_not_found(plane: Plane, instances: Instances) -> None:
    made, other = await instances.create(), Instances(plane.tenant())
    for instance_id in (made["id"], NOBODY, "nothing"):
        path = f"{other.path}/{instance_id}"
        for method, body in (("GET", None), ("PATCH", {"name": "a"}), ("DELETE", None)):
            assert (await other.admin.ask(method, path, body, force=1)).refusal == (404, "not_found")
    assert (await instances.admin.get(f"{instances.path}/{made['id']}")).json == made


@pytest.mark.parametrize("body", [{"name": None}, {"hostId": 1}, {"config": []}, {"colour": "red"}, {"name": ""}])
async def test_a_change_that_makes_no_sense_is_refused(instances: Instances, body: Any) -> None:
    made = await instances.create()
    assert (await instances.patch(made, body)).refusal == (400, "invalid_request")
