"""The organizations' settings as their agents get them: remembered for a moment, and pushed to those who are connected
whenever a newer version becomes known, whoever made it.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple, Protocol

import msgspec

from interlock.clock import Clock, Millis, rfc3339
from interlock.fleet import CONNECTORS, PLATFORM, Config
from store import Store
from store.settings import Setting, setting_of, versions_of
from web.heeded import heeded

PUSHED_AT_ONCE = 256  # sessions in one turn of the loop, which writes to each: some ms
_MOST = 10_000  # documents kept; beyond, those of orgs without a session are forgotten
DEFAULT = Config(platform=PLATFORM, connectors=list(CONNECTORS), version=0)


class Listener(Protocol):
    """An agent's session, which hears of changes."""

    org_id: str

    def deliver(self, event: str, data: Any) -> None:
        """Write one frame; never blocks, never raises."""


class _Known(NamedTuple):
    config: Config
    until: Millis  # then the row is read again


class Configs:
    """To be used on the loop's thread only. `sessions()` gives all sessions of this process."""

    def __init__(
        self, store: Store, clock: Clock, trusted_ms: Millis, sessions: Callable[[], Iterable[Listener]]
    ) -> None:
        self._store = store
        self._clock = clock
        self._trusted_ms = trusted_ms
        self._sessions = sessions
        self._known: dict[str, _Known] = {}
        self._asking: dict[str, asyncio.Future[Config]] = {}

    async def of(self, org_id: str) -> Config:
        """The org's config, at most `trusted_ms` old; never an older one than was pushed to anybody before.

        Whoever connects is to be among the sessions before it asks, and to send the answer at once: then no change is
        missed, and none is overtaken by an older one.
        """
        known = self._known.get(org_id)
        if known is not None and known.until > self._clock.now():
            return known.config
        asking = self._asking.get(org_id)
        if asking is None:  # a whole fleet may connect at once: it is read once for all of them
            asking = self._asking[org_id] = heeded(asyncio.ensure_future(self.read(org_id)))
            asking.add_done_callback(lambda _: self._asking.pop(org_id, None))
        config = await asyncio.shield(asking)
        known = self._known.get(org_id)  # somebody may have changed it since
        return config if known is None or known.config.version <= config.version else known.config

    async def read(self, org_id: str) -> Config:
        """The org's config as its row says now."""
        return self.learn(org_id, config_from(await self._store.fetch(lambda db: setting_of(db, org_id))))

    def learn(self, org_id: str, config: Config) -> Config:
        """A config has been read or written: if it is newer than what is known here, the org's sessions are told.
        The newest that is known.
        """
        known = self._known.get(org_id)
        if known is not None and known.config.version > config.version:
            return known.config
        if known is None and len(self._known) >= _MOST:
            self._forget()
        self._known[org_id] = _Known(config, self._clock.now() + self._trusted_ms)
        if known is not None and known.config.version < config.version:
            self._push(org_id, config)
        return config

    async def look(self) -> None:
        """Read what others have changed since, for the orgs of all sessions."""
        orgs = {session.org_id for session in self._sessions()}
        if not orgs:
            return
        versions = await self._store.fetch(lambda db: versions_of(db, orgs))
        for org_id, version in versions.items():
            known = self._known.get(org_id)
            if known is None or known.config.version < version:
                await self.read(org_id)

    def _push(self, org_id: str, config: Config) -> None:
        self._push_more(org_id, config, iter([each for each in self._sessions() if each.org_id == org_id]))

    def _push_more(self, org_id: str, config: Config, sessions: Iterator[Listener]) -> None:
        """Some of them now and the rest in the next turns, unless there is something newer to say by then."""
        known = self._known.get(org_id)
        if known is not None and known.config.version != config.version:
            return
        portion = list(islice(sessions, PUSHED_AT_ONCE))
        for session in portion:
            session.deliver("config", config)
        if portion:
            asyncio.get_running_loop().call_soon(self._push_more, org_id, config, sessions)

    def _forget(self) -> None:
        kept = {session.org_id for session in self._sessions()}
        self._known = {org_id: known for org_id, known in self._known.items() if org_id in kept}


def config_from(setting: Setting | None) -> Config:
    """The row as agents get it; the default when there is none."""
    if setting is None:
        return DEFAULT
    version, document, updated_at = setting
    parts = msgspec.json.decode(document) | {"version": version, "updatedAt": rfc3339(updated_at)}
    return msgspec.convert(parts, Config)
