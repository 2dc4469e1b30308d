"""Bodies that make no sense, on every route that reads one: a typed problem, never a 5xx, and nothing changed."""

import gzip
import zlib
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from tests.support.callers import Caller, Reply, Tenant
from tests.support.routes import ALL_ROUTES, Route, Scene, name_of, set_scene

WRITES = [route for route in ALL_ROUTES if route.method in {"POST", "PATCH", "PUT"}]
OPTIONAL = {
    "cancel",
    "retry",
    "resolve",
    "keys",
    "settings",
    "SERVER_START",
    "enrolments",
    "drain",
    "heartbeat",
}  # the last part of the paths whose body may be left out
MEGABYTE = 2**20
BOMB = gzip.compress(b" " * 50 * MEGABYTE, compresslevel=1)

MALFORMED = {
    "cut": b"{",
    "single quotes": b"{'a':1}",
    "a list": b"[]",
    "null": b"null",
    "a number": b"1",
    "text": b'"x"',
    "true": b"true",
    "NaN": b"NaN",
    "more behind": b"{} x",
    "two values": b"{}{}",
    "NUL": b"\x00",
    "byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": "{}".encode("utf-16"),
    "no UTF-8": b'{"a":"\xff"}',
    "a comment": b"{/**/}",
    "comma": b'{"a":1,}',
    "form": b"a=1&b=2",
    "spaces": b"   ",
    "control character": b'{"a":"\x01"}',
    "100,000 lists": b"[" * 100_000 + b"]" * 100_000,
    "100,000 objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
}

POISON = {
    "NUL": b'"\\u0000"',
    "NUL in a key": b'{"\\u0000":1}',
    "high surrogate": b'"\\ud800"',
    "low surrogate": b'"\\udc00"',
    "surrogates in the wrong order": b'"\\udc00\\ud800"',
    "2^63": str(2**63).encode(),
    "2^70": str(2**70).encode(),
    "-2^63-1": str(-(2**63) - 1).encode(),
    "10^400": b"1" + b"0" * 400,
    "1e400": b"1e400",
    "long 1e400": b"12345678901234567890e400",
    "NaN": b"NaN",
    "Infinity": b"-Infinity",
    "deep": b"[" * 200 + b"]" * 200,
    "no UTF-8": b'"\xff"',
}

MORE_PLACES: dict[str, list[tuple[Any, ...]]] = {
    "jobs": [("payload", "a"), ("payload", "a", "b")],
    "result": [("output",), ("output", "a"), ("errorMessage",)],
    "progress": [("message",)],
    "heartbeat": [("instanceId",)],
}

WRONG: list[Any] = [
    None,
    True,
    -1,
    1.5,
    "",
    "x",
    "%00",
    "\x7f",
    "x" * 300_000,
    [],
    {},
    [[]],
    {"a": {}},
    2**53,
    "0" * 36,
]


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where something can be put into a body: every field, and what is inside it."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for name, item in inside for place in [(*path, name), *leaves(item, (*path, name))]]


