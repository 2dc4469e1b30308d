"""Agents and users that go on through the deaths of their server, and remember all that they were told."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp

from tests.support.callers import Agent, Document, Reply, Tenant

PAUSE = 0.02  # seconds before a server that said "try again" is asked again


class Doorman:
    """Knows whether the server is up, and counts what happens, so that others can wait for it."""

    def __init__(self) -> None:
        self.up = asyncio.Event()
        self.happened: Counter[str] = Counter()
        self._changed = asyncio.Condition()

    async def note(self, what: str) -> None:
        """Something happened."""
        async with self._changed:
            self.happened[what] += 1
            self._changed.notify_all()

    async def wait(self, condition: Callable[[], bool]) -> None:
        """Return when what happened makes it true."""
        async with self._changed:
            await self._changed.wait_for(condition)

    async def insist(self, ask: Callable[[], Awaitable[Reply]]) -> Reply:
        """Ask until there is an answer that is not "try again"."""
        while True:
            await self.up.wait()
            try:
                reply = await ask()
            except (aiohttp.ClientError, ConnectionError):
                await self.note("broken")
                continue
            if reply.status != 503:
                return reply
            await self.note("asked to try again")
            await asyncio.sleep(PAUSE)


class LoyalAgent:
    """One run at a time; a result is kept until it is acknowledged. It says what it runs on every poll."""

    def __init__(self, host: Agent, doorman: Doorman, chance: random.Random, *, chains: bool) -> None:
        self.host = host
        self.instance = f"process-of-{host.id}"
        self.chains = chains  # takes the next job with the result, and polls only when that brought none
        self.current: str | None = None
        self.started: list[Document] = []  # what was taken, each run once, in order
        self.ended: list[tuple[Document, str]] = []  # runs whose result was acknowledged
        self.wrongs: list[str] = []
        self._doorman = doorman
        self._chance = chance
        self._done: set[str] = set()
        self._idle = asyncio.Event()
        self._work: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Until cancelled."""
        try:
            while True:
                if self.chains and self.current is not None:
                    self._idle.clear()
                    await self._idle.wait()
                reply = await self._doorman.insist(self._poll)
                if reply.status == 200:
                    self._take(reply.json)
                elif reply.status == 409:
                    self.wrongs.append(f"a poll was superseded: {reply.body!r}")
        finally:
            for task in self._work:
                task.cancel()
            await asyncio.gather(*self._work, return_exceptions=True)

    async def _poll(self) -> Reply:
        named = [] if self.current is None else [self.current]
        wait = 5 if self.current is None else 1
        return await self.host.poll(wait, running=named, instance=self.instance)

    def _take(self, taken: Document) -> None:
        run_id = taken["jobRunId"]
        if run_id == self.current:
            return
        if self.current is not None:
            self.wrongs.append(f"{run_id} was handed out while {self.current} ran")
        elif run_id in self._done:
            self.wrongs.append(f"{run_id} was handed out again after its end")
        elif self.started and taken["runNo"] <= self.started[-1]["runNo"]:
            self.wrongs.append(f"run number {taken['runNo']} came after {self.started[-1]['runNo']}")
        else:
            self.current = run_id
            self.started.append(taken)
            task = asyncio.create_task(self._carry_out(taken))
            self._work.add(task)
            task.add_done_callback(self._work.discard)

    async def _carry_out(self, taken: Document) -> None:
        run_id, following = taken["jobRunId"], None
        for percent in range(0, 100, self._chance.choice((25, 50, 100))):
            await self._doorman.insist(lambda percent=percent: self.host.progress(run_id, percent))  # type: ignore[misc]
        status = "failed" if taken["attempt"] <= taken["payload"]["fails"] else "success"
        reply = await self._doorman.insist(lambda: self.host.result(run_id, status, take_next=self.chains))
        if reply.status == 200:
            following = reply.json.get("next")
            self.ended.append((taken, reply.json["jobStatus"]))
        else:
            self.wrongs.append(f"the result of {run_id} was refused: {reply.body!r}")
        self._done.add(run_id)
        self.current = None
        if following is not None:
            self._take(following)
        self._idle.set()
        await self._doorman.note("result acknowledged")


class Creator:
    """Creates numbered jobs for one host, one after the other, and remembers every 201."""

    def __init__(self, tenant: Tenant, host: Agent, doorman: Doorman, chance: random.Random) -> None:
        self.created: dict[str, int] = {}  # number by job id
        self.stop = False
        self._tenant = tenant
        self._host = host
        self._doorman = doorman
        self._chance = chance

    async def run(self, ahead: Callable[[], int], most_ahead: int) -> None:
        """Until told to stop; never more than so many jobs ahead of the agent."""
        number = 0
        while not self.stop:
            number += 1
            await self._doorman.wait(lambda: self.stop or ahead() < most_ahead)
            await self._create(number)

    async def _create(self, number: int) -> None:
        fails = self._chance.choices((0, 1), (20, 1))[0]
        body = {"type": "SERVER_START", "hostId": self._host.id, "payload": {"number": number, "fails": fails}}
        path = self._tenant.jobs_path
        keyed: dict[str, Any] = {"headers": {"Idempotency-Key": f"{self._host.id}-{number}"}}
        if self._chance.random() < 0.5:
            reply = await self._doorman.insist(lambda: self._tenant.user.post(path, body, **keyed))
        else:
            await self._doorman.up.wait()
            try:
                reply = await self._tenant.user.post(path, body)  # whether it was created stays open if this breaks
            except (aiohttp.ClientError, ConnectionError):
                return
        if reply.status == 201:
            job_id: str = reply.json["id"]
            if self.created.setdefault(job_id, number) != number:
                raise AssertionError(f"{job_id} was given to two requests")
            await self._doorman.note("job created")
