"""What a line of the log is about: the request that is being answered, looked at only when there is a line to write.

A request that logs nothing costs one store and one reset of a context variable. Tasks and timers that a request begins
copy its context and may stay for hours: what they keep of it is an empty list, and not the request with its body.
"""

from contextvars import ContextVar

from aiohttp import web

from web.trace import trace_id, trace_of

CURRENT: ContextVar[list[web.Request] | None] = ContextVar("interlock_request", default=None)  # emptied with the answer
REQUEST_ID = web.RequestKey("request_id", str)
_PARTS = (("org_id", "org"), ("host_id", "host"), ("job_id", "job"), ("run_id", "run"))
_LONGEST = 100  # characters of what a path has where an id is expected


def about() -> dict[str, str]:
    """The request of this task: its id, and what its path and its trace name. Nothing when there is none any more."""
    answered = CURRENT.get()
    return about_request(answered[0]) if answered else {}


def about_request(request: web.Request) -> dict[str, str]:
    """The same of a given request."""
    known: dict[str, str] = {}
    own_id = request.get(REQUEST_ID)
    if own_id is not None:
        known["request_id"] = own_id
    for part, name in _PARTS:
        value = request.match_info.get(part)
        if value is not None:
            known[name] = value[:_LONGEST]
    trace = trace_of(request)
    if trace is not None:
        known["trace"] = trace_id(trace)
    return known
