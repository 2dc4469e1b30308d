"""The application: routes, and around each of them the request's id, its access, and errors as problems."""

import logging
import time
from collections.abc import Awaitable, Callable

from aiohttp import web

from interlock.errors import (
    InterlockError,
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
    PayloadTooLarge,
    Unavailable,
)
from web.access import request_id, stamp
from web.edge import expect
from web.gate import Gate
from web.problems import problem_response
from web.routes import ROUTES
from web.services import SERVICES, Services

log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
ADD_WORK = frozenset({"/jobs", "/api/orgs/{org_id}/jobs", "/api/orgs/{org_id}/jobs/batch"})  # POSTs that stand at the gate


def make_app(services: Services) -> web.Application:
    """All routes over these services."""
    app = web.Application(
        middlewares=[_answer],
        client_max_size=services.web_limits.max_batch_bytes,
        logger=log,
    )
    app[SERVICES] = services
    gate = _gate(services)
    for route in ROUTES:
        handler = route.bound(services)
        if route.method == "POST" and route.path in ADD_WORK:
            handler = _behind(gate, handler)
        app.router.add_route(route.method, route.path, handler, expect_handler=expect)
    return app


def _gate(services: Services) -> Gate:
    limits = services.web_limits
    gate = Gate(limits.creates, time.monotonic)
    services.metrics.gauges.append(("interlock_creates_waiting", "Creates that wait for a place.", lambda: gate.waiting))
    services.metrics.counters.append(("interlock_creates_refused", "Creates refused early.", lambda: gate.refused))
    return gate


def _behind(gate: Gate, handler: Handler) -> Handler:
    """The handler, of which only so many run at once."""

    async def answer(request: web.Request) -> web.StreamResponse:
        weight = gate.weight(request.content_length)
        if not gate.enter(weight):
            await gate.wait(weight)
        try:
            return await handler(request)
        finally:
            gate.leave(weight)

    return answer


@web.middleware
async def _answer(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every request gets an id and an answer; errors become problems."""
    own_id = request_id(request)
    try:
        response = await handler(request)
    except InterlockError as error:
        response = problem_response(error, own_id)
    except web.HTTPException as error:
        response = problem_response(_from_aiohttp(error), own_id)
    except (ConnectionError, TimeoutError) as error:
        log.debug("The client went away: %s", error)
        response = problem_response(Unavailable("The connection was lost"), own_id)
    except Exception:
        log.exception("Request %s failed unexpectedly", own_id)
        response = problem_response(Unavailable("This could not be decided"), own_id)
    if not response.prepared:
        stamp(request, response)
    request.app[SERVICES].metrics.responses[response.status] += 1
    return response


def _from_aiohttp(error: web.HTTPException) -> InterlockError:
    if isinstance(error, web.HTTPMethodNotAllowed):
        return MethodNotAllowed(frozenset(error.allowed_methods))
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        return PayloadTooLarge("The body is too large")
    if isinstance(error, web.HTTPNotFound):
        return NotFound("There is nothing at this path")
    if error.status >= 500:  # noqa: PLR2004
        return Unavailable(error.reason)
    return InvalidRequest(error.reason)
