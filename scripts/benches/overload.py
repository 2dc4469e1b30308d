"""`bench overload`: what a server still gets done when it is offered more than it can do.

Capacity is measured first, by users who wait for their answers (closed, as in `bench fleet`). Then creates fall due at
fixed times, at one, two and three times the capacity. Goodput: jobs a second whose 201 came within the deadline and
whose result was acknowledged before the storm was over. By the server's CPU: those that end in the drain behind it too, and
all that the server spends until then, on refusals among others.

Two and three times are held against once, of the same round: the same users, links and agents. What users who wait come to
is another load, whose few connections cost a server less. All storms of a round are taken there and back, so that a machine
that grows slower does not count: a figure is the mean of its two. The floor is on goodput by the second of the server's CPU:
at three times the capacity the drivers need more of the same cores, which is no fault of the server's. By the clock it is
shown beside that.
"""

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import TypeVar

import msgspec

from benches.figures import Floor, Row, Yardstick, percentile
from benches.overload_plan import DEADLINE_SECONDS, DRAIN_SECONDS, Agents, Storm, Users
from benches.plan import BenchFailed, Outcome, Plan
from benches.processes import Server, bare, interlock
from benches.seed import Seed, copy_to_disk, sow
from benches.steps import Effort, Figures, Say, Step, Steps
from benches.stopwatch import Stopwatch

Side = TypeVar("Side", Users, Agents)

TIMES = (1, 2, 3)  # of the capacity
FLAT = 0.9  # of what is done at the capacity is still done above it
LEAD_SECONDS = 2.5  # for the drivers to start and connect
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
        """All storms, just behind the capacity that they are held against: so their ratios are of one moment."""
        return [self._storms]

    def _storms(self) -> Figures:
        z, seed = self.sizes, self._seed
        with bare(self.loop, self._folder) as server:
            plan = Plan(load="echo", port=server.port, pid=server.pid, count=z.echoes, clients=z.clients)
            echo = self._driven(plan)
        with self._server() as server:
            plan = Plan(load="single", port=server.port, pid=server.pid, count=z.jobs, clients=z.clients)
            known = {"org": seed.org, "token": seed.token, "hosts": seed.hosts}
            capacity = self._driven(msgspec.structs.replace(plan, **known))
        found = {"bare": echo.rate, "capacity": capacity.rate}
        storms = self._there_and_back(*(partial(self._storm, times, capacity) for times in TIMES))
        for times, taken in zip(TIMES, storms, strict=True):
            found |= {f"{times}x {name}": fmean(figures[name] for figures in taken) for name in taken[0]}
        return found

    def _storm(self, times: int, capacity: Outcome) -> Figures:
        with self._server() as server:
            return self._storm_on(server, times, capacity)

    def _storm_on(self, server: Server, times: int, capacity: Outcome) -> Figures:
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
        before = server.resident_bytes
        with _both(storm) as sides:
            _sleep_until(storm.begins_at)
            watch = Stopwatch(server.pid)
            _sleep_until(storm.begins_at + storm.seconds + DRAIN_SECONDS)
            outcome = watch.stop(round(storm.rate * storm.seconds))
            users, agents = _outcome(sides[0], storm, Users), _outcome(sides[1], storm, Agents)
        in_time = {job for job, took in users.created.items() if took <= DEADLINE_SECONDS * 1000}
        good = len(in_time.intersection(agents.ended[: agents.in_storm]))
        good_at_last = len(in_time.intersection(agents.ended))
        created_ms = list(users.created.values()) or [0.0]
        figures = {
            "goodput": good / z.seconds,
            "goodput CPU": good_at_last / outcome.server_cpu_seconds,
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


@contextmanager
def _both(storm: Storm) -> Iterator[tuple["subprocess.Popen[bytes]", "subprocess.Popen[bytes]"]]:
    """Users and agents at once."""
    agents = _begin(msgspec.structs.replace(storm, side="agents"))
    users = _begin(storm)
    try:
        yield users, agents
    finally:
        for process in (users, agents):
            if process.poll() is None:
                process.kill()
            process.communicate()


def _sleep_until(moment: float) -> None:
    time.sleep(max(moment - time.monotonic(), 0.0))


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

    found = [row("capacity, users who wait", "jobs/s", "capacity", ("bare POST/s", "bare"))]
    for times in TIMES:
        at = f"{times}x"
        in_time, none = Floor(at_most=DEADLINE_SECONDS * 1000), Floor(at_most=0)
        once = ("capacity", "capacity") if times == 1 else ("1x", "1x goodput")
        once_cpu, flat = (None, None) if times == 1 else (("1x", "1x goodput CPU"), Floor(at_least=FLAT))
        found += [
            row(f"{at}: goodput", "jobs/s", f"{at} goodput", once),
            row(f"{at}: goodput by the server's CPU", "jobs/core s", f"{at} goodput CPU", once_cpu, flat),
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
