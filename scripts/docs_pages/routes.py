"""docs/reference/routes.md and docs/reference/events.md: what the OpenAPI document says, on one screen each."""

from collections.abc import Iterator
from functools import cache
from typing import Any

from web.openapi.document import Builder
from web.services import WebLimits

METHODS = ("get", "post", "put", "patch", "delete")
ROUTES_HEAD = """# Routes

Every route of the REST API, who may use it at least, and what it answers when all is well. Bodies, parameters, limits,
refusals and examples are in the document that every server serves about itself, `/openapi.json`, and in its page for
people, `/docs`: [api.md](../api.md).
This page is written from that document by `./scripts/docs`.
"""
EVENTS_HEAD = """# Events

Every frame of the sockets. How they are opened, who may, and what may be lost is in [sockets.md](../sockets.md); the fields of
each shape are at `/docs#schema-NAME` of every server. This page is written from the OpenAPI document by `./scripts/docs`.
"""


@cache
def _document() -> dict[str, Any]:
    return Builder(WebLimits()).document()


def routes_page() -> str:
    """A table of routes for each part of the API."""
    document = _document()
    parts = [ROUTES_HEAD]
    for tag in document["tags"]:
        rows = list(_rows(document, tag["name"]))
        if rows:
            head = ["| route | what | who | answers |", "| --- | --- | --- | --- |"]
            parts.append("\n".join([f"## {tag['name']}", "", *head, *rows, ""]))
    return "\n".join(parts)


def events_page() -> str:
    """What is said and answered at each socket."""
    parts = [EVENTS_HEAD]
    for path, socket in _document()["x-sockets"].items():
        parts.append("\n".join([f"## {path}", "", socket["description"], ""]))
        if socket.get("exchanges"):
            rows = [
                f"| `{each['event']}` | {_shape(each['data'])} | `{each['answer']['event']}` |"
                f" {_shape(each['answer']['data'])} |"
                for each in socket["exchanges"]
            ]
            head = ["| sent | data | answer | data |", "| --- | --- | --- | --- |"]
            parts.append("\n".join([*head, *rows, ""]))
        rows = [f"| `{each['event']}` | {_shape(each['data'])} | {each['description']} |" for each in socket["pushes"]]
        parts.append("\n".join(["| the server says | data | when |", "| --- | --- | --- |", *rows, ""]))
    return "\n".join(parts)


def _rows(document: dict[str, Any], tag: str) -> Iterator[str]:
    for path, item in document["paths"].items():
        for method in METHODS:
            operation = item.get(method)
            if operation is not None and tag in operation["tags"]:
                answers = ", ".join(status for status in operation["responses"] if status < "400")
                yield f"| `{method.upper()} {path}` | {operation['summary']} | {_who(operation)} | {answers} |"


def _who(operation: dict[str, Any]) -> str:
    """The least role, or the kind of credential; anybody when none is needed."""
    for need in operation.get("security", []):
        for scheme, roles in need.items():
            return ", ".join(each.replace("platform", "platform admin") for each in roles) or {
                "agentKey": "agent",
                "userToken": "any account",
            }.get(scheme, scheme)
    return "anybody"


def _shape(schema: dict[str, Any]) -> str:
    return f"`{schema['$ref'].rpartition('/')[2]}`" if "$ref" in schema else f"`{schema.get('type', 'any')}`"
