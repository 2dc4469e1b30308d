"""What the handler of one run gets: its stop, its way to the server, and the journal for its process."""

import asyncio
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from interlock.agent.handlers import Cancelled, Stop
from interlock.agent.identity import ProcessIdentity
from interlock.agent.journal import Journal
from interlock.agent.limit import Limit
from interlock.agent.uploads import Uploads
from interlock.agent.waiting import first
from interlock.fleet import Config
from interlock.ids import JobRunId
from interlock.wire import AssetRef, EvidenceItem, EvidenceVerdict, TakenJob


class KnownConfig:
    """The organization's settings as last heard, shared by all runs of an agent."""

    def __init__(self) -> None:
        self.document = Config(platform={}, connectors=[], version=0)

    def learn(self, document: Config) -> None:
        """Keep the newer one; what comes late changes nothing."""
        if document.version >= self.document.version:
            self.document = document


class RunContext:
    """Implements `handlers.Context` for the runner, who also resumes it."""

    def __init__(self, taken: TakenJob, journal: Journal, uploads: Uploads, config: KnownConfig) -> None:
        self.job_run_id: JobRunId = taken.job_run_id
        self.traceparent = taken.traceparent
        self.stop = Stop()
        self.limit: Limit | None = None  # set while a limited handler works
        self._journal = journal
        self._uploads = uploads
        self._config = config
        self.waits_for_user = False  # and the server knows
        self._resumed = asyncio.Event()

    @property
    def cancelled(self) -> Stop:
        """As of `Context`."""
        return self.stop

    @property
    def config(self) -> Config:
        """As of `Context`."""
        return self._config.document

    def raise_if_cancelled(self) -> None:
        """As of `Context`."""
        if self.stop:
            raise Cancelled

    def log(self, message: str, level: str = "info") -> None:
        """As of `Context`."""
        self._uploads.log(level, message)

    def progress(self, percent: float, message: str | None = None) -> None:
        """As of `Context`."""
        self._uploads.progress(percent, message)

    async def evidence(self, items: Sequence[EvidenceItem | dict[str, Any]]) -> list[EvidenceVerdict]:
        """As of `Context`."""
        return await self._uploads.evidence(items)

    async def asset(self, name: str, content: str | Path | bytes, content_type: str | None = None) -> AssetRef:
        """As of `Context`."""
        return await self._uploads.asset(name, content, content_type)

    async def needs_user_action(self, message: str) -> None:
        """As of `Context`."""
        self._resumed.clear()
        with self.limit.held() if self.limit is not None else nullcontext():
            calling = asyncio.ensure_future(self._call_user(message))
            try:
                await first(calling, self.stop.requested.wait())
            finally:
                calling.cancel()
                self.waits_for_user = False
        self.raise_if_cancelled()
        await calling

    async def _call_user(self, message: str) -> None:
        await self._uploads.need_user(message)
        self.waits_for_user = True
        await self._resumed.wait()

    def resume(self) -> None:
        """The user has done what was needed."""
        self._resumed.set()

    def process_started(self, process: ProcessIdentity) -> None:
        """As of `Context`."""
        self._journal.spawned(self.job_run_id, process)
