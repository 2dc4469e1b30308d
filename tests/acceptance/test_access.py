"""Who may do what: roles, tenants, hosts' keys, and credentials that do not hold."""

import base64
import json
import time
from typing import Any

import jwt
import pytest

from interlock.ids import UuidIds
from store.models import AgentKey, AuditEvent
from tests.support.callers import Caller, Plane, Tenant
from tests.support.routes import (
    ACCOUNT_ROUTES,
    AGENT_ROUTES,
    ALL_ROUTES,
    DEBUG_ROUTES,
    NOBODY,
    OPEN_ROUTES,
    PLATFORM_ROUTES,
    PUBLIC_PATHS,
    ROLES,
    S2_ROUTES,
    SOCKETS,
    UPLOADS,
    USER_ROUTES,
    WHOLE_TABLE,
    Route,
    Scene,
    name_of,
    set_scene,
)

IDS = UuidIds()


async def ask(caller: Caller, scene: Scene, route: Route, **others: str) -> tuple[int, str]:
    """Status, and code if it is a problem."""
    reply = await caller.ask(route.method, scene.path(route, **others), scene.body(route))
    return reply.status, reply.code if reply.status >= 400 else ""


def test_every_route_of_the_table_has_its_place_here() -> None:
    groups = (USER_ROUTES, S2_ROUTES, AGENT_ROUTES, UPLOADS, PLATFORM_ROUTES, ACCOUNT_ROUTES, OPEN_ROUTES, SOCKETS)
    assert sorted(name_of(route) for group in groups for route in group) == sorted(map(name_of, WHOLE_TABLE))


@pytest.mark.parametrize("route", USER_ROUTES + S2_ROUTES, ids=name_of)
async def test_each_route_is_open_to_its_role_and_to_those_above(tenant: Tenant, route: Route) -> None:
    scene = await set_scene(tenant)
    before = await scene.state()
    enough = ROLES.index(route.who)
    for role in ROLES[:enough]:
        assert await ask(tenant.as_role(role), scene, route) == (403, "forbidden")
    assert await scene.state() == before
    for role in ROLES[enough:]:
        status, code = await ask(tenant.as_role(role), scene, route)
        assert status in {200, 201, 202, 204, 409} or (status, code) == (404, "not_found" if role != route.who else "")


@pytest.mark.parametrize("route", USER_ROUTES, ids=name_of)
async def test_another_tenants_org_is_not_found_whatever_one_is_at_home(
    plane: Plane, tenant: Tenant, route: Route
) -> None:
    scene = await set_scene(tenant)
    before = await scene.state()
    other = plane.tenant()
    for role in ROLES:
        assert await ask(other.as_role(role), scene, route) == (404, "not_found")
    nothing = await ask(tenant.as_role("owner"), scene, route, org=NOBODY)
    assert nothing == (404, "not_found")
    assert await scene.state() == before


@pytest.mark.parametrize("route", [route for route in USER_ROUTES if "{job}" in route.path], ids=name_of)
async def test_another_tenants_job_is_not_found_under_ones_own_org(plane: Plane, tenant: Tenant, route: Route) -> None:
    scene, other = await set_scene(tenant), await set_scene(plane.tenant())
    before = await scene.state()
    for job_id in (scene.waiting["id"], scene.running["id"], NOBODY, "x", "%00"):
        owner = other.tenant.as_role("owner")
        assert await ask(owner, other, route, job=job_id) == (404, "not_found")
    assert await scene.state() == before


async def test_another_tenants_host_and_instance_are_no_targets(plane: Plane, tenant: Tenant) -> None:
    other = plane.tenant().host()
    for target in ({"hostId": other.id}, {"serverInstanceId": other.server_instance}):
        reply = await tenant.user.post(tenant.jobs_path, {"type": "SERVER_START", **target})
        assert reply.refusal == (404, "not_found")
    reply = await tenant.user.get(f"{tenant.path}/hosts/{other.id}/queue")
    assert reply.refusal == (404, "not_found")


async def test_another_tenants_job_looks_just_like_one_that_does_not_exist(plane: Plane, tenant: Tenant) -> None:
    theirs = (await set_scene(plane.tenant())).waiting["id"]
    replies = [(await tenant.user.get(f"{tenant.jobs_path}/{job_id}")).json for job_id in (theirs, NOBODY)]
    for reply in replies:
        del reply["requestId"]
    assert replies[0] == replies[1]


