"""The application: routes, and around each of them the request's id, its access, and errors as problems."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from functools import partial
from typing import Any

from aiohttp import ClientConnectionResetError, hdrs, web

from interlock.errors import (
    InterlockError,
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
    PayloadTooLarge,
    TryLater,
    Unavailable,
)
from web import (
    access_log,
    agent_socket,
    agents,
    assets,
    audit_trail,
    dashboards,
    fleet_hosts,
    jobs,
    logs,
    socketio,
    summary,
)
from web.access import request_id, stamp
from web.connections import GOING_AWAY
from web.deadlines import Deadlines
from web.early import Doorman
from web.edge import DOORMAN, expect, whole_body
from web.gate import Gate, Held
from web.health import OPEN_RUNS, PROBE, Probe
from web.job_ends import ENDS, PLACE, JobEnds
from web.log_context import CURRENT
from web.open_runs import OpenRuns
from web.packing import packed
from web.problems import problem_response, retry_after
from web.rate_book import RateBook
from web.routes import ROUTES
from web.services import SERVICES, Services
from web.short_way import SHORT_WAY, ShortWay

log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Guarded = Callable[[web.Request, Services, Any], Awaitable[web.StreamResponse]]
# Handlers that wait for something to happen.
WAIT = frozenset({agents.poll, assets.download, logs.show, dashboards.watch, agent_socket.connect, socketio.serve})
LONG = frozenset({jobs.list_all, fleet_hosts.list_all, summary.show, audit_trail.list_all})  # compressed, then
ADD_WORK = frozenset(
    {"/jobs", "/api/orgs/{org_id}/jobs", "/api/orgs/{org_id}/jobs/batch"}
)  # POSTs that stand at the gate

NAMED_BESIDE_IDS = frozenset(
    {"/api/orgs/{org_id}/jobs/batch", "/api/orgs/{org_id}/jobs/bulk"}
)  # paths with one method each, where another path has an id: the name goes before it, as OpenAPI has it


def make_app(services: Services) -> web.Application:
    """All routes over these services."""
    app = web.Application(
        middlewares=[_answer],
        client_max_size=services.web_limits.max_batch_bytes,
        logger=log,
    )
    app[SERVICES] = services
    gate = _gate(services)
    app[PROBE] = Probe(services.store)
    app[OPEN_RUNS] = OpenRuns(services.store, services.metrics)
    app[DOORMAN] = _doorman(gate, services)
    deadlines = Deadlines(services.web_limits.answer_seconds, time.monotonic)
    look_seconds = services.links.limits.revocation_look_seconds
    app.cleanup_ctx.append(partial(_running, deadlines.watch))
    app.cleanup_ctx.append(partial(_running, partial(services.revocations.watch, look_seconds)))
    services.metrics.gauges.append(
        ("interlock_agent_sockets", "Agents that are connected.", lambda: len(services.links))
    )
    waiters = services.web_limits.job_waiters, services.web_limits.job_waiters_per_org
    app.on_startup.append(_count_tasks)
    ends = app[ENDS] = JobEnds(deadlines, *waiters)
    services.metrics.gauges.append(
        ("interlock_job_waiters", "Requests that wait for a job's end, or for a line of its log.", lambda: ends.waiting)
    )
    app[socketio.DOOR] = socketio.Door()
    rates = RateBook(services.clock)
    services.streams.listeners.append(rates.count)
    app[summary.SUMMARIES] = summary.Summaries(rates)
    app.cleanup_ctx.append(partial(_running, partial(services.links.watch, services.web_limits.answer_seconds)))
    app.on_shutdown.append(_restart)
    short_way = app[SHORT_WAY] = ShortWay(app, _answer)
    for route in ROUTES:
        adds_work = route.method == "POST" and route.path in ADD_WORK
        handler = (route._replace(handler=_behind(gate, route.handler)) if adds_work else route).bound(services)
        if route.handler in LONG:
            handler = packed(handler)
        if route.handler not in WAIT:
            handler = deadlines.around(handler)
        if adds_work:
            handler = _unless_closed(gate, handler)
        short_way.add(app.router.add_route(route.method, route.path, handler, expect_handler=expect), route.path)
        if route.path in NAMED_BESIDE_IDS:
            app.router.add_route(hdrs.METH_ANY, route.path, _no_other_method(route.method), expect_handler=expect)
    return app


def _no_other_method(method: str) -> Handler:
    """A refusal: else the router would look for what has that name as its id."""

    async def refuse(_: web.Request) -> web.StreamResponse:
        raise MethodNotAllowed(frozenset({method}))

    return refuse


async def _running(work: Callable[[], Coroutine[Any, Any, None]], _: web.Application) -> AsyncIterator[None]:
    """As long as the application runs."""
    task = asyncio.create_task(work())
    yield
    task.cancel()
    await asyncio.wait({task})


async def _count_tasks(app: web.Application) -> None:
    loop = asyncio.get_running_loop()
    app[SERVICES].metrics.gauges.append(("interlock_tasks", "Tasks of the loop.", lambda: len(asyncio.all_tasks(loop))))


async def _restart(app: web.Application) -> None:
    """Agents are to come back, here or to another node."""
    app[SERVICES].links.close(GOING_AWAY, "restart")
    await app[socketio.DOOR].stop()


def _gate(services: Services) -> Gate:
    limits = services.web_limits
    gate = Gate(limits.creates, time.monotonic)
    services.metrics.gauges.append(
        ("interlock_creates_waiting", "Creates that wait for a place.", lambda: gate.waiting)
    )
    services.metrics.counters.append(("interlock_creates_refused", "Creates refused early.", lambda: gate.refused))
    return gate


def _doorman(gate: Gate, services: Services) -> Doorman:
    def wait(error: TryLater) -> int:
        return retry_after(error, services.web_limits.retry_after_seconds, services.clock.chance())

    def note(status: int) -> None:
        services.metrics.responses[status] += 1

    return Doorman(gate, wait, note)


def _unless_closed(gate: Gate, handler: Handler) -> Handler:
    """The handler, or a refusal before anybody has looked at who asks: that costs more than saying no."""

    async def answer(request: web.Request) -> web.StreamResponse:
        org_id = request.match_info.get("org_id", "")
        gate.has_come(org_id)
        if gate.closed_to(org_id):
            raise gate.refuse()
        return await handler(request)

    return answer


def _behind(gate: Gate, handler: Guarded) -> Guarded:
    """The handler, of which only so many run at once. A body that is still on its way takes nobody's place."""

    async def answer(request: web.Request, s: Services, who: Any) -> web.StreamResponse:
        if not request.content.is_eof() and (request.content_length or 0) <= s.web_limits.max_batch_bytes:
            await whole_body(request)
        weight = gate.weight(request.content_length)
        if not gate.enter(weight):
            await gate.wait(weight, who.org_id)
        place = request[PLACE] = Held(gate, weight)
        try:
            return await handler(request, s, who)
        finally:
            place.close()

    return answer


