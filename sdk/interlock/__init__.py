"""Interlock's vocabulary: what a job is, how it may move, and what goes over the wire. No server code."""

from interlock.clock import Clock, SystemClock, parse_rfc3339, rfc3339
from interlock.errors import InterlockError
from interlock.ids import Ids, UuidIds
from interlock.states import JobStatus, RunStatus

__all__ = [
    "Clock",
    "Ids",
    "InterlockError",
    "JobStatus",
    "RunStatus",
    "SystemClock",
    "UuidIds",
    "parse_rfc3339",
    "rfc3339",
]
