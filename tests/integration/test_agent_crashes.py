"""The agent killed with SIGKILL at every point, then started again: no run starts twice, no result is lost."""

import asyncio
import os
import random
import signal
import sys
from asyncio.subprocess import PIPE
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from unittest.mock import AsyncMock, patch

import pytest

from interlock.agent import recovery
from tests.support import crashing_agent
from tests.support.agent_rig import CLI, Rig, lives
from tests.support.crashing_agent import ENTRIES, FRAMES, STEPS
from tests.support.fake_plane import FakePlane, Fault, Run
from tests.support.fake_socket import SocketPlane

STARTS = "echo $$ >> pids; echo $INTERLOCK_JOB_RUN_ID >> starts"


@pytest.fixture
async def plane() -> AsyncIterator[FakePlane]:
    async with FakePlane() as plane:
        yield plane


@pytest.fixture
def rig(plane: FakePlane, tmp_path: Path) -> Rig:
    return Rig(plane, tmp_path)


def starts(rig: Rig) -> Counter[str]:
    path = rig.folder / "starts"
    return Counter(path.read_text().split() if path.exists() else [])


QUICK = STARTS
LONG = f"{STARTS}; echo out; until test -e go; do sleep 0.02; done"  # outlives the agent

# Where the agent dies, in what it then was doing; how the runs of the one job end; how often its command has started.
CRASHES = [
    ("before", "opened", QUICK, ["success"], {1}),
    ("torn", "opened", QUICK, ["success"], {1}),
    ("after", "opened", QUICK, ["success"], {1}),
    ("after", "rename", QUICK, ["success"], {1}),
    ("before", "poll", QUICK, ["success"], {1}),
    ("after", "poll", QUICK, ["lost", "success"], {1}),
    ("before", "started", QUICK, ["lost", "success"], {1}),
    ("torn", "started", QUICK, ["lost", "success"], {1}),
    ("after", "started", QUICK, ["failed"], {0}),
    ("before", "spawned", QUICK, ["failed"], {0}),
    ("torn", "spawned", QUICK, ["failed"], {0}),
    ("after", "spawned", QUICK, ["failed"], {0}),
    ("before", "release", QUICK, ["failed"], {0}),
    ("after", "release", LONG, ["failed"], {0, 1}),
    ("before", "heartbeat", LONG, ["failed"], {0, 1}),
    ("after", "heartbeat", LONG, ["failed"], {0, 1}),
    ("before", "logs", LONG, ["failed"], {1}),
    ("after", "logs", LONG, ["failed"], {1}),
    ("before", "finished", QUICK, ["failed"], {1}),
    ("torn", "finished", QUICK, ["failed"], {1}),
    ("after", "finished", QUICK, ["success"], {1}),
    ("before", "report", QUICK, ["success"], {1}),
    ("after", "report", QUICK, ["success"], {1}),
    ("before", "acknowledged", QUICK, ["success"], {1}),
    ("torn", "acknowledged", QUICK, ["success"], {1}),
    ("after", "acknowledged", QUICK, ["success"], {1}),
]


# The same on a socket, where a heartbeat may be sent before or after an ack.
BY_SOCKET = [
    ("before", "upgrade", QUICK, [["success"]], {1}),
    ("after", "upgrade", QUICK, [["success"]], {1}),
    ("before", "frame heartbeat", QUICK, [["success"], ["lost", "success"]], {1}),
    ("before", "frame job:ack", QUICK, [["success"]], {1}),
    ("after", "frame job:ack", QUICK, [["lost", "success"]], {1}),
    ("after", "started", QUICK, [["failed"]], {0}),
    ("before", "frame job:log", LONG, [["failed"]], {1}),
    ("after", "frame job:log", LONG, [["failed"]], {1}),
    ("before", "frame job:done", QUICK, [["success"]], {1}),
    ("after", "frame job:done", QUICK, [["success"]], {1}),
    ("before", "frame job:error", f"{STARTS}; exit 3", [["failed"]], {1}),
    ("after", "frame job:error", f"{STARTS}; exit 3", [["failed"]], {1}),
]


def test_every_step_of_the_agent_is_a_place_to_die_at() -> None:
    assert {step for _, step, *_ in CRASHES} | {"upgrade"} == STEPS
    unsent = {"job:reject", "job:cancelled"}  # a result that a frame does not carry whole goes over HTTP
    frames = {step.removeprefix("frame ") for _, step, *_ in BY_SOCKET if step.startswith("frame ")}
    assert frames == FRAMES - unsent
    entries = {(moment, step) for moment, step, *_ in CRASHES if step in ENTRIES}
    assert entries == {(moment, step) for moment in ("before", "torn", "after") for step in ENTRIES}


