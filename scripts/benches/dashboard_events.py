"""What goes on while a dashboard is looked at: jobs on every host, and then a steady stream of events about them.

A host in ten turns its jobs over, half of them with new jobs, half with an old one that is tried again and again; all
others run one job without end, which says how far it is.
"""

import asyncio
import contextlib
import itertools
import time
from collections import defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from functools import partial

import msgspec

from benches.agents import WAIT_SECONDS, run_in
from benches.connection import Connection, expect, get, post
from benches.loads import connections
from benches.plan import BenchFailed, FleetHost, Outcome, Plan
from benches.stopwatch import Stopwatch

TURNING = 10  # one host in so many
EVENTS_OF_A_TURN = 3  # created or tried again, started, done
SHARE_OF_PROGRESS = 0.7  # of all events
TICK_SECONDS = 0.05  # between two bursts of events
RUN_SECONDS = 1.0  # that a job runs which is to end: long enough to be seen on a busy machine
WATCHED_SHARE = 15  # one new job in so many is for the first host, whose page is looked at
_DAY_SECONDS = 86_400
_PAGE = 200  # jobs that the API gives at once
_AGAIN_SECONDS = 0.2  # until what was refused for want of room is asked again
_OK, _CREATED, _NOTHING, _LATER = 200, 201, 204, 503
_DONE = b'{"status":"success","durationMs":1}'
_FAILED = (
    b'{"status":"failed","errorCode":"port_in_use","errorMessage":"bind: address already in use","retryable":false}'
)

Talk = Callable[[Connection], Awaitable[None]]


