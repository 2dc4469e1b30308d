"""`ETag`, `If-None-Match` and `If-Match` on what several people may edit at once."""

import asyncio
from typing import Any

import pytest

from store.models import AuditEvent
from tests.support.callers import Agent, Document, Plane, Reply, Tenant

OLD = '"0123456789abcdef-0123456789abcdef"'


class Thing:
    """A host or a server instance, and an admin who edits it."""

    def __init__(self, tenant: Tenant, path: str) -> None:
        self.admin = tenant.as_role("admin")
        self.path = path

    async def show(self, **headers: str) -> Reply:
        return await self.admin.get(self.path, headers=headers)

    async def tag(self) -> str:
        return str((await self.show()).headers["ETag"])

    async def patch(self, body: Any, match: str | None = None) -> Reply:
        headers = {} if match is None else {"If-Match": match}
        return await self.admin.ask("PATCH", self.path, body, headers=headers)

    async def delete(self, match: str, **query: Any) -> Reply:
        return await self.admin.ask("DELETE", self.path, headers={"If-Match": match}, **query)


@pytest.fixture
def agent(tenant: Tenant) -> Agent:
    return tenant.host()


@pytest.fixture
def host(tenant: Tenant, agent: Agent) -> Thing:
    return Thing(tenant, f"{tenant.path}/hosts/{agent.id}")


@pytest.fixture(params=["hosts", "server-instances"])
def thing(request: pytest.FixtureRequest, tenant: Tenant, agent: Agent) -> Thing:
    own_id = agent.id if request.param == "hosts" else agent.server_instance
    return Thing(tenant, f"{tenant.path}/{request.param}/{own_id}")


async def test_who_knows_it_already_is_not_sent_it_again(thing: Thing) -> None:
    tag = await thing.tag()
    for known in (tag, f"W/{tag}", f'"x", {tag}', "*"):
        reply = await thing.show(**{"If-None-Match": known})
        assert (reply.status, reply.body, reply.headers["ETag"]) == (304, b"", tag)
    for other in (OLD, "rubbish", f"{tag}, rubbish", ""):
        assert (await thing.show(**{"If-None-Match": other})).status == 200


async def test_an_edit_of_what_has_changed_since_is_refused_and_changes_nothing(thing: Thing) -> None:
    read = await thing.tag()
    first = await thing.patch({"name": "first"}, read)
    assert (first.status, first.json["name"]) == (200, "first")
    assert (await thing.patch({"name": "second"}, read)).refusal == (412, "precondition_failed")
    assert (await thing.delete(read)).refusal == (412, "precondition_failed")
    assert (await thing.delete(read, force=1)).refusal == (412, "precondition_failed")
    assert (await thing.show()).json["name"] == "first"
    assert (await thing.patch({"name": "second"}, first.headers["ETag"])).json["name"] == "second"
    assert (await thing.delete(await thing.tag())).status == 204


async def test_the_tag_of_a_change_is_that_of_the_next_look(thing: Thing) -> None:
    changed = await thing.patch({"name": "new"})
    assert changed.headers["ETag"] == await thing.tag()


@pytest.mark.parametrize("match", [OLD, "rubbish", '"rubbish"', '""', "", '"*"', '*, "x"'])
@pytest.mark.parametrize("body", [{"name": "new"}, {}])
async def test_what_is_not_its_tag_matches_nothing(thing: Thing, match: str, body: Document) -> None:
    assert (await thing.patch(body, match)).refusal == (412, "precondition_failed")


async def test_a_weak_tag_allows_no_change(thing: Thing) -> None:
    tag = await thing.tag()
    assert (await thing.patch({"name": "new"}, f"W/{tag}")).refusal == (412, "precondition_failed")
    assert (await thing.patch({"name": "new"}, f'W/"x", {tag}')).status == 200


async def test_a_star_matches_whatever_is_there(thing: Thing) -> None:
    assert (await thing.patch({"name": "new"}, "*")).status == 200
    assert (await thing.delete("*")).status == 204
    assert (await thing.patch({"name": "new"}, "*")).refusal == (404, "not_found")


