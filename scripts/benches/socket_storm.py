"""A storm: all agents connect at once to a server that has just started, and take a job that waits for them; then all
their connections are cut, and all come back at once while their jobs run. Meanwhile other people ask other things.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable

import msgspec

from benches.connection import Connection, get, post
from benches.figures import percentile
from benches.frames import framed
from benches.loads import SETTLE_SECONDS, job_body
from benches.plan import BenchFailed, FleetHost, Outcome, Plan
from benches.socket_agents import ACKED, CONFIG, DONE, NEW, Ids, Talk, ids_in, say
from benches.stopwatch import Stopwatch

_PAUSE_SECONDS = 0.2  # at least, before who was sent away comes again; up to three times that
_EVERY_SECONDS = 0.02  # a request of each kind that others make falls due
_OK, _CREATED = 200, 201


async def socket_storm(plan: Plan) -> Outcome:
    """The first host is nobody's: users create jobs for it meanwhile. Each other one has one job waiting."""
    bystander, *hosts = plan.hosts
    agents = [_Agent(host, plan.port) for host in hosts]
    others = _Others(plan, bystander)
    watch = Stopwatch(plan.pid, plan.engines)
    figures = {"quiet p99 ms": await others.during(asyncio.sleep(2 * SETTLE_SECONDS))}
    cold, figures["cold p99 ms"] = await _storm(others, agents, _Agent.begin)
    await asyncio.sleep(SETTLE_SECONDS)
    for agent in agents:
        agent.talk.cut()
    warm, figures["warm p99 ms"] = await _storm(others, agents, _Agent.come_back)
    ended = await asyncio.gather(*(agent.finish() for agent in agents))
    figures |= {
        "cold seconds": cold,
        "warm seconds": warm,
        "lost": len(ended) - sum(ended),
        "sent away": sum(agent.sent_away for agent in agents),
    }
    outcome = watch.stop(2 * len(agents))
    for agent in agents:
        agent.talk.cut()
    return msgspec.structs.replace(outcome, figures=figures)


async def _storm(
    others: "_Others", agents: "list[_Agent]", work: "Callable[[_Agent], Awaitable[None]]"
) -> tuple[float, float]:
    """Seconds until all agents are there, and the p99 of what others asked for meanwhile, in ms."""
    began = time.perf_counter()
    p99 = await others.during(asyncio.gather(*map(work, agents)))
    return time.perf_counter() - began, p99


class _Agent:
    """One host's agent, which comes again whenever it is sent away."""

    def __init__(self, host: FleetHost, port: int) -> None:
        self.talk = Talk()
        self.sent_away = 0
        self._host, self._port = host, port
        self._ids: Ids | None = None

    async def begin(self) -> None:
        """Connect, and take the job that waits."""
        await self._insist("/agent?instanceId=storm&running=", self._take)

    async def come_back(self) -> None:
        """Connect again, and hear that the run goes on."""
        await self._insist(f"/agent?instanceId=storm&running={self._run}", self._go_on)

    async def finish(self) -> bool:
        """Report success; whether the job has ended by it."""
        self.talk.socket.send(say(b"job:done", self._job))
        said = await self.talk.until(DONE)
        return b'"status":"success","jobStatus":"COMPLETED"' in said and b'"replayed":false' in said

    @property
    def _job(self) -> Ids:
        if self._ids is None:
            raise BenchFailed("An agent without a job")
        return self._ids

    @property
    def _run(self) -> str:
        return self._job[1].decode()

    async def _insist(self, path: str, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await self.talk.connect(self._port, path, self._host.key)
                await self.talk.until(CONFIG)
                await work()
            except (BenchFailed, ConnectionError):
                self.sent_away += 1
                await asyncio.sleep(_PAUSE_SECONDS * (1 + 2 * random.random()))  # noqa: S311 - jitter
            else:
                return

    async def _take(self) -> None:
        ids = ids_in(await self.talk.until(NEW))
        self.talk.socket.send(say(b"job:ack", ids))
        await self.talk.until(ACKED)
        self._ids = ids

    async def _go_on(self) -> None:
        self.talk.socket.send(framed(b'{"event":"heartbeat","data":{"running":["%s"]}}' % self._job[1]))
        said = await self.talk.until(b'{"event":"heartbeat_ack"')
        if b'"verdict":"continue"' not in said:
            raise BenchFailed(f"A run was to go on: {said[:300].decode()}")


class _Others:
    """Users who list jobs and create some, each kind at fixed times. Latency counts from the moment at which a request fell
    due, so a server that stands still cannot hide it.
    """

    def __init__(self, plan: Plan, host: FleetHost) -> None:
        path = f"/api/orgs/{plan.org}/jobs"
        self._port = plan.port
        self._kinds = (
            (get(f"{path}?limit=20", plan.token), _OK),
            (post(path, plan.token, job_body(host.instance_id)), _CREATED),
        )

    async def during(self, work: Awaitable[object]) -> float:
        """The p99 of requests in ms while that lasts."""
        latencies: list[float] = []
        asking = [asyncio.create_task(self._ask(request, expected, latencies)) for request, expected in self._kinds]
        try:
            await work
        finally:
            for task in asking:
                task.cancel()
            ended = await asyncio.gather(*asking, return_exceptions=True)
        for error in ended:
            if isinstance(error, BenchFailed):
                raise error
        return percentile(latencies or [0.0], 99)

    async def _ask(self, request: bytes, expected: int, latencies: list[float]) -> None:
        link = await Connection.open(self._port)
        due = time.perf_counter()
        try:
            while True:
                await link.ask(request, expected)
                latencies.append((time.perf_counter() - due) * 1000)
                due += _EVERY_SECONDS
                await asyncio.sleep(due - time.perf_counter())
        finally:
            link.close()
