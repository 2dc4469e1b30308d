"""Who is asking, and may they? Every route names its access in `routes.py`; these functions enforce it."""

import asyncio
from collections.abc import Awaitable
from typing import NamedTuple, TypeVar

from aiohttp import web

from actors.messages import Caller
from interlock.errors import (
    Forbidden,
    InvalidRequest,
    NotFound,
    RateLimited,
    SetupRequired,
    Unauthenticated,
    Unavailable,
)
from interlock.ids import UuidIds, is_id
from interlock.wire import UserRef
from store import accounts
from store.accounts import Person
from store.sessions import SessionRow
from web.log_context import REQUEST_ID
from web.request_limits import STANDING, Kind
from web.services import Services
from web.sessions import TICKET
from web.tokens import AgentClaims, UserClaims

_IDS = UuidIds()
_LONGEST_ID = 100
LOST = "This node has lost its database"
Frame = TypeVar("Frame")


def request_id(request: web.Request) -> str:
    """This request's id: the client's own if that is decent, else a fresh one."""
    known = request._state.get(REQUEST_ID)  # noqa: SLF001 - aiohttp's own `get` raises and catches what is not there
    if known is None:
        known = decent_request_id(request.headers.get("X-Request-Id")) or _IDS.new()
        request[REQUEST_ID] = known
    return known


def decent_request_id(given: str | None) -> str | None:
    """A client's own id, unless it is too long or would not look well in a log."""
    decent = given and len(given) <= _LONGEST_ID and given.isascii() and given.isprintable()
    return given if decent else None


def stamp(request: web.Request, response: web.StreamResponse) -> None:
    """What every answer carries. Whoever writes an answer himself calls it first: a signal would cost each request."""
    response.headers["X-Request-Id"] = request_id(request)
    response.headers["Server"] = "interlock"
    standing = request._state.get(STANDING)  # noqa: SLF001 - as above
    if standing is not None:
        standing.write(response)


class Member(NamedTuple):
    """A user in an org."""

    person: Person
    org_id: str
    role: str
    by: Caller

    @property
    def ref(self) -> UserRef:
        """As documents show the user."""
        return UserRef(id=self.person.id, name=self.person.name, email=self.person.email)


class Admin(NamedTuple):
    """A platform admin."""

    person: Person
    by: Caller


class Credential(NamedTuple):
    """What a watcher came with: a signed token, or a session at a browser."""

    token: str | None = None
    session_id: str | None = None


class Agent(NamedTuple):
    """A host's agent."""

    host_id: str
    org_id: str
    kid: str


def bearer(request: web.Request) -> str:
    """The credential in the Authorization header."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated("An Authorization header with a bearer token is needed")
    return token.strip()


async def in_time(first_frame: Awaitable[Frame], seconds: float) -> Frame:
    """What a socket without a credential says first; `Unauthenticated` when nothing comes, whatever it pings meanwhile."""
    try:
        async with asyncio.timeout(seconds):
            return await first_frame
    except TimeoutError as error:
        raise Unauthenticated(f"No credential came within {seconds:g} s") from error


async def open_door(s: Services) -> None:
    """Whether anything but health may be asked at all now."""
    if not (s.lookups.set_up or await s.lookups.is_set_up()):
        raise SetupRequired(retry_after=5)
    serving(s)


def serving(s: Services) -> None:
    """Raise `Unavailable` when nothing can be decided here now."""
    if s.stopping.is_set():
        raise Unavailable("The server is stopping", retry_after=2)
    if s.cluster is not None and not s.cluster.trusted:
        raise Unavailable(LOST, retry_after=2)
    if s.store.journal.depth > s.web_limits.journal_queue:
        raise Unavailable("Too many changes wait to be written", retry_after=2)


async def user(s: Services, token: str) -> tuple[Person, UserClaims]:
    """The account behind a user's token."""
    claims = await s.tokens.user(token)
    lookups = s.lookups
    person = await (lookups.person(claims.user_id) if claims.email is None else lookups.person_at(claims.email))
    if person is None:
        raise Unauthenticated("The token's account does not exist")
    return person, claims


async def signed_in(request: web.Request, s: Services) -> tuple[Person, str | None]:
    """The account behind a request's token, or else behind its cookie; and the org that the token names."""
    if "Authorization" not in request.headers and "Cookie" in request.headers:
        session = await s.sessions.of_request(request)
        if session is not None:
            person = await _of_session(s, session)
            if s.request_rates is not None:
                await counted(request, s, "session", session.id)
            return person, None
    person, claims = await user(s, bearer(request))
    if s.request_rates is not None:
        await counted(request, s, "token", claims.name)
    return person, claims.org_id


async def counted(request: web.Request | None, s: Services, kind: Kind, name: str) -> None:
    """Count one request of a credential or an org; `RateLimited` when it is one too many. Nothing unless a setting says so."""
    standing = None if s.request_rates is None else await s.request_rates.enter(kind, name)
    if standing is None:
        return
    if request is not None:
        known = request.get(STANDING)
        if known is None or standing.left < known.left:
            request[STANDING] = standing
    if standing.left < 0:
        what = {"token": "this token", "session": "this session", "key": "this key", "org": "this organization"}[kind]
        wait = max(1.0, standing.ends_in or standing.window_seconds)
        window = standing.window_seconds
        raise RateLimited(f"More than {standing.limit} requests in {window} s by {what}", retry_after=wait)


