"""Hosts, keys, instances, types and the audit trail on the command line, against a server that says what it is told."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result

from tests.support.scripted_server import Asked, Say, ScriptedServer, job_document, problem

Run = Callable[..., Result]
ORG = "01938b3e-0000-7000-8000-0000000000cc"
EU1, EU2 = "01938b3e-0000-7000-8000-0000000000b1", "01938b3e-0000-7000-8000-0000000000b2"
JOB = "01938b3e-0000-7000-8000-00000000000a"
AT = "2026-11-22T02:34:06.123Z"


def host(name: str = "eu-1", **changed: Any) -> dict[str, Any]:
    return {
        "id": EU1 if name == "eu-1" else EU2,
        "orgId": ORG,
        "name": name,
        "kind": "machine",
        "labels": {"zone": "eu"},
        "presence": "online",
        "health": "ok",
        "lastSeenAt": AT,
        "paused": False,
        "note": None,
        "pausedUntil": None,
        "draining": False,
        "drainUntil": None,
        "pendingCount": 3,
        "currentJobRunId": None,
        "createdAt": AT,
    } | changed


def page(*items: dict[str, Any], cursor: str | None = None) -> Say:
    return Say(200, {"items": list(items), "nextCursor": cursor})


def line(**changed: Any) -> dict[str, Any]:
    run = {"id": "r", "jobId": JOB, "hostId": EU1, "type": "T", "status": "pending", "attempt": 1, "createdAt": AT}
    run |= {"availableAt": None, "startedAt": None, "finishedAt": None, "seq": 1, "priority": 2}
    run |= {"held": True, "front": False}
    numbers = dict.fromkeys(("epoch", "rev", "nextSeq", "runNo", "pendingCount", "mailbox"), 1)
    flags = dict.fromkeys(("awaitingIdle", "paused", "draining", "pollParked"), False)
    absent = dict.fromkeys(("instanceId", "unhealthy", "drainUntil", "leaseUntil", "current"))
    state = {"hostId": EU1, "orgId": ORG, "presence": "online", "health": "ok", "pending": [run]}
    return {**state, **numbers, **flags, **absent, "backoff": [], "connections": [], **changed}


# ---- what is meant ---------------------------------------------------------------------------------------------


def test_a_host_goes_by_its_name_which_is_looked_for_on_every_page(server: ScriptedServer, run: Run) -> None:
    server.script = [page(host("eu-1"), cursor="more"), page(host("eu-2")), Say(200, host("eu-2"))]
    assert json.loads(run("hosts", "show", "eu-2").stdout)["id"] == EU2
    assert [asked.path.rpartition("/")[2] for asked in server.asked] == ["hosts", "hosts", EU2]
    assert server.asked[1].query["cursor"] == "more"


def test_a_host_that_is_given_by_its_id_is_not_looked_for(server: ScriptedServer, run: Run) -> None:
    server.script = [Say(200, host())]
    assert run("hosts", "show", EU1).exit_code == 0
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("eu", 2, "More than one host is meant by 'eu'"),
        ("eu1", 3, "Did you mean eu-1"),
        ("nothing like it", 3, "There is no host 'nothing like it'."),
        (EU1[:8], 2, "More than one host"),
    ],
)
def test_a_host_that_is_not_clear_is_refused(server: ScriptedServer, run: Run, text: str, code: int, said: str) -> None:
    server.script = [page(host("eu-1"), host("eu-2"))]
    told = run("hosts", "show", text)
    assert (told.exit_code, told.stdout) == (code, "")
    assert said in told.stderr


def test_a_name_counts_before_the_beginning_of_another(server: ScriptedServer, run: Run) -> None:
    server.script = [page(host("eu-1"), host("eu-1b", id=EU2)), Say(200, host())]
    assert run("hosts", "show", "eu-1").exit_code == 0


def test_an_organization_goes_by_its_name(server: ScriptedServer, run: Run, environment: dict[str, str]) -> None:
    orgs = [
        {"id": ORG, "name": "acme", "role": "owner", "createdAt": AT},
        {"id": EU1, "name": "b", "role": "viewer", "createdAt": AT},
    ]
    server.script = [page(*orgs), page()]
    assert run("hosts", "list", "--org", "acme").exit_code == 0
    assert server.asked[1].path == f"/api/orgs/{ORG}/hosts"
    environment["INTERLOCK_ORG"] = ""
    server.script = [page(*orgs)]
    told = run("hosts", "list")
    assert told.exit_code == 2
    assert f"{ORG} (acme)" in told.stderr
    server.script = [page(orgs[0]), page()]
    assert run("hosts", "list").exit_code == 0


def test_the_beginning_of_a_jobs_id_is_enough(server: ScriptedServer, run: Run) -> None:
    other = job_document(id="01938b3e-0000-6000-8000-00000000000a")
    server.script = [page(job_document(), other), Say(200, job_document())]
    assert run("jobs", "show", JOB[:15]).exit_code == 0
    assert server.asked[0].query["cursor"] == JOB[:15] + "ffff-ffff-ffff-ffffffffffff"[-21:]
    assert server.asked[1].path.endswith(JOB)
    server.script = [page(job_document(), other)]
    assert run("jobs", "show", JOB[:8]).exit_code == 2
    for text in ("zz", JOB[:7], "../admin", "latest"):
        told = run("jobs", "show", text)
        assert told.exit_code == 3
        assert "is no job's id" in told.stderr


@pytest.mark.parametrize("text", ["…0000000a", "0000000a", "8000-00000000000A"])
def test_the_end_of_a_jobs_id_is_enough_as_the_dashboard_shows_it(server: ScriptedServer, run: Run, text: str) -> None:
    older = job_document(id="01938b3e-0000-7000-8000-00000000000b")
    begins = [page(older)] if text == "0000000a" else []  # it may be a beginning as well
    server.script = [*begins, page(older, cursor="more"), page(job_document()), Say(200, job_document())]
    assert run("jobs", "show", text).exit_code == 0
    assert server.asked[-1].path.endswith(JOB)
    twin = job_document(id="01938b3f-0000-7000-8000-00000000000a")
    server.script = [*begins, page(twin, job_document())]
    told = run("jobs", "show", text)
    assert told.exit_code == 2
    assert "More than one job is meant" in told.stderr
    server.script = [*begins, page(older)]
    assert run("jobs", "show", text).exit_code == 3


def test_the_end_of_a_hosts_id_is_enough(server: ScriptedServer, run: Run) -> None:
    for text in ("…000000b2", EU2[-10:]):
        server.script = [page(host("eu-1"), host("eu-2")), Say(200, host("eu-2"))]
        assert run("hosts", "show", text).exit_code == 0
        assert server.asked[-1].path.endswith(EU2)


def test_an_unknown_type_is_answered_with_the_nearest_one(server: ScriptedServer, run: Run) -> None:
    kinds = [{"type": name, **_TYPE} for name in ("SERVER_START", "SEARCH_BULK")]
    server.script = [problem(422, "payload_schema", "$.type: there is no such job type"), page(*kinds)]
    told = run("jobs", "create", "SERVER_STRT", "--host", EU1)
    assert told.exit_code == 2
    assert "did you mean SERVER_START?" in told.stderr


# ---- hosts -----------------------------------------------------------------------------------------------------


def test_hosts_are_listed_as_a_table_with_what_keeps_them(server: ScriptedServer, run: Run) -> None:
    server.script = [
        page(host("eu-1", paused=True, health="unhealthy"), host("eu-2", presence="offline", lastSeenAt=None))
    ]
    head, first, second = run("hosts", "list", "-o", "table").stdout.splitlines()
    assert head.split() == ["NAME", "PRESENCE", "STATE", "WAITING", "RUNNING", "SEEN", "ID", "LABELS"]
    assert "unhealthy, paused" in first
    assert second.split()[:3] == ["eu-2", "offline", "ready"]
    server.script = [page(host("eu-1"), host("eu-2", presence="offline", labels={}))]
    assert [each["name"] for each in json.loads(run("hosts", "list", "--presence", "offline").stdout)] == ["eu-2"]
    assert [each["name"] for each in json.loads(run("hosts", "list", "--label", "zone=eu").stdout)] == ["eu-1"]


def test_no_hosts_are_answered_with_what_to_do(server: ScriptedServer, run: Run) -> None:
    server.script = [page()]
    told = run("hosts", "list", "-o", "table")
    assert (told.exit_code, told.stdout) == (0, "")
    assert "interlock hosts enrol" in told.stderr


def test_the_line_of_a_host_is_shown_in_its_order_and_jobs_are_moved_in_it(server: ScriptedServer, run: Run) -> None:
    server.script = [Say(200, line())]
    told = run("hosts", "queue", EU1, "-o", "table").stdout
    assert told.splitlines()[1].split()[:3] == ["1", JOB, "T"]
    assert "held" in told
    run("hosts", "queue", EU1, "--front", JOB)
    assert server.asked[-1].json() == {"op": "front", "jobId": JOB}
    assert run("hosts", "queue", EU1, "--front", JOB, "--drop", JOB).exit_code == 2
    server.script = [Say(200, line(pending=[]))]
    assert "nothing waits" in run("hosts", "queue", EU1, "-o", "table").stderr


def test_a_pause_sends_only_what_was_given(server: ScriptedServer, run: Run) -> None:
    server.script = [Say(200, host(paused=True))]
    assert run("hosts", "pause", EU1, "--note", "disk").exit_code == 0
    assert (server.asked[0].method, server.asked[0].json()) == ("PATCH", {"paused": True, "note": "disk"})


def test_resume_ends_a_drain_and_a_pause(server: ScriptedServer, run: Run) -> None:
    server.script = [Say(200, host(paused=True, draining=True)), Say(204, b""), Say(200, host()), Say(200, host())]
    assert "eu-1 is ready" in run("hosts", "resume", EU1).stderr
    assert [asked.method for asked in server.asked] == ["GET", "DELETE", "PATCH", "GET"]
    assert server.asked[2].json() == {"paused": False}


def test_a_drain_may_be_waited_for(server: ScriptedServer, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("interlock.cli.hosts.LOOK_SECONDS", 0.0)
    busy = Say(200, host(draining=True, currentJobRunId="r"))
    server.script = [busy, busy, Say(200, host(draining=True))]
    assert json.loads(run("hosts", "drain", EU1, "--deadline", "60", "--wait").stdout)["currentJobRunId"] is None
    assert server.asked[0].json() == {"deadlineSeconds": 60.0}
    assert len(server.asked) == 3


def test_a_new_host_shows_its_key_once_on_stdout(server: ScriptedServer, run: Run) -> None:
    server.script = [Say(201, host(agentKey="a.b.c"))]
    assert json.loads(run("hosts", "create", "eu-1", "--label", "zone=eu").stdout)["agentKey"] == "a.b.c"
    assert server.asked[0].json() == {"name": "eu-1", "kind": "machine", "labels": {"zone": "eu"}}
    told = run("hosts", "create", "eu-1", "-o", "table")
    assert told.stdout.endswith("INTERLOCK_AGENT_KEY=a.b.c\n")
    assert "a.b.c" not in told.stderr


def test_enrol_prints_what_to_type_on_the_machine(server: ScriptedServer, run: Run) -> None:
    made = {"id": EU1, "orgId": ORG, "labels": {}, "maxUses": 2, "uses": 0, "expiresAt": AT, "createdAt": AT}
    server.script = [Say(201, made | {"createdById": None, "token": "secret"})]
    told = run("hosts", "enrol", "--uses", "2", "-o", "table")
    assert told.stdout == f"interlock agent enrol --url {server.url} --token secret\n"
    assert server.asked[0].json() == {"expiresInSeconds": 3600.0, "maxUses": 2}


def test_delete_says_force_only_when_told_to(server: ScriptedServer, run: Run) -> None:
    server.script = [Say(204, b"")]
    assert run("hosts", "delete", EU1).exit_code == 0
    assert run("hosts", "delete", EU1, "--force").exit_code == 0
    assert [asked.query for asked in server.asked] == [{}, {"force": "1"}]


# ---- keys, instances, types, audit, open -----------------------------------------------------------------------


def test_keys_are_made_listed_and_revoked(server: ScriptedServer, run: Run) -> None:
    key = {"kid": "k1", "createdAt": AT, "revokedAt": None}
    server.script = [Say(201, key | {"agentKey": "a.b.c"}), page(key, key | {"revokedAt": AT}), Say(204, b"")]
    assert "INTERLOCK_AGENT_KEY=a.b.c" in run("keys", "create", "--host", EU1, "-o", "table").stdout
    states = [row.split()[1] for row in run("keys", "list", "--host", EU1, "-o", "table").stdout.splitlines()[1:]]
    assert states == ["holds", "revoked"]
    assert run("keys", "revoke", JOB, "--host", EU1).exit_code == 0
    assert server.asked[-1].path == f"/api/orgs/{ORG}/hosts/{EU1}/keys/{JOB}"
    server.script = [page(key | {"kid": JOB}, key), Say(204, b"")]
    assert run("keys", "revoke", JOB[:9], "--host", EU1).exit_code == 0
    assert server.asked[-1].path.endswith(f"/{JOB}")
    server.script = [page(key)]
    assert run("keys", "revoke", "../x", "--host", EU1).exit_code == 3


def test_instances_are_made_on_a_host_that_goes_by_its_name(server: ScriptedServer, run: Run) -> None:
    made = {"id": JOB, "orgId": ORG, "hostId": EU1, "name": "dust", "config": {"slots": 2}, "createdAt": AT}
    server.script = [page(host("eu-1")), Say(201, made), page(made)]
    assert run("instances", "create", "dust", "--host", "eu-1", "--config", '{"slots": 2}').exit_code == 0
    assert server.asked[1].json() == {"name": "dust", "hostId": EU1, "config": {"slots": 2}}
    assert json.loads(run("instances", "list", "--host", EU1).stdout) == [made]
    assert server.asked[2].query["hostId"] == EU1


_TYPE: dict[str, Any] = {
    "builtIn": False,
    "version": 4,
    "schema": {"type": "object"},
    "timeoutSeconds": 60.0,
    "maxAttempts": 3,
    "backoff": {"baseSeconds": 2, "factor": 2, "capSeconds": 300, "jitter": 0.1},
    "whileBackingOff": "overtake",
    "onLost": "retry",
    "createdAt": AT,
}


def test_setting_a_type_keeps_what_is_not_given_and_the_version_that_it_was_read_at(
    server: ScriptedServer, run: Run
) -> None:
    kind = {"type": "crawl", **_TYPE}
    server.script = [Say(200, kind), Say(200, kind | {"version": 5})]
    assert run("types", "set", "crawl", "--attempts", "7").exit_code == 0
    sent = server.asked[1].json()
    assert (sent["maxAttempts"], sent["version"], sent["timeoutSeconds"]) == (7, 4, 60.0)


def test_a_new_type_is_sent_as_it_was_given(server: ScriptedServer, run: Run) -> None:
    server.script = [problem(404, "not_found"), Say(201, {"type": "crawl", **_TYPE})]
    assert run("types", "set", "crawl", "--schema", '{"type": "object"}', "--timeout", "9").exit_code == 0
    assert server.asked[1].json() == {"schema": {"type": "object"}, "timeoutSeconds": 9.0}
    assert run("types", "set", "crawl", "--schema", "[]").exit_code == 2


def test_an_unknown_type_is_shown_the_nearest_one(server: ScriptedServer, run: Run) -> None:
    server.script = [problem(404, "not_found"), page({"type": "crawl", **_TYPE})]
    told = run("types", "show", "crwal")
    assert told.exit_code == 3
    assert "Did you mean crawl?" in told.stderr


def test_the_audit_trail_passes_its_filters_on(server: ScriptedServer, run: Run) -> None:
    entry: dict[str, Any] = {
        "id": "1",
        "orgId": ORG,
        "at": AT,
        "actorKind": "user",
        "actorId": "u",
        "action": "host.update",
    }
    entry |= {"targetKind": "host", "targetId": EU1, "detail": {"note": "\x1b[31m"}, "requestId": None, "address": None}
    server.script = [page(entry, entry)]
    told = run("audit", "--action", "host.update", "--target", EU1, "--limit", "1", "-o", "table")
    assert len(told.stdout.splitlines()) == 2
    assert "\x1b" not in told.stdout
    assert server.asked[0].query == {"action": "host.update", "targetId": EU1, "limit": "1"}


def test_open_prints_the_address_of_the_page(server: ScriptedServer, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("click.launch", opened.append)
    monkeypatch.setenv("DISPLAY", ":0")
    address = f"{server.url}/app/orgs/{ORG}/hosts/{EU1}"
    assert run("open", "hosts", EU1, "--print").stdout.strip() == address
    assert opened == []
    assert run("open", "hosts", EU1).stdout.strip() == address
    assert opened == [address]
    assert run("open", "overview", "x").exit_code == 2


def test_an_answer_of_something_else_is_told_apart(server: ScriptedServer, run: Run) -> None:
    bodies: tuple[Any, ...] = (b"<html>", {"items": 3}, {"items": [{}], "nextCursor": None})
    for body in bodies:
        server.script = [Say(200, body)]
        told = run("hosts", "list")
        assert told.exit_code == 1
        assert "is this its URL?" in told.stderr


def test_a_page_that_comes_again_ends_the_list(server: ScriptedServer, run: Run) -> None:
    server.script = [page(host(), cursor="x")]
    told = run("hosts", "list")
    assert told.exit_code == 1
    assert "same page again" in told.stderr


def test_logs_are_text_unless_data_is_asked_for(server: ScriptedServer, run: Run) -> None:
    def line_of(seq: int) -> dict[str, Any]:
        entry = {"seq": seq, "jobRunId": "r", "level": "error", "message": f"m{seq} \x1b[2J", "progress": None}
        return entry | {"createdAt": AT}

    def answer(asked: Asked) -> Say:
        if not asked.path.endswith("/logs"):
            return Say(200, job_document("COMPLETED", counts={"logs": 3, "evidence": 0}))
        after = int(asked.query.get("after", "0"))
        lines = [line_of(seq) for seq in (1, 2, 3) if seq > after]
        return Say(200, {"items": lines, "nextCursor": str(lines[-1]["seq"]) if lines else None})

    server.script = [answer]
    assert run("jobs", "logs", JOB).stdout == "error m1  [2J\nerror m2  [2J\nerror m3  [2J\n"
    assert run("jobs", "logs", JOB, "--tail", "1", "-t").stdout == f"{AT} error m3  [2J\n"
    assert [each["seq"] for each in json.loads(run("jobs", "logs", JOB, "-o", "json").stdout)] == [1, 2, 3]
    followed = run("jobs", "logs", JOB, "--follow", "-o", "jsonl")
    assert [json.loads(each)["seq"] for each in followed.stdout.splitlines()] == [1, 2, 3]
    assert followed.exit_code == 0
