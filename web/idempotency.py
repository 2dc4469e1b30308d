"""Idempotency-Key: the same key and body give the first answer again, at the same time or a day later.

The answer is stored in the very transaction that creates the job. Duplicates that arrive together wait for the first.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable

from peewee import Database

from actors import messages
from actors.owners import Rebuilt
from interlock.clock import Clock, Millis
from interlock.errors import IdempotencyConflict, InvalidRequest, Unavailable
from interlock.ids import Ids
from store import Store
from store.keys import forget_key, keep_answer, stored_answer, take_key

KEPT: Millis = 24 * 3600 * 1000
_LONGEST = 200  # characters of a key
_MOST_TRIES = 4  # of what ended with the actor that was asked


class Idempotency:
    """What is under way in this process, and what the rows remember."""

    def __init__(self, store: Store, clock: Clock, ids: Ids) -> None:
        self._store = store
        self._ids = ids
        self._clock = clock
        self._under_way: dict[tuple[str, str, str], asyncio.Future[None]] = {}

    async def once(
        self,
        org_id: str,
        key: messages.Idempotency,
        create: Callable[[], Awaitable[bytes]],
    ) -> tuple[bytes, bool]:
        """The answer, and whether it is the first one given again."""
        place = (org_id, key.user_id, key.key)
        while (other := self._under_way.get(place)) is not None:
            await asyncio.shield(other)
        done = self._under_way[place] = asyncio.get_running_loop().create_future()
        try:
            for _ in range(_MOST_TRIES - 1):
                try:
                    return await self._known_or_made(org_id, key, create)
                except Rebuilt:
                    continue  # somebody else's request may have been the reason, and a key makes trying again safe
            return await self._known_or_made(org_id, key, create)
        finally:
            del self._under_way[place]
            done.set_result(None)

    async def _known_or_made(
        self, org_id: str, key: messages.Idempotency, create: Callable[[], Awaitable[bytes]]
    ) -> tuple[bytes, bool]:
        known = await self._known(org_id, key)
        if known is not None:
            return known, True
        try:
            return await create(), False
        except Unavailable:
            known = await self._known(org_id, key)  # another node may have been quicker
            if known is None:
                raise
            return known, True

    async def once_in_parts(
        self, org_id: str, key: messages.Idempotency, create: Callable[[], Awaitable[tuple[bytes, bool]]]
    ) -> tuple[bytes, bool]:
        """The same for work of many commits: the key is taken first, the answer is kept when all is done.

        An answer that was never kept, since the server died half-way or `create` says that it is not final, is made
        again: the parts have keys of their own.
        """

        async def whole() -> bytes:
            row = self._ids.new(), org_id, key, self._clock.now()
            await self._store.change(lambda db: take_key(db, *row))
            made, final = await create()
            if final:
                await self._store.change(lambda db: keep_answer(db, org_id, key.user_id, key.key, made.decode()))
            return made

        return await self.once(org_id, key, whole)

    async def _known(self, org_id: str, key: messages.Idempotency) -> bytes | None:
        found = await self._store.fetch(lambda db: stored_answer(db, org_id, key.user_id, key.key))
        if found is None:
            return None
        fingerprint, response, created_at = found
        if created_at + KEPT <= self._clock.now():
            await self._store.change(lambda db: _forget(db, org_id, key))
            return None
        if fingerprint != key.fingerprint:
            raise IdempotencyConflict
        return response.encode() or None  # empty: taken, but never answered


def _forget(database: Database, org_id: str, key: messages.Idempotency) -> None:
    forget_key(database, org_id, key.user_id, key.key)


def key_from(header: str | None, user_id: str, route: str, body: bytes) -> messages.Idempotency | None:
    """The key of a request, if it carries one."""
    if header is None:
        return None
    if not 1 <= len(header) <= _LONGEST or not header.isascii() or not header.isprintable():
        raise InvalidRequest.at("Idempotency-Key", f"expected 1 to {_LONGEST} printable ASCII characters")
    fingerprint = hashlib.sha256(route.encode() + b"\n" + body).hexdigest()
    return messages.Idempotency(user_id, header, fingerprint)
