"""Short reads that are asked for in the same turn of the loop go to a reading thread together: waking a thread, and being
woken by it, costs more than what is read.
"""

import logging
from collections.abc import Callable
from typing import Any

from store.entries import Done, Work

log = logging.getLogger(__name__)

AT_ONCE = 50  # reads for one thread: a few ms

Wanted = tuple[Work, Done]


class GatheredReads:
    """Reads of a row or two. On the loop only: `soon` runs a callable in its next turn, `read` a work on a thread."""

    def __init__(self, read: Callable[[Work, Done], None], soon: Callable[[Callable[[], None]], object]) -> None:
        self._read = read
        self._soon = soon
        self._wanted: list[Wanted] = []

    def read(self, work: Work, done: Done) -> None:
        """Run `work(database)` beside what else is wanted now, then `done(result, error)` on the loop."""
        self._wanted.append((work, done))
        if len(self._wanted) == 1:
            self._soon(self._submit)

    def _submit(self) -> None:
        wanted, self._wanted = self._wanted, []
        for start in range(0, len(wanted), AT_ONCE):
            self._read_together(wanted[start : start + AT_ONCE])

    def _read_together(self, wanted: list[Wanted]) -> None:
        def told(results: list[Any] | None, error: BaseException | None) -> None:
            if results is None and len(wanted) == 1:
                wanted[0][1](None, error)
            elif results is None:  # one that fails must not fail the others
                for each in wanted:
                    self._read_together([each])
            else:
                for (_, done), result in zip(wanted, results, strict=True):
                    _tell(done, result)

        self._read(lambda database: [work(database) for work, _ in wanted], told)


def _tell(done: Done, result: Any) -> None:
    """One that fails to listen must not silence the others."""
    try:
        done(result, None)
    except Exception:
        log.exception("What was read was not taken")
