"""Handing results over until the server has answered each of them, however long that takes."""

import asyncio
import logging

import msgspec

from interlock.agent.book import Owed
from interlock.agent.journal import Journal
from interlock.agent.pace import Pace
from interlock.agent.settings import AgentSettings
from interlock.agent.uplink import Uplink
from interlock.clock import Clock
from interlock.errors import Conflict, Forbidden, InterlockError, InvalidRequest, NotFound, TryLater, Unauthenticated
from interlock.ids import JobRunId
from interlock.wire import Report

logger = logging.getLogger(__name__)

SHORT_MESSAGE = 500  # characters of an error message in a report that was refused for what was in it


class Reporter:
    """Empties the journal's list of results that are owed, oldest first."""

    def __init__(self, uplink: Uplink, journal: Journal, settings: AgentSettings, clock: Clock) -> None:
        self._uplink = uplink
        self._journal = journal
        self._pace = Pace(settings, clock)
        self.last_taken: JobRunId | None = None  # the run whose result the server has taken last

    async def deliver(self) -> None:
        """Return once nothing is owed. A result is never given up for want of an answer."""
        while owed := self._journal.book.unreported():
            delay = await self._attempt(owed[0])
            if delay is not None:
                await asyncio.sleep(delay)

    async def _attempt(self, run: Owed) -> float | None:
        """Report once; seconds until the next attempt, or None when the server has answered for good."""
        try:
            await self._report(run)
        except (TryLater, Unauthenticated, Forbidden) as error:
            delay = self._pace.delay(error)
            logger.warning("run %s: %s; its result is reported again in %.1f s", run.job_run_id, _why(error), delay)
            return delay
        except InterlockError as error:
            logger.warning("run %s: %s", run.job_run_id, _dropped(error))
        self._pace.succeeded()
        self._journal.acknowledged(run.job_run_id)
        return None

    async def _report(self, run: Owed) -> None:
        try:
            answer = await self._uplink.report(run)
        except InvalidRequest as error:
            logger.warning(
                "run %s: the result was refused (%s); reporting it without its output", run.job_run_id, error
            )
            answer = await self._uplink.report(run._replace(report=_shortened(run.report)))
        self.last_taken = run.job_run_id
        will_retry = ", will be retried" if answer.will_retry else ""
        logger.info(
            "run %s: reported %s; its job is %s%s", run.job_run_id, run.report.status, answer.job_status, will_retry
        )


def _shortened(report: Report) -> Report:
    """The same ending without what a server may find too large or unfit."""
    message = report.error_message
    return msgspec.structs.replace(report, output=None, error_message=message and message[-SHORT_MESSAGE:])


def _why(error: InterlockError) -> str:
    if isinstance(error, (Unauthenticated, Forbidden)):
        return f"the server does not accept this agent key ({error.detail})"
    return f"the server did not take its result ({error.detail})"


def _dropped(error: InterlockError) -> str:
    if isinstance(error, Conflict):
        return f"the server has ended it otherwise ({error.detail}); its result is dropped"
    if isinstance(error, NotFound):
        return f"the server does not know it ({error.detail}); its result is dropped"
    return f"the server refuses its result ({error.detail}); it is dropped"
