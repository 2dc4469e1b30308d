"""Signing in at a browser: a session, its cookie, its tickets, and the list of one's sessions."""

import logging
from typing import NamedTuple

import msgspec
from aiohttp import web
from peewee import Database

from actors.documents import encode
from interlock.clock import Millis, rfc3339
from interlock.errors import Forbidden, InvalidRequest, NotFound, Unauthenticated
from interlock.ids import is_id
from interlock.sessions import BrowserSession, BrowserSessionPage, ChangePassword, OwnOrg, Self, Session, SignIn, Ticket
from interlock.wire import Nothing
from store import sessions as rows
from store.accounts import By, Person
from store.fleet import orgs_page
from store.sessions import SessionRow, end_session, login_of, make_room, sessions_of, sign_in
from web.access import caller, signed_in
from web.fleet_changes import change
from web.front import place_of
from web.opaque import digest, new_secret
from web.parsing import decode, read_json
from web.services import Services
from web.sessions import Cookie

log = logging.getLogger(__name__)

MOST_ORGS = 200  # that the answer shows
MAX_EMAIL = 320  # characters
MAX_AGENT = 300  # characters of a User-Agent that are kept
MAX_ADDRESS = 100
NO_STORE = {"Cache-Control": "no-store"}

_sign_in = msgspec.json.Decoder(SignIn)
_change_password = msgspec.json.Decoder(ChangePassword)
_nothing = msgspec.json.Decoder(Nothing)


class Visitor(NamedTuple):
    """Whoever asks, and the session, unless a bearer token was the credential."""

    person: Person
    session: SessionRow | None


async def visitor(request: web.Request, s: Services) -> Visitor:
    """Whoever asks, by cookie or bearer token; refusals as everywhere."""
    person, _ = await signed_in(request, s)
    bearer = "Authorization" in request.headers
    return Visitor(person, None if bearer else await s.sessions.of_request(request))


async def create(request: web.Request, s: Services, _: None) -> web.Response:
    """201 with a session and its cookie. Who is not known, or has no password, is told the same as late as who errs."""
    if "Origin" in request.headers and not s.sessions.front.fits(request):
        raise Forbidden("A page of another site cannot sign anybody in")
    body = await read_json(request, s.web_limits.max_body_bytes)
    wanted = decode(body, _sign_in, s.web_limits.max_json_depth)
    email = _email(wanted)
    address = s.sessions.front.address(request)
    await s.sign_ins.enter(email, place_of(address))
    login = await s.store.fetch(lambda db: login_of(db, email))
    known = None if login is None else login.password_hash
    checked = await s.passwords.check(wanted.password, known)
    if login is None or known is None or not checked.fits:
        log.info("A sign-in from %s was refused", address)
        raise Unauthenticated("The e-mail address or the password is not right")
    person, fresh = login.person, await s.passwords.renew(wanted.password) if checked.outdated else known
    cookie, row = new_session(request, s, person.id)
    idle_before = row.created_at - s.sessions.limits.idle_ms

    def work(database: Database, by: By) -> list[str]:
        sign_in(database, row, known, fresh, by)
        return make_room(database, person.id, s.sessions.limits.per_user, row.created_at, idle_before)

    s.sessions.ended(await change(s, caller(request, s, "user", person.id), work))
    s.sign_ins.welcome(email)
    return await begun(request, s, person, cookie, row)


def _email(wanted: SignIn) -> str:
    given = wanted.username if wanted.email is None else wanted.email
    if given is None:
        raise InvalidRequest.at("$.email", "is needed")
    email = given.strip()
    if len(email) > MAX_EMAIL:
        raise InvalidRequest.at("$.email", f"up to {MAX_EMAIL} characters")
    return email


def new_session(request: web.Request, s: Services, user_id: str) -> tuple[Cookie, SessionRow]:
    """A session that begins now, and the cookie that will stand for it."""
    cookie, now = Cookie(s.ids.new(), new_secret()), s.clock.now()
    address, agent = s.sessions.front.address(request), request.headers.get("User-Agent", "")
    row = SessionRow(
        id=cookie.session_id,
        user_id=user_id,
        secret_hash=digest(cookie.secret),
        created_at=now,
        last_seen_at=now,
        expires_at=now + s.sessions.limits.whole_ms,
        address=None if address is None else address[:MAX_ADDRESS],
        user_agent="".join(filter(str.isprintable, agent))[:MAX_AGENT] or None,
    )
    return cookie, row


async def begun(request: web.Request, s: Services, person: Person, cookie: Cookie, row: SessionRow) -> web.Response:
    """201 for a session that has just begun, and its cookie."""
    body = encode(await _document(s, person, row, cookie))
    headers = NO_STORE | {"Location": "/api/session"}
    response = web.Response(body=body, status=201, content_type="application/json", headers=headers)
    s.sessions.give(request, response, cookie)
    return response


