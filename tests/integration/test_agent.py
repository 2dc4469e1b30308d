"""The agent against a fake control plane, with real child processes."""

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from interlock.agent import Context, Job, Outcome, StateInUse, StateUnusable
from interlock.agent.lock import state_lock
from tests.support.agent_rig import Rig, lives
from tests.support.fake_plane import FakePlane, Fault, Run, new_id


@pytest.fixture
async def plane() -> AsyncIterator[FakePlane]:
    async with FakePlane() as plane:
        yield plane


@pytest.fixture
def rig(plane: FakePlane, tmp_path: Path) -> Rig:
    return Rig(plane, tmp_path)


async def finish(rig: Rig, job_type: str = "WORK", payload: object = None, *, timeout_seconds: float = 60.0) -> Run:
    """One job from its creation to its report."""
    async with rig.running():
        run = await rig.plane.add(job_type, payload, timeout_seconds=timeout_seconds)
        return await rig.plane.ended(run)


async def said(plane: FakePlane, run: Run, pattern: str) -> str:
    """Wait until the command has printed a line that matches; the first group of it."""

    def found() -> str | None:
        matches = (re.fullmatch(pattern, line) for line in run.log_text)
        return next((match[1] for match in matches if match), None)

    await plane.until(found)
    return found() or ""


# ---- what a command gets and what its end becomes


async def test_a_command_gets_the_payload_on_stdin_and_its_last_json_line_is_the_output(rig: Rig) -> None:
    rig.python("import json, sys; print('hello'); print(json.dumps({'got': json.load(sys.stdin)}))")
    run = await finish(rig, payload={"map": "de_dust2", "word": "Grüße"})
    assert run.report["status"] == "success"
    assert run.report["output"] == {"got": {"map": "de_dust2", "word": "Grüße"}}
    assert run.report["durationMs"] >= 0