@pytest.mark.parametrize("route", USER_ROUTES, ids=name_of)
async def test_a_platform_admin_is_no_member_of_every_org(plane: Plane, tenant: Tenant, route: Route) -> None:
    scene = await set_scene(tenant)
    platform = plane.caller(plane.rows.token(plane.rows.user(plane.tenant().id, "owner", platform_admin=True)))
    assert await ask(platform, scene, route) == (404, "not_found")


@pytest.mark.parametrize("route", [each for each in AGENT_ROUTES + UPLOADS if "{host}" in each.path], ids=name_of)
async def test_a_hosts_key_opens_no_other_hosts_path(plane: Plane, tenant: Tenant, route: Route) -> None:
    scene = await set_scene(tenant)
    before = await scene.state()
    for other in (tenant.host("sibling"), plane.tenant().host()):
        assert await ask(other, scene, route) == (403, "forbidden")
    assert await ask(scene.host, scene, route, host=NOBODY) == (403, "forbidden")
    assert await scene.state() == before


GUARDED = ALL_ROUTES + S2_ROUTES + UPLOADS + PLATFORM_ROUTES + ACCOUNT_ROUTES


@pytest.mark.parametrize("route", GUARDED, ids=name_of)
async def test_users_and_agents_cannot_take_each_others_place(plane: Plane, tenant: Tenant, route: Route) -> None:
    scene = await set_scene(tenant)
    before = await scene.state()
    wrong = tenant.as_role("owner") if route.who == "agent" else plane.caller(scene.host.token)
    reply = await wrong.ask(route.method, scene.path(route), scene.body(route))
    assert reply.refusal == (401, "unauthenticated")
    assert reply.headers["WWW-Authenticate"].startswith("Bearer")
    assert await scene.state() == before


@pytest.mark.parametrize("route", ACCOUNT_ROUTES, ids=name_of)
async def test_what_is_about_ones_own_account_takes_no_role(tenant: Tenant, route: Route) -> None:
    scene = await set_scene(tenant)
    answers = {await ask(tenant.as_role(role), scene, route) for role in ROLES}
    assert len(answers) == 1
    assert answers.pop()[0] not in {401, 503}


@pytest.mark.parametrize("route", PLATFORM_ROUTES, ids=name_of)
async def test_what_is_for_platform_admins_takes_no_less(plane: Plane, tenant: Tenant, route: Route) -> None:
    scene = await set_scene(tenant)
    before = await scene.state()
    for role in ROLES:
        assert await ask(tenant.as_role(role), scene, route) == (403, "forbidden")
    platform = plane.caller(plane.rows.token(plane.rows.user(tenant.id, "viewer", platform_admin=True)))
    assert (await ask(platform, scene, route))[0] in {200, 201}
    assert await scene.state() == before


@pytest.mark.parametrize("route", DEBUG_ROUTES, ids=name_of)
async def test_debugging_is_for_platform_admins_only(plane: Plane, tenant: Tenant, route: Route) -> None:
    scene = await set_scene(tenant)
    for role in ROLES:
        assert await ask(tenant.as_role(role), scene, route) == (403, "forbidden")
    platform = plane.caller(plane.rows.token(plane.rows.user(tenant.id, "viewer", platform_admin=True)))
    reply = await platform.ask(route.method, scene.path(route))
    assert reply.status == 200
    assert scene.run_id.encode() in reply.body
    assert b"payload" not in reply.body


async def test_debugging_is_audited(plane: Plane, tenant: Tenant) -> None:
    host = tenant.host()
    admin_id = plane.rows.user(tenant.id, "viewer", platform_admin=True)
    await plane.caller(plane.rows.token(admin_id)).get(f"/debug/actors/hosts/{host.id}")
    assert audited(plane, actor_id=admin_id) == [("debug.read", host.id)]


async def test_every_change_by_a_user_is_audited(plane: Plane, tenant: Tenant) -> None:
    host = tenant.host()
    job = await tenant.create(host)
    await tenant.cancel(job)
    await tenant.retry(job)
    actions = audited(plane, actor_id=tenant.user_ids["operator"])
    assert actions == [("job.create", job["id"]), ("job.cancel", job["id"]), ("job.retry", job["id"])]


def audited(plane: Plane, *, actor_id: str) -> list[tuple[str, str]]:
    """What the trail says of somebody: action and target, oldest first."""
    query = AuditEvent.select(AuditEvent.action, AuditEvent.target_id).where(AuditEvent.actor_id == actor_id)
    with plane.rows.database.connection_context():
        return list(query.order_by(AuditEvent.id).tuples().execute(plane.rows.database))


