"""The document of the API: whole, valid, and as the code says."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from interlock import frames
from interlock.errors import ALL_PROBLEMS
from tests.support.reality import document, validator
from web.edge import RequestTimeout
from web.openapi import make
from web.openapi.document import OPERATIONS
from web.openapi.examples import Examples
from web.openapi.sockets import EVENTS, PUSHES
from web.routes import ROUTES
from web.services import WebLimits

ROOT = Path(__file__).parents[2]
ON_SOCKETS = {"already_taken"}  # codes that no route answers
FOR_ANY_PATH = {"method_not_allowed"}  # those that no operation does
NO_PARAMETERS = {  # headers of HTTP itself, of proxies and of browsers
    *("Authorization", "Cookie", "Content-Encoding", "Content-Type", "Expect", "Origin", "User-Agent"),
    *("X-Forwarded-For", "X-Forwarded-Proto"),
}


def operations() -> Iterator[tuple[str, dict[str, Any]]]:
    for path, item in document()["paths"].items():
        for method, operation in item.items():
            if method != "parameters":
                yield f"{method.upper()} {path}", operation


def problem_codes(operation: dict[str, Any]) -> set[str]:
    """All codes with which it may be refused."""
    shared = document()["components"]["responses"]
    told = [shared.get(each.get("$ref", "").rpartition("/")[2], each) for each in operation["responses"].values()]
    contents = [each.get("content", {}).get("application/problem+json", {}) for each in told]
    return {code for content in contents for code in content.get("examples", {})}


def test_every_route_is_described_and_nothing_else() -> None:
    assert {f"{route.method} {route.path}" for route in ROUTES} == set(OPERATIONS), "describe it in web/openapi"


def test_the_document_is_valid_openapi() -> None:
    assert [error.message for error in OpenAPIV31SpecValidator(document()).iter_errors()] == []


def test_every_operation_has_a_name_of_its_own_and_says_how_it_ends() -> None:
    found = dict(operations())
    assert len({operation["operationId"] for operation in found.values()}) == len(found) == len(ROUTES)
    for operation in found.values():
        assert operation["summary"]
        assert any(status < "400" for status in operation["responses"])
        assert {"invalid_request", "unavailable"} <= problem_codes(operation)


@pytest.mark.parametrize("name", document()["components"]["schemas"])
def test_the_example_of_a_schema_fits_it(name: str) -> None:
    example = Examples(document()["components"]["schemas"]).of(name)
    assert [error.message for error in validator("components", "schemas", name).iter_errors(example)] == []


@pytest.mark.parametrize("name", document()["components"]["responses"])
def test_every_refusal_has_an_example_that_fits(name: str) -> None:
    media = "application/problem+json"
    content = document()["components"]["responses"][name]["content"][media]
    check = validator("components", "responses", name, "content", media, "schema")
    assert set(content["examples"]) == set(name.split(".")[1:])
    for example in content["examples"].values():
        assert [error.message for error in check.iter_errors(example["value"])] == []


def test_every_code_is_somewhere_in_the_document() -> None:
    found = set().union(*(problem_codes(operation) for _, operation in operations()))
    codes = {kind.code for kind in ALL_PROBLEMS} | {RequestTimeout.code}
    assert found == codes - ON_SOCKETS - FOR_ANY_PATH
    assert all(f"`{code}`" in document()["info"]["description"] for code in FOR_ANY_PATH)


@pytest.mark.parametrize("status", ["401", "403", "404"])
def test_what_takes_a_role_can_be_refused_for_want_of_it(status: str) -> None:
    for name, operation in operations():
        if "/orgs/{orgId}" in name and (status != "403" or not name.startswith("GET")):
            assert status in operation["responses"], name


def test_a_change_by_cookie_takes_the_token_of_the_session() -> None:
    for name, operation in operations():
        for credential in operation["security"]:
            by_cookie = "session" in credential or "secureSession" in credential
            assert ("csrf" in credential) == (by_cookie and not name.startswith("GET")), name


def parameters_in_code() -> set[str]:
    """Names of query parameters and headers that the handlers look at."""
    found = set()
    for path in (ROOT / "web").glob("*.py"):
        text = path.read_text()
        found |= set(re.findall(r'query(?:\.get\(|\[)"(\w+)"', text))
        found |= set(re.findall(r'request\.headers(?:\.get\(|\[|\.getall\()"([\w-]+)"', text))
    return found - NO_PARAMETERS


def test_every_parameter_that_a_handler_looks_at_is_described() -> None:
    described = {each["name"] for _, operation in operations() for each in operation["parameters"]}
    described |= set(document()["components"]["parameters"])
    described |= {scheme.get("name", "") for scheme in document()["components"]["securitySchemes"].values()}
    unknown = parameters_in_code() - described
    assert unknown <= {"j", "Accept"}  # JSONP, which is refused; and what OpenAPI says by the media types


def test_the_limits_that_a_server_has_are_in_its_document() -> None:
    made = json.loads(make(WebLimits(max_batch_jobs=7, max_body_bytes=8)).document)
    assert made["components"]["schemas"]["CreateJobs"]["properties"]["jobs"]["maxItems"] == 7
    body = made["paths"]["/jobs"]["post"]["requestBody"]["description"]
    assert body.startswith("Up to 8 bytes")


def test_what_has_been_made_leads_to_what_can_be_asked_about_it() -> None:
    links = document()["paths"]["/api/orgs/{orgId}/jobs"]["post"]["responses"]["201"]["links"]
    assert {"showJob", "cancelJob", "readLog"} <= set(links)
    assert links["showJob"]["parameters"] == {"orgId": "$request.path.orgId", "jobId": "$response.body#/id"}


def test_every_frame_of_an_agents_socket_is_described() -> None:
    socket = document()["x-sockets"]["/agent"]
    assert {each["event"] for each in socket["exchanges"]} == set(frames.EXCHANGES)
    assert {each["event"] for each in socket["pushes"]} == set(frames.PUSHES) == set(PUSHES)
    assert all(PUSHES[event].shape is shape for event, shape in frames.PUSHES.items() if shape is not None)


def test_every_event_that_the_code_publishes_is_described() -> None:
    texts = [path.read_text() for room in ("actors", "web") for path in (ROOT / room).glob("*.py")]
    said = r'(?:Effect\(|announce\(|publish\([\w.]+, )"([a-z_]+\.[a-z_]+)"'
    published = {event for text in texts for event in re.findall(said, text)}
    assert published | {"gap", "error"} == set(EVENTS)


class Anchors(HTMLParser):
    """The names in a page, what it links to, and its tags."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: set[str] = set()
        self.tags: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in {"href", "src"}:
                self.links.add(value or "")


def test_the_page_shows_everything_and_each_of_its_links_leads_somewhere() -> None:
    page = Anchors(make(WebLimits()).page.decode())
    assert {operation["operationId"] for _, operation in operations()} <= set(page.ids)
    assert {f"schema-{name}" for name in document()["components"]["schemas"]} <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))
    assert page.links - {"openapi.json"} <= {f"#{name}" for name in page.ids}


def test_the_page_needs_no_script_and_nothing_from_elsewhere() -> None:
    made = make(WebLimits())
    page = Anchors(made.page.decode())
    assert not page.tags & {"script", "link", "img", "iframe", "form", "object"}
    assert "style=" not in made.page.decode()
    assert made.policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in made.policy


def test_nothing_of_it_is_loaded_before_somebody_asks() -> None:
    code = "import sys, web.app; sys.exit(any(name.startswith('web.openapi') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
