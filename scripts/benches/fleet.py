"""`bench fleet`: how many jobs travel through a server, how fast, and what each costs, beside bare aiohttp."""

import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from benches.figures import Cores, Floor, Row, Yardstick, percentile
from benches.plan import FleetHost, Outcome, Plan
from benches.processes import Server, bare, drive, interlock
from benches.seed import Seed, sow

Say = Callable[[str], None]


class Sizes(msgspec.Struct, frozen=True, kw_only=True):
    """How much of everything."""

    rounds: int = 3
    hosts: int = 100
    clients: int = 32
    jobs: int = 5000
    batch: int = 100
    drained: int = 2000
    others: int = 1000  # hosts that nobody serves
    pending_each: int = 100  # of their jobs
    dispatched: int = 300  # rounded up to a multiple of `hosts`
    echoes: int = 30_000
    idle: int = 10_000  # hosts that are brought to life for the memory's figure


QUICK = Sizes(rounds=1, jobs=500, drained=400, others=100, dispatched=100, echoes=3000, idle=1000)

_POST = "bare POST/s"
_CPU = "bare CPU µs/request"
_TRIP = "bare round trip p50 ms"


class Fleet:
    """Takes the figures round by round; `values` has one of each name from each round."""

    def __init__(self, sizes: Sizes, folder: Path, say: Say) -> None:
        self.sizes = sizes
        self.values: dict[str, list[float]] = defaultdict(list)
        self.cores: dict[str, list[Cores]] = defaultdict(list)  # by load, a time each
        self.loop = ""
        self._folder = folder
        self._say = say
        self._seeds: dict[str, Seed] = {}

    def prepare(self) -> None:
        """Data directories to copy from, and a look at the kind of loop that the server runs on."""
        z = self.sizes
        waiting = z.others * z.pending_each
        self._say(f"preparing: {z.hosts} hosts; {waiting:,} jobs that wait on other hosts; {z.idle:,} idle hosts")
        self._seeds["small"] = sow(self._folder / "small", z.hosts)
        self._seeds["deep"] = sow(self._folder / "deep", z.hosts, others=z.others, pending=z.pending_each)
        self._seeds["wide"] = sow(self._folder / "wide", z.idle)
        with self._server("small") as (server, _):
            self.loop = server.loop

    def round(self) -> None:
        """Every figure once, the yardstick first."""
        self._yardstick()
        for load in ("single", "batch"):
            with self._server("small") as (server, seed):
                self._end_to_end(load, self._drive(load, server, seed, self.sizes.jobs))
        with self._server("small") as (server, seed):
            self._dispatch(self._drive("dispatch", server, seed, self.sizes.dispatched))
        for name in ("small", "deep"):
            with self._server(name) as (server, seed):
                self.values[f"start {name}"].append(server.ready_seconds)
                self.values[f"drain {name}"].append(self._drive("drain", server, seed, self.sizes.drained).rate)
        self._memory()

    def rows(self) -> list[Row]:
        """The medians beside their yardsticks and floors."""
        of = self.values
        post, cpu, trip = (Yardstick(name, of[name]) for name in (_POST, _CPU, _TRIP))
        drained = Yardstick("with none waiting", of["drain small"])
        waiting = f"{self.sizes.others * self.sizes.pending_each:,} jobs"
        at_start = Yardstick("with none waiting", of["start small"])
        return [
            Row(name="yardstick: bare aiohttp, JSON echo", unit="POST/s", values=of[_POST]),
            Row(name="yardstick: its CPU", unit="µs/request", values=of[_CPU]),
            Row(name="yardstick: its round trip, p50", unit="ms", values=of[_TRIP]),
            self._row("end to end, single creates", "jobs/s", "single", post, Floor(at_least=0.09)),
            self._row("end to end, batches and ?next=1", "jobs/s", "batch", post, Floor(at_least=0.20)),
            self._row("server CPU, single creates", "µs/job", "single cpu", cpu, Floor(at_most=15)),
            self._row("server CPU, batches and ?next=1", "µs/job", "batch cpu", cpu, Floor(at_most=6)),
            self._row("dispatch latency, p50", "ms", "dispatch p50", trip, Floor(at_most=4)),
            self._row("dispatch latency, p99", "ms", "dispatch p99", trip),
            self._row("drain, none waiting elsewhere", "jobs/s", "drain small", post),
            self._row(f"drain, {waiting} waiting elsewhere", "jobs/s", "drain deep", drained, Floor(at_least=0.9)),
            self._row("memory per live idle host", "KB", "live KB", floor=Floor(at_most=6, of_ratio=False)),
            self._row("memory per host without agent", "KB", "row KB", floor=Floor(at_most=0.05, of_ratio=False)),
            self._row("actors of hosts without agent", "", "row actors", floor=Floor(at_most=0, of_ratio=False)),
            self._row(f"start with {waiting} waiting", "s", "start deep", at_start, Floor(at_most=10, of_ratio=False)),
        ]

    def _row(
        self, name: str, unit: str, key: str, yardstick: Yardstick | None = None, floor: Floor | None = None
    ) -> Row:
        return Row(name=name, unit=unit, values=self.values[key], yardstick=yardstick, floor=floor)

    # ---- one figure each -------------------------------------------------------------------------------------------

    def _yardstick(self) -> None:
        z = self.sizes
        with bare(self.loop, self._folder) as server:
            echo = self._driven(Plan(load="echo", port=server.port, pid=server.pid, count=z.echoes, clients=z.clients))
            trip = self._driven(Plan(load="round_trip", port=server.port, pid=server.pid, count=z.echoes // 10))
        self.values[_POST].append(echo.rate)
        self.values[_CPU].append(echo.server_cpu_us)
        self.values[_TRIP].append(percentile(trip.latencies_ms, 50))

    def _end_to_end(self, load: str, outcome: Outcome) -> None:
        self.values[load].append(outcome.rate)
        self.values[f"{load} cpu"].append(outcome.server_cpu_us)

    def _dispatch(self, outcome: Outcome) -> None:
        for percent in (50, 99):
            self.values[f"dispatch p{percent}"].append(percentile(outcome.latencies_ms, percent))

    def _memory(self) -> None:
        """Hosts that only have rows against none; then hosts that have each polled once against those rows."""
        with self._server("small") as (server, _):
            few = server.resident_bytes
        with self._server("wide") as (server, seed):
            rows = server.resident_bytes - few
            self.values["row KB"].append(max(rows, 0) / (self.sizes.idle - self.sizes.hosts) / 1024)
            self.values["row actors"].append(server.host_actors)
            first, others = seed.hosts[: self.sizes.hosts], seed.hosts[self.sizes.hosts :]
            self._touch(server, first)  # so that what is loaded and pooled once is not counted
            before, known = server.resident_bytes, server.host_actors
            self._touch(server, others)
            live = server.host_actors - known
            self.values["live KB"].append((server.resident_bytes - before) / live / 1024)
            self._say(f"    {live:,} host actors more in memory")

    def _touch(self, server: Server, hosts: list[FleetHost]) -> None:
        self._driven(Plan(load="touch", port=server.port, pid=server.pid, count=len(hosts), hosts=hosts))

    # ---- how -------------------------------------------------------------------------------------------------------

    @contextmanager
    def _server(self, name: str) -> Iterator[tuple[Server, Seed]]:
        """A new server on a copy of that data directory."""
        seed, copy = self._seeds[name], self._folder / "running"
        shutil.copytree(seed.folder, copy)
        try:
            with interlock(copy) as server:
                yield server, seed
        finally:
            shutil.rmtree(copy)

    def _drive(self, load: str, server: Server, seed: Seed, count: int) -> Outcome:
        z = self.sizes
        return self._driven(
            Plan(
                load=load,
                port=server.port,
                pid=server.pid,
                count=count,
                clients=z.clients,
                batch=z.batch,
                org=seed.org,
                token=seed.token,
                hosts=seed.hosts,
            )
        )

    def _driven(self, plan: Plan) -> Outcome:
        outcome = drive(plan)
        self.cores[plan.load].append(outcome.cores)
        server, driver, others = outcome.cores
        busy = f"cores: server {server:.2f}, driver {driver:.2f}, others {others:.2f}"
        self._say(f"    {plan.load:<10} {outcome.rate:>9,.0f}/s   {outcome.server_cpu_us:>5,.0f} µs   {busy}")
        return outcome
