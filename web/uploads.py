"""How many files may be received at once: each holds a file and some memory, for as long as its sender's line takes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from interlock.errors import Unavailable


class Uploads:
    """A count with a bound."""

    def __init__(self, most: int) -> None:
        self.under_way = 0
        self._most = most

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """For one file; `Unavailable` at once when there is none."""
        if self.under_way >= self._most:
            raise Unavailable(f"{self._most} files are being received already", retry_after=5)
        self.under_way += 1
        try:
            yield
        finally:
            self.under_way -= 1
