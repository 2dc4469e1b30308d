"""The Python client: typed calls over one kept-alive connection, on the standard library alone."""

from interlock.client.api import Client
from interlock.client.calls import Tagged
from interlock.client.jobs import JobFilter
from interlock.client.problems import BadAnswer, Unreachable
from interlock.client.repeat import RepeatPolicy
from interlock.client.transport import Answer
from interlock.job_sort import JobSort

__all__ = [
    "Answer",
    "BadAnswer",
    "Client",
    "JobFilter",
    "JobSort",
    "RepeatPolicy",
    "Tagged",
    "Unreachable",
]
