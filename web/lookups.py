"""What every request needs of the rows behind its credential, remembered for a moment.

Only what was found is remembered, never an absence: rows that another process adds are seen at once, and what it takes
away is noticed within `lookup_cache_seconds`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Hashable
from typing import Any, NamedTuple

from peewee import Database

from interlock.clock import Clock, Millis
from store import Store, accounts
from store.accounts import Key, Person
from store.job_types import types_named
from store.sessions import SessionRow, login_of, session_of
from web.heeded import heeded

_MOST = 50_000  # answers kept; beyond, all are forgotten


class _WithOthers(NamedTuple):
    """What was asked for, and what is likely to be asked for next."""

    found: Any
    others: dict[Hashable, Any]


class Lookups:
    """Cached reads of small rows."""

    def __init__(self, store: Store, clock: Clock, trusted_ms: Millis) -> None:
        self._store = store
        self._clock = clock
        self._trusted_ms = trusted_ms
        self._known: dict[Hashable, tuple[Millis, Any]] = {}
        self._asking: dict[Hashable, asyncio.Future[Any]] = {}
        self._forgotten = 0  # how often something was: what was read before may still tell of it
        self.set_up = False

    async def is_set_up(self) -> bool:
        """Whether any account exists; once one does, `set_up` says so and it is never asked again."""
        if not self.set_up:
            self.set_up = await self._store.fetch(accounts.somebody_exists)
        return self.set_up

    def person(self, user_id: str) -> Awaitable[Person | None]:
        """The user."""
        return self._look(("person", user_id), lambda db: accounts.person(db, user_id))

    def person_at(self, email: str) -> Awaitable[Person | None]:
        """The user of that address, or of the same in lower case."""
        return self._look(("address", email), lambda db: _person_at(db, email))

    def role(self, org_id: str, user_id: str) -> Awaitable[str | None]:
        """The user's role in the org."""
        return self._look(("role", org_id, user_id), lambda db: accounts.role_of(db, org_id, user_id))

    def key(self, kid: str) -> Awaitable[Key | None]:
        """An agent's key. Its host and what lives there come along: whoever polls is about to be given jobs for them."""
        return self._look(("key", kid), lambda db: _key_and_places(db, kid))

    def known_key(self, kid: str) -> Key | None:
        """An agent's key, if it has been looked up a moment ago."""
        found: Key | None = self._at_hand(("key", kid))
        return found

    def session(self, session_id: str) -> Awaitable[SessionRow | None]:
        """A browser's session."""
        return self._look(("session", session_id), lambda db: session_of(db, session_id))

    def forget_session(self, session_id: str) -> None:
        """It has just been used, or is over."""
        self._known.pop(("session", session_id), None)

    def forget_key(self, kid: str) -> None:
        """It has just been revoked."""
        self._forget(("key", kid))

    def forget_host(self, host_id: str) -> None:
        """It has just been deleted."""
        self._forget(("host", host_id))

    def forget_instance(self, instance_id: str) -> None:
        """It has just been moved or deleted."""
        self._forget(("instance", instance_id))

    def org_of_host(self, host_id: str) -> Awaitable[str | None]:
        """Whose host it is."""
        return self._look(("host", host_id), lambda db: accounts.org_of_host(db, host_id))

    def place_of_instance(self, instance_id: str) -> Awaitable[tuple[str, str] | None]:
        """The org and host of a server instance."""
        return self._look(("instance", instance_id), lambda db: accounts.place_of_instance(db, instance_id))

    def definition_of_type(self, org_id: str, name: str) -> Awaitable[str | None]:
        """An org's own definition of a job type."""
        return self._look(("type", org_id, name), lambda db: accounts.definition_of_type(db, org_id, name))

    def definitions_of_types(self, org_id: str, names: Collection[str]) -> Awaitable[dict[str, str]]:
        """Which of the built-in types of those names the org has changed, and its definitions of them."""
        return self._look(
            ("built-in types", org_id),
            lambda db: {name: row.definition for name, row in types_named(db, org_id, names).items()},
        )

    def forget_type(self, org_id: str, name: str) -> None:
        """It has just been changed or deleted."""
        self._forget(("type", org_id, name))
        self._forget(("built-in types", org_id))

    def forget_role(self, org_id: str, user_id: str) -> None:
        """It has just been changed or taken away."""
        self._forget(("role", org_id, user_id))

    def _forget(self, key: Hashable) -> None:
        """Whoever is just reading it may have come too early."""
        self._forgotten += 1
        self._known.pop(key, None)
        self._asking.pop(key, None)

    def _at_hand(self, key: Hashable) -> Any:
        """What was found a moment ago; None when it has to be looked for."""
        known = self._known.get(key)
        return known[1] if known is not None and known[0] > self._clock.now() else None

    async def _look(self, key: Hashable, work: Callable[[Database], Any]) -> Any:
        known = self._at_hand(key)
        if known is not None:
            return known
        asking = self._asking.get(key)
        if asking is None:
            asking = self._asking[key] = heeded(asyncio.ensure_future(self._ask(key, work)))
            asking.add_done_callback(lambda done: self._asked(key, done))
        return await asyncio.shield(asking)

    async def _ask(self, key: Hashable, work: Callable[[Database], Any]) -> Any:
        """Many may want the same row at once, as the items of a batch do: it is read once for all of them."""
        asked_at, forgotten = self._clock.now(), self._forgotten
        found = await self._store.fetch_small(work)
        others: dict[Hashable, Any] = {}
        if isinstance(found, _WithOthers):
            found, others = found
        if found is not None and self._asking.get(key) is asyncio.current_task():
            if len(self._known) + len(others) >= _MOST:
                self._known.clear()
            until = asked_at + self._trusted_ms
            self._known[key] = (until, found)
            if forgotten == self._forgotten:
                self._known.update((other, (until, value)) for other, value in others.items())
        return found

    def _asked(self, key: Hashable, done: "asyncio.Future[Any]") -> None:
        if self._asking.get(key) is done:
            del self._asking[key]


def _key_and_places(database: Database, kid: str) -> _WithOthers | None:
    key = accounts.key_of(database, kid)
    if key is None:
        return None
    others: dict[Hashable, Any] = {("host", key.host_id): key.org_id}
    for instance_id in accounts.instances_on(database, key.host_id):
        others["instance", instance_id] = (key.org_id, key.host_id)
    return _WithOthers(key, others)


def _person_at(database: Database, email: str) -> Person | None:
    login = login_of(database, email)
    return None if login is None else login.person
