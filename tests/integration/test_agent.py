"""The agent against a fake control plane, with real child processes: what they get, and how they are stopped."""

import os
import re
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.agent_rig import Rig, lives
from tests.support.fake_plane import FakePlane, Fault
from tests.support.fake_socket import SocketPlane


@pytest.fixture(params=["poll", "socket"])
async def plane(request: pytest.FixtureRequest) -> AsyncIterator[FakePlane]:
    async with SocketPlane() if request.param == "socket" else FakePlane() as plane:
        yield plane


@pytest.fixture
def rig(plane: FakePlane, tmp_path: Path) -> Rig:
    rig = Rig(plane, tmp_path)
    rig.set(transport="socket" if isinstance(plane, SocketPlane) else "poll")
    return rig


# ---- what a command gets and what its end becomes


async def test_a_command_gets_the_payload_on_stdin_and_its_last_json_line_is_the_output(rig: Rig) -> None:
    rig.python("import json, sys; print('hello'); print(json.dumps({'got': json.load(sys.stdin)}))")
    run = await rig.finish(payload={"map": "de_dust2", "word": "Grüße"})
    assert run.report["status"] == "success"
    assert run.report["output"] == {"got": {"map": "de_dust2", "word": "Grüße"}}
    assert run.report["durationMs"] >= 0


