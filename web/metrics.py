"""Prometheus figures, read from the running parts when somebody asks: nothing is counted on the hot path twice."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator

import msgspec
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from interlock.wire import JobEvent

_LAG_EVERY = 0.5  # seconds between looks at the loop's lag


class Metrics:
    """The registry of one server. Labels are bounded: no org, host or job is ever one."""

    def __init__(self) -> None:
        self.events: Counter[tuple[str, str]] = Counter()  # by event and status
        self.responses: Counter[int] = Counter()
        self.loop_lag = 0.0
        self.gauges: list[tuple[str, str, Callable[[], float]]] = []
        self.counters: list[tuple[str, str, Callable[[], float]]] = []
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def count(self, _org_id: str, event: str, data: msgspec.Struct) -> None:
        """Listen to the event stream."""
        self.events[event, data.status if isinstance(data, JobEvent) else ""] += 1

    def collect(self) -> Iterator[Metric]:
        """Called by the registry."""
        events = CounterMetricFamily("interlock_events", "Events by name and run status.", labels=["event", "status"])
        for (event, status), number in self.events.items():
            events.add_metric([event, status], number)
        yield events
        responses = CounterMetricFamily("interlock_http_responses", "HTTP responses by status.", labels=["status"])
        for code, number in self.responses.items():
            responses.add_metric([str(code)], number)
        yield responses
        yield GaugeMetricFamily("interlock_loop_lag_seconds", "How late the event loop runs.", value=self.loop_lag)
        for name, text, read in self.gauges:
            yield GaugeMetricFamily(name, text, value=read())
        for name, text, read in self.counters:
            yield CounterMetricFamily(name, text, value=read())

    def text(self) -> bytes:
        """All figures in Prometheus' text format."""
        return generate_latest(self._registry)

    async def watch_loop(self) -> None:
        """Measure the loop's lag until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _LAG_EVERY
            await asyncio.sleep(_LAG_EVERY)
            self.loop_lag = max(loop.time() - due, 0.0)
