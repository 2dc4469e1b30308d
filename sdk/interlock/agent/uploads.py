"""What one run's handler sends while it works: log lines, progress, evidence, files, and calls for its user.

Lines and progress are queued and sent beside the work; evidence and files are awaited by the handler, which wants to
know what became of them. Everything is repeated until it is answered. After the result nothing is waited for longer
than `log_flush_seconds`.
"""

import asyncio
import logging
import mimetypes
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec

from interlock.agent.logs import LogPump
from interlock.agent.pace import Pace
from interlock.agent.settings import AgentSettings
from interlock.agent.text import clean
from interlock.agent.uplink import Uplink
from interlock.agent.waiting import beside, first, told
from interlock.clock import Clock
from interlock.errors import Forbidden, InterlockError, TryLater, Unauthenticated
from interlock.wire import AssetRef, EvidenceItem, EvidenceVerdict, LogLineIn, Progress, RunState, TakenJob

logger = logging.getLogger(__name__)

T = TypeVar("T")
MAX_WAITING = 100  # progress notes waiting to be sent; beyond that the oldest give way
PASSING = (TryLater, Unauthenticated, Forbidden)  # errors that may go away by themselves, or by a person's hand
UNKNOWN_TYPE = "application/octet-stream"


class _Note(NamedTuple):
    """How far the run is; `heard` is set once that is answered, for those who wait for it."""

    progress: Progress
    heard: "asyncio.Future[None] | None" = None


class Uploads:
    """Of one run. `on_cancel` is called when an answer asks for a cancel."""

    def __init__(
        self,
        uplink: Uplink,
        job: TakenJob,
        settings: AgentSettings,
        clock: Clock,
        *,
        on_cancel: Callable[[], object],
    ) -> None:
        self._uplink = uplink
        self._job = job
        self._settings = settings
        self._clock = clock
        self._on_cancel = on_cancel
        self._percent = 0
        self._notes: deque[_Note] = deque()
        self._noted = asyncio.Event()
        self._closing = asyncio.Event()
        self._pump = LogPump(self._send_lines, on_cancel, settings, clock)

    def log(self, level: str, message: str) -> None:
        """Queue a line."""
        if self._settings.upload_logs:
            self._pump.add(level, message)

    def progress(self, percent: float, message: str | None = None) -> None:
        """Queue how far the run is, 0 to 100. A note without a message gives way to the next one."""
        self._percent = round(min(max(percent, 0.0), 100.0))
        if self._notes and self._notes[-1].progress.message is None:
            self._notes.pop()
        if len(self._notes) >= MAX_WAITING and self._notes[0].heard is None:
            self._notes.popleft()
        self._note(_Note(Progress(progress=self._percent, message=None if message is None else clean(message))))

    async def evidence(self, items: Sequence[EvidenceItem | dict[str, Any]]) -> list[EvidenceVerdict]:
        """Hand over what was found; a verdict for each item, in their order."""
        raw = [msgspec.Raw(msgspec.json.encode(item)) for item in items]
        answer = await self._until_answered(partial(self._uplink.evidence, self._job, raw), "evidence")
        self._heed(answer)
        return answer.items

    async def asset(self, name: str, content: str | Path | bytes, content_type: str | None) -> AssetRef:
        """Store a file beside the job; its type is guessed from its name unless it is given."""
        kind = content_type or mimetypes.guess_type(name)[0] or UNKNOWN_TYPE
        body = Path(content) if isinstance(content, str) else content
        answer = await self._until_answered(partial(self._uplink.asset, self._job, name, body, kind), f"file {name}")
        self._heed(answer)
        return answer.asset

    async def need_user(self, message: str) -> None:
        """Say that the run waits for its user; on return the server knows."""
        note = Progress(progress=self._percent, message=clean(message), needs_user_action=True)
        heard = asyncio.get_running_loop().create_future()
        self._note(_Note(note, heard))
        await heard

    async def around(self, work: Awaitable[None]) -> None:
        """Send what is queued while `work` is done, and afterwards what is left, but not for long."""
        async with beside(told(self._send_all)) as sending:
            try:
                await work
            finally:
                self._closing.set()
                self._pump.close()
            await first(sending, timeout=self._settings.log_flush_seconds)

    async def _send_all(self) -> None:
        await asyncio.gather(self._send_notes(), self._pump.run())

    async def _send_notes(self) -> None:
        pace = Pace(self._settings, self._clock)
        while not (self._closing.is_set() and not self._notes):
            await first(self._noted.wait(), self._closing.wait())
            self._noted.clear()
            while self._notes:
                await self._send_note(self._notes.popleft(), pace)

    async def _send_note(self, note: _Note, pace: Pace) -> None:
        try:
            state = await self._uplink.progress(self._job, note.progress)
        except PASSING as error:
            self._notes.appendleft(note)
            await asyncio.sleep(pace.delay(error))
        except InterlockError as error:
            logger.warning("a progress note was refused and is dropped: %s", error)
            if note.heard is not None and not note.heard.done():
                note.heard.set_exception(error)
        else:
            pace.succeeded()
            self._heed(state)
            if note.heard is not None and not note.heard.done():
                note.heard.set_result(None)

    def _note(self, note: _Note) -> None:
        self._notes.append(note)
        self._noted.set()

    def _heed(self, state: RunState) -> None:
        if state.cancel_requested:
            self._on_cancel()

    async def _send_lines(self, lines: list[LogLineIn]) -> RunState:
        return await self._uplink.logs(self._job, lines)

    async def _until_answered(self, call: Callable[[], Awaitable[T]], what: str) -> T:
        """Repeat `call` until the server has answered it; a refusal of what was sent is the caller's to see."""
        pace = Pace(self._settings, self._clock)
        while True:
            try:
                return await call()
            except PASSING as error:
                delay = pace.delay(error)
                logger.warning("run %s: %s not taken (%s); again in %.1f s", self._job.job_run_id, what, error, delay)
            await asyncio.sleep(delay)