async def test_a_command_learns_who_it_is_from_its_environment_but_not_the_agents_key(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INTERLOCK_AGENT_KEY", "secret")
    rig.python("import json, os; print(json.dumps(dict(os.environ)))", env={"COLOUR": "blue"})
    run = await finish(rig)
    variables = run.report["output"]
    assert variables["INTERLOCK_JOB_ID"] == run.job_id
    assert variables["INTERLOCK_JOB_RUN_ID"] == run.id
    assert variables["INTERLOCK_JOB_TYPE"] == "WORK"
    assert variables["INTERLOCK_ATTEMPT"] == "1"
    assert variables["COLOUR"] == "blue"
    assert "INTERLOCK_AGENT_KEY" not in variables


async def test_the_last_lines_are_the_output_when_they_are_not_json(rig: Rig) -> None:
    rig.shell("seq 1 20; printf 'no newline'")
    run = await finish(rig)
    assert run.report["output"] == {"text": "17\n18\n19\n20\nno newline"}


async def test_a_non_zero_exit_code_is_a_failure_told_by_the_last_lines(rig: Rig) -> None:
    rig.shell("echo on its way; echo 'no map' >&2; exit 3")
    run = await finish(rig)
    assert (run.report["status"], run.report["errorCode"]) == ("failed", "exit_3")
    assert sorted(run.report["errorMessage"].split("\n")) == ["no map", "on its way"]


async def test_of_a_long_error_the_end_is_reported(rig: Rig) -> None:
    rig.set(error_characters=100)
    rig.shell("seq 1000 1040; exit 1")
    rig.set(output_lines=100)
    assert (await finish(rig)).report["errorMessage"] == "\n".join(str(number) for number in range(1000, 1041))[-100:]


async def test_death_by_a_signal_is_a_failure_named_after_it(rig: Rig) -> None:
    rig.shell("kill -SEGV $$")
    assert (await finish(rig)).report["errorCode"] == "signal_11"


async def test_a_job_type_without_a_handler_is_rejected(rig: Rig) -> None:
    rig.shell("true")
    run = await finish(rig, "OTHER")
    assert (run.report["status"], run.report["errorCode"]) == ("rejected", "unknown_type")


@pytest.mark.parametrize(
    ("command", "cwd"), [(["./no-such-program"], "."), (["/etc/passwd"], "."), (["true"], "no-such-folder")]
)
async def test_a_command_that_cannot_be_started_is_a_failure_that_says_why(
    rig: Rig, command: list[str], cwd: str
) -> None:
    rig.command(command, cwd=str(rig.folder / cwd))
    run = await finish(rig)
    assert (run.report["status"], run.report["errorCode"]) == ("failed", "not_started")
    assert command[0] in run.report["errorMessage"]


async def test_a_command_starts_with_pythons_own_habits_undone(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LC_ALL", "LC_CTYPE", "LANG"):
        monkeypatch.delenv(name, raising=False)
    rig.shell("grep SigIgn /proc/self/status; echo locale=$LC_CTYPE; ls /proc/self/fd | wc -l")
    run = await finish(rig)
    assert run.report["output"] == {"text": "SigIgn:\t0000000000000000\nlocale=\n4"}


async def test_a_payload_larger_than_a_pipe_does_not_block_a_command_that_does_not_read(rig: Rig) -> None:
    rig.shell("echo done")
    assert (await finish(rig, payload={"big": "x" * 1_000_000})).report["status"] == "success"


async def test_bytes_that_no_database_takes_do_not_reach_the_server(rig: Rig) -> None:
    rig.shell(r"""printf '\377\000bytes\n{"a\\u0000": "b\\u0000c"}\n'""")
    run = await finish(rig)
    assert run.report["output"] == {"a": "bc"}
    assert "\ufffdbytes" in run.log_text


async def test_a_flood_of_output_neither_grows_the_result_nor_stops_the_command(rig: Rig) -> None:
    rig.set(log_queue_lines=20, upload_logs=True)
    rig.python("print('x' * 3_000_000); print('line\\n' * 200_000); print('the end')")
    run = await finish(rig)
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
        grandchild = int(await said(rig.plane, run, r"(\d+)"))
        await rig.plane.cancel(run)
        await rig.plane.ended(run)
    assert (run.report["status"], run.report["errorCode"]) == ("cancelled", "cancelled")
    assert not lives(grandchild)


async def test_a_cancel_told_by_the_answer_to_log_lines_ends_the_command(rig: Rig) -> None:
    rig.plane.verdict = "continue"
    rig.shell("while echo tick; do sleep 0.02; done")
    async with rig.running():
        run = await rig.plane.add()
        await said(rig.plane, run, "(tick)")
        await rig.plane.cancel(run)
        assert (await rig.plane.ended(run)).report["status"] == "cancelled"


async def test_a_command_that_ignores_sigterm_is_killed_after_the_grace(rig: Rig) -> None:
    rig.set(grace_seconds=0.1)
    rig.shell("trap '' TERM; echo ready; while :; do sleep 0.05; done")
    async with rig.running():
        run = await rig.plane.add()
        await said(rig.plane, run, "(ready)")
        await rig.plane.cancel(run)
        assert (await rig.plane.ended(run)).report["status"] == "cancelled"


async def test_a_grandchild_that_ignores_sigterm_is_killed_though_the_command_has_gone(rig: Rig) -> None:
    rig.set(grace_seconds=0.1)
    rig.shell("sh -c 'trap \"\" TERM; echo $$; while :; do sleep 0.05; done' & wait")
    async with rig.running():
        run = await rig.plane.add()
        grandchild = int(await said(rig.plane, run, r"(\d+)"))
        await rig.plane.cancel(run)
        await rig.plane.ended(run)
    assert not lives(grandchild)


async def test_a_run_that_is_abandoned_while_it_is_being_stopped_is_not_reported(rig: Rig) -> None:
    rig.shell("trap 'echo stopping' TERM; echo ready; until test -e go; do sleep 0.02; done")
    async with rig.running():
        run = await rig.plane.add()
        await said(rig.plane, run, "(ready)")
        await rig.plane.cancel(run)
        await said(rig.plane, run, "(stopping)")
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
        await said(rig.plane, run, "(ready)")
        await rig.plane.cancel(run)
        assert (await rig.plane.ended(run)).report["status"] == "cancelled"
    assert run.report["errorMessage"].splitlines()[-1] == "saved"


async def test_an_abandoned_run_is_stopped_and_nothing_is_reported(rig: Rig) -> None:
    rig.shell("echo $$; exec sleep 60")
    async with rig.running():
        run = await rig.plane.add()
        pid = int(await said(rig.plane, run, r"(\d+)"))
        run.status = "lost"
        other = await rig.plane.add("OTHER")
        await rig.plane.ended(other)
        assert not lives(pid)
    assert run.reports == []


async def test_a_heartbeat_that_was_superseded_abandons_the_run(rig: Rig) -> None:
    rig.shell("echo ready; exec sleep 60")
    async with rig.running():
        run = await rig.plane.add()
        await said(rig.plane, run, "(ready)")
        run.status = "lost"
        rig.plane.faults["heartbeat"].append(Fault(status=409, code="superseded"))
        await rig.plane.ended(await rig.plane.add("OTHER"))
    assert run.reports == []


@pytest.mark.parametrize(("own", "server"), [(0.05, 60.0), (60.0, 0.05), (None, 0.05)])
async def test_the_smaller_timeout_counts_and_is_reported_as_a_failure(
    rig: Rig, own: float | None, server: float
) -> None:
    rig.shell("exec sleep 60", timeout_seconds=own)
    run = await finish(rig, timeout_seconds=server)
    assert (run.report["status"], run.report["errorCode"]) == ("failed", "timeout")


async def test_what_a_command_leaves_in_its_process_group_ends_with_the_job(rig: Rig) -> None:
    rig.shell("sleep 60 >/dev/null 2>&1 & echo $!")
    run = await finish(rig)
    assert run.report["status"] == "success"
    assert not lives(int(run.report["output"]["text"]))


async def test_a_daemon_in_a_session_of_its_own_outlives_the_job_even_if_it_holds_the_output(rig: Rig) -> None:
    rig.python(
        "import os, subprocess; print(subprocess.Popen(['sleep', '60'], start_new_session=True).pid, flush=True);"
        "os._exit(0)"
    )
    run = await finish(rig)
    daemon = int(run.report["output"]["text"])
    assert lives(daemon)
    os.kill(daemon, signal.SIGKILL)


# ---- a network that loses things


async def test_a_run_whose_hand_out_was_lost_is_done_once(rig: Rig) -> None:
    rig.shell("echo x >> starts")
    rig.plane.faults["poll"].append(Fault(lose_reply=True))
    run = await rig.plane.add()
    async with rig.running():
        await rig.plane.ended(run)
    assert run.report["status"] == "success"
    assert (rig.folder / "starts").read_text() == "x\n"


async def test_a_report_whose_answer_was_lost_is_repeated_unchanged(rig: Rig) -> None:
    rig.shell("echo x >> starts")
    rig.plane.faults["result"].append(Fault(lose_reply=True))
    async with rig.running():
        run = await rig.plane.add()
        await rig.plane.until(lambda: len(run.reports) == 2)
        await rig.plane.ended(await rig.plane.add())
    assert run.reports[0] == run.reports[1]
    assert (rig.folder / "starts").read_text() == "x\nx\n"


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=503, code="unavailable", headers={"Retry-After": "0"}),
        Fault(status=429, code="rate_limited"),
        Fault(status=408, code="request_timeout"),
        Fault(status=502),
        Fault(status=404),
        Fault(status=409),
        Fault(status=401, code="unauthenticated"),
        Fault(status=403),
        Fault(drop=True),
    ],
    ids=lambda fault: f"{fault.status} {fault.code}" if fault.status else "dropped",
)
@pytest.mark.parametrize("route", ["poll", "result", "heartbeat", "logs"])
async def test_a_refusal_that_may_pass_loses_nothing(rig: Rig, route: str, fault: Fault) -> None:
    rig.shell("echo out; echo x >> starts")
    rig.plane.faults[route].extend([fault, fault])
    async with rig.running():
        run = await rig.plane.add()
        await rig.plane.ended(run)
    assert run.report["status"] == "success"
    assert (rig.folder / "starts").read_text() == "x\n"


