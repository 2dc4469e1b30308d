"""What the driver can do to a server. Each load is given a plan, and returns when its last reply is there."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager

import msgspec

from benches.agents import Agent, Tally, running
from benches.connection import Connection, expect, get, post
from benches.plan import BenchFailed, Outcome, Plan
from benches.stopwatch import Stopwatch

SETTLE_SECONDS = 0.5  # for polls to be parked and writes to be over before a load begins
_AGAIN_SECONDS = 0.2  # until a batch that was refused is sent again
_OK, _CREATED, _NOTHING, _LATER = 200, 201, 204, 503


def job_body(instance_id: str) -> bytes:
    """What a user sends to create a job."""
    wanted = {"type": "SERVER_START", "serverInstanceId": instance_id, "payload": {"map": "de_dust2"}}
    return msgspec.json.encode(wanted)


_ECHO = post("/echo", "", job_body("0" * 36))


async def echo(plan: Plan) -> Outcome:
    """POSTs from all clients at once, each with a body as long as a job's."""
    async with connections(plan.port, plan.clients) as links:
        watch = Stopwatch(plan.pid, plan.engines)
        await _share(links, itertools.repeat(_ECHO, plan.count), _OK)
        return watch.stop(plan.count)


async def round_trip(plan: Plan) -> Outcome:
    """POSTs one after the other on one connection."""
    latencies: list[float] = []
    async with connections(plan.port, 1) as links:
        watch = Stopwatch(plan.pid, plan.engines)
        for _ in range(plan.count):
            began = time.perf_counter()
            expect(await links[0].begin(_ECHO), _OK)
            latencies.append((time.perf_counter() - began) * 1000)
        return watch.stop(plan.count, latencies)


async def single(plan: Plan) -> Outcome:
    """Jobs from their creation, one by one, to the last result; agents poll anew after each result."""
    requests = itertools.islice(itertools.cycle(_creates(plan)), plan.count)
    return await _end_to_end(plan, lambda links: _share(links, requests, _CREATED), take_next=False)


async def batch(plan: Plan) -> Outcome:
    """The same with jobs created in batches; agents take the next job with the result of the last."""
    return await _end_to_end(plan, lambda links: create_batches(plan, links), take_next=True)


async def _end_to_end(
    plan: Plan, create: Callable[[Sequence[Connection]], Awaitable[None]], *, take_next: bool
) -> Outcome:
    async with (
        connections(plan.port, plan.clients) as links,
        _fleet(plan) as (agents, tally),
        running(agents, tally, take_next=take_next),
    ):
        await asyncio.sleep(SETTLE_SECONDS)
        watch = Stopwatch(plan.pid, plan.engines)
        await asyncio.gather(create(links), tally.done())
        return watch.stop(plan.count)


async def drain(plan: Plan) -> Outcome:
    """Jobs that have been waiting, from the first poll to the last result."""
    async with connections(plan.port, plan.clients) as links:
        await create_batches(plan, links)
    await asyncio.sleep(SETTLE_SECONDS)
    async with _fleet(plan) as (agents, tally):
        watch = Stopwatch(plan.pid, plan.engines)
        async with running(agents, tally, take_next=False):
            await tally.done()
            return watch.stop(plan.count)


async def dispatch(plan: Plan) -> Outcome:
    """From just before a create is sent until the host's parked poll is answered, one job at a time. All polls are
    parked first, so that each host is idle and the server is too.
    """
    creates = _creates(plan)
    latencies: list[float] = []
    async with connections(plan.port, 1) as users, _fleet(plan) as (agents, _):
        watch = Stopwatch(plan.pid, plan.engines)
        while len(latencies) < plan.count:
            parked = [agent.begin_poll() for agent in agents]
            await asyncio.sleep(SETTLE_SECONDS)
            for create, poll in zip(creates, parked, strict=True):
                began = time.perf_counter()
                created = users[0].begin(create)
                await poll
                latencies.append((time.perf_counter() - began) * 1000)
                expect(await created, _CREATED)
            for agent, poll in zip(agents, parked, strict=True):
                await agent.finish(expect(poll.result(), _OK))
        return watch.stop(len(latencies), latencies)


async def touch(plan: Plan) -> Outcome:
    """One short poll of each host: it wakes the host's actor, which finds nothing to do."""
    requests = (get(f"/api/agent/hosts/{host.id}/jobs", host.key) for host in plan.hosts)
    async with connections(plan.port, plan.clients) as links:
        watch = Stopwatch(plan.pid, plan.engines)
        await _share(links, requests, _NOTHING)
        return watch.stop(len(plan.hosts))


LOADS: dict[str, Callable[[Plan], Awaitable[Outcome]]] = {
    load.__name__: load for load in (echo, round_trip, single, batch, drain, dispatch, touch)
}


# ---- what they share ------------------------------------------------------------------------------------------------


@asynccontextmanager
async def connections(port: int, count: int) -> AsyncIterator[list[Connection]]:
    """So many kept connections."""
    links: list[Connection] = []
    try:
        for _ in range(count):
            links.append(await Connection.open(port))  # noqa: PERF401 - those that are open must be closed
        yield links
    finally:
        for link in links:
            link.close()


@asynccontextmanager
async def _fleet(plan: Plan) -> AsyncIterator[tuple[list[Agent], Tally]]:
    """An agent with a connection for each host, and the tally of their runs."""
    tally = Tally(plan.count)
    async with connections(plan.port, len(plan.hosts)) as links:
        yield [Agent(host, link, tally) for host, link in zip(plan.hosts, links, strict=True)], tally


async def _share(links: Sequence[Connection], requests: Iterable[bytes], expected: int) -> None:
    """Send all requests, as many at a time as there are connections."""
    left = iter(requests)

    async def client(link: Connection) -> None:
        for request in left:
            expect(await link.begin(request), expected)

    await asyncio.gather(*map(client, links))


def _creates(plan: Plan) -> list[bytes]:
    """A request for each host that creates a job there."""
    path = f"/api/orgs/{plan.org}/jobs"
    return [post(path, plan.token, job_body(host.instance_id)) for host in plan.hosts]


async def create_batches(plan: Plan, links: Sequence[Connection], wanted: Sequence[bytes] = ()) -> None:
    """All of the plan's jobs, these bodies in turn, or one for each host; `BenchFailed` when one was not taken."""
    bodies = itertools.cycle(wanted or [job_body(host.instance_id) for host in plan.hosts])
    sizes = iter([min(plan.batch, plan.count - made) for made in range(0, plan.count, plan.batch)])

    async def client(link: Connection) -> None:
        for size in sizes:
            body = b'{"jobs":[' + b",".join(itertools.islice(bodies, size)) + b"]}"
            answer = await _insist(link, post(f"/api/orgs/{plan.org}/jobs/batch", plan.token, body))
            if answer.count(b'{"job":') != size:
                raise BenchFailed(f"A batch was not taken whole: {answer[:300].decode()}")

    await asyncio.gather(*map(client, links))


async def _insist(link: Connection, request: bytes) -> bytes:
    """The body of the answer; asked again for as long as the server has no room for new work."""
    while True:
        reply = await link.begin(request)
        if reply.status != _LATER:
            return expect(reply, _OK)
        await asyncio.sleep(_AGAIN_SECONDS)
