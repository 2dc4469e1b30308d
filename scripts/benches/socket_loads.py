"""What the driver does on WebSockets: echoes, jobs from end to end, connections that only sit there, cancels."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import msgspec
import psutil

from benches.connection import Connection, post
from benches.frames import Socket, framed
from benches.loads import SETTLE_SECONDS, connections, create_batches, job_body
from benches.plan import BenchFailed, Outcome, Plan
from benches.socket_agents import ACKED, CONFIG, NEW, Agent, PoolAgent, Talk, agents_of, ids_in, say, together
from benches.stopwatch import Stopwatch

_OK, _CREATED, _ASKED = 200, 201, 202
_ECHO = say(b"job:ack", (b"0" * 36, b"0" * 36))
_BEAT = framed(b'{"event":"heartbeat","data":{"running":[]}}')
_POOL_JOB = msgspec.json.encode({"type": "SEARCH_SINGLE", "payload": {"query": "bakers in Leeds"}})


# ---- the bare server ------------------------------------------------------------------------------------------------


async def socket_echo(plan: Plan) -> Outcome:
    """Frames as long as an ack on all connections, one under way on each."""
    left, ended = plan.count, 0
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    sockets = [await Socket.open(plan.port, "/echo") for _ in range(plan.clients)]

    def echoes(socket: Socket) -> Callable[[bytes], None]:
        def again(_: bytes) -> None:
            nonlocal left, ended
            ended += 1
            if left:
                left -= 1
                socket.send(_ECHO)
            elif ended == plan.count and not done.done():
                done.set_result(None)

        return again

    for socket in sockets:
        socket.received = echoes(socket)
        socket.lost = lambda why: None if done.done() else done.set_exception(BenchFailed(why))
    watch = Stopwatch(plan.pid, plan.engines)
    for socket in sockets:
        left -= 1
        socket.send(_ECHO)
    await done
    outcome = watch.stop(plan.count)
    for socket in sockets:
        socket.cut()
    return outcome


async def socket_round_trip(plan: Plan) -> Outcome:
    """Frames one after the other on one connection."""
    talk, latencies = Talk(), []
    await talk.connect(plan.port, "/echo")
    watch = Stopwatch(plan.pid, plan.engines)
    for _ in range(plan.count):
        began = time.perf_counter()
        talk.socket.send(_ECHO)
        _, at = await talk.until_at(b"{")
        latencies.append((at - began) * 1000)
    outcome = watch.stop(plan.count, latencies)
    talk.cut()
    return outcome


async def sit_bare(plan: Plan) -> Outcome:
    """Connections that have echoed one frame each."""

    async def one(_: int) -> Talk:
        talk = Talk()
        await talk.connect(plan.port, "/echo")
        talk.socket.send(_ECHO)
        await talk.until(b"{")
        return talk

    return await _sit(plan, one)


# ---- the server -----------------------------------------------------------------------------------------------------


async def sit(plan: Plan) -> Outcome:
    """Agents that have said once that they run nothing, and wait."""

    async def one(place: int) -> Talk:
        talk = Talk()
        await talk.connect(plan.port, "/agent?running=", plan.hosts[place].key)
        await talk.until(CONFIG)
        talk.socket.send(_BEAT)
        await talk.until(b'{"event":"heartbeat_ack"')
        return talk

    return await _sit(plan, one)


async def _sit(plan: Plan, one: Callable[[int], Awaitable[Talk]]) -> Outcome:
    """Memory that `count` connections take, `clients` others having been there before: what is loaded and pooled once
    is not counted.
    """
    talks: list[Talk] = []

    async def add(place: int) -> None:
        talks.append(await one(place))

    await together(plan.clients, add)
    await asyncio.sleep(SETTLE_SECONDS)
    server = psutil.Process(plan.pid)
    before, watch = server.memory_info().rss, Stopwatch(plan.pid, plan.engines)
    await together(plan.count, lambda place: add(plan.clients + place))
    await asyncio.sleep(SETTLE_SECONDS)
    outcome = watch.stop(plan.count)
    grown = server.memory_info().rss - before
    for talk in talks:
        if not talk.alive:
            raise BenchFailed("A connection that only sat there was closed")
        talk.cut()
    return msgspec.structs.replace(outcome, figures={"KB each": grown / plan.count / 1024})


async def socket_jobs(plan: Plan) -> Outcome:
    """Jobs of hosts from their creation in batches to the last answer to `job:done`."""
    async with connections(plan.port, plan.clients) as links, agents_of(plan, Agent) as (_, tally):
        await asyncio.sleep(SETTLE_SECONDS)
        watch = Stopwatch(plan.pid, plan.engines)
        await asyncio.gather(create_batches(plan, links), tally.done())
        return watch.stop(plan.count)


async def socket_pool(plan: Plan) -> Outcome:
    """The same with jobs that any of the hosts may take."""
    async with connections(plan.port, plan.clients) as links, agents_of(plan, PoolAgent) as (agents, tally):
        await asyncio.sleep(SETTLE_SECONDS)
        watch = Stopwatch(plan.pid, plan.engines)
        await asyncio.gather(create_batches(plan, links, [_POOL_JOB]), tally.done())
        outcome = watch.stop(plan.count)
    figures = {
        "hints": sum(agent.hinted for agent in agents) / plan.count,
        "too late": sum(agent.too_late for agent in agents) / plan.count,
    }
    return msgspec.structs.replace(outcome, figures=figures)


async def socket_cancel(plan: Plan) -> Outcome:
    """From just before a user's cancel is sent until the agent is told, one at a time; nothing else goes on."""
    latencies: list[float] = []
    talks = [Talk() for _ in plan.hosts]

    async def connect(place: int) -> None:
        await talks[place].connect(plan.port, "/agent?running=", plan.hosts[place].key)
        await talks[place].until(CONFIG)

    await together(len(talks), connect)
    user = await Connection.open(plan.port)
    await asyncio.sleep(SETTLE_SECONDS)
    watch = Stopwatch(plan.pid, plan.engines)
    while len(latencies) < plan.count:
        for host, talk in zip(plan.hosts, talks, strict=True):
            path = f"/api/orgs/{plan.org}/jobs"
            await user.ask(post(path, plan.token, job_body(host.instance_id)), _CREATED)
            ids = ids_in(await talk.until(NEW))
            talk.socket.send(say(b"job:ack", ids))
            await talk.until(ACKED)
            began = time.perf_counter()
            answer = user.begin(post(f"{path}/{ids[0].decode()}/cancel", plan.token, b"{}"))
            _, at = await talk.until_at(b'{"event":"job:cancel"')
            latencies.append((at - began) * 1000)
            status, said = await answer
            if status != _ASKED:
                raise BenchFailed(f"A cancel was answered {status}: {said[:300].decode()}")
            talk.socket.send(say(b"job:cancelled", ids))
            await talk.until(b'{"event":"job:cancelled_ack"')
    outcome = watch.stop(len(latencies), latencies)
    for talk in talks:
        talk.cut()
    user.close()
    return outcome


SOCKET_LOADS: dict[str, Callable[[Plan], Awaitable[Outcome]]] = {
    load.__name__: load
    for load in (socket_echo, socket_round_trip, sit_bare, sit, socket_jobs, socket_pool, socket_cancel)
}