def signed(plane: Plane, claims: dict[str, Any], *, algorithm: str = "HS256", secret: bytes | None = None) -> str:
    """A token by the instance's own secret, unless another is given."""
    own = (plane.server.data_dir / "secret").read_text().strip().encode()
    return jwt.encode(claims, own if secret is None else secret, algorithm=algorithm)


def unsigned(claims: dict[str, Any], header: dict[str, Any], signature: str = "") -> str:
    parts = (base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in (header, claims))
    return ".".join([*parts, signature])


def bad_user_tokens(plane: Plane, user_id: str) -> dict[str, str]:
    """Tokens that look nearly right."""
    now = int(time.time())
    good = {"aud": "interlock", "sub": user_id, "iat": now, "exp": now + 600}
    head, body, signature = signed(plane, good).split(".")
    without = {name: {key: value for key, value in good.items() if key != name} for name in good}
    return {
        "expired": signed(plane, good | {"exp": now - 60}),
        "without exp": signed(plane, without["exp"]),
        "exp null": signed(plane, good | {"exp": None}),
        "exp text": unsigned(good | {"exp": "tomorrow"}, {"alg": "HS256"}),
        "without sub": signed(plane, without["sub"]),
        "without aud": signed(plane, without["aud"]),
        "agents' aud": signed(plane, good | {"aud": "interlock-agent"}),
        "list of auds": signed(plane, good | {"aud": ["interlock", "interlock-agent"]}),
        "not yet": signed(plane, good | {"nbf": now + 600}),
        "unknown user": signed(plane, good | {"sub": NOBODY}),
        "e-mail as sub": signed(plane, good | {"sub": f"{user_id}@example.com"}),
        "forged": signed(plane, good, secret=b"x" * 64),
        "empty secret": signed(plane, good, secret=b" " * 32),
        "HS512": signed(plane, good, algorithm="HS512"),
        "none": unsigned(good, {"alg": "none", "typ": "JWT"}),
        "None": unsigned(good, {"alg": "None"}),
        "none with a signature": unsigned(good, {"alg": "none"}, signature),
        "alg null": unsigned(good, {"alg": None}, signature),
        "no alg": unsigned(good, {}, signature),
        "RS256": unsigned(good, {"alg": "RS256"}, signature),
        "with jwk": unsigned(good, {"alg": "HS256", "jwk": {"kty": "oct", "k": "eA"}}, signature),
        "cut": f"{head}.{body}.{signature[:-2]}",
        "unsigned": f"{head}.{body}.",
        "two parts": f"{head}.{body}",
        "swapped": f"{body}.{head}.{signature}",
        "deep": unsigned({"a": json.loads("[" * 500 + "]" * 500)}, {"alg": "HS256"}, signature),
        "huge": "x" * 5000,
        "dots": "..",
        "list": unsigned(good, {"alg": "HS256"}) + "W10",
    }


async def test_a_token_that_does_not_hold_opens_nothing(plane: Plane, tenant: Tenant) -> None:
    scene = await set_scene(tenant)
    before = await scene.state()
    refused = {}
    for name, token in bad_user_tokens(plane, tenant.user_ids["operator"]).items():
        reply = await plane.caller(token).post(tenant.jobs_path, {"type": "SERVER_START", "hostId": scene.host.id})
        refused[name] = reply.refusal
    assert refused == dict.fromkeys(refused, (401, "unauthenticated"))
    assert await scene.state() == before


@pytest.mark.parametrize(
    "exp",
    [10**400, 2**70, -(10**400), float("inf"), float("nan"), True, [], 1e300],
    ids=["10^400", "2^70", "-10^400", "Infinity", "NaN", "true", "[]", "1e300"],
)
async def test_an_expiry_that_is_no_time_is_no_server_error(plane: Plane, tenant: Tenant, exp: Any) -> None:
    claims = {"aud": "interlock", "sub": tenant.user_ids["operator"], "exp": exp}
    reply = await plane.caller(signed(plane, claims)).get(tenant.jobs_path)
    assert reply.status in {200, 401}


async def test_an_agents_key_that_does_not_hold_opens_nothing(plane: Plane, tenant: Tenant) -> None:
    host, stranger = tenant.host(), plane.tenant().host()
    kid = jwt.decode(host.token or "", options={"verify_signature": False})["kid"]
    good = {"aud": "interlock-agent", "sub": host.id, "org": tenant.id, "kid": kid}
    bad = {
        "forged": signed(plane, good, secret=b"y" * 64),
        "none": unsigned(good, {"alg": "none"}),
        "users' aud": signed(plane, good | {"aud": "interlock", "exp": int(time.time()) + 60}),
        "unknown kid": signed(plane, good | {"kid": NOBODY}),
        "another's kid": signed(plane, good | {"sub": stranger.id}),
        "another org": signed(plane, good | {"org": stranger.id}),
        "expired": signed(plane, good | {"exp": int(time.time()) - 60}),
        "without kid": signed(plane, {key: value for key, value in good.items() if key != "kid"}),
        "kid number": signed(plane, good | {"kid": 5}),
    }
    refused = {name: (await plane.caller(token).get(f"{host.path}/jobs")).refusal for name, token in bad.items()}
    assert refused == dict.fromkeys(refused, (401, "unauthenticated"))
    assert (await plane.caller(signed(plane, good)).get(f"{host.path}/jobs")).status == 204