@pytest.mark.parametrize(
    ("moment", "step", "script", "endings", "started", "history"),
    [(*crash, True) for crash in CRASHES] + [(*crash, False) for crash in CRASHES if crash[1] in {"opened", "rename"}],
)
async def test_an_agent_killed_anywhere_starts_no_run_twice_and_loses_no_result(
    rig: Rig, moment: str, step: str, script: str, endings: list[str], started: set[int], history: bool
) -> None:
    rig.shell(STARTS)
    earlier = await past(rig) if history else None
    rig.shell(script)
    first = await rig.plane.add()
    async with rig.process([crashing_agent.__file__, moment, step]) as child:
        assert await child.wait() == -signal.SIGKILL
    rig.shell(STARTS)
    alive_at_poll: list[int] = []
    rig.plane.on_poll = lambda: alive_at_poll.extend(pid for pid in pids(rig) if lives(pid))
    if earlier is not None:
        await rig.plane.hand_out_again(earlier)
    async with rig.running():
        await rig.plane.all_ended()
    mine = [run for run in rig.plane.runs.values() if run.job_id == first.job_id]
    assert [run.status for run in mine] == endings
    assert sum(starts(rig)[run.id] for run in mine) in started
    assert set(starts(rig).values()) <= {1}
    assert alive_at_poll == []
    if endings == ["failed"]:
        assert first.report["errorCode"] == "interrupted"
    assert all(report == run.report for run in rig.plane.runs.values() for report in run.reports)


@pytest.mark.parametrize(("moment", "step", "script", "endings", "started"), BY_SOCKET)
async def test_an_agent_killed_on_its_socket_starts_no_run_twice_and_loses_no_result(
    tmp_path: Path, moment: str, step: str, script: str, endings: list[list[str]], started: set[int]
) -> None:
    async with SocketPlane() as plane:
        rig = Rig(plane, tmp_path)
        rig.shell(script)
        rig.set(transport="auto")
        first = await plane.add()
        async with rig.process([crashing_agent.__file__, moment, step], transport="socket") as child:
            assert await child.wait() == -signal.SIGKILL
        async with rig.running():
            await plane.all_ended()
    mine = [run for run in plane.runs.values() if run.job_id == first.job_id]
    assert [run.status for run in mine] in endings
    assert sum(starts(rig)[run.id] for run in mine) in started
    assert set(starts(rig).values()) <= {1}
    assert not any(lives(pid) for pid in pids(rig))
    assert all(report == run.report for run in plane.runs.values() for report in run.reports)


async def past(rig: Rig) -> Run:
    """A run of an earlier life of the agent."""
    async with rig.running():
        return await rig.plane.ended(await rig.plane.add())


def pids(rig: Rig) -> list[int]:
    """The commands that were ever started."""
    path = rig.folder / "pids"
    return [int(line) for line in path.read_text().split()] if path.exists() else []


@pytest.mark.parametrize("moment", ["before", "torn", "after"])
async def test_an_agent_killed_while_it_clears_up_after_a_killed_one_clears_up_once_more(rig: Rig, moment: str) -> None:
    rig.shell(LONG)
    run = await rig.plane.add()
    async with rig.process() as child:
        await rig.plane.until(lambda: run.logs)
        child.kill()
    async with rig.process([crashing_agent.__file__, moment, "finished"]) as child:
        assert await child.wait() == -signal.SIGKILL
    assert not any(lives(pid) for pid in pids(rig))
    async with rig.running():
        await rig.plane.ended(run)
        await rig.plane.ended(await rig.plane.add("OTHER"))
    assert run.report["errorCode"] == "interrupted"
    assert len(run.reports) == 1
    assert starts(rig) == {run.id: 1}


# ---- what is said of a run whose agent was killed


async def interrupted(rig: Rig, run: Run) -> str:
    """What the next agent reports."""
    async with rig.running():
        await rig.plane.ended(run)
    assert (run.report["status"], run.report["errorCode"]) == ("failed", "interrupted")
    return str(run.report["errorMessage"])


async def killed_at_work(rig: Rig) -> Run:
    run = await rig.plane.add()
    async with rig.process() as child:
        await rig.plane.until(lambda: run.logs)
        child.kill()
    return run


async def test_of_a_command_that_was_still_at_work_it_is_said_that_it_has_been_stopped(rig: Rig) -> None:
    rig.shell(LONG)
    run = await killed_at_work(rig)
    (pid,) = pids(rig)
    assert f"process group {pid} has been stopped" in await interrupted(rig, run)


async def test_of_a_command_that_ended_meanwhile_it_is_said_that_nobody_knows_how(rig: Rig) -> None:
    rig.shell(LONG)
    run = await killed_at_work(rig)
    (pid,) = pids(rig)
    (rig.folder / "go").touch()
    await gone(pid)
    assert f"nothing of its process group {pid} was left; how it ended is not known" in await interrupted(rig, run)


async def test_of_a_command_that_was_held_at_the_gate_it_is_said_that_it_never_began(rig: Rig) -> None:
    rig.shell(STARTS)
    run = await rig.plane.add()
    async with rig.process([crashing_agent.__file__, "before", "spawned"]) as child:
        await child.wait()
    assert "no command had been let go" in await interrupted(rig, run)


