"""What happens to Redis, or to the server, while retries wait."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import aiohttp

from retry_rig.plant import Plant

Nemesis = Callable[[Plant, aiohttp.ClientSession, float], Awaitable[None]]
FLUSH_SECONDS = 0.5  # between two times that Redis is emptied


class Trouble(NamedTuple):
    """`nemesis(plant, session, seconds)` makes it; it may go on until it is cancelled."""

    name: str
    what: str
    nemesis: Nemesis
    memory: str = "0"
    policy: str = "noeviction"
    swept: bool = True  # without the sweep it shows what dramatiq alone would do: it must miss retries


async def _nothing(plant: Plant, session: aiohttp.ClientSession, seconds: float) -> None:
    del plant, session, seconds


async def _killed(plant: Plant, session: aiohttp.ClientSession, seconds: float) -> None:
    del session
    await asyncio.to_thread(plant.redis.kill)
    await asyncio.sleep(seconds)
    await asyncio.to_thread(plant.redis.start)


async def _hung(plant: Plant, session: aiohttp.ClientSession, seconds: float) -> None:
    del session
    plant.redis.pause()
    try:
        await asyncio.sleep(seconds)
    finally:
        plant.redis.resume()


async def _emptied(plant: Plant, session: aiohttp.ClientSession, seconds: float) -> None:
    del session, seconds
    while True:
        await asyncio.to_thread(plant.redis.flush)
        await asyncio.sleep(FLUSH_SECONDS)


async def _worker(plant: Plant, session: aiohttp.ClientSession, seconds: float) -> None:
    """Three times, a third of the outage apart."""
    for _ in range(3):
        await plant.kill()
        await plant.start(session)
        await asyncio.sleep(seconds / 3)


TROUBLES = (
    Trouble("none", "nothing happens", _nothing),
    Trouble("killed", "Redis is killed, and comes back empty", _killed),
    Trouble("hung", "Redis is stopped (SIGSTOP), and goes on", _hung),
    Trouble("emptied", "Redis is emptied twice a second", _emptied),
    Trouble("evicting", "Redis has 1 MB and evicts what it likes", _nothing, memory="1mb", policy="allkeys-lru"),
    Trouble("worker", "the server is killed (SIGKILL) and started again, three times", _worker),
    Trouble("killed-unswept", "Redis is killed, and nobody sweeps: dramatiq alone", _killed, swept=False),
)
