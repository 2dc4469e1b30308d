"""The agent killed with SIGKILL at every point, then started again: no run starts twice, no result is lost."""

import asyncio
import os
import random
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support import crashing_agent
from tests.support.agent_rig import Rig, lives
from tests.support.fake_plane import FakePlane, Fault

STARTS = "echo $INTERLOCK_JOB_RUN_ID >> starts"
SETTINGS = {"poll_spacing_seconds": 0.01, "log_interval_seconds": 0.01, "retry_base_seconds": 0.01}
CLI = ["-c", "from interlock.cli import main; main()", "agent"]


@pytest.fixture
async def plane() -> AsyncIterator[FakePlane]:
    async with FakePlane() as plane:
        yield plane


@pytest.fixture
def rig(plane: FakePlane, tmp_path: Path) -> Rig:
    return Rig(plane, tmp_path)


@asynccontextmanager
async def process(rig: Rig, program: Sequence[str] = CLI) -> AsyncIterator[Process]:
    """An agent in a process of its own; killed at the end if it still lives."""
    config = rig.toml(SETTINGS)
    options = ["--url", rig.plane.url, "--config", str(config), "--state-dir", str(rig.state)]
    child = await asyncio.create_subprocess_exec(sys.executable, *program, *options, env=environment(rig), stderr=PIPE)
    try:
        yield child
    finally:
        if child.returncode is None:
            child.kill()
        await child.communicate()


def environment(rig: Rig) -> dict[str, str]:
    """What the process needs to find the agent as this one does, and its key."""
    path = os.pathsep.join(part for part in sys.path if part)
    return {**os.environ, "PYTHONPATH": path, "INTERLOCK_AGENT_KEY": rig.plane.key}


def starts(rig: Rig) -> Counter[str]:
    path = rig.folder / "starts"
    return Counter(path.read_text().split() if path.exists() else [])


@pytest.mark.parametrize(
    ("moment", "event", "endings", "started"),
    [
        ("before", "started", ["lost", "success"], 1),
        ("torn", "started", ["lost", "success"], 1),
        ("after", "started", ["failed"], 0),
        ("before", "spawned", ["failed"], 0),
        ("torn", "spawned", ["failed"], 0),
        ("after", "spawned", ["failed"], 0),
        ("before", "finished", ["failed"], 1),
        ("torn", "finished", ["failed"], 1),
        ("after", "finished", ["success"], 1),
        ("before", "acknowledged", ["success"], 1),
        ("torn", "acknowledged", ["success"], 1),
        ("after", "acknowledged", ["success"], 1),
    ],
)
async def test_an_agent_killed_at_any_point_of_its_journal_starts_no_run_twice_and_loses_no_result(
    rig: Rig, moment: str, event: str, endings: list[str], started: int
) -> None:
    rig.shell(STARTS)
    first = await rig.plane.add()
    async with process(rig, [crashing_agent.__file__, moment, event]) as child:
        assert await child.wait() == -signal.SIGKILL
    async with rig.running():
        await rig.plane.until(lambda: not {"pending", "running"} & {run.status for run in rig.plane.runs.values()})
    assert [run.status for run in rig.plane.runs.values()] == endings
    assert starts(rig).total() == started
    if endings == ["failed"]:
        assert first.report["errorCode"] == "interrupted"
    assert all(report == run.report for run in rig.plane.runs.values() for report in run.reports)


async def test_what_a_killed_agent_left_running_is_ended_before_the_next_poll(rig: Rig) -> None:
    rig.shell("echo $$; sleep 60 & echo $!; wait")
    run = await rig.plane.add()
    async with process(rig) as child:
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
    async with process(rig) as child:
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
    rig.shell(f"mkdir busy || echo overlap >> starts; trap 'rmdir busy; exit 1' TERM; {STARTS}; sleep 0.03; rmdir busy")
    for _ in range(6):
        await rig.plane.add()
    for _ in range(4):
        last = len(rig.plane.requests) + chance.randint(1, 10)
        if chance.random() < 0.5:
            rig.plane.faults["result"].append(Fault(lose_reply=True))
        async with process(rig) as child:
            await rig.plane.requests_reach(last)
            child.kill()
    async with rig.running():
        await rig.plane.until(lambda: not {"pending", "running"} & {run.status for run in rig.plane.runs.values()})
    assert "overlap" not in starts(rig)
    assert set(starts(rig).values()) == {1}
    done = [run for run in rig.plane.runs.values() if run.status == "success"]
    assert all(starts(rig)[run.id] == 1 for run in done)
    assert all(report == run.report for run in rig.plane.runs.values() for report in run.reports)


async def test_sigterm_ends_an_idle_agent_with_exit_code_0_and_a_log_of_one_line_per_event(rig: Rig) -> None:
    rig.shell("true")
    async with process(rig) as child:
        await rig.plane.ended(await rig.plane.add())
        child.terminate()
        _, log = await child.communicate()
    assert child.returncode == 0
    lines = log.decode().splitlines()
    assert all(line[:4].isdigit() and line.split(" ")[1] in {"INFO", "WARNING", "ERROR"} for line in lines), lines
    assert lines[-1].endswith("INFO stopped")


async def test_a_second_agent_says_who_holds_the_state_directory_and_exits_with_a_code_of_its_own(rig: Rig) -> None:
    rig.shell("true")
    async with process(rig) as holder:
        await rig.plane.until(lambda: rig.plane.count("poll"))
        async with process(rig) as second:
            _, log = await second.communicate()
    assert second.returncode == 8
    assert f"process {holder.pid}" in log.decode()


async def test_mistakes_in_the_file_are_all_told_and_exit_with_code_2(rig: Rig) -> None:
    (rig.folder / "agent.toml").write_text("[agent]\ngrace_secs = 1\n[handlers.WORK]\ncomand = ['true']\n")
    program = [sys.executable, *CLI, "--url", rig.plane.url, "--config", str(rig.folder / "agent.toml")]
    child = await asyncio.create_subprocess_exec(*program, env=environment(rig), stderr=PIPE)
    _, log = await child.communicate()
    assert child.returncode == 2
    assert "did you mean 'grace_seconds'?" in log.decode()
    assert "did you mean 'command'?" in log.decode()
