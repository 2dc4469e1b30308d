"""The agent on a socket that breaks between any two frames: no run starts twice, no result is lost, nothing hangs."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.agent_rig import Rig, lives
from tests.support.fake_plane import Fault, Run
from tests.support.fake_socket import SocketPlane


@pytest.fixture
async def plane() -> AsyncIterator[SocketPlane]:
    async with SocketPlane() as plane:
        yield plane


class SocketRig(Rig):
    """The rig, knowing what kind of plane it has."""

    def __init__(self, plane: SocketPlane, folder: Path) -> None:
        super().__init__(plane, folder)
        self.server = plane
        self.set(transport="auto")

    def starts(self) -> list[str]:
        path = self.folder / "starts"
        return path.read_text().split() if path.exists() else []


@pytest.fixture
def rig(plane: SocketPlane, tmp_path: Path) -> SocketRig:
    return SocketRig(plane, tmp_path)


MOMENT = 0.2  # seconds, for what must not happen: there is no signal for that
STARTS = "echo $INTERLOCK_JOB_RUN_ID >> starts"
WAITS = f"{STARTS}; echo $$; until test -e go; do sleep 0.01; done"


def once(rig: SocketRig, *runs: Run) -> None:
    """These runs and no others have started, each once, and all that was reported of each is the same."""
    assert rig.starts() == [run.id for run in runs]
    for run in runs:
        assert all(report == run.report for report in run.reports)


# ---- the socket breaks


@pytest.mark.parametrize("heard", [False, True], ids=["unheard", "heard but unanswered"])
@pytest.mark.parametrize("event", ["job:ack", "job:log", "heartbeat", "job:done"])
@pytest.mark.parametrize("transport", ["auto", "socket"])
async def test_a_socket_that_breaks_at_a_frame_loses_and_repeats_nothing(
    rig: SocketRig, transport: str, event: str, heard: bool
) -> None:
    rig.set(transport=transport, log_flush_seconds=5.0)
    rig.shell(f"{STARTS}; echo out")
    rig.server.faults[event].append(Fault(lose_reply=heard, drop=not heard))
    run = await rig.plane.add()
    async with rig.running():
        await rig.plane.ended(run)
        other = await rig.plane.ended(await rig.plane.add())
        await rig.server.until(lambda: not rig.server.faults[event])
    assert (run.status, run.report["output"]) == ("success", {"text": "out"})
    once(rig, run, other)


async def test_a_result_whose_answer_was_lost_on_the_socket_is_the_same_when_it_is_repeated(rig: SocketRig) -> None:
    rig.shell(f"{STARTS}; echo broken >&2; exit 3")
    rig.server.faults["job:error"].append(Fault(lose_reply=True))
    run = await rig.plane.add()
    async with rig.running():
        await rig.plane.until(lambda: len(run.reports) == 2)
    assert run.report["errorCode"] == "exit_3"
    once(rig, run)


async def test_a_run_goes_on_while_the_socket_is_away_and_is_named_when_it_is_back(rig: SocketRig) -> None:
    rig.shell(WAITS)
    async with rig.running():
        run = await rig.plane.add()
        await rig.said(run, r"(\d+)")
        await rig.server.drop()
        await rig.plane.until(lambda: len(rig.server.connects) == 2)
        heartbeats = rig.server.asked("heartbeat")
        await rig.plane.until(lambda: rig.server.asked("heartbeat") > heartbeats)
        (rig.folder / "go").touch()
        await rig.plane.ended(run)
    assert rig.server.connects == [[], [run.id]]
    assert run.status == "success"
    once(rig, run)


async def test_a_result_that_was_had_while_the_socket_was_away_is_handed_over_by_http(rig: SocketRig) -> None:
    rig.shell(WAITS)
    async with rig.running():
        run = await rig.plane.add()
        await rig.said(run, r"(\d+)")
        rig.server.refused = 502
        await rig.server.drop()
        (rig.folder / "go").touch()
        await rig.plane.ended(run)
    assert (rig.server.asked("job:done"), rig.plane.count("result")) == (0, 1)
    once(rig, run)


async def test_a_server_that_takes_the_frame_and_stays_silent_is_left_for_another_try(rig: SocketRig) -> None:
    rig.set(request_timeout_seconds=0.2)
    rig.shell(STARTS)
    never = asyncio.Event()
    rig.server.faults["job:done"].append(Fault(hold=never))
    run = await rig.plane.add()
    async with rig.running():
        await rig.plane.ended(run)
        never.set()
    once(rig, run)


async def test_a_socket_that_is_superseded_ends_no_run_that_the_server_would_have_go_on(rig: SocketRig) -> None:
    rig.shell(WAITS)
    async with rig.running():
        run = await rig.plane.add()
        await rig.said(run, r"(\d+)")
        await rig.server.supersede()
        await rig.plane.until(lambda: len(rig.server.connects) == 2)
        (rig.folder / "go").touch()
        await rig.plane.ended(run)
    assert run.status == "success"
    once(rig, run)


async def test_a_run_that_was_lost_while_the_socket_was_away_is_stopped_and_its_host_declared_idle(
    rig: SocketRig,
) -> None:
    rig.shell(f"{STARTS}; echo $$; exec sleep 60")
    async with rig.running():
        run = await rig.plane.add()
        pid = int(await rig.said(run, r"(\d+)"))
        rig.server.refused = 502
        await rig.server.drop()
        run.status = "lost"
        rig.server.refused = None
        await rig.plane.until(lambda: rig.server.frames[-1:] == [("heartbeat", rig.server.frames[-1][1])])
        await rig.plane.until(lambda: rig.plane.heartbeats[-1]["running"] == [])
        assert not lives(pid)
    assert run.reports == []


# ---- pushes


async def test_pushes_that_come_twice_change_nothing(rig: SocketRig) -> None:
    rig.server.repeats = 2
    rig.shell(f"{STARTS}; echo $$; test $INTERLOCK_JOB_TYPE = WORK || exec sleep 60")
    rig.shell(f"{STARTS}; echo $$; exec sleep 60", "LONG")
    async with rig.running():
        run = await rig.plane.ended(await rig.plane.add())
        long = await rig.plane.add("LONG")
        await rig.said(long, r"(\d+)")
        await rig.plane.cancel(long)
        await rig.plane.ended(long)
        last = await rig.plane.ended(await rig.plane.add())
    assert [run.status, long.status, last.status] == ["success", "cancelled", "success"]
    once(rig, run, long, last)


async def test_a_cancel_ends_the_process_tree_at_once_and_is_confirmed(rig: SocketRig) -> None:
    rig.set(heartbeat_seconds=60.0)
    rig.plane.heartbeat_seconds = 60.0
    rig.shell("sleep 60 & echo $!; wait")
    async with rig.running():
        run = await rig.plane.add()
        grandchild = int(await rig.said(run, r"(\d+)"))
        await rig.plane.cancel(run)
        await rig.plane.ended(run)
    assert (run.report["status"], run.report["errorCode"]) == ("cancelled", "cancelled")
    assert not lives(grandchild)


async def test_a_run_that_is_cancelled_as_it_is_acked_never_begins(rig: SocketRig) -> None:
    rig.shell(STARTS)
    hold = asyncio.Event()
    rig.server.faults["job:ack"].append(Fault(hold=hold))
    async with rig.running():
        run = await rig.plane.add()
        await rig.plane.until(lambda: rig.server.asked("job:ack"))
        await rig.server.push("job:cancel", {"jobId": run.job_id, "jobRunId": run.id, "graceSeconds": 10})
        hold.set()
        await rig.plane.ended(run)
    assert run.report["status"] == "cancelled"
    assert rig.starts() == []


async def test_a_finished_run_that_is_offered_again_is_reported_again_and_not_acked(rig: SocketRig) -> None:
    rig.shell(STARTS)
    async with rig.running():
        run = await rig.plane.ended(await rig.plane.add())
        acks = rig.server.asked("job:ack")
        await rig.plane.hand_out_again(run)
        await rig.plane.until(lambda: len(run.reports) == 2)
    assert rig.server.asked("job:ack") == acks
    once(rig, run)


async def test_frames_that_make_no_sense_are_passed_over(rig: SocketRig) -> None:
    rig.shell(STARTS)
    async with rig.running():
        await rig.plane.until(lambda: rig.server.socket is not None)
        for event in ("job:new", "job:available", "job:cancel", "job:resume", "config", "of a later version"):
            await rig.server.push(event, {"jobId": 7})
            await rig.server.push(event, None)
        assert rig.server.socket is not None
        await rig.server.socket.send_str("{not json")
        run = await rig.plane.ended(await rig.plane.add())
    assert len(rig.server.connects) == 1
    once(rig, run)


# ---- pool jobs


async def test_a_hinted_pool_job_is_taken_by_the_ack(rig: SocketRig) -> None:
    rig.shell(f"{STARTS}; cat")
    async with rig.running():
        run = await rig.server.add_to_pool(payload={"keyword": "cafés"})
        await rig.plane.ended(run)
    assert run.report["output"] == {"keyword": "cafés"}
    once(rig, run)


async def test_a_pool_job_that_another_has_taken_is_not_missed(rig: SocketRig) -> None:
    rig.shell(STARTS)
    async with rig.running():
        await rig.plane.until(lambda: rig.server.socket is not None)
        gone = await rig.plane.add("WORK")
        await rig.plane.ended(gone)
        await rig.server.hint(gone)
        await rig.plane.until(lambda: rig.server.asked("job:ack") == 2)
        run = await rig.server.add_to_pool()
        await rig.plane.ended(run)
    once(rig, gone, run)


async def test_a_pool_job_of_a_type_without_a_handler_is_left_to_others(rig: SocketRig) -> None:
    rig.shell(STARTS)
    async with rig.running():
        run = await rig.server.add_to_pool("OTHER")
        await rig.plane.until(lambda: rig.server.rejected)
    assert rig.server.rejected == [run.job_id]
    assert run.status == "pending"
    assert rig.starts() == []


async def test_hints_that_come_while_a_run_is_at_work_are_acked_no_earlier_than_its_result(rig: SocketRig) -> None:
    rig.shell(WAITS)
    async with rig.running():
        run = await rig.plane.add()
        await rig.said(run, r"(\d+)")
        pooled = await rig.server.add_to_pool()
        (rig.folder / "go").touch()
        await rig.plane.ended(pooled)
    order = [event for event, _ in rig.server.frames if event in {"job:ack", "job:done"}]
    assert order == ["job:ack", "job:done", "job:ack", "job:done"]
    once(rig, run, pooled)


# ---- which transport


@pytest.mark.parametrize("status", [400, 404, 426, 502, 503])
async def test_an_agent_whose_upgrade_is_refused_polls_and_returns_to_the_socket(rig: SocketRig, status: int) -> None:
    rig.shell(STARTS)
    rig.server.refused = status
    async with rig.running():
        polled = await rig.plane.ended(await rig.plane.add())
        assert rig.server.connects == []
        rig.server.refused = None
        await rig.plane.until(lambda: rig.server.socket is not None)
        pushed = await rig.plane.ended(await rig.plane.add())
    assert rig.server.asked("job:ack") == 1
    once(rig, polled, pushed)


async def test_no_socket_is_opened_while_a_poll_is_parked(rig: SocketRig) -> None:
    rig.shell(STARTS)
    rig.server.refused = 404
    hold = asyncio.Event()
    rig.server.faults["poll"].append(Fault(hold=hold))
    async with rig.running():
        run = await rig.plane.add()
        await rig.plane.until(lambda: not rig.server.faults["poll"])
        tried = rig.plane.count("upgrade")
        rig.server.refused = None
        await asyncio.sleep(MOMENT)  # in which it would have been tried more than once
        assert rig.plane.count("upgrade") == tried > 0
        hold.set()
        await rig.plane.ended(run)
    once(rig, run)


async def test_an_agent_that_is_to_poll_never_asks_for_a_socket(rig: SocketRig) -> None:
    rig.set(transport="poll")
    rig.shell(STARTS)
    run = await rig.finish()
    assert rig.plane.count("upgrade") == 0
    once(rig, run)


async def test_an_agent_that_is_to_use_a_socket_never_polls(rig: SocketRig) -> None:
    rig.set(transport="socket")
    rig.shell(STARTS)
    rig.server.faults["upgrade"].extend([Fault(status=404), Fault(drop=True), Fault(status=503)])
    run = await rig.finish()
    assert rig.plane.count("poll") == 0
    once(rig, run)


async def test_a_refused_key_is_tried_slowly_on_either_way_until_it_holds_again(rig: SocketRig) -> None:
    rig.shell(STARTS)
    rig.server.faults["upgrade"].extend([Fault(status=401, code="unauthenticated")] * 2)
    rig.server.faults["poll"].extend([Fault(status=401, code="unauthenticated")] * 2)
    async with rig.running():
        run = await rig.plane.ended(await rig.plane.add())
    once(rig, run)


async def test_an_idle_agent_that_is_asked_to_end_closes_its_socket(rig: SocketRig) -> None:
    rig.shell(STARTS)
    agent = rig.agent()
    async with rig.running(agent):
        await rig.plane.until(lambda: rig.server.socket is not None)
        agent.stop()
        await rig.plane.until(lambda: rig.server.socket is None)
