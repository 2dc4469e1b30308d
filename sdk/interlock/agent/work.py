"""What a run is to the agent, however it arrived: admitted by its number, written down, done, reported.

Sessions bring runs here and know nothing of how they are done; this knows nothing of sockets and polls. While a run is
held, heartbeats keep its lease and bring verdicts, until its result is answered.
"""

import asyncio
import logging
import time
from functools import partial

from interlock.agent.book import Admission, Finished
from interlock.agent.context import KnownConfig
from interlock.agent.dialer import Dialer
from interlock.agent.errors import StateUnusable
from interlock.agent.handlers import StopReason
from interlock.agent.journal import Journal
from interlock.agent.pace import Pace, about, retry_after
from interlock.agent.reporter import Reporter
from interlock.agent.runner import Runner
from interlock.agent.settings import AgentSettings
from interlock.agent.shutdown import Shutdown
from interlock.agent.text import clean
from interlock.agent.trouble import why
from interlock.agent.uplink import Uplink
from interlock.agent.uploads import Uploads
from interlock.agent.waiting import beside, first, told
from interlock.clock import Clock
from interlock.errors import InterlockError, Superseded, Unavailable
from interlock.ids import InstanceId, JobRunId, is_id
from interlock.wire import HeartbeatAnswer, Report, TakenJob

logger = logging.getLogger(__name__)

HEARTBEAT_BOUNDS_SECONDS = (0.05, 300.0)  # whatever the server says: no spinning, no falling silent
CONFIG_SECONDS = 5.0  # that a run waits for the organization's settings before it begins with those last known

NOT_HERE = Report(
    status="cancelled", error_code="cancelled", error_message="cancelled before it reached this agent", duration_ms=0
)
STOPPING = Report(
    status="failed", error_code="agent_stopped", error_message="not started: the agent is stopping", duration_ms=0
)


