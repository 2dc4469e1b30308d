"""What a route's guard means: which credentials open it, and which refusals it brings along."""

from typing import Any, NamedTuple

from interlock.errors import (
    Forbidden,
    InvalidRequest,
    NotFound,
    PayloadTooLarge,
    RateLimited,
    SetupRequired,
    Unauthenticated,
    Unavailable,
    UnsupportedMediaType,
)
from web import routes
from web.edge import RequestTimeout
from web.openapi.description import Operation, Problem
from web.sessions import COOKIE, CSRF_HEADER, SECURE_COOKIE

Security = list[dict[str, list[str]]]

SCHEMES: dict[str, Any] = {
    "userToken": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A user's token: `aud` is `interlock`, `sub` the account. `org`, if it is there, is the organization"
        " of S2's routes. The roles that a route names are what the account has to be in the organization, at least.",
    },
    "agentKey": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "The key of a host's agent. A `hostId` in the path must be the key's host.",
    },
    "session": {"type": "apiKey", "in": "cookie", "name": COOKIE, "description": "A session at a browser, over HTTP."},
    "secureSession": {"type": "apiKey", "in": "cookie", "name": SECURE_COOKIE, "description": "The same over TLS."},
    "csrf": {
        "type": "apiKey",
        "in": "header",
        "name": CSRF_HEADER,
        "description": "`csrfToken` of the session: with a cookie, what changes anything needs it, and an `Origin` header"
        " that names this server.",
    },
}
_SAFE = {"GET", "HEAD", "OPTIONS"}
_EVERYWHERE: tuple[Problem, ...] = (InvalidRequest, Unavailable)
_KNOWN: tuple[Problem, ...] = (Unauthenticated, SetupRequired, RateLimited)  # for whoever shows a credential
_WITH_A_BODY: tuple[Problem, ...] = (RequestTimeout, PayloadTooLarge, UnsupportedMediaType)


class Access(NamedTuple):
    """Who may, said for people and for programs; and the refusals that come with it."""

    who: str
    security: Security
    problems: tuple[Problem, ...]


def access_of(route: routes.Route) -> Access:
    """What the route's guard means."""
    guard, changes = route.guard, route.method not in _SAFE
    by_cookie: tuple[Problem, ...] = (Forbidden,) if changes else ()
    if guard is routes.public:
        return Access("anybody", [], ())
    if guard is routes.first_comer:
        return Access("anybody, before the set-up too", [], ())
    if guard is routes.stranger:
        return Access("anybody", [], (SetupRequired,))
    if guard is routes.socket:
        return Access(
            "whoever shows a credential, here or in the first frame",
            _of_socket(route.path),
            (SetupRequired, RateLimited),
        )
    if guard is routes.agent:
        problems: tuple[Problem, ...] = (Forbidden,) if "{host_id}" in route.path else ()
        return Access("the host's agent", [{"agentKey": []}], (*_KNOWN, *problems))
    if guard is routes.platform_admin:
        return Access("platform admins", _of_user(changes, ["platform"]), (*_KNOWN, Forbidden))
    if guard in {routes.account, routes.visitor}:
        return Access("anybody with an account", _of_user(changes, []), (*_KNOWN, *by_cookie))
    role = guard.__name__
    refusals = (*_KNOWN, NotFound, *(by_cookie if role == "viewer" else (Forbidden,)))
    place = "the organization" if "{org_id}" in route.path else "the organization that the token names"
    return Access(f"{role}s of {place}, or above", _of_user(changes, [role]), refusals)


def problems_of(route: routes.Route, operation: Operation) -> list[Problem]:
    """Every refusal that the route can answer, by status and code."""
    found = {*_EVERYWHERE, *access_of(route).problems, *operation.problems}
    if operation.body is not None:
        found.update(_WITH_A_BODY)
    return sorted(found, key=lambda kind: (kind.status, kind.code))


def _of_user(changes: bool, roles: list[str]) -> Security:
    csrf: dict[str, list[str]] = {"csrf": []} if changes else {}
    return [{"userToken": roles}, {"session": roles} | csrf, {"secureSession": roles} | csrf]


def _of_socket(path: str) -> Security:
    here: dict[str, Security] = {"/agent": [{"agentKey": []}], "/ws": _of_user(changes=False, roles=["viewer"])}
    return [{}, *here.get(path, [])]
