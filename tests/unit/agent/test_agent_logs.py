"""The pump of log lines, without a network."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest

from interlock.agent import AgentSettings
from interlock.agent.logs import LogPump
from interlock.clock import SystemClock
from interlock.errors import InterlockError, NotFound, Unavailable
from interlock.wire import LogLineIn, RunState

SETTINGS = AgentSettings(log_interval_seconds=0.001, retry_base_seconds=0.001, log_batch_lines=10, log_queue_lines=20)


class Server:
    """Answers what it is told to, then that all is well."""

    def __init__(self) -> None:
        self.batches: list[list[LogLineIn]] = []
        self.errors: list[InterlockError] = []
        self.cancel = False
        self.cancelled = asyncio.Event()
        self.received = asyncio.Event()
        self.open = asyncio.Event()
        self.open.set()

    async def send(self, lines: list[LogLineIn]) -> RunState:
        await self.open.wait()
        self.batches.append(list(lines))
        self.received.set()
        if self.errors:
            raise self.errors.pop(0)
        return RunState(status="running", cancel_requested=self.cancel)

    @property
    def messages(self) -> list[str]:
        return [line.message for batch in self.batches for line in batch]


@asynccontextmanager
async def pumping(server: Server, settings: AgentSettings = SETTINGS) -> AsyncIterator[LogPump]:
    pump = LogPump(server.send, server.cancelled.set, settings, SystemClock())
    task = asyncio.create_task(pump.run())
    yield pump
    pump.close()
    await task


async def test_lines_arrive_in_order_with_rising_numbers() -> None:
    server = Server()
    async with pumping(server) as pump:
        for number in range(5):
            pump.add("info", f"line {number}")
    assert server.messages == [f"line {number}" for number in range(5)]
    assert [line.seq for batch in server.batches for line in batch] == [1, 2, 3, 4, 5]


async def test_a_run_without_output_sends_nothing() -> None:
    server = Server()
    async with pumping(server):
        pass
    assert server.batches == []


async def test_a_short_run_needs_one_request() -> None:
    server = Server()
    async with pumping(server, msgspec.structs.replace(SETTINGS, log_interval_seconds=3600.0)) as pump:
        pump.add("info", "one")
        pump.add("error", "two")
    assert [[line.level for line in batch] for batch in server.batches] == [["info", "error"]]


async def test_a_batch_that_failed_is_sent_again_unchanged() -> None:
    server = Server()
    server.errors = [Unavailable(retry_after=0.0)]
    async with pumping(server) as pump:
        pump.add("info", "one")
        await server.received.wait()
        pump.add("info", "two")
    assert server.batches[0] == server.batches[1]
    assert server.messages == ["one", "one", "two"]


async def test_a_batch_that_is_refused_is_given_up() -> None:
    server = Server()
    server.errors = [NotFound()]
    async with pumping(server) as pump:
        pump.add("info", "one")
        await server.received.wait()
        pump.add("info", "two")
    assert server.messages == ["one", "two"]


async def test_lines_beyond_the_queue_are_dropped_oldest_first_and_counted() -> None:
    server = Server()
    async with pumping(server) as pump:
        for number in range(1, 101):
            pump.add("info", f"line {number}")
    assert server.messages == ["… 91 lines dropped", *(f"line {number}" for number in range(92, 101))]
    assert [line.seq for line in server.batches[0]] == list(range(91, 101))


async def test_lines_dropped_while_the_server_is_slow_leave_a_gap_that_is_told() -> None:
    server = Server()
    server.open.clear()
    async with pumping(server) as pump:
        pump.add("info", "first")
        for number in range(2, 50):
            await asyncio.sleep(0)
            pump.add("info", f"line {number}")
        server.open.set()
    seqs = [line.seq for batch in server.batches for line in batch]
    assert seqs == sorted(set(seqs))
    assert server.messages[-1] == "line 49"
    assert any("lines dropped" in message for message in server.messages)


async def test_no_request_is_larger_than_its_limits() -> None:
    server = Server()
    settings = msgspec.structs.replace(SETTINGS, log_batch_bytes=1000, log_queue_lines=1000)
    async with pumping(server, settings) as pump:
        for number in range(30):
            pump.add("info", "x" * (number * 20))
            server.received.clear()
            await server.received.wait()
    assert all(len(batch) <= settings.log_batch_lines for batch in server.batches)
    assert all(sum(len(line.message) for line in batch) <= 1000 for batch in server.batches)


async def test_a_line_larger_than_a_request_is_sent_by_itself() -> None:
    server = Server()
    settings = msgspec.structs.replace(SETTINGS, log_batch_bytes=256)
    async with pumping(server, settings) as pump:
        pump.add("info", "x" * 1000)
    assert server.messages == ["x" * 1000]


async def test_a_cancel_on_the_answer_is_passed_on() -> None:
    server = Server()
    server.cancel = True
    async with pumping(server) as pump:
        pump.add("info", "one")
        await server.cancelled.wait()


@pytest.mark.parametrize("message", ["\0", "\ud800x"])
async def test_messages_are_cleaned(message: str) -> None:
    server = Server()
    async with pumping(server) as pump:
        pump.add("info", message)
    assert server.messages == [message.replace("\0", "").replace("\ud800", "")]
