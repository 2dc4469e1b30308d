"""What becomes of events, and of those who wait for them, when passing them on fails as it never should."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from interlock.clock import SystemClock
from runtime import event_fanout
from runtime.event_fanout import RedisEventStreams
from runtime.redis_link import RedisLink

PATIENCE = 20.0  # seconds until what should take none is taken to hang


class Note(msgspec.Struct):
    number: int


class FakeLink(RedisLink):
    """Redis that takes everything, but for the round trips that are to fail."""

    def __init__(self) -> None:
        self.tried = asyncio.Event()
        self.tried.set()
        self.fails: list[Exception] = []
        self.begun = asyncio.Event()  # a round trip has
        self.goes_on = asyncio.Event()

    def start(self, user: Any) -> None:
        """There from the start."""

    async def stop(self) -> None:
        """Nothing to let go."""

    async def subscribe(self, channel: str, heard: Any) -> None:
        """Nothing will be heard."""

    async def unsubscribe(self, channel: str) -> None:
        """Nor then."""

    async def call(self, *command: str | bytes | int) -> Any:
        return b"sha" if command[0] == "SCRIPT" else []

    async def calls(self, commands: Any) -> list[Any]:
        self.begun.set()
        await self.goes_on.wait()
        if self.fails:
            raise self.fails.pop()
        return [b"5000-1" for _ in commands]


@pytest.fixture
def link() -> FakeLink:
    return FakeLink()


@pytest.fixture
async def streams(link: FakeLink, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[RedisEventStreams]:
    monkeypatch.setattr(event_fanout, "AGAIN_SECONDS", 0)
    made = RedisEventStreams(link, SystemClock(), history=100, limit=100)
    await made.start()
    await made.came_up()
    yield made
    link.goes_on.set()
    await made.stop()


async def test_who_waits_for_events_that_could_not_be_sent_waits_no_longer(
    link: FakeLink, streams: RedisEventStreams, caplog: pytest.LogCaptureFixture
) -> None:
    link.fails = [ValueError("a bug")]
    streams.publish("org", "note", Note(1))
    waiting = asyncio.create_task(streams.position("org"))
    async with asyncio.timeout(PATIENCE):
        await link.begun.wait()
        link.goes_on.set()
        assert await waiting is None
        assert await streams.position("org") is None
    assert "Events could not be passed on" in caplog.text


async def test_a_stream_whose_look_failed_is_looked_at_again(link: FakeLink, streams: RedisEventStreams) -> None:
    link.fails = [ValueError("a bug")]
    link.goes_on.set()
    async with asyncio.timeout(PATIENCE), streams.watching("org") as stream:
        assert stream.newest == 5001
    assert not link.fails
