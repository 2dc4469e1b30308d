"""The public keys of an issuer outside, remembered, so that no request waits for the issuer but one that names a new key.

They are asked for again when they have grown old, and at a token with an unknown `kid`, but not more often than every
`retry_seconds`, however many strangers make up ids. While the issuer is away the known keys go on counting, for
`outage_seconds`; a key that the issuer has withdrawn counts no more from the next answer on.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

import jwt

from interlock.errors import InterlockError, Unavailable
from web.issuer import Issuer
from web.key_set import NO_KEYS, key_set

log = logging.getLogger(__name__)

Fetch = Callable[[], Awaitable[bytes]]


class KeysAway(InterlockError):
    """The issuer did not hand out its keys; the sentence says why."""

    title = "The key set could not be fetched"


class IssuerKeys:
    """To be used on the loop's thread only. `fetch` returns the set's bytes, or raises `KeysAway`; `time` is in seconds.

    `changed` is called when any key counts no more, or counts anew.
    """

    def __init__(self, issuer: Issuer, fetch: Fetch, time: Callable[[], float]) -> None:
        self._issuer = issuer
        self._fetch = fetch
        self._time = time
        self._keys = NO_KEYS
        self._body = b""
        self._fetched_at: float | None = None
        self._tried_at: float | None = None
        self._asking: asyncio.Task[None] | None = None
        self.changed: Callable[[], None] = lambda: None

    def key(self, kid: str | None) -> jwt.PyJWK | None:
        """The key that a token names; None when it is not known now."""
        self._forget_if_old()
        return self._keys.key(kid)

    async def refresh(self) -> None:
        """Ask again, unless that was just done. Returns when the answer is there; `Unavailable` when there are no keys at
        all, so that nobody can say whether a token holds.
        """
        await self._ask_once()
        if not self._keys.by_id and self._keys.lone is None:
            raise Unavailable(
                "The keys of the tokens' issuer cannot be had now", retry_after=self._issuer.retry_seconds
            )

    async def look(self) -> None:
        """Ask for keys that have grown old; to be called every `retry_seconds` or so."""
        self._forget_if_old()
        old = self._fetched_at is None or self._time() - self._fetched_at >= self._issuer.max_age_seconds
        if old:
            await self._ask_once()

    async def _ask_once(self) -> None:
        """All who want to know at once share one request, and the next may come after a while only."""
        at = self._tried_at
        if self._asking is None and (at is None or self._time() - at >= self._issuer.retry_seconds):
            self._asking = asyncio.create_task(self._ask(), name="issuer-keys")
            self._asking.add_done_callback(self._asked)
        if self._asking is not None:
            await asyncio.shield(self._asking)

    def _asked(self, _: "asyncio.Task[None]") -> None:
        self._asking = None

    async def _ask(self) -> None:
        self._tried_at = self._time()
        try:
            body = await self._fetch()
            keys = self._keys if body == self._body else key_set(body, self._issuer.algorithm)
        except InterlockError as error:
            log.warning("The keys of %s could not be had: %s", self._issuer.jwks_url, error.detail)
            return
        self._fetched_at = self._time()
        if keys is not self._keys:
            self._keys, self._body = keys, body
            log.info("The issuer of tokens has %d keys", len(keys.by_id) or 1)
            self.changed()

    def _forget_if_old(self) -> None:
        at = self._fetched_at
        if at is not None and self._time() - at > self._issuer.outage_seconds:
            self._keys, self._body, self._fetched_at = NO_KEYS, b"", None
            log.error("The issuer of tokens has been away for too long: its keys count no more")
            self.changed()
