"""Agents that only pretend: they take jobs over HTTP, talk about them for a while, and end them well or badly."""

import asyncio
import contextlib
import random
from typing import Any, NamedTuple

import aiohttp

from interlock.ids import UuidIds

PACE = (0.4, 4.0)  # seconds that a job takes
SLOW = (30.0, 80.0)  # seconds that some take, so that there is something to look at
SLOW_ONES = 0.05  # share of the jobs
STEPS = 5
FAILS = 0.07  # share of the jobs
WORDS = {
    "SERVER_START": (
        "reading server.cfg",
        "binding 0.0.0.0:27015",
        "loading map",
        "warming up bots",
        "accepting players",
    ),
    "SERVER_STOP": ("telling 14 players", "saving the round", "closing sockets", "flushing logs", "stopped"),
    "SERVER_RESTART": ("telling players", "stopping", "updating plug-ins", "starting", "accepting players"),
}
SEARCHES = ("opening the source", "reading page 1", "reading page 2", "comparing with what is known", "writing up")
TROUBLES = (
    ("port_in_use", "bind: address already in use (27015/udp)"),
    ("map_missing", "The map de_aztec_v2 is not on this host"),
    ("rate_limited", "The source asks to come back in 90 s"),
    ("disk_full", "No space left on device: /srv/cs/logs"),
)


class Machine(NamedTuple):
    """A host and its agent's key."""

    id: str
    name: str
    key: str


async def work(session: aiohttp.ClientSession, url: str, machine: Machine, chance: random.Random) -> None:
    """Take jobs until cancelled."""
    agent = _Agent(session, f"{url}/api/agent/hosts/{machine.id}", machine, chance)
    beating = asyncio.create_task(agent.beat())
    try:
        while True:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                await agent.one()
    finally:
        beating.cancel()


class _Agent:
    def __init__(self, session: aiohttp.ClientSession, base: str, machine: Machine, chance: random.Random) -> None:
        self._session, self._base, self._chance = session, base, chance
        self._headers = {"Authorization": f"Bearer {machine.key}"}
        self._instance = UuidIds().new()
        self._running: list[str] = []

    async def one(self) -> None:
        """Wait for a job, and do it."""
        job = await self._take()
        if job is None:
            return
        run = f"/jobs/{job['jobRunId']}"
        self._running = [job["jobRunId"]]
        try:
            await self._do(run, job)
        finally:
            self._running = []

    async def beat(self) -> None:
        """Say every few seconds that it is there, and what it runs."""
        while True:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                await self._post("/heartbeat", {"instanceId": self._instance, "running": self._running})
            await asyncio.sleep(5)

    async def _take(self) -> dict[str, Any] | None:
        query = {"wait": "25", "instanceId": self._instance, "running": ""}
        async with self._session.get(f"{self._base}/jobs", params=query, headers=self._headers) as answer:
            if answer.status == 200:  # noqa: PLR2004
                job: dict[str, Any] = await answer.json()
                return job
            if answer.status != 204:  # noqa: PLR2004
                await asyncio.sleep(1)
            return None

    async def _do(self, run: str, job: dict[str, Any]) -> None:
        words = WORDS.get(job["type"], SEARCHES)
        seconds = self._chance.uniform(*(SLOW if self._chance.random() < SLOW_ONES else PACE))
        for step, line in enumerate(words, 1):
            await asyncio.sleep(seconds / STEPS)
            told = await self._post(f"{run}/progress", {"progress": 100 * step // STEPS})
            await self._post(f"{run}/logs", {"lines": [{"seq": step, "level": "info", "message": line}]})
            if told.get("cancelRequested"):
                await self._post(f"{run}/result", {"status": "cancelled"})
                return
        if job["type"].startswith("SEARCH"):
            await self._post(f"{run}/evidence", {"evidence": [_found(self._chance)]})
        await self._post(f"{run}/result", self._ending(seconds))

    def _ending(self, seconds: float) -> dict[str, Any]:
        millis = round(seconds * 1000)
        if self._chance.random() < FAILS:
            code, message = self._chance.choice(TROUBLES)
            return {
                "status": "failed",
                "errorCode": code,
                "errorMessage": message,
                "durationMs": millis,
                "retryable": self._chance.random() < 0.5,  # noqa: PLR2004
            }
        return {"status": "success", "durationMs": millis, "output": {"pid": self._chance.randrange(900, 60_000)}}

    async def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        async with self._session.post(f"{self._base}{path}", json=body, headers=self._headers) as answer:
            told: dict[str, Any] = await answer.json()
            return told


def _found(chance: random.Random) -> dict[str, Any]:
    number = chance.randrange(1000)
    return {
        "type": "listing",
        "title": f"Café Nord, branch {number}",
        "source": "google_maps",
        "url": f"https://example.com/places/{number}",
        "snippet": "Open until 22:00, 4.4 stars from 212 reviews",
        "confidence": chance.choice(("high", "medium", "low")),
    }
