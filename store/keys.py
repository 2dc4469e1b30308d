"""Answers that are given again when a request comes again with its Idempotency-Key."""

from peewee import Database, Query

from interlock.clock import Millis
from store.compiled import ARG, rows
from store.models import IdempotencyKey


def stored_answer(database: Database, org_id: str, user_id: str, key: str) -> tuple[str, str, Millis] | None:
    """The fingerprint of the first body, the first answer, and when it was given."""
    found = rows(database, _stored, org_id, user_id, key)
    return (found[0][0], found[0][1], found[0][2]) if found else None


def _stored() -> Query:
    columns = (IdempotencyKey.fingerprint, IdempotencyKey.response, IdempotencyKey.created_at)
    return IdempotencyKey.select(*columns).where(_is(ARG, ARG, ARG))


def forget_key(database: Database, org_id: str, user_id: str, key: str) -> None:
    """Its day is over."""
    IdempotencyKey.delete().where(_is(org_id, user_id, key)).execute(database)


def take_key(database: Database, row_id: str, org_id: str, key: tuple[str, str, str], now: Millis) -> None:
    """Take a key (user, key, fingerprint) before its answer is known; one that is taken already stays as it is."""
    user_id, name, fingerprint = key
    values = {"id": row_id, "org_id": org_id, "user_id": user_id, "key": name, "fingerprint": fingerprint}
    query = IdempotencyKey.insert(values | {"response": "", "created_at": now})
    query.on_conflict_ignore().execute(database)


def keep_answer(database: Database, org_id: str, user_id: str, key: str, response: str) -> None:
    """Now its answer is known."""
    IdempotencyKey.update(response=response).where(_is(org_id, user_id, key)).execute(database)


def forget_old_keys(database: Database, before: Millis, most: int) -> int:
    """Delete up to so many keys whose day is over; how many they were."""
    old = IdempotencyKey.select(IdempotencyKey.id).where(IdempotencyKey.created_at < before).limit(most)
    forgotten: int = IdempotencyKey.delete().where(IdempotencyKey.id.in_(old)).execute(database)
    return forgotten


def _is(org_id: str, user_id: str, key: str) -> object:
    model = IdempotencyKey
    return (model.org_id == org_id) & (model.user_id == user_id) & (model.key == key)
