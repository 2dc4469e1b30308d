"""Browsers' sessions: what a cookie stands for, how long, and who holds a socket open with it.

A session that ends here ends at once. Other servers learn of it from its row: a request within `lookup_cache_seconds`, an
open socket some seconds later.
"""

import asyncio
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from aiohttp import web

from interlock.clock import Clock, Millis
from interlock.errors import Forbidden, Unauthenticated
from interlock.ids import is_id
from store import Store
from store.sessions import SessionRow, add_ticket, note_seen, session_of_ticket, take_ticket
from web.front import Front
from web.lookups import Lookups
from web.opaque import csrf_token, digest, new_secret, same

log = logging.getLogger(__name__)

COOKIE = "interlock_session"
SECURE_COOKIE = "__Host-interlock_session"  # browsers take it over TLS alone, and from no other host
CSRF_HEADER = "X-CSRF-Token"
TICKET = "ilt_"  # how a ticket begins, so that nobody takes it for a token
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_LONGEST_COOKIE = 200
_NOTED_EVERY: Millis = 60_000  # how often a session that is used says so in its row
_REMEMBERED: Millis = 60_000  # for how long an ended one is refused by heart: no row is known for longer


class SessionLimits(NamedTuple):
    """Described in `runtime/settings.py`."""

    idle_ms: Millis = 86_400_000
    whole_ms: Millis = 1_209_600_000
    ticket_ms: Millis = 30_000
    per_user: int = 20


class Cookie(NamedTuple):
    """A session's cookie: `<id>.<secret>`."""

    session_id: str
    secret: str

    @property
    def value(self) -> str:
        """As it is sent."""
        return f"{self.session_id}.{self.secret}"

    @property
    def csrf_token(self) -> str:
        """What its page sends beside it."""
        return csrf_token(self.secret)


