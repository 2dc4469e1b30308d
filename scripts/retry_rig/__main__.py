"""`./scripts/retries`: for each trouble, how many retries were on time."""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
from benches.figures import percentile

from engines.redis_server import own_redis
from retry_rig.plant import Plant, RigFailed, Story
from retry_rig.troubles import TROUBLES, Trouble

LATE_SECONDS = 10.0  # beyond its time a retry is late
PATIENCE_SECONDS = 240.0  # until all jobs of one trouble have ended
SWEEP_SECONDS = 2.0  # the product's own
UNSWEPT_SECONDS = 60.0  # the longest that the setting allows


class Sizes(NamedTuple):
    """How much is tried. Retries of a job come after 2, 4, 8 and 16 s: with five attempts they span half a minute."""

    hosts: int
    attempts: int
    outage_seconds: float


FULL = Sizes(hosts=125, attempts=5, outage_seconds=30)
QUICK = Sizes(hosts=10, attempts=3, outage_seconds=4)


class Figure(NamedTuple):
    """How late the retries of one trouble were, in seconds."""

    trouble: Trouble
    late: Sequence[float]

    @property
    def on_time(self) -> int:
        """How many came within ten seconds of their time."""
        return sum(late <= LATE_SECONDS for late in self.late)

    @property
    def row(self) -> str:
        """A line of the table."""
        spread = "  ".join(f"{percentile(self.late, percent):6.2f}" for percent in (50, 99, 100))
        return f"{self.trouble.name:15} {self.on_time:4} of {len(self.late):4}  {spread}   {self.trouble.what}"


def main() -> int:
    """The exit code: 0 when every retry was on time but where nobody swept."""
    names = [trouble.name for trouble in TROUBLES]
    parser = argparse.ArgumentParser(prog="retries", description="Are retries on time whatever happens to Redis?")
    parser.add_argument("troubles", nargs="*", metavar="TROUBLE", help=f"only these: {', '.join(names)}")
    parser.add_argument("--quick", action="store_true", help="a few retries each: shows that all works")
    options = parser.parse_args()
    if unknown := set(options.troubles) - set(names):
        parser.error(f"no such trouble: {', '.join(sorted(unknown))}")
    chosen = [trouble for trouble in TROUBLES if trouble.name in (options.troubles or names)]
    return asyncio.run(_all(chosen, QUICK if options.quick else FULL))


async def _all(troubles: Sequence[Trouble], sizes: Sizes) -> int:
    print(f"{'trouble':15} {'on time':>12}  {'p50 s':>6}  {'p99 s':>6}  {'max s':>6}")
    failed = False
    for trouble in troubles:
        try:
            figure = await _one(trouble, sizes)
        except RigFailed as failure:
            print(f"{trouble.name:15} {failure}")
            failed = True
            continue
        print(figure.row, flush=True)
        failed |= trouble.swept and figure.on_time < len(figure.late)
    return int(failed)


async def _one(trouble: Trouble, sizes: Sizes) -> Figure:
    with (
        tempfile.TemporaryDirectory(prefix="interlock-retries-") as folder,
        own_redis(memory=trouble.memory, policy=trouble.policy) as redis,
    ):
        sweep = SWEEP_SECONDS if trouble.swept else UNSWEPT_SECONDS
        plant = Plant(Path(folder), redis, sizes.hosts, sweep)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            await plant.start(session)
            try:
                return Figure(trouble, await _lateness(plant, session, trouble, sizes))
            finally:
                await plant.kill()


async def _lateness(plant: Plant, session: aiohttp.ClientSession, trouble: Trouble, sizes: Sizes) -> list[float]:
    story = Story(plant, session, sizes.attempts)
    jobs = await story.create()
    agents = asyncio.create_task(story.agents())
    await asyncio.sleep(1)  # all have failed once
    nemesis = asyncio.ensure_future(trouble.nemesis(plant, session, sizes.outage_seconds))
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await agents
    except TimeoutError:
        raise RigFailed(f"{story.done} of {len(jobs)} jobs ended within {PATIENCE_SECONDS:g} s") from None
    finally:
        nemesis.cancel()
        await asyncio.gather(nemesis, return_exceptions=True)
    retries = [run for run in await story.runs(jobs) if run["attempt"] > 1]
    if len(retries) != sizes.hosts * (sizes.attempts - 1):
        raise RigFailed(f"There were {len(retries)} retries")
    return [_at(run["startedAt"]) - _at(run["availableAt"]) for run in retries]


def _at(text: Any) -> float:
    return datetime.fromisoformat(text).timestamp()


if __name__ == "__main__":
    sys.exit(main())
