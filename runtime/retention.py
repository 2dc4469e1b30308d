"""The server's own pruning: a round every so often, on a thread of its own, on one server of a cluster at a time.

On SQLite the journal's thread removes, between two of its batches: there is one writer. On PostgreSQL the thread's own
connection does, beside the journal.
"""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from interlock.clock import Clock
from interlock.errors import Unavailable
from runtime.pruning import Policy, Pruner, writes_in
from runtime.watch import Watch
from store import Store
from store.errors import DRIVER_ERRORS

log = logging.getLogger(__name__)

Figure = tuple[str, str, Callable[[], float]]


class Retention(Watch):
    """`start` it last and `stop` it before the store; the round under way ends after its present portion."""

    def __init__(
        self, store: Store, policy: Policy, clock: Clock, assets: Path, every_seconds: float, *, embedded: bool
    ) -> None:
        super().__init__("retention", every_seconds, self.look)
        self._store = store
        self._embedded = embedded
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="retention")
        self._loop: asyncio.AbstractEventLoop | None = None
        write = self._by_the_journal if embedded else writes_in(store.database, ())
        self._pruner = Pruner(store.database, policy, write, clock, assets)
        counts = self._pruner.counts
        self.rounds = 0
        self.counters: list[Figure] = [
            ("interlock_pruned_jobs", "Ended jobs that were removed.", lambda: counts["job"]),
            (
                "interlock_pruned_rows",
                "Rows that were removed, jobs included.",
                lambda: counts.total() - counts["file"],
            ),
            ("interlock_pruned_files", "Files that were removed.", lambda: counts["file"]),
            ("interlock_prunings", "Rounds of pruning by this server.", lambda: self.rounds),
        ]

    async def look(self) -> None:
        """One round."""
        self._loop = asyncio.get_running_loop()
        await self._loop.run_in_executor(self._thread, self._round)

    async def stop(self) -> None:
        """Wait for the portion under way; twice does no harm."""
        self._pruner.stopping.set()
        await super().stop()
        await asyncio.to_thread(self._thread.shutdown)

    def _round(self) -> None:
        database = self._store.database
        try:
            database.connect(reuse_if_open=True)
            self.rounds += self._pruner.round()
        except OSError as error:
            raise Unavailable(f"{error.filename or 'a file'} cannot be written or removed: {error.strerror}") from error
        except DRIVER_ERRORS as error:
            raise Unavailable(f"the database cannot be read or written: {error}") from error
        finally:
            database.close()  # whatever it holds, such as the turn to prune, goes with it

    def _by_the_journal(self, work: Callable[[Any], Any]) -> Any:
        if self._loop is None:
            raise Unavailable("the server has not started")
        return asyncio.run_coroutine_threadsafe(self._store.change(work), self._loop).result()
