"""After a restart: runs that were started and never finished are ended and reported as interrupted."""

import asyncio
import logging
from functools import partial

from interlock.agent.book import RunRecord
from interlock.agent.group import end_group
from interlock.agent.identity import still_lives
from interlock.agent.journal import Journal
from interlock.wire import Report

logger = logging.getLogger(__name__)

INTERRUPTED = Report(
    status="failed",
    error_code="interrupted",
    error_message="the agent ended before this run did; what was left of it has been stopped",
)


async def end_interrupted(journal: Journal, *, grace_seconds: float, at_once: asyncio.Event) -> None:
    """Give every unfinished run a result. Never runs one again: it may have done its work.

    What still lives of its process group is ended first, so that the next job has the machine for itself.
    """
    for run in journal.book.unfinished():
        logger.warning("run %s was interrupted when the agent ended", run.job_run_id)
        await _end(run, grace_seconds, at_once)
        journal.finished(run.job_run_id, INTERRUPTED)


async def _end(run: RunRecord, grace_seconds: float, at_once: asyncio.Event) -> None:
    if run.process is None:
        return
    lives = partial(still_lives, run.process, run.job_run_id)
    if not lives():
        return
    logger.warning("run %s: ending process group %d, which still runs", run.job_run_id, run.process.pid)
    if not await end_group(run.process.pid, lives, grace_seconds=grace_seconds, at_once=at_once):
        logger.error("run %s: some of process group %d could not be ended", run.job_run_id, run.process.pid)
