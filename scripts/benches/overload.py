"""`bench overload`: what a server still gets done when it is offered more than it can do.

Capacity is measured first, by users who wait for their answers (closed, as in `bench fleet`). Then creates fall due at
fixed times, at one, two and three times the capacity. Goodput: jobs a second whose 201 came within the deadline and
whose result was acknowledged before the storm was over.
"""

import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import msgspec
import psutil

from benches.figures import Floor, Row, Yardstick, percentile
from benches.overload_plan import DEADLINE_SECONDS, Agents, Storm, Users
from benches.plan import BenchFailed, Plan
from benches.processes import Server, bare, drive, interlock
from benches.seed import Seed, copy_to_disk, sow

Say = Callable[[str], None]
Side = TypeVar("Side", Users, Agents)

TIMES = (1, 2, 3)  # of the capacity
LEAD_SECONDS = 1.5  # for the drivers to start and connect
REST_SECONDS = 60.0  # for a driver to end after its storm


class Sizes(msgspec.Struct, frozen=True, kw_only=True):
    """How much of everything."""

    rounds: int = 3
    hosts: int = 100
    clients: int = 32
    jobs: int = 5000
    echoes: int = 20_000
    seconds: float = 10.0
    links: int = 1500


QUICK = Sizes(rounds=1, jobs=500, echoes=3000, seconds=2.0, links=500)


class Overload:
    """Takes the figures round by round; `values` has those of each name in the order in which they were taken."""

    def __init__(self, sizes: Sizes, folder: Path, say: Say) -> None:
        self.sizes = sizes
        self.values: dict[str, list[float]] = defaultdict(list)
        self.loop = ""
        self._folder = folder
        self._say = say
        self._seed: Seed
        self._copies = 0

    def prepare(self) -> None:
        """A data directory to copy from, and a look at the kind of loop that the server runs on."""
        self._seed = sow(self._folder / "seed", self.sizes.hosts)
        with self._server() as server:
            self.loop = server.loop

    def round(self) -> None:
        """Each storm on a server of its own, just behind the yardstick and the capacity that it is held against."""
        for times in TIMES:
            self._step(times)

    def _step(self, times: int) -> None:
        z, seed = self.sizes, self._seed
        with bare(self.loop, self._folder) as server:
            echo = drive(Plan(load="echo", port=server.port, pid=server.pid, count=z.echoes, clients=z.clients))
        with self._server() as server:
            plan = Plan(load="single", port=server.port, pid=server.pid, count=z.jobs, clients=z.clients)
            known = {"org": seed.org, "token": seed.token, "hosts": seed.hosts}
            capacity = drive(msgspec.structs.replace(plan, **known)).rate
        self._keep({f"{times}x bare": echo.rate, f"{times}x capacity": capacity})
        self._say(f"    bare {echo.rate:,.0f} POST/s, capacity {capacity:,.0f} jobs/s")
        with self._server() as server:
            self._storm(server, times, capacity * times)

    def _storm(self, server: Server, times: int, rate: float) -> None:
        z, seed = self.sizes, self._seed
        process = psutil.Process(server.pid)
        storm = Storm(
            side="users",
            port=server.port,
            org=seed.org,
            token=seed.token,
            hosts=seed.hosts,
            begins_at=time.monotonic() + LEAD_SECONDS,
            seconds=z.seconds,
            rate=rate,
            links=z.links,
        )
        before, cpu = server.resident_bytes, process.cpu_times()
        users, agents = _both(storm)
        spent = process.cpu_times()
        in_time = {job for job, took in users.created.items() if took <= DEADLINE_SECONDS * 1000}
        good = len(in_time.intersection(agents.ended))
        figures = {
            "goodput": good / z.seconds,
            "created": len(users.created) / z.seconds,
            "late": (len(users.created) - len(in_time)) / users.due,
            "refused": sum(users.refused.values()) / users.due,
            "odd": sum(count for status, count in users.refused.items() if status not in {"429", "503"}),
            "without wait": users.without_wait,
            "unheard": (users.unsent + users.broken) / users.due,
            "p50": percentile(list(users.created.values()) or [0.0], 50),
            "p99": percentile(list(users.created.values()) or [0.0], 99),
            "refused p99": percentile(users.refused_ms or [0.0], 99),
            "report p99": percentile(agents.report_ms or [0.0], 99),
            "agents refused": agents.turned_away,
            "MB": (server.resident_bytes - before) / 2**20,
            "cores": (spent.user + spent.system - cpu.user - cpu.system) / z.seconds,
        }
        self._keep({f"{times}x {name}": figure for name, figure in figures.items()})
        drivers = (users.driver_cpu_seconds + agents.driver_cpu_seconds) / z.seconds
        said = ", ".join(f"{name} {figure:,.4g}" for name, figure in figures.items())
        self._say(f"    {times}x {rate:,.0f}/s: {said}, drivers' cores {drivers:.2f}")

    def _keep(self, figures: dict[str, float]) -> None:
        for name, figure in figures.items():
            self.values[name].append(figure)

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


def rows(of: dict[str, list[float]]) -> list[Row]:
    """The figures beside what they are compared with."""

    def row(name: str, unit: str, key: str, stick: tuple[str, str] | None = None, floor: Floor | None = None) -> Row:
        yardstick = None if stick is None else Yardstick(stick[0], of[stick[1]])
        return Row(name=name, unit=unit, values=of[key], yardstick=yardstick, floor=floor)

    found: list[Row] = []
    for times in TIMES:
        at = f"{times}x: "
        capacity = ("capacity", f"{times}x capacity")
        floor = Floor(at_least=0.8) if times == TIMES[-1] else None
        found += [
            row(f"{at}capacity, users who wait", "jobs/s", f"{times}x capacity", ("bare POST/s", f"{times}x bare")),
            row(f"{at}goodput", "jobs/s", f"{times}x goodput", capacity, floor),
            row(f"{at}refused with 429 or 503", "of creates", f"{times}x refused"),
            row(f"{at}other refusals", "", f"{times}x odd", floor=Floor(at_most=0)),
            row(f"{at}refusals without Retry-After", "", f"{times}x without wait", floor=Floor(at_most=0)),
            row(f"{at}created after the deadline", "of creates", f"{times}x late"),
            row(f"{at}never sent or never answered", "of creates", f"{times}x unheard"),
            row(f"{at}create latency, p50", "ms", f"{times}x p50"),
            row(f"{at}create latency, p99", "ms", f"{times}x p99", floor=Floor(at_most=DEADLINE_SECONDS * 1000)),
            row(f"{at}refusal latency, p99", "ms", f"{times}x refused p99"),
            row(f"{at}report latency, p99", "ms", f"{times}x report p99"),
            row(f"{at}agents' requests refused", "", f"{times}x agents refused"),
            row(f"{at}memory grown", "MB", f"{times}x MB"),
        ]
    return found
