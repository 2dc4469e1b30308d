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


class AskToSignIn(Strict):
    """`POST /api/login/device`: a command line asks to be let in. `name` is what it calls itself, such as `ann@laptop`: 1 to
    100 printable characters.
    """

    name: str


class DeviceLogin(Lenient):
    """What the command line goes on with. `userCode` is for the person, who types it at `verificationPath` of this server;
    `deviceCode` is its own secret, shown at `POST /api/login/device/token` every `intervalSeconds`, and no more often.
    """

    device_code: str
    user_code: str
    verification_path: str
    expires_at: str
    expires_in_seconds: float
    interval_seconds: float


class TakeToken(Strict):
    """`POST /api/login/device/token`."""

    device_code: str


class DeviceToken(Lenient):
    """`status` is `waiting`, or `allowed`; then a user's token is there, once, with the instant at which it ends."""

    status: str
    token: str | None = None
    expires_at: str | None = None


class LookAtDevice(Strict):
    """`POST /api/login/device/look`: as the command line shows it; case, spaces and hyphens do not matter."""

    user_code: str


class AskingDevice(Lenient):
    """Who asks to be let in. `name` is its own word; `address` is where the server was asked from."""

    name: str
    address: str | None
    created_at: str
    expires_at: str


class AnswerDevice(Strict):
    """`POST /api/login/device/answer`."""

    user_code: str
    allow: bool
