"""The server says itself what it answers: to programs, and as a page to people."""

import json

import pytest

from tests.support.callers import Plane, Tenant
from tests.support.reality import document

PATHS = ("/openapi.json", "/docs")


@pytest.mark.parametrize("path", PATHS)
async def test_anybody_may_read_it_even_before_the_set_up(plane: Plane, path: str) -> None:
    reply = await plane.stranger.get(path)
    assert reply.status == 200
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert "X-Request-Id" in reply.headers


async def test_the_document_is_the_one_that_the_tests_hold_the_server_to(plane: Plane) -> None:
    reply = await plane.stranger.get("/openapi.json")
    assert reply.headers["Content-Type"] == "application/json"
    assert reply.json["openapi"].startswith("3.1")
    assert reply.json == json.loads(json.dumps(document()))


async def test_the_page_says_that_it_needs_no_script_and_nothing_from_elsewhere(plane: Plane) -> None:
    reply = await plane.stranger.get("/docs")
    assert reply.headers["Content-Type"] == "text/html; charset=utf-8"
    assert reply.headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'sha256-")
    assert "createJob" in reply.body.decode()


@pytest.mark.parametrize("path", PATHS)
async def test_who_knows_it_already_is_not_sent_it_again(plane: Plane, path: str) -> None:
    tag = (await plane.stranger.get(path)).headers["ETag"]
    again = await plane.stranger.get(path, headers={"If-None-Match": f'"other", W/{tag}'})
    assert (again.status, again.body, again.headers["ETag"]) == (304, b"", tag)


async def test_a_client_that_follows_a_link_of_the_document_arrives(tenant: Tenant) -> None:
    made = await tenant.user.post(tenant.jobs_path, {"type": "SERVER_START", "hostId": tenant.host().id})
    path = "/api/orgs/{orgId}/jobs"
    link = document()["paths"][path]["post"]["responses"]["201"]["links"]["showJob"]
    values = {"$request.path.orgId": tenant.id, "$response.body#/id": made.json["id"]}
    names = {name: values[value] for name, value in link["parameters"].items()}
    reply = await tenant.user.get((path + "/{jobId}").format(**names))
    assert reply.json["id"] == made.json["id"]
