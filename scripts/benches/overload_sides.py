"""The two sides of a storm, each in a process of its own: users who do not wait for each other, and agents.

The users' load is open: a create falls due when its time has come, whatever became of those before it. Its latency
counts from that moment, so a driver or a server that falls behind cannot hide it.
"""

import asyncio
import itertools
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import msgspec

from benches.agents import run_in
from benches.connection import Connection, Reply, get, post
from benches.loads import job_body
from benches.overload_plan import DEADLINE_SECONDS, DRAIN_SECONDS, Agents, Storm, Users
from benches.plan import BenchFailed, FleetHost

_TICK = 0.002  # seconds between two looks at what has fallen due
_AGAIN = 0.2  # seconds until an agent that was refused asks again
_POLL_SECONDS = 5
_REPORT = b'{"status":"success","durationMs":1}'
_JOB = b'"jobId":"'
_ID = slice(7, 43)  # of a created job's document, which begins {"id":"…
_ID_LENGTH = 36
_OK, _CREATED, _NOTHING = 200, 201, 204


class _Link(Connection):
    """A connection that remembers whether its last refusal said when to try again."""

    says_when = False

    def data_received(self, data: bytes) -> None:
        """Called by asyncio."""
        self.says_when = b"\r\nRetry-After: " in data
        super().data_received(data)


class _Crowd:
    """The users."""

    def __init__(self, storm: Storm, links: list[_Link]) -> None:
        path = f"/api/orgs/{storm.org}/jobs"
        self._requests = itertools.cycle([post(path, storm.token, job_body(host.instance_id)) for host in storm.hosts])
        self._free = deque(links)
        self._waiting: deque[float] = deque()  # when they were due
        self.due = self.without_wait = self.unsent = self.broken = 0
        self.created: dict[str, float] = {}
        self.refused: Counter[str] = Counter()
        self.refused_ms: list[float] = []

    def arrive(self, due_at: float) -> None:
        """A create has fallen due."""
        self.due += 1
        self._waiting.append(due_at)
        self._send()

    def _send(self) -> None:
        while self._waiting and self._free:
            due_at = self._waiting.popleft()
            if due_at + DEADLINE_SECONDS < time.monotonic():
                self.unsent += 1
                continue
            link = self._free.popleft()
            reply = link.begin(next(self._requests))
            reply.add_done_callback(partial(self._answered, link, due_at))

    def _answered(self, link: _Link, due_at: float, done: "asyncio.Future[Reply]") -> None:
        if done.cancelled():
            return
        if done.exception() is not None:
            self.broken += 1
            return
        took_ms = (time.monotonic() - due_at) * 1000
        status, body = done.result()
        if status == _CREATED:
            self.created[body[_ID].decode()] = took_ms
        else:
            self.refused[str(status)] += 1
            self.refused_ms.append(took_ms)
            self.without_wait += not link.says_when
        self._free.append(link)
        self._send()

    @property
    def unheard(self) -> int:
        """Creates that were due and have no answer yet."""
        return self.due - len(self.created) - self.refused.total() - self.unsent - self.broken


async def users(storm: Storm) -> Users:
    """Creates at their times, and the answers to all of them."""
    links = await _open(storm.port, storm.links)
    crowd = _Crowd(storm, links)
    cpu = time.process_time()
    total = round(storm.rate * storm.seconds)
    while crowd.due < total:
        await asyncio.sleep(_TICK)
        while crowd.due < total and (due_at := storm.begins_at + crowd.due / storm.rate) <= time.monotonic():
            crowd.arrive(due_at)
    last = time.monotonic() + 4 * DEADLINE_SECONDS
    while crowd.unheard and time.monotonic() < last:  # noqa: ASYNC110 - a signal for each would cost each
        await asyncio.sleep(_TICK)
    if crowd.unheard:
        raise BenchFailed(f"{crowd.unheard} creates were never answered")
    for link in links:
        link.close()
    return Users(
        due=crowd.due,
        created=crowd.created,
        refused=crowd.refused,
        refused_ms=crowd.refused_ms,
        without_wait=crowd.without_wait,
        unsent=crowd.unsent,
        broken=crowd.broken,
        driver_cpu_seconds=time.process_time() - cpu,
    )


async def agents(storm: Storm) -> Agents:
    """All hosts' agents at work until the storm is over and its jobs have had their time to end."""
    links = await _open(storm.port, len(storm.hosts))
    diary = _Diary()
    tasks = [asyncio.create_task(_work(host, link, diary)) for host, link in zip(storm.hosts, links, strict=True)]
    cpu = time.process_time()
    await asyncio.sleep(storm.begins_at + storm.seconds - time.monotonic())
    in_storm = len(diary.ended)
    await asyncio.sleep(storm.begins_at + storm.seconds + DRAIN_SECONDS - time.monotonic())
    ended = Agents(
        ended=list(diary.ended),
        in_storm=in_storm,
        turned_away=diary.turned_away,
        report_ms=list(diary.report_ms),
        driver_cpu_seconds=time.process_time() - cpu,
    )
    failed = [error for task in tasks if task.done() and (error := task.exception()) is not None]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for link in links:
        link.close()
    if failed:
        raise BenchFailed(f"{len(failed)} agents have ended, the first so: {failed[0]}")
    return ended


class _Diary:
    """What the agents have seen."""

    def __init__(self) -> None:
        self.ended: list[str] = []
        self.report_ms: list[float] = []
        self.turned_away = 0


async def _work(host: FleetHost, link: _Link, diary: _Diary) -> None:
    """Poll, report success, again; whatever is refused is sent again."""
    jobs = f"/api/agent/hosts/{host.id}/jobs"
    poll = get(f"{jobs}?wait={_POLL_SECONDS}", host.key)
    while True:
        taken = await _insist(link, poll, diary)
        run_id = run_in(taken)
        if run_id is None:
            continue
        began = time.monotonic()
        await _insist(link, post(f"{jobs}/{run_id}/result", host.key, _REPORT), diary)
        diary.report_ms.append((time.monotonic() - began) * 1000)
        place = taken.find(_JOB) + len(_JOB)
        diary.ended.append(taken[place : place + _ID_LENGTH].decode())


async def _insist(link: _Link, request: bytes, diary: _Diary) -> bytes:
    while True:
        reply = await link.begin(request)
        if reply.status in {_OK, _NOTHING}:
            return reply.body
        if not link.says_when:
            raise BenchFailed(f"An agent was answered {reply.status}: {reply.body[:300].decode()}")
        diary.turned_away += 1
        await asyncio.sleep(_AGAIN)


async def _open(port: int, count: int) -> list[_Link]:
    loop = asyncio.get_running_loop()
    return [(await loop.create_connection(_Link, "127.0.0.1", port))[1] for _ in range(count)]


SIDES: dict[str, Callable[[Storm], Coroutine[Any, Any, Users | Agents]]] = {
    side.__name__: side for side in (users, agents)
}


def main() -> int:
    """The exit code: 0 with an outcome on stdout, 1 with a sentence on stderr."""
    storm = msgspec.json.decode(sys.stdin.buffer.read(), type=Storm)
    try:
        outcome = asyncio.run(SIDES[storm.side](storm))
    except (BenchFailed, OSError) as failure:
        print(f"The {storm.side}: {failure}", file=sys.stderr)
        return 1
    sys.stdout.buffer.write(msgspec.json.encode(outcome))
    return 0


if __name__ == "__main__":
    sys.exit(main())
