"""Alarms are doorbells: they may come twice, late or never, and far ones must not stand in the way of near ones."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import dramatiq
import pytest
from dramatiq.brokers.stub import StubBroker
from dramatiq.errors import BrokerConnectionError

from interlock.clock import SystemClock
from runtime.alarms import HORIZON, QUEUE, DramatiqAlarms, InProcessBroker, in_process_broker

LONG = 20.0  # seconds: a bound for what should take none
SOON = 30  # ms
NOW = 1_700_000_000_000


class FixedClock:
    """Stands still."""

    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> int:
        return self.at

    def chance(self) -> float:
        return 0.5


class Bell:
    """Hears who rings, and on which thread."""

    def __init__(self) -> None:
        self.rung: list[str] = []
        self.threads: set[int] = set()
        self._heard = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()

    def ring(self, host_id: str) -> None:
        self.rung.append(host_id)
        self.threads.add(threading.get_ident())
        task = asyncio.ensure_future(self._tell())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _tell(self) -> None:
        async with self._heard:
            self._heard.notify_all()

    async def until(self, holds: Callable[[], bool]) -> None:
        """Return when it holds."""
        async with asyncio.timeout(LONG), self._heard:
            await self._heard.wait_for(holds)


@pytest.fixture
async def bell() -> Bell:
    return Bell()


@pytest.fixture
async def alarms(bell: Bell) -> AsyncIterator[DramatiqAlarms]:
    """On the embedded default's own broker, by the machine's clock."""
    made = DramatiqAlarms(in_process_broker(), SystemClock(), asyncio.get_running_loop(), bell.ring)
    made.start()
    yield made
    await asyncio.to_thread(made.stop)


def silent(bell: Bell, clock: FixedClock | None = None) -> tuple[DramatiqAlarms, StubBroker]:
    """Alarms without a worker: what was set stays in the broker's queue to be counted."""
    broker = in_process_broker()
    return DramatiqAlarms(broker, clock or FixedClock(), asyncio.get_running_loop(), bell.ring), broker


def waiting(broker: StubBroker) -> int:
    """Messages that wait for their time."""
    return int(broker.queues[f"{QUEUE}.DQ"].qsize())


async def test_an_alarm_rings_on_the_loop_when_its_time_has_come(alarms: DramatiqAlarms, bell: Bell) -> None:
    due_at = SystemClock().now() + SOON
    alarms.set_alarm("host", due_at)
    await bell.until(lambda: bell.rung == ["host"])
    assert SystemClock().now() >= due_at
    assert bell.threads == {threading.get_ident()}
    assert alarms.rung == 1


async def test_an_alarm_whose_time_has_passed_rings_at_once(alarms: DramatiqAlarms, bell: Bell) -> None:
    alarms.set_alarm("host", SystemClock().now() - 100_000)
    await bell.until(lambda: bell.rung == ["host"])


async def test_several_hosts_may_be_due_at_one_instant(alarms: DramatiqAlarms, bell: Bell) -> None:
    due_at = SystemClock().now() + SOON
    for number in range(20):
        alarms.set_alarm(f"host-{number}", due_at)
    await bell.until(lambda: len(bell.rung) == 20)
    assert set(bell.rung) == {f"host-{number}" for number in range(20)}


async def test_far_alarms_do_not_stand_in_the_way_of_a_near_one(alarms: DramatiqAlarms, bell: Bell) -> None:
    now = SystemClock().now()
    for number in range(500):
        alarms.set_alarm(f"far-{number}", now + HORIZON - number)
    alarms.set_alarm("near", now + SOON)
    await bell.until(lambda: bell.rung == ["near"])


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


async def test_an_alarm_that_comes_twice_is_passed_on_twice(alarms: DramatiqAlarms, bell: Bell) -> None:
    for _ in range(2):
        alarms._alarm.send("host")
    await bell.until(lambda: bell.rung == ["host", "host"])


async def test_an_alarm_that_cannot_be_set_is_no_error(bell: Bell, caplog: pytest.LogCaptureFixture) -> None:
    class Deaf(InProcessBroker):
        def enqueue(self, message: dramatiq.Message[Any], *, delay: int | None = None) -> dramatiq.Message[Any]:
            raise BrokerConnectionError(f"{message} {delay}")  # type: ignore[no-untyped-call]

    alarms = DramatiqAlarms(Deaf(middleware=[]), FixedClock(), asyncio.get_running_loop(), bell.ring)
    alarms.set_alarm("host", NOW)
    assert "the sweep stands in" in caplog.text


async def test_a_bell_that_fails_does_not_silence_the_next(bell: Bell) -> None:
    failures: list[str] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: failures.append(str(context["exception"])))

    def ring(host_id: str) -> None:
        if host_id == "first":
            raise ValueError("out of order")
        bell.ring(host_id)

    alarms = DramatiqAlarms(in_process_broker(), SystemClock(), loop, ring)
    alarms.start()
    now = SystemClock().now()
    alarms.set_alarm("first", now)
    alarms.set_alarm("second", now + SOON)
    await bell.until(lambda: bell.rung == ["second"])
    await asyncio.to_thread(alarms.stop)
    assert failures == ["out of order"]


async def test_an_alarm_that_rings_after_the_loop_has_closed_is_nobodys(bell: Bell) -> None:
    closed = asyncio.new_event_loop()
    closed.close()
    alarms = DramatiqAlarms(in_process_broker(), FixedClock(), closed, bell.ring)
    alarms._rung("host")
    assert (alarms.rung, bell.rung) == (1, [])


async def test_starting_and_stopping_twice_does_no_harm(bell: Bell) -> None:
    alarms = DramatiqAlarms(in_process_broker(), SystemClock(), asyncio.get_running_loop(), bell.ring)
    alarms.start()
    alarms.start()
    alarms.set_alarm("host", SystemClock().now())
    await bell.until(lambda: bell.rung == ["host"])
    for _ in range(2):
        await asyncio.to_thread(alarms.stop)


async def test_stopping_what_was_never_started_does_no_harm(bell: Bell) -> None:
    alarms, _ = silent(bell)
    alarms.stop()
    assert bell.rung == []


async def test_after_a_stop_nothing_rings_any_more(bell: Bell) -> None:
    alarms = DramatiqAlarms(in_process_broker(), SystemClock(), asyncio.get_running_loop(), bell.ring)
    alarms.start()
    alarms.set_alarm("later", SystemClock().now() + HORIZON)
    await asyncio.to_thread(alarms.stop)
    alarms.set_alarm("now", SystemClock().now())
    assert (alarms.rung, bell.rung) == (0, [])