async def test_of_a_command_that_cannot_be_ended_it_is_said_that_it_may_still_be_at_work(rig: Rig) -> None:
    rig.shell(LONG)
    run = await killed_at_work(rig)
    with patch.object(recovery, "end_group", AsyncMock(return_value=False)):
        assert "could not be stopped and may still be at work" in await interrupted(rig, run)
    (rig.folder / "go").touch()
    await gone(pids(rig)[0])  # before the folder goes: it would look for the file for ever


async def test_of_a_command_that_cannot_be_known_again_it_is_said_that_it_was_left_alone(rig: Rig) -> None:
    rig.shell(LONG)
    run = await killed_at_work(rig)
    with patch.object(recovery, "can_be_known", lambda _: False):
        assert "cannot be known again" in await interrupted(rig, run)
    assert lives(pids(rig)[0])
    (rig.folder / "go").touch()
    await gone(pids(rig)[0])


async def gone(pid: int) -> None:
    while lives(pid):  # noqa: ASYNC110 - not a child of ours: the kernel sets no event for it
        await asyncio.sleep(0.01)


async def test_what_a_killed_agent_left_running_is_ended_before_the_next_poll(rig: Rig) -> None:
    rig.shell("echo $$; sleep 60 & echo $!; wait")
    run = await rig.plane.add()
    async with rig.process() as child:
        await rig.plane.until(lambda: len(run.logs) == 2)
        child.kill()
    left = [int(line) for line in run.log_text]
    assert all(lives(pid) for pid in left)
    alive_at_poll: list[int] = []
    rig.plane.on_poll = lambda: alive_at_poll.extend(pid for pid in left if lives(pid))
    async with rig.running():
        await rig.plane.until(lambda: len(rig.plane.instances) == 2)
    assert alive_at_poll == []
    assert run.report["errorCode"] == "interrupted"


async def test_a_group_whose_leader_has_died_is_still_known_by_its_environment(rig: Rig) -> None:
    rig.shell("echo $$; sleep 60 & echo $!; wait")
    run = await rig.plane.add()
    async with rig.process() as child:
        await rig.plane.until(lambda: len(run.logs) == 2)
        child.kill()
    leader, grandchild = (int(line) for line in run.log_text)
    os.kill(leader, signal.SIGKILL)
    async with rig.running():
        await rig.plane.ended(run)
    assert not lives(grandchild)


@pytest.mark.parametrize("seed", [1, 2])
async def test_an_agent_killed_again_and_again_overlaps_nothing_and_ends_every_job(rig: Rig, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - which request to die at
    rig.shell(
        "exec 2>/dev/null; trap 'rmdir busy; exit 1' TERM; mkdir busy || echo overlap >> starts;"
        f"{STARTS}; sleep 0.03; rmdir busy"
    )
    for _ in range(6):
        await rig.plane.add()
    for _ in range(4):
        last = len(rig.plane.requests) + chance.randint(1, 10)
        if chance.random() < 0.5:
            rig.plane.faults["result"].append(Fault(lose_reply=True))
        async with rig.process() as child:
            await rig.plane.requests_reach(last)
            child.kill()
    async with rig.running():
        await rig.plane.all_ended()
    assert "overlap" not in starts(rig)
    assert set(starts(rig).values()) == {1}
    done = [run for run in rig.plane.runs.values() if run.status == "success"]
    assert all(starts(rig)[run.id] == 1 for run in done)
    assert all(report == run.report for run in rig.plane.runs.values() for report in run.reports)


async def test_sigterm_ends_an_idle_agent_with_exit_code_0_and_a_log_of_one_line_per_event(rig: Rig) -> None:
    rig.shell("true")
    async with rig.process() as child:
        await rig.plane.ended(await rig.plane.add())
        child.terminate()
        _, log = await child.communicate()
    assert child.returncode == 0
    lines = log.decode().splitlines()
    assert all(line[:4].isdigit() and line.split(" ")[1] in {"INFO", "WARNING", "ERROR"} for line in lines), lines
    assert lines[-1].endswith("INFO stopped")


async def test_a_second_agent_says_who_holds_the_state_directory_and_exits_with_a_code_of_its_own(rig: Rig) -> None:
    rig.shell("true")
    async with rig.process() as holder:
        await rig.plane.until(lambda: rig.plane.count("poll"))
        async with rig.process() as second:
            _, log = await second.communicate()
    assert second.returncode == 8
    assert f"process {holder.pid}" in log.decode()


async def test_mistakes_in_the_file_are_all_told_and_exit_with_code_2(rig: Rig) -> None:
    (rig.folder / "agent.toml").write_text("[agent]\ngrace_secs = 1\n[handlers.WORK]\ncomand = ['true']\n")
    program = [sys.executable, *CLI, "--url", rig.plane.url, "--config", str(rig.folder / "agent.toml")]
    environ = {**os.environ, "INTERLOCK_AGENT_KEY": rig.plane.key}
    child = await asyncio.create_subprocess_exec(*program, env=environ, stderr=PIPE)
    _, log = await child.communicate()
    assert child.returncode == 2
    assert "did you mean 'grace_seconds'?" in log.decode()
    assert "did you mean 'command'?" in log.decode()
