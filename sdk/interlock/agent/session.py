"""Where work comes from: a socket while one can be had, else long polls. What becomes of it is `work.py`'s business.

On a socket the server offers and the agent acks; the answer to the ack is the same job that a poll would have brought.
Nothing is asked for, and no offer acked, while a run is held or the journal has no room.
"""

import logging
import time
from functools import partial

import msgspec

from interlock import frames
from interlock.agent.context import KnownConfig
from interlock.agent.dialer import Dialer
from interlock.agent.handlers import StopReason
from interlock.agent.inbox import Inbox, Offer
from interlock.agent.journal import Journal
from interlock.agent.link import Link
from interlock.agent.pace import Pace
from interlock.agent.plane import ControlPlane, Poll
from interlock.agent.runner import Runner
from interlock.agent.settings import AgentSettings
from interlock.agent.shutdown import Shutdown
from interlock.agent.trouble import why
from interlock.agent.waiting import beside, first, told
from interlock.agent.work import Work
from interlock.clock import Clock
from interlock.errors import CallerError, InterlockError
from interlock.fleet import Config
from interlock.ids import InstanceId, JobRunId
from interlock.wire import TakenJob

logger = logging.getLogger(__name__)

ROOM_LOOK_SECONDS = 5.0  # between two looks at a full disk


class Pushed:
    """Takes what the server pushes, and never blocks: work goes into the inbox, the rest to whom it concerns."""

    def __init__(self, runner: Runner, inbox: Inbox, config: KnownConfig) -> None:
        self._runner = runner
        self._inbox = inbox
        self._config = config
        self._link: Link | None = None

    def __call__(self, link: Link, event: str, data: msgspec.Raw) -> None:
        """Take one frame; what cannot be read is passed over, since servers may be newer."""
        if link is not self._link:
            self._link = link
            self._inbox.forget_offers()  # those of an older link are made again
        try:
            self._take(event, data)
        except (msgspec.MsgspecError, RecursionError) as error:
            logger.warning("a frame %s is passed over: %s", event, error)

    def _take(self, event: str, data: msgspec.Raw) -> None:
        match event:
            case "job:new":
                job = msgspec.json.decode(data, type=frames.JobGiven)
                if job.job_run_id not in self._runner.running:
                    self._inbox.offer(Offer(job.job_id, job.type, job))
            case "job:available":
                hint = msgspec.json.decode(data, type=frames.JobAvailable)
                self._inbox.offer(Offer(hint.job_id, hint.type, None))
            case "job:cancel":
                cancel = msgspec.json.decode(data, type=frames.CancelRun)
                if not self._runner.stop(cancel.job_run_id, StopReason.CANCEL):
                    self._inbox.cancel(cancel.job_run_id)
            case "job:resume":
                self._runner.resume(msgspec.json.decode(data, type=frames.ResumeRun).job_run_id)
            case "config":
                self._config.learn(msgspec.json.decode(data, type=Config))
            case _:
                logger.info("a frame %s is passed over", event)


