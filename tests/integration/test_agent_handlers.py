"""Handlers that are functions: what they may be, and what their context does for them, by socket and by poll."""

import asyncio
import sys
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from interlock.agent import Agent, BlockingContext, Cancelled, Context, Job, limit
from interlock.errors import InvalidRequest
from interlock.wire import EvidenceItem
from tests.support.agent_rig import Rig
from tests.support.fake_plane import FakePlane, Fault, Run
from tests.support.fake_socket import SocketPlane

FOUND: dict[str, Any] = {"type": "place", "title": "Café", "source": "maps", "snippet": "open", "confidence": "high"}


@pytest.fixture(params=["poll", "socket"])
async def plane(request: pytest.FixtureRequest) -> AsyncIterator[FakePlane]:
    async with SocketPlane() if request.param == "socket" else FakePlane() as plane:
        yield plane


@pytest.fixture
def rig(plane: FakePlane, tmp_path: Path) -> Rig:
    rig = Rig(plane, tmp_path)
    rig.set(transport="socket" if isinstance(plane, SocketPlane) else "poll", log_flush_seconds=10.0)
    return rig


async def finish(rig: Rig, agent: Agent, payload: Any = None, **options: Any) -> Run:
    """One job of type WORK, from its creation to its report."""
    async with rig.running(agent):
        return await rig.plane.ended(await rig.plane.add("WORK", payload, **options))


# ---- what a function may be


async def test_an_async_function_may_return_its_output_as_a_dict(rig: Rig) -> None:
    agent = rig.agent()

    @agent.handler("WORK")
    async def work(job: Job, context: Context) -> dict[str, Any]:
        del context
        return {"sum": sum(job.payload["numbers"])}

    run = await finish(rig, agent, {"numbers": [1, 2]})
    assert (run.report["status"], run.report["output"]) == ("success", {"sum": 3})


async def test_a_function_may_take_the_job_alone_and_return_nothing(rig: Rig) -> None:
    agent = rig.agent()
    seen: list[str] = []

    @agent.handler("WORK")
    def work(job: Job) -> None:
        seen.append(job.type)

    run = await finish(rig, agent)
    assert (run.report["status"], run.report.get("output"), seen) == ("success", None, ["WORK"])


async def test_a_function_that_is_not_async_works_in_a_thread_and_holds_up_nobody(rig: Rig) -> None:
    agent = rig.agent()
    go = threading.Event()

    @agent.handler("WORK")
    def work(job: Job, context: BlockingContext) -> dict[str, Any]:
        context.progress(50, "half of it")
        context.log(f"a line of {job.type}", "warn")
        go.wait(10)
        return {"verdict": context.evidence([FOUND])[0].verdict}

    async with rig.running(agent):
        run = await rig.plane.add("WORK")
        await rig.plane.until(lambda: len(rig.plane.heartbeats) > 2 and run.notes and run.logs)
        go.set()
        await rig.plane.ended(run)
    assert run.report["output"] == {"verdict": "created"}
    assert run.notes[0]["message"] == "half of it"
    assert [(line["level"], line["message"]) for line in run.logs.values()] == [("warn", "a line of WORK")]


async def test_an_object_whose_call_is_async_is_awaited(rig: Rig) -> None:
    class Work:
        async def __call__(self, job: Job) -> dict[str, Any]:
            return {"type": job.type}

    agent = rig.agent()
    agent.handler("WORK")(Work())
    assert (await finish(rig, agent)).report["output"] == {"type": "WORK"}


async def test_what_is_no_outcome_fails_the_run_for_good(rig: Rig) -> None:
    agent = rig.agent()

    @agent.handler("WORK")
    def work(job: Job) -> Any:
        return job.type

    run = await finish(rig, agent)
    assert (run.report["errorCode"], run.report["retryable"]) == ("bad_outcome", False)
    assert "returned str" in run.report["errorMessage"]


# ---- what a context does


async def test_progress_lines_evidence_and_files_arrive(rig: Rig) -> None:
    agent = rig.agent()
    path = rig.folder / "page.html"
    path.write_bytes(b"<p>")
    answers: list[Any] = []

    @agent.handler("WORK")
    async def work(job: Job, context: Context) -> None:
        del job
        context.progress(10, "searching")
        context.log("found two")
        items: list[EvidenceItem | dict[str, Any]] = [
            EvidenceItem(**FOUND),
            FOUND | {"title": "Bar"},
            EvidenceItem(**FOUND),
        ]
        answers.extend(each.verdict for each in await context.evidence(items))
        answers.append((await context.asset("shot.png", b"png")).size_bytes)
        answers.append((await context.asset("page.html", path)).name)
        answers.append((await context.asset("raw", str(path), "text/x-raw")).size_bytes)
        context.progress(250)

    run = await finish(rig, agent)
    assert run.report["status"] == "success"
    assert [(note["progress"], note.get("message")) for note in run.notes] == [(10, "searching"), (100, None)]
    assert run.log_text == ["found two"]
    assert [item["title"] for item in run.evidence] == ["Café", "Bar"]
    assert answers == ["created", "created", "duplicate", 3, "page.html", 3]
    assert run.assets == {"shot.png image/png": b"png", "page.html text/html": b"<p>", "raw text/x-raw": b"<p>"}


