"""Alarms are doorbells: they may come twice, late or never, and far ones must not stand in the way of near ones.

One suite for both brokers, then what only Redis can do to alarms.
"""

import asyncio
import logging
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import dramatiq
import pytest

from engines.redis_server import OwnRedis, own_redis
from interlock.clock import SystemClock
from runtime.alarm_broker import NAMESPACE, AlarmBroker
from runtime.alarms import HORIZON, QUEUE, DramatiqAlarms, Ring, in_process_broker
from tests.support.bell import Bell
from tests.support.redis_rig import PATIENCE, TIMEOUT, redis_or_skip, until

SOON = 30  # ms
HEARTBEAT = 500  # ms: a worker without a sign of life for this long is dead
ROOT = Path(__file__).parents[2]
Make = Callable[[], dramatiq.Broker]


@pytest.fixture(params=["in-process", "redis"])
def make_broker(request: pytest.FixtureRequest) -> Make:
    """One broker of the kind."""
    if request.param == "in-process":
        return in_process_broker
    server: OwnRedis = request.getfixturevalue("redis_server")
    return lambda: AlarmBroker(server.url, TIMEOUT)


@pytest.fixture
async def bell() -> Bell:
    return Bell()


def alarms_on(broker: dramatiq.Broker, ring: Ring, node: str = "") -> DramatiqAlarms:
    queue = 1000 if isinstance(broker, AlarmBroker) else 0
    return DramatiqAlarms(broker, SystemClock(), asyncio.get_running_loop(), ring, node=node, queue=queue)


@asynccontextmanager
async def ringing(alarms: DramatiqAlarms) -> AsyncIterator[DramatiqAlarms]:
    alarms.start()
    try:
        yield alarms
    finally:
        await asyncio.to_thread(alarms.stop)


@pytest.fixture
async def alarms(make_broker: Make, bell: Bell) -> AsyncIterator[DramatiqAlarms]:
    """By the machine's clock."""
    async with ringing(alarms_on(make_broker(), bell.ring)) as made:
        yield made


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


async def test_an_alarm_that_comes_twice_is_passed_on_twice(alarms: DramatiqAlarms, bell: Bell) -> None:
    for _ in range(2):
        alarms._alarm.send("host")
    await bell.until(lambda: bell.rung == ["host", "host"])


async def test_a_bell_that_fails_does_not_silence_the_next(make_broker: Make, bell: Bell) -> None:
    failures: list[str] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: failures.append(str(context["exception"])))

    def ring(host_id: str) -> None:
        if host_id == "first":
            raise ValueError("out of order")
        bell.ring(host_id)

    async with ringing(alarms_on(make_broker(), ring)) as alarms:
        now = SystemClock().now()
        alarms.set_alarm("first", now)
        alarms.set_alarm("second", now + SOON)
        await bell.until(lambda: bell.rung == ["second"])
        await until(lambda: failures == ["out of order"])


async def test_starting_and_stopping_twice_does_no_harm(make_broker: Make, bell: Bell) -> None:
    async with ringing(alarms_on(make_broker(), bell.ring)) as alarms:
        alarms.start()
        alarms.set_alarm("host", SystemClock().now())
        await bell.until(lambda: bell.rung == ["host"])
        await asyncio.to_thread(alarms.stop)


async def test_after_a_stop_nothing_rings_any_more(make_broker: Make, bell: Bell) -> None:
    async with ringing(alarms_on(make_broker(), bell.ring)) as alarms:
        alarms.set_alarm("later", SystemClock().now() + HORIZON)
    alarms.set_alarm("now", SystemClock().now())
    assert (alarms.rung, bell.rung) == (0, [])


# What only Redis can do.


def broker_on(server: OwnRedis) -> AlarmBroker:
    return AlarmBroker(server.url, TIMEOUT, heartbeat=HEARTBEAT)


def fetched(server: OwnRedis) -> int:
    """Delayed alarms that workers hold."""
    with server.client() as client:
        names = list(client.scan_iter(f"{NAMESPACE}:__acks__.*.{QUEUE}.DQ"))
        return sum(int(client.scard(name)) for name in names)


async def test_alarms_of_two_nodes_ring_where_they_were_set(redis_server: OwnRedis) -> None:
    """Whoever's worker is first rings; the node that set the alarm is told by a doorbell if it is another."""
    here: list[str] = []
    elsewhere: list[tuple[str, str]] = []
    loop = asyncio.get_running_loop()
    made = [
        DramatiqAlarms(broker_on(redis_server), SystemClock(), loop, here.append, node=name, elsewhere=note, queue=100)
        for name, note in (("a", lambda *bell: elsewhere.append(bell)), ("b", lambda *bell: elsewhere.append(bell)))
    ]
    async with ringing(made[0]):
        made[1]._send("of-b", SystemClock().now())
        made[0].set_alarm("of-a", SystemClock().now())
        await until(lambda: here == ["of-a"] and elsewhere == [("b", "of-b")])