@pytest.mark.parametrize("code", ["not_found", "invalid_state"])
async def test_a_result_that_the_server_has_no_use_for_is_dropped(rig: Rig, code: str) -> None:
    rig.shell("true")
    rig.plane.faults["result"].append(Fault(status={"not_found": 404}.get(code, 409), code=code))
    async with rig.running():
        run = await rig.plane.add()
        await rig.plane.until(lambda: rig.plane.count("result") == 1)
        run.status = "lost"
        await rig.plane.ended(await rig.plane.add())
    assert run.reports == []


async def test_a_result_refused_for_its_size_is_reported_without_its_output(rig: Rig) -> None:
    rig.shell("""echo '{"big": 1}'""")
    rig.plane.faults["result"].append(Fault(status=413, code="payload_too_large"))
    run = await finish(rig)
    assert (run.report["status"], run.report["output"]) == ("success", None)


async def test_a_superseded_poll_is_tried_again(rig: Rig) -> None:
    rig.shell("true")
    rig.plane.faults["poll"].append(Fault(status=409, code="superseded"))
    assert (await finish(rig)).report["status"] == "success"


@pytest.mark.parametrize("status", [503, 429])
@pytest.mark.parametrize("route", ["poll", "result", "heartbeat", "logs"])
async def test_the_server_is_left_alone_for_as_long_as_it_asks(rig: Rig, route: str, status: int) -> None:
    rig.set(upload_logs=True, heartbeat_seconds=0.05, log_flush_seconds=10.0)
    rig.shell("echo out; until test -e go; do sleep 0.01; done; echo end")
    code = "unavailable" if status == 503 else "rate_limited"
    rig.plane.faults[route].append(Fault(status=status, code=code, headers={"Retry-After": "0.3"}))
    async with rig.running():
        run = await rig.plane.add()
        if route == "result":
            (rig.folder / "go").touch()
        await rig.plane.until(lambda: rig.plane.count(route) >= 2)
        (rig.folder / "go").touch()
        await rig.plane.ended(run)
    first, second = [at for name, at in rig.plane.requests if name == route][:2]
    assert second - first >= 0.3
    assert run.report["status"] == "success"