async def show(request: web.Request, s: Services, who: Visitor) -> web.Response:
    """Who asks, and the session's CSRF token."""
    cookie = None if who.session is None else s.sessions.cookie_of(request)
    body = encode(await _document(s, who.person, who.session, cookie))
    return web.Response(body=body, content_type="application/json", headers=NO_STORE)


async def delete(request: web.Request, s: Services, who: Visitor) -> web.Response:
    """204: signed out, here and at the sockets that this session has opened."""
    await _end(request, s, who.person, _own(who).id)
    response = web.Response(status=204, headers=NO_STORE)
    s.sessions.take_back(request, response)
    return response


async def list_all(_request: web.Request, s: Services, who: Visitor) -> web.Response:
    """One's own sessions that go on, oldest first."""
    known = await s.store.fetch(lambda db: sessions_of(db, who.person.id))
    alive = filter(s.sessions.goes_on, known)
    page = BrowserSessionPage(items=[_listed(row, None if who.session is None else who.session.id) for row in alive])
    return web.Response(body=encode(page), content_type="application/json", headers=NO_STORE)


async def delete_one(request: web.Request, s: Services, who: Visitor) -> web.Response:
    """204 once one of one's own sessions is over; other servers notice within seconds."""
    session_id = request.match_info["session_id"]
    if not is_id(session_id):
        raise NotFound("No such session")
    await _end(request, s, who.person, session_id)
    return web.Response(status=204, headers=NO_STORE)


async def change_password(request: web.Request, s: Services, who: Visitor) -> web.Response:
    """204; all other sessions of whoever asks are over. The password that holds is asked for, as at a sign-in."""
    body = await read_json(request, s.web_limits.max_body_bytes)
    wanted = decode(body, _change_password, s.web_limits.max_json_depth)
    email, kept = who.person.email, None if who.session is None else who.session.id
    await s.sign_ins.enter(email, place_of(s.sessions.front.address(request)))
    login = await s.store.fetch(lambda db: login_of(db, email))
    known = None if login is None else login.password_hash
    if known is None or not (await s.passwords.check(wanted.current, known)).fits:
        raise Forbidden("The current password is not right")
    fresh, by = await s.passwords.make(wanted.password), caller(request, s, "user", who.person.id)
    ended = await change(s, by, lambda db, by: rows.change_password(db, who.person.id, known, fresh, by, kept=kept))
    s.sessions.ended(ended)
    s.sign_ins.welcome(email)
    return web.Response(status=204, headers=NO_STORE)


async def create_ticket(request: web.Request, s: Services, who: Visitor) -> web.Response:
    """201 with a ticket for one socket."""
    decode(await read_json(request, s.web_limits.max_body_bytes) or b"{}", _nothing, s.web_limits.max_json_depth)
    ticket, expires_at = await s.sessions.new_ticket(_own(who).id)
    body = encode(Ticket(ticket=ticket, expires_at=rfc3339(expires_at)))
    return web.Response(body=body, status=201, content_type="application/json", headers=NO_STORE)


def _own(who: Visitor) -> SessionRow:
    if who.session is None:
        raise Forbidden("This is for a session at a browser; a bearer token has none")
    return who.session


async def _end(request: web.Request, s: Services, person: Person, session_id: str) -> None:
    by = caller(request, s, "user", person.id)
    await change(s, by, lambda db, by: end_session(db, person.id, session_id, by))
    s.sessions.ended((session_id,))


async def _document(s: Services, person: Person, row: SessionRow | None, cookie: Cookie | None) -> Session:
    orgs = await s.store.fetch(lambda db: orgs_page(db, person.id, "", MOST_ORGS))
    return Session(
        id=None if row is None else row.id,
        user=Self(id=person.id, email=person.email, name=person.name, platform_admin=person.platform_admin),
        orgs=[OwnOrg(id=org.id, name=org.name, role=org.role) for org in orgs],
        csrf_token=None if cookie is None else cookie.csrf_token,
        created_at=_at(None if row is None else row.created_at),
        expires_at=_at(None if row is None else row.expires_at),
    )


def _listed(row: SessionRow, current: str | None) -> BrowserSession:
    return BrowserSession(
        id=row.id,
        created_at=rfc3339(row.created_at),
        last_seen_at=rfc3339(row.last_seen_at),
        expires_at=rfc3339(row.expires_at),
        address=row.address,
        user_agent=row.user_agent,
        current=row.id == current,
    )


def _at(instant: Millis | None) -> str | None:
    return None if instant is None else rfc3339(instant)
