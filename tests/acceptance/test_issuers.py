"""Users' tokens of an issuer outside, over HTTP, with its keys on a real server."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.callers import Plane, Tenant
from tests.support.issuer import NAME, KeyServer, claims, hmac_signed, jwk_of, make_key, set_of, signed
from tests.support.server import Rows, Server

OLD, NEW = make_key("ES256"), make_key("ES256")


def user_of(tenant: Tenant, role: str = "viewer") -> str:
    """The id of the tenant's user of that role."""
    tenant.as_role(role)
    return tenant.user_ids[role]


@pytest.fixture(scope="module")
def keys() -> Iterator[KeyServer]:
    with KeyServer(set_of(jwk_of(OLD, "old"))) as running:
        yield running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, keys: KeyServer) -> Iterator[Server]:
    data_dir: Path = tmp_path_factory.mktemp("data")
    settings: dict[str, Any] = {
        "jwks_url": keys.url,
        "jwt_issuer": NAME,
        "jwt_algorithm": "ES256",
        "jwks_retry_seconds": 0.01,
    }
    with Server(data_dir, **settings) as running:
        yield running
    assert running.tracebacks() == []


@pytest.fixture
def fresh(keys: KeyServer) -> Iterator[KeyServer]:
    yield keys
    keys.body, keys.status = set_of(jwk_of(OLD, "old")), 200


async def test_a_token_of_the_issuer_opens_what_its_account_may(plane: Plane, tenant: Tenant) -> None:
    viewer = plane.caller(signed(OLD, "ES256", claims(user_of(tenant)), "old"))
    assert (await viewer.get(tenant.jobs_path)).status == 200
    assert (await viewer.get("/jobs")).status == 200
    assert (await viewer.post(tenant.jobs_path, {"type": "SERVER_START"})).refusal == (403, "forbidden")
    assert (await viewer.get(plane.tenant().jobs_path)).refusal == (404, "not_found")


async def test_our_own_tokens_and_keys_go_on_beside_it(tenant: Tenant) -> None:
    assert (await tenant.user.get(tenant.jobs_path)).status == 200
    assert (await tenant.host().poll()).status == 204


async def test_a_token_opens_a_dashboards_socket(plane: Plane, tenant: Tenant, session: aiohttp.ClientSession) -> None:
    token = signed(OLD, "ES256", claims(user_of(tenant)), "old")
    headers = {"Authorization": f"Bearer {token}"}
    async with session.ws_connect(f"{plane.server.url}/ws?orgId={tenant.id}", headers=headers) as socket:
        await tenant.user.post(tenant.jobs_path, {"type": "SERVER_START", "hostId": tenant.host().id})
        assert json.loads(await socket.receive_str(timeout=10))["event"]


async def test_tokens_that_only_look_like_the_issuers_open_nothing(
    plane: Plane, tenant: Tenant, keys: KeyServer
) -> None:
    user_id = user_of(tenant, "owner")
    good = claims(user_id)
    bad = {
        "another key": signed(NEW, "ES256", good, "old"),
        "another kind of key": signed(make_key("EdDSA"), "EdDSA", good, "old"),
        "another issuer": signed(OLD, "ES256", claims(user_id, iss="https://id.example.org/"), "old"),
        "no issuer": signed(OLD, "ES256", claims(user_id, iss=None), "old"),
        "another audience": signed(OLD, "ES256", claims(user_id, aud="shop"), "old"),
        "no audience": signed(OLD, "ES256", claims(user_id, aud=None), "old"),
        "no end": signed(OLD, "ES256", claims(user_id, exp=None), "old"),
        "nobody": signed(OLD, "ES256", claims("ann"), "old"),
        "the public key as a secret": hmac_signed(keys.body, '{"alg":"HS256","kid":"old"}', json.dumps(good)),
        "a path as an id": signed(OLD, "ES256", good, "../../../../dev/null"),
        "a key of its own": signed(NEW, "ES256", good, "new", jwk=jwk_of(NEW, "new")),
        "a set of its own": signed(NEW, "ES256", good, "new", jku=keys.url),
    }
    refused = {name: (await plane.caller(token).get(tenant.jobs_path)).refusal for name, token in bad.items()}
    assert refused == dict.fromkeys(refused, (401, "unauthenticated"))


