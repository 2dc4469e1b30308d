"""The first account of all: made by whoever holds the set-up token, or by the operator; either closes the door."""

from dataclasses import replace
from typing import NamedTuple

from peewee import Database, PostgresqlDatabase

from interlock.clock import Millis
from interlock.errors import InvalidState, Unauthenticated
from interlock.ids import Ids
from store import accounts
from store.accounts import By
from store.models import SetupToken


class First(NamedTuple):
    """The first person, who owns the first organization; ids are made by the caller."""

    user_id: str
    org_id: str
    email: str
    name: str
    org_name: str
    password_hash: str


def new_token(database: Database, token_hash: str, expires_at: Millis) -> bool:
    """Let in, once, whoever knows what that is the hash of, and nobody who held an older token; False when there is an
    account already.
    """
    _hold(database)
    if accounts.somebody_exists(database):
        return False
    SetupToken.delete().execute(database)
    SetupToken.insert(token_hash=token_hash, expires_at=expires_at).execute(database)
    return True


def check_token(database: Database, token_hash: str, now: Millis) -> None:
    """`InvalidState` when there is an account already, `Unauthenticated` unless the token holds."""
    if accounts.somebody_exists(database):
        raise InvalidState("The server has been set up already")
    held = SetupToken.select().where((SetupToken.token_hash == token_hash) & (SetupToken.expires_at > now))
    if not held.count(database):
        raise Unauthenticated("The set-up token does not hold: start the server again for a new one")


def set_up_with_token(database: Database, token_hash: str, first: First, ids: Ids, by: By) -> None:
    """Make them, in a transaction of the caller's; refusals as of `check_token`."""
    _hold(database)
    check_token(database, token_hash, by.at)
    set_up(database, first, ids, by)


def set_up(database: Database, first: First, ids: Ids, by: By) -> None:
    """Make them; `InvalidState` when there is an account already. The token no longer holds then."""
    _hold(database)
    if accounts.somebody_exists(database):
        raise InvalidState("The server has been set up already")

    def line() -> By:
        return replace(by, audit_id=ids.new())

    accounts.create_user(
        database,
        first.user_id,
        email=first.email,
        name=first.name,
        platform_admin=True,
        by=line(),
        password_hash=first.password_hash,
    )
    accounts.create_org(database, first.org_id, first.org_name, line())
    accounts.add_member(database, ids.new(), first.org_id, first.user_id, "owner", line())


def _hold(database: Database) -> None:
    """Of several who come at once, all but the first wait here. On SQLite a transaction that writes is alone already."""
    if isinstance(database, PostgresqlDatabase):
        database.execute_sql("LOCK TABLE setup_token IN EXCLUSIVE MODE")
