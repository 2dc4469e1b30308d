"""Job types as rows, on every database."""

import threading
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest
from peewee import Database

from interlock.errors import NotFound, PreconditionFailed, QuotaExceeded
from store import accounts, open_database
from store.accounts import By
from store.database import how_to_begin
from store.job_types import TypeRow, delete_type, put_type, type_names, types_named
from store.models import AuditEvent
from tests.support.rows import new_id


def by(at: int = 1) -> By:
    return By("user", "u", at, new_id())


def put(
    database: Database, name: str, definition: str, at: int = 1, *, expected: set[int] | None = None, most: int = 0
) -> tuple[TypeRow, bool]:
    with database.atomic(*how_to_begin(database)):
        return put_type(database, new_id(), "org", (name, definition), by(at), expected=expected, most=most)


def test_each_change_makes_the_next_version_and_the_same_again_none(database: Database) -> None:
    assert put(database, "a", "{}") == (("a", 1, "{}", 1), True)
    assert put(database, "a", "{}", at=2) == (("a", 1, "{}", 1), False)
    assert put(database, "a", '{"b":1}', at=3) == (("a", 2, '{"b":1}', 1), False)
    assert types_named(database, "org", ["a", "b"]) == {"a": ("a", 2, '{"b":1}', 1)}
    assert accounts.definition_of_type(database, "org", "a") == '{"b":1}'
    lines = AuditEvent.select(AuditEvent.action, AuditEvent.detail).order_by(AuditEvent.id).tuples().execute(database)
    assert [(action, msgspec.json.decode(detail)) for action, detail in lines] == [
        ("type.put", {"version": 1, "changed": []}),
        ("type.put", {"version": 2, "changed": ["b"]}),
    ]


def test_types_are_of_one_org(database: Database) -> None:
    put(database, "a", "{}")
    put(database, "B", "{}")
    assert sorted(type_names(database, "org")) == ["B", "a"]
    assert type_names(database, "other") == []
    assert types_named(database, "other", ["a"]) == {}
    with pytest.raises(NotFound), database.atomic(*how_to_begin(database)):
        delete_type(database, "other", "a", by())


def test_another_version_than_the_expected_one_is_left_as_it_is(database: Database) -> None:
    with pytest.raises(PreconditionFailed):
        put(database, "a", "{}", expected={1})
    put(database, "a", "{}", expected={0})
    for expected in (set[int](), {0}, {2}):
        with pytest.raises(PreconditionFailed):
            put(database, "a", '{"c":1}', expected=expected)
        with pytest.raises(PreconditionFailed), database.atomic(*how_to_begin(database)):
            delete_type(database, "org", "a", by(), expected=expected)
    assert types_named(database, "org", ["a"])["a"].version == 1


def test_a_deleted_type_is_gone(database: Database) -> None:
    put(database, "a", "{}")
    with database.atomic(*how_to_begin(database)):
        assert delete_type(database, "org", "a", by(), expected={1}).definition == "{}"
    assert type_names(database, "org") == []


def test_no_more_types_than_the_quota_allows(database: Database) -> None:
    put(database, "a", "{}", most=1)
    put(database, "a", '{"c":1}', most=1)
    with pytest.raises(QuotaExceeded):
        put(database, "b", "{}", most=1)


def test_of_many_who_make_a_type_at_once_one_does(url: str, database: Database) -> None:
    accounts.create_org(database, "org", "acme", by())
    ready = threading.Barrier(4)

    def one(_: int) -> bool:
        own = open_database(url)
        with own.connection_context():
            ready.wait()
            try:
                return put(own, "a", "{}", expected={0})[1]
            except PreconditionFailed:
                return False

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(one, range(4))) == [False, False, False, True]
