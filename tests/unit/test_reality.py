"""What the tests hold every answer of a server to: that they notice when it is not as its document says."""

import json

import pytest

from tests.support.reality import disagreements, document, misfits, surprises
from web.openapi.examples import Examples

JOB = Examples(document()["components"]["schemas"]).of("Job")
JOB_PATH = f"/api/orgs/{JOB['orgId']}/jobs/{JOB['id']}"
JSON, PROBLEM = {"Content-Type": "application/json"}, {"Content-Type": "application/problem+json"}


def refused(code: str, status: int) -> bytes:
    told = {"type": "urn:x", "title": "x", "status": status, "detail": "x", "code": code, "requestId": "x"}
    return json.dumps(told).encode()


def test_an_answer_as_documented_is_fine() -> None:
    assert disagreements("GET", JOB_PATH, 200, JSON, json.dumps(JOB).encode()) == []
    assert disagreements("GET", JOB_PATH, 404, PROBLEM, refused("not_found", 404)) == []
    assert disagreements("GET", JOB_PATH, 304, {}, b"") == []


@pytest.mark.parametrize(
    "changed",
    [{"status": "ASLEEP"}, {"createdAt": "yesterday"}, {"progress": 1.5}, {"jobRuns": None}, {"hostId": "eu-1"}],
    ids=str,
)
def test_a_field_that_is_not_as_documented_is_noticed(changed: dict[str, object]) -> None:
    (said,) = disagreements("GET", JOB_PATH, 200, JSON, json.dumps(JOB | changed).encode())
    assert "GET /api/orgs/{orgId}/jobs/{jobId} → 200" in said


def test_a_field_that_is_missing_is_noticed() -> None:
    body = {name: value for name, value in JOB.items() if name != "wait"}
    assert disagreements("GET", JOB_PATH, 200, JSON, json.dumps(body).encode())


def test_a_status_that_is_not_documented_is_noticed() -> None:
    assert disagreements("GET", JOB_PATH, 409, PROBLEM, refused("invalid_state", 409))


def test_a_code_that_the_route_does_not_name_is_noticed() -> None:
    path = JOB_PATH.rpartition("/")[0]
    assert disagreements("POST", path, 409, PROBLEM, refused("idempotency_conflict", 409)) == []
    assert disagreements("POST", path, 409, PROBLEM, refused("superseded", 409))


def test_another_media_type_and_a_body_that_should_not_be_there_are_noticed() -> None:
    assert disagreements("GET", JOB_PATH, 200, PROBLEM, json.dumps(JOB).encode())
    assert disagreements("GET", JOB_PATH, 304, JSON, b"{}")


def test_what_is_no_operation_is_passed_over() -> None:
    assert disagreements("GET", "/nowhere", 404, PROBLEM, b"?") == []
    assert disagreements("TRACE", JOB_PATH, 405, PROBLEM, b"?") == []


def test_a_frame_that_is_not_as_documented_is_noticed() -> None:
    fine = {"jobId": JOB["id"], "jobRunId": JOB["id"], "graceSeconds": 5.0}
    assert misfits("/agent", "job:cancel", fine) == []
    assert misfits("/agent", "job:cancel", fine | {"graceSeconds": None})
    assert misfits("/agent", "job:cancelling", fine)
    assert misfits("/ws", "job.log", {"jobId": JOB["id"], "jobRunId": JOB["id"]})


def test_a_request_that_is_taken_though_the_document_forbids_it_is_noticed() -> None:
    path = JOB_PATH.rpartition("/")[0]
    assert surprises("POST", path, 201, b'{"type": "SEARCH_BULK"}') == []
    assert surprises("POST", path, 201, b'{"type": "SEARCH_BULK", "priority": 5000}')
    assert surprises("POST", path, 400, b'{"type": 5}') == []
