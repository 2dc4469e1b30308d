"""One agent's connection: order, what holds it up and what does not, and what goes out when."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from actors import messages
from actors.loop_actor import LoopFuture
from interlock.errors import InvalidState, Superseded, Unavailable
from interlock.frames import ResumeRun
from interlock.ids import UuidIds
from interlock.wire import ReportAnswer, RunState
from web.access import Agent
from web.connections import Connection
from web.links import Links, SocketLimits
from web.services import Services, WebLimits

RUN = "018f0000-0000-7000-8000-000000000001"
RESUME = ResumeRun(job_id="j", job_run_id=RUN)
NOTED = RunState(status="running", cancel_requested=False)


class Wire:
    """Keeps what is sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, Any, Any]] = []
        self.ended: tuple[int, str] | None = None

    def send(self, event: str, data: Any, frame_id: Any) -> None:
        self.sent.append((event, msgspec.to_builtins(data), frame_id))

    def end(self, code: int, reason: str) -> None:
        self.ended = (code, reason)

    @property
    def events(self) -> list[str]:
        return [event for event, _, _ in self.sent]


class Directory:
    """Answers when the test says so."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, LoopFuture]] = []
        self.connected = LoopFuture()
        self.gone: list[Any] = []
        self.sessions: dict[str, Any] = {}

    def ask(self, _: str, message: Any) -> LoopFuture:
        reply = LoopFuture()
        self.asked.append((message, reply))
        return reply

    def connect(self, _: Any) -> LoopFuture:
        return self.connected

    def disconnect(self, session: Any) -> None:
        self.gone.append(session)


class Scene:
    """A connection, and both of its ends."""

    def __init__(self, **limits: Any) -> None:
        self.wire, self.directory = Wire(), Directory()
        self.services = cast(
            "Services",
            SimpleNamespace(
                directory=self.directory,
                ids=UuidIds(),
                links=Links(SocketLimits(**limits)),
                web_limits=WebLimits(answer_seconds=5),
                config_of=self._config_of,
                store=SimpleNamespace(fetch=self._fetch),
            ),
        )
        who = Agent("host", "org", "kid")
        self.connection = Connection(self.services, who, self.wire, instance_id=None, running=None)

    async def _fetch(self, _: Any) -> Any:
        return {RUN: "j"}  # the jobs of the runs that an agent names

    async def _config_of(self, _: str) -> Any:
        return RESUME  # any document

    async def begun(self) -> None:
        self.directory.connected.set()
        await self.connection.begin()

    def say(self, event: str, size: int = 10, **data: Any) -> None:
        self.connection.take(event, msgspec.json.encode(data), event, size)

    def settle(self, kind: type, value: Any) -> None:
        """Answer the first such message that waits."""
        place = next(place for place, (message, _) in enumerate(self.directory.asked) if isinstance(message, kind))
        self.directory.asked.pop(place)[1].settle(value)


@pytest.fixture
async def scene() -> Scene:
    made = Scene()
    await made.begun()
    return made


async def test_the_config_goes_out_before_whatever_was_pushed_meanwhile() -> None:
    scene = Scene()
    beginning = asyncio.create_task(scene.connection.begin("the id"))
    await asyncio.sleep(0)
    scene.connection.push("job:resume", RESUME)
    scene.connection.deliver("config", RESUME)
    assert scene.wire.sent == []
    scene.directory.connected.set()
    await beginning
    assert [(event, frame_id) for event, _, frame_id in scene.wire.sent] == [("config", "the id"), ("job:resume", None)]


async def test_who_is_overtaken_while_the_jobs_of_its_runs_are_read_supersedes_nobody() -> None:
    scene, newer = Scene(), Scene()
    older = Connection(scene.services, Agent("host", "org", "kid"), scene.wire, instance_id=None, running=(RUN,))
    newer.connection = Connection(scene.services, Agent("host", "org", "kid"), newer.wire, instance_id=None, running=())
    scene.directory.connected.set()
    await newer.connection.begin()
    scene.directory.sessions["host"] = newer.connection.session
    with pytest.raises(Superseded):
        await older.begin()
    assert older.session.jobs_named == {RUN: "j"}
    scene.directory.sessions["host"] = scene.connection.session  # which is older
    await older.begin()
    assert scene.wire.events == ["config"]


async def test_an_error_does_not_wait_for_the_config() -> None:
    scene = Scene()
    scene.connection.revoked()
    assert scene.wire.events == ["error"]
    assert scene.wire.ended == (1008, "unauthenticated")


async def test_a_host_that_cannot_be_had_refuses_the_connection() -> None:
    scene = Scene()
    scene.directory.connected.settle(Unavailable("not now"))
    with pytest.raises(Unavailable, match="not now"):
        await scene.connection.begin()
    assert scene.wire.sent == []


async def test_a_heartbeat_does_not_wait_for_a_slow_write_before_it(scene: Scene) -> None:
    scene.say("job:progress", jobId="j", jobRunId=RUN, progress=5)
    scene.say("heartbeat")
    assert [type(message) for message, _ in scene.directory.asked] == [messages.NoteProgress, messages.Beat]
    scene.services.limits = cast("Any", SimpleNamespace(heartbeat_ms=1, lease_ms=1, poll_wait_ms=1))
    scene.services.clock = cast("Any", SimpleNamespace(now=lambda: 0))
    scene.settle(messages.Beat, [])
    assert scene.wire.events == ["config", "heartbeat_ack"]
    scene.settle(messages.NoteProgress, NOTED)
    assert scene.wire.events == ["config", "heartbeat_ack", "job:progress_ack"]


async def test_only_so_much_is_under_way_before_more_is_read() -> None:
    scene = Scene(frames_under_way=3)
    await scene.begun()
    for size in (10, 65_536):  # one, and one that counts as two
        await asyncio.wait_for(scene.connection.room(), 1)
        scene.say("job:progress", size=size, jobId="j", jobRunId=RUN, progress=5)
    room = asyncio.create_task(scene.connection.room())
    await asyncio.sleep(0)
    assert not room.done()
    scene.settle(messages.NoteProgress, NOTED)
    await room


async def test_a_close_lets_go_of_whoever_waits_for_room() -> None:
    scene = Scene(frames_under_way=1)
    await scene.begun()
    scene.say("job:done", jobId="j", jobRunId=RUN)
    room = asyncio.create_task(scene.connection.room())
    await asyncio.sleep(0)
    scene.connection.close(1008, "superseded")
    await room
    scene.say("job:done", jobId="j", jobRunId=RUN)
    assert len(scene.directory.asked) == 1


async def test_what_was_refused_says_which_run_and_in_which_state(scene: Scene) -> None:
    scene.say("job:done", jobId="j", jobRunId=RUN, output={"a": 1})
    scene.settle(messages.ReportResult, InvalidState("It has ended", current=NOTED))
    _, refusal, frame_id = scene.wire.sent[-1]
    assert refusal == {
        "code": "invalid_state",
        "message": "It has ended",
        "event": "job:done",
        "jobId": "j",
        "jobRunId": RUN,
        "current": {"status": "running", "cancelRequested": False},
    }
    assert frame_id == "job:done"


async def test_an_answer_that_cannot_be_made_brings_nobody_down(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    scene.say("job:done", jobId="j", jobRunId=RUN)
    scene.settle(messages.ReportResult, None)
    assert scene.wire.sent[-1][1]["code"] == "unavailable"
    scene.say("job:done", jobId="j", jobRunId=RUN)
    scene.directory.asked[-1][1].set_exception((ValueError, ValueError("a secret"), None))
    assert scene.wire.sent[-1][1]["message"] == "This could not be decided"
    assert len(caplog.records) == 2


async def test_a_database_that_says_nothing_is_not_waited_for_without_end(scene: Scene) -> None:
    scene.say("job:done", jobId="j", jobRunId=RUN)
    scene.connection.look(over=0.0)
    assert scene.wire.events == ["config"]
    scene.connection.look(over=float("inf"))
    assert scene.wire.sent[-1][1]["code"] == "unavailable"
    done = ReportAnswer(status="success", job_status="COMPLETED", will_retry=False, replayed=False)
    scene.settle(messages.ReportResult, done)
    assert scene.wire.events == ["config", "error"]


async def test_a_transport_that_has_gone_is_told_to_the_directory_once_and_for_all(scene: Scene) -> None:
    scene.connection.end()
    assert scene.directory.gone == [scene.connection.session]
    assert not scene.connection.session.open