async def test_of_editors_who_read_the_same_one_succeeds(thing: Thing) -> None:
    read = await thing.tag()
    replies = await asyncio.gather(*(thing.patch({"name": f"editor-{n}"}, read) for n in range(8)))
    assert sorted(reply.status for reply in replies) == [200] + [412] * 7
    (winner,) = [reply.json["name"] for reply in replies if reply.status == 200]
    assert (await thing.show()).json["name"] == winner


async def test_what_is_new_comes_with_its_tag(tenant: Tenant, agent: Agent) -> None:
    admin = tenant.as_role("admin")
    for place, body in (("hosts", {"name": "eu-9"}), ("server-instances", {"name": "dust", "hostId": agent.id})):
        made = await admin.post(f"{tenant.path}/{place}", body)
        reply = await admin.get(made.headers["Location"], headers={"If-None-Match": made.headers["ETag"]})
        assert (made.status, reply.status) == (201, 304)


async def test_a_host_at_work_has_a_new_tag_and_can_still_be_edited(tenant: Tenant, host: Thing, agent: Agent) -> None:
    read = await host.tag()
    job = await tenant.create(agent)
    waiting = await host.tag()
    await agent.take()
    working = await host.tag()
    assert len({read, waiting, working}) == 3
    assert (await host.show(**{"If-None-Match": read})).json["currentJobRunId"] is not None
    assert (await host.patch({"note": "at work"}, read)).status == 200
    assert (await host.patch({"note": "again"}, read)).refusal == (412, "precondition_failed")
    assert (await tenant.show(job))["status"] == "RUNNING"


@pytest.mark.parametrize(
    "change",
    [{"labels": {"zone": "b"}}, {"paused": True}, {"paused": True, "note": "x"}, {"name": "eu-2"}, "drain"],
    ids=["labels", "pause", "note", "name", "drain"],
)
async def test_whatever_people_change_of_a_host_is_in_the_way_of_an_older_edit(host: Thing, change: Any) -> None:
    read = await host.tag()
    if change == "drain":
        reply = await host.admin.post(f"{host.path}/drain", {"deadlineSeconds": 60})
        assert reply.headers["ETag"] == await host.tag()
    else:
        assert (await host.patch(change)).status == 200
    assert (await host.patch({"name": "late"}, read)).refusal == (412, "precondition_failed")


async def test_a_refused_edit_is_in_no_audit_trail(plane: Plane, thing: Thing) -> None:
    assert (await thing.patch({"name": "never"}, OLD)).status == 412
    own_id = thing.path.rpartition("/")[2]
    with plane.rows.database.connection_context():
        query = AuditEvent.select(AuditEvent.action).where(AuditEvent.target_id == own_id)
        actions = [action for (action,) in query.tuples().execute(plane.rows.database)]
    assert not [action for action in actions if action.endswith((".update", ".delete"))]


async def test_a_refused_delete_ends_no_job(tenant: Tenant, thing: Thing, agent: Agent) -> None:
    job = await tenant.create(agent, hostId=None, serverInstanceId=agent.server_instance)
    assert (await thing.delete(OLD, force=1)).refusal == (412, "precondition_failed")
    assert (await tenant.show(job))["status"] == "PENDING"


async def test_a_type_that_is_not_there_matches_no_star(tenant: Tenant) -> None:
    admin, path = tenant.as_role("admin"), f"{tenant.path}/job-types"
    star = {"If-Match": "*"}
    assert (await admin.ask("PUT", f"{path}/crawl", {}, headers=star)).refusal == (412, "precondition_failed")
    assert (await admin.ask("PUT", f"{path}/crawl", {})).status == 201
    assert (await admin.ask("PUT", f"{path}/crawl", {"maxAttempts": 2}, headers=star)).status == 200
    assert (await admin.ask("PUT", f"{path}/SERVER_START", {"maxAttempts": 2}, headers=star)).status == 200
