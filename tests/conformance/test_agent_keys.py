"""Which keys in use still hold, on every database."""

from peewee import Database

from store.agent_keys import keys_that_hold, revoked_since
from store.models import AgentKey


def add(database: Database, kid: str, revoked_at: int | None = None) -> None:
    values = {"kid": kid, "org_id": "org", "host_id": "host", "created_at": 1, "revoked_at": revoked_at}
    AgentKey.insert(values).execute(database)


def test_only_what_was_revoked_lately_is_told(database: Database) -> None:
    for kid, revoked_at in (("holds", None), ("long", 10), ("just", 20), ("later", 30)):
        add(database, kid, revoked_at)
    assert sorted(revoked_since(database, 20)) == ["just", "later"]
    assert revoked_since(database, 31) == []


def test_a_key_holds_when_it_is_there_and_not_revoked(database: Database) -> None:
    add(database, "holds")
    add(database, "revoked", 10)
    add(database, "other")
    assert keys_that_hold(database, ["holds", "revoked", "never was"]) == ["holds"]
    assert keys_that_hold(database, []) == []
