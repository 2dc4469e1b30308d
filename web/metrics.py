"""Prometheus figures, read from the running parts when somebody asks: nothing is counted on the hot path twice.

`docs/observability.md` lists them all; a test holds it to that. Labels are bounded: no org, host or job is ever one.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import msgspec
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.openmetrics import exposition

from interlock.states import TERMINAL
from interlock.wire import JobEvent
from store.tally import Tally

Figure = tuple[str, str, Callable[[], float]]  # name without `_total`, what it is, and how to read it
LAG_EVERY = 0.5  # seconds between looks at the loop's lag
LAG_SECONDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
WAIT_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200)
PLAIN = "text/plain"
OPEN = "application/openmetrics-text"


class Metrics:
    """The registry of one server. Other parts put what they know into its lists when they are built."""

    def __init__(self) -> None:
        self.events: Counter[tuple[str, str]] = Counter()  # by event and status
        self.responses: Counter[int] = Counter()
        self.loop_lag = 0.0
        self.watchers = 0  # dashboards that are connected
        self.open_runs: dict[str, int] = {}  # by status; see `open_runs.py`
        self.gauges: list[Figure] = [
            ("interlock_loop_lag_seconds", "How late the event loop ran when it was last looked at.", self._lag),
            ("interlock_dashboard_sockets", "Dashboards that are connected.", lambda: self.watchers),
        ]
        self.counters: list[Figure] = [
            ("interlock_jobs_created", "Jobs that were created.", lambda: self._told("job.created")),
            ("interlock_runs_started", "Runs that an agent has taken.", lambda: self._told("job_run.started")),
        ]
        self._delays, self._waits = Tally(LAG_SECONDS), Tally(WAIT_SECONDS)
        self.histograms: list[tuple[str, str, Tally]] = [
            ("interlock_loop_delay_seconds", "How late the event loop ran, looked at every half second.", self._delays),
            ("interlock_dispatch_seconds", "From when a run could be taken until it was.", self._waits),
        ]
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def count(self, _org_id: str, event: str, data: msgspec.Struct) -> None:
        """Listen to the event stream."""
        if isinstance(data, JobEvent):
            self.events[event, data.status] += 1
            if data.waited_ms is not None:
                self._waits.add(data.waited_ms / 1000)
        else:
            self.events[event, ""] += 1

    @contextmanager
    def watching(self) -> Iterator[None]:
        """While a dashboard is connected."""
        self.watchers += 1
        try:
            yield
        finally:
            self.watchers -= 1

    def collect(self) -> Iterator[Metric]:
        """Called by the registry."""
        yield _counter("interlock_events", "Events by name and run status.", ("event", "status"), self.events.items())
        responses = (((str(code),), number) for code, number in self.responses.items())
        yield _counter("interlock_http_responses", "HTTP responses by status.", ("status",), responses)
        ended = (((status.value,), self.events["job_run.done", status]) for status in sorted(TERMINAL))
        yield _counter("interlock_runs_ended", "Runs that have ended, by how.", ("outcome",), ended)
        waiting = GaugeMetricFamily("interlock_open_runs", "Runs that have not ended, by status.", labels=["status"])
        for status, number in self.open_runs.items():
            waiting.add_metric([status], number)
        yield waiting
        for name, text, read in self.gauges:
            yield GaugeMetricFamily(name, text, value=read())
        for name, text, read in self.counters:
            yield CounterMetricFamily(name, text, value=read())
        for name, text, tally in self.histograms:
            yield HistogramMetricFamily(name, text, buckets=tally.buckets(), sum_value=tally.sum)

    def text(self, accept: str = "") -> tuple[bytes, str]:
        """All figures, and the media type that they are in: OpenMetrics for who asks for it, else Prometheus' own."""
        if OPEN in accept.lower():
            opened: bytes = exposition.generate_latest(self._registry)  # type: ignore[no-untyped-call]
            return opened, f"{OPEN}; version=1.0.0; charset=utf-8"
        return generate_latest(self._registry), f"{PLAIN}; version=0.0.4; charset=utf-8"

    async def watch_loop(self) -> None:
        """Measure the loop's lag until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + LAG_EVERY
            await asyncio.sleep(LAG_EVERY)
            self.loop_lag = max(loop.time() - due, 0.0)
            self._delays.add(self.loop_lag)

    def _lag(self) -> float:
        return self.loop_lag

    def _told(self, event: str) -> int:
        return sum(number for (name, _), number in self.events.items() if name == event)


def _counter(
    name: str, text: str, labels: tuple[str, ...], values: Iterable[tuple[tuple[str, ...], float]]
) -> CounterMetricFamily:
    family = CounterMetricFamily(name, text, labels=labels)
    for label_values, number in values:
        family.add_metric(label_values, number)
    return family
