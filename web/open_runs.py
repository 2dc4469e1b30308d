"""Open runs for `/metrics`, counted in the rows when somebody asks, and not more often than every so often."""

import asyncio

from interlock.errors import InterlockError
from interlock.states import TERMINAL, RunStatus
from store import Store
from store.open_runs import open_runs
from web.metrics import Metrics

BELIEVED = 10.0  # seconds that a count holds
PATIENCE = 2.0  # seconds that one may take; a scrape is answered with the last one then
OPEN = tuple(status.value for status in RunStatus if status not in TERMINAL)


class OpenRuns:
    """Keeps the count of `metrics`."""

    def __init__(self, store: Store, metrics: Metrics) -> None:
        self._store = store
        self._metrics = metrics
        self._counting: asyncio.Task[None] | None = None
        self._counted_at: float | None = None

    async def look(self) -> None:
        """Count anew if the last count is old. Never raises: what cannot be counted is left out."""
        now = asyncio.get_running_loop().time()
        if self._counting is None or self._counting.done():
            if self._counted_at is not None and self._counted_at + BELIEVED > now:
                return
            self._counted_at = now
            self._counting = asyncio.create_task(self._count(), name="open-runs")
        await asyncio.wait({self._counting}, timeout=PATIENCE)

    async def _count(self) -> None:
        try:
            found = await self._store.fetch(open_runs)
        except InterlockError:
            self._metrics.open_runs = {}  # better none than one from long ago
        else:
            self._metrics.open_runs = dict.fromkeys(OPEN, 0) | found
