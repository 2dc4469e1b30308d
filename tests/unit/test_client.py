"""The Python client against a server that says what it is told to say."""

import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from uuid import UUID

import pytest

from interlock.client import BadAnswer, Client, JobFilter, RepeatPolicy, Unreachable
from interlock.errors import (
    ALL_PROBLEMS,
    CallerError,
    Conflict,
    Forbidden,
    InterlockError,
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
    RateLimited,
    TryLater,
    Unavailable,
)
from interlock.wire import CreateJob
from tests.support.scripted_server import Asked, Say, ScriptedServer, job_document, problem

ORG = "01938b3e-0000-7000-8000-0000000000cc"
JOB = "01938b3e-0000-7000-8000-00000000000a"
LATER = problem(503, "unavailable", headers={"Retry-After": "2"})


class StillClock:
    """Chance always draws one half."""

    def now(self) -> int:
        return 0

    def chance(self) -> float:
        return 0.5


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as scripted:
        yield scripted


@pytest.fixture
def slept() -> list[float]:
    return []


@pytest.fixture
def client(server: ScriptedServer, slept: list[float]) -> Iterator[Client]:
    with Client(server.url, "a.b.c", clock=StillClock(), sleep=slept.append) as connected:
        yield connected


# ---- what is sent ----------------------------------------------------------------------------------------------


def test_create_sends_the_token_the_job_without_empty_fields_and_a_fresh_uuid7_as_key(
    server: ScriptedServer, client: Client
) -> None:
    server.script = [Say(201, job_document())]
    job = client.create_job(ORG, CreateJob(type="SERVER_START", host_id="h", payload={"map": None}))
    (asked,) = server.asked
    assert (asked.method, asked.path) == ("POST", f"/api/orgs/{ORG}/jobs")
    assert asked.headers["Authorization"] == "Bearer a.b.c"
    assert asked.json() == {"type": "SERVER_START", "hostId": "h", "payload": {"map": None}, "priority": 0}
    assert UUID(asked.headers["Idempotency-Key"]).version == 7
    assert job.id == JOB
    assert job.job_runs[0].status == "pending"


def test_create_sends_the_key_that_it_is_given(server: ScriptedServer, client: Client) -> None:
    server.script = [Say(201, job_document())]
    client.create_job(ORG, CreateJob(type="SERVER_START"), idempotency_key="mine")
    assert server.asked[0].headers["Idempotency-Key"] == "mine"


def test_ids_are_quoted_so_that_none_climbs_out_of_its_place(server: ScriptedServer, client: Client) -> None:
    server.script = [Say(200, job_document())]
    client.job("a/b", "../x?y")
    assert server.asked[0].path == "/api/orgs/a%2Fb/jobs/..%2Fx%3Fy"


@pytest.mark.parametrize("bad_id", ["", ".", ".."])
def test_what_cannot_be_an_id_is_refused_before_anything_is_sent(
    server: ScriptedServer, client: Client, bad_id: str
) -> None:
    with pytest.raises(InvalidRequest):
        client.job(ORG, bad_id)
    assert not server.asked


def test_a_payload_that_is_not_json_is_refused_before_anything_is_sent(server: ScriptedServer, client: Client) -> None:
    for payload in ({"text": "\ud800"}, {"thing": object()}):
        with pytest.raises(InvalidRequest):
            client.create_job(ORG, CreateJob(type="SERVER_START", payload=payload))
    assert not server.asked


def test_cancel_retry_resolve_and_logs_go_to_their_routes(server: ScriptedServer, client: Client) -> None:
    server.script = [
        Say(202, job_document("RUNNING")),
        Say(200, job_document()),
        Say(200, job_document("RUNNING")),
        Say(200, {"items": [], "nextCursor": None}),
    ]
    client.cancel_job(ORG, JOB, reason="wrong map", force=True)
    client.retry_job(ORG, JOB)
    client.resolve_job(ORG, JOB)
    client.logs(ORG, JOB, after="c1", limit=7, follow=True)
    cancel, retry, resolve, logs = server.asked
    assert cancel.path.endswith(f"/{JOB}/cancel")
    assert cancel.json() == {"reason": "wrong map", "force": True}
    assert (retry.method, retry.path) == ("POST", f"/api/orgs/{ORG}/jobs/{JOB}/retry")
    assert (resolve.method, resolve.path) == ("POST", f"/api/orgs/{ORG}/jobs/{JOB}/resolve")
    assert logs.query == {"after": "c1", "limit": "7", "follow": "1"}


def test_a_list_is_read_page_by_page_as_it_is_used(server: ScriptedServer, client: Client) -> None:
    server.script = [
        Say(200, {"items": [job_document(id="1")], "nextCursor": "two"}),
        Say(200, {"items": [job_document(id="2")], "nextCursor": None}),
    ]
    jobs = client.jobs(ORG, JobFilter(status="FAILED", host_id="h"), page_size=1)
    assert next(jobs).id == "1"
    assert len(server.asked) == 1
    assert [job.id for job in jobs] == ["2"]
    assert [asked.query for asked in server.asked] == [
        {"status": "FAILED", "hostId": "h", "limit": "1"},
        {"status": "FAILED", "hostId": "h", "limit": "1", "cursor": "two"},
    ]