async def test_a_revoked_key_opens_nothing_and_a_second_key_of_the_host_goes_on(plane: Plane, tenant: Tenant) -> None:
    host = tenant.host()
    kid, at = IDS.new(), int(time.time() * 1000)
    with plane.rows.database.connection_context():
        AgentKey.insert(kid=kid, org_id=tenant.id, host_id=host.id, created_at=at, revoked_at=at).execute(
            plane.rows.database
        )
    revoked = plane.caller(plane.rows.tokens.agent_key(host.id, tenant.id, kid))
    assert (await revoked.get(f"{host.path}/jobs")).refusal == (401, "unauthenticated")
    assert (await host.poll()).status == 204


NO_CREDENTIALS = ("", "Bearer", "Bearer ", "Basic dTpw", "bearer", "Token x", "Bearer  \t", "Bearer \xff", "Bearer a b")


@pytest.mark.parametrize("route", GUARDED, ids=name_of)
async def test_a_header_without_a_credential_is_no_credential(tenant: Tenant, route: Route) -> None:
    scene = await set_scene(tenant)
    nobody, path, body = tenant.plane.stranger, scene.path(route), scene.body(route)
    for header in NO_CREDENTIALS:
        reply = await nobody.ask(route.method, path, body, headers={"Authorization": header})
        assert reply.refusal == (401, "unauthenticated")
    assert (await nobody.ask(route.method, path, body)).refusal == (401, "unauthenticated")


async def test_the_scheme_of_a_credential_is_written_in_any_case(tenant: Tenant) -> None:
    headers = {"Authorization": f"bEARER {tenant.user.token}"}
    assert (await tenant.plane.stranger.get(tenant.jobs_path, headers=headers)).status == 200


async def test_a_token_that_has_just_been_cached_still_expires(plane: Plane, tenant: Tenant) -> None:
    now = int(time.time())
    claims = {"aud": "interlock", "sub": tenant.user_ids["operator"], "exp": now - 8}
    caller = plane.caller(signed(plane, claims))  # within the ten seconds that clocks may differ
    status = (await caller.get(tenant.jobs_path)).status
    while status == 200:
        status = (await caller.get(tenant.jobs_path)).status
    assert status == 401


@pytest.mark.parametrize("path", PUBLIC_PATHS)
async def test_health_is_for_everybody(plane: Plane, tenant: Tenant, path: str) -> None:
    assert tenant.id
    assert (await plane.stranger.get(path)).status == 200


async def test_a_member_of_two_orgs_is_in_each_what_that_org_says(plane: Plane, tenant: Tenant) -> None:
    other = plane.tenant()
    viewer = tenant.as_role("viewer")
    plane.rows.join(other.id, tenant.user_ids["viewer"], "operator")
    for org, status in ((tenant, 403), (other, 201)):
        reply = await viewer.post(org.jobs_path, {"type": "SERVER_START", "hostId": org.host().id})
        assert reply.status == status


async def test_the_actors_that_are_alive_are_shown_as_a_tree(plane: Plane, tenant: Tenant) -> None:
    host = tenant.host()
    await tenant.create(host)
    platform = plane.caller(plane.rows.token(plane.rows.user(tenant.id, "viewer", platform_admin=True)))
    supervisors = (await platform.get("/debug/actors")).json["supervisors"]
    mine = next(each for each in supervisors if each["orgId"] == tenant.id)
    assert {"mailbox", "routed", "restarts", "hosts"} <= mine.keys()
    (shown,) = mine["hosts"]
    assert (shown["hostId"], shown["pending"], shown["current"], shown["restarts"]) == (host.id, 1, None, 0)
    whole = (await platform.get(f"/debug/actors/hosts/{host.id}")).json
    assert {name: whole[name] for name in ("mailbox", "restarts", "pendingCount")} == {
        "mailbox": 0,
        "restarts": 0,
        "pendingCount": 1,
    }
    assert whole["busySeconds"] > 0
