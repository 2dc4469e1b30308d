"""The fleet of the pictures: machines in three places, some of them in trouble, and a stream of jobs."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp

from screens.agents import Machine, work

PLACES = ("fra", "lhr", "iad")
SIZE = 60
NEVER, GONE = 2, 3  # machines that never connect, and that go away again
PAUSED = {"fra-7": "New power supply, back at four", "iad-12": "Noisy fan"}
DRAINING = "lhr-9"
MAPS = ("de_dust2", "de_inferno", "de_nuke", "cs_office", "de_mirage")
EVERY = 0.16  # seconds between new jobs
BACKLOG = 40  # jobs on one host at the beginning, so that it has a line to show


@dataclass(slots=True)
class Owner:
    """Who made the organization: its id, and a session that asks the API."""

    url: str
    org_id: str
    session: aiohttp.ClientSession
    token: str

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The answer of a route of the organization; it must go well."""
        headers = {"Authorization": f"Bearer {self.token}"}
        address = f"{self.url}/api/orgs/{self.org_id}{path}"
        async with self.session.request(method, address, json=body, headers=headers) as answer:
            if answer.status >= 400:  # noqa: PLR2004
                raise RuntimeError(f"{method} {path}: {await answer.text()}")
            return await answer.json()


async def make_machines(owner: Owner) -> list[Machine]:
    """Hosts, each with a server instance."""
    machines = []
    for number in range(SIZE):
        place = PLACES[number % len(PLACES)]
        name = f"{place}-{number // len(PLACES) + 1}"
        labels = {"place": place, "gpu": "yes" if number % 7 == 0 else "no"}
        made = await owner.ask("POST", "/hosts", {"name": name, "labels": labels})
        await owner.ask("POST", "/server-instances", {"name": f"cs-{name}", "hostId": made["id"]})
        machines.append(Machine(made["id"], name, made["agentKey"]))
    return machines


@contextlib.asynccontextmanager
async def alive(owner: Owner, machines: list[Machine], seed: int) -> AsyncIterator[None]:
    """While it is entered, agents work and jobs come."""
    chance = random.Random(seed)  # noqa: S311 - pictures, not secrets
    working = [asyncio.create_task(work(owner.session, owner.url, one, chance)) for one in machines[NEVER:]]
    await asyncio.sleep(1)
    await _trouble(owner, machines, working)
    coming = asyncio.create_task(_jobs(owner, machines, chance))
    try:
        yield
    finally:
        for task in (coming, *working):
            task.cancel()
        await asyncio.gather(coming, *working, return_exceptions=True)


async def _trouble(owner: Owner, machines: list[Machine], working: list[asyncio.Task[None]]) -> None:
    by_name = {machine.name: machine.id for machine in machines}
    for name, note in PAUSED.items():
        await owner.ask("PATCH", f"/hosts/{by_name[name]}", {"paused": True, "note": note})
    await owner.ask("POST", f"/hosts/{by_name[DRAINING]}/drain", {"deadlineSeconds": 3600})
    for task in working[:GONE]:
        task.cancel()


async def _jobs(owner: Owner, machines: list[Machine], chance: random.Random) -> None:
    busy = machines[-1]
    for _ in range(BACKLOG):
        await owner.ask("POST", "/jobs", _start(busy, chance))
    while True:
        machine = chance.choice(machines[NEVER + GONE :])
        pool = chance.random() < 0.3  # noqa: PLR2004
        body = _search(chance) if pool else _start(machine, chance)
        await owner.ask("POST", "/jobs", body)
        await asyncio.sleep(EVERY * chance.uniform(0.2, 1.8))


def _start(machine: Machine, chance: random.Random) -> dict[str, Any]:
    kind = chance.choice(("SERVER_START", "SERVER_RESTART", "SERVER_STOP"))
    payload = {"map": chance.choice(MAPS), "slots": chance.choice((12, 24, 32))}
    return {"type": kind, "hostId": machine.id, "payload": payload}


def _search(chance: random.Random) -> dict[str, Any]:
    query = f"coffee near {chance.choice(('Altona', 'Camden', 'Georgetown'))}"
    return {"type": "SEARCH_SINGLE", "payload": {"query": query}}
