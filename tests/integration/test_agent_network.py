"""The agent over a network that loses things, with a server that refuses and repeats itself."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.agent_rig import Rig
from tests.support.fake_plane import FakePlane, Fault


@pytest.fixture
async def plane() -> AsyncIterator[FakePlane]:
    async with FakePlane() as plane:
        yield plane


@pytest.fixture
def rig(plane: FakePlane, tmp_path: Path) -> Rig:
    return Rig(plane, tmp_path)


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
    run = await rig.finish()
    assert (run.report["status"], run.report["output"]) == ("success", None)


async def test_a_superseded_poll_is_tried_again(rig: Rig) -> None:
    rig.shell("true")
    rig.plane.faults["poll"].append(Fault(status=409, code="superseded"))
    assert (await rig.finish()).report["status"] == "success"


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
    assert (await rig.finish()).report["status"] == "success"
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
    run = await rig.finish()
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
