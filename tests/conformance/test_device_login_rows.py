"""Command lines that ask to be let in, as rows, on every database."""

from typing import Any

import pytest
from peewee import Database

from interlock.errors import NotFound, RateLimited
from store import device_logins
from store.accounts import By
from store.database import how_to_begin
from store.device_logins import ALLOWED, DENIED, WAITING, DeviceRow
from store.models import AuditEvent, DeviceLogin
from tests.support.rows import new_id

USER = "01938b3e-0000-7000-8000-0000000000cc"


def by(at: int = 1) -> By:
    return By("user", USER, at, new_id())


def transaction(database: Database) -> Any:
    return database.atomic(*how_to_begin(database))


def row_of(code: str = "c", *, at: int = 1, until: int = 100) -> DeviceRow:
    return DeviceRow(new_id(), f"device of {code}", code, "ann@laptop", None, WAITING, None, at, until)


def test_one_that_asks_is_found_by_either_of_its_secrets_until_its_time_is_over(database: Database) -> None:
    row = row_of()
    assert device_logins.begin(database, row, 10)
    for at, found in ((99, row), (100, None)):
        assert device_logins.waiting(database, "c", at) == found
        assert device_logins.of_device(database, "device of c", at) == found
    assert device_logins.waiting(database, "device of c", 1) is None


def test_a_code_that_is_taken_is_not_given_twice(database: Database) -> None:
    assert device_logins.begin(database, row_of(), 10)
    assert not device_logins.begin(database, row_of()._replace(device_hash="another"), 10)
    assert DeviceLogin.select().count(database) == 1


def test_those_whose_time_is_over_make_room(database: Database) -> None:
    assert device_logins.begin(database, row_of("a", until=5), 1)
    with pytest.raises(RateLimited) as refused:
        device_logins.begin(database, row_of("b", at=4), 1)
    assert refused.value.retry_after == 1.0
    assert device_logins.begin(database, row_of("b", at=5), 1)
    assert device_logins.of_device(database, "device of a", 1) is None


@pytest.mark.parametrize(("allow", "status"), [(True, ALLOWED), (False, DENIED)])
def test_of_two_answers_the_first_counts(database: Database, allow: bool, status: str) -> None:
    assert device_logins.begin(database, row_of(), 10)
    with transaction(database):
        device_logins.answer(database, "c", USER, by(), allow=allow)
    with pytest.raises(NotFound), transaction(database):
        device_logins.answer(database, "c", "somebody else", by(), allow=not allow)
    found = device_logins.of_device(database, "device of c", 1)
    assert found is not None
    assert (found.status, found.user_id) == (status, USER)
    assert AuditEvent.select().count(database) == 1


def test_an_answer_that_comes_too_late_is_none(database: Database) -> None:
    assert device_logins.begin(database, row_of(), 10)
    with pytest.raises(NotFound), transaction(database):
        device_logins.answer(database, "c", USER, by(100), allow=True)


def test_what_is_allowed_is_taken_once_and_nothing_else_is(database: Database) -> None:
    row = row_of()
    assert device_logins.begin(database, row, 10)
    assert not device_logins.take(database, row, 5, by())
    device_logins.answer(database, "c", USER, by(), allow=True)
    assert not device_logins.take(database, row, 5, by(100))
    assert device_logins.take(database, row, 5, by())
    assert not device_logins.take(database, row, 5, by())
    assert device_logins.of_device(database, "device of c", 1) is None
    assert [line.action for line in AuditEvent.select().execute(database)] == [
        "device_login.allow",
        "device_login.token",
    ]