async def counted_agent(request: web.Request | None, s: Services, claims: AgentClaims) -> None:
    """Count one request of an agent, for its key and for its org."""
    if s.request_rates is not None:
        await counted(request, s, "key", claims.kid)
        await counted(request, s, "org", claims.org_id)


async def counted_watcher(request: web.Request | None, s: Services, credential: Credential, org_id: str) -> None:
    """Count one socket of a dashboard, for whoever opens it and for the org that it watches; it may watch it."""
    if s.request_rates is None:
        return
    if credential.session_id is not None:
        await counted(request, s, "session", credential.session_id)
    elif credential.token is not None:
        await counted(request, s, "token", (await s.tokens.user(credential.token)).name)
    await counted(request, s, "org", org_id)


async def at_socket(request: web.Request, s: Services) -> Credential | None:
    """What a socket's request itself brings; None: a frame is still to bring it. A cookie counts on our own pages only:
    browsers let any page open a socket. One that does not hold counts as none.
    """
    if "Authorization" in request.headers:
        return Credential(token=bearer(request))
    cookie = s.sessions.cookie_of(request)
    if cookie is None:
        return None
    try:
        session = await s.sessions.of_cookie(cookie)
    except Unauthenticated:
        return None
    if not s.sessions.front.fits(request):
        raise Forbidden("With a cookie, a socket needs an Origin header that names this server")
    return Credential(session_id=session.id)


async def shown(s: Services, text: str) -> Credential:
    """What somebody shows at an open socket: a user's token, or a ticket, which is used up by this."""
    if text.startswith(TICKET):
        return Credential(session_id=(await s.sessions.of_ticket(text)).id)
    return Credential(token=text)


async def holder(s: Services, credential: Credential) -> Person:
    """Who came with it, if it holds now; else `Unauthenticated`."""
    if credential.session_id is not None:
        return await _of_session(s, await s.sessions.held(credential.session_id))
    return (await user(s, credential.token or ""))[0]


async def _of_session(s: Services, session: SessionRow) -> Person:
    person = await s.lookups.person(session.user_id)
    if person is None:
        raise Unauthenticated("The session's account does not exist")
    return person


async def member(request: web.Request, s: Services, role: str, org_id: str | None = None) -> Member:
    """The member of the path's org, at least `role`: a stranger learns nothing, not even that the org exists."""
    person, _ = await signed_in(request, s)
    org_id = org_id or request.match_info["org_id"]
    held = await s.lookups.role(org_id, person.id) if is_id(org_id) else None
    if held is None:
        raise NotFound("No such organization")
    if accounts.ROLES.index(held) < accounts.ROLES.index(role):
        raise Forbidden(f"This takes the role {role}; yours is {held}")
    if s.request_rates is not None:
        await counted(request, s, "org", org_id)
    return Member(person, org_id, held, caller(request, s, "user", person.id))


async def own_tenant(request: web.Request, s: Services, role: str) -> Member:
    """The member of the org that the token names, or of the user's only one: S2's routes name none."""
    person, org_id = await signed_in(request, s)
    return await member(request, s, role, org_id or await _only_org(s, person))


async def tenant_of(s: Services, credential: Credential) -> str:
    """The org of who came with it, where nothing else names one: the token's, or the account's only one."""
    if credential.session_id is not None:
        return await _only_org(s, await holder(s, credential))
    person, claims = await user(s, credential.token or "")
    return claims.org_id or await _only_org(s, person)


async def _only_org(s: Services, person: Person) -> str:
    orgs = await s.store.fetch(lambda db: accounts.orgs_of(db, person.id))
    if len(orgs) != 1:
        raise InvalidRequest("The token names no organization, and the account has not exactly one")
    return orgs[0]


async def admin(request: web.Request, s: Services) -> Admin:
    """A platform admin."""
    person, _ = await signed_in(request, s)
    if not person.platform_admin:
        raise Forbidden("This takes a platform admin")
    return Admin(person, caller(request, s, "user", person.id))


async def agent(request: web.Request, s: Services) -> Agent:
    """The agent of the path's host."""
    found = await agent_of(s, bearer(request))
    if request.match_info.get("host_id", found.host_id) != found.host_id:
        raise Forbidden("This key belongs to another host")
    if s.request_rates is not None:
        await counted_agent(request, s, found)
    return Agent(found.host_id, found.org_id, found.kid)


async def agent_of(s: Services, token: str) -> AgentClaims:
    """The claims of an agent's key that has not been revoked."""
    claims = s.tokens.read_agent(token)
    key = s.lookups.known_key(claims.kid) or await s.lookups.key(claims.kid)
    if key is None or key.revoked_at is not None or key.host_id != claims.host_id or key.org_id != claims.org_id:
        raise Unauthenticated("The key has been revoked, or never was")
    return claims


def caller(request: web.Request, s: Services, kind: str, name: str | None) -> Caller:
    """Who asks, for the audit trail."""
    return Caller(kind, name, request.get(REQUEST_ID), s.sessions.front.address(request))
