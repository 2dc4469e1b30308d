"""What `redis_url` decides: alarms, events and doorbells by way of Redis, or the embedded default in this process."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from interlock.clock import Clock
from runtime.alarm_broker import AlarmBroker
from runtime.alarms import DramatiqAlarms, in_process_broker
from runtime.doorbells import Doorbells, NoDoorbells
from runtime.event_fanout import RedisEventStreams
from runtime.redis_link import RedisLink
from runtime.settings import Settings
from web.event_stream import EventStreams

Figure = tuple[str, str, Callable[[], float]]
Ring = Callable[[str], None]


@dataclass(slots=True)
class Parts:
    """Alarms are started and stopped by whoever has brought the hosts back; the rest here."""

    streams: EventStreams | RedisEventStreams
    alarms: DramatiqAlarms
    doorbells: Doorbells | NoDoorbells
    gauges: list[Figure] = field(default_factory=list)
    counters: list[Figure] = field(default_factory=list)

    async def start(self) -> None:
        """Begin; returns when Redis has been tried once, and need not be there."""
        if isinstance(self.streams, RedisEventStreams):
            await self.streams.start()
        if isinstance(self.doorbells, Doorbells):
            await self.doorbells.start()

    async def stop(self) -> None:
        """Send what events wait, if that is quick, and let go. Twice does no harm."""
        if isinstance(self.doorbells, Doorbells):
            await self.doorbells.stop()
        if isinstance(self.streams, RedisEventStreams):
            await self.streams.stop()


def build_parts(
    settings: Settings, clock: Clock, node: str, *, due: Ring, on_ring: Ring, on_doubt: Callable[[], None] | None = None
) -> Parts:
    """The parts of the node of that name; raises `BadRedisUrl`. Redis need not be there, now or later.

    `due(host_id)`: an alarm of this node has rung. `on_ring(host_id)`: another node says that there is something new, or
    has rung an alarm of ours. `on_doubt()`: such rings may have been lost. All are called on the loop.
    """
    loop = asyncio.get_running_loop()
    if not settings.redis_url:
        alarms = DramatiqAlarms(in_process_broker(), clock, loop, due)
        return Parts(EventStreams(clock, settings.event_history, settings.event_total), alarms, NoDoorbells())
    streams = RedisEventStreams(
        _link(settings, "events"), clock, history=settings.event_history, limit=settings.redis_queue
    )
    doorbells = Doorbells(_link(settings, "doorbells"), node, on_ring, limit=settings.redis_queue, on_doubt=on_doubt)
    broker = AlarmBroker(settings.redis_url, settings.redis_timeout_seconds)
    alarms = DramatiqAlarms(broker, clock, loop, due, node=node, elsewhere=doorbells.ring, queue=settings.redis_queue)
    return Parts(streams, alarms, doorbells, *_figures(streams, alarms, doorbells))


def _link(settings: Settings, name: str) -> RedisLink:
    return RedisLink(
        settings.redis_url, name, timeout=settings.redis_timeout_seconds, pause=settings.redis_retry_seconds
    )


def _figures(
    streams: RedisEventStreams, alarms: DramatiqAlarms, doorbells: Doorbells
) -> tuple[list[Figure], list[Figure]]:
    gauges: list[Figure] = [
        ("interlock_redis_up", "Whether events and doorbells get through Redis.", lambda: streams.up and doorbells.up),
        ("interlock_events_waiting", "Events that wait for Redis.", lambda: streams.waiting),
    ]
    counters: list[Figure] = [
        (
            "interlock_events_dropped",
            "Events that Redis was too slow for; a gap told of them.",
            lambda: streams.dropped,
        ),
        ("interlock_alarms_failed", "Alarms that could not be set; the sweep stood in.", lambda: alarms.failed),
        ("interlock_doorbells_rung", "Doorbells rung at other nodes.", lambda: doorbells.rung),
        ("interlock_doorbells_heard", "Doorbells of other nodes that were heard.", lambda: doorbells.heard),
    ]
    return gauges, counters
