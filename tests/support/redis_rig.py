"""A real Redis for a test, and the nodes' parts on it, with short times."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from typing import Any, TypeVar

import msgspec
import pytest

from engines.processes import EngineMissing
from engines.redis_server import Redis
from interlock.clock import SystemClock
from runtime.event_fanout import RedisEventStreams
from runtime.redis_link import RedisLink
from web.ports import EventStreamsPort

PATIENCE = 20.0  # seconds until what should take none is taken to hang
TIMEOUT = 0.3  # seconds that Redis may take to answer
PAUSE = 0.02  # seconds between two tries
Server = TypeVar("Server", bound=Redis)


@contextmanager
def redis_or_skip(server: AbstractContextManager[Server]) -> Iterator[Server]:
    """Where there is none the test is skipped, and said to be; in continuous integration it fails."""
    try:
        with server as running:
            yield running
    except EngineMissing as error:
        if os.environ.get("CI") == "true":
            pytest.fail(f"Continuous integration must not skip this: {error}", pytrace=False)
        pytest.skip(str(error))


async def until(holds: Callable[[], bool]) -> None:
    """Return when it holds; looks again and again."""
    async with asyncio.timeout(PATIENCE):
        while not holds():  # noqa: ASYNC110 - it looks at another process
            await asyncio.sleep(0.005)


def link_to(url: str, name: str = "test") -> RedisLink:
    return RedisLink(url, name, timeout=TIMEOUT, pause=PAUSE)


class Note(msgspec.Struct):
    """An event's data."""

    number: int


class Node:
    """One node's event streams."""

    def __init__(self, url: str, *, history: int = 1000, limit: int = 1000) -> None:
        self.streams = RedisEventStreams(link_to(url), SystemClock(), history=history, limit=limit)

    def tell(self, *numbers: int, org: str = "org") -> None:
        for number in numbers:
            self.streams.publish(org, "note", Note(number))


@asynccontextmanager
async def node(url: str, **limits: int) -> AsyncIterator[Node]:
    """A node that runs; its link is up, if Redis is there."""
    made = Node(url, **limits)
    await made.streams.start()
    try:
        yield made
    finally:
        await made.streams.stop()


class Board:
    """A dashboard: it reads a stream as `web.dashboards` does."""

    def __init__(self) -> None:
        self.frames: list[dict[str, Any]] = []
        self.ready = asyncio.Event()

    @property
    def seqs(self) -> list[int]:
        return [frame["seq"] for frame in self.frames]

    @property
    def story(self) -> list[Any]:
        """The numbers in the events' data, and "gap"."""
        return [frame["data"]["number"] if frame["event"] == "note" else "gap" for frame in self.frames]

    async def read(self, streams: EventStreamsPort, org: str, after: int | None) -> None:
        start = await streams.position(org) if after is None else after
        async with streams.watching(org) as stream:
            cursor = await streams.cursor(org, start)
            if cursor is None and after is None:
                cursor = await streams.cursor(org, None)
            self.ready.set()
            while True:
                frames = None if cursor is None else stream.after(cursor)
                if cursor is None or frames is None:
                    self.frames.append({"event": "gap", "seq": stream.newest})
                    cursor = stream.end
                    continue
                for frame in frames:
                    self.frames.append(msgspec.json.decode(frame.text))
                    cursor += 1
                if not frames:
                    await stream.wait(cursor)

    async def until(self, *story: Any) -> None:
        """Return when it has shown exactly that."""
        try:
            await until(lambda: self.story == [*story])
        except TimeoutError:
            raise AssertionError(f"{self.story} instead of {[*story]}") from None


@asynccontextmanager
async def board(streams: EventStreamsPort, org: str = "org", after: int | None = None) -> AsyncIterator[Board]:
    """A dashboard that watches."""
    made = Board()
    task = asyncio.create_task(made.read(streams, org, after))
    try:
        async with asyncio.timeout(PATIENCE):
            await made.ready.wait()
        yield made
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
