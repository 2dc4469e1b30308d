"""The driver's agents: long-poll, report success, again. They run nothing, so that only the control plane is measured."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from benches.connection import Connection, Reply, expect, get, post
from benches.plan import BenchFailed, FleetHost

WAIT_SECONDS = 25  # what agents ask for
_REPORT = b'{"status":"success","durationMs":1}'
_RUN = b'"jobRunId":"'
_ID_LENGTH = 36
_OK, _NOTHING = 200, 204


class Tally:
    """Counts the runs that have ended, and insists that each ends once."""

    def __init__(self, wanted: int) -> None:
        self._wanted = wanted
        self._ended: set[str] = set()
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def ended(self, run_id: str) -> None:
        """One more."""
        if run_id in self._ended:
            raise BenchFailed(f"The run {run_id} was handed out twice")
        self._ended.add(run_id)
        if len(self._ended) == self._wanted and not self._done.done():
            self._done.set_result(None)

    async def done(self) -> None:
        """Return when all have ended; raise what an agent could not bear."""
        await self._done

    def watch(self, agent: "asyncio.Task[None]") -> None:
        """The agent's end, if it comes, is the end of all."""
        if not agent.cancelled():
            self.fail(agent.exception() or BenchFailed("An agent has ended"))

    def fail(self, why: BaseException) -> None:
        """An agent could not bear it."""
        if not self._done.done():
            self._done.set_exception(why)


class Agent:
    """The agent of one host, on its own connection."""

    def __init__(self, host: FleetHost, link: Connection, tally: Tally) -> None:
        self._link = link
        self._tally = tally
        self._jobs = f"/api/agent/hosts/{host.id}/jobs"
        self._key = host.key
        self._poll = get(f"{self._jobs}?wait={WAIT_SECONDS}", host.key)

    def begin_poll(self) -> "asyncio.Future[Reply]":
        """Ask for a job, which may take a while to come."""
        return self._link.begin(self._poll)

    async def finish(self, taken: bytes, *, take_next: bool = False) -> bytes | None:
        """Report the run in this reply a success; the reply with the next one, if it was asked for and there is one."""
        run_id = run_in(taken)
        if run_id is None:
            raise BenchFailed(f"A reply without a run: {taken[:300].decode()}")
        path = f"{self._jobs}/{run_id}/result{'?next=1' if take_next else ''}"
        answer = await self._link.ask(post(path, self._key, _REPORT), _OK)
        self._tally.ended(run_id)
        return answer if run_in(answer) is not None else None

    async def run(self, *, take_next: bool) -> None:
        """Take and finish jobs until cancelled."""
        while True:
            reply = await self.begin_poll()
            if reply.status == _NOTHING:
                continue
            taken: bytes | None = expect(reply, _OK)
            while taken is not None:
                taken = await self.finish(taken, take_next=take_next)


@asynccontextmanager
async def running(agents: Sequence[Agent], tally: Tally, *, take_next: bool) -> AsyncIterator[None]:
    """All agents at work."""
    tasks = [asyncio.create_task(agent.run(take_next=take_next)) for agent in agents]
    for task in tasks:
        task.add_done_callback(tally.watch)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def run_in(body: bytes) -> str | None:
    """The run that a poll's or report's reply hands out. Found by its name: reading all the JSON would cost more."""
    place = body.find(_RUN)
    return None if place < 0 else body[place + len(_RUN) : place + len(_RUN) + _ID_LENGTH].decode()