async def test_a_command_learns_who_it_is_from_its_environment_but_not_the_agents_key(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INTERLOCK_AGENT_KEY", "secret")
    rig.python("import json, os; print(json.dumps(dict(os.environ)))", env={"COLOUR": "blue"})
    run = await rig.finish()
    variables = run.report["output"]
    assert variables["INTERLOCK_JOB_ID"] == run.job_id
    assert variables["INTERLOCK_JOB_RUN_ID"] == run.id
    assert variables["INTERLOCK_JOB_TYPE"] == "WORK"
    assert variables["INTERLOCK_ATTEMPT"] == "1"
    assert variables["COLOUR"] == "blue"
    assert "INTERLOCK_AGENT_KEY" not in variables


async def test_a_command_gets_its_jobs_trace_and_never_the_agents_own(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACEPARENT", "of the agent")
    rig.python("import json, os; print(json.dumps({k: v for k, v in os.environ.items() if k.startswith('TRACE')}))")
    assert (await rig.finish()).report["output"] == {}
    rig.plane.trace = {"traceparent": "00-1-2-01", "tracestate": "a=b"}
    assert (await rig.finish()).report["output"] == {"TRACEPARENT": "00-1-2-01", "TRACESTATE": "a=b"}


async def test_the_last_lines_are_the_output_when_they_are_not_json(rig: Rig) -> None:
    rig.shell("seq 1 20; printf 'no newline'")
    run = await rig.finish()
    assert run.report["output"] == {"text": "17\n18\n19\n20\nno newline"}


async def test_a_non_zero_exit_code_is_a_failure_told_by_the_last_lines(rig: Rig) -> None:
    rig.shell("echo on its way; echo 'no map' >&2; exit 3")
    run = await rig.finish()
    assert (run.report["status"], run.report["errorCode"]) == ("failed", "exit_3")
    assert sorted(run.report["errorMessage"].split("\n")) == ["no map", "on its way"]


async def test_of_a_long_error_the_end_is_reported(rig: Rig) -> None:
    rig.set(error_characters=100)
    rig.shell("seq 1000 1040; exit 1")
    rig.set(output_lines=100)
    assert (await rig.finish()).report["errorMessage"] == "\n".join(str(number) for number in range(1000, 1041))[-100:]


async def test_death_by_a_signal_is_a_failure_named_after_it(rig: Rig) -> None:
    rig.shell("kill -SEGV $$")
    assert (await rig.finish()).report["errorCode"] == "signal_11"


async def test_a_job_type_without_a_handler_is_rejected(rig: Rig) -> None:
    rig.shell("true")
    run = await rig.finish("OTHER")
    assert (run.report["status"], run.report["errorCode"]) == ("rejected", "unknown_type")


@pytest.mark.parametrize(
    ("command", "cwd"), [(["./no-such-program"], "."), (["/etc/passwd"], "."), (["true"], "no-such-folder")]
)
async def test_a_command_that_cannot_be_started_is_a_failure_that_says_why(
    rig: Rig, command: list[str], cwd: str
) -> None:
    rig.command(command, cwd=str(rig.folder / cwd))
    run = await rig.finish()
    assert (run.report["status"], run.report["errorCode"]) == ("failed", "not_started")
    assert command[0] in run.report["errorMessage"]


def _ignored_but_by_python() -> int:
    """The signals that whoever started these tests ignores, as `nohup` does."""
    ignored = int(re.findall(r"SigIgn:\s+(\w+)", Path("/proc/self/status").read_text())[0], 16)
    return ignored & ~(1 << signal.SIGPIPE - 1 | 1 << signal.SIGXFSZ - 1)


async def test_a_command_starts_with_pythons_own_habits_undone(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LC_ALL", "LC_CTYPE", "LANG"):
        monkeypatch.delenv(name, raising=False)
    rig.shell("grep SigIgn /proc/self/status; echo locale=$LC_CTYPE; ls /proc/self/fd | wc -l")
    run = await rig.finish()
    assert run.report["output"] == {"text": f"SigIgn:\t{_ignored_but_by_python():016x}\nlocale=\n4"}


async def test_a_payload_larger_than_a_pipe_does_not_block_a_command_that_does_not_read(rig: Rig) -> None:
    rig.shell("echo done")
    assert (await rig.finish(payload={"big": "x" * 1_000_000})).report["status"] == "success"


async def test_bytes_that_no_database_takes_do_not_reach_the_server(rig: Rig) -> None:
    rig.shell(r"""printf '\377\000bytes\n{"a\\u0000": "b\\u0000c"}\n'""")
    run = await rig.finish()
    assert run.report["output"] == {"a": "bc"}
    assert "\ufffdbytes" in run.log_text


async def test_a_flood_of_output_neither_grows_the_result_nor_stops_the_command(rig: Rig) -> None:
    rig.set(log_queue_lines=20, upload_logs=True)
    rig.python("print('x' * 3_000_000); print('line\\n' * 200_000); print('the end')")
    run = await rig.finish()
    assert run.report["output"]["text"].endswith("the end")
    assert len(run.report["output"]["text"]) < 4200
    assert any(re.fullmatch(r"… \d+ lines dropped", line) for line in run.log_text)
    assert run.log_text[-1] == "the end"


async def test_runs_are_done_one_after_the_other(rig: Rig) -> None:
    rig.shell("mkdir busy || exit 9; rmdir busy")
    async with rig.running():
        runs = [await rig.plane.add() for _ in range(5)]
        for run in runs:
            assert (await rig.plane.ended(run)).report["status"] == "success"


# ---- stopping a command


async def test_a_cancel_told_by_a_heartbeat_ends_the_command_and_its_children(rig: Rig) -> None:
    rig.set(upload_logs=True)
    rig.shell("sleep 60 & echo $!; wait")
    async with rig.running():
        run = await rig.plane.add()
        grandchild = int(await rig.said(run, r"(\d+)"))
        await rig.plane.cancel(run)
        await rig.plane.ended(run)
    assert (run.report["status"], run.report["errorCode"]) == ("cancelled", "cancelled")
    assert not lives(grandchild)


async def test_a_cancel_told_by_the_answer_to_log_lines_ends_the_command(rig: Rig) -> None:
    rig.plane.verdict = "continue"
    rig.shell("while echo tick; do sleep 0.02; done")
    async with rig.running():
        run = await rig.plane.add()
        await rig.said(run, "(tick)")
        await rig.plane.cancel(run)
        assert (await rig.plane.ended(run)).report["status"] == "cancelled"


async def test_a_command_that_ignores_sigterm_is_killed_after_the_grace(rig: Rig) -> None:
    rig.set(grace_seconds=0.1)
    rig.shell("trap '' TERM; echo ready; while :; do sleep 0.05; done")
    async with rig.running():
        run = await rig.plane.add()
        await rig.said(run, "(ready)")
        await rig.plane.cancel(run)
        assert (await rig.plane.ended(run)).report["status"] == "cancelled"


async def test_a_grandchild_that_ignores_sigterm_is_killed_though_the_command_has_gone(rig: Rig) -> None:
    rig.set(grace_seconds=0.1)
    rig.shell("sh -c 'trap \"\" TERM; echo $$; while :; do sleep 0.05; done' & wait")
    async with rig.running():
        run = await rig.plane.add()
        grandchild = int(await rig.said(run, r"(\d+)"))
        await rig.plane.cancel(run)
        await rig.plane.ended(run)
    assert not lives(grandchild)


async def test_a_run_that_is_abandoned_while_it_is_being_stopped_is_not_reported(rig: Rig) -> None:
    rig.shell("trap 'echo stopping' TERM; echo ready; until test -e go; do sleep 0.02; done")
    async with rig.running():
        run = await rig.plane.add()
        await rig.said(run, "(ready)")
        await rig.plane.cancel(run)
        await rig.said(run, "(stopping)")
        run.status = "lost"
        heartbeats = len(rig.plane.heartbeats)
        await rig.plane.until(lambda: len(rig.plane.heartbeats) >= heartbeats + 2)
        (rig.folder / "go").touch()
        await rig.plane.ended(await rig.plane.add("OTHER"))
    assert run.reports == []


async def test_a_command_may_use_the_grace_for_its_last_words(rig: Rig) -> None:
    rig.shell("trap 'echo saved; exit 0' TERM; echo ready; while :; do sleep 0.02; done")
    async with rig.running():
        run = await rig.plane.add()
        await rig.said(run, "(ready)")
        await rig.plane.cancel(run)
        assert (await rig.plane.ended(run)).report["status"] == "cancelled"
    assert run.report["errorMessage"].splitlines()[-1] == "saved"


async def test_an_abandoned_run_is_stopped_and_nothing_is_reported(rig: Rig) -> None:
    rig.shell("echo $$; exec sleep 60")
    async with rig.running():
        run = await rig.plane.add()
        pid = int(await rig.said(run, r"(\d+)"))
        run.status = "lost"
        other = await rig.plane.add("OTHER")
        await rig.plane.ended(other)
        assert not lives(pid)
    assert run.reports == []


async def test_a_heartbeat_that_was_superseded_abandons_the_run(rig: Rig) -> None:
    rig.shell("echo ready; exec sleep 60")
    async with rig.running():
        run = await rig.plane.add()
        await rig.said(run, "(ready)")
        run.status = "lost"
        rig.plane.faults["heartbeat"].append(Fault(status=409, code="superseded"))
        await rig.plane.ended(await rig.plane.add("OTHER"))
    assert run.reports == []


@pytest.mark.parametrize(("own", "server"), [(0.05, 60.0), (60.0, 0.05), (None, 0.05)])
async def test_the_smaller_timeout_counts_and_is_reported_as_a_failure(
    rig: Rig, own: float | None, server: float
) -> None:
    rig.shell("exec sleep 60", timeout_seconds=own)
    run = await rig.finish(timeout_seconds=server)
    assert (run.report["status"], run.report["errorCode"]) == ("failed", "timeout")


async def test_what_a_command_leaves_in_its_process_group_ends_with_the_job(rig: Rig) -> None:
    rig.shell("sleep 60 >/dev/null 2>&1 & echo $!")
    run = await rig.finish()
    assert run.report["status"] == "success"
    assert not lives(int(run.report["output"]["text"]))


async def test_a_daemon_in_a_session_of_its_own_outlives_the_job_even_if_it_holds_the_output(rig: Rig) -> None:
    rig.python(
        "import os, subprocess; print(subprocess.Popen(['sleep', '60'], start_new_session=True).pid, flush=True);"
        "os._exit(0)"
    )
    run = await rig.finish()
    daemon = int(run.report["output"]["text"])
    assert lives(daemon)
    os.kill(daemon, signal.SIGKILL)
