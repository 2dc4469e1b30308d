"""The routes of operators, the sockets, and this document itself."""

from interlock.errors import Forbidden, NotFound, PayloadTooLarge, RateLimited, Unauthenticated, UnsupportedMediaType
from interlock.operating import Alive, HostQueue, LiveActors, Ready
from web import metrics
from web.openapi.agents import INSTANCE, RUNNING
from web.openapi.common import IF_NONE_MATCH, NO_SUCH, UNCHANGED, ok
from web.openapi.description import UUID, Answer, Operation, Param

_TAG, _SOCKETS = "Operation", "Sockets"
_UPGRADED = Answer(101, "The connection is a WebSocket now.", media="")
_PACKETS = Answer(200, "Packets of Engine.IO 4, or none.", media="text/plain")
_EIO = (
    Param("EIO", {"const": "4"}, "The protocol's version.", required=True),
    Param("transport", {"enum": ["polling", "websocket"]}, "How packets travel."),
    Param("sid", {"type": "string"}, "The connection; absent when it is opened."),
)

OPERATIONS: dict[str, Operation] = {
    "GET /agent": Operation(
        "agentSocket",
        _SOCKETS,
        "Connect an agent",
        (_UPGRADED,),
        params=(INSTANCE, RUNNING),
        problems=(Unauthenticated, RateLimited),
        detail="The credential comes in the `Authorization` header, or as the first frame, within seconds. The frames are"
        " described under *Frames of agents*.",
    ),
    "GET /ws": Operation(
        "dashboardSocket",
        _SOCKETS,
        "Watch an organization",
        (_UPGRADED,),
        params=(
            Param("orgId", UUID, "The organization.", required=True),
            Param("after", {"type": "string", "pattern": "^[0-9]{1,18}$"}, "The `seq` behind which to begin."),
        ),
        problems=(Unauthenticated, Forbidden, NotFound),
        detail="The credential comes as a header, as a cookie, or as the first frame, within seconds. The events are described"
        " under *Events for dashboards*.",
    ),
    "GET /socket.io/": Operation(
        "socketIoReceive",
        _SOCKETS,
        "Receive over Socket.IO",
        (_UPGRADED, _PACKETS),
        params=_EIO,
        detail="The same events on the namespaces `/agent` and `/`, with the token in `auth`.",
        plain=(400,),
    ),
    "POST /socket.io/": Operation(
        "socketIoSend",
        _SOCKETS,
        "Send over Socket.IO",
        (_PACKETS,),
        params=_EIO,
        problems=(PayloadTooLarge, UnsupportedMediaType),
        plain=(400,),
    ),
    "OPTIONS /socket.io/": Operation(
        "socketIoOptions", _SOCKETS, "Ask whether another origin may", (_PACKETS,), params=_EIO, plain=(400,)
    ),
    "GET /debug/actors": Operation(
        "showActors",
        _TAG,
        "Show the live actors",
        (ok(LiveActors, "The tree; no payloads, no keys. The look is audited."),),
    ),
    "GET /debug/actors/hosts/{host_id}": Operation(
        "showActor",
        _TAG,
        "Show a host in full",
        (ok(HostQueue, "What its actor knows. The look is audited."),),
        problems=NO_SUCH,
    ),
    "GET /healthz": Operation("alive", _TAG, "Is the process up?", (ok(Alive, "It is."),)),
    "GET /readyz": Operation("ready", _TAG, "Can it do its work?", (ok(Ready, "It can."),)),
    "GET /metrics": Operation(
        "metrics",
        _TAG,
        "Figures for Prometheus",
        (Answer(200, "Prometheus' text format, or OpenMetrics.", media=metrics.PLAIN, also=(metrics.OPEN,)),),
    ),
    "GET /openapi.json": Operation(
        "describe",
        _TAG,
        "This document",
        (Answer(200, "OpenAPI 3.1.", headers=("ETag",), media="application/json"), UNCHANGED),
        params=(IF_NONE_MATCH,),
    ),
    "GET /docs": Operation(
        "docs",
        _TAG,
        "This document as a page",
        (Answer(200, "A page that needs no script.", headers=("ETag",), media="text/html"), UNCHANGED),
        params=(IF_NONE_MATCH,),
    ),
    "GET /": Operation("home", _TAG, "Go to the dashboard", (Answer(302, "To `app/`.", headers=("Location",)),)),
    "GET /app": Operation(
        "dashboard",
        _TAG,
        "The dashboard",
        (Answer(200, "A page.", headers=("ETag",), media="text/html"), UNCHANGED),
        params=(IF_NONE_MATCH,),
    ),
    "GET /app/{path:.*}": Operation(
        "dashboardPage",
        _TAG,
        "The dashboard at one of its pages",
        (Answer(200, "The same page: its script looks at the path.", headers=("ETag",), media="text/html"), UNCHANGED),
        params=(IF_NONE_MATCH,),
        problems=NO_SUCH,
    ),
    "GET /app/static/{version}/{path:.+}": Operation(
        "dashboardFile",
        _TAG,
        "A file of the dashboard",
        (Answer(200, "A script, a style or an image, to be kept for ever.", headers=("ETag",), media="*/*"), UNCHANGED),
        params=(IF_NONE_MATCH,),
        problems=NO_SUCH,
    ),
    "GET /setup": Operation(
        "setUpPage",
        _TAG,
        "The page that makes the first account",
        (Answer(200, "A form. The token stands behind the `#` of the link.", media="text/html"),),
    ),
    "GET /setup.js": Operation(
        "setUpScript", _TAG, "Its script", (Answer(200, "What the form does.", media="text/javascript"),)
    ),
    "GET /setup.css": Operation("setUpStyle", _TAG, "Its style", (Answer(200, "How it looks.", media="text/css"),)),
}
