"""How often anybody may try to sign in; counted by `web.throttle`, which is loaded for the first who tries."""

import asyncio
from importlib import import_module
from typing import Any, NamedTuple

from interlock.clock import Clock


class Attempts(NamedTuple):
    """Within a window; described in `runtime/settings.py`."""

    per_account: int = 10
    per_address: int = 100
    window_seconds: int = 300


class SignIns:
    """To be used on the loop's thread only."""

    def __init__(self, clock: Clock, attempts: Attempts) -> None:
        self._clock = clock
        self._attempts = attempts
        self._counted: Any = None

    async def enter(self, account: str | None, address: str) -> None:
        """Count an attempt; `RateLimited` when there were too many."""
        if self._counted is None:
            module: Any = await asyncio.to_thread(import_module, "web.throttle")
            if self._counted is None:
                self._counted = module.Throttle(self._clock, *self._attempts)
        self._counted.enter(account, address)

    def welcome(self, account: str) -> None:
        """Somebody got in: the account's attempts are forgiven."""
        if self._counted is not None:
            self._counted.welcome(account)
