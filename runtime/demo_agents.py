"""Agents for `interlock dev`: they only act as if, so that jobs have somewhere to run."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from interlock.agent import Agent, Context, Job, Outcome
from interlock.agent.settings import AgentSettings

SETTINGS = AgentSettings(drain_seconds=0.0, grace_seconds=0.5, exit_report_seconds=2.0, log_interval_seconds=0.2)
STEPS = 5  # parts of a job, each with a line in the log
LONGEST_SECONDS = 3600.0
DEFAULT_SECONDS = 3.0  # that a job takes, unless its payload says `{"seconds": 10}`
SERVERS = ("SERVER_START", "SERVER_STOP", "SERVER_RESTART")
SEARCHES = ("SEARCH_SINGLE", "SEARCH_BULK")


def demo_agent(url: str, key: str, state_dir: Path) -> Agent:
    """An agent that does the built-in types of servers and of searches. A payload of `{"fail": true}` fails."""
    agent = Agent(url, key, state_dir=state_dir, settings=SETTINGS)
    for each in SERVERS:
        agent.handler(each)(_act)
    for each in SEARCHES:
        agent.handler(each)(_search)
    return agent


@asynccontextmanager
async def running(agents: list[Agent]) -> AsyncIterator[None]:
    """Agents that run until the block is left, and have ended afterwards."""
    async with asyncio.TaskGroup() as group:
        for agent in agents:
            group.create_task(agent.run())
        try:
            yield
        finally:
            for agent in agents:
                agent.stop()


async def _act(job: Job, context: Context) -> Outcome:
    seconds = _seconds(job.payload.get("seconds"))
    for step in range(STEPS):
        context.raise_if_cancelled()
        context.progress(100 * step // STEPS, f"step {step + 1} of {STEPS}")
        await asyncio.sleep(seconds / STEPS)
    if job.payload.get("fail"):
        return Outcome.failed("asked_to", "it was asked to fail")
    return Outcome.succeeded({"done": job.type, "seconds": seconds})


async def _search(job: Job, context: Context) -> Outcome:
    acted = await _act(job, context)
    if acted.error_code is not None:
        return acted
    sought = str(job.payload.get("query", "nothing in particular"))
    item = {"type": "company", "title": sought, "source": "demo", "snippet": f"Somebody has heard of {sought}."}
    await context.evidence([item | {"confidence": "low"}])
    return Outcome.succeeded({"found": 1})


def _seconds(given: object) -> float:
    if isinstance(given, int | float) and 0 <= given <= LONGEST_SECONDS:
        return float(given)
    return DEFAULT_SECONDS