class Work:
    """One run at a time. `held` names it from its start until the server has answered its result."""

    def __init__(
        self,
        uplink: Uplink,
        dialer: Dialer,
        runner: Runner,
        journal: Journal,
        config: KnownConfig,
        shutdown: Shutdown,
        settings: AgentSettings,
        clock: Clock,
        instance_id: InstanceId,
    ) -> None:
        self.held: JobRunId | None = None
        self.settled = True  # the server has taken the last run's result, so it knows that nothing runs here
        self._uplink = uplink
        self._dialer = dialer
        self._runner = runner
        self._journal = journal
        self._config = config
        self._shutdown = shutdown
        self._settings = settings
        self._clock = clock
        self._instance_id = instance_id
        self._reporter = Reporter(uplink, journal, settings, clock)
        self._refusal_pace = Pace(settings, clock)

    async def take(self, job: TakenJob, *, cancelled: bool = False) -> None:
        """Do the run that was handed out, or whatever else its number and the journal say.

        `cancelled`: that was asked for before it could begin.
        """
        if self.is_new(job):
            self._refusal_pace.succeeded()
            await self._run(job, cancelled=cancelled)
        else:
            await self.refuse(job)

    def is_new(self, job: TakenJob) -> bool:
        """Whether the run may be started here."""
        return self._journal.book.admit(job.run_no, job.job_run_id) is Admission.NEW

    async def refuse(self, job: TakenJob) -> None:
        """Do not start the run. A result that is known is owed again."""
        admission = self._journal.book.admit(job.run_no, job.job_run_id)
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
        await self.pause(self._refusal_pace.delay(Unavailable(retry_after=0.0)))

    async def cancelled(self, job_run_id: JobRunId) -> None:
        """The server waits for a run to stop which is not at work here: tell it what is known of it."""
        if not is_id(job_run_id):
            return
        if self._journal.book.knows(job_run_id):
            self._journal.book.report_again(job_run_id)
        else:
            logger.info("run %s was cancelled before it reached this agent", job_run_id)
            self._journal.finished(job_run_id, NOT_HERE)
        await self.pause(self._refusal_pace.delay(Unavailable(retry_after=0.0)))

    async def deliver(self) -> None:
        """Hand over all results that are owed; once the agent is to end, not for long: the journal keeps them."""
        if not self._journal.book.unreported():
            return
        async with beside(self._reporter.deliver()) as task:
            await first(task, self._shutdown.draining.wait())
            if not task.done():
                limit = self._settings.exit_report_seconds
                await first(task, self._shutdown.killing.wait(), timeout=limit)
            if not task.done():
                logger.warning("the server has not answered a result; it is kept and reported after the next start")
        if not task.cancelled():
            task.result()

    async def heartbeats(self, job_run_id: JobRunId | None, *, at_once: bool = True) -> None:
        """Say what is held here, now and then and whenever the way to the server has changed, until cancelled.

        With None: that nothing is, which only a socket is told; a poll says it by itself. A server that closed the host's
        gate opens it on that word.
        """
        interval = self._settings.heartbeat_seconds
        if not at_once:
            await self._until_next_heartbeat(self._dialer.change, interval, 0.0)
        while True:
            at_least, change = 0.0, self._dialer.change
            if job_run_id is not None or self._dialer.link is not None:
                interval, at_least = await self._heartbeat(job_run_id, interval)
            await self._until_next_heartbeat(change, interval, at_least)

    async def _heartbeat(self, job_run_id: JobRunId | None, interval: float) -> tuple[float, float]:
        """One of them; the seconds until the next, and those that the server asked to be left alone for."""
        waits = self._runner.waits_for_user
        try:
            answer = await self._uplink.heartbeat(self._instance_id, [] if job_run_id is None else [job_run_id])
        except Superseded as error:
            logger.error("%s", why(error))  # noqa: TRY400 - an event, not a programming error
            self._runner.stop_current(StopReason.ABANDON)
            self._dialer.hang_up(error)
        except InterlockError as error:
            if not self._dialer.has_told(error):
                logger.warning("heartbeat: %s", why(error))
            return interval, retry_after(error)
        else:
            interval = self._heed(answer, job_run_id, waits=waits)
        return interval, 0.0

    async def pause(self, seconds: float) -> None:
        """Wait, but not past the request to end."""
        if seconds > 0:
            await first(self._shutdown.draining.wait(), timeout=seconds)

    async def _until_next_heartbeat(self, change: asyncio.Event, interval: float, at_least: float) -> None:
        """A change of the line is worth one at once, if the server did not ask to be left alone."""
        chance = self._clock.chance()
        rest = max(about(interval, self._clock), at_least + interval * chance)
        asked_at = time.monotonic()
        if await first(change.wait(), timeout=rest):
            quiet = at_least - (time.monotonic() - asked_at)
            await asyncio.sleep(max(quiet, 0.0) + min(interval, self._settings.retry_base_seconds) * chance)

    def _heed(self, answer: HeartbeatAnswer, job_run_id: JobRunId | None, *, waits: bool) -> float:
        """Do what the server's verdict says; seconds until the next heartbeat.

        `waits`: when it was asked, it had been told that the run waits for its user.
        """
        for run in answer.runs:
            if run.job_run_id != job_run_id:
                continue
            if run.verdict != "continue":
                self._runner.stop(job_run_id, StopReason(run.verdict))
            if waits and not run.needs_user_action:
                self._runner.resume(job_run_id)
        low, high = HEARTBEAT_BOUNDS_SECONDS
        return min(max(answer.intervals.heartbeat_seconds, low), high)

    async def _run(self, job: TakenJob, *, cancelled: bool) -> None:
        """Do the run with its companions: heartbeats until its result is answered, uploads while it works."""
        logger.info("run %s: taken, %s, number %d, attempt %d", job.job_run_id, job.type, job.run_no, job.attempt)
        self.held = job.job_run_id
        try:
            async with beside(told(partial(self.heartbeats, job.job_run_id))):
                try:
                    await self._work(job, cancelled=cancelled)
                except StateUnusable as error:
                    self._note_unwritten(job, error)
                    await self.deliver()
                    raise
                await self.deliver()
        finally:
            self.held = None
            self.settled = self._reporter.last_taken == job.job_run_id

    async def _work(self, job: TakenJob, *, cancelled: bool) -> None:
        if cancelled or self._shutdown.draining.is_set():
            self._journal.started(job)
            self._journal.finished(job.job_run_id, NOT_HERE if cancelled else STOPPING)
            return
        uploads = Uploads(
            self._uplink,
            job,
            self._settings,
            self._clock,
            on_cancel=partial(self._runner.stop, job.job_run_id, StopReason.CANCEL),
        )
        if self._runner.wants_config(job.type) and self._dialer.link is None:
            async with beside(self._learn_config()) as learning:
                await first(learning, timeout=CONFIG_SECONDS)
        await uploads.around(self._runner.run(job, uploads))

    async def _learn_config(self) -> None:
        """Ask for what a socket would have brought; what was known before serves on when that fails."""
        try:
            self._config.learn(await self._uplink.config())
        except InterlockError as error:
            logger.warning("the organization's settings: %s", why(error))

    def _note_unwritten(self, job: TakenJob, error: StateUnusable) -> None:
        """The journal takes nothing more. A result that only memory holds is reported for as long as it takes."""
        logger.error("run %s: %s; ending as soon as its result is answered", job.job_run_id, error)
        if self._journal.book.admit(job.run_no, job.job_run_id) is Admission.RUNNING:
            message = clean(f"not started, since it could not be written down: {error}")
            report = Report(status="failed", error_code="state_unusable", error_message=message, duration_ms=0)
            self._journal.book.apply(Finished(job_run_id=job.job_run_id, report=report))
