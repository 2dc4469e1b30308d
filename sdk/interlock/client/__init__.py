"""The Python client: typed calls over one kept-alive connection, on the standard library alone."""

from interlock.client.api import Client, JobFilter
from interlock.client.problems import BadAnswer, Unreachable
from interlock.client.repeat import RepeatPolicy
from interlock.client.transport import Answer

__all__ = [
    "Answer",
    "BadAnswer",
    "Client",
    "JobFilter",
    "RepeatPolicy",
    "Unreachable",
]
