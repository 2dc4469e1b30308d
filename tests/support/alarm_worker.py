"""A node that only rings alarms, in a process of its own, to be killed: python -m tests.support.alarm_worker URL."""

import asyncio
import sys

from interlock.clock import SystemClock
from runtime.alarm_broker import AlarmBroker
from runtime.alarms import DramatiqAlarms


async def main(url: str) -> None:
    broker = AlarmBroker(url, 1)
    alarms = DramatiqAlarms(broker, SystemClock(), asyncio.get_running_loop(), print, node="worker")
    alarms.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
