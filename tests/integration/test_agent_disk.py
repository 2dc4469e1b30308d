"""The agent on a disk that is full or refuses: nothing starts that was not written down, and no result is lost."""

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import msgspec
import pytest

from interlock.agent import StateUnusable, session
from interlock.agent import journal as journal_module
from interlock.agent.book import Entry
from interlock.agent.journal import JOURNAL_NAME, Journal
from tests.support.agent_rig import Rig
from tests.support.fake_plane import FakePlane, Fault, Run
from tests.support.fake_socket import SocketPlane

STARTS = "echo x >> starts"
CAPPED = (
    "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop(1)),) * 2);"
    "from interlock.cli import main; main()"
)


@pytest.fixture
async def plane() -> AsyncIterator[FakePlane]:
    async with FakePlane() as plane:
        yield plane


@pytest.fixture
def rig(plane: FakePlane, tmp_path: Path) -> Rig:
    return Rig(plane, tmp_path)


@contextmanager
def refusing(kind: str) -> Iterator[None]:
    """A disk that is full from the first entry of that kind on."""
    write, full = journal_module._write, False

    def refuse(descriptor: int, entries: Iterable[Entry]) -> int:
        nonlocal full
        listed = list(entries)
        full = full or type(listed[0]).__name__ == kind
        if full:
            os.write(descriptor, msgspec.json.encode(listed[0])[:20])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(descriptor, listed)

    with patch.object(journal_module, "_write", refuse):
        yield


async def ends_by_itself(rig: Rig, kind: str) -> Run:
    """One job on a disk that refuses that entry: the agent reports and ends."""
    run = await rig.plane.add()
    with refusing(kind), pytest.raises(StateUnusable, match="No space left"):
        await rig.agent().run()
    return run


@pytest.mark.parametrize("kind", ["Started", "Spawned"])
async def test_a_run_that_cannot_be_written_down_is_not_started_and_the_server_is_told(rig: Rig, kind: str) -> None:
    rig.shell(STARTS)
    run = await ends_by_itself(rig, kind)
    assert (run.report["status"], run.report["errorCode"]) == ("failed", "state_unusable")
    assert "not started" in run.report["errorMessage"]
    assert "No space left on device" in run.report["errorMessage"]
    assert not (rig.folder / "starts").exists()


@pytest.mark.parametrize("kind", ["Finished", "Acknowledged"])
async def test_a_result_that_cannot_be_written_down_is_reported_all_the_same(rig: Rig, kind: str) -> None:
    rig.shell(STARTS)
    run = await ends_by_itself(rig, kind)
    assert run.report["status"] == "success"


async def test_a_result_that_only_memory_holds_is_reported_for_as_long_as_it_takes(rig: Rig) -> None:
    rig.set(exit_report_seconds=0.0)
    rig.shell(STARTS)
    rig.plane.faults["result"].extend([Fault(status=503)] * 20)
    run = await ends_by_itself(rig, "Finished")
    assert run.report["status"] == "success"
    assert rig.plane.count("result") == 21
    assert rig.plane.count("poll") == 1


async def test_an_agent_that_waits_with_such_a_result_can_be_stopped(rig: Rig) -> None:
    rig.set(exit_report_seconds=0.0)
    rig.shell(STARTS)
    rig.plane.faults["result"].extend([Fault(status=503)] * 1000)
    agent = rig.agent()
    await rig.plane.add()
    with refusing("Finished"):
        task = asyncio.create_task(agent.run())
        await rig.plane.until(lambda: rig.plane.count("result") >= 2)
        agent.stop()
        with pytest.raises(StateUnusable):
            await task


async def test_what_a_full_disk_left_of_the_journal_is_healed_by_the_next_start(rig: Rig) -> None:
    rig.shell(STARTS)
    await ends_by_itself(rig, "Finished")
    async with rig.running():
        await rig.plane.ended(await rig.plane.add())
    assert (rig.folder / "starts").read_text() == "x\nx\n"


async def test_no_job_is_taken_while_the_disk_has_too_little_room(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    looks: list[int] = []

    def free_bytes(_: Journal) -> int:
        looks.append(rig.plane.count("poll"))
        return 999 if len(looks) < 5 else 1000

    monkeypatch.setattr(session, "ROOM_LOOK_SECONDS", 0.01)
    monkeypatch.setattr(Journal, "free_bytes", free_bytes)
    rig.set(free_bytes=1000)
    rig.shell(STARTS)
    run = await rig.plane.add()
    async with rig.running():
        await rig.plane.ended(run)
    assert looks[:5] == [0] * 5
    assert caplog.text.count("only 999 bytes are free for the journal: no job is taken below 1000") == 1
    assert caplog.text.count("taking jobs again") == 1


async def test_a_disk_that_fills_while_the_agent_is_idle_closes_its_socket_until_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = False
    monkeypatch.setattr(session, "ROOM_LOOK_SECONDS", 0.01)
    monkeypatch.setattr(Journal, "free_bytes", lambda _: 999 if full else 1000)
    async with SocketPlane() as plane:
        rig = Rig(plane, tmp_path)
        rig.set(free_bytes=1000, transport="socket")
        rig.shell(STARTS)
        async with rig.running():
            await plane.until(lambda: plane.socket is not None)
            full = True
            run = await plane.add()
            await plane.until(lambda: plane.socket is None)
            assert (run.status, plane.asked("job:ack")) == ("pending", 0)
            full = False
            await plane.ended(run)
    assert run.status == "success"


async def test_an_agent_without_room_hands_over_what_it_owes_and_can_be_stopped(rig: Rig) -> None:
    rig.shell(STARTS)
    rig.set(exit_report_seconds=0.0)
    rig.plane.faults["result"].extend([Fault(status=503)] * 1000)
    async with rig.running():
        run = await rig.plane.add()
        await rig.plane.until(lambda: rig.plane.count("result"))
    rig.plane.faults["result"].clear()
    polls = rig.plane.count("poll")
    rig.set(free_bytes=2**40)
    async with rig.running():
        await rig.plane.ended(run)
    assert rig.plane.count("poll") == polls


async def test_an_agent_whose_disk_refuses_says_so_and_exits_with_a_code_of_its_own(rig: Rig) -> None:
    """A real refusal: the kernel lets the journal grow to 2,000 bytes."""
    rig.shell(STARTS)
    for _ in range(20):
        await rig.plane.add()
    async with rig.process(["-c", CAPPED, "2000", "agent"]) as child:
        _, log = await child.communicate()
    assert child.returncode == 9
    assert "cannot be written: File too large" in log.decode()
    assert (rig.state / JOURNAL_NAME).stat().st_size <= 2000
    async with rig.running():
        await rig.plane.all_ended()
    statuses = [run.status for run in rig.plane.runs.values()]
    started = len((rig.folder / "starts").read_text().split())
    assert statuses.count("success") == started
    assert statuses.count("failed") <= 1
    assert len(statuses) == 20
