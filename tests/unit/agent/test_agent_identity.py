"""Knowing a process again, and not taking another for it."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from interlock.agent import identity
from interlock.agent.group import end_group, group_lives
from interlock.agent.identity import ProcessIdentity, identify, still_lives
from interlock.agent.shutdown import Shutdown
from interlock.agent.waiting import first

pytestmark = pytest.mark.skipif(not identity.PROC.exists(), reason="needs /proc")


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "60"], start_new_session=True, env={"INTERLOCK_JOB_RUN_ID": "r1"})  # noqa: S607
    yield process
    process.kill()
    process.wait()


def test_a_process_is_known_again_by_pid_start_and_boot(sleeper: subprocess.Popen[bytes]) -> None:
    known = identify(sleeper.pid)
    assert still_lives(known, "r1")
    assert not still_lives(msgspec.structs.replace(known, start_tick=1), "r1")
    assert not still_lives(msgspec.structs.replace(known, boot_id="another"), "r1")
    assert not still_lives(ProcessIdentity(sleeper.pid), "r1")
    sleeper.kill()
    sleeper.wait()
    assert not still_lives(known, "r1")


def test_a_zombie_does_not_live(sleeper: subprocess.Popen[bytes]) -> None:
    known = identify(sleeper.pid)
    sleeper.kill()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
    assert not still_lives(known, "r1")


def test_without_proc_nobody_is_known_again(
    sleeper: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(identity, "PROC", tmp_path)
    assert identify(sleeper.pid) == ProcessIdentity(sleeper.pid)
    assert not still_lives(identify(sleeper.pid), "r1")


async def test_a_group_that_heeds_sigterm_is_not_killed() -> None:
    script = "import signal, sys, time; signal.signal(15, lambda *_: sys.exit(7)); print(flush=True); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", script], start_new_session=True, stdout=subprocess.PIPE)  # noqa: ASYNC220
    assert process.stdout is not None
    process.stdout.readline()
    never = asyncio.Event()
    assert await end_group(process.pid, lambda: process.poll() is None, grace_seconds=20.0, at_once=never)
    process.stdout.close()
    assert process.returncode == 7
    assert not group_lives(process.pid)


async def test_the_first_of_several_ends_the_wait_and_the_others() -> None:
    never, soon = asyncio.Event(), asyncio.Event()
    kept = asyncio.get_running_loop().create_future()
    soon.set()
    assert await first(kept, never.wait(), soon.wait())
    assert not await first(kept, never.wait(), timeout=0.0)
    assert not kept.done()
    assert len(asyncio.all_tasks()) == 1


def test_each_request_to_end_is_one_step_more_urgent() -> None:
    shutdown = Shutdown()
    steps = (shutdown.draining, shutdown.stopping, shutdown.killing)
    for asked in range(5):
        assert [step.is_set() for step in steps] == [asked > index for index in range(3)]
        shutdown.request()