async def test_progress_that_outruns_the_network_keeps_its_messages_and_its_last_word(rig: Rig) -> None:
    agent = rig.agent()

    @agent.handler("WORK")
    async def work(job: Job, context: Context) -> None:
        del job
        for percent in range(100):
            context.progress(percent, "half way" if percent == 50 else None)

    run = await finish(rig, agent)
    assert [note["progress"] for note in run.notes][-1] == 99
    assert "half way" in [note.get("message") for note in run.notes]
    assert len(run.notes) <= 4


@pytest.mark.parametrize("route", ["evidence", "progress", "asset"])
async def test_an_upload_that_is_not_answered_is_repeated(rig: Rig, route: str) -> None:
    agent = rig.agent()
    for name in (route, f"job:{route}"):
        rig.plane.faults[name].extend([Fault(status=503, code="unavailable"), Fault(drop=True)])

    @agent.handler("WORK")
    async def work(job: Job, context: Context) -> None:
        del job
        context.progress(10)
        await context.evidence([FOUND])
        await context.asset("x.txt", b"x")

    run = await finish(rig, agent)
    assert run.report["status"] == "success"
    assert [item["title"] for item in run.evidence] == ["Café"]
    assert {note["progress"] for note in run.notes} == {10}  # once more where the socket went before its answer
    assert run.assets == {"x.txt text/plain": b"x"}


async def test_evidence_that_the_server_refuses_is_the_handlers_to_see(rig: Rig) -> None:
    agent = rig.agent()
    for name in ("evidence", "job:evidence"):
        rig.plane.faults[name].append(Fault(status=400, code="invalid_request"))

    @agent.handler("WORK")
    async def work(job: Job, context: Context) -> dict[str, Any]:
        del job
        try:
            await context.evidence([FOUND])
        except InvalidRequest:
            return {"refused": True}
        return {}

    assert (await finish(rig, agent)).report["output"] == {"refused": True}


async def test_a_file_that_is_not_there_is_the_handlers_to_see(rig: Rig) -> None:
    agent = rig.agent()

    @agent.handler("WORK")
    async def work(job: Job, context: Context) -> None:
        del job
        await context.asset("x", rig.folder / "nowhere")

    run = await finish(rig, agent)
    assert "nowhere cannot be read" in run.report["errorMessage"]


async def test_progress_that_cannot_be_sent_holds_up_the_result_no_longer_than_the_log_may(rig: Rig) -> None:
    rig.set(log_flush_seconds=0.05)
    agent = rig.agent()
    never = asyncio.Event()
    for name in ("progress", "job:progress"):
        rig.plane.faults[name].append(Fault(hold=never))

    @agent.handler("WORK")
    async def work(job: Job, context: Context) -> None:
        del job
        context.progress(10)

    if isinstance(rig.plane, SocketPlane):  # its frames are read one after the other
        rig.set(request_timeout_seconds=0.2)
        agent = rig.agent()
        agent.handler("WORK")(work)
    assert (await finish(rig, agent)).report["status"] == "success"
    never.set()


async def test_the_organizations_settings_are_there_when_a_run_begins(rig: Rig) -> None:
    agent = rig.agent()

    @agent.handler("WORK")
    async def work(job: Job, context: Context) -> dict[str, Any]:
        del job
        return {"method": context.config.platform["searchMethod"], "version": context.config.version}

    assert (await finish(rig, agent)).report["output"] == {"method": "maps", "version": 1}


async def test_a_handler_sees_the_trace_that_its_job_was_created_in(rig: Rig) -> None:
    agent = rig.agent()

    @agent.handler("WORK")
    def work(job: Job, context: BlockingContext) -> dict[str, Any]:
        return {"parent": context.traceparent, "state": job.tracestate}

    rig.plane.trace = {"traceparent": "00-1-2-01", "tracestate": "a=b"}
    assert (await finish(rig, agent)).report["output"] == {"parent": "00-1-2-01", "state": "a=b"}


@pytest.mark.parametrize("kind", ["async", "thread"])
async def test_a_handler_that_exits_fails_its_run_and_the_agent_goes_on(rig: Rig, kind: str) -> None:
    agent = rig.agent()

    async def leave(job: Job) -> None:
        sys.exit(job.payload)

    def leave_thread(job: Job) -> None:
        sys.exit(job.payload)

    agent.handler("WORK")(leave if kind == "async" else leave_thread)
    async with rig.running(agent):
        for _ in range(2):
            run = await rig.plane.ended(await rig.plane.add("WORK", 3))
            report = run.report
            assert (report["status"], report["errorCode"], report["errorMessage"]) == (
                "failed",
                "exception",
                "SystemExit: 3",
            )


# ---- being stopped


