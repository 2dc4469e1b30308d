"""One door to the database for the rooms above: writes through the journal, reads on a few threads of their own."""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from peewee import Database, SqliteDatabase

from interlock.errors import Unavailable
from store.committer import Committer
from store.database import connected, migrate
from store.entries import Done, Work
from store.errors import DRIVER_ERRORS
from store.gathered_reads import GatheredReads
from store.journal import Journal
from store.loop_journal import LoopJournal
from store.quiet_writer import beside
from store.writer import CommitterElsewhere

log = logging.getLogger(__name__)

Result = TypeVar("Result")
READ_SECONDS = 8.0  # until a read is given up: longer than the server's own limit for a statement


class Store:
    """`start` migrates and begins to write; `stop` writes what is queued. Twice does no harm.

    `owner` is unique per process start: a name must never be used again, or an old owner's writes would pass the fence.
    """

    def __init__(
        self, database: Database, owner: str, *, read_threads: int = 4, elsewhere: CommitterElsewhere | None = None
    ) -> None:
        self.database = database
        self.owner = owner
        self._pool = ThreadPoolExecutor(read_threads, thread_name_prefix="read")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped = False
        self._gathered = GatheredReads(self.read, lambda flush: asyncio.get_running_loop().call_soon(flush))
        self._connections: dict[int, Any] = {}  # of the reading threads
        self.journal = _journal(Committer(database, owner) if elsewhere is None else elsewhere, self._post)

    def start(self, loop: asyncio.AbstractEventLoop) -> list[str]:
        """Apply missing migrations and start the journal; the names of the migrations."""
        self._loop = loop
        applied = migrate(self.database)
        self.database.close()  # of this thread, which may well be a borrowed one
        if isinstance(self.journal, LoopJournal):
            self.journal.begin(loop)
        else:
            self.journal.start(loop.call_soon)
        return applied

    def stop(self) -> None:
        """Write what is queued, then let the threads go."""
        self._stopped = True
        self.journal.stop()
        self._pool.shutdown()
        while self._connections:
            self._connections.popitem()[1].close()  # of threads that have ended
        self.database.close()

    def read(self, work: Work, done: Done) -> None:
        """Run `work(database)` on a reading thread, then `done(result, error)` on the loop."""

        def run() -> None:
            try:
                result, error = self._reading(work), None
            except Exception as failure:  # noqa: BLE001 - whoever asked is told
                result, error = None, failure
            self._post(lambda: done(result, error))

        try:
            self._pool.submit(run)
        except RuntimeError as error:
            done(None, Unavailable(f"The server is stopping: {error}"))

    async def fetch(self, work: Callable[[Database], Result]) -> Result:
        """The result of `work(database)` on a reading thread; `Unavailable` when the database is."""
        return await self._answered(lambda: asyncio.get_running_loop().run_in_executor(self._pool, self._reading, work))

    async def fetch_small(self, work: Callable[[Database], Result]) -> Result:
        """The same of a row or two: all that are asked for in one turn of the loop wake one thread together."""
        return await self._answered(lambda: self._beside_others(work))

    async def _answered(self, begin: Callable[[], Awaitable[Result]]) -> Result:
        try:
            async with asyncio.timeout(READ_SECONDS):
                return await begin()
        except TimeoutError as error:
            log.warning("The database has not answered within %g s", READ_SECONDS)
            raise Unavailable("The database does not answer") from error
        except DRIVER_ERRORS as error:
            log.warning("The database cannot be read: %s", error)
            raise Unavailable("The database cannot be read at the moment") from error
        except RuntimeError as error:
            if not self._stopped:
                raise
            raise Unavailable("The server is stopping") from error

    def _beside_others(self, work: Callable[[Database], Result]) -> "asyncio.Future[Result]":
        answer: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._gathered.read(work, _to(answer))
        return answer

    async def change(self, work: Callable[[Database], Result]) -> Result:
        """The result of `work(database)` in a short transaction of its own; `Unavailable` when it was not committed."""
        answer: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self.journal.exclusive(work, _to(answer))
        try:
            return await answer
        except DRIVER_ERRORS as error:
            log.warning("The database cannot be written: %s", error)
            raise Unavailable("The database cannot be written at the moment") from error

    def _post(self, callback: Callable[[], None]) -> None:
        if self._loop is None:
            raise RuntimeError("the store has not been started")
        self._loop.call_soon_threadsafe(callback)

    def _reading(self, work: Callable[[Database], Result]) -> Result:
        self._connections[threading.get_ident()] = connected(self.database)
        return work(self.database)


def _journal(committer: Committer, post: Callable[[Callable[[], None]], object]) -> Journal:
    if not isinstance(committer, CommitterElsewhere):
        return Journal(committer, post)
    on_sqlite = isinstance(committer.database, SqliteDatabase)
    return LoopJournal(committer, post, beside(committer) if on_sqlite else None)


def _to(answer: "asyncio.Future[Result]") -> Done:
    """Settles it with a result or an error, unless nobody waits for it any more."""

    def done(result: Result, error: BaseException | None) -> None:
        if answer.done():
            return
        if error is None:
            answer.set_result(result)
        else:
            answer.set_exception(error)

    return done
