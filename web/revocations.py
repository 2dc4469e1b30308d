"""Keys that are revoked while somebody holds a socket or a parked poll open with them.

Who revokes may be another process, so the rows are looked at: cheaply and often for what has been revoked lately, and
now and then, for each key in use, whether it is there at all.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count

from interlock.clock import Clock
from interlock.errors import InterlockError
from store import Store
from store.agent_keys import keys_that_hold, revoked_since
from web.looks import keep_looking
from web.lookups import Lookups

log = logging.getLogger(__name__)

SKEW_MS = 600_000  # by which the clock of whoever revokes may be behind ours
WHOLE_LOOK_EVERY = 30  # looks
AT_ONCE = 500  # keys in one query

Ended = Callable[[], None]


class Revocations:
    """To be used on the loop's thread only."""

    def __init__(self, store: Store, lookups: Lookups, clock: Clock) -> None:
        self._store = store
        self._lookups = lookups
        self._clock = clock
        self._holders: dict[str, list[Ended]] = {}

    @contextmanager
    def holding(self, kid: str, ended: Ended) -> Iterator[None]:
        """Call `ended` when the key no longer holds, at most once."""
        holders = self._holders.setdefault(kid, [])
        holders.append(ended)
        try:
            yield
        finally:
            if ended in holders:
                holders.remove(ended)
            if not holders and self._holders.get(kid) is holders:
                del self._holders[kid]

    def revoked(self, kid: str) -> None:
        """The key no longer holds: nobody comes in with it, and who is in has to go."""
        self._lookups.forget_key(kid)
        for ended in self._holders.pop(kid, ()):
            try:
                ended()
            except Exception:
                log.exception("One of those who held a revoked key could not be told")

    async def watch(self, every_seconds: float) -> None:
        """Look until cancelled."""
        looks = count(1)

        async def look() -> None:
            try:
                await self.look(whole=next(looks) % WHOLE_LOOK_EVERY == 0)
            except InterlockError as error:
                log.debug("Whether keys were revoked could not be read: %s", error)  # that is no reason to end anybody

        await keep_looking("revocation-watch", every_seconds, look)

    async def look(self, *, whole: bool = False) -> None:
        """See whether any key in use has been revoked lately; `whole`: whether each of them is there and holds."""
        if not self._holders:
            return
        since = self._clock.now() - SKEW_MS
        gone = set(await self._store.fetch(lambda db: revoked_since(db, since)))
        kids = list(self._holders) if whole else []
        for start in range(0, len(kids), AT_ONCE):
            some = kids[start : start + AT_ONCE]
            gone.update(set(some) - await self._holding(some))
        for kid in gone & self._holders.keys():
            self.revoked(kid)

    async def _holding(self, kids: list[str]) -> set[str]:
        return set(await self._store.fetch(lambda db: keys_that_hold(db, kids)))