def put(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """The body with something else at that place."""
    if not path:
        return new
    name, *rest = path
    if isinstance(value, list):
        return [put(item, tuple(rest), new) if place == name else item for place, item in enumerate(value)]
    fields = value or {}
    return {**fields, name: put(fields.get(name), tuple(rest), new)}


class Attack:
    """One route, aimed at a scene in which nothing may change."""

    def __init__(self, scene: Scene, route: Route) -> None:
        self.scene = scene
        self.route = route
        self.path = scene.path(route)
        self.caller: Caller = scene.host if route.who == "agent" else scene.tenant.as_role("owner")
        self.optional = route.method == "PATCH" or self.path.rpartition("/")[2] in OPTIONAL

    async def send(self, body: bytes, **headers: str) -> Reply:
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        return await self.caller.ask(self.route.method, self.path, body, headers=named)


@pytest.fixture(params=WRITES, ids=name_of)
async def attack(tenant: Tenant, request: pytest.FixtureRequest) -> AsyncIterator[Attack]:
    scene = await set_scene(tenant)
    before = await scene.state()
    yield Attack(scene, request.param)
    assert await scene.state() == before


async def test_what_is_no_json_object_is_refused(attack: Attack) -> None:
    bodies = MALFORMED if attack.optional else MALFORMED | {"nothing": b"", "an empty object": b"{}"}
    refused = {name: (await attack.send(body)).refusal for name, body in bodies.items()}
    assert refused == dict.fromkeys(refused, (400, "invalid_request"))


async def test_another_content_type_is_refused(attack: Attack) -> None:
    body = msgspec.json.encode(attack.scene.body(attack.route))
    types = ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/json", ";;")
    refused = {name: (await attack.send(body, Content_Type=name)).refusal for name in types}
    assert refused == dict.fromkeys(types, (415, "unsupported_media_type"))


async def test_a_compressed_body_is_refused(attack: Attack) -> None:
    plain = msgspec.json.encode(attack.scene.body(attack.route))
    bodies = {"gzip": gzip.compress(plain), "deflate": zlib.compress(plain), "br": plain, "zstd": plain, "x": plain}
    refused = {name: (await attack.send(body, Content_Encoding=name)).refusal for name, body in bodies.items()}
    refused["broken gzip"] = (await attack.send(b"not gzip", Content_Encoding="gzip")).refusal
    refused["bomb"] = (await attack.send(BOMB, Content_Encoding="gzip")).refusal
    assert refused == dict.fromkeys(refused, (415, "unsupported_media_type"))


async def test_a_huge_body_is_refused(attack: Attack) -> None:
    most = 16 * MEGABYTE if attack.path.endswith("/batch") else MEGABYTE
    body = b'{"a":"' + b"x" * most + b'"}'
    assert (await attack.send(body)).refusal == (413, "payload_too_large")

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 65536):
            yield body[start : start + 65536]

    session = attack.caller.session
    headers = {"Authorization": f"Bearer {attack.caller.token}", "Content-Type": "application/json"}
    async with session.request(
        attack.route.method, attack.caller.url + attack.path, data=chunks(), headers=headers
    ) as response:
        reply = Reply(response.status, response.headers, await response.read())
    assert reply.refusal == (413, "payload_too_large")


async def test_an_unknown_field_is_refused_from_users(attack: Attack) -> None:
    if attack.route.who == "agent":
        return  # agents may be newer than the server: tests of reports show that theirs are passed over
    body = attack.scene.body(attack.route) | {"unheard": 1}
    assert (await attack.send(msgspec.json.encode(body))).refusal == (400, "invalid_request")


async def test_what_no_database_could_keep_is_refused_wherever_it_stands(attack: Attack) -> None:
    body = attack.scene.body(attack.route)
    odd = {}
    places = [*leaves(body), *MORE_PLACES.get(attack.path.rpartition("/")[2], [])]
    for place in places:
        for name, poison in POISON.items():
            if name == "deep" and place in {("jobs",), ("evidence",)}:
                continue  # a list, whose items are refused one by one
            marked = msgspec.json.encode(put(body, place, "@poison@"))
            reply = await attack.send(marked.replace(b'"@poison@"', poison))
            if reply.status != 400 or reply.code != "invalid_request":
                odd[place, name] = (reply.status, reply.body[:200])
    assert odd == {}


async def test_a_poisoned_field_that_nobody_reads_never_breaks_the_server(attack: Attack) -> None:
    body = msgspec.json.encode({"unheard": "@poison@", "more": "\0", "many": 10**17})
    odd = {}
    for name, poison in POISON.items():
        reply = await attack.send(body.replace(b'"@poison@"', poison))
        if (reply.status, reply.code) != (400, "invalid_request"):
            odd[name] = (reply.status, reply.body[:200])
    assert odd == {}


RIGHT = [("payload", {}), ("payload", {"a": {}}), ("timeoutSeconds", 1.5), ("priority", -1)]
KNOWN = {(400, "invalid_request"), (404, "not_found"), (413, "payload_too_large"), (422, "payload_schema")}


async def test_a_job_with_a_wrong_value_is_a_typed_problem(tenant: Tenant) -> None:
    scene = await set_scene(tenant)
    before = await scene.state()
    body = {"type": "SERVER_START", "hostId": scene.host.id}
    fields = ("type", "hostId", "payload", "labels", "timeoutSeconds", "maxAttempts", "priority", "runAt", "")
    odd = {}
    for field in fields:
        for wrong in WRONG:
            if wrong is None or (field, wrong) in RIGHT:
                continue
            reply = await tenant.user.post(tenant.jobs_path, body | {field: wrong})
            if reply.refusal not in KNOWN:
                odd[field, repr(wrong)[:50]] = reply.status
    assert odd == {}
    assert await scene.state() == before


