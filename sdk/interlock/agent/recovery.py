"""After a restart: runs that were started and never finished are ended and reported as interrupted."""

import asyncio
import logging
from functools import partial

from interlock.agent.book import RunRecord
from interlock.agent.group import end_group
from interlock.agent.identity import can_be_known, still_lives
from interlock.agent.journal import Journal
from interlock.wire import Report

logger = logging.getLogger(__name__)

NOT_LET_GO = "no command had been let go"
GONE = "nothing of its process group {pid} was left; how it ended is not known"
STOPPED = "what was left of its process group {pid} has been stopped"
STILL_THERE = "some of its process group {pid} could not be stopped and may still be at work"
UNKNOWN = "its process {pid} cannot be known again on this system and was left alone"


async def end_interrupted(journal: Journal, *, grace_seconds: float, at_once: asyncio.Event) -> None:
    """Give every unfinished run a result. Never runs one again: it may have done its work.

    What still lives of its process group is ended first, so that the next job has the machine for itself.
    """
    for run in journal.book.unfinished():
        logger.warning("run %s was interrupted when the agent ended", run.job_run_id)
        found = await _end(run, grace_seconds, at_once)
        logger.warning("run %s: %s", run.job_run_id, found)
        message = f"the agent ended before this run did; {found}"
        journal.finished(run.job_run_id, Report(status="failed", error_code="interrupted", error_message=message))


async def _end(run: RunRecord, grace_seconds: float, at_once: asyncio.Event) -> str:
    """What was found of the run's processes and what became of them."""
    if run.process is None:
        return NOT_LET_GO
    pid = run.process.pid
    if not can_be_known(run.process):
        return UNKNOWN.format(pid=pid)
    lives = partial(still_lives, run.process, run.job_run_id)
    if not lives():
        return GONE.format(pid=pid)
    logger.warning("run %s: ending process group %d, which still runs", run.job_run_id, pid)
    ended = await end_group(pid, lives, grace_seconds=grace_seconds, at_once=at_once)
    return (STOPPED if ended else STILL_THERE).format(pid=pid)
