"""What the driver is asked to do, and what it brings back: both travel as JSON between two processes."""

from collections.abc import Mapping, Sequence

import msgspec

from benches.figures import Cores


class BenchFailed(Exception):
    """The figures cannot be taken; the message says why."""


class FleetHost(msgspec.Struct, frozen=True):
    """A host with its agent's key, and the server instance that jobs are created for."""

    id: str
    key: str
    instance_id: str


class Victim(msgspec.Struct, frozen=True):
    """A server that a load kills."""

    port: int
    pid: int


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One load on one server."""

    load: str  # a name in `driver.ALL`
    port: int
    pid: int  # of the server, whose CPU is read
    count: int  # jobs, requests or hosts, as the load has it
    clients: int = 32  # connections that create jobs, or echo
    batch: int = 100  # jobs in one batch
    org: str = ""
    token: str = ""  # a user's
    hosts: Sequence[FleetHost] = ()
    watchers: int = 0  # dashboards
    rate: float = 0.0  # that many a second fall due, where a load keeps to the clock
    seconds: float = 120.0  # the load must be over by then
    engines: Sequence[int] = ()  # processes of the database and the broker, whose CPU is read with their children's
    victim: Victim | None = None  # where all agents are when it is killed


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a load came to, from its first request to its last reply."""

    count: int
    seconds: float
    server_cpu_seconds: float  # user and system, all threads
    driver_cpu_seconds: float
    foreign_cpu_seconds: float  # what everybody else on the machine used meanwhile
    latencies_ms: Sequence[float] = ()
    engines_cpu_seconds: float = 0.0  # of the database and the broker, where they are processes of their own
    figures: Mapping[str, float] = {}  # what else a load has to say

    @property
    def rate(self) -> float:
        """So many a second."""
        return self.count / self.seconds

    @property
    def server_cpu_us(self) -> float:
        """Microseconds of the server's CPU for each."""
        return self.server_cpu_seconds / self.count * 1e6

    @property
    def all_cpu_us(self) -> float:
        """The same with the CPU of its database and its broker."""
        return self.server_cpu_us + self.engines_cpu_seconds / self.count * 1e6

    @property
    def cores(self) -> Cores:
        """Who kept how many cores busy."""
        spent = (self.server_cpu_seconds, self.driver_cpu_seconds, self.foreign_cpu_seconds, self.engines_cpu_seconds)
        return Cores(*(each / self.seconds for each in spent))
