"""Doing one run: the same path for every handler and every way in which work arrives."""

import logging
import time
from functools import partial

from interlock.agent.context import KnownConfig, RunContext
from interlock.agent.errors import AgentError
from interlock.agent.handlers import Cancelled, Context, Handler, Handlers, Job, Outcome, StopReason
from interlock.agent.journal import Journal
from interlock.agent.limit import Limit
from interlock.agent.results import describe, reason, report_of
from interlock.agent.settings import AgentSettings
from interlock.agent.text import clean
from interlock.agent.uploads import Uploads
from interlock.ids import JobRunId
from interlock.wire import Report, TakenJob

logger = logging.getLogger(__name__)


class Runner:
    """The agent's only slot. `run` journals the start, lets the handler work and journals the result."""

    def __init__(self, handlers: Handlers, journal: Journal, settings: AgentSettings, config: KnownConfig) -> None:
        self._handlers = handlers
        self._journal = journal
        self._settings = settings
        self._config = config
        self._current: RunContext | None = None

    def handles(self, job_type: str) -> bool:
        """Whether there is a handler for that type."""
        return job_type in self._handlers

    def wants_config(self, job_type: str) -> bool:
        """Whether the handler of that type may look at the organization's settings."""
        handler = self._handlers.get(job_type)
        return handler is not None and handler.wants_config

    @property
    def running(self) -> list[JobRunId]:
        """The run at work, as a list of none or one."""
        return [self._current.job_run_id] if self._current is not None else []

    @property
    def waits_for_user(self) -> bool:
        """Whether the run at work waits for its user, and the server has been told so."""
        return self._current is not None and self._current.waits_for_user

    async def run(self, taken: TakenJob, uploads: Uploads) -> None:
        """Do `taken` to its end; its result is in the journal on return, and owed unless the run was abandoned.

        `StateUnusable` when the journal fails: then nothing was started, or the result is known in memory only.
        """
        if self._current is not None:
            raise RuntimeError(f"run {self._current.job_run_id} is still at work")
        self._journal.started(taken)
        self._current = context = RunContext(taken, self._journal, uploads, self._config)
        began = time.monotonic()
        try:
            report = await self._work(taken, context)
        finally:
            self._current = None
        report.duration_ms = round((time.monotonic() - began) * 1000)
        told = describe(report), report.duration_ms, reason(report)
        logger.info("run %s: %s after %d ms%s", taken.job_run_id, *told)
        self._journal.finished(taken.job_run_id, report)
        if context.stop.reason is StopReason.ABANDON:
            self._journal.acknowledged(taken.job_run_id)

    def stop(self, job_run_id: JobRunId, reason: StopReason) -> bool:
        """Ask the run to stop; False when it is not at work here."""
        context = self._current
        if context is None or context.job_run_id != job_run_id:
            return False
        if reason is StopReason.CANCEL and context.limit is not None and context.limit.is_all_but_over():
            reason = StopReason.SERVER_TIMEOUT
        if context.stop.request(reason):
            logger.info("run %s: stopping it (%s)", job_run_id, reason)
        return True

    def resume(self, job_run_id: JobRunId) -> None:
        """The run's user has done what was needed."""
        if self._current is not None and self._current.job_run_id == job_run_id:
            self._current.resume()

    def stop_current(self, reason: StopReason) -> None:
        """Ask whatever runs to stop."""
        if self._current is not None:
            self.stop(self._current.job_run_id, reason)

    def kill_current(self) -> None:
        """Cut short the grace of whatever is being stopped."""
        if self._current is not None:
            self._current.stop.at_once.set()

    async def _work(self, taken: TakenJob, context: RunContext) -> Report:
        handler = self._handlers.get(taken.type)
        if handler is None:
            message = clean(f"this agent has no handler for {taken.type}; it has {', '.join(sorted(self._handlers))}")
            return Report(status="rejected", error_code="unknown_type", error_message=message)
        limit = handler.limit(taken.timeout_seconds)
        context.limit = Limit(limit, partial(self.stop, taken.job_run_id, StopReason.TIMEOUT))
        try:
            outcome = await _attempt(handler, _job(taken, limit), context)
        finally:
            context.limit.cancel()
        return report_of(outcome, context.stop.reason, limit, self._settings)


async def _attempt(handler: Handler, job: Job, context: Context) -> Outcome:
    """The handler's outcome; an exception that it lets through, `SystemExit` too, is a failure of the run, not of the agent."""
    try:
        return await handler.function(job, context)
    except AgentError:
        raise
    except Cancelled as word:
        return Outcome.stopped(str(word))
    except (Exception, SystemExit) as error:
        logger.exception("run %s: its handler raised", job.run_id)
        return Outcome.failed("exception", clean(f"{type(error).__name__}: {error}"))


def _job(taken: TakenJob, timeout_seconds: float) -> Job:
    return Job(
        id=taken.job_id,
        run_id=taken.job_run_id,
        type=taken.type,
        payload=taken.payload,
        attempt=taken.attempt,
        timeout_seconds=timeout_seconds,
        traceparent=taken.traceparent,
        tracestate=taken.tracestate,
    )