async def test_a_cancel_in_a_run_s_last_moment_tells_of_the_time_that_was_over(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limit, "MOST_AHEAD", 1.0)
    monkeypatch.setattr(limit, "MOST_AHEAD_SECONDS", 60.0)
    agent = rig.agent()

    @agent.handler("WORK")
    async def work(job: Job, context: Context) -> None:
        del job
        context.log("ready")
        await context.cancelled
        context.raise_if_cancelled()

    async with rig.running(agent):
        run = await rig.plane.add(timeout_seconds=30.0)
        await rig.said(run, "(ready)")
        await rig.plane.cancel(run)
        await rig.plane.ended(run)
    report = run.report
    assert (report["status"], report["errorCode"], report["errorMessage"]) == (
        "cancelled",
        "timeout",
        "stopped after 30 s",
    )


async def test_a_handler_that_watches_for_a_cancel_ends_as_cancelled(rig: Rig) -> None:
    agent = rig.agent()

    @agent.handler("WORK")
    async def work(job: Job, context: Context) -> None:
        del job
        assert not context.cancelled
        context.log("ready")
        await context.cancelled
        assert context.cancelled
        context.raise_if_cancelled()

    async with rig.running(agent):
        run = await rig.plane.add()
        await rig.said(run, "(ready)")
        await rig.plane.cancel(run)
        await rig.plane.ended(run)
    assert (run.report["status"], run.report["errorCode"]) == ("cancelled", "cancelled")


async def test_a_thread_that_looks_for_a_cancel_ends_as_cancelled(rig: Rig) -> None:
    agent = rig.agent()

    @agent.handler("WORK")
    def work(job: Job, context: BlockingContext) -> None:
        del job
        context.log("ready")
        while not context.cancelled:
            time.sleep(0.005)
        raise Cancelled("tidied up")

    async with rig.running(agent):
        run = await rig.plane.add()
        await rig.said(run, "(ready)")
        await rig.plane.cancel(run)
        await rig.plane.ended(run)
    assert run.report["errorMessage"] == "stopped on request\ntidied up"


async def test_an_async_handler_that_does_not_watch_is_cancelled_after_the_grace(rig: Rig) -> None:
    rig.set(grace_seconds=0.05)
    agent = rig.agent()
    tidied: list[bool] = []

    @agent.handler("WORK", timeout_seconds=0.05)
    async def work(job: Job) -> None:
        del job
        try:
            await asyncio.Event().wait()
        finally:
            tidied.append(True)

    run = await finish(rig, agent)
    assert (run.report["status"], run.report["errorCode"], tidied) == ("failed", "timeout", [True])


async def test_a_handler_that_waits_for_an_upload_in_vain_can_still_be_stopped(rig: Rig) -> None:
    rig.set(grace_seconds=0.05)
    agent = rig.agent()
    for name in ("evidence", "job:evidence"):
        rig.plane.faults[name].extend([Fault(status=503, code="unavailable")] * 1000)

    @agent.handler("WORK", timeout_seconds=0.2)
    def work(job: Job, context: BlockingContext) -> None:
        del job
        context.evidence([FOUND])

    run = await finish(rig, agent)
    assert (run.report["status"], run.report["errorCode"]) == ("failed", "timeout")


# ---- the user


async def test_a_run_that_waits_for_its_user_goes_on_when_that_is_resolved_and_its_clock_stood(rig: Rig) -> None:
    agent = rig.agent()

    @agent.handler("WORK", timeout_seconds=0.4)
    async def work(job: Job, context: Context) -> dict[str, Any]:
        del job
        context.progress(30)
        await context.needs_user_action("solve the captcha")
        return {"resumed": True}

    async with rig.running(agent):
        run = await rig.plane.add()
        await rig.plane.until(lambda: run.needs_user)
        before = len(rig.plane.heartbeats)
        await rig.plane.until(lambda: len(rig.plane.heartbeats) > before + 9)  # 0.45 s at the least: past its limit
        assert run.reports == []
        if isinstance(rig.plane, SocketPlane):
            await rig.plane.resume(run)
        else:
            run.needs_user = False  # a poller hears of it by a heartbeat
        await rig.plane.ended(run)
    assert run.report["output"] == {"resumed": True}
    assert run.notes[-1] == {"progress": 30, "message": "solve the captcha", "needsUserAction": True} | {
        name: run.notes[-1][name] for name in ("jobId", "jobRunId") if name in run.notes[-1]
    }


async def test_a_resume_whose_push_was_lost_is_heard_of_by_a_heartbeat(rig: Rig) -> None:
    agent = rig.agent()

    @agent.handler("WORK")
    async def work(job: Job, context: Context) -> None:
        del job
        await context.needs_user_action("log in")

    async with rig.running(agent):
        run = await rig.plane.add()
        await rig.plane.until(lambda: run.needs_user)
        run.needs_user = False
        await rig.plane.ended(run)
    assert run.report["status"] == "success"


async def test_a_run_that_waits_for_its_user_can_be_cancelled(rig: Rig) -> None:
    agent = rig.agent()

    @agent.handler("WORK")
    def work(job: Job, context: BlockingContext) -> None:
        del job
        context.needs_user_action("log in")

    async with rig.running(agent):
        run = await rig.plane.add()
        await rig.plane.until(lambda: run.needs_user)
        await rig.plane.cancel(run)
        await rig.plane.ended(run)
    assert run.report["status"] == "cancelled"
