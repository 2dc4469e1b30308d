"""Two tenants never meet: every route of the table, and in each every place that takes an id, with an id of the other tenant.

What is answered is what an id that names nothing gets, byte for byte; nothing of the other tenant is in it (all of its texts
have a mark), and no row of it changes. The cases are made from the route table and the document: a route or a parameter that is
new is tried without a line here, or fails until this file says which kind of thing it names.
"""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import aiohttp
import msgspec
import pytest

from interlock.ids import UuidIds
from tests.support.callers import Caller, Plane, Reply
from tests.support.marked import Marked, mark_all, now
from tests.support.reality import document
from tests.support.routes import (
    AGENT_ROUTES,
    BODIES,
    JOBS,
    NAMES,
    OPEN_ROUTES,
    PLATFORM_ROUTES,
    S2_ROUTES,
    SOCKETS,
    UPLOADS,
    USER_ROUTES,
    WHOLE_TABLE,
    Route,
    filled,
    name_of,
)
from tests.support.server import Rows, Server
from web.openapi.document import described, shown

THEIRS, OURS = "theirmark", "ourmark"
NO_IDS = {"file", "page", "version"}  # parameters of paths that name nothing of a tenant's
# What the parameters of queries name. None: nothing of a tenant's; "any": whatever the list is of.
QUERIES: dict[str, str | None] = {
    **dict.fromkeys(
        ("limit", "status", "type", "since", "sort", "q", "force", "follow", "next", "action", "wait"), None
    ),
    **dict.fromkeys(("instanceId", "EIO", "transport", "after"), None),  # `after` of sockets has tests of its own
    "hostId": "host",
    "createdBy": "member",
    "actorId": "member",
    "targetId": "host",
    "cursor": "any",
    "orgId": "org",
    "running": "run",
    "sid": None,  # of a Socket.IO connection, which is nobody's in particular
}
# What the fields of bodies name, as far as they look like ids.
FIELDS: dict[str, str | None] = {
    "hostId": "host",
    "serverInstanceId": "instance",
    "jobId": "job",
    "userId": "member",
    "createdBy": "member",
    "ids": "job",
    "cursor": "job",
    "running": "run",
    "instanceId": None,  # what an agent's process calls itself
    "id": None,  # of a connector, within the document itself
}
START, SEARCH = {"type": "SERVER_START"}, {"type": "SEARCH_SINGLE"}
BODY_CASES: dict[str, dict[str, Any]] = {  # by the field that names something: a body that would do, if it were ours
    f"POST {JOBS}": {
        "hostId": START | {"hostId": "{host}"},
        "serverInstanceId": START | {"serverInstanceId": "{instance}"},
        "type": {"type": "{type}"},
    },
    f"POST {JOBS}/batch": {
        "hostId": {"jobs": [START | {"hostId": "{host}"}]},
        "serverInstanceId": {"jobs": [START | {"serverInstanceId": "{instance}"}]},
        "type": {"jobs": [{"type": "{type}"}]},
    },
    f"POST {JOBS}/bulk": {
        "ids": {"op": "cancel", "ids": ["{job}"], "dryRun": True},
        "hostId": {"op": "cancel", "filter": {"hostId": "{host}"}, "dryRun": True},
        "createdBy": {"op": "cancel", "filter": {"createdBy": "{member}"}, "dryRun": True},
        "cursor": {"op": "cancel", "filter": {"type": "none"}, "cursor": "{job}", "dryRun": True},
    },
    "POST /jobs": {
        "hostId": START | {"hostId": "{host}"},
        "serverInstanceId": START | {"serverInstanceId": "{instance}"},
    },
    "POST /api/orgs/{org}/hosts/{host}/queue": {"jobId": {"op": "front", "jobId": "{job}"}},
    "POST /api/orgs/{org}/server-instances": {"hostId": {"name": "x", "hostId": "{host}"}},
    "PATCH /api/orgs/{org}/server-instances/{instance}": {"hostId": {"hostId": "{host}"}},
    "POST /api/orgs/{org}/members": {"userId": {"userId": "{member}", "role": "viewer"}},
    "POST /api/agent/hosts/{host}/heartbeat": {"running": {"running": ["{run}"]}},
}
# These have tests of their own: a type of one's own may have any name, and a poll changes what the next one gets.
APART = {("PUT /api/orgs/{org}/job-types/{type}", "type"), ("GET /api/agent/hosts/{host}/jobs", "running")}
PLAIN = {"Accept-Encoding": "identity"}  # so that marks can be seen