async def test_no_poll_is_sent_while_a_run_is_at_work_or_its_result_is_owed(rig: Rig) -> None:
    rig.shell("true")
    rig.plane.faults["result"].extend([Fault(status=503)] * 3)
    async with rig.running():
        run = await rig.plane.add()
        await rig.plane.ended(run)
        names = [name for name, _ in rig.plane.requests]
    taken = names.index("poll")
    assert "poll" not in names[taken + 1 : len(names) - names[::-1].index("result")]


async def test_log_lines_that_cannot_be_sent_do_not_hold_up_the_result(rig: Rig) -> None:
    rig.set(log_flush_seconds=0.05)
    never = asyncio.Event()
    rig.plane.faults["logs"].append(Fault(hold=never))
    rig.shell("echo out")
    assert (await finish(rig)).report["status"] == "success"
    never.set()


# ---- runs handed out more than once, or out of turn


async def test_a_finished_run_that_is_handed_out_again_is_reported_again_and_not_started_again(rig: Rig) -> None:
    rig.shell("echo x >> starts")
    async with rig.running():
        run = await rig.plane.add()
        await rig.plane.ended(run)
        await rig.plane.ended(await rig.plane.add())
        await rig.plane.hand_out_again(run)
        await rig.plane.until(lambda: len(run.reports) == 2)
    assert run.reports[0] == run.reports[1]
    assert (rig.folder / "starts").read_text() == "x\nx\n"