class Sessions:
    """To be used on the loop's thread only."""

    def __init__(self, store: Store, lookups: Lookups, clock: Clock, front: Front, limits: SessionLimits) -> None:
        self._store = store
        self._lookups = lookups
        self._clock = clock
        self.front = front
        self.limits = limits
        self._noting: set[str] = set()
        self._ended: dict[str, Millis] = {}  # by id, when
        self._holders: dict[str, list[asyncio.Event]] = {}

    # ---- cookies -----------------------------------------------------------------------------------------------

    def cookie_of(self, request: web.Request) -> Cookie | None:
        """The cookie that a request brings, whether or not it holds. Over TLS only the one that no other host can set."""
        cookies = request.cookies
        value = cookies.get(SECURE_COOKIE)
        if value is None and not self.front.is_secure(request):
            value = cookies.get(COOKIE)
        session_id, _, secret = (value or "")[:_LONGEST_COOKIE].partition(".")
        return Cookie(session_id, secret) if is_id(session_id) and secret else None

    def give(self, request: web.Request, response: web.Response, cookie: Cookie) -> None:
        """Let the browser keep it until its session is over."""
        self._set(request, response, cookie.value, self.limits.whole_ms // 1000)

    def take_back(self, request: web.Request, response: web.Response) -> None:
        """Let the browser forget it."""
        self._set(request, response, "", 0)

    def _set(self, request: web.Request, response: web.Response, value: str, seconds: int) -> None:
        secure = self.front.is_secure(request)
        name = SECURE_COOKIE if secure else COOKIE
        response.set_cookie(name, value, max_age=seconds, path="/", httponly=True, samesite="Strict", secure=secure)

    # ---- who is signed in --------------------------------------------------------------------------------------

    async def of_request(self, request: web.Request) -> SessionRow | None:
        """The session of the request's cookie; None without one, `Unauthenticated` when it does not hold. `Forbidden` for a
        request that changes something and does not show that it comes from a page of ours.
        """
        cookie = self.cookie_of(request)
        if cookie is None:
            return None
        row = await self.of_cookie(cookie)
        if request.method not in _SAFE:
            self._check_page(request, cookie)
        return row

    async def of_cookie(self, cookie: Cookie) -> SessionRow:
        """The session of a cookie that holds, else `Unauthenticated`."""
        row = await self.held(cookie.session_id)
        if not same(row.secret_hash, digest(cookie.secret)):
            raise _over()
        return row

    async def held(self, session_id: str) -> SessionRow:
        """The session of that id, which goes on; else `Unauthenticated`."""
        row = await self._lookups.session(session_id)
        if row is not None and not self.goes_on(row):
            self._lookups.forget_session(session_id)  # it may have been used elsewhere meanwhile
            row = await self._lookups.session(session_id)
        if row is None or session_id in self._ended or not self.goes_on(row):
            raise _over()
        self._note(row)
        return row

    def goes_on(self, row: SessionRow) -> bool:
        """Whether its time is not over yet."""
        return self._clock.now() < min(row.expires_at, row.last_seen_at + self.limits.idle_ms)

    def _check_page(self, request: web.Request, cookie: Cookie) -> None:
        """The page's secret is what proves it to be ours. Browsers name the page's origin as well, other programs need not."""
        if "Origin" in request.headers and not self.front.fits(request):
            raise Forbidden("With a cookie, nothing is changed for a page of another origin")
        if not same(request.headers.get(CSRF_HEADER, ""), cookie.csrf_token):
            raise Forbidden(f"With a cookie, what changes anything needs the session's {CSRF_HEADER}")

    def _note(self, row: SessionRow) -> None:
        """The session is used; its row hears of it now and then, and nobody waits for that."""
        now = self._clock.now()
        if now - row.last_seen_at < min(_NOTED_EVERY, self.limits.idle_ms // 4) or row.id in self._noting:
            return
        self._noting.add(row.id)

        def done(_: Any, error: BaseException | None) -> None:
            self._noting.discard(row.id)
            if error is None:
                self._lookups.forget_session(row.id)
            else:
                log.debug("That a session is used could not be written: %s", error)

        self._store.journal.exclusive(lambda database: note_seen(database, row.id, now), done)

    # ---- tickets -----------------------------------------------------------------------------------------------

    async def new_ticket(self, session_id: str) -> tuple[str, Millis]:
        """A ticket for one socket, and until when it holds."""
        ticket, now = TICKET + new_secret(), self._clock.now()
        expires_at = now + self.limits.ticket_ms
        await self._store.change(lambda db: add_ticket(db, digest(ticket), session_id, now, expires_at))
        return ticket, expires_at

    async def of_ticket(self, ticket: str) -> SessionRow:
        """The session of a ticket, which is used up by this; `Unauthenticated` when it does not hold.

        It is read first: a stranger's guesses cost no transaction.
        """
        hashed, now = digest(ticket), self._clock.now()
        session_id = await self._store.fetch(lambda db: session_of_ticket(db, hashed, now))
        if session_id is None or not await self._store.change(lambda db: take_ticket(db, hashed, now)):
            raise Unauthenticated("The ticket does not hold: each opens one socket, within seconds")
        return await self.held(session_id)

    # ---- ends --------------------------------------------------------------------------------------------------

    def ended(self, session_ids: Iterable[str]) -> None:
        """These are over: nobody comes in with them, and who is in has to go."""
        now = self._clock.now()
        for old in [known for known, at in self._ended.items() if at + _REMEMBERED < now]:
            del self._ended[old]
        for session_id in session_ids:
            self._ended[session_id] = now
            self._lookups.forget_session(session_id)
            for holder in self._holders.get(session_id, ()):
                holder.set()

    @contextmanager
    def holding(self, session_id: str | None) -> Iterator[asyncio.Event]:
        """An event that is set when the session ends here."""
        event = asyncio.Event()
        if session_id is None:
            yield event
            return
        holders = self._holders.setdefault(session_id, [])
        holders.append(event)
        try:
            yield event
        finally:
            holders.remove(event)
            if not holders:
                del self._holders[session_id]


def _over() -> Unauthenticated:
    return Unauthenticated("The session is over: sign in again")