async def test_no_token_of_the_issuer_speaks_for_a_host(plane: Plane, tenant: Tenant) -> None:
    host = tenant.host()
    said = claims(host.id, aud=["interlock", "interlock-agent"], org=tenant.id, kid=host.id)
    caller = plane.caller(signed(OLD, "ES256", said, "old"))
    assert (await caller.get(f"{host.path}/jobs")).refusal == (401, "unauthenticated")


async def test_a_key_that_is_new_is_fetched_at_its_first_token(plane: Plane, tenant: Tenant, fresh: KeyServer) -> None:
    caller = plane.caller(signed(NEW, "ES256", claims(user_of(tenant)), "new"))
    assert (await caller.get(tenant.jobs_path)).status == 401
    fresh.body = set_of(jwk_of(OLD, "old"), jwk_of(NEW, "new"))
    while (status := (await caller.get(tenant.jobs_path)).status) == 401:
        pass  # it is not asked again within ten milliseconds
    assert status == 200


async def test_while_the_issuer_is_away_its_known_keys_go_on(plane: Plane, tenant: Tenant, fresh: KeyServer) -> None:
    fresh.status = 503
    caller = plane.caller(signed(OLD, "ES256", claims(user_of(tenant)), "old"))
    stranger = plane.caller(signed(OLD, "ES256", claims(user_of(tenant)), "unheard of"))
    for _ in range(3):
        assert (await stranger.get(tenant.jobs_path)).status == 401
        assert (await caller.get(tenant.jobs_path)).status == 200


async def test_an_issuer_that_was_never_there_keeps_no_server_from_starting(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    with KeyServer() as gone:
        url = gone.url
    settings: dict[str, Any] = {
        "jwks_url": url,
        "jwt_issuer": NAME,
        "jwt_algorithm": "ES256",
        "jwt_user_claim": "email",
    }
    with Server(tmp_path, **settings, jwks_retry_seconds=0.01) as server:
        tenant = Plane(server, Rows(tmp_path), session).tenant()
        said = claims("auth0|5", email=f"{user_of(tenant)}@example.com", email_verified=True)
        caller = tenant.plane.caller(signed(OLD, "ES256", said, "old"))
        reply = await caller.get(tenant.jobs_path)
        assert reply.refusal == (503, "unavailable")
        assert int(reply.headers["Retry-After"]) >= 1
        assert (await tenant.user.get(tenant.jobs_path)).status == 200
    assert server.tracebacks() == []


async def test_an_account_may_be_meant_by_its_verified_address(
    tmp_path: Path, keys: KeyServer, session: aiohttp.ClientSession
) -> None:
    settings: dict[str, Any] = {
        "jwks_url": keys.url,
        "jwt_issuer": NAME,
        "jwt_algorithm": "ES256",
        "jwt_user_claim": "email",
    }
    with Server(tmp_path, **settings) as server:
        tenant = Plane(server, Rows(tmp_path), session).tenant()
        address = f"{user_of(tenant)}@example.com"
        for said, status in (
            ({"email": address, "email_verified": True}, 200),
            ({"email": address.upper(), "email_verified": True}, 200),
            ({"email": address, "email_verified": False}, 401),
            ({"email": "nobody@example.com", "email_verified": True}, 401),
            ({}, 401),
        ):
            caller = tenant.plane.caller(signed(OLD, "ES256", claims("auth0|5", **said), "old"))
            assert (await caller.get(tenant.jobs_path)).status == status, said
    assert server.tracebacks() == []
