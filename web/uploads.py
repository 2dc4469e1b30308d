"""How many files may be received at once: each holds a file and some memory, for as long as its sender's line takes."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from interlock.errors import RateLimited, Unavailable

AGAIN = 5  # seconds


class Uploads:
    """A count with a bound, and with a smaller one for each org: one whose agents dawdle shuts nobody else out."""

    def __init__(self, most: int, most_per_org: int) -> None:
        self.under_way = 0
        self._most, self._most_per_org = most, most_per_org
        self._of_org: Counter[str] = Counter()

    @asynccontextmanager
    async def place(self, org_id: str) -> AsyncIterator[None]:
        """For one file; at once `RateLimited` when its org has no more, or `Unavailable` when nobody has."""
        if self._of_org[org_id] >= self._most_per_org:
            raise RateLimited(f"{self._most_per_org} files of this organization come already", retry_after=AGAIN)
        if self.under_way >= self._most:
            raise Unavailable(f"{self._most} files are being received already", retry_after=AGAIN)
        self.under_way += 1
        self._of_org[org_id] += 1
        try:
            yield
        finally:
            self.under_way -= 1
            self._of_org[org_id] -= 1
            if not self._of_org[org_id]:
                del self._of_org[org_id]
