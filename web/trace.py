"""W3C Trace Context: a job belongs to the trace of the request that created it, and its agent goes on with that.

This server makes no spans of its own, so what came is passed on as it is: the agent's spans are children of the caller's.
What does not keep to the specification counts as absent, as it demands; it is no reason to refuse a job.
https://www.w3.org/TR/trace-context/
"""

import re

from aiohttp import web

MOST_STATE = 512  # characters of `tracestate` that are kept: what the specification asks for at least
MOST_MEMBERS = 32  # of `tracestate`; more of them make it invalid
_LONG_MEMBER = 128  # characters; where there is no room for all, longer ones go first
_PARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII)
_MEMBER = re.compile(
    r"([a-z][_0-9a-z\-*/]{0,255}|[a-z0-9][_0-9a-z\-*/]{0,240}@[a-z][_0-9a-z\-*/]{0,13})"
    r"=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]",
    re.ASCII,
)
_CURRENT = "00"
_FORBIDDEN = "ff"


def trace_of(request: web.Request) -> str | None:
    """The request's trace as a job's row has it: `traceparent`, and behind a space `tracestate` if there is one."""
    headers = request.headers
    if "traceparent" not in headers:
        return None
    parents = headers.getall("traceparent")
    parent = traceparent(parents[0]) if len(parents) == 1 else None
    if parent is None:
        return None
    state = tracestate(",".join(headers.getall("tracestate", ())))
    return f"{parent} {state}" if state else parent


def traceparent(given: str) -> str | None:
    """The header's value if it is valid, else None. Of a later version what is known of it, as version 00."""
    found = _PARENT.fullmatch(given.strip(" \t"))
    if found is None:
        return None
    version, trace_id, parent_id, flags, rest = found.groups()
    if version == _FORBIDDEN or (version == _CURRENT and rest) or not trace_id.strip("0") or not parent_id.strip("0"):
        return None
    return f"{_CURRENT}-{trace_id}-{parent_id}-{flags}"


def tracestate(given: str) -> str | None:
    """The headers' value, its members joined by commas; None when it is invalid or empty. Cut to `MOST_STATE`."""
    members = [member for part in given.split(",") if (member := part.strip(" \t"))]
    names = {member.partition("=")[0] for member in members}
    if len(members) > MOST_MEMBERS or len(names) < len(members) or not all(map(_MEMBER.fullmatch, members)):
        return None
    if len(",".join(members)) > MOST_STATE:
        members = [member for member in members if len(member) <= _LONG_MEMBER]
    while len(",".join(members)) > MOST_STATE:
        members.pop()
    return ",".join(members) or None


def trace_id(trace: str) -> str:
    """The id of the trace that a job's row has, for the log: 32 hexadecimal digits."""
    return trace.split("-", 2)[1]
