"""The routes with which people set the server up and sign in at a browser."""

from interlock.errors import Forbidden, InvalidState, NotFound, RateLimited, Unauthenticated
from interlock.sessions import BrowserSessionPage, ChangePassword, Session, SetUp, SignIn, Ticket
from interlock.wire import Nothing
from web.openapi.common import GONE, made, ok
from web.openapi.description import Answer, Body, Operation

_TAG = "Sessions"

OPERATIONS: dict[str, Operation] = {
    "POST /api/setup": Operation(
        "setUp",
        _TAG,
        "Make the first account",
        (made(Session, "The account, its organization, and a session; the door is closed.", "Set-Cookie"),),
        body=Body(SetUp),
        problems=(Unauthenticated, InvalidState, RateLimited),
        detail="The token is in the link that the server prints when it starts. A conflict once there is an account.",
    ),
    "POST /api/session": Operation(
        "signIn",
        _TAG,
        "Sign in at a browser",
        (made(Session, "A session and its cookie.", "Set-Cookie"),),
        body=Body(SignIn),
        problems=(Unauthenticated, Forbidden, RateLimited),
    ),
    "GET /api/session": Operation("showSession", _TAG, "Who am I?", (ok(Session, "Who asks, and the CSRF token."),)),
    "DELETE /api/session": Operation(
        "signOut",
        _TAG,
        "Sign out",
        (GONE._replace(text="The session is over, at its sockets too.", headers=("Set-Cookie",)),),
        problems=(NotFound,),
    ),
    "PUT /api/session/password": Operation(
        "changePassword",
        _TAG,
        "Change one's password",
        (Answer(204, "All other sessions of whoever asks are over."),),
        body=Body(ChangePassword),
        problems=(Unauthenticated, Forbidden, RateLimited),
    ),
    "POST /api/session/ticket": Operation(
        "createTicket",
        _TAG,
        "Get a ticket for one socket",
        (made(Ticket, "It holds once, and for seconds.")._replace(headers=()),),
        body=Body(Nothing, required=False),
        problems=(Forbidden,),
    ),
    "GET /api/sessions": Operation(
        "listSessions", _TAG, "List one's own sessions", (ok(BrowserSessionPage, "Those that go on, oldest first."),)
    ),
    "DELETE /api/sessions/{session_id}": Operation(
        "endSession", _TAG, "End one of one's own sessions", (GONE._replace(text="It is over."),), problems=(NotFound,)
    ),
}