class Case(NamedTuple):
    """A route, and one place of a request to it: `path`, `query`, `body` or `claim`, and what is named there."""

    route: Route
    place: str
    name: str
    kind: str

    @property
    def id(self) -> str:
        return f"{name_of(self.route)} {self.place}:{self.name}"


def operations() -> dict[str, Any]:
    """The document's operations, by the names that routes have here."""
    named = zip((route for route, _ in described()), (operation for _, operation in described()), strict=True)
    made = {}
    for route, _ in named:
        ours = next(each for each in WHOLE_TABLE if _same(each, route))
        made[name_of(ours)] = document()["paths"][shown(route.path)][route.method.lower()]
    return made


def _same(ours: Route, route: Any) -> bool:
    path = re.sub(r"\{(\w+)(?::[^}]*)?\}", lambda found: f"{{{NAMES[found[1]]}}}", route.path)
    return (ours.method, ours.path) == (route.method, path)


def fields_of(schema: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Each field somewhere in a schema, with its own schema."""
    if isinstance(schema, dict):
        if "$ref" in schema:
            yield from fields_of(document()["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
        for field, inner in schema.get("properties", {}).items():
            yield field, inner
            yield from fields_of(inner, field)
        for key in ("items", "anyOf", "oneOf", "allOf"):
            inner = schema.get(key, ())
            for each in inner if isinstance(inner, list) else (inner,):
                yield from fields_of(each, name)


def looks_like_an_id(field: str, schema: Any) -> bool:
    text = msgspec.json.encode(schema).decode()
    return field in FIELDS or field.endswith(("Id", "Ids")) or ('"uuid"' in text and "$ref" not in text)


def cases() -> list[Case]:
    """All of them; `KeyError` for a parameter or field of which nobody has said what it names."""
    found = []
    told = operations()
    for route in WHOLE_TABLE:
        operation = told[name_of(route)]
        for name in re.findall(r"\{(\w+)\}", route.path):
            if name not in NO_IDS:
                found.append(Case(route, "path", name, name))  # noqa: PERF401 - as the others do
        if route in S2_ROUTES:
            found.append(Case(route, "claim", "org", "org"))
        for param in operation["parameters"]:
            kind = QUERIES[param["name"]] if param["in"] == "query" else None
            if kind is not None and route not in SOCKETS:
                found.append(Case(route, "query", param["name"], kind))
        body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
        named = {field for field, schema in fields_of(body.get("schema")) if looks_like_an_id(field, schema)}
        known = BODY_CASES.get(name_of(route), {})
        missing = {field for field in named if FIELDS[field] is not None} - set(known)
        assert not missing, name_of(route)
        found += [Case(route, "body", field, FIELDS.get(field) or field) for field in known]
    return [case for case in found if (name_of(case.route), case.name) not in APART]


CASES = cases()


async def both(server: Server, rows: Rows) -> tuple[Marked, Marked]:
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        plane = Plane(server, rows, session)
        return await mark_all(plane, THEIRS), await mark_all(plane, OURS)


@pytest.fixture(scope="module")
def tenants(server: Server, rows: Rows) -> tuple[Marked, Marked]:
    """The victim, and the tenant of those who try."""
    made: tuple[Marked, Marked] = now(both(server, rows))
    return made


@pytest.fixture
def victim(tenants: tuple[Marked, Marked]) -> Iterator[Marked]:
    """Whose rows are the same afterwards."""
    before = tenants[0].rows()
    assert all(any(THEIRS in row for row in before[name]) for name in ("Job", "Evidence", "Asset", "JobLog", "Host"))
    yield tenants[0]
    assert tenants[0].rows() == before


class Intruder:
    """A tenant's people and agent, who are up to something."""

    def __init__(self, plane: Plane, own: Marked) -> None:
        self.plane = plane
        self.own = own

    def callers(self, route: Route, org: str | None = None) -> list[Caller]:
        """Who may try at that route; `org` is the claim of their tokens."""
        if route in AGENT_ROUTES or route in UPLOADS:
            return [self.plane.caller(self.own.host.token)]
        people = [self.own.tenant.user_ids["owner"]]
        if route not in PLATFORM_ROUTES and org is None:
            people.append(self.own.tenant.user_ids["platform"])
        return [self.plane.caller(self.plane.rows.token(user_id, org)) for user_id in people]

    async def ask(self, case: Case, caller: Caller, ids: dict[str, str]) -> Reply:
        """With these ids in the place of the case, and one's own in the others."""
        names = {**self.own.ids, "file": "x.txt", "page": "jobs", "version": "1"}
        if "{asset}" in case.route.path:
            names["job"] = self.own.ids["done"]
        if case.place == "path":
            names |= ids if case.name == "org" else {case.name: ids[case.kind]}
        body = filled(BODIES.get(name_of(case.route)), self.own.ids)
        if case.place == "body":
            body = filled(BODY_CASES[name_of(case.route)][case.name], self.own.ids | {case.kind: ids[case.kind]})
        query = {case.name: ids[case.kind]} if case.place == "query" else {}
        return await caller.ask(case.route.method, case.route.path.format(**names), body, headers=PLAIN, **query)


@pytest.fixture
def intruder(server: Server, rows: Rows, session: aiohttp.ClientSession, tenants: tuple[Marked, Marked]) -> Intruder:
    return Intruder(Plane(server, rows, session), tenants[1])


def nothing(victim: Marked) -> dict[str, str]:
    """Ids that name nothing, each of the shape of a real one."""
    ids = UuidIds()
    return {kind: "nothingthere" if kind == "type" else ids.new() for kind in victim.ids}


def leaks(victim: Marked, reply: Reply, sent: set[str]) -> set[str]:
    """What of the victim is in an answer, besides the ids that were sent."""
    whole = repr(sorted(reply.headers.items())).encode() + reply.body
    return {text for text in victim.told - sent if text.encode() in whole}


def plain(reply: Reply, ids: dict[str, str]) -> tuple[Any, ...]:
    """An answer but for the ids that it repeats, and for what every answer has of its own."""
    text = reply.body.decode(errors="replace")
    for kind, own_id in sorted(ids.items(), key=lambda item: -len(item[1])):
        text = text.replace(own_id, f"<{kind}>")
    text = re.sub(r'"(requestId|serverTime)":"[^"]*"', "", text)
    own = {"x-request-id", "date", "etag", "content-length"}
    headers = {name.lower(): value for name, value in reply.headers.items() if name.lower() not in own}
    return reply.status, text, sorted(headers.items())


@pytest.mark.parametrize("case", [case for case in CASES if case.kind != "any"], ids=lambda case: case.id)
async def test_another_tenants_id_is_answered_as_one_that_names_nothing(
    victim: Marked, intruder: Intruder, case: Case
) -> None:
    absent = nothing(victim)
    kinds = ("job", "running", "done", "pool") if case.kind == "job" else (case.kind,)
    for ids in (victim.ids | {case.kind: victim.ids[kind]} for kind in kinds):
        claims = (ids["org"], absent["org"]) if case.place == "claim" else (None, None)
        there, nowhere = (intruder.callers(case.route, claim) for claim in claims)
        for caller, other in zip(there, nowhere, strict=True):
            found = await intruder.ask(case, caller, ids)
            missed = await intruder.ask(case, other, absent)
            sent = set(ids.values()) - {victim.mark} if case.name == "org" else {ids[case.kind]}
            assert leaks(victim, found, sent) == set()
            assert plain(found, ids) == plain(missed, absent)
            if case.place in {"path", "claim"}:
                assert found.status in {403, 404}


@pytest.mark.parametrize("case", [case for case in CASES if case.kind == "any"], ids=lambda case: case.id)
async def test_a_cursor_into_another_tenants_list_leads_nowhere(victim: Marked, intruder: Intruder, case: Case) -> None:
    for kind, foreign in victim.ids.items():
        reply = await intruder.ask(case, intruder.callers(case.route)[0], {"any": foreign})
        assert reply.status in {200, 400}
        assert leaks(victim, reply, {foreign}) == set(), kind


@pytest.mark.parametrize(
    "route", [route for route in WHOLE_TABLE if route.method == "GET" and route not in SOCKETS], ids=name_of
)
async def test_nothing_of_another_tenant_is_in_what_is_ones_own(
    victim: Marked, intruder: Intruder, route: Route
) -> None:
    case = Case(route, "nowhere", "", "")
    for caller in intruder.callers(route) if route not in PLATFORM_ROUTES else intruder.callers(route)[:1]:
        assert leaks(victim, await intruder.ask(case, caller, {}), set()) == set()


@pytest.mark.parametrize("route", OPEN_ROUTES, ids=name_of)
async def test_nothing_of_anybody_is_in_what_everybody_may_ask(
    victim: Marked, intruder: Intruder, route: Route
) -> None:
    reply = await intruder.ask(Case(route, "nowhere", "", ""), intruder.plane.stranger, {})
    assert leaks(victim, reply, set()) == set()


@pytest.mark.parametrize(("name", "field"), [(name, field) for name in BODY_CASES for field in BODY_CASES[name]])
async def test_the_same_request_about_what_is_ones_own_is_understood(intruder: Intruder, name: str, field: str) -> None:
    """Else the cases above would prove nothing."""
    route = next(each for each in WHOLE_TABLE if name_of(each) == name)
    kind = FIELDS.get(field) or field
    reply = await intruder.ask(Case(route, "body", field, kind), intruder.callers(route)[0], intruder.own.ids)
    assert reply.status in {200, 201, 409}
    assert b'"error":' not in reply.body


def test_every_route_with_something_to_name_is_tried() -> None:
    tried = {name_of(case.route) for case in CASES}
    assert not [
        name_of(route)
        for route in USER_ROUTES + S2_ROUTES + AGENT_ROUTES + UPLOADS
        if "{" in route.path and name_of(route) not in tried
    ]


@pytest.mark.usefixtures("victim")
async def test_a_type_of_ones_own_may_be_named_as_theirs(intruder: Intruder) -> None:
    other = intruder.plane.tenant()
    path, admin = f"{other.path}/job-types/{THEIRS}", other.as_role("admin")
    assert (await admin.get(path)).status == 404
    made = await admin.ask("PUT", path, {"maxAttempts": 2})
    assert (made.status, made.json["version"], made.json["schema"]) == (201, 1, {"type": "object"})
    assert (await admin.ask("DELETE", path)).status == 204


async def test_a_poll_that_names_another_tenants_run_says_what_any_unknown_run_says(
    victim: Marked, intruder: Intruder
) -> None:
    replies = []
    for run_id in (victim.ids["run"], nothing(victim)["run"]):
        host = intruder.plane.tenant().host()
        reply = await host.poll(running=[run_id])
        assert leaks(victim, reply, {run_id}) == set()
        assert reply.headers.get("Interlock-Cancel") in {run_id, None}
        replies.append((reply.status, "Interlock-Cancel" in reply.headers))
    assert replies[0] == replies[1]


async def test_the_same_idempotency_key_in_another_tenant_is_another_key(
    tenants: tuple[Marked, Marked], intruder: Intruder
) -> None:
    victim, other = tenants[0], intruder.plane.tenant()
    intruder.plane.rows.join(victim.tenant.id, other.user_ids["operator"], "operator")  # even for one user in both
    before = victim.rows()
    body = {"type": "SEARCH_SINGLE", "payload": {"text": "own"}}
    reply = await other.user.post(other.jobs_path, body, headers={"Idempotency-Key": "shared"})
    assert (reply.status, reply.json["payload"]) == (201, {"text": "own"})
    assert "Idempotency-Replayed" not in reply.headers
    assert victim.rows() == before
    intruder.plane.rows.leave(victim.tenant.id, other.user_ids["operator"])


async def test_the_same_file_and_the_same_evidence_are_as_new_as_any(victim: Marked, intruder: Intruder) -> None:
    answers = []
    for text in (THEIRS, "new in the world"):
        other = intruder.plane.tenant()
        host = other.host()
        await other.create(host)
        path = f"{host.path}/jobs/{(await host.take())['jobRunId']}"
        sent = (await host.ask("PUT", f"{path}/assets/x.txt", text.encode())).json
        item = {"type": "page", "title": text, "source": text, "snippet": text, "confidence": "high"}
        found = (await host.post(f"{path}/evidence", {"evidence": [item]})).json
        assert sent["asset"]["id"] != victim.ids["asset"]
        assert found["items"][0]["id"] != victim.ids["evidence"]
        del sent["asset"], found["items"][0]["id"]
        answers.append((sent, found))
    assert answers[0] == answers[1]


async def test_whoever_is_let_in_is_seen_by_name_alone(victim: Marked, intruder: Intruder) -> None:
    """Accounts are the installation's, not an org's: an owner lets in whose address he knows, and sees him then."""
    other = intruder.plane.tenant()
    body = {"email": f"{victim.ids['member']}@example.com", "role": "viewer"}
    reply = await other.as_role("owner").post(f"{other.path}/members", body)
    assert (reply.status, set(reply.json)) == (201, {"userId", "email", "name", "role", "createdAt"})
    assert leaks(victim, reply, {victim.ids["member"], victim.mark}) == set()
    intruder.plane.rows.leave(other.id, victim.ids["member"])