async def test_a_finished_run_is_remembered_across_a_restart(rig: Rig) -> None:
    rig.shell("echo x >> starts")
    run = await finish(rig)
    await rig.plane.hand_out_again(run)
    async with rig.running():
        await rig.plane.until(lambda: len(run.reports) == 2)
    assert (rig.folder / "starts").read_text() == "x\n"


@pytest.mark.parametrize("run_no", [4, 5])
async def test_a_run_with_a_number_that_is_not_new_is_refused_without_a_word(rig: Rig, run_no: int) -> None:
    rig.shell("echo x >> starts")
    async with rig.running():
        await rig.plane.ended(await rig.plane.add(run_no=5))
        stale = await rig.plane.add(run_no=run_no)
        polls = rig.plane.count("poll")
        await rig.plane.until(lambda: rig.plane.count("poll") >= polls + 2)
        stale.status = "lost"
        await rig.plane.ended(await rig.plane.add(run_no=6))
    assert stale.reports == []
    assert (rig.folder / "starts").read_text() == "x\nx\n"


async def test_a_run_cancelled_before_it_arrived_is_confirmed_and_never_started(rig: Rig) -> None:
    rig.shell("echo x >> starts")
    run = await rig.plane.add()
    await rig.plane.cancel(run)
    async with rig.running():
        await rig.plane.ended(run)
        await rig.plane.hand_out_again(run)
        await rig.plane.until(lambda: len(run.reports) == 2)
    assert run.report["status"] == "cancelled"
    assert not (rig.folder / "starts").exists()


# ---- ending the agent


async def test_the_first_signal_lets_the_run_finish_and_takes_no_other(rig: Rig) -> None:
    rig.shell("echo ready; until test -e go; do sleep 0.01; done")
    agent = rig.agent()
    async with asyncio.timeout(20):
        task = asyncio.create_task(agent.run())
        run, other = await rig.plane.add(), await rig.plane.add()
        await said(rig.plane, run, "(ready)")
        agent.stop()
        (rig.folder / "go").touch()
        await task
    assert run.report["status"] == "success"
    assert other.status == "pending"


@pytest.mark.parametrize(("drain_seconds", "signals"), [(0.05, 1), (3600.0, 2)])
async def test_a_run_that_does_not_finish_in_time_is_ended_and_reported(
    rig: Rig, drain_seconds: float, signals: int
) -> None:
    rig.set(drain_seconds=drain_seconds)
    rig.shell("echo ready; exec sleep 60")
    agent = rig.agent()
    task = asyncio.create_task(agent.run())
    run = await rig.plane.add()
    await said(rig.plane, run, "(ready)")
    for _ in range(signals):
        agent.stop()
    await task
    assert (run.report["status"], run.report["errorCode"]) == ("failed", "agent_stopped")


async def test_a_third_signal_cuts_the_grace_short(rig: Rig) -> None:
    rig.set(grace_seconds=3600.0)
    rig.shell("trap '' TERM; echo ready; while :; do sleep 0.02; done")
    agent = rig.agent()
    task = asyncio.create_task(agent.run())
    run = await rig.plane.add()
    await said(rig.plane, run, "(ready)")
    for _ in range(3):
        agent.stop()
    await task
    assert run.report["errorCode"] == "agent_stopped"


async def test_a_result_that_cannot_be_delivered_before_the_end_is_delivered_after_the_next_start(rig: Rig) -> None:
    rig.set(exit_report_seconds=0.05)
    rig.shell("true")
    rig.plane.faults["result"].extend([Fault(status=503)] * 100)
    async with rig.running():
        run = await rig.plane.add()
        await rig.plane.until(lambda: rig.plane.count("result"))
    assert run.reports == []
    rig.plane.faults["result"].clear()
    async with rig.running():
        await rig.plane.ended(run)
    assert run.report["status"] == "success"
    assert len(rig.plane.runs) == 1


