"""People at browsers, as tests speak for them: a cookie jar, a page's Origin and its CSRF token."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from yarl import URL

from interlock.clock import SystemClock
from interlock.ids import UuidIds
from store import sessions
from store.accounts import By
from store.database import how_to_begin
from tests.support.callers import Caller, Document, Reply, Tenant
from tests.support.server import Rows, Server
from web.passwords import Cost, make_hash

CHEAP = Cost(8, 1)
# Settings of a server whose passwords cost its tests little, and who counts no addresses: here all have the same.
QUICK: dict[str, float] = {"password_memory_mib": CHEAP.memory_mib, "password_passes": 1, "sign_ins_per_address": 0}
PASSWORD = "correct horse battery staple"
LINK = "/setup#token="


class Browser(Caller):
    """A page of the server: it sends its cookies by itself, and with each change its Origin and what the session gave it."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        super().__init__(session, url, None)
        self.csrf_token: str | None = None

    @property
    def page(self) -> dict[str, str]:
        """The headers of a request that a page of ours makes."""
        return {"Origin": self.url} | ({} if self.csrf_token is None else {"X-CSRF-Token": self.csrf_token})

    @property
    def cookie(self) -> str:
        """The session's, as it would be sent; empty without one."""
        found = self.session.cookie_jar.filter_cookies(URL(self.url))
        return "; ".join(f"{name}={morsel.value}" for name, morsel in found.items())

    async def ask(
        self, method: str, path: str, body: Any = None, *, headers: Mapping[str, str] | None = None, **query: Any
    ) -> Reply:
        """As a page would ask; `headers` stand for all that a page adds."""
        return await super().ask(method, path, body, headers=self.page if headers is None else headers, **query)

    async def sign_in(self, email: str, password: str = PASSWORD) -> Document:
        """The session, which must begin."""
        return self.signed_in(await self.post("/api/session", {"email": email, "password": password}))

    def signed_in(self, reply: Reply) -> Document:
        """The session of an answer that began one."""
        assert reply.status == 201, reply
        session: Document = reply.json
        self.csrf_token = session["csrfToken"]
        return session

    async def ticket(self) -> str:
        """A ticket for one socket."""
        reply = await self.post("/api/session/ticket")
        assert reply.status == 201, reply
        return str(reply.json["ticket"])


@asynccontextmanager
async def browser(url: str) -> AsyncIterator[Browser]:
    """One that nobody has used."""
    jar = aiohttp.CookieJar(unsafe=True)  # cookies of an address, too
    async with aiohttp.ClientSession(cookie_jar=jar, auto_decompress=False) as session:
        yield Browser(session, url)


def give_password(rows: Rows, user_id: str, password: str = PASSWORD, cost: Cost = CHEAP) -> str:
    """Let the account sign in; its address."""
    by = By("operator", None, SystemClock().now(), UuidIds().new())
    with rows.database.connection_context(), rows.database.atomic(*how_to_begin(rows.database)):
        sessions.set_password(rows.database, user_id, make_hash(password, cost), by)
    return f"{user_id}@example.com"


def person(tenant: Tenant, role: str = "operator") -> str:
    """The address of the tenant's user of that role, with a password."""
    tenant.as_role(role)
    return give_password(tenant.plane.rows, tenant.user_ids[role])


def setup_token(server: Server) -> str:
    """Of the link that the server has printed last."""
    (*_, link) = [line for line in server.log if LINK in line]
    return link.partition(LINK)[2]
