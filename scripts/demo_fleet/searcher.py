"""The demo's own agent: a program with the SDK that does SEARCH_SINGLE jobs, as an agent in a browser would.

Run as `python searcher.py --url URL --state-dir DIR`, with the key in `INTERLOCK_AGENT_KEY`.
"""

import argparse
import asyncio
import logging
import os
import signal
from pathlib import Path
from typing import Any

from interlock.agent import Agent, AgentSettings, Context, Job
from interlock.wire import EvidenceItem

PLACES = ("Café Central", "Café Hawelka", "Café Sperl")
STEP_SECONDS = 0.15  # of looking at one place


async def search(job: Job, context: Context) -> dict[str, Any]:
    """Find places for `job.payload["keyword"]`; with `"captcha": true` only once a person has helped."""
    keyword = job.payload["keyword"]
    context.log(f"searching for {keyword} by {context.config.platform.get('searchMethod')}")
    if job.payload.get("captcha"):
        await context.needs_user_action("solve the captcha")
    found = []
    for number, place in enumerate(PLACES, start=1):
        await asyncio.sleep(STEP_SECONDS)
        context.progress(100 * number / len(PLACES), f"looked at {place}")
        found.append(_hit(place, keyword))
    page = "\n".join(f"<li>{item.title}</li>" for item in found)
    await context.asset("page.html", f"<ul>{page}</ul>".encode())
    # The last one twice, as a page does that shows a hit at its end and again at the head of the next.
    verdicts = await context.evidence([*found, found[-1]])
    return {"found": sum(each.verdict == "created" for each in verdicts)}


def _hit(place: str, keyword: str) -> EvidenceItem:
    return EvidenceItem(
        type="place", title=f"{place} ({keyword})", source="demo", snippet="open until late", confidence="high"
    )


async def _serve(agent: Agent) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, agent.stop)
    await agent.run()


def _main() -> None:
    parser = argparse.ArgumentParser(description="Do SEARCH_SINGLE jobs.")
    parser.add_argument("--url", required=True)
    parser.add_argument("--state-dir", type=Path, required=True)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    settings = AgentSettings(transport="socket", drain_seconds=3.0)
    agent = Agent(options.url, os.environ["INTERLOCK_AGENT_KEY"], state_dir=options.state_dir, settings=settings)
    agent.handler("SEARCH_SINGLE")(search)
    asyncio.run(_serve(agent))


if __name__ == "__main__":
    _main()
