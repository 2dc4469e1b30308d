"""`bench overload`: what a server still gets done when it is offered more than it can do.

Capacity is measured first, by users who wait for their answers (closed, as in `bench fleet`). Then creates fall due at
fixed times, at one, two and three times the capacity. Goodput: jobs a second whose 201 came within the deadline and
whose result was acknowledged before the storm was over.
"""

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec

from benches.figures import Floor, Row, Yardstick, percentile
from benches.overload_plan import DEADLINE_SECONDS, Agents, Storm, Users
from benches.plan import BenchFailed, Outcome, Plan
from benches.processes import Server, bare, interlock
from benches.seed import Seed, copy_to_disk, sow
from benches.steps import Effort, Figures, Say, Step, Steps
from benches.stopwatch import Stopwatch

Side = TypeVar("Side", Users, Agents)

TIMES = (1, 2, 3)  # of the capacity
LEAD_SECONDS = 1.5  # for the drivers to start and connect
REST_SECONDS = 60.0  # for a driver to end after its storm


class OverloadSizes(Effort, frozen=True, kw_only=True):
    """How much of everything."""

    hosts: int = 100
    clients: int = 32
    jobs: int = 5000
    echoes: int = 20_000
    seconds: float = 10.0
    links: int = 1500  # connections of users: more than the server lets wait


QUICK_OVERLOAD = OverloadSizes(rounds=1, tries=1, patience_seconds=0, jobs=500, echoes=3000, seconds=2.0, links=500)


class Overload(Steps):
    """One server on its embedded default, a new one for each storm."""

    def __init__(self, sizes: OverloadSizes, folder: Path, say: Say) -> None:
        super().__init__(sizes, say)
        self.sizes = sizes
        self._folder = folder
        self._seed: Seed
        self._copies = 0

    def prepare(self) -> None:
        """A data directory to copy from, and a look at the kind of loop that the server runs on."""
        self._seed = sow(self._folder / "seed", self.sizes.hosts)
        with self._server() as server:
            self.loop = server.loop

    def steps(self) -> Sequence[Step]:
        """Each storm just behind the capacity that it is held against."""
        return [partial(self._step, times) for times in TIMES]

    def _step(self, times: int) -> Figures:
        z, seed = self.sizes, self._seed
        with bare(self.loop, self._folder) as server:
            plan = Plan(load="echo", port=server.port, pid=server.pid, count=z.echoes, clients=z.clients)
            echo = self._driven(plan)
        with self._server() as server:
            plan = Plan(load="single", port=server.port, pid=server.pid, count=z.jobs, clients=z.clients)
            known = {"org": seed.org, "token": seed.token, "hosts": seed.hosts}
            capacity = self._driven(msgspec.structs.replace(plan, **known))
        with self._server() as server:
            figures = self._storm(server, times, capacity)
        figures |= {"bare": echo.rate, "capacity": capacity.rate, "capacity CPU": 1e6 / capacity.server_cpu_us}
        return {f"{times}x {name}": figure for name, figure in figures.items()}

    def _storm(self, server: Server, times: int, capacity: Outcome) -> Figures:
        z, seed = self.sizes, self._seed
        storm = Storm(
            side="users",
            port=server.port,
            org=seed.org,
            token=seed.token,
            hosts=seed.hosts,
            begins_at=time.monotonic() + LEAD_SECONDS,
            seconds=z.seconds,
            rate=capacity.rate * times,
            links=z.links,
        )
        before, watch = server.resident_bytes, Stopwatch(server.pid)
        users, agents = _both(storm)
        outcome = watch.stop(users.due)
        in_time = {job for job, took in users.created.items() if took <= DEADLINE_SECONDS * 1000}
        good = len(in_time.intersection(agents.ended))
        created_ms = list(users.created.values()) or [0.0]
        figures = {
            "goodput": good / z.seconds,
            "goodput CPU": good / outcome.server_cpu_seconds,
            "created": len(users.created) / z.seconds,
            "late": (len(users.created) - len(in_time)) / users.due,
            "refused": sum(users.refused.values()) / users.due,
            "odd": sum(count for status, count in users.refused.items() if status not in {"429", "503"}),
            "without wait": users.without_wait,
            "unheard": (users.unsent + users.broken) / users.due,
            "p50": percentile(created_ms, 50),
            "p99": percentile(created_ms, 99),
            "refused p99": percentile(users.refused_ms or [0.0], 99),
            "report p99": percentile(agents.report_ms or [0.0], 99),
            "agents refused": agents.turned_away,
            "MB": (server.resident_bytes - before) / 2**20,
        }
        drivers = users.driver_cpu_seconds + agents.driver_cpu_seconds
        outcome = msgspec.structs.replace(
            outcome,
            driver_cpu_seconds=drivers,
            foreign_cpu_seconds=max(outcome.foreign_cpu_seconds + outcome.driver_cpu_seconds - drivers, 0.0),
        )
        self._taken.append((f"storm {times}x", outcome.cores))
        said = ", ".join(f"{name} {figure:,.4g}" for name, figure in figures.items())
        self._say(f"    {times}x, {storm.rate:,.0f}/s: {said}; cores of others {outcome.cores.others:.2f}")
        return figures

    @contextmanager
    def _server(self) -> Iterator[Server]:
        """A new server on a copy of the data directory."""
        self._copies += 1
        copy = self._folder / f"running-{self._copies}"
        copy_to_disk(self._seed.folder, copy)
        with interlock(copy) as server:
            yield server


