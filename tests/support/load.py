"""Agents and users that go on through the deaths of their server, and remember all that they were told."""

import asyncio
import functools
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
    """One run at a time; a result is kept until it is acknowledged. Every poll says what it runs or still has to tell."""

    def __init__(self, host: Agent, doorman: Doorman, chance: random.Random, *, chains: bool) -> None:
        self.host = host
        self.instance = f"process-of-{host.id}"
        self.chains = chains  # takes the next job with the result, and polls only when that brought none
        self.working: str | None = None
        self.untold: list[str] = []  # runs whose result is on its way
        self.started: list[Document] = []  # what was taken, each run once, in order
        self.ended: list[tuple[Document, str]] = []  # runs whose result was acknowledged
        self.wrongs: list[str] = []
        self._doorman = doorman
        self._chance = chance
        self._done: set[str] = set()
        self._told = asyncio.Event()
        self._work: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Until cancelled."""
        try:
            while True:
                while self.chains and self._open:
                    self._told.clear()
                    await self._told.wait()
                reply = await self._doorman.insist(self._poll)
                if reply.status == 200:
                    self._take(reply.json)
                elif reply.status == 409:
                    self.wrongs.append(f"a poll was superseded: {reply.body!r}")
        finally:
            for task in self._work:
                task.cancel()
            await asyncio.gather(*self._work, return_exceptions=True)

    @property
    def _open(self) -> list[str]:
        return self.untold if self.working is None else [*self.untold, self.working]

    async def _poll(self) -> Reply:
        # Who was given another run has thereby been told that the one before is over.
        running = self.untold if self.working is None else [self.working]
        return await self.host.poll(1 if running else 5, running=running, instance=self.instance)

    def _take(self, taken: Document) -> None:
        run_id = taken["jobRunId"]
        if run_id in self._open:
            return
        if self.working is not None:
            self.wrongs.append(f"{run_id} was handed out while {self.working} ran")
        elif run_id in self._done:
            self.wrongs.append(f"{run_id} was handed out again after its end")
        elif self.started and taken["runNo"] <= self.started[-1]["runNo"]:
            self.wrongs.append(f"run number {taken['runNo']} came after {self.started[-1]['runNo']}")
        else:
            self.working = run_id
            self.started.append(taken)
            task = asyncio.create_task(self._carry_out(taken))
            self._work.add(task)
            task.add_done_callback(self._work.discard)

    async def _carry_out(self, taken: Document) -> None:
        run_id: str = taken["jobRunId"]
        for percent in range(0, 100, self._chance.choice((25, 50, 100))):
            await self._doorman.insist(functools.partial(self.host.progress, run_id, percent))
        status = "failed" if taken["attempt"] <= taken["payload"]["fails"] else "success"
        self.working = None
        self.untold.append(run_id)
        report = functools.partial(self.host.result, run_id, status, take_next=self.chains)
        reply = await self._doorman.insist(report)
        self.untold.remove(run_id)
        self._done.add(run_id)
        if reply.status == 200:
            self.ended.append((taken, reply.json["jobStatus"]))
            if reply.json.get("next") is not None:
                self._take(reply.json["next"])
        else:
            self.wrongs.append(f"the result of {run_id} was refused: {reply.body!r}")
        self._told.set()
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
