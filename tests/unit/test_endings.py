"""A task that loses a cancellation ends all the same."""

import asyncio

import pytest

from runtime.endings import end


async def forever() -> None:
    await asyncio.Event().wait()


async def test_a_task_that_loses_its_first_cancellation_is_cancelled_again() -> None:
    lost = 0

    async def stubborn() -> None:
        nonlocal lost
        while True:
            try:
                await forever()
            except asyncio.CancelledError:
                lost += 1
                if lost == 3:
                    raise

    tasks = [asyncio.create_task(stubborn()), asyncio.create_task(forever())]
    await asyncio.sleep(0)
    await end(*tasks)
    assert [task.cancelled() for task in tasks] == [True, True]
    assert lost == 3


async def test_what_has_ended_or_failed_is_left_alone() -> None:
    async def failing() -> None:
        raise ValueError("before")

    async def failing_late() -> None:
        try:
            await forever()
        finally:
            raise ValueError("after")

    tasks = [asyncio.create_task(failing()), asyncio.create_task(failing_late())]
    await asyncio.sleep(0)
    await end(*tasks)
    for task in tasks:
        with pytest.raises(ValueError, match=r"before|after"):
            await task
    await end()
