"""Changes to jobs in pools, many in one transaction: while one is under way, what else is decided gathers for the next."""

import logging
from collections.abc import Callable
from typing import Any

from actors.loop_actor import Scheduler
from actors.ports import JournalPort
from interlock.errors import InterlockError, Unavailable
from store.entries import Change
from store.pool import PoolWrite, is_of_one_row

log = logging.getLogger(__name__)

AT_ONCE = 2000  # decisions in one transaction: a batch of jobs, and what else comes at that moment

Wanted = tuple[list[Change], Callable[[bool | InterlockError], None]]


class PoolWriter:
    """One for a process. `done` is told True when it is durable, False when the rows had moved, or why nobody knows."""

    def __init__(self, journal: JournalPort, scheduler: Scheduler) -> None:
        self._journal = journal
        self._scheduler = scheduler
        self._waiting: list[Wanted] = []
        self._writes = False
        self.transactions = 0

    def write(self, changes: list[Change], done: Callable[[bool | InterlockError], None]) -> None:
        """All of these changes or none. What is decided in one turn of the loop goes together."""
        self._waiting.append((changes, done))
        if not self._writes:
            self._writes = True
            self._scheduler.call_soon(self._next)

    def _next(self) -> None:
        group, self._waiting = self._waiting[:AT_ONCE], self._waiting[AT_ONCE:]
        self._writes = bool(group)
        if group:
            self._submit(group, self._next)

    def _submit(self, group: list[Wanted], then: Callable[[], None]) -> None:
        def done(written: list[bool] | None, error: BaseException | None) -> None:
            if written is None and error is not None and len(group) > 1 and is_of_one_row(error):
                self._one_by_one(group, then)
                return
            outcomes: list[Any] = [_refusal(error)] * len(group) if written is None else written
            for (_, tell), outcome in zip(group, outcomes, strict=True):
                _tell(tell, outcome)
            then()

        self.transactions += 1
        self._journal.exclusive(PoolWrite([changes for changes, _ in group]), done)

    def _one_by_one(self, group: list[Wanted], then: Callable[[], None]) -> None:
        """One of them cannot be written: it must fail alone."""
        first, rest = group[:1], group[1:]
        self._submit(first, (lambda: self._one_by_one(rest, then)) if rest else then)


def _refusal(error: BaseException | None) -> InterlockError:
    if isinstance(error, InterlockError):
        return error
    log.warning("Changes of a pool were not written: %s", error)
    return Unavailable("It could not be written", retry_after=2)


def _tell(tell: Callable[[bool | InterlockError], None], outcome: bool | InterlockError) -> None:
    """One that fails to listen must not silence the others."""
    try:
        tell(outcome)
    except Exception:
        log.exception("What became of a pool's job was not taken")