def _both(storm: Storm) -> tuple[Users, Agents]:
    """Users and agents at once."""
    agents = _begin(msgspec.structs.replace(storm, side="agents"))
    users = _begin(storm)
    try:
        return _outcome(users, storm, Users), _outcome(agents, storm, Agents)
    finally:
        for process in (users, agents):
            if process.poll() is None:
                process.kill()
            process.communicate()


def _begin(storm: Storm) -> "subprocess.Popen[bytes]":
    process = subprocess.Popen(
        [sys.executable, "-m", "benches.overload_sides"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    if process.stdin is None:
        raise BenchFailed("A driver has no stdin")
    process.stdin.write(msgspec.json.encode(storm))
    process.stdin.close()
    process.stdin = None  # for `communicate`
    return process


def _outcome(process: "subprocess.Popen[bytes]", storm: Storm, kind: type[Side]) -> Side:
    try:
        said, complaint = process.communicate(timeout=LEAD_SECONDS + storm.seconds + REST_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise BenchFailed("A driver did not end") from error
    if process.returncode != 0:
        raise BenchFailed(f"A driver failed:\n{complaint.decode()[-3000:]}")
    return msgspec.json.decode(said, type=kind)


def overload_rows(of: Mapping[str, Sequence[float]]) -> list[Row]:
    """The figures beside what they are compared with."""

    def row(name: str, unit: str, key: str, stick: tuple[str, str] | None = None, floor: Floor | None = None) -> Row:
        yardstick = None if stick is None else Yardstick(stick[0], of[stick[1]])
        return Row(name=name, unit=unit, values=of[key], yardstick=yardstick, floor=floor)

    found: list[Row] = []
    for times in TIMES:
        at = f"{times}x"
        flat = Floor(at_least=0.8) if times == TIMES[-1] else None
        in_time, none = Floor(at_most=DEADLINE_SECONDS * 1000), Floor(at_most=0)
        per_cpu = ("capacity", f"{at} capacity CPU")
        found += [
            row(f"{at}: capacity, users who wait", "jobs/s", f"{at} capacity", ("bare POST/s", f"{at} bare")),
            row(f"{at}: goodput", "jobs/s", f"{at} goodput", ("capacity", f"{at} capacity"), flat),
            row(f"{at}: goodput by the server's CPU", "jobs/core s", f"{at} goodput CPU", per_cpu),
            row(f"{at}: refused with 429 or 503", "of creates", f"{at} refused"),
            row(f"{at}: refused otherwise", "creates", f"{at} odd", floor=none),
            row(f"{at}: refused without Retry-After", "creates", f"{at} without wait", floor=none),
            row(f"{at}: created after the deadline", "of creates", f"{at} late"),
            row(f"{at}: never sent, connection lost", "of creates", f"{at} unheard"),
            row(f"{at}: create latency, p50", "ms", f"{at} p50"),
            row(f"{at}: create latency, p99", "ms", f"{at} p99", floor=in_time),
            row(f"{at}: refusal latency, p99", "ms", f"{at} refused p99"),
            row(f"{at}: report latency, p99", "ms", f"{at} report p99"),
            row(f"{at}: agents' requests refused", "requests", f"{at} agents refused"),
            row(f"{at}: memory grown", "MB", f"{at} MB"),
        ]
    return found
