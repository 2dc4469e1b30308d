"""The door of the first set-up: one token, one account, whoever comes at the same time; on every database."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from peewee import Database

from interlock.errors import InvalidRequest, InvalidState, Unauthenticated
from interlock.ids import UuidIds
from store import accounts, first_run, open_database
from store.accounts import By
from store.database import how_to_begin
from store.first_run import First
from store.models import AuditEvent, Organization, SetupToken, User
from tests.support.rows import new_id

IDS = UuidIds()
TOKEN, OTHER = "a" * 64, "b" * 64


def by(at: int = 1) -> By:
    return By("operator", None, at, new_id())


def first(email: str = "ann@example.com") -> First:
    return First(new_id(), new_id(), email, "Ann", "acme", "hash")


def transaction(database: Database) -> Any:
    return database.atomic(*how_to_begin(database))


def opened(database: Database) -> None:
    with transaction(database):
        assert first_run.new_token(database, TOKEN, 100)


def tokens(database: Database) -> list[str]:
    return [held for (held,) in SetupToken.select(SetupToken.token_hash).tuples().execute(database)]


def test_the_first_account_owns_the_first_organization_and_closes_the_door(database: Database) -> None:
    ann = first()
    opened(database)
    with transaction(database):
        first_run.set_up_with_token(database, TOKEN, ann, IDS, by(99))
    person = accounts.person(database, "ann@example.com")
    assert person == accounts.Person(ann.user_id, "ann@example.com", "Ann", platform_admin=True)
    assert accounts.role_of(database, ann.org_id, ann.user_id) == "owner"
    assert tokens(database) == []
    actions = AuditEvent.select(AuditEvent.action).order_by(AuditEvent.id).tuples().execute(database)
    assert [action for (action,) in actions] == ["user.create", "org.create", "member.add"]
    with pytest.raises(InvalidState), transaction(database):
        first_run.set_up_with_token(database, TOKEN, first("b@example.com"), IDS, by())
    with transaction(database):
        assert not first_run.new_token(database, OTHER, 100)


@pytest.mark.parametrize(("token", "at"), [(OTHER, 1), (TOKEN, 100), ("", 1)], ids=["another", "late", "none"])
def test_a_token_that_does_not_hold_opens_nothing(database: Database, token: str, at: int) -> None:
    opened(database)
    with pytest.raises(Unauthenticated), transaction(database):
        first_run.set_up_with_token(database, token, first(), IDS, by(at))
    assert User.select().count(database) == 0
    first_run.check_token(database, TOKEN, 99)


def test_a_new_token_ends_the_one_before(database: Database) -> None:
    for token in (TOKEN, OTHER):
        with transaction(database):
            first_run.new_token(database, token, 100)
    with pytest.raises(Unauthenticated):
        first_run.check_token(database, TOKEN, 1)
    first_run.check_token(database, OTHER, 1)


def test_an_account_that_comes_to_be_in_any_way_closes_the_door(database: Database) -> None:
    opened(database)
    with transaction(database):
        accounts.create_user(database, new_id(), email="a@example.com", name="A", platform_admin=False, by=by())
    assert tokens(database) == []
    with pytest.raises(InvalidState):
        first_run.check_token(database, TOKEN, 1)


def test_a_set_up_that_fails_leaves_the_door_open(database: Database) -> None:
    opened(database)
    with pytest.raises(InvalidRequest), transaction(database):
        first_run.set_up_with_token(database, TOKEN, first()._replace(org_name="\x07"), IDS, by())
    assert User.select().count(database) == 0
    first_run.check_token(database, TOKEN, 1)


@pytest.mark.parametrize("ways", ["token", "operator", "both"])
def test_of_many_who_set_up_at_once_one_succeeds(url: str, database: Database, ways: str) -> None:
    opened(database)
    hands = 6
    ready = threading.Barrier(hands)

    def go(place: int) -> bool:
        own = open_database(url)
        with own.connection_context():
            ready.wait()
            try:
                with transaction(own):
                    if ways == "token" or (ways == "both" and place % 2):
                        first_run.set_up_with_token(own, TOKEN, first(f"{place}@example.com"), IDS, by())
                    else:
                        first_run.set_up(own, first(f"{place}@example.com"), IDS, by())
            except (InvalidState, Unauthenticated):
                return False
            return True

    with ThreadPoolExecutor(hands) as pool:
        assert sum(pool.map(go, range(hands))) == 1
    assert User.select().count(database) == Organization.select().count(database) == 1
    assert tokens(database) == []
