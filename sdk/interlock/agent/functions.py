"""Handlers that are functions of the application: async or not, with one argument or two, returning what suits them.

A function that is not async works in a thread, where a context whose methods block stands in for the other.
"""

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from interlock.agent.handlers import Cancelled, Context, Job, Outcome, Stop
from interlock.agent.settings import AgentSettings
from interlock.agent.waiting import first
from interlock.fleet import Config
from interlock.wire import AssetRef, EvidenceItem, EvidenceVerdict

logger = logging.getLogger(__name__)

T = TypeVar("T")
Function: TypeAlias = Callable[..., Any]  # what it may return, or what it may return once awaited


class FunctionHandler:
    """Calls `function(job, context)`, or `function(job)`.

    It may return an `Outcome`, the output as a dict, or nothing. Asked to stop, an async function is cancelled once
    `grace_seconds` have passed; one in a thread can only be waited for.
    """

    def __init__(self, function: Function, settings: AgentSettings) -> None:
        self._function = function
        self._settings = settings
        self.wants_context = _wants_context(function)
        call = getattr(function, "__call__", None)  # noqa: B004 - an object may have an async one
        self._is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call)

    async def __call__(self, job: Job, context: Context) -> Outcome:
        """The function's outcome; `Cancelled` and a cancellation by us mean that it has stopped."""
        if self._is_async:
            work = asyncio.ensure_future(_kept(self._function(*self._arguments(job, context))))
        else:
            blocking = BlockingContext(context, asyncio.get_running_loop())
            work = asyncio.ensure_future(_kept(asyncio.to_thread(self._function, *self._arguments(job, blocking))))
        try:
            await self._watch(work, job, context.stop)
        finally:
            work.cancel()
        return await _outcome(work, context.stop)

    def _arguments(self, job: Job, context: "Context | BlockingContext") -> tuple[Any, ...]:
        return (job, context) if self.wants_context else (job,)

    async def _watch(self, work: "asyncio.Future[Any]", job: Job, stop: Stop) -> None:
        """Wait for the end of `work`; cancel it when it has not ended in time by itself."""
        await first(work, stop.requested.wait())
        await first(work, stop.at_once.wait(), timeout=self._settings.grace_seconds)
        if not work.done():
            logger.warning("run %s: its handler has not stopped by itself", job.run_id)
            if self._is_async:
                work.cancel()
            await asyncio.wait([work])


class BlockingContext:
    """`Context` for a function in a thread: the same names, but what is awaited there blocks here."""

    def __init__(self, context: Context, loop: asyncio.AbstractEventLoop) -> None:
        self._context = context
        self._loop = loop

    @property
    def cancelled(self) -> Stop:
        """True once the handler is asked to stop; a thread cannot await it, but may look again and again."""
        return self._context.stop

    @property
    def config(self) -> Config:
        """As of `Context`."""
        return self._context.config

    @property
    def traceparent(self) -> str | None:
        """As of `Context`."""
        return self._context.traceparent

    def raise_if_cancelled(self) -> None:
        """As of `Context`."""
        self._context.raise_if_cancelled()

    def log(self, message: str, level: str = "info") -> None:
        """As of `Context`."""
        self._loop.call_soon_threadsafe(self._context.log, message, level)

    def progress(self, percent: float, message: str | None = None) -> None:
        """As of `Context`."""
        self._loop.call_soon_threadsafe(self._context.progress, percent, message)

    def evidence(self, items: Sequence[EvidenceItem | dict[str, Any]]) -> list[EvidenceVerdict]:
        """As of `Context`, and blocks. `Cancelled` when the handler is asked to stop first."""
        return self._wait_for(self._context.evidence(items))

    def asset(self, name: str, content: str | Path | bytes, content_type: str | None = None) -> AssetRef:
        """As of `Context`, and blocks. `Cancelled` when the handler is asked to stop first."""
        return self._wait_for(self._context.asset(name, content, content_type))

    def needs_user_action(self, message: str) -> None:
        """As of `Context`, and blocks. `Cancelled` when the handler is asked to stop first."""
        self._wait_for(self._context.needs_user_action(message))

    def _wait_for(self, call: Awaitable[T]) -> T:
        return asyncio.run_coroutine_threadsafe(self._unless_stopped(call), self._loop).result()

    async def _unless_stopped(self, call: Awaitable[T]) -> T:
        task = asyncio.ensure_future(call)
        await first(task, self._context.stop.requested.wait())
        if not task.done():
            task.cancel()
            raise Cancelled
        return task.result()


async def _kept(work: Awaitable[Any]) -> Any:
    """What `work` returns, or its `SystemExit`, which would take the whole event loop along if a task ended by it."""
    try:
        return await work
    except SystemExit as word:
        return word


async def _outcome(work: "asyncio.Future[Any]", stop: Stop) -> Outcome:
    try:
        returned = await work
    except Cancelled as word:
        return Outcome.stopped(str(word))
    except asyncio.CancelledError:
        if not stop:
            raise
        return Outcome.stopped()
    if isinstance(returned, SystemExit):
        raise returned
    if isinstance(returned, Outcome):
        return returned
    if returned is None or isinstance(returned, dict):
        return Outcome.succeeded(returned)
    message = f"its handler returned {type(returned).__name__}; an Outcome, a dict or None is expected"
    return Outcome.failed("bad_outcome", message, retryable=False)


def _wants_context(function: Function) -> bool:
    """Whether it takes a second argument by position."""
    kinds = [each.kind for each in inspect.signature(function).parameters.values()]
    positional = {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}
    return inspect.Parameter.VAR_POSITIONAL in kinds or sum(kind in positional for kind in kinds) > 1