class Session:
    """Serves until `shutdown` asks for the end."""

    def __init__(
        self,
        plane: ControlPlane,
        dialer: Dialer,
        inbox: Inbox,
        work: Work,
        runner: Runner,
        journal: Journal,
        shutdown: Shutdown,
        settings: AgentSettings,
        clock: Clock,
        instance_id: InstanceId,
    ) -> None:
        self._plane = plane
        self._dialer = dialer
        self._inbox = inbox
        self._work = work
        self._runner = runner
        self._journal = journal
        self._shutdown = shutdown
        self._settings = settings
        self._instance_id = instance_id
        self._poll_pace = Pace(settings, clock)
        self._ack_pace = Pace(settings, clock)
        self._greeted: Link | None = None  # the link on which it was said that nothing runs here

    async def serve(self) -> None:
        """Take runs one after the other; before each, hand over every result that is owed."""
        await self._work.deliver()
        if self._settings.transport == "poll":
            await self._serve()
            return
        async with beside(told(partial(self._dialer.keep, self._held))):
            await self._serve()

    async def _serve(self) -> None:
        while not self._shutdown.draining.is_set():
            await self._until_there_is_room()
            if self._dialer.link is not None:
                await self._listen(self._dialer.link)
            elif self._settings.transport == "poll" or self._dialer.settled.is_set():
                await self._look_elsewhere()
            else:
                await first(self._dialer.settled.wait(), self._shutdown.draining.wait())
            await self._work.deliver()

    def _held(self) -> list[JobRunId]:
        """What is declared when a socket is opened."""
        return [] if self._work.held is None else [self._work.held]

    async def _until_there_is_room(self) -> None:
        """A run that could not be written down may not start, so none is asked for."""
        if self._has_room(told_before=False) or self._shutdown.draining.is_set():
            return
        self._dialer.hang_up()
        async with self._dialer.quiet:
            self._dialer.hang_up()  # the one that was just being opened
            while not self._shutdown.draining.is_set() and not self._has_room(told_before=True):
                await self._work.pause(ROOM_LOOK_SECONDS)

    def _has_room(self, *, told_before: bool) -> bool:
        least, free = self._settings.free_bytes, self._journal.free_bytes()
        if free < least and not told_before:
            logger.error("only %d bytes are free for the journal: no job is taken below %d", free, least)
        elif free >= least and told_before:
            logger.info("%d bytes are free for the journal: taking jobs again", free)
        return free >= least

    # ---- by socket

    async def _listen(self, link: Link) -> None:
        """Wait for something in the inbox and deal with it; returns when the link has ended, too."""
        at_once = link is not self._greeted or not self._work.settled
        self._greeted = link
        async with beside(told(partial(self._work.heartbeats, None, at_once=at_once))):
            while not (self._shutdown.draining.is_set() or link.closed.is_set()):
                cancel = self._inbox.next_cancel()
                if cancel is not None:
                    await self._work.cancelled(cancel)
                    return
                offer = self._inbox.next_offer()
                if offer is None:
                    await first(self._inbox.filled.wait(), link.closed.wait(), self._shutdown.draining.wait())
                    continue
                if not self._has_room(told_before=False):
                    return
                job = await self._accept(link, offer)
                if job is not None:
                    break
                if self._journal.book.unreported():
                    return
            else:
                return
        await self._work.take(job, cancelled=self._inbox.begin(job.job_run_id))

    async def _accept(self, link: Link, offer: Offer) -> TakenJob | None:
        """The job, once the server has said that it is this host's; None when it is not."""
        if offer.job is not None and not self._work.is_new(offer.job):
            await self._work.refuse(offer.job)
            return None
        try:
            if offer.job is None and not self._runner.handles(offer.type):
                await link.ask("job:reject", _rejection(offer), frames.Rejected)
                return None
            job = await link.ask("job:ack", _ack(offer), frames.JobGiven)
        except CallerError as error:
            logger.info("job %s is not for this agent: %s", offer.job_id, error.detail)
            if offer.job is not None:
                self._inbox.withdrawn(offer.job.job_run_id)  # that is why: there is nothing to confirm
            return None
        except InterlockError as error:
            logger.warning("job %s was not acknowledged (%s)", offer.job_id, error.detail)
            if not link.closed.is_set():
                await self._work.pause(self._ack_pace.delay(error))
                self._inbox.offer(offer)
            return None
        self._ack_pace.succeeded()
        return job

    # ---- by poll

    async def _look_elsewhere(self) -> None:
        """Poll while there is no socket, or wait for one if polling is not wanted."""
        if self._settings.transport == "socket":
            await first(self._dialer.change.wait(), self._shutdown.draining.wait())
            return
        asked_at = time.monotonic()
        async with self._dialer.quiet:
            poll = None if self._dialer.link is not None else await self._poll()
        if isinstance(poll, InterlockError):
            delay = self._poll_pace.delay(poll)
            if not self._dialer.has_told(poll):
                logger.warning("%s; polling again in %.1f s", why(poll), delay)
            await self._pause(delay)
        elif poll is not None:
            self._poll_pace.succeeded()
            await self._dealt_with(poll, asked_at)

    async def _poll(self) -> Poll | InterlockError | None:
        """One poll, or why there is no answer; None when it was given up since the agent is to end."""
        if self._shutdown.draining.is_set():
            return None
        async with beside(self._plane.poll(self._instance_id, at_most=self._patience())) as task:
            await first(task, self._shutdown.draining.wait())
            if not task.done():
                return None
        error = task.exception()
        if error is None:
            poll: Poll = task.result()
            return poll
        if not isinstance(error, InterlockError):
            raise error
        return error

    async def _dealt_with(self, poll: Poll, asked_at: float) -> None:
        """Do what the poll has brought; after one that brought no job, wait until the next is due."""
        if poll.job is not None:
            await self._work.take(poll.job)
            return
        if poll.cancel is not None:
            await self._work.cancelled(poll.cancel)
            await self._work.deliver()
        await self._pause(asked_at + self._settings.poll_spacing_seconds - time.monotonic())

    async def _pause(self, seconds: float) -> None:
        """Wait, but not past the request to end, nor past the next socket."""
        if seconds > 0:
            await first(self._shutdown.draining.wait(), self._dialer.change.wait(), timeout=seconds)

    def _patience(self) -> float:
        """How long a poll may wait: no longer than until a socket is tried again."""
        return (
            self._settings.poll_wait_seconds if self._settings.transport == "poll" else self._dialer.seconds_to_next()
        )


def _ack(offer: Offer) -> frames.Ack:
    return frames.Ack(job_id=offer.job_id, job_run_id=None if offer.job is None else offer.job.job_run_id)


def _rejection(offer: Offer) -> frames.Reject:
    return frames.Reject(job_id=offer.job_id, reason=f"this agent has no handler for {offer.type}")