def test_a_list_whose_next_page_is_the_same_page_ends(server: ScriptedServer, client: Client) -> None:
    server.script = [Say(200, {"items": [], "nextCursor": "again"})]
    with pytest.raises(BadAnswer):
        list(client.jobs(ORG))


def test_a_batch_gives_a_job_or_a_refusal_for_each_item_in_order(server: ScriptedServer, client: Client) -> None:
    refused = {"code": "payload_schema", "detail": "no such type", "errors": [{"path": "$.type", "message": "?"}]}
    server.script = [Say(200, {"results": [{"job": job_document()}, {"error": refused}]})]
    made, error = client.create_jobs(ORG, [CreateJob(type="SERVER_START"), CreateJob(type="NOPE")])
    assert not isinstance(made, InterlockError)
    assert isinstance(error, InvalidRequest)
    assert error.code == "payload_schema"
    assert [each["type"] for each in server.asked[0].json()["jobs"]] == ["SERVER_START", "NOPE"]


# ---- the connection --------------------------------------------------------------------------------------------


def test_one_connection_serves_many_requests(server: ScriptedServer, client: Client) -> None:
    server.script = [Say(200, job_document())]
    for _ in range(3):
        client.job(ORG, JOB)
    assert server.connections == 1


def test_a_connection_that_the_server_has_left_is_replaced_before_anything_is_sent_on_it(
    server: ScriptedServer, client: Client
) -> None:
    server.script = [Say(200, job_document(), leave=True), Say(200, job_document("CANCELLED"))]
    client.job(ORG, JOB)
    client._transport._connection.sock.recv(1, socket.MSG_PEEK)  # returns once the server's end has arrived
    assert client.cancel_job(ORG, JOB).status == "CANCELLED"
    assert server.connections == 2


def test_the_path_of_the_url_is_kept(server: ScriptedServer) -> None:
    server.script = [Say(200, job_document())]
    with Client(f"{server.url}/behind/a/proxy/", "t") as client:
        client.job(ORG, JOB)
    assert server.asked[0].path.startswith("/behind/a/proxy/api/orgs/")


@pytest.mark.parametrize(
    "url",
    ["", "localhost:8080", "ftp://x", "http://", "http://x:port", "http://[", "http://x?y", "http://é", "http://x/ y"],
)
def test_a_url_that_is_none_is_a_typed_error(url: str) -> None:
    with pytest.raises(InvalidRequest):
        Client(url, "t")


@pytest.mark.parametrize("token", ["", "two\nlines", "schlüssel"])
def test_a_token_that_cannot_stand_in_a_header_is_a_typed_error(token: str) -> None:
    with pytest.raises(InvalidRequest):
        Client("http://127.0.0.1:1", token)


def test_an_ipv6_address_is_not_taken_for_a_port() -> None:
    connection = Client("http://[::1]", "t")._transport._connection
    assert (connection.host, connection.port) == ("::1", 80)


# ---- refusals --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ALL_PROBLEMS, ids=lambda kind: kind.__name__)
def test_every_problem_of_the_vocabulary_becomes_its_own_error(
    server: ScriptedServer, client: Client, kind: type[InterlockError]
) -> None:
    server.script = [problem(kind.status, kind.code, headers={"Allow": "GET, POST"})]
    with pytest.raises(kind) as caught:
        client.retry_job(ORG, JOB)
    assert type(caught.value).code == kind.code
    if isinstance(caught.value, MethodNotAllowed):
        assert caught.value.allowed == {"GET", "POST"}
    else:
        assert caught.value.detail == "It is not so"


@pytest.mark.parametrize(
    ("status", "kind"),
    [(403, Forbidden), (404, NotFound), (409, Conflict), (418, CallerError), (429, RateLimited), (502, Unavailable)],
)
def test_a_code_from_the_future_becomes_the_error_of_its_status(
    server: ScriptedServer, client: Client, status: int, kind: type[InterlockError]
) -> None:
    server.script = [problem(status, "from_the_future")]
    with pytest.raises(kind):
        client.retry_job(ORG, JOB)


@pytest.mark.parametrize("body", [b"", b"<html>Bad gateway</html>", b"[1]", b"[" * 100_000])
def test_a_refusal_that_is_no_problem_document_is_still_typed(
    server: ScriptedServer, client: Client, body: bytes
) -> None:
    server.script = [Say(500, body)]
    with pytest.raises(InterlockError, match="HTTP 500"):
        client.retry_job(ORG, JOB)


