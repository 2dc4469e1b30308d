"""An agent in Python, with `pip install interlock`. It searches, hands over what it finds, and can be stopped half-way.

    INTERLOCK_URL=http://127.0.0.1:8080 INTERLOCK_AGENT_KEY=… python agent.py

What must not get lost (that a run began, how it ended) is written to the state folder before it is said; a run whose
process is killed is reported as interrupted at the next start, and never done twice.
"""

import asyncio
import logging
import os
from pathlib import Path
from typing import Any

from interlock.agent import Agent, Context, Job

PLACES = ("north", "south", "west")

agent = Agent(
    os.environ["INTERLOCK_URL"],
    os.environ["INTERLOCK_AGENT_KEY"],
    state_dir=Path(os.environ.get("STATE_DIR", "agent-state")),
)


@agent.handler("SEARCH_SINGLE", timeout_seconds=300)
async def search(job: Job, context: Context) -> dict[str, Any]:
    """What is returned becomes the job's output; an exception fails the run, which is then tried again."""
    query = job.payload.get("query", "anything")
    found = 0
    for number, place in enumerate(PLACES):
        context.raise_if_cancelled()
        context.progress(100 * number / len(PLACES), f"looking in the {place}")
        await asyncio.sleep(0.1)  # the work itself
        item = {"type": "company", "title": f"{query} {place}", "source": "example"}
        verdicts = await context.evidence([item | {"snippet": "Road 1", "confidence": "low"}])
        found += sum(each.verdict == "created" for each in verdicts)
    return {"found": found}


if __name__ == "__main__":
    logging.basicConfig(level="INFO", format="%(asctime)s %(levelname)s %(message)s")
    asyncio.run(agent.run())
