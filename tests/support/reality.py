"""Whether what a server answers is what its document says: the status, the media type, the headers, the body."""

import json
import re
from collections.abc import Mapping
from functools import cache, reduce
from operator import getitem
from typing import Any, NamedTuple

import jsonschema_rs

from web.openapi import make
from web.services import WebLimits

Document = dict[str, Any]
JSON = "application/json"
ITEM_BY_ITEM = {"createJobs", "evidence"}  # whose bad items are answered one by one
NOT_OURS = {405}  # of a method that a path has not, which no operation describes


class Documented(NamedTuple):
    """A path of the document, and its operations by method."""

    pattern: "re.Pattern[str]"
    path: str
    operations: Document


@cache
def document() -> Document:
    """As a server with the default settings serves it."""
    whole: Document = json.loads(make(WebLimits()).document)
    return whole


@cache
def paths() -> list[Documented]:
    """Those without parameters first, as the router takes them."""
    known = sorted(document()["paths"].items(), key=lambda item: item[0].count("{"))
    return [Documented(re.compile(re.sub(r"\{\w+\}", "[^/]+", path)), path, item) for path, item in known]


def operation_at(method: str, path: str) -> tuple[str, Document] | None:
    """The path as the document has it, and the operation; None where it has none."""
    for known in paths():
        if known.pattern.fullmatch(path) and method.lower() in known.operations:
            return known.path, known.operations[method.lower()]
    return None


@cache
def validator(*keys: str) -> Any:
    """For the schema at that place of the document."""
    schema: Document = reduce(getitem, keys, document())
    whole = schema | {"components": document()["components"]}
    return jsonschema_rs.Draft202012Validator(whole, validate_formats=True)


def disagreements(method: str, path: str, status: int, headers: Mapping[str, str], body: bytes) -> list[str]:
    """What the document does not say of this answer; nothing for what is no operation of it."""
    found = operation_at(method, path)
    if found is None or status in NOT_OURS:
        return []
    template, operation = found
    what = f"{method} {template} → {status}"
    keys: tuple[str, ...] = ("paths", template, method.lower(), "responses", str(status))
    response = operation["responses"].get(str(status))
    if response is None:
        return [f"{what}: the status is not documented: {body[:300]!r}"]
    if "$ref" in response:
        keys = ("components", "responses", response["$ref"].rpartition("/")[2])
        response = reduce(getitem, keys, document())
    media = headers.get("Content-Type", "").partition(";")[0]
    content = response.get("content", {})
    if not content:
        return [f"{what}: a body that is not documented: {body[:300]!r}"] if body else []
    if "*/*" in content:
        return []
    if media not in content:
        return [f"{what}: {media} is not documented"]
    if "schema" not in content[media]:
        return []
    check = validator(*keys, "content", media, "schema")
    return [f"{what}: {error.message[:300]} at {error.instance_path}" for error in check.iter_errors(json.loads(body))]


def surprises(method: str, path: str, status: int, sent: bytes | None) -> list[str]:
    """Why a request that the server has taken is not one that the document allows: it should say more."""
    found = operation_at(method, path)
    if found is None or status >= 300 or not sent or found[1]["operationId"] in ITEM_BY_ITEM:
        return []
    template, operation = found
    content = operation.get("requestBody", {}).get("content", {})
    if "schema" not in content.get(JSON, {}):
        return []
    check = validator("paths", template, method.lower(), "requestBody", "content", JSON, "schema")
    errors = check.iter_errors(json.loads(sent))
    return [f"{method} {template} takes what is not documented: {error.message[:300]}" for error in errors]


@cache
def events_of(socket: str) -> dict[str, str]:
    """The events that a server sends on that socket, and the schemas of their data."""
    told = document()["x-sockets"][socket]
    answers = [exchange["answer"] for exchange in told.get("exchanges", [])]
    return {each["event"]: each["data"]["$ref"].rpartition("/")[2] for each in (*answers, *told["pushes"])}


def misfits(socket: str, event: str, data: Any) -> list[str]:
    """What the document does not say of a frame that came over that socket."""
    name = events_of(socket).get(event)
    if name is None:
        return [f"{socket}: the event {event} is not documented"]
    check = validator("components", "schemas", name)
    return [f"{socket} {event}: {error.message[:300]} at {error.instance_path}" for error in check.iter_errors(data)]