def each(body: dict[str, Any], field: str, *values: Any) -> list[dict[str, Any]]:
    """The body with each of these values in that field."""
    return [body | {field: value} for value in values]


FAILED: dict[str, Any] = {"status": "failed"}
LINE: dict[str, Any] = {"seq": 1, "message": "x"}
WRONG_LINES = [
    *each(LINE, "seq", -1, 1.5, "1", None, True, 2**53, []),
    *each(LINE, "message", None, 1, [], {}),
    *each(LINE, "level", None, 1, []),
    *each(LINE, "at", "", "now", 1, "2026-01-01"),
]
WRONG_BODIES: dict[str, list[Any]] = {
    "result": [
        {"durationMs": 1},
        *each({}, "status", "SUCCESS", "done", "", None, 1, True, [], {}, "lost", "running"),
        *each(FAILED, "durationMs", -1, "1", True, 2**53, []),
        *each(FAILED, "errorMessage", 1, True, [], {}),
        *each(FAILED, "errorCode", 1, [], {}),
        *each(FAILED, "retryable", 0, "false", []),
    ],
    "progress": [
        {"message": "x"},
        *each({}, "progress", -1, 101, 2**31, 100.5, "1", None, True, [], {}),
        *each({"progress": 1}, "message", 1, [], {}, False),
        *each({"progress": 1}, "needsUserAction", 1, "yes", []),
    ],
    "logs": [
        *each({}, "lines", None, {}, "x", 1, [None], ["x"], [[]], [{}], [1], [LINE] * 1001),
        *({"lines": [line]} for line in WRONG_LINES),
    ],
    "cancel": [
        *each({}, "reason", 1, True, [], {}),
        *each({}, "force", 1, 0, "true", "", None, [], {}),
        *each({"force": True}, "reason", 1, []),
    ],
    "batch": [{}, *each({}, "jobs", None, {}, "x", 1, True, [{}] * 1001)],
    "heartbeat": [
        *each({}, "running", "", "x", {}, 1, True, [None], [1], ["x"], ["0" * 36] * 101),
        *each({}, "instanceId", 1, [], {}, True, "x" * 201, "\x7f", "é", "a\nb"),
    ],
}


async def test_a_wrong_value_is_refused_and_its_place_is_named(attack: Attack) -> None:
    bodies = WRONG_BODIES.get(attack.path.rpartition("/")[2], [])
    replies = {repr(body)[:80]: await attack.send(msgspec.json.encode(body)) for body in bodies}
    odd = {name: reply.status for name, reply in replies.items() if reply.status != 400 or not reply.json["errors"]}
    assert odd == {}


async def test_an_output_or_message_beyond_its_bounds_is_refused_or_cut(attack: Attack) -> None:
    if not attack.path.endswith("/result"):
        return
    big = {"status": "failed", "output": {"a": "x" * 300_000}}
    assert (await attack.send(msgspec.json.encode(big))).refusal == (413, "payload_too_large")


async def test_of_keys_that_come_twice_the_last_counts_and_the_others_are_nowhere(tenant: Tenant) -> None:
    host = tenant.host()
    payload = '{"map":"first","map":"second","more":{"a":"first","a":"second"}}'
    body = f'{{"type":"SERVER_START","type":"SERVER_STOP","hostId":"{host.id}","payload":{payload}}}'
    one = (await tenant.user.ask("POST", tenant.jobs_path, body.encode())).json
    many = (await tenant.user.ask("POST", f"{tenant.jobs_path}/batch", f'{{"jobs":[{body}]}}'.encode())).json
    for job in (one, many["results"][0]["job"]):
        assert (job["type"], job["payload"]) == ("SERVER_STOP", {"map": "second", "more": {"a": "second"}})
        taken = await host.ask("GET", f"{host.path}/jobs")
        assert b"second" in taken.body
        assert b"first" not in taken.body
        await host.finish(taken.json["jobRunId"])
        assert b"first" not in (await tenant.user.get(f"{tenant.jobs_path}/{job['id']}")).body
