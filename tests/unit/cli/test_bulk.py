"""`jobs create --from`: each job of a file once, however often the command is started, killed or answered late."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from interlock.cli import bulk_create, bulk_state
from tests.support.scripted_server import Asked, Say, ScriptedServer, job_document

Run = Callable[..., Result]


class Plane:
    """Creates what it is asked for, each key and place once, as the server does."""

    def __init__(self) -> None:
        self.made: dict[str, str] = {}
        self.types: list[str] = []
        self.lose_answer = 0  # of so many batches
        self.later = 0  # so many items are told to come again

    def __call__(self, asked: Asked) -> Say:
        results: list[dict[str, Any]] = []
        for place, job in enumerate(asked.json()["jobs"]):
            results.append(self._one(f"{asked.headers['Idempotency-Key']}#{place}", job))
        if self.lose_answer:
            self.lose_answer -= 1
            return Say(hang_up=True)
        return Say(200, {"results": results})

    def _one(self, key: str, job: dict[str, Any]) -> dict[str, Any]:
        if job["type"] == "NOPE":
            return {"error": {"code": "payload_schema", "detail": "there is no job type 'NOPE'"}}
        if self.later:
            self.later -= 1
            return {"error": {"code": "unavailable", "detail": "Not now"}}
        if key not in self.made:
            self.made[key] = f"01938b3e-0000-7000-8000-{len(self.made):012d}"
            self.types.append(job["type"])
        return {"job": job_document(id=self.made[key])}


@pytest.fixture
def plane(server: ScriptedServer) -> Plane:
    plane = Plane()
    server.script = [plane]
    return plane


@pytest.fixture
def jobs(tmp_path: Path) -> Path:
    path = tmp_path / "jobs.jsonl"
    path.write_text("".join(f'{{"type": "T{number}"}}\n' for number in range(5)))
    return path


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_create, "BATCH_JOBS", 2)
    monkeypatch.setattr(bulk_create, "_pauses", lambda: [0.0] * 5)
    monkeypatch.setattr(bulk_create, "LONGEST_PAUSE_SECONDS", 0.0)
    monkeypatch.setattr("interlock.client.repeat.RepeatPolicy.pause", lambda *_: None)


def outcomes(done: Result) -> list[str]:
    return [json.loads(line)["outcome"] for line in done.stdout.splitlines()]


def test_a_file_is_created_in_batches_and_a_second_start_creates_nothing(run: Run, plane: Plane, jobs: Path) -> None:
    words = ("jobs", "create", "--from", str(jobs), "-o", "jsonl")
    first = run(*words)
    assert (first.exit_code, outcomes(first)) == (0, ["created"] * 5)
    assert "5 created" in first.stderr
    second = run(*words)
    assert outcomes(second) == ["skipped"] * 5
    assert [json.loads(each)["jobId"] for each in second.stdout.splitlines()] == list(plane.made.values())
    assert plane.types == ["T0", "T1", "T2", "T3", "T4"]


def test_what_was_added_or_changed_is_created_wherever_it_stands(run: Run, plane: Plane, jobs: Path) -> None:
    words = ("jobs", "create", "--from", str(jobs), "-o", "jsonl")
    run(*words)
    jobs.write_text('{"type": "NEW"}\n\n' + jobs.read_text() + '{"type": "T0"}\n')
    assert outcomes(run(*words)).count("skipped") == 5
    assert plane.types[5:] == ["NEW", "T0"]


def test_an_answer_that_is_lost_makes_no_job_twice(run: Run, plane: Plane, jobs: Path) -> None:
    plane.lose_answer = 1
    words = ("jobs", "create", "--from", str(jobs), "-o", "jsonl")
    first = run(*words)
    assert first.exit_code == 5
    assert "the same command goes on" in first.stderr
    assert len(plane.types) == 2
    second = run(*words)
    assert (second.exit_code, outcomes(second)) == (0, ["created"] * 5)
    assert plane.types == ["T0", "T1", "T2", "T3", "T4"]


def test_a_start_that_is_killed_between_sending_and_writing_goes_on(
    run: Run, plane: Plane, jobs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise SystemExit(137)

    words = ("jobs", "create", "--from", str(jobs), "-o", "jsonl")
    with monkeypatch.context() as patch:
        patch.setattr(bulk_state.BulkState, "answered", killed)
        run(*words)
    state = Path(f"{jobs}.state")
    state.write_bytes(state.read_bytes() + b'{"is": "answ')  # and a line that a power cut has torn
    assert len(plane.types) == 2
    assert outcomes(run(*words)) == ["created"] * 5
    assert sorted(plane.types) == ["T0", "T1", "T2", "T3", "T4"]


def test_what_the_server_puts_off_is_sent_again_under_the_same_key(run: Run, plane: Plane, jobs: Path) -> None:
    plane.later = 3
    done = run("jobs", "create", "--from", str(jobs), "-o", "jsonl")
    assert outcomes(done) == ["created"] * 5
    assert sorted(plane.types) == ["T0", "T1", "T2", "T3", "T4"]


def test_what_is_put_off_for_too_long_is_left_for_the_next_start(run: Run, plane: Plane, jobs: Path) -> None:
    plane.later = 10**6
    done = run("jobs", "create", "--from", str(jobs), "-o", "jsonl")
    assert (done.exit_code, set(outcomes(done))) == (5, {"unknown"})
    plane.later = 0
    assert outcomes(run("jobs", "create", "--from", str(jobs), "-o", "jsonl")) == ["created"] * 5
    assert len(plane.types) == 5


def test_a_refused_line_sinks_no_other_and_is_tried_again(run: Run, plane: Plane, jobs: Path) -> None:
    jobs.write_text('{"type": "NOPE"}\n{"type": "T"}\n')
    done = run("jobs", "create", "--from", str(jobs), "-o", "table")
    assert done.exit_code == 2
    assert done.stdout.splitlines()[1].split()[:2] == ["1", "refused"]
    jobs.write_text('{"type": "FIXED"}\n{"type": "T"}\n')
    assert run("jobs", "create", "--from", str(jobs)).exit_code == 0
    assert plane.types == ["T", "FIXED"]


def test_options_count_for_lines_that_do_not_say_it_themselves(server: ScriptedServer, run: Run, jobs: Path) -> None:
    server.script = [Plane()]
    jobs.write_text('{"payload": {"a": 1}}\n{"type": "OWN", "priority": 5}\n')
    run("jobs", "create", "T", "--from", str(jobs), "--max-attempts", "2", "--priority", "9")
    first, second = server.asked[0].json()["jobs"]
    assert first == {"type": "T", "payload": {"a": 1}, "maxAttempts": 2, "priority": 9}
    assert second == {"type": "OWN", "maxAttempts": 2, "priority": 5}


@pytest.mark.parametrize(
    "line", ["{", "[1]", '{"type": 3}', '{"type": "T", "tpye": 1}', '{"payload": {}}', "[" * 5000, "\udce9"]
)
def test_a_line_that_is_no_job_is_named_and_nothing_is_sent(
    server: ScriptedServer, run: Run, jobs: Path, line: str
) -> None:
    jobs.write_bytes(b'{"type": "T"}\n' + line.encode(errors="surrogateescape") + b"\n")
    done = run("jobs", "create", "--from", str(jobs))
    assert done.exit_code == 2
    assert "line 2:" in done.stderr
    assert not server.asked


@pytest.mark.parametrize(
    "words",
    [
        ["--from", "/no/such/file"],
        ["T", "--state", "x"],
        ["T", "--from", "-", "--idempotency-key", "k"],
        [],
    ],
)
def test_options_that_do_not_go_together_are_a_usage_error(server: ScriptedServer, run: Run, words: list[str]) -> None:
    assert run("jobs", "create", *words).exit_code == 2
    assert not server.asked


def test_a_state_of_another_organization_is_refused(run: Run, plane: Plane, jobs: Path) -> None:
    run("jobs", "create", "--from", str(jobs))
    done = run("jobs", "create", "--from", str(jobs), "--org", "01938b3e-0000-7000-8000-0000000000ff")
    assert done.exit_code == 8
    assert "--state" in done.stderr
    Path(f"{jobs}.state").write_text("something else\n")
    assert run("jobs", "create", "--from", str(jobs)).exit_code == 1
    assert len(plane.types) == 5


def test_a_batch_that_cannot_be_sent_again_as_it_was_is_refused(
    run: Run, plane: Plane, jobs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plane.lose_answer = 1
    run("jobs", "create", "--from", str(jobs))
    whole = jobs.read_text()
    jobs.write_text(whole.replace("T1", "OTHER"))
    changed = run("jobs", "create", "--from", str(jobs))
    assert changed.exit_code == 8
    assert "changed in the file" in changed.stderr
    jobs.write_text(whole)
    monkeypatch.setattr(bulk_state, "KEYS_HOLD", -1)
    assert run("jobs", "create", "--from", str(jobs)).exit_code == 8
    assert len(plane.types) == 2


def test_standard_input_needs_no_state(run: Run, plane: Plane) -> None:
    done = run("jobs", "create", "--from", "-", "-o", "json", input='{"type": "A"}\n{"type": "B"}')
    assert [each["outcome"] for each in json.loads(done.stdout)] == ["created"] * 2
    assert plane.types == ["A", "B"]
