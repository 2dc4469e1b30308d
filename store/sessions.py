"""People at browsers: their passwords, their sessions, and the tickets with which a page opens its socket.

Secrets never come here: what is stored of a cookie or a ticket is a SHA-256, of a password its argon2.
"""

from typing import Any, NamedTuple

from peewee import Database, Query

from interlock.clock import Millis
from interlock.errors import NotFound, Unauthenticated
from store.accounts import By, Person, address_as_kept, audit
from store.compiled import ARG, rows
from store.models import BrowserSession, SocketTicket, User


class SessionRow(NamedTuple):
    """A session as it stands."""

    id: str
    user_id: str
    secret_hash: str
    created_at: Millis
    last_seen_at: Millis
    expires_at: Millis
    address: str | None
    user_agent: str | None


class Login(NamedTuple):
    """An account, and what its password is checked against; None: it has none."""

    person: Person
    password_hash: str | None


_SESSION = [getattr(BrowserSession, name) for name in SessionRow._fields]


def login_of(database: Database, email: str) -> Login | None:
    """The account of that address, whose case does not count."""
    address = address_as_kept(database, email)
    columns = (User.id, User.email, User.name, User.platform_admin, User.password_hash)
    found = User.select(*columns).where(User.email == address).tuples().execute(database) if address else []
    return next((Login(Person(row[0], row[1], row[2], bool(row[3])), row[4]) for row in found), None)


def set_password(database: Database, user_id: str, password_hash: str, by: By, *, kept: str | None = None) -> list[str]:
    """A new password, which ends all sessions of the user but the one that is to be kept: their ids. `NotFound` when there is
    no such account.
    """
    if not User.update(password_hash=password_hash).where(User.id == user_id).execute(database):
        raise NotFound("No such account")
    audit(database, by, None, "user.set_password", ("user", user_id), {})
    ended = [row.id for row in sessions_of(database, user_id) if row.id != kept]
    _delete(database, ended)
    return ended


def change_password(
    database: Database, user_id: str, checked_hash: str, fresh_hash: str, by: By, *, kept: str | None
) -> list[str]:
    """The same by the user, provided that the password is still the one that was checked; else `Unauthenticated`."""
    _hold_account(database, user_id, checked_hash, fresh_hash)
    return set_password(database, user_id, fresh_hash, by, kept=kept)


def _hold_account(database: Database, user_id: str, checked_hash: str, fresh_hash: str) -> None:
    still = (User.id == user_id) & (User.password_hash == checked_hash)
    if not User.update(password_hash=fresh_hash).where(still).execute(database):
        raise Unauthenticated("The password has just been changed")


# ---- sessions --------------------------------------------------------------------------------------------------


def sign_in(database: Database, row: SessionRow, checked_hash: str, fresh_hash: str, by: By) -> None:
    """Begin a session, provided that the password is still the one that was checked; else `Unauthenticated`.

    The account is held until the commit: a password that is set at the same time ends this session too.
    """
    _hold_account(database, row.user_id, checked_hash, fresh_hash)
    begin(database, row, by)


def begin(database: Database, row: SessionRow, by: By) -> None:
    """Begin a session, with its line in the audit trail."""
    BrowserSession.insert(row._asdict()).execute(database)
    audit(database, by, None, "session.create", ("session", row.id), {"userAgent": row.user_agent})


def make_room(database: Database, user_id: str, most: int, over_before: Millis, idle_before: Millis) -> list[str]:
    """End the user's sessions that are over, and the longest unseen beyond `most`; their ids."""
    known = sessions_of(database, user_id)
    over = [row.id for row in known if row.expires_at <= over_before or row.last_seen_at <= idle_before]
    alive = sorted((row for row in known if row.id not in over), key=lambda row: (row.last_seen_at, row.id))
    over += [row.id for row in alive[: max(0, len(alive) - most)]]
    _delete(database, over)
    return over


def session_of(database: Database, session_id: str) -> SessionRow | None:
    """The session of that id, whether or not its time is over."""
    return next((SessionRow(*row) for row in rows(database, _session, session_id)), None)


def _session() -> Query:
    return BrowserSession.select(*_SESSION).where(BrowserSession.id == ARG)


def sessions_of(database: Database, user_id: str) -> list[SessionRow]:
    """All of the user's, oldest first."""
    query = BrowserSession.select(*_SESSION).where(BrowserSession.user_id == user_id).order_by(BrowserSession.id)
    return [SessionRow(*row) for row in query.tuples().execute(database)]


def note_seen(database: Database, session_id: str, at: Millis) -> None:
    """The session was used."""
    later = (BrowserSession.id == session_id) & (BrowserSession.last_seen_at < at)
    BrowserSession.update(last_seen_at=at).where(later).execute(database)


def end_session(database: Database, user_id: str, session_id: str, by: By) -> None:
    """Sign out; `NotFound` when the user has no such session."""
    theirs = (BrowserSession.id == session_id) & (BrowserSession.user_id == user_id)
    if not BrowserSession.delete().where(theirs).execute(database):
        raise NotFound("No such session")
    _delete(database, [session_id])
    audit(database, by, None, "session.delete", ("session", session_id), {})


def _delete(database: Database, session_ids: list[str]) -> None:
    if session_ids:
        BrowserSession.delete().where(BrowserSession.id.in_(session_ids)).execute(database)
        SocketTicket.delete().where(SocketTicket.session_id.in_(session_ids)).execute(database)


# ---- tickets ---------------------------------------------------------------------------------------------------


def add_ticket(database: Database, ticket_hash: str, session_id: str, now: Millis, expires_at: Millis) -> None:
    """A ticket of the session; those that nobody has used in time go."""
    SocketTicket.delete().where(SocketTicket.expires_at <= now).execute(database)
    SocketTicket.insert(ticket_hash=ticket_hash, session_id=session_id, expires_at=expires_at).execute(database)


def session_of_ticket(database: Database, ticket_hash: str, now: Millis) -> str | None:
    """The session of a ticket that holds, which stays as it is."""
    holds = _holds(ticket_hash, now)
    query = SocketTicket.select(SocketTicket.session_id).where(holds)
    return next((str(session_id) for (session_id,) in query.tuples().execute(database)), None)


def take_ticket(database: Database, ticket_hash: str, now: Millis) -> bool:
    """Use the ticket up; of several who try at once, one succeeds."""
    return bool(SocketTicket.delete().where(_holds(ticket_hash, now)).execute(database))


def _holds(ticket_hash: str, now: Millis) -> Any:
    return (SocketTicket.ticket_hash == ticket_hash) & (SocketTicket.expires_at > now)
