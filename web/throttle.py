"""Sign-ins per account and per address. Imported with the first sign-in only: loading the library takes a tenth of a second.

Each attempt counts before it is looked at, so that a hundred at once are a hundred. A window begins with an attempt and ends
after its time, whatever comes meanwhile. Whoever gets in is forgiven what the account has seen. Each server counts for itself.

There is room for so many accounts and addresses. Whoever invents more of them makes those forgotten that were tried least,
most of them invented as well, and keeps nobody out.
"""

from heapq import nsmallest

from limits import RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from interlock.clock import Clock
from interlock.errors import RateLimited
from web.opaque import digest

MOST = 20_000  # accounts and addresses that are counted at once: the library looks through them all again and again
FORGOTTEN = 20  # a part of MOST: so many are forgotten at once, which takes some 20 ms


class Throttle:
    """0 attempts: no limit. The library has a clock of its own; ours only says how long it is until a window ends."""

    def __init__(self, clock: Clock, per_account: int, per_address: int, window_seconds: int) -> None:
        self._clock = clock
        self._counts = MemoryStorage()
        self._limiter = FixedWindowRateLimiter(self._counts)
        self._rates = {
            "account": RateLimitItemPerSecond(per_account, window_seconds) if per_account else None,
            "address": RateLimitItemPerSecond(per_address, window_seconds) if per_address else None,
        }

    def enter(self, account: str | None, address: str) -> None:
        """Count an attempt; `RateLimited` when there were too many. The address counts first: whoever has used up his own may
        not use up an account's.
        """
        if len(self._counts.storage) >= MOST:
            self._forget_some()
        self._count("address", address)
        if account is not None:
            self._count("account", _key(account))

    def welcome(self, account: str) -> None:
        """Somebody got in."""
        rate = self._rates["account"]
        if rate is not None:
            self._limiter.clear(rate, "account", _key(account))

    def _forget_some(self) -> None:
        """Those with the fewest attempts, and of equal ones the oldest. An attempt counts once for an address and once for an
        account: neither kind can push out the other's that were tried often.
        """
        ends_at = self._counts.expirations
        counted = list(self._counts.storage.items())  # the library's own thread removes what is over
        ranked = ((count, ends_at.get(key, 0.0), key) for key, count in counted)
        for _, _, key in nsmallest(max(1, MOST // FORGOTTEN), ranked):
            self._counts.clear(key)

    def _count(self, kind: str, key: str) -> None:
        rate = self._rates[kind]
        if rate is None or self._limiter.hit(rate, kind, key):
            return
        ends_at = self._limiter.get_window_stats(rate, kind, key).reset_time
        wait = max(1.0, ends_at - self._clock.now() / 1000)
        raise RateLimited(f"Too many attempts for this {kind}", retry_after=wait)


def _key(account: str) -> str:
    """Of one length, whatever somebody sends."""
    return digest(account.strip().lower())
