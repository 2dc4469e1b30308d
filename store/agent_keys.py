"""Agents' keys in use: which of them still hold."""

from collections.abc import Sequence

from peewee import Database, Query

from interlock.clock import Millis
from store.compiled import ARG, rows
from store.models import AgentKey


def revoked_since(database: Database, since: Millis) -> list[str]:
    """The keys that were revoked at that instant or later, by the clock of whoever revoked them."""
    return [kid for (kid,) in rows(database, _revoked, since)]


def _revoked() -> Query:
    return AgentKey.select(AgentKey.kid).where(AgentKey.revoked_at >= ARG)


def keys_that_hold(database: Database, kids: Sequence[str]) -> list[str]:
    """Those of the keys that are there and have not been revoked; some hundreds at once."""
    query = AgentKey.select(AgentKey.kid).where(AgentKey.kid.in_(kids) & AgentKey.revoked_at.is_null())
    return [kid for (kid,) in query.tuples().execute(database)]
