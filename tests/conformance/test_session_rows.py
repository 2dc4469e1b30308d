"""Passwords, sessions and tickets as rows, on every database."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from peewee import Database

from interlock.errors import InvalidRequest, NotFound, Unauthenticated
from store import accounts, open_database, sessions
from store.accounts import By
from store.database import how_to_begin
from store.models import AuditEvent, SocketTicket, User
from store.sessions import SessionRow
from tests.support.rows import new_id

DAY = 86_400_000


def by(at: int = 1) -> By:
    return By("user", "u", at, new_id())


def transaction(database: Database) -> Any:
    return database.atomic(*how_to_begin(database))


@pytest.fixture
def ann(database: Database) -> str:
    """An account with a password."""
    user_id = new_id()
    accounts.create_user(database, user_id, email="ann@example.com", name="Ann", platform_admin=False, by=by())
    sessions.set_password(database, user_id, "old", by())
    return user_id


def row_of(user_id: str, *, seen_at: int = 1, expires_at: int = DAY) -> SessionRow:
    return SessionRow(new_id(), user_id, "0" * 64, 1, seen_at, expires_at, "127.0.0.1", "Firefox")


def begun(database: Database, user_id: str, **times: int) -> str:
    row = row_of(user_id, **times)
    sessions.begin(database, row, by())
    return row.id


def older(database: Database, email: str) -> str:
    """An account from when addresses were kept as they were typed."""
    user_id = new_id()
    User.insert(id=user_id, email=email, name="A", platform_admin=False, created_at=1).execute(database)
    return user_id


def test_an_account_is_found_by_its_address_in_any_case(database: Database, ann: str) -> None:
    bea = older(database, "Bea@Example.com")
    for email in ("bea@example.com", "Bea@Example.com", "BEA@EXAMPLE.COM"):
        login, known = sessions.login_of(database, email), accounts.person(database, email)
        assert login is not None
        assert known == login.person
        assert (login.person.id, login.person.email) == (bea, "Bea@Example.com")
    for email in ("ann@example.com", "Ann@Example.com"):
        login = sessions.login_of(database, email)
        assert login is not None
        assert (login.person.id, login.password_hash) == (ann, "old")
    assert sessions.login_of(database, "bob@example.com") is None
    assert sessions.login_of(database, ann) is None


def test_an_account_with_just_that_address_goes_before_one_in_lower_case(database: Database, ann: str) -> None:
    other = older(database, "Ann@example.com")
    login = sessions.login_of(database, "Ann@example.com")
    assert login is not None
    assert (login.person.id, login.password_hash) == (other, None)
    assert ann != other


def test_one_address_has_one_account_which_is_kept_in_lower_case(database: Database, ann: str) -> None:
    older(database, "Bea@Example.com")
    for email in ("Ann@Example.com", "bea@example.com"):
        with pytest.raises(InvalidRequest, match="account already"):
            accounts.create_user(database, new_id(), email=email, name="A", platform_admin=False, by=by())
    cid = new_id()
    accounts.create_user(database, cid, email=" Cid@Example.com ", name="Cid", platform_admin=False, by=by())
    assert accounts.person(database, cid) == accounts.Person(cid, "cid@example.com", "Cid", platform_admin=False)
    assert ann != cid


def test_a_session_is_read_as_it_was_written(database: Database, ann: str) -> None:
    row = row_of(ann)
    sessions.begin(database, row, by())
    assert sessions.session_of(database, row.id) == row
    assert sessions.sessions_of(database, ann) == [row]
    assert sessions.session_of(database, new_id()) is None


def test_who_signs_in_leaves_a_hash_of_today(database: Database, ann: str) -> None:
    with transaction(database):
        sessions.sign_in(database, row_of(ann), "old", "fresh", by())
    login = sessions.login_of(database, "ann@example.com")
    assert login is not None
    assert login.password_hash == "fresh"


def test_a_password_that_has_changed_since_it_was_checked_opens_nothing(database: Database, ann: str) -> None:
    with pytest.raises(Unauthenticated), transaction(database):
        sessions.sign_in(database, row_of(ann), "older", "older", by())
    assert sessions.sessions_of(database, ann) == []


def test_a_new_password_ends_all_sessions_and_their_tickets(database: Database, ann: str) -> None:
    ours = sorted(begun(database, ann) for _ in range(3))
    theirs = begun(database, new_id())
    sessions.add_ticket(database, "1" * 64, ours[0], 1, 9)
    sessions.add_ticket(database, "2" * 64, theirs, 1, 9)
    with transaction(database):
        assert sorted(sessions.set_password(database, ann, "new", by())) == ours
    assert sessions.sessions_of(database, ann) == []
    assert sessions.session_of(database, theirs) is not None
    assert sessions.session_of_ticket(database, "1" * 64, 2) is None
    assert sessions.session_of_ticket(database, "2" * 64, 2) == theirs
    with pytest.raises(NotFound), transaction(database):
        sessions.set_password(database, new_id(), "new", by())


def test_a_user_who_changes_the_password_keeps_the_session_at_hand(database: Database, ann: str) -> None:
    ours = sorted(begun(database, ann) for _ in range(3))
    with transaction(database):
        ended = sessions.change_password(database, ann, "old", "new", by(), kept=ours[1])
    assert sorted(ended) == [ours[0], ours[2]]
    assert [row.id for row in sessions.sessions_of(database, ann)] == [ours[1]]
    with pytest.raises(Unauthenticated), transaction(database):
        sessions.change_password(database, ann, "old", "newer", by(), kept=None)
    assert len(sessions.sessions_of(database, ann)) == 1


def test_room_is_made_of_what_is_over_and_of_what_was_longest_unseen(database: Database, ann: str) -> None:
    expired = begun(database, ann, seen_at=90, expires_at=100)
    idle = begun(database, ann, seen_at=10)
    alive = [begun(database, ann, seen_at=at) for at in (50, 40, 70, 60)]
    with transaction(database):
        ended = sessions.make_room(database, ann, 3, 100, 10)
    assert sorted(ended) == sorted([expired, idle, alive[1]])
    assert [row.id for row in sessions.sessions_of(database, ann)] == sorted({*alive} - {alive[1]})
    with transaction(database):
        assert sessions.make_room(database, ann, 3, 100, 10) == []


def test_being_seen_only_ever_goes_forward(database: Database, ann: str) -> None:
    session_id = begun(database, ann, seen_at=5)
    for at in (9, 7):
        sessions.note_seen(database, session_id, at)
    row = sessions.session_of(database, session_id)
    assert row is not None
    assert row.last_seen_at == 9


def test_a_session_is_ended_by_its_own_user_alone_and_once(database: Database, ann: str) -> None:
    session_id = begun(database, ann)
    with pytest.raises(NotFound), transaction(database):
        sessions.end_session(database, new_id(), session_id, by())
    with transaction(database):
        sessions.end_session(database, ann, session_id, by())
    with pytest.raises(NotFound), transaction(database):
        sessions.end_session(database, ann, session_id, by())
    assert sessions.session_of(database, session_id) is None
    assert AuditEvent.select().where(AuditEvent.action == "session.delete").count(database) == 1


def test_a_ticket_holds_once_and_until_its_time(database: Database, ann: str) -> None:
    session_id, ticket = begun(database, ann), "1" * 64
    sessions.add_ticket(database, ticket, session_id, 1, 9)
    assert sessions.session_of_ticket(database, ticket, 8) == session_id
    assert sessions.session_of_ticket(database, ticket, 9) is None
    assert sessions.session_of_ticket(database, "2" * 64, 8) is None
    with transaction(database):
        assert not sessions.take_ticket(database, ticket, 9)
        assert sessions.take_ticket(database, ticket, 8)
        assert not sessions.take_ticket(database, ticket, 8)


def test_tickets_that_nobody_used_go_with_the_next(database: Database, ann: str) -> None:
    session_id = begun(database, ann)
    for place, at in enumerate((1, 2, 30)):
        sessions.add_ticket(database, str(place) * 64, session_id, at, at + 10)
    assert SocketTicket.select().count(database) == 1


def at_once(url: str, work: Callable[[Database], bool], hands: int = 4) -> int:
    """How many of so many who come together have their way; each in a transaction of its own."""
    ready = threading.Barrier(hands)

    def go(_: int) -> bool:
        own = open_database(url)
        with own.connection_context():
            ready.wait()
            with transaction(own):
                return work(own)

    with ThreadPoolExecutor(hands) as pool:
        return sum(pool.map(go, range(hands)))


def test_of_many_who_show_one_ticket_at_once_one_gets_in(url: str, database: Database, ann: str) -> None:
    sessions.add_ticket(database, "1" * 64, begun(database, ann), 1, 9)
    assert at_once(url, lambda own: sessions.take_ticket(own, "1" * 64, 2)) == 1


def test_no_session_outlives_a_password_that_is_set_at_the_same_time(url: str, database: Database, ann: str) -> None:
    def go(own: Database) -> bool:
        if threading.current_thread().name.endswith("_0"):
            sessions.set_password(own, ann, "new", by())
            return True
        try:
            sessions.sign_in(own, row_of(ann), "old", "old", by())
        except Unauthenticated:
            return False
        return True

    at_once(url, go)
    login = sessions.login_of(database, "ann@example.com")
    assert login is not None
    assert login.password_hash == "new"
    assert sessions.sessions_of(database, ann) == []
