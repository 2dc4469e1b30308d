"""What goes over the wire when people set up the server and sign in at a browser."""

from interlock.wire import Lenient, Strict


class SetUp(Strict):
    """`POST /api/setup`: the first account of all, who owns the first organization. `token` is in the link that the server
    prints when it starts.
    """

    token: str
    email: str
    name: str
    password: str
    org_name: str | None = None


class SignIn(Strict):
    """`POST /api/session`. `username` is another name of `email`."""

    password: str
    email: str | None = None
    username: str | None = None


class ChangePassword(Strict):
    """`PUT /api/session/password`: ends all other sessions of whoever asks."""

    current: str
    password: str


class Self(Lenient):
    """Whoever asks."""

    id: str
    email: str
    name: str
    platform_admin: bool


class OwnOrg(Lenient):
    """An organization, and what whoever asks is in it."""

    id: str
    name: str
    role: str


class Session(Lenient):
    """Who is signed in. With a bearer token there is no session: `id`, `csrfToken` and the times are null.

    Requests with the cookie that change anything send `csrfToken` as `X-CSRF-Token`. `orgs` are the first 200.
    """

    id: str | None
    user: Self
    orgs: list[OwnOrg]
    csrf_token: str | None
    created_at: str | None
    expires_at: str | None


class BrowserSession(Lenient):
    """A session, for the list of one's own."""

    id: str
    created_at: str
    last_seen_at: str
    expires_at: str
    address: str | None
    user_agent: str | None
    current: bool


class BrowserSessionPage(Lenient):
    """All of one's own sessions, oldest first."""

    items: list[BrowserSession]
    next_cursor: str | None = None


class Ticket(Lenient):
    """What a page shows at a socket instead of its cookie, once and within seconds."""

    ticket: str
    expires_at: str
