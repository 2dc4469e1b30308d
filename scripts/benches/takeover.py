"""A load that kills its server: how long each host is without work until its next job starts on another node.

Every other host is idle: its agent waits in a long-poll, and a user asks the other node for a job at the moment of the
kill. The others are at work, with a job waiting behind: their agents report to the other node and poll there. All agents
go there as soon as their connection drops, and come again when they are told to.
"""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Sequence

from benches.agents import WAIT_SECONDS, run_in
from benches.connection import Connection, Reply, expect, get, post
from benches.loads import SETTLE_SECONDS, job_body
from benches.plan import BenchFailed, FleetHost, Outcome, Plan
from benches.stopwatch import Stopwatch

_REPORT = b'{"status":"success","durationMs":1}'
_OK, _CREATED, _NOTHING, _LATER = 200, 201, 204, 503
_PAUSE_SECONDS = 0.1  # after a 503, or a connection that could not be had


async def takeover(plan: Plan) -> Outcome:
    """Milliseconds from the kill to the reply with each host's next job."""
    if plan.victim is None:
        raise BenchFailed("Nobody is to be killed")
    hosts = [_Host(host, plan) for host in plan.hosts]
    idle, busy = hosts[::2], hosts[1::2]
    await _share(busy, lambda host: host.create(host.first))
    await _share(hosts, lambda host: host.connect())
    for host in busy:
        await host.take()
    await _share(busy, lambda host: host.create(host.first))
    parked = [host.begin_poll() for host in idle]
    await asyncio.sleep(SETTLE_SECONDS)
    watch = Stopwatch(plan.pid, plan.engines)
    began = time.perf_counter()
    os.kill(plan.victim.pid, signal.SIGKILL)
    latencies = await asyncio.gather(
        *(host.waited(poll, began) for host, poll in zip(idle, parked, strict=True)),
        *(host.worked(began) for host in busy),
        _share(idle, lambda host: host.create(host.second), connections=8),
    )
    outcome = watch.stop(len(hosts), [took for took in latencies if took is not None])
    await _share(hosts, lambda host: host.finish())
    return outcome


async def _share(hosts: "Sequence[_Host]", work: "Callable[[_Host], Awaitable[None]]", connections: int = 32) -> None:
    """So many at a time."""
    left = iter(hosts)

    async def one() -> None:
        for host in left:
            await work(host)

    await asyncio.gather(*(one() for _ in range(connections)))


class _Host:
    """A host's agent, and the user who wants work done there."""

    def __init__(self, host: FleetHost, plan: Plan) -> None:
        if plan.victim is None:
            raise BenchFailed("Nobody is to be killed")
        self.first, self.second = plan.victim.port, plan.port
        self._jobs = f"/api/agent/hosts/{host.id}/jobs"
        self._key = host.key
        self._create = post(f"/api/orgs/{plan.org}/jobs", plan.token, job_body(host.instance_id))
        self._link: Connection | None = None
        self._run = ""

    async def create(self, port: int) -> None:
        """A job, by a user of the node at that port."""
        await self._until_told(port, self._create, _CREATED)

    async def connect(self) -> None:
        """The agent goes to the node that will be killed."""
        self._link = await Connection.open(self.first)

    def begin_poll(self) -> "asyncio.Future[Reply]":
        """Wait for a job."""
        if self._link is None:
            raise BenchFailed("An agent without a connection")
        return self._link.begin(get(f"{self._jobs}?wait={WAIT_SECONDS}&running=", self._key))

    async def take(self) -> None:
        """Get the job that waits."""
        self._run = _run(expect(await self.begin_poll(), _OK))

    async def waited(self, poll: "asyncio.Future[Reply]", began: float) -> float:
        """An idle agent whose connection drops goes on at the other node; ms until it has a job."""
        try:
            reply = await poll
        except BenchFailed:
            return await self._next(began)
        raise BenchFailed(f"A poll was answered {reply.status} by a server that was killed")

    async def worked(self, began: float) -> float:
        """An agent at work reports to the other node and polls there; ms until it has the next job."""
        await self.finish()
        return await self._next(began)

    async def _next(self, began: float) -> float:
        poll = get(f"{self._jobs}?wait={WAIT_SECONDS}&running=", self._key)
        self._run = _run(await self._until_told(self.second, poll, _OK))
        return (time.perf_counter() - began) * 1000

    async def finish(self) -> None:
        """Report a success to the other node."""
        if self._link is not None:
            self._link.close()
            self._link = None
        report = post(f"{self._jobs}/{self._run}/result", self._key, _REPORT)
        await self._until_told(self.second, report, _OK)

    @staticmethod
    async def _until_told(port: int, request: bytes, expected: int) -> bytes:
        """The body of the reply; asked again for as long as the node is not able or has nothing."""
        while True:
            link = await Connection.open(port)
            try:
                reply = await link.begin(request)
            finally:
                link.close()
            if reply.status not in {_LATER, _NOTHING}:
                return expect(reply, expected)
            if reply.status == _LATER:
                await asyncio.sleep(_PAUSE_SECONDS)


def _run(body: bytes) -> str:
    run = run_in(body)
    if run is None:
        raise BenchFailed(f"A reply without a run: {body[:300].decode()}")
    return run