def test_a_conflict_carries_the_present_state_and_a_mistake_its_place(server: ScriptedServer, client: Client) -> None:
    server.script = [
        problem(409, "invalid_state", current={"status": "COMPLETED"}),
        problem(400, "invalid_request", errors=[{"path": "$.runAt", "message": "not a time"}], requestId="r-1"),
    ]
    with pytest.raises(Conflict) as conflict:
        client.cancel_job(ORG, JOB)
    assert conflict.value.current == {"status": "COMPLETED"}
    with pytest.raises(InvalidRequest) as invalid:
        client.cancel_job(ORG, JOB)
    assert invalid.value.errors == [{"path": "$.runAt", "message": "not a time"}]
    assert invalid.value.__notes__ == ["request r-1"]


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b"[" * 100_000])
def test_an_answer_that_is_not_ours_is_a_typed_error(server: ScriptedServer, client: Client, body: bytes) -> None:
    server.script = [Say(200, body)]
    with pytest.raises(BadAnswer):
        client.job(ORG, JOB)


def test_a_redirect_is_not_followed_with_the_token(server: ScriptedServer, client: Client) -> None:
    server.script = [Say(302, b"", {"Location": "https://elsewhere.example"})]
    with pytest.raises(BadAnswer, match=r"elsewhere\.example"):
        client.job(ORG, JOB)
    assert len(server.asked) == 1


# ---- sending again ---------------------------------------------------------------------------------------------


def test_a_get_waits_as_long_as_the_server_asks_and_a_little_more(
    server: ScriptedServer, client: Client, slept: list[float]
) -> None:
    server.script = [LATER, LATER, Say(200, job_document())]
    assert client.job(ORG, JOB).id == JOB
    assert slept == [2 + 0.5 * 0.25, 2 + 0.5 * 0.5]


@pytest.mark.parametrize("batch", [False, True])
def test_a_create_is_sent_again_with_the_same_key_when_its_answer_was_lost(
    server: ScriptedServer, client: Client, batch: bool
) -> None:
    made = Say(200, {"results": [{"job": job_document()}]}) if batch else Say(201, job_document())
    server.script = [Say(hang_up=True), LATER, made]
    if batch:
        client.create_jobs(ORG, [CreateJob(type="SERVER_START")])
    else:
        client.create_job(ORG, CreateJob(type="SERVER_START"))
    first, *others = server.asked
    assert len(others) == 2
    assert {asked.headers["Idempotency-Key"] for asked in others} == {first.headers["Idempotency-Key"]}


@pytest.mark.parametrize("trouble", [LATER, Say(hang_up=True)])
def test_a_post_without_a_key_is_never_sent_twice(
    server: ScriptedServer, client: Client, slept: list[float], trouble: Say
) -> None:
    server.script = [trouble]
    with pytest.raises(TryLater):
        client.cancel_job(ORG, JOB)
    with pytest.raises(TryLater):
        client.retry_job(ORG, JOB)
    assert len(server.asked) == 2
    assert not slept


def test_a_server_that_stays_away_is_given_up(server: ScriptedServer, client: Client, slept: list[float]) -> None:
    server.script = [LATER]
    with pytest.raises(Unavailable):
        client.job(ORG, JOB)
    assert len(server.asked) == 4
    assert len(slept) == 3


def test_a_server_that_asks_for_an_hour_is_not_waited_for(
    server: ScriptedServer, client: Client, slept: list[float]
) -> None:
    in_an_hour = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    for text in ("3600", in_an_hour):
        server.script = [problem(429, "quota_exceeded", headers={"Retry-After": text})]
        with pytest.raises(TryLater) as caught:
            client.job(ORG, JOB)
        assert caught.value.retry_after > 3500
    assert not slept


def test_nobody_at_the_address_is_unreachable(slept: list[float]) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        with (
            Client(f"http://127.0.0.1:{port}", "t", sleep=slept.append) as client,
            pytest.raises(Unreachable, match=str(port)),
        ):
            client.job(ORG, JOB)
    assert len(slept) == 3


def test_a_server_that_falls_silent_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        once = RepeatPolicy(attempts=1)
        with Client(url, "t", read_seconds=0.05, repeat=once) as client, pytest.raises(Unreachable, match="timed out"):
            client.job(ORG, JOB)


def test_the_random_pause_doubles_up_to_its_cap() -> None:
    policy = RepeatPolicy(attempts=9, base_seconds=1.0, cap_seconds=5.0)
    assert [policy.pause(sent, 0.0, 1.0) for sent in (1, 2, 3, 4, 8, 9)] == [1.0, 2.0, 4.0, 5.0, 5.0, None]
    assert policy.pause(1, 3.0, 0.0) == 3.0


def test_the_generic_request_reaches_any_route(server: ScriptedServer, client: Client) -> None:
    def not_modified(asked: Asked) -> Say:
        return Say(304 if asked.headers.get("If-None-Match") == '"7"' else 200, b"")

    server.script = [not_modified]
    assert client.request("GET", "/api/orgs", query={"limit": 1}, headers={"If-None-Match": '"7"'}).status == 304
    assert client.request("DELETE", "/api/orgs/x").status == 200
    assert server.asked[0].query == {"limit": "1"}