async def test_a_second_agent_in_the_same_state_directory_is_turned_away(rig: Rig) -> None:
    rig.shell("true")
    with state_lock(rig.state), pytest.raises(StateInUse, match=str(os.getpid())):
        await rig.agent().run()


async def test_a_key_of_another_host_does_not_take_over_a_state_directory(rig: Rig) -> None:
    rig.shell("true")
    await finish(rig)
    async with FakePlane() as elsewhere:
        rig.plane = elsewhere
        with pytest.raises(StateUnusable, match="belongs to host"):
            await rig.agent().run()


# ---- handlers that are functions


async def test_a_function_can_be_a_handler(rig: Rig) -> None:
    agent = rig.agent()

    @agent.handler("SUM")
    async def add_up(job: Job, context: Context) -> Outcome:
        context.log("info", "adding")
        return Outcome.succeeded({"sum": sum(job.payload["numbers"])})

    async with rig.running(agent):
        run = await rig.plane.ended(await rig.plane.add("SUM", {"numbers": [1, 2, 3]}))
    assert run.report["output"] == {"sum": 6}
    assert run.log_text == ["adding"]


async def test_a_handler_that_raises_fails_its_run_and_not_the_agent(rig: Rig) -> None:
    agent = rig.agent()

    @agent.handler("BAD")
    async def bad(job: Job, context: Context) -> Outcome:
        raise ValueError(f"no {job.type} for {context.stop.reason}")

    async with rig.running(agent):
        run = await rig.plane.ended(await rig.plane.add("BAD"))
        await rig.plane.ended(await rig.plane.add("BAD"))
    assert run.report["errorCode"] == "exception"
    assert run.report["errorMessage"] == "ValueError: no BAD for None"


@pytest.mark.parametrize(
    ("output", "left", "says"),
    [
        ({"text": "x" * 3000}, None, "left out: it has 3011 bytes, and 2000 are allowed"),
        ({"when": object()}, None, "left out: it is not JSON"),
        ({"text": "\ud800"}, None, "left out: it is not JSON"),
        ({"a": "b\0c", "\0": [{"d": "\0"}]}, {"a": "bc", "": [{"d": ""}]}, None),
    ],
    ids=["too large", "no JSON", "half a surrogate", "NULs"],
)
async def test_an_output_that_cannot_be_stored_harms_neither_the_result_nor_the_agent(
    rig: Rig, output: dict[str, Any], left: object, says: str | None
) -> None:
    rig.set(result_bytes=2000)
    agent = rig.agent()

    @agent.handler("WORK")
    async def work(job: Job, context: Context) -> Outcome:
        del job, context
        return Outcome.succeeded(output)

    async with rig.running(agent):
        run = await rig.plane.ended(await rig.plane.add())
        await rig.plane.ended(await rig.plane.add())
    assert (run.report["status"], run.report["output"]) == ("success", left)
    assert (says or "") in (run.report["errorMessage"] or "")


async def test_a_message_without_end_is_cut(rig: Rig) -> None:
    rig.set(error_characters=100)
    agent = rig.agent()

    @agent.handler("WORK")
    async def work(job: Job, context: Context) -> Outcome:
        del job, context
        return Outcome.failed("c" * 10_000, "m\0" * 100_000)

    async with rig.running(agent):
        run = await rig.plane.ended(await rig.plane.add())
    assert len(run.report["errorMessage"]) <= 300
    assert len(run.report["errorCode"]) == 200


async def test_a_run_that_the_server_does_not_know_is_not_reported_for_ever(rig: Rig) -> None:
    rig.shell("true")
    async with rig.running():
        run = await rig.plane.add()
        del rig.plane.runs[run.id]
        rig.plane.runs[new_id()] = run
        await rig.plane.until(lambda: rig.plane.count("result") == 1)
        run.status = "lost"
        await rig.plane.ended(await rig.plane.add())
