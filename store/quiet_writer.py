"""A lone decision in a quiet moment, written by the loop itself.

The way to the writing process and back takes as long as all that SQLite does but for the disk, and in a quiet moment the loop
has nothing else to do. So it writes there and then, on a connection of its own, where the disk has shown that it is quick:
after a commit that took long the process has all of them for twenty times as long, so that a slow disk holds the loop for
a twentieth of the time at most. It waits for nobody: while somebody else writes, the process does the waiting.

SQLite only; what PostgreSQL takes is not the loop's to wait for.
"""

import logging
import time
from collections.abc import Callable
from typing import Any

from store.committer import Committer, NotBegun, Written
from store.database import open_database
from store.entries import Entry
from store.writer import CommitterElsewhere

log = logging.getLogger(__name__)

SWIFT_SECONDS = 0.005  # that a commit may hold the loop
RESPITE = 20  # times as long as a commit that held it longer: until the next one
MOST_IN_A_ROW = 24  # then the process writes one: it alone puts what is in SQLite's log back into the database
_PRAGMAS = {"busy_timeout": 0, "wal_autocheckpoint": 0, "cache_size": -4096}  # KiB: the process has the large cache


class QuietWriter:
    """All of it is called on the loop."""

    def __init__(self, committer: "AlreadyBegun", now: Callable[[], float] = time.perf_counter) -> None:
        self._committer = committer
        self._now = now
        self._rests_until = 0.0
        self._in_a_row = 0

    @property
    def ready(self) -> bool:
        """Whether it may write the next one."""
        return self._in_a_row < MOST_IN_A_ROW and self._now() >= self._rests_until

    def write(self, entry: Entry) -> Written | None:
        """As the committer does it; None where that is for the process to do. Never raises."""
        committer, began = self._committer, self._now()
        if entry.incarnation.poisoned or not committer.begin_now():
            return None
        written = committer.write([entry])
        ended = self._now()
        self._in_a_row += 1
        if ended - began > SWIFT_SECONDS:
            self._rests_until = ended + RESPITE * (ended - began)
        return written

    def others_wrote(self) -> None:
        """The process has written a batch."""
        self._in_a_row = 0

    def close(self) -> None:
        """Let the connection go; twice does no harm."""
        self._committer.database.close()


class AlreadyBegun(Committer):
    """Where whether a transaction can begin is found out before anything is said of what it is to write."""

    _begun: Any = None

    def begin_now(self) -> bool:
        """Begin, if nobody else writes at this moment and nothing else is in the way."""
        try:
            self._begun = super()._begin()
        except NotBegun as error:
            log.debug("The process writes this one: %s", error)
            return False
        return True

    def _begin(self) -> Any:
        begun, self._begun = self._begun, None
        return super()._begin() if begun is None else begun


def beside(elsewhere: CommitterElsewhere) -> QuietWriter:
    """One that writes what the process does, with a connection of its own."""
    database = open_database(elsewhere.url, _PRAGMAS)
    return QuietWriter(AlreadyBegun(database, elsewhere.owner, elsewhere.statements))
