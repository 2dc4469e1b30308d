"""The routes by which a command line is let in by somebody at a browser."""

from interlock.errors import Forbidden, NotFound, RateLimited, Unauthenticated
from interlock.sessions import (
    AnswerDevice,
    AskingDevice,
    AskToSignIn,
    DeviceLogin,
    DeviceToken,
    LookAtDevice,
    TakeToken,
)
from web.openapi.common import made, ok
from web.openapi.description import Answer, Body, Operation

_TAG = "Sessions"

OPERATIONS: dict[str, Operation] = {
    "POST /api/login/device": Operation(
        "askToSignIn",
        _TAG,
        "Ask to be let in by somebody at a browser",
        (made(DeviceLogin, "A code to show to the person, and a secret to ask with.")._replace(headers=()),),
        body=Body(AskToSignIn),
        problems=(RateLimited,),
        detail="For command lines. The code holds for minutes, and its answer once.",
    ),
    "POST /api/login/device/token": Operation(
        "takeToken",
        _TAG,
        "Take the token, once somebody has said yes",
        (
            ok(DeviceToken, "A user's token: whoever said yes."),
            Answer(202, "Nobody has answered yet: ask again after `intervalSeconds`.", DeviceToken),
        ),
        body=Body(TakeToken),
        problems=(Unauthenticated, Forbidden, RateLimited),
        detail="Forbidden when somebody has said no; unauthenticated when the time is over, or the token was taken.",
    ),
    "POST /api/login/device/look": Operation(
        "lookAtDevice",
        _TAG,
        "Who asks with this code?",
        (ok(AskingDevice, "What it calls itself, and where it asks from."),),
        body=Body(LookAtDevice),
        problems=(Forbidden, NotFound, RateLimited),
        detail="For a session at a browser. Each call counts as an attempt.",
    ),
    "POST /api/login/device/answer": Operation(
        "answerDevice",
        _TAG,
        "Let it in, or do not",
        (Answer(204, "It gets a token of whoever is signed in here, or is told no."),),
        body=Body(AnswerDevice),
        problems=(Forbidden, NotFound, RateLimited),
        detail="For a session at a browser. Each call counts as an attempt.",
    ),
}
