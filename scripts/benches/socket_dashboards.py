"""Dashboards on an org at full load: the last of them may stop reading, and is to cost the server nothing.

It answers no ping either, so a server that has been busy for long enough has closed it by the time it reads again.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import psutil

from benches.frames import TEXT, Socket
from benches.loads import SETTLE_SECONDS, connections, create_batches
from benches.plan import BenchFailed, Outcome, Plan
from benches.socket_agents import Agent, agents_of, together
from benches.stopwatch import Stopwatch

KERNEL_BYTES = 4096  # that the kernel keeps for who does not read
_GAP = b'"event":"gap"'
_HEAD = 60  # bytes of a frame in which its event stands
_EVENTS_EACH = 3  # of a job: created, started, done
_PATIENCE_SECONDS = 20.0  # for the last events to arrive


async def dashboards(plan: Plan) -> Outcome:
    """Jobs of hosts from end to end while all dashboards read."""
    return await _watched(plan, slow=False)


async def slow_dashboard(plan: Plan) -> Outcome:
    """The same while the last of them reads nothing; in the end it reads again."""
    return await _watched(plan, slow=True)


async def _watched(plan: Plan, *, slow: bool) -> Outcome:
    async with (
        connections(plan.port, plan.clients) as links,
        _watchers(plan, slow=slow) as watchers,
        agents_of(plan, Agent) as (_, tally),
    ):
        await asyncio.sleep(SETTLE_SECONDS)
        server = psutil.Process(plan.pid)
        before, watch = server.memory_info().rss, Stopwatch(plan.pid, plan.engines)
        await asyncio.gather(create_batches(plan, links), tally.done())
        outcome = watch.stop(plan.count)
        grown = server.memory_info().rss - before
        *readers, last = watchers
        if slow:
            last.resume()
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await asyncio.gather(*(watcher.news(plan.count * _EVENTS_EACH) for watcher in readers))
            with contextlib.suppress(*[BenchFailed] * slow):
                await last.news(plan.count * _EVENTS_EACH)
    figures = {
        "MB": grown / 2**20,
        "gaps": last.gaps,
        "closed": float(last.gone),
        "gaps of others": sum(watcher.gaps for watcher in readers),
    }
    return msgspec.structs.replace(outcome, figures=figures)


class Watcher(Socket):
    """A dashboard that counts its frames and looks for gaps."""

    def __init__(self) -> None:
        super().__init__()
        self.frames = self.gaps = 0
        self.gone = False
        self._wanted = 0
        self._news: asyncio.Future[None] | None = None
        self.lost = self._gone

    async def news(self, frames: int) -> None:
        """Return when so many frames have come, or a gap in place of some; `BenchFailed` when it has been closed."""
        if self.gone:
            raise BenchFailed("A dashboard was closed")
        if self.frames < frames and not self.gaps:
            self._wanted = frames
            self._news = asyncio.get_running_loop().create_future()
            await self._news

    def frame(self, opcode: int, buffer: bytes, start: int, end: int) -> None:
        """Take one frame."""
        if opcode != TEXT:
            super().frame(opcode, buffer, start, end)
            return
        self.frames += 1
        if buffer.find(_GAP, start, min(end, start + _HEAD)) > 0:
            self.gaps += 1
        if self._news is not None and not self._news.done() and (self.gaps or self.frames >= self._wanted):
            self._news.set_result(None)

    def _gone(self, why: str) -> None:
        self.gone = True
        if self._news is not None and not self._news.done():
            self._news.set_exception(BenchFailed(why))


@asynccontextmanager
async def _watchers(plan: Plan, *, slow: bool) -> AsyncIterator[list[Watcher]]:
    path, watchers = f"/ws?orgId={plan.org}", list[Watcher]()

    async def one(_: int) -> None:
        watchers.append(await Watcher.open(plan.port, path, plan.token))

    try:
        await together(plan.watchers - 1, one)
        watchers.append(await Watcher.open(plan.port, path, plan.token, buffer=KERNEL_BYTES if slow else 0))
        if slow:
            watchers[-1].pause()
        yield watchers
    finally:
        for watcher in watchers:
            watcher.lost = _expected
            watcher.cut()


def _expected(_: str) -> None:
    """It was asked to go."""
