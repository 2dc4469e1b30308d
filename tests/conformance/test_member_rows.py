"""Members as rows, on every database."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from peewee import Database

from interlock.errors import InvalidState, NotFound
from store import accounts, open_database
from store.accounts import By
from store.database import how_to_begin
from store.members import change_role, let_in, member_of, members_page, remove_member, share_an_org
from tests.support.rows import new_id


def by() -> By:
    return By("user", "u", 1, new_id())


@pytest.fixture
def people(database: Database) -> list[str]:
    """Two owners and a viewer of an org."""
    accounts.create_org(database, "org", "acme", by())
    return [member(database, role) for role in ("owner", "owner", "viewer")]


def member(database: Database, role: str, org_id: str = "org") -> str:
    user_id = new_id()
    accounts.create_user(database, user_id, email=f"{user_id}@example.com", name="Ann", platform_admin=False, by=by())
    with database.atomic(*how_to_begin(database)):
        let_in(database, new_id(), org_id, user_id, role, by())
    return user_id


def test_members_come_page_by_page_and_of_one_org(database: Database, people: list[str]) -> None:
    stranger = member(database, "owner", "other")
    rows = members_page(database, "org", "", 9)
    assert [(row.id, row.role) for row in rows] == list(zip(people, ("owner", "owner", "viewer"), strict=True))
    assert members_page(database, "org", people[0], 1) == rows[1:2]
    assert member_of(database, "org", people[2]) == rows[2]
    assert member_of(database, "org", stranger) is None


def test_those_share_an_org_who_are_in_one_together(database: Database, people: list[str]) -> None:
    stranger = member(database, "owner", "other")
    assert share_an_org(database, people[0], people[2])
    assert not share_an_org(database, people[0], stranger)
    with database.atomic(*how_to_begin(database)):
        let_in(database, new_id(), "other", people[0], "viewer", by())
    assert share_an_org(database, people[0], stranger)
    assert share_an_org(database, stranger, people[0])
    assert not share_an_org(database, people[2], stranger)


def test_a_member_is_let_in_once(database: Database, people: list[str]) -> None:
    with pytest.raises(InvalidState), database.atomic(*how_to_begin(database)):
        let_in(database, new_id(), "org", people[2], "admin", by())


def test_a_role_changes_and_a_member_leaves(database: Database, people: list[str]) -> None:
    with database.atomic(*how_to_begin(database)):
        assert change_role(database, "org", people[2], "admin", by()).role == "admin"
        remove_member(database, "org", people[0], by())
    assert accounts.role_of(database, "org", people[0]) is None
    assert accounts.role_of(database, "org", people[2]) == "admin"
    for user_id in (people[0], new_id()):
        with pytest.raises(NotFound), database.atomic(*how_to_begin(database)):
            remove_member(database, "org", user_id, by())


def test_of_two_owners_who_leave_at_once_one_stays(url: str, database: Database, people: list[str]) -> None:
    ready = threading.Barrier(2)

    def go(user_id: str) -> bool:
        own = open_database(url)
        with own.connection_context():
            ready.wait()
            try:
                with own.atomic(*how_to_begin(own)):
                    remove_member(own, "org", user_id, by())
            except InvalidState:
                return False
            return True

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(go, people[:2])) == [False, True]
    last = next(row.id for row in members_page(database, "org", "", 9) if row.role == "owner")
    with pytest.raises(InvalidState), database.atomic(*how_to_begin(database)):
        change_role(database, "org", last, "admin", by())