def parts(hosts: Sequence[FleetHost]) -> tuple[Sequence[FleetHost], Sequence[FleetHost], Sequence[FleetHost]]:
    """Hosts that get new jobs, those whose only job is tried again, and those that run theirs without end."""
    turning = max(len(hosts) // TURNING // 2, 1)
    return hosts[:turning], hosts[turning : 2 * turning], hosts[2 * turning :]


async def dashboard_jobs(plan: Plan) -> Outcome:
    """A job on each host, as the events leave them: ended, failed, or running."""
    fresh, again, long = parts(plan.hosts)
    talks = [_turn(plan, host, _DONE) for host in fresh]
    talks += [_turn(plan, host, _FAILED) for host in again]
    talks += [_begin(plan, host) for host in long]
    async with connections(plan.port, plan.clients) as links:
        watch = Stopwatch(plan.pid, plan.engines)
        left = iter(talks)

        async def client(link: Connection) -> None:
            for talk in left:
                await talk(link)

        await asyncio.gather(*map(client, links))
        return watch.stop(len(talks))


async def dashboard_events(plan: Plan) -> Outcome:
    """`rate` events a second, `count` of them where the machine keeps up: each burst falls due at its time, whether the one
    before has been answered or not.
    """
    async with connections(plan.port, plan.clients) as links:
        stream = _Stream(plan, await _jobs(plan, links[0]))
        free: asyncio.Queue[Connection] = asyncio.Queue()
        for link in links:
            free.put_nowait(link)
        seconds = plan.count / plan.rate
        watch = Stopwatch(plan.pid, plan.engines)
        async with asyncio.TaskGroup() as talks, contextlib.aclosing(_bursts(seconds)) as bursts:
            async for tick in bursts:
                for talk in stream.due(tick):
                    link = await free.get()
                    talks.create_task(_lent(talk, link, free))
        return watch.stop(stream.events)


async def _lent(talk: Talk, link: Connection, free: "asyncio.Queue[Connection]") -> None:
    await talk(link)
    free.put_nowait(link)


async def _bursts(seconds: float) -> AsyncGenerator[float, None]:
    """When bursts are due, since the beginning. What a busy machine has not begun when the time is over is left out."""
    began = time.monotonic()
    for number in itertools.count(1):
        due = number * TICK_SECONDS
        await asyncio.sleep(max(began + due - time.monotonic(), 0))
        if time.monotonic() - began > seconds:
            return
        yield due


class _Job(msgspec.Struct):
    """What matters of a job of the list."""

    id: str
    host_id: str = msgspec.field(name="hostId")
    runs: list["_Run"] = msgspec.field(name="jobRuns")


class _Run(msgspec.Struct):
    id: str


class _Jobs(msgspec.Struct):
    items: list[_Job]
    cursor: str | None = msgspec.field(name="nextCursor")


class _Stream:
    """What falls due by then: a fixed share of it is progress, the rest are jobs that are made and ended."""

    def __init__(self, plan: Plan, jobs: Mapping[str, _Job]) -> None:
        self.events = 0
        fresh, again, long = parts(plan.hosts)
        self._progress_rate = plan.rate * SHARE_OF_PROGRESS
        self._turn_rate = plan.rate * (1 - SHARE_OF_PROGRESS) / EVENTS_OF_A_TURN
        self._progresses = (
            _progress(host, jobs[host.id].runs[-1].id, percent)
            for percent in itertools.cycle(range(1, 101))
            for host in long
        )
        self._turns = _turns(plan, fresh, again, jobs)
        self._hosts: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._told = self._turned = 0

    def due(self, seconds: float) -> Iterator[Talk]:
        """What falls due by then, since the beginning."""
        while self._told < self._progress_rate * seconds:
            self._told += 1
            self.events += 1
            yield next(self._progresses)
        while self._turned < self._turn_rate * seconds:
            self._turned += 1
            self.events += EVENTS_OF_A_TURN
            host, turn = next(self._turns)
            yield partial(self._in_line, host, turn)

    async def _in_line(self, host: FleetHost, turn: Talk, link: Connection) -> None:
        """A host has one agent: on a busy machine its last turn may not be over yet."""
        async with self._hosts[host.id]:
            await turn(link)


def _turns(
    plan: Plan, fresh: Sequence[FleetHost], again: Sequence[FleetHost], jobs: Mapping[str, _Job]
) -> Iterator[tuple[FleetHost, Talk]]:
    """A new job and one that is tried again, by turns; every so often the new one is for the first host."""
    watched, *others = fresh
    turn, retried = itertools.cycle(others or [watched]), itertools.cycle(again)
    for number in itertools.count():
        host = watched if number % WATCHED_SHARE == 0 else next(turn)
        yield host, _turn(plan, host, _DONE)
        host = next(retried)
        yield host, _retry(plan, host, jobs[host.id].id)


async def _jobs(plan: Plan, link: Connection) -> dict[str, _Job]:
    """The newest job of each host, by the host's id."""
    found: dict[str, _Job] = {}
    cursor: str | None = ""
    while cursor is not None:
        path = f"/api/orgs/{plan.org}/jobs?limit={_PAGE}{'&cursor=' + cursor if cursor else ''}"
        page = msgspec.json.decode(await link.ask(get(path, plan.token), _OK), type=_Jobs)
        for job in page.items:
            found.setdefault(job.host_id, job)
        cursor = page.cursor
    return found


def _progress(host: FleetHost, run_id: str, percent: int) -> Talk:
    path = f"/api/agent/hosts/{host.id}/jobs/{run_id}/progress"

    async def talk(link: Connection) -> None:
        await link.ask(post(path, host.key, b'{"progress":%d}' % percent), _OK)

    return talk


def _begin(plan: Plan, host: FleetHost) -> Talk:
    """Create a job, and let its host take it."""

    async def talk(link: Connection) -> None:
        await _create(plan, host, link)
        await _take(host, link)

    return talk


def _turn(plan: Plan, host: FleetHost, report: bytes) -> Talk:
    """Create a job, let its host take it, and end it."""

    async def talk(link: Connection) -> None:
        await _create(plan, host, link)
        run_id = await _take(host, link)
        await asyncio.sleep(RUN_SECONDS)
        await _end(host, run_id, report, link)

    return talk


def _retry(plan: Plan, host: FleetHost, job_id: str) -> Talk:
    """Try a job again that has failed, and let it fail."""

    async def talk(link: Connection) -> None:
        await _insist(link, post(f"/api/orgs/{plan.org}/jobs/{job_id}/retry", plan.token, b"{}"), _OK)
        run_id = await _take(host, link)
        await asyncio.sleep(RUN_SECONDS)
        await _end(host, run_id, _FAILED, link)

    return talk


async def _create(plan: Plan, host: FleetHost, link: Connection) -> None:
    wanted = {
        "type": "SERVER_START",
        "serverInstanceId": host.instance_id,
        "payload": {"map": "de_dust2", "slots": 24},
        "timeoutSeconds": _DAY_SECONDS,
    }
    await _insist(link, post(f"/api/orgs/{plan.org}/jobs", plan.token, msgspec.json.encode(wanted)), _CREATED)


async def _take(host: FleetHost, link: Connection) -> str:
    """The run's id."""
    poll = get(f"/api/agent/hosts/{host.id}/jobs?wait={WAIT_SECONDS}", host.key)
    while (reply := await link.begin(poll)).status == _NOTHING:
        pass  # a busy server may take longer than a poll does
    taken = expect(reply, _OK)
    run_id = run_in(taken)
    if run_id is None:
        raise BenchFailed(f"A reply without a run: {taken[:300].decode()}")
    return run_id


async def _end(host: FleetHost, run_id: str, report: bytes, link: Connection) -> None:
    await link.ask(post(f"/api/agent/hosts/{host.id}/jobs/{run_id}/result", host.key, report), _OK)


async def _insist(link: Connection, request: bytes, expected: int) -> None:
    """Ask again for as long as the server has no room for new work."""
    while True:
        reply = await link.begin(request)
        if reply.status != _LATER:
            expect(reply, expected)
            return
        await asyncio.sleep(_AGAIN_SECONDS)


DASHBOARD_LOADS: dict[str, Callable[[Plan], Awaitable[Outcome]]] = {
    load.__name__: load for load in (dashboard_jobs, dashboard_events)
}
