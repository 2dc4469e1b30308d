"""A session over HTTP: work arrives by long poll, reports leave by POST.

A session brings runs to the runner and the journal's results to the server; how runs are done and remembered is not
its business, so another kind of session can stand in its place. While a run is at work it is not polled for more:
heartbeats keep the lease and bring cancels.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from interlock.agent.book import Admission, Finished
from interlock.agent.errors import StateUnusable
from interlock.agent.handlers import StopReason
from interlock.agent.journal import Journal
from interlock.agent.logs import LogPump
from interlock.agent.pace import Pace, about, retry_after
from interlock.agent.plane import ControlPlane, Poll
from interlock.agent.reporter import Reporter
from interlock.agent.runner import Runner
from interlock.agent.settings import AgentSettings
from interlock.agent.shutdown import Shutdown
from interlock.agent.text import clean
from interlock.agent.waiting import first
from interlock.clock import Clock
from interlock.errors import Forbidden, InterlockError, Superseded, Unauthenticated, Unavailable
from interlock.ids import InstanceId, JobRunId, is_id
from interlock.wire import HeartbeatAnswer, Report, TakenJob

logger = logging.getLogger(__name__)

HEARTBEAT_BOUNDS_SECONDS = (0.05, 300.0)  # whatever the server says: no spinning, no falling silent
ROOM_LOOK_SECONDS = 5.0  # between two looks at a full disk

NOT_HERE = Report(
    status="cancelled", error_code="cancelled", error_message="cancelled before it reached this agent", duration_ms=0
)
STOPPING = Report(
    status="failed", error_code="agent_stopped", error_message="not started: the agent is stopping", duration_ms=0
)


class PollSession:
    """Serves until `shutdown` asks for the end."""

    def __init__(
        self,
        plane: ControlPlane,
        runner: Runner,
        journal: Journal,
        shutdown: Shutdown,
        settings: AgentSettings,
        clock: Clock,
        instance_id: InstanceId,
    ) -> None:
        self._plane = plane
        self._runner = runner
        self._journal = journal
        self._shutdown = shutdown
        self._settings = settings
        self._clock = clock
        self._instance_id = instance_id
        self._reporter = Reporter(plane, journal, settings, clock)
        self._poll_pace = Pace(settings, clock)
        self._refusal_pace = Pace(settings, clock)

    async def serve(self) -> None:
        """Take runs one after the other; before each, hand over every result that is owed."""
        await self._deliver()
        while not self._shutdown.draining.is_set():
            await self._until_there_is_room()
            poll = await self._poll()
            if poll is None:
                continue
            if poll.job is not None:
                await self._take(poll.job)
            elif poll.cancel is not None:
                await self._cancelled(poll.cancel)
            await self._deliver()

    async def _until_there_is_room(self) -> None:
        """A run that could not be written down may not start, so none is asked for."""
        least, told = self._settings.free_bytes, False
        while (free := self._journal.free_bytes()) < least and not self._shutdown.draining.is_set():
            if not told:
                logger.error("only %d bytes are free for the journal: no job is taken below %d", free, least)
                told = True
            await self._pause(ROOM_LOOK_SECONDS)
        if told and free >= least:
            logger.info("%d bytes are free for the journal: taking jobs again", free)

    async def _poll(self) -> Poll | None:
        """One poll; None when it brought nothing, after the pause that is then due."""
        if self._shutdown.draining.is_set():
            return None
        asked_at = time.monotonic()
        async with _beside(self._plane.poll(self._instance_id)) as task:
            await first(task, self._shutdown.draining.wait())
            if not task.done():
                return None
        try:
            poll: Poll = task.result()
        except InterlockError as error:
            delay = self._poll_pace.delay(error)
            logger.warning("%s; polling again in %.1f s", _why(error), delay)
            await self._pause(delay)
            return None
        self._poll_pace.succeeded()
        if poll.job is None:
            await self._pause(asked_at + self._settings.poll_spacing_seconds - time.monotonic())
        return poll

    async def _take(self, job: TakenJob) -> None:
        """Do the run that was handed out, or whatever else its number and the journal say."""
        admission = self._journal.book.admit(job.run_no, job.job_run_id)
        if admission is Admission.NEW:
            self._refusal_pace.succeeded()
            await self._run(job)
            return
        if admission is Admission.FINISHED:
            logger.warning("run %s was handed out again; reporting its result again", job.job_run_id)
            self._journal.book.report_again(job.job_run_id)
        else:
            logger.error(
                "run %s is refused: its number %d %s (%d)",
                job.job_run_id,
                job.run_no,
                "belongs to another run" if admission is Admission.TWIN else "is below one already seen",
                self._journal.book.last_run_no,
            )
        await self._pause(self._refusal_pace.delay(Unavailable(retry_after=0.0)))

    async def _cancelled(self, job_run_id: JobRunId) -> None:
        """The server waits for a run to stop which is not at work here: tell it what is known of it."""
        if not is_id(job_run_id):
            return
        if self._journal.book.knows(job_run_id):
            self._journal.book.report_again(job_run_id)
        else:
            logger.info("run %s was cancelled before it reached this agent", job_run_id)
            self._journal.finished(job_run_id, NOT_HERE)
        await self._pause(self._refusal_pace.delay(Unavailable(retry_after=0.0)))

    async def _run(self, job: TakenJob) -> None:
        """Do the run with its companions: heartbeats until its result is answered, log lines while it works."""
        logger.info("run %s: taken, %s, number %d, attempt %d", job.job_run_id, job.type, job.run_no, job.attempt)
        async with _beside(_told(partial(self._heartbeats, job.job_run_id))):
            try:
                await self._work(job)
            except StateUnusable as error:
                self._note_unwritten(job, error)
                await self._deliver()
                raise
            await self._deliver()

    def _note_unwritten(self, job: TakenJob, error: StateUnusable) -> None:
        """The journal takes nothing more. A result that only memory holds is reported for as long as it takes."""
        logger.error("run %s: %s; ending as soon as its result is answered", job.job_run_id, error)
        if self._journal.book.admit(job.run_no, job.job_run_id) is Admission.RUNNING:
            message = clean(f"not started, since it could not be written down: {error}")
            report = Report(status="failed", error_code="state_unusable", error_message=message, duration_ms=0)
            self._journal.book.apply(Finished(job_run_id=job.job_run_id, report=report))

    async def _work(self, job: TakenJob) -> None:
        if self._shutdown.draining.is_set():
            self._journal.started(job)
            self._journal.finished(job.job_run_id, STOPPING)
            return
        if not self._settings.upload_logs:
            await self._runner.run(job)
            return
        pump = LogPump(
            partial(self._plane.logs, job.job_run_id),
            partial(self._runner.stop, job.job_run_id, StopReason.CANCEL),
            self._settings,
            self._clock,
        )
        async with _beside(_told(pump.run)) as sending:
            try:
                await self._runner.run(job, pump)
            finally:
                pump.close()
            await first(sending, timeout=self._settings.log_flush_seconds)

    async def _heartbeats(self, job_run_id: JobRunId) -> None:
        """Say that the run is held here, and heed the verdicts, until cancelled."""
        interval = self._settings.heartbeat_seconds
        while True:
            at_least = 0.0
            try:
                answer = await self._plane.heartbeat(self._instance_id, [job_run_id])
            except Superseded as error:
                logger.error("%s", _why(error))  # noqa: TRY400 - an event, not a programming error
                self._runner.stop(job_run_id, StopReason.ABANDON)
            except InterlockError as error:
                logger.warning("heartbeat: %s", _why(error))
                at_least = retry_after(error)
            else:
                interval = self._heed(answer, job_run_id)
            await asyncio.sleep(max(about(interval, self._clock), at_least + interval * self._clock.chance()))

    def _heed(self, answer: HeartbeatAnswer, job_run_id: JobRunId) -> float:
        """Do what the server's verdict says; seconds until the next heartbeat."""
        for run in answer.runs:
            if run.job_run_id == job_run_id and run.verdict != "continue":
                self._runner.stop(job_run_id, StopReason(run.verdict))
        low, high = HEARTBEAT_BOUNDS_SECONDS
        return min(max(answer.intervals.heartbeat_seconds, low), high)

    async def _deliver(self) -> None:
        """Hand over all results that are owed; once the agent is to end, not for long: the journal keeps them."""
        if not self._journal.book.unreported():
            return
        async with _beside(self._reporter.deliver()) as task:
            await first(task, self._shutdown.draining.wait())
            if not task.done():
                limit = self._settings.exit_report_seconds
                await first(task, self._shutdown.killing.wait(), timeout=limit)
            if not task.done():
                logger.warning("the server has not answered a result; it is kept and reported after the next start")
        if not task.cancelled():
            task.result()

    async def _pause(self, seconds: float) -> None:
        if seconds > 0:
            await first(self._shutdown.draining.wait(), timeout=seconds)


@asynccontextmanager
async def _beside(work: Coroutine[Any, Any, Any]) -> AsyncIterator[asyncio.Task[Any]]:
    """A task that lives no longer than the block; its result or error is the caller's to look at."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _told(work: Callable[[], Awaitable[None]]) -> None:
    """Do `work`, of which nobody looks at the end; an unexpected one is logged and does not touch the run."""
    try:
        await work()
    except Exception:
        logger.exception("a companion of the run ended unexpectedly")


def _why(error: InterlockError) -> str:
    if isinstance(error, (Unauthenticated, Forbidden)):
        return f"the server does not accept this agent key ({error.detail})"
    if isinstance(error, Superseded):
        return f"another process with this agent's key has taken over ({error.detail})"
    return f"the server cannot be reached ({error.detail})"
