"""The rows of organizations' settings, on every database."""

import threading
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest
from peewee import Database

from interlock.errors import PreconditionFailed
from store import open_database
from store.accounts import By
from store.database import how_to_begin
from store.models import AuditEvent, OrgSetting
from store.settings import Setting, put_setting, setting_of, versions_of
from tests.support.rows import new_id

FIRST = '{"platform":{"apiUrl":null,"a":1},"connectors":[{"id":"maps","enabled":true}]}'
SECOND = '{"platform":{"apiUrl":"x","a":1},"connectors":[{"id":"maps","enabled":false},{"id":"b"}]}'


def by(at: int = 1) -> By:
    return By("user", "u", at, new_id())


def put(database: Database, document: str, at: int = 1, expected: set[int] | None = None) -> Setting:
    with database.atomic(*how_to_begin(database)):
        return put_setting(database, "org", document, by(at), expected)


def test_an_org_that_has_set_nothing_has_no_settings(database: Database) -> None:
    assert setting_of(database, "org") is None
    assert versions_of(database, ["org"]) == {}


def test_each_change_makes_the_next_version(database: Database) -> None:
    assert put(database, FIRST) == (1, FIRST, 1)
    assert put(database, SECOND, at=2) == (2, SECOND, 2)
    assert setting_of(database, "org") == (2, SECOND, 2)
    assert versions_of(database, ["org", "other"]) == {"org": 2}


def test_the_same_document_makes_no_version_and_no_line_in_the_audit_trail(database: Database) -> None:
    put(database, FIRST)
    assert put(database, FIRST, at=2) == (1, FIRST, 1)
    assert AuditEvent.select().count(database) == 1


def test_the_audit_trail_names_what_has_changed(database: Database) -> None:
    put(database, FIRST)
    put(database, SECOND)
    lines = AuditEvent.select(AuditEvent.detail).order_by(AuditEvent.id).tuples().execute(database)
    assert [msgspec.json.decode(detail) for (detail,) in lines] == [
        {"version": 1, "changed": ["connectors.maps", "platform.a", "platform.apiUrl"]},
        {"version": 2, "changed": ["connectors.b", "connectors.maps", "platform.apiUrl"]},
    ]


def test_another_version_than_the_expected_one_is_left_as_it_is(database: Database) -> None:
    with pytest.raises(PreconditionFailed):
        put(database, FIRST, expected={1})
    assert OrgSetting.select().count(database) == 0
    put(database, FIRST, expected={0})
    with pytest.raises(PreconditionFailed):
        put(database, SECOND, expected={0})
    assert setting_of(database, "org") == (1, FIRST, 1)
    assert put(database, SECOND, expected={0, 1}).version == 2


def test_of_many_who_change_the_same_version_at_once_one_does(url: str, database: Database) -> None:
    put(database, FIRST)
    ready = threading.Barrier(4)

    def go(number: int) -> bool:
        own = open_database(url)
        with own.connection_context():
            ready.wait()
            try:
                put(own, f'{{"platform":{{"a":{number}}}}}', expected={1})
            except PreconditionFailed:
                return False
            return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(go, range(4))) == 1
    assert versions_of(database, ["org"]) == {"org": 2}
