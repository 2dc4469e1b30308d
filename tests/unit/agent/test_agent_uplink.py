"""Which way a word goes: over the open socket if a frame carries all of it, else over HTTP."""

from typing import Any

import msgspec
import pytest

from interlock.agent.book import Owed
from interlock.agent.uplink import MOST_BYTES, Uplink
from interlock.frames import EXCHANGES
from interlock.wire import LogLineIn, Progress, Report, ReportAnswer, RunState, TakenJob

ANSWER = ReportAnswer(status="success", job_status="COMPLETED", will_retry=False, replayed=False)
STATE = RunState(status="running", cancel_requested=False)
JOB = TakenJob(job_id="job", job_run_id="run", run_no=1, type="WORK", payload={}, attempt=1, timeout_seconds=1)


class Link:
    """Notes what it was to carry, as the server would read it."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, msgspec.Struct]] = []

    async def ask(self, event: str, data: msgspec.Raw, kind: type[Any]) -> Any:
        self.asked.append((event, msgspec.json.decode(data, type=EXCHANGES[event].asks)))
        return ANSWER if kind is ReportAnswer else STATE


class Plane:
    """Notes what went over HTTP."""

    def __init__(self) -> None:
        self.sent: list[object] = []

    async def report(self, job_run_id: str, report: Report) -> ReportAnswer:
        self.sent.append((job_run_id, report))
        return ANSWER

    async def logs(self, job_run_id: str, lines: list[LogLineIn]) -> RunState:
        self.sent.append((job_run_id, len(lines)))
        return STATE

    async def progress(self, job_run_id: str, progress: Progress) -> RunState:
        self.sent.append((job_run_id, progress))
        return STATE


class Ways:
    """Both, and the uplink that chooses."""

    def __init__(self, *, connected: bool = True) -> None:
        self.link = Link() if connected else None
        self.plane = Plane()
        self.uplink = Uplink(self.plane, self)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("report", "event"),
    [
        (Report(status="success", output={"a": 1}, duration_ms=5), "job:done"),
        (Report(status="success"), "job:done"),
        (Report(status="failed", error_code="exit_1", error_message="no", duration_ms=5), "job:error"),
        (Report(status="failed", error_code="x", error_message="no", retryable=False), "job:error"),
        (Report(status="success", error_message="its output was left out"), None),
        (Report(status="failed", error_code="exit_1"), None),
        (Report(status="failed", error_message="no"), None),
        (Report(status="cancelled", error_code="cancelled", error_message="stopped on request"), None),
        (Report(status="rejected", error_code="unknown_type", error_message="no handler"), None),
        (Report(status="success", output={"a": "x" * MOST_BYTES}), None),
    ],
)
async def test_a_result_goes_over_the_socket_if_a_frame_carries_all_of_it(report: Report, event: str | None) -> None:
    ways = Ways()
    assert await ways.uplink.report(Owed("run", "job", report)) is ANSWER
    assert ways.link is not None
    if event is None:
        assert (ways.plane.sent, ways.link.asked) == ([("run", report)], [])
        return
    ((asked, frame),) = ways.link.asked
    carried = msgspec.structs.asdict(frame)
    assert (asked, carried["job_id"], carried["job_run_id"]) == (event, "job", "run")
    assert carried.get("output") == report.output
    assert carried["duration_ms"] == report.duration_ms
    assert carried.get("error") == report.error_message
    assert carried.get("error_code") == report.error_code
    assert carried.get("retryable", True) == report.retryable


async def test_a_result_of_a_run_whose_job_is_not_known_goes_over_http() -> None:
    ways = Ways()
    await ways.uplink.report(Owed("run", None, Report(status="success")))
    assert len(ways.plane.sent) == 1


async def test_without_a_socket_everything_goes_over_http() -> None:
    ways = Ways(connected=False)
    await ways.uplink.report(Owed("run", "job", Report(status="success")))
    await ways.uplink.logs(JOB, [LogLineIn(seq=1, message="x")])
    await ways.uplink.progress(JOB, Progress(progress=5))
    assert len(ways.plane.sent) == 3


async def test_more_lines_than_a_frame_may_hold_go_over_http() -> None:
    ways = Ways()
    await ways.uplink.logs(JOB, [LogLineIn(seq=1, message="x")])
    await ways.uplink.logs(JOB, [LogLineIn(seq=2, message="\x01" * 100_000)])
    assert ways.link is not None
    assert [event for event, _ in ways.link.asked] == ["job:log"]
    assert ways.plane.sent == [("run", 1)]
