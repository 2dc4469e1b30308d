"""Who listens to a journal."""

import asyncio
from typing import Any

from store import Entry, Store
from store.entries import Change
from store.loop_journal import LoopJournal
from store.pool import PoolWrite


class Told:
    """What the journal says, in the order in which it does."""

    def __init__(self, store: Store) -> None:
        self.journal = store.journal
        self.said: list[Any] = []
        self._news = asyncio.Event()

    def submit(self, entry: Entry, name: str = "") -> None:
        entry.done = (lambda outcome: self._hear((name, outcome))) if name else self._hear
        self.journal.submit(entry)

    def pool(self, *wanted: list[Change]) -> None:
        """Changes to a pool."""
        self.journal.exclusive(PoolWrite(wanted), lambda fits, error: self._hear((fits, error)))

    def exclusive(self, name: str) -> None:
        self.journal.exclusive(lambda _: name, lambda result, _: self._hear(result))

    async def hear(self, name: str) -> Any:
        """The outcome of the decision that was submitted by that name."""
        while name not in (said := {each[0]: each[1] for each in self.said if isinstance(each, tuple)}):
            self._news.clear()
            await asyncio.wait_for(self._news.wait(), 20)
        return said[name]

    def _hear(self, what: Any) -> None:
        self.said.append(what)
        self._news.set()

    async def all(self, count: int) -> list[Any]:
        while len(self.said) < count:
            self._news.clear()
            await asyncio.wait_for(self._news.wait(), 20)
        return self.said


async def at_rest(store: Store) -> None:
    """Return when its process has opened the database, and nothing is under way."""
    await store.change(lambda _: None)
    journal = store.journal
    assert isinstance(journal, LoopJournal)
    while journal._busy:  # noqa: ASYNC110 - it is told of its end a moment after whoever asked
        await asyncio.sleep(0)
