"""The agent put together: started in order, stopped in reverse."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from interlock.agent.context import KnownConfig
from interlock.agent.dialer import Dialer
from interlock.agent.errors import ConfigInvalid
from interlock.agent.functions import Function, FunctionHandler
from interlock.agent.handlers import Handler, Handlers, StopReason
from interlock.agent.inbox import Inbox
from interlock.agent.journal import Journal
from interlock.agent.key import host_id_of
from interlock.agent.lock import state_lock
from interlock.agent.plane import ControlPlane
from interlock.agent.recovery import end_interrupted
from interlock.agent.runner import Runner
from interlock.agent.session import Pushed, Session
from interlock.agent.settings import AgentSettings
from interlock.agent.shutdown import Shutdown
from interlock.agent.uplink import Uplink
from interlock.agent.waiting import first
from interlock.agent.work import Work
from interlock.clock import Clock, SystemClock
from interlock.ids import Ids, UuidIds

logger = logging.getLogger(__name__)

AnyFunction = TypeVar("AnyFunction", bound=Function)
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class Agent:
    """Runs jobs of one host, one at a time.

    agent = Agent("https://interlock.example.org", key, state_dir=Path("state"))

    @agent.handler("SERVER_START")
    async def start(job: Job, context: Context) -> dict[str, Any]: ...

    await agent.run()
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        state_dir: Path,
        handlers: Handlers | None = None,
        settings: AgentSettings | None = None,
        clock: Clock | None = None,
        ids: Ids | None = None,
    ) -> None:
        """`ConfigInvalid` when the URL or the key cannot be one."""
        check_url(url)
        self.host_id = host_id_of(key)
        self._url = url
        self._key = key
        self._state_dir = state_dir
        self._handlers = dict(handlers or {})
        self._settings = settings if settings is not None else AgentSettings()
        self._clock = clock if clock is not None else SystemClock()
        self._ids = ids if ids is not None else UuidIds()
        self._shutdown = Shutdown()

    def handler(self, job_type: str, *, timeout_seconds: float | None = None) -> Callable[[AnyFunction], AnyFunction]:
        """Make the decorated function the handler of `job_type`, in place of any other.

        It gets `(job, context)` or `(job)`, may be async or not, and returns an `Outcome`, a dict, or nothing.
        """

        def register(function: AnyFunction) -> AnyFunction:
            handler = FunctionHandler(function, self._settings)
            self._handlers[job_type] = Handler(handler, timeout_seconds, wants_config=handler.wants_context)
            return function

        return register

    def stop(self) -> None:
        """Ask the agent to end. Once: after the present run. Twice: end that too. Three times: without grace."""
        self._shutdown.request()
        logger.info("asked to stop")

    async def run(self) -> None:
        """Serve until `stop`. Errors are `AgentError`: the state directory is in use or unusable."""
        with state_lock(self._state_dir):
            settings = self._settings
            journal = Journal(
                self._state_dir, self.host_id, kept=settings.finished_kept, most_bytes=settings.journal_bytes
            )
            try:
                async with ControlPlane(self._url, self._key, self.host_id, settings) as plane:
                    await self._serve(journal, plane)
            finally:
                journal.close()
        logger.info("stopped")

    async def _serve(self, journal: Journal, plane: ControlPlane) -> None:
        instance_id = self._ids.new()
        logger.info("agent of host %s at %s, instance %s, state in %s", *self._whereabouts(instance_id))
        await end_interrupted(journal, grace_seconds=self._settings.grace_seconds, at_once=self._shutdown.killing)
        config, inbox, settings, clock = KnownConfig(), Inbox(), self._settings, self._clock
        runner = Runner(self._handlers, journal, settings, config)
        dialer = Dialer(plane, settings, clock, instance_id, Pushed(runner, inbox, config))
        uplink = Uplink(plane, dialer)
        work = Work(uplink, dialer, runner, journal, config, self._shutdown, settings, clock, instance_id)
        session = Session(plane, dialer, inbox, work, runner, journal, self._shutdown, settings, clock, instance_id)
        ending = asyncio.create_task(self._end_run_on_shutdown(runner))
        try:
            await session.serve()
        finally:
            ending.cancel()
            await asyncio.gather(ending, return_exceptions=True)

    async def _end_run_on_shutdown(self, runner: Runner) -> None:
        """Give the present run its time, then end it; the session sees to the rest."""
        await self._shutdown.draining.wait()
        await first(self._shutdown.stopping.wait(), timeout=self._settings.drain_seconds)
        runner.stop_current(StopReason.AGENT_STOPPED)
        await self._shutdown.killing.wait()
        runner.kill_current()

    def _whereabouts(self, instance_id: str) -> tuple[str, str, str, Path]:
        return self.host_id, self._url, instance_id, self._state_dir


def check_url(url: str) -> None:
    """`ConfigInvalid` when it names no server; a warning when the key would travel in clear."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigInvalid(
            "server URL", [f"{url!r} does not name a server; expected https://host or http://host:port"]
        )
    if parts.query or parts.fragment or parts.username:
        raise ConfigInvalid("server URL", [f"{url!r} holds more than a host and a path"])
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        logger.warning("%s is not encrypted: the agent key can be read on the way", url)
