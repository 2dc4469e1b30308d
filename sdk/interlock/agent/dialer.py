"""Keeps a socket open to the server for as long as one can be had, and says when there is none."""

import asyncio
import logging
import math
from collections.abc import Callable

from interlock.agent.link import Link, Push
from interlock.agent.pace import Pace
from interlock.agent.plane import ControlPlane
from interlock.agent.settings import AgentSettings
from interlock.agent.trouble import why
from interlock.agent.waiting import beside, first
from interlock.clock import Clock
from interlock.errors import Forbidden, InterlockError, Superseded, Unauthenticated, Unavailable
from interlock.ids import InstanceId, JobRunId

logger = logging.getLogger(__name__)

Declare = Callable[[], list[JobRunId]]


class Dialer:
    """Opens a link, reads it to its end and opens the next, with a growing jittered pause while that fails.

    Whoever polls, or wants no work at all, does so inside `quiet`: no link is opened meanwhile, so that the server
    never has two callers of one agent to choose from.
    """

    def __init__(
        self, plane: ControlPlane, settings: AgentSettings, clock: Clock, instance_id: InstanceId, on_push: Push
    ) -> None:
        self.link: Link | None = None
        self.quiet = asyncio.Lock()
        self.settled = asyncio.Event()  # an attempt has been made since the last good link
        self.change = asyncio.Event()  # the next one: set when a link comes or goes, and then replaced
        self._plane = plane
        self._settings = settings
        self._pace = Pace(settings, clock)
        self._instance_id = instance_id
        self._on_push = on_push
        self._next_at = -math.inf  # on the loop's clock
        self._told: str | None = None  # what has kept the socket away, as the log has it; None with a link

    async def keep(self, declare: Declare) -> None:
        """Never returns. `declare` names the runs that are held here, at the moment of each attempt."""
        while True:
            async with self.quiet:
                error = await self._open(declare())
            self._announce()
            if self.link is not None:
                error = await self._read(self.link)
            await self._rest(error)

    def hang_up(self, error: InterlockError | None = None) -> None:
        """Close the link, if there is one, because of `error`; `keep` opens the next unless `quiet` is held."""
        if self.link is not None:
            self.link.farewell = error
            self.link.close()

    def has_told(self, error: InterlockError) -> bool:
        """Whether the log has said already that this keeps a socket away, and so all else."""
        return why(error) == self._told

    def seconds_to_next(self) -> float:
        """How long until the next attempt to open a link, as far as is known; 0 when it is due."""
        return max(0.0, self._next_at - asyncio.get_running_loop().time())

    async def _open(self, running: list[JobRunId]) -> InterlockError:
        """Try once. The error is what ended the attempt; with a link, what will be said if it ends without a word."""
        try:
            socket = await self._plane.upgrade(self._instance_id, running)
        except InterlockError as error:
            self.settled.set()
            return error
        except Exception:
            logger.exception("a socket could not be opened for an unexpected reason")
            self.settled.set()
            return Unavailable("an unexpected error", retry_after=0.0)
        self.link = Link(socket, answer_seconds=self._settings.request_timeout_seconds)
        self.settled.set()
        self._told = None
        logger.info("connected by socket")
        return Unavailable("the socket was closed", retry_after=0.0)

    async def _read(self, link: Link) -> InterlockError:
        """Read the link to its end; why it ended. Once it is closed, nobody finds it here any more."""
        async with beside(link.read(self._on_push)) as reading:
            await first(reading, link.closed.wait())
            error = link.farewell or Unavailable("the socket was closed", retry_after=0.0)
            if link.proven and not isinstance(error, (Superseded, Unauthenticated, Forbidden)):
                self._pace.succeeded()
                self.settled.clear()  # a good link is waited for before anything is polled
            self.link = None
            self._announce()
            await first(reading, timeout=self._settings.request_timeout_seconds)
        return error

    async def _rest(self, error: InterlockError) -> None:
        delay = self._pace.delay(error)
        self._next_at = asyncio.get_running_loop().time() + delay
        self._told = why(error)
        logger.warning("no socket: %s; connecting again in %.1f s", self._told, delay)
        await asyncio.sleep(delay)

    def _announce(self) -> None:
        """Wake those who wait for a change; the next to ask waits for the next one."""
        self.change.set()
        self.change = asyncio.Event()