async def test_the_worker_rings_again_after_redis_was_killed_and_came_back_empty(
    redis_server: OwnRedis, bell: Bell, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with ringing(alarms_on(broker_on(redis_server), bell.ring)) as alarms:
        alarms.set_alarm("lost", SystemClock().now() + HORIZON)
        await until(lambda: fetched(redis_server) == 1)
        redis_server.kill()
        alarms.set_alarm("not set", SystemClock().now() + HORIZON - 1)
        await until(lambda: alarms.failed == 1)
        redis_server.start()
        await until(lambda: "alarms ring again" in caplog.text)
        alarms.set_alarm("host", SystemClock().now())
        await bell.until(lambda: bell.rung == ["host"])
    assert caplog.text.count("Redis is away") == 1
    assert "Traceback" not in caplog.text


async def test_the_worker_rings_again_after_redis_was_emptied(redis_server: OwnRedis, bell: Bell) -> None:
    async with ringing(alarms_on(broker_on(redis_server), bell.ring)) as alarms:
        alarms.set_alarm("kept in memory", SystemClock().now() + SOON)
        redis_server.flush()
        alarms.set_alarm("host", SystemClock().now() + SOON)
        await bell.until(lambda: "host" in bell.rung)


async def test_the_worker_rings_again_after_redis_has_hung(redis_server: OwnRedis, bell: Bell) -> None:
    """A time-out is no lost connection to dramatiq, whose thread would end with it."""
    async with ringing(alarms_on(broker_on(redis_server), bell.ring)) as alarms:
        for number in range(10):
            alarms.set_alarm(f"host-{number}", SystemClock().now() + 1000)
        await until(lambda: fetched(redis_server) == 10)
        redis_server.pause()
        alarms.set_alarm("not set", SystemClock().now() + HORIZON - 1)
        await until(lambda: alarms.failed == 1)
        redis_server.resume()
        await bell.until(lambda: len(set(bell.rung) - {"not set"}) == 10)


async def test_a_redis_that_is_full_costs_alarms_and_not_the_worker(redis_server: OwnRedis, bell: Bell) -> None:
    async with ringing(alarms_on(broker_on(redis_server), bell.ring)) as alarms:
        for number in range(10):
            alarms.set_alarm(f"host-{number}", SystemClock().now() + 500)
        await until(lambda: fetched(redis_server) == 10)
        with redis_server.client() as client:
            client.config_set("maxmemory", "1")
        alarms.set_alarm("not set", SystemClock().now() + HORIZON - 1)
        await until(lambda: alarms.failed == 1)
        with redis_server.client() as client:
            client.config_set("maxmemory", "0")
        await bell.until(lambda: len(set(bell.rung)) == 10)
        alarms.set_alarm("host", SystemClock().now())
        await bell.until(lambda: bell.rung[-1] == "host")


async def test_an_evicting_redis_costs_alarms_and_not_the_worker(bell: Bell) -> None:
    with redis_or_skip(own_redis(memory="1mb", policy="allkeys-lru")) as server:
        async with ringing(alarms_on(broker_on(server), bell.ring)) as alarms:
            now = SystemClock().now()
            for number in range(900):
                alarms.set_alarm(f"far-{number}", now + HORIZON - number)
            alarms.set_alarm("marks the end", now - 1)
            await until(lambda: alarms.failed > 0 or "marks the end" in bell.rung)
            with server.client() as client:
                client.config_set("maxmemory", "0")
            async with asyncio.timeout(PATIENCE):
                while "again" not in bell.rung:
                    alarms.set_alarm("again", SystemClock().now())
                    await asyncio.sleep(0.05)


@pytest.fixture
def worker(redis_server: OwnRedis) -> Iterator["subprocess.Popen[str]"]:
    """Another node's worker, in a process of its own, which prints what it rings."""
    command = [sys.executable, "-u", "-m", "tests.support.alarm_worker", redis_server.url]
    path = os.pathsep.join([str(ROOT), str(ROOT / "scripts")])
    environ = {**os.environ, "PYTHONPATH": path}
    with subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


async def test_what_a_killed_worker_held_is_rung_by_another(
    redis_server: OwnRedis, bell: Bell, worker: "subprocess.Popen[str]"
) -> None:
    assert worker.stdout is not None
    alarms = alarms_on(broker_on(redis_server), bell.ring)
    alarms._send("hello", SystemClock().now())
    assert await asyncio.to_thread(worker.stdout.readline) == "hello\n"
    due_at = SystemClock().now() + 2000
    hosts = {f"host-{number}" for number in range(50)}
    for host in hosts:
        alarms._send(host, due_at)
    await until(lambda: fetched(redis_server) == 50)
    worker.kill()
    there = set((await asyncio.to_thread(worker.stdout.read)).split())  # on a slow machine some were due before its end
    async with ringing(alarms):
        await bell.until(
            lambda: hosts <= set(bell.rung) | there
        )  # and "hello" once more, if the end came before its ack
