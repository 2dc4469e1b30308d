"""Which alarms are set, and that what fails is left to the sweep. How they ring: tests/integration/test_alarms_ring.py."""

import asyncio
import threading
from typing import Any

import dramatiq
import pytest
from dramatiq.brokers.stub import StubBroker
from dramatiq.errors import BrokerConnectionError

from runtime.alarms import HORIZON, QUEUE, DramatiqAlarms, InProcessBroker, in_process_broker
from tests.support.bell import LONG, Bell

NOW = 1_700_000_000_000


class FixedClock:
    """Stands still."""

    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> int:
        return self.at

    def chance(self) -> float:
        return 0.5


@pytest.fixture
async def bell() -> Bell:
    return Bell()


def silent(bell: Bell, clock: FixedClock | None = None) -> tuple[DramatiqAlarms, StubBroker]:
    """Alarms without a worker: what was set stays in the broker's queue to be counted."""
    broker = in_process_broker()
    return DramatiqAlarms(broker, clock or FixedClock(), asyncio.get_running_loop(), bell.ring), broker


def waiting(broker: StubBroker) -> int:
    """Messages that wait for their time, or for a worker."""
    return sum(queue.qsize() for queue in broker.queues.values())


async def test_delay_queues_are_kept_out_of_the_declared_ones(bell: Bell) -> None:
    _, broker = silent(bell)
    assert isinstance(broker, InProcessBroker)
    assert broker.get_declared_queues() == {QUEUE}
    assert broker.get_declared_delay_queues() == {f"{QUEUE}.DQ"}


async def test_an_alarm_beyond_the_horizon_is_left_to_the_sweep(bell: Bell) -> None:
    alarms, broker = silent(bell)
    alarms.set_alarm("host", NOW + HORIZON + 1)
    assert waiting(broker) == 0
    alarms.set_alarm("host", NOW + HORIZON)
    assert waiting(broker) == 1


async def test_the_same_alarm_is_set_once_and_another_instant_is_another_alarm(bell: Bell) -> None:
    alarms, broker = silent(bell)
    for _ in range(3):
        alarms.set_alarm("host", NOW + 1000)
    alarms.set_alarm("host", NOW + 2000)
    alarms.set_alarm("other", NOW + 1000)
    assert waiting(broker) == 3


async def test_what_was_set_long_ago_may_be_set_again(bell: Bell) -> None:
    clock = FixedClock()
    alarms, broker = silent(bell, clock)
    alarms.set_alarm("host", NOW + 1000)
    clock.at += 1000 + 2 * HORIZON
    alarms.set_alarm("other", clock.at + 1000)
    alarms.set_alarm("host", NOW + 1000)
    assert waiting(broker) == 3


class Deaf(InProcessBroker):
    """Takes nothing while it is told so."""

    deaf = True

    def enqueue(self, message: dramatiq.Message[Any], *, delay: int | None = None) -> dramatiq.Message[Any]:
        if self.deaf:
            raise BrokerConnectionError("deaf")  # type: ignore[no-untyped-call]
        return super().enqueue(message, delay=delay)


async def test_an_alarm_that_cannot_be_set_is_no_error_and_may_be_set_again(
    bell: Bell, caplog: pytest.LogCaptureFixture
) -> None:
    broker = Deaf(middleware=[])
    alarms = DramatiqAlarms(broker, FixedClock(), asyncio.get_running_loop(), bell.ring)
    for _ in range(3):
        alarms.set_alarm("host", NOW + 1000)
        await asyncio.sleep(0)
    assert caplog.text.count("the sweep stands in") == 1
    assert alarms.failed == 3
    broker.deaf = False
    alarms.set_alarm("host", NOW + 1000)
    assert waiting(broker) == 1


async def test_a_broker_that_blocks_holds_nobody_up_and_what_is_too_much_is_left_to_the_sweep(bell: Bell) -> None:
    begun, may_go_on = threading.Event(), threading.Event()

    class Slow(InProcessBroker):
        def enqueue(self, message: dramatiq.Message[Any], *, delay: int | None = None) -> dramatiq.Message[Any]:
            begun.set()
            may_go_on.wait(LONG)
            return super().enqueue(message, delay=delay)

    broker = Slow(middleware=[])
    alarms = DramatiqAlarms(broker, FixedClock(), asyncio.get_running_loop(), bell.ring, queue=3)
    alarms.start()
    alarms.set_alarm("first", NOW)
    await asyncio.to_thread(begun.wait, LONG)
    for number in range(10):
        alarms.set_alarm(f"host-{number}", NOW)
    assert alarms.failed == 7
    may_go_on.set()
    await bell.until(lambda: len(bell.rung) == 4)
    assert sorted(bell.rung) == ["first", "host-0", "host-1", "host-2"]
    await asyncio.to_thread(alarms.stop)


async def test_an_alarm_that_rings_after_the_loop_has_closed_is_nobodys(bell: Bell) -> None:
    closed = asyncio.new_event_loop()
    closed.close()
    alarms = DramatiqAlarms(in_process_broker(), FixedClock(), closed, bell.ring)
    alarms._rung("host")
    assert (alarms.rung, bell.rung) == (1, [])


async def test_stopping_what_was_never_started_does_no_harm(bell: Bell) -> None:
    alarms, _ = silent(bell)
    alarms.stop()
    assert bell.rung == []
