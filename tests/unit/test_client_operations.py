"""The Python client has a method for every operation that the server describes, and reads every answer that it may give."""

import inspect
import re
from collections.abc import Iterator
from types import NoneType, UnionType
from typing import Any, NamedTuple, Union, get_args, get_origin, get_type_hints

import msgspec
import pytest

from interlock.client import Client, JobFilter, Tagged
from interlock.client.calls import Calls
from interlock.fleet import PatchHost
from tests.support.reality import document
from tests.support.scripted_server import Say, ScriptedServer

TAGS_LEFT_OUT = {
    "Agents": "the agent speaks them: interlock.agent",
    "Jobs as S2 has them": "other names of what `client.jobs` does",
    "Sockets": "no requests: see docs/sockets.md",
}
LEFT_OUT = {
    "signIn": "gives a cookie to a browser; programs have tokens",
    "signOut": "ends the session of a cookie",
    "createTicket": "is for pages with a cookie",
    "lookAtDevice": "is for pages with a cookie",
    "answerDevice": "is for pages with a cookie",
    "docs": "a page",
    "home": "a page",
    "setUpPage": "a page",
    "setUpScript": "part of a page",
    "setUpStyle": "part of a page",
    "dashboard": "a page",
    "dashboardPage": "a page",
    "dashboardFile": "part of a page",
}


class Described(NamedTuple):
    """What the document says of an operation."""

    name: str
    method: str
    path: str
    operation: dict[str, Any]
    parameters: list[dict[str, Any]]


def operations() -> Iterator[Described]:
    """What the client is to have."""
    for path, item in document()["paths"].items():
        for method, found in item.items():
            if method == "parameters" or found["operationId"] in LEFT_OUT or found["tags"][0] in TAGS_LEFT_OUT:
                continue
            given = [each for each in (*item["parameters"], *found.get("parameters", ())) if "name" in each]
            yield Described(found["operationId"], method.upper(), path, found, given)


OPERATIONS = {described.name: described for described in operations()}


def groups() -> dict[str, Calls]:
    client = Client("http://127.0.0.1:1", "a.b.c")
    return {name: group for name, group in vars(client).items() if isinstance(group, Calls)}


def methods() -> Iterator[tuple[str, str, Any]]:
    """Operation, its place in the client, and the function."""
    for name, group in groups().items():
        for called, method in inspect.getmembers(group, inspect.ismethod):
            if hasattr(method, "operation"):
                yield method.operation, f"{name}.{called}", method


METHODS = sorted((operation, place) for operation, place, _ in methods())


def snake(name: str) -> str:
    return name.replace("-", "_").lower() if "-" in name else re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def example_of(content: dict[str, Any]) -> Any:
    (shown,) = content.values()
    if "example" in shown:
        return shown["example"]
    return next((each["value"] for each in shown.get("examples", {}).values()), {})  # the document does not show itself


def test_every_operation_has_a_method_and_every_method_an_operation() -> None:
    assert {operation for operation, _ in METHODS} == set(OPERATIONS)


def test_what_is_left_out_exists() -> None:
    found = [each for item in document()["paths"].values() for name, each in item.items() if name != "parameters"]
    assert set(LEFT_OUT) <= {each["operationId"] for each in found}
    assert set(TAGS_LEFT_OUT) <= {each["tags"][0] for each in found}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_parameter_of_an_operation_can_be_given(operation: str) -> None:
    taken: set[str] = set()
    for name, _, method in methods():
        if name == operation:
            taken |= set(inspect.signature(method).parameters)
    if "shown" in taken:
        taken |= set(JobFilter.__struct_fields__)
    wanted = {snake(each["name"]) for each in OPERATIONS[operation].parameters}
    assert wanted <= taken


@pytest.mark.parametrize(("operation", "place"), METHODS)
def test_a_method_sends_what_is_described_and_reads_what_is_shown(operation: str, place: str) -> None:
    _, verb, path, described, parameters = OPERATIONS[operation]
    status, answer = next((int(code), each) for code, each in described["responses"].items() if code[0] == "2")
    body = example_of(answer["content"]) if "application/json" in answer.get("content", {}) else b"bytes"
    with ScriptedServer() as server:
        server.script = [Say(status, b"" if status == 204 else body, {"ETag": '"t"'})]
        with Client(server.url, "a.b.c") as client:
            group, _, called = place.partition(".")
            method = getattr(getattr(client, group), called)
            said = method(**arguments(method, described))
        (asked,) = server.asked
    assert asked.method == verb
    assert re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", path), asked.path), asked.path
    known = {each["name"] for each in parameters}
    assert set(asked.query) <= known
    if asked.body and asked.body != b"{}":
        assert described["requestBody"]
    check(said, get_type_hints(inspect.unwrap(method.__func__)).get("return"))


def arguments(method: Any, described: dict[str, Any]) -> dict[str, Any]:
    """One for each parameter that must be given, structs from the example of the body."""
    hints = get_type_hints(method)
    made: dict[str, Any] = {}
    for name, parameter in inspect.signature(method).parameters.items():
        kind = hints[name]
        if parameter.default is not inspect.Parameter.empty and get_origin(kind) is None and kind is not bool:
            continue
        if kind is bool:
            made[name] = True
        elif isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            made[name] = msgspec.convert(example_of(described["requestBody"]["content"]), kind)
        elif kind is str:
            made[name] = "x"
        elif name == "jobs":
            (item,) = get_args(kind)
            made[name] = msgspec.convert(example_of(described["requestBody"]["content"])["jobs"], list[item])  # type: ignore[valid-type]
        elif str in get_args(kind):
            made[name] = "1"
        elif int in get_args(kind):
            made[name] = 1
    return made


def check(said: Any, wanted: Any) -> None:
    """Whether it is of the annotated kind, or one of them."""
    kinds = get_args(wanted) if get_origin(wanted) in {Union, UnionType} else (wanted,)
    assert any(
        said is None if kind in {None, NoneType} else isinstance(said, get_origin(kind) or kind) for kind in kinds
    )
    if isinstance(said, Tagged):
        assert said.etag == '"t"'
        assert said.value is not None


def test_lists_are_read_to_their_end_over_empty_pages_too() -> None:
    first = {"items": [], "nextCursor": "a"}
    shown = example_of(OPERATIONS["listHosts"].operation["responses"]["200"]["content"])
    host = shown["items"][0]
    with ScriptedServer() as server:
        server.script = [Say(200, first), Say(200, {"items": [host], "nextCursor": None})]
        with Client(server.url, "a.b.c") as client:
            assert [each.id for each in client.hosts.list("org")] == [host["id"]]
        assert [asked.query.get("cursor") for asked in server.asked] == [None, "a"]


def test_what_has_not_changed_is_not_sent_again() -> None:
    with ScriptedServer() as server:
        server.script = [Say(304, b"", {"ETag": '"t"'})]
        with Client(server.url, "a.b.c") as client:
            assert client.hosts.changed("org", "h", if_none_match='"t"') is None
        assert server.asked[0].headers["If-None-Match"] == '"t"'


def test_an_absent_field_of_a_change_stays_away_and_a_null_is_sent() -> None:
    shown = example_of(OPERATIONS["patchHost"].operation["responses"]["200"]["content"])
    with ScriptedServer() as server:
        server.script = [Say(200, shown)]
        with Client(server.url, "a.b.c") as client:
            client.hosts.patch("org", "h", PatchHost(paused=True, note=None), if_match='"t"')
        (asked,) = server.asked
    assert asked.json() == {"paused": True, "note": None}
    assert asked.headers["If-Match"] == '"t"'
