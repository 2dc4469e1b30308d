"""What does the work: a handler takes a job and a context, and says what came of it.

The command handler is one kind (`command.py`), a function of the application's own another (`functions.py`).
"""

import asyncio
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import msgspec

from interlock.agent.identity import ProcessIdentity
from interlock.fleet import Config
from interlock.ids import JobId, JobRunId
from interlock.wire import AssetRef, EvidenceItem, EvidenceVerdict


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be done. `timeout_seconds` is the one that counts, the smaller of the server's and the handler's."""

    id: JobId
    run_id: JobRunId
    type: str
    payload: Any
    attempt: int
    timeout_seconds: float
    traceparent: str | None = None  # W3C Trace Context of the request that created it, if it brought any
    tracestate: str | None = None


class StopReason(StrEnum):
    """Why a handler is asked to stop, which decides what is reported."""

    CANCEL = "cancel"  # a user: reported as cancelled
    SERVER_TIMEOUT = "server_timeout"  # a cancel as the time was over, which no user need have asked for: `timeout`
    TIMEOUT = "timeout"  # the agent's own clock: failed, `timeout`
    AGENT_STOPPED = "agent_stopped"  # failed, `agent_stopped`
    ABANDON = "abandon"  # the run is over for the server: nothing is reported


class Cancelled(Exception):
    """The handler was asked to stop, and does. The run is reported as what it was asked to stop for."""


class Stop:
    """How a handler learns that it should stop: watch `requested`, then be gone before `at_once` is set.

    It is true once that was asked, and can be awaited until then.
    """

    def __init__(self) -> None:
        self.reason: StopReason | None = None
        self.requested = asyncio.Event()
        self.at_once = asyncio.Event()

    def __bool__(self) -> bool:
        return self.requested.is_set()

    def __await__(self) -> Generator[Any, None, Any]:
        return self.requested.wait().__await__()

    def request(self, reason: StopReason) -> bool:
        """Ask. False when that had been done: the first reason stands, unless the run is abandoned meanwhile."""
        if self.reason is None or reason is StopReason.ABANDON:
            self.reason = reason
        asked_before = self.requested.is_set()
        self.requested.set()
        return not asked_before


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a job. Make one with `succeeded`, `failed` or `stopped`."""

    ending: "Ending"
    output: Any = None
    error_code: str | None = None
    error_message: str | None = None
    retryable: bool = True

    @classmethod
    def succeeded(cls, output: dict[str, Any] | None = None) -> "Outcome":
        """It is done; `output` is any JSON object."""
        return cls(ending=Ending.SUCCEEDED, output=output)

    @classmethod
    def failed(cls, error_code: str, error_message: str, *, retryable: bool = True) -> "Outcome":
        """It is not done, with a stable code for programs and a sentence for people."""
        return cls(ending=Ending.FAILED, error_code=error_code, error_message=error_message, retryable=retryable)

    @classmethod
    def stopped(cls, last_words: str = "") -> "Outcome":
        """It was ended because `context.stop` asked for it."""
        return cls(ending=Ending.STOPPED, error_message=last_words)


class Ending(StrEnum):
    """How a handler ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STOPPED = "stopped"


class Context(Protocol):
    """What a handler may ask of the agent while it works."""

    @property
    def stop(self) -> Stop:
        """Tells the handler when to stop."""

    @property
    def cancelled(self) -> Stop:
        """The same: `if context.cancelled`, or `await context.cancelled`. For whatever reason, not only a cancel."""

    @property
    def config(self) -> Config:
        """The organization's settings and connectors, as last heard; of version 0 and empty before that."""

    @property
    def traceparent(self) -> str | None:
        """The trace that the job belongs to, for spans of the handler's own: W3C `traceparent`, or None."""

    def raise_if_cancelled(self) -> None:
        """Leave the handler by `Cancelled` if it was asked to stop."""

    def log(self, message: str, level: str = "info") -> None:
        """Add a line to the job's log; never blocks, and may drop lines when there are too many."""

    def progress(self, percent: float, message: str | None = None) -> None:
        """Say how far the run is, 0 to 100; never blocks. A message becomes a line of the log."""

    async def evidence(self, items: Sequence[EvidenceItem | dict[str, Any]]) -> list[EvidenceVerdict]:
        """Hand over what was found, and return what became of each item once the server has answered.

        `CallerError` when the server refuses all of it, such as for its size.
        """

    async def asset(self, name: str, content: str | Path | bytes, content_type: str | None = None) -> AssetRef:
        """Store a file beside the job: bytes, or the path of a file. `CallerError` when the server refuses it."""

    async def needs_user_action(self, message: str) -> None:
        """Show the job as waiting for its user, and return once that is resolved; the run's clock stands meanwhile.

        `Cancelled` when the handler is asked to stop instead.
        """

    def process_started(self, process: ProcessIdentity) -> None:
        """Write down which process to end should the agent die first; on return that is durable."""


HandlerFunction: TypeAlias = Callable[[Job, Context], Awaitable[Outcome]]


class Handler(msgspec.Struct, frozen=True):
    """A handler function with the limit that was set for it."""

    function: HandlerFunction
    timeout_seconds: float | None = None  # None: only the server's counts
    wants_config: bool = False  # whether the organization's settings are asked for before a run that a poll brought

    def limit(self, server_seconds: float) -> float:
        """The timeout that counts."""
        return server_seconds if self.timeout_seconds is None else min(self.timeout_seconds, server_seconds)


Handlers: TypeAlias = Mapping[str, Handler]
