"""The rows of `bench sockets`: what was measured, beside its yardstick and the floor that it must reach."""

from collections.abc import Mapping, Sequence

from benches.figures import Floor, Row, Yardstick
from benches.overload_plan import DEADLINE_SECONDS
from benches.sockets_sizes import SocketSizes

_LATE_MS = DEADLINE_SECONDS * 1000
_SLOW_MB = 8.0  # twice what may wait unsent for one socket: two servers' memory is compared


def sockets_rows(sizes: SocketSizes, of: Mapping[str, Sequence[float]]) -> list[Row]:
    """The medians beside their yardsticks and floors."""
    agents, watchers, idle = f"{sizes.hosts} agents", f"{sizes.dashboards} dashboards", f"{sizes.idle:,} agents"

    def row(name: str, unit: str, key: str, stick: tuple[str, str] | None = None, floor: Floor | None = None) -> Row:
        yardstick = None if stick is None else Yardstick(stick[0], of[stick[1]])
        return Row(name=name, unit=unit, values=of[key], yardstick=yardstick, floor=floor)

    found: list[Row] = []
    for load, kind in (("socket_jobs", "jobs of hosts"), ("socket_pool", "pool jobs")):
        echo, cpu = ("bare echo msg/s", f"{load} bare"), ("bare µs/message", f"{load} bare CPU")
        found += [
            row(f"end to end, {agents}, {kind}", "jobs/s", load, echo, Floor(at_least=0.07)),
            row(f"server CPU, {kind}", "µs/job", f"{load} CPU", cpu, Floor(at_most=10)),
        ]
    per_job = "of each job"
    trip, sitting = ("bare POST round trip p50 ms", "round trip"), ("bare KB", "bare connection KB")
    return [
        *found,
        row("pool: hints", per_job, "hints"),
        row("pool: acks that came too late", per_job, "too late"),
        row("memory per idle connected agent", "KB", "connection KB", sitting),
        row("  over that of a bare server", "KB", "KB more", floor=Floor(at_most=25)),
        row(f"storm on a cold server: {idle} have a job", "s", "cold seconds", floor=Floor(at_most=20)),
        row(f"storm: {idle} are back", "s", "warm seconds", floor=Floor(at_most=20)),
        row("storm: jobs lost", "jobs", "lost", floor=Floor(at_most=0)),
        row("storm: connections sent away, or cut", "times", "sent away"),
        row("p99 of others before the storm", "ms", "quiet p99 ms"),
        row("p99 of others, cold server", "ms", "cold p99 ms", floor=Floor(at_most=_LATE_MS)),
        row("p99 of others, all come back", "ms", "warm p99 ms", floor=Floor(at_most=_LATE_MS)),
        row("cancel: request to push, p50", "ms", "cancel p50", floor=Floor(at_most=8)),
        row("  over a bare round trip", "ms", "cancel p50", trip),
        row("cancel: request to push, p99", "ms", "cancel p99"),
        row(f"jobs, {watchers} watching", "jobs/s", "dashboards"),
        row("  one of them not reading", "jobs/s", "slow_dashboard", ("all reading", "dashboards")),
        row(f"memory grown, {watchers} reading", "MB", "dashboards MB"),
        row("  with one that does not read", "MB", "slow_dashboard MB"),
        row("memory of who does not read", "MB", "slow MB more", floor=Floor(at_most=_SLOW_MB)),
        row("gaps it is told of", "gaps", "slow_dashboard gaps"),
        row("  or closed, since it answers no ping", "times", "slow_dashboard closed"),
        row("gaps of those who read, beside it", "gaps", "slow_dashboard gaps of others"),
    ]
