"""The document: every route of the table, as its description, its guard and the wire's structs say."""

import re
from collections.abc import Iterator
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

from interlock.errors import TryLater
from interlock.wire import EvidenceItem
from web.openapi import agents, device_logins, fleet, jobs, operators, people
from web.openapi.access import SCHEMES, access_of, problems_of
from web.openapi.description import JSON, UUID, Answer, Body, Operation, Param, Problem, Schema, Shape, text
from web.openapi.examples import Examples
from web.openapi.schemas import REF, components, name_of
from web.openapi.shapes import Created, NotCreated
from web.openapi.shapes import Problem as ProblemShape
from web.openapi.sockets import SHAPES, sockets
from web.routes import ROUTES, Route
from web.services import WebLimits

PROBLEM = "application/problem+json"
OPERATIONS: dict[str, Operation] = {
    **jobs.OPERATIONS,
    **fleet.OPERATIONS,
    **people.OPERATIONS,
    **device_logins.OPERATIONS,
    **agents.OPERATIONS,
    **operators.OPERATIONS,
}
_ABOUT = """\
Runs jobs on a fleet of remote hosts: one job at a time per host, by construction.

JSON is camelCase. Times are RFC 3339 in UTC with milliseconds, ids are UUIDv7. Unknown fields in requests of users are
refused, in those of agents they are passed over; clients pass over unknown fields in answers.

Whatever is refused is answered by `application/problem+json` with a stable `code`. 429 and 503 carry `Retry-After`:
the same request may succeed then. A path that exists answers another method with 405 `method_not_allowed` and `Allow`, any
other path with 404 `not_found`; a request that does not arrive in time is answered with 408 `request_timeout`.
Another organization's ids are answered as if they did not exist.

Where the operator limits how many requests a credential or an organization may send, each answer says by `RateLimit-Policy`
and `RateLimit` which limit is nearest and what is left of it; beyond it is 429 `rate_limited`.

Lists are read page by page: `nextCursor` of one page is `cursor` of the next, and a `Link` header with `rel="next"` leads there.
"""
_PATH: dict[str, tuple[str, Schema, str]] = {
    "org_id": ("orgId", UUID, "The organization."),
    "host_id": ("hostId", UUID, "The host."),
    "job_id": ("jobId", UUID, "The job."),
    "run_id": ("jobRunId", UUID, "The run: one attempt of a job."),
    "asset_id": ("assetId", UUID, "The file."),
    "instance_id": ("instanceId", UUID, "The server instance."),
    "enrolment_id": ("enrolmentId", UUID, "The enrolment."),
    "session_id": ("sessionId", UUID, "The session."),
    "user_id": ("userId", UUID, "The account."),
    "kid": ("kid", UUID, "The key's id."),
    "type": ("type", {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._:-]{0,99}$"}, "The job type's name."),
    "name": ("name", text(255, 1), "The file's name: printable, without slashes, up to 255 bytes."),
    "path": ("path", {"type": "string"}, "What stands behind, slashes included."),
    "version": ("version", {"type": "string"}, "The version of the files, which the page names."),
}
_PARAMETER = re.compile(r"\{(\w+)(?::[^{}]+)?\}")  # `{name}`, or `{name:pattern}`
_HEADERS: dict[str, tuple[Schema, str]] = {
    "X-Request-Id": (text(100), "The request's id: the client's own if that was decent, else a fresh one."),
    "Location": ({"type": "string", "format": "uri-reference"}, "Where it is."),
    "Link": ({"type": "string"}, 'With `rel="next"`: the next page, if there is one.'),
    "ETag": ({"type": "string"}, "This version of it."),
    "Retry-After": (
        {"type": "integer", "minimum": 1},
        "Seconds to wait; with some chance in it, so that not all come back at once.",
    ),
    "WWW-Authenticate": ({"const": "Bearer"}, "Which credential would do."),
    "Preference-Applied": ({"type": "string"}, "Which part of `Prefer` was heeded, such as `wait=30`."),
    "Idempotency-Replayed": ({"const": "true"}, "There when this is the first answer given again."),
    "Interlock-Cancel": (UUID, "The live run that is to stop, if there is one."),
    "Content-Disposition": ({"type": "string"}, "Always an attachment, under the file's name."),
    "Set-Cookie": ({"type": "string"}, "The session's cookie: HttpOnly, SameSite=Strict."),
}


class Builder:
    """Makes one document."""

    def __init__(self, limits: WebLimits) -> None:
        self._limits = limits
        self._schemas = components(_shapes(), limits)
        self._examples = Examples(self._schemas)
        self._refusals: dict[str, Any] = {}

    def document(self) -> dict[str, Any]:
        """As it is served."""
        paths: dict[str, dict[str, Any]] = {}
        for route, operation in described():
            path = paths.setdefault(shown(route.path), self._path(route))
            path[route.method.lower()] = self._operation(route, operation)
        return {
            "openapi": "3.1.0",
            "info": {"title": "Interlock", "version": version("interlock-server"), "description": _ABOUT},
            "servers": [{"url": "/"}],
            "tags": [{"name": tag} for tag in dict.fromkeys(each.tag for each in OPERATIONS.values())],
            "paths": paths,
            "components": {
                "schemas": self._schemas,
                "responses": dict(sorted(self._refusals.items())),
                "headers": {
                    name: {"schema": schema, "description": words} for name, (schema, words) in _HEADERS.items()
                },
                "parameters": {"X-Request-Id": _REQUEST_ID},
                "securitySchemes": SCHEMES,
            },
            "x-sockets": sockets(self._ref),
        }

    def _path(self, route: Route) -> dict[str, Any]:
        parameters = [
            {"name": name, "in": "path", "required": True, "schema": schema, "description": words}
            for name, schema, words in (_PATH[key] for key in _PARAMETER.findall(route.path))
        ]
        return {"parameters": [*parameters, {"$ref": "#/components/parameters/X-Request-Id"}]}

    def _operation(self, route: Route, operation: Operation) -> dict[str, Any]:
        access = access_of(route)
        made: dict[str, Any] = {
            "operationId": operation.id,
            "tags": [operation.tag],
            "summary": operation.text,
            "description": f"{operation.detail}\n\nFor {access.who}.".strip(),
            "security": access.security,
            "parameters": [_parameter(param) for param in _merged(operation.params)],
            "responses": dict(self._responses(route, operation)),
        }
        if operation.body is not None and operation.body.documented:
            made["requestBody"] = self._body(operation.body)
        return made

    def _body(self, body: Body) -> dict[str, Any]:
        content: dict[str, Any] = {}
        if body.shape is not None:
            content = {"schema": self._ref(body.shape), "example": self._example(body.shape)}
        most = f"Up to {body.bound(self._limits):,} bytes, not compressed."
        return {"required": body.required, "description": most, "content": {body.media: content}}

    def _responses(self, route: Route, operation: Operation) -> Iterator[tuple[str, Any]]:
        for answer in operation.answers:
            made = self._answer(answer)
            links = _links(route) if "Location" in answer.headers else {}
            yield str(answer.status), made | ({"links": links} if links else {})
        refusals: dict[int, list[Problem]] = {}
        for kind in problems_of(route, operation):
            refusals.setdefault(kind.status, []).append(kind)
        for status, kinds in refusals.items():
            told = self._refusal(status, kinds)
            yield str(status), self._also_plain(told) if status in operation.plain else told

    def _answer(self, answer: Answer) -> dict[str, Any]:
        headers = {name: {"$ref": f"#/components/headers/{name}"} for name in ("X-Request-Id", *answer.headers)}
        made: dict[str, Any] = {"description": answer.text, "headers": headers}
        if answer.shape is not None:
            made["content"] = {JSON: {"schema": self._ref(answer.shape), "example": self._example(answer.shape)}}
        elif answer.media and answer.status == HTTPStatus.OK:
            made["content"] = {media: {} for media in (answer.media, *answer.also)}
        return made

    def _refusal(self, status: int, kinds: list[Problem]) -> dict[str, str]:
        """A reference to what all routes with the same refusals share."""
        name = ".".join((str(status), *(kind.code for kind in kinds)))
        if name not in self._refusals:
            self._refusals[name] = self._problems(status, kinds)
        return {"$ref": f"#/components/responses/{name}"}

    def _also_plain(self, told: dict[str, str]) -> dict[str, Any]:
        shared: dict[str, Any] = self._refusals[told["$ref"].rpartition("/")[2]]
        return shared | {"content": shared["content"] | {"text/plain": {}}}

    def _problems(self, status: int, kinds: list[Problem]) -> dict[str, Any]:
        wanted = ["X-Request-Id"]
        if issubclass(kinds[0], TryLater):
            wanted.append("Retry-After")
        if status == HTTPStatus.UNAUTHORIZED:
            wanted.append("WWW-Authenticate")
        narrowed = {"properties": {"status": {"const": status}, "code": {"enum": [kind.code for kind in kinds]}}}
        return {
            "description": "; ".join(f"`{kind.code}`: {kind.title}" for kind in kinds),
            "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in wanted},
            "content": {
                PROBLEM: {
                    "schema": {"allOf": [self._ref(ProblemShape), narrowed]},
                    "examples": {kind.code: {"value": self._problem(kind)} for kind in kinds},
                }
            },
        }

    def _problem(self, kind: Problem) -> dict[str, Any]:
        example: dict[str, Any] = self._example(ProblemShape)
        told = {"type": f"urn:interlock:problem:{kind.code}", "title": kind.title, "status": kind.status}
        return example | told | {"detail": kind.title, "code": kind.code}

    def _ref(self, shape: Shape) -> dict[str, str]:
        return {"$ref": REF + name_of(shape, self._schemas)}

    def _example(self, shape: Shape) -> Any:
        return self._examples.of(name_of(shape, self._schemas))


def _shapes() -> Iterator[Shape]:
    extra: tuple[Shape, ...] = (ProblemShape, Created, NotCreated, EvidenceItem)
    yield from extra
    yield from SHAPES
    for operation in OPERATIONS.values():
        if operation.body is not None and operation.body.shape is not None:
            yield operation.body.shape
        yield from (answer.shape for answer in operation.answers if answer.shape is not None)


def described() -> Iterator[tuple[Route, Operation]]:
    """The routes with what is said of them. A test sees to it that there is none of which nothing is said."""
    for route in ROUTES:
        operation = OPERATIONS.get(f"{route.method} {route.path}")
        if operation is not None:
            yield route, operation


def shown(path: str) -> str:
    """A route's path with its parameters' names as the document has them."""
    return _PARAMETER.sub(lambda found: f"{{{_PATH[found[1]][0]}}}", path)


def _merged(params: tuple[Param, ...]) -> tuple[Param, ...]:
    return tuple({(param.where, param.name.lower()): param for param in params}.values())


def _parameter(param: Param) -> dict[str, Any]:
    made = {"name": param.name, "in": param.where, "description": param.text, "schema": param.schema}
    return made | ({"required": True} if param.required else {})


_REQUEST_ID = _parameter(
    Param(
        "X-Request-Id", {"type": "string"}, "An id of the client's own: up to 100 printable ASCII characters.", "header"
    )
)
_NEW = {"kid": "kid", "user_id": "userId"}  # how an answer names what is new, if not `id`


def _links(route: Route) -> dict[str, Any]:
    """From what has just been made to all that can be asked about it."""
    found = {}
    for other, operation in described():
        rest = other.path.removeprefix(route.path)
        name = re.match(r"/\{(\w+)\}(/|$)", rest)
        if rest != other.path and name is not None and rest.count("{") == 1:
            known = {_PATH[key][0]: f"$request.path.{_PATH[key][0]}" for key in _PARAMETER.findall(route.path)}
            new = f"$response.body#/{_NEW.get(name[1], 'id')}"
            found[operation.id] = {"operationId": operation.id, "parameters": known | {_PATH[name[1]][0]: new}}
    return found
