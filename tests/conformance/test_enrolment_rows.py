"""Enrolments as rows, on every database."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from peewee import Database

from interlock.errors import NotFound, Unauthenticated
from store import open_database
from store.accounts import By
from store.database import how_to_begin
from store.enrolments import (
    EnrolmentRow,
    create_enrolment,
    delete_enrolment,
    enrolment_of,
    enrolments_page,
    use_enrolment,
)
from tests.support.rows import new_id


def by() -> By:
    return By("user", "u", 1, new_id())


def enrolment(database: Database, token_hash: str, *, org_id: str = "org", max_uses: int = 1) -> EnrolmentRow:
    row = EnrolmentRow(new_id(), org_id, '{"a":"b"}', max_uses, 0, expires_at=100, created_at=1, created_by_id="u")
    with database.atomic(*how_to_begin(database)):
        create_enrolment(database, row, token_hash, by())
    return row


def use(database: Database, token_hash: str, now: int = 50) -> EnrolmentRow:
    with database.atomic(*how_to_begin(database)):
        return use_enrolment(database, token_hash, now)


def test_a_token_is_used_as_often_as_it_says(database: Database) -> None:
    row = enrolment(database, "hash", max_uses=2)
    assert [use(database, "hash") for _ in range(2)] == [row._replace(uses=1), row._replace(uses=2)]
    with pytest.raises(Unauthenticated):
        use(database, "hash")
    assert enrolment_of(database, "org", row.id) == row._replace(uses=2)


@pytest.mark.parametrize(("token_hash", "now"), [("other", 50), ("hash", 100), ("hash", 101)])
def test_a_token_that_is_not_known_or_has_expired_is_not_used(database: Database, token_hash: str, now: int) -> None:
    row = enrolment(database, "hash")
    with pytest.raises(Unauthenticated):
        use(database, token_hash, now)
    assert enrolment_of(database, "org", row.id) == row


def test_enrolments_come_page_by_page_and_of_one_org(database: Database) -> None:
    first, other, second = (enrolment(database, org, org_id=org[:3]) for org in ("org1", "not", "org2"))
    assert enrolments_page(database, "org", "", 9) == [first, second]
    assert enrolments_page(database, "org", first.id, 9) == [second]
    assert enrolment_of(database, "org", other.id) is None


def test_a_deleted_one_is_gone(database: Database) -> None:
    row = enrolment(database, "hash")
    with pytest.raises(NotFound), database.atomic(*how_to_begin(database)):
        delete_enrolment(database, "other", row.id, by())
    with database.atomic(*how_to_begin(database)):
        delete_enrolment(database, "org", row.id, by())
    with pytest.raises(Unauthenticated):
        use(database, "hash")


def test_many_at_once_do_not_use_it_more_often(url: str, database: Database) -> None:
    row = enrolment(database, "hash", max_uses=2)
    ready = threading.Barrier(6)

    def go(_: int) -> bool:
        own = open_database(url)
        with own.connection_context():
            ready.wait()
            try:
                use(own, "hash")
            except Unauthenticated:
                return False
            return True

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(go, range(6))) == 2
    assert enrolment_of(database, "org", row.id) == row._replace(uses=2)
