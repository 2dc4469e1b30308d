"""Many may wait for one answer, each shielded from the others' ends."""

import asyncio
from typing import Any, TypeVar

Answer = TypeVar("Answer", bound="asyncio.Future[Any]")


def heeded(asking: Answer) -> Answer:
    """The same future, which may fail when nobody waits for it any more: asyncio would log that as an error of ours, for a
    shield whose waiter has left takes no notice of what it shields.
    """
    asking.add_done_callback(_heed)
    return asking


def _heed(done: "asyncio.Future[Any]") -> None:
    if not done.cancelled():
        done.exception()
