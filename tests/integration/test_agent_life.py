"""The agent from its start to its end, and handlers that are functions."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from interlock.agent import Context, Job, Outcome, StateInUse, StateUnusable
from interlock.agent.lock import state_lock
from tests.support.agent_rig import Rig
from tests.support.fake_plane import FakePlane, Fault, new_id


@pytest.fixture
async def plane() -> AsyncIterator[FakePlane]:
    async with FakePlane() as plane:
        yield plane


@pytest.fixture
def rig(plane: FakePlane, tmp_path: Path) -> Rig:
    return Rig(plane, tmp_path)


# ---- ending the agent


async def test_the_first_signal_lets_the_run_finish_and_takes_no_other(rig: Rig) -> None:
    rig.shell("echo ready; until test -e go; do sleep 0.01; done")
    agent = rig.agent()
    async with asyncio.timeout(20):
        task = asyncio.create_task(agent.run())
        run, other = await rig.plane.add(), await rig.plane.add()
        await rig.said(run, "(ready)")
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
    await rig.said(run, "(ready)")
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
    await rig.said(run, "(ready)")
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
    await rig.finish()
    async with FakePlane() as elsewhere:
        rig.plane = elsewhere
        with pytest.raises(StateUnusable, match="belongs to host"):
            await rig.agent().run()


# ---- handlers that are functions


async def test_a_function_can_be_a_handler(rig: Rig) -> None:
    agent = rig.agent()

    @agent.handler("SUM")
    async def add_up(job: Job, context: Context) -> Outcome:
        context.log("adding")
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
