"""Ending a process group: SIGTERM, a grace, SIGKILL."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable

from interlock.agent.identity import PROC, living_members
from interlock.agent.waiting import first

LOOK_EVERY_SECONDS = 0.02  # nothing tells when a group is empty, so it is looked at
AFTER_KILL_SECONDS = 5.0  # then what is left cannot be killed (another user's, or stuck in the kernel)


async def end_group(
    pid: int,
    lives: Callable[[], bool],
    *,
    grace_seconds: float,
    at_once: asyncio.Event,
) -> bool:
    """End all of the group that `pid` leads or led; False when something of it could not be ended.

    `lives` tells whether any of it is left. `at_once` cuts the grace short.
    """
    signal_group(pid, signal.SIGTERM)
    await first(_gone(lives), at_once.wait(), timeout=grace_seconds)
    if lives():
        signal_group(pid, signal.SIGKILL)
        await first(_gone(lives), timeout=AFTER_KILL_SECONDS)
    return not lives()


def group_lives(pid: int) -> bool:
    """Whether anything in the group still runs; to be asked only once its leader has been waited for.

    The kernel also counts members that have died and were not waited for by whoever inherited them, which some
    containers' first process never does: where there is a `/proc`, that tells them apart.
    """
    try:
        os.killpg(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return any(True for _ in living_members(pid)) if PROC.exists() else True


def signal_group(pid: int, number: signal.Signals) -> None:
    """Send `number` to the whole group; what is gone or not ours to signal is passed over."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


async def _gone(lives: Callable[[], bool]) -> None:
    while lives():  # noqa: ASYNC110 - the kernel sets no event for this
        await asyncio.sleep(LOOK_EVERY_SECONDS)