@web.middleware
async def _answer(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every request gets an id and an answer; errors become problems."""
    own_id, s = request_id(request), request.app[SERVICES]
    share = s.web_limits.access_log_share
    began = time.monotonic() if share else 0.0
    answered = [request]
    outside = CURRENT.set(answered)
    try:
        response = await handler(request)
    except Exception as error:  # noqa: BLE001 - each has an answer
        wait_seconds = s.web_limits.retry_after_seconds
        response = problem_response(_refusal(request, error, own_id), own_id, s.clock.chance(), wait_seconds)
    finally:
        CURRENT.reset(outside)
        answered.clear()
    if not response.prepared:
        stamp(request, response)
    s.metrics.responses[response.status] += 1
    if share and s.clock.chance() < share:
        access_log.write_line(request, response, s, began)
    return response


def _refusal(request: web.Request, error: Exception, own_id: str) -> InterlockError:
    if isinstance(error, InterlockError):
        return error
    if isinstance(error, web.HTTPException):
        return _from_aiohttp(error)
    if isinstance(error, ConnectionError | TimeoutError) and _has_gone(request, error):
        log.debug("The client went away: %s", error)
        return Unavailable("The connection was lost")
    log.error("Request %s failed unexpectedly", own_id, exc_info=error)
    return Unavailable("This could not be decided")


def _has_gone(request: web.Request, error: Exception) -> bool:
    """Whether the client has: the database and others may be lost or late as well. aiohttp's own error is of a socket whose
    closing has begun.
    """
    transport = request.transport
    return transport is None or transport.is_closing() or isinstance(error, ClientConnectionResetError)


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
