"""The rows of `bench fleet`: what was measured, beside its yardstick and the floor that it must reach."""

from collections.abc import Mapping, Sequence

from benches.figures import Floor, Row, Yardstick
from benches.sizes import Sizes


def rows(sizes: Sizes, of: Mapping[str, Sequence[float]]) -> list[Row]:
    """The medians beside their yardsticks and floors."""
    waiting = f"{sizes.others * sizes.pending_each:,} jobs"

    def row(name: str, unit: str, key: str, stick: tuple[str, str] | None = None, floor: Floor | None = None) -> Row:
        yardstick = None if stick is None else Yardstick(stick[0], of[stick[1]])
        return Row(name=name, unit=unit, values=of[key], yardstick=yardstick, floor=floor)

    def bare_post(load: str) -> tuple[str, str]:
        return "bare POST/s", f"{load} bare"

    def bare_cpu(load: str) -> tuple[str, str]:
        return "bare µs/request", f"{load} bare CPU"

    trip, none = ("bare round trip p50 ms", "round trip"), "with none waiting"
    return [
        row("end to end, single creates", "jobs/s", "single", bare_post("single"), Floor(at_least=0.09)),
        row("end to end, batches and ?next=1", "jobs/s", "batch", bare_post("batch"), Floor(at_least=0.20)),
        row("server CPU, single creates", "µs/job", "single CPU", bare_cpu("single"), Floor(at_most=15)),
        row("server CPU, batches and ?next=1", "µs/job", "batch CPU", bare_cpu("batch"), Floor(at_most=6)),
        row("dispatch latency, p50", "ms", "dispatch p50", trip, Floor(at_most=4)),
        row("dispatch latency, p99", "ms", "dispatch p99", trip),
        row("drain, none waiting elsewhere", "jobs/s", "drain small"),
        row(f"drain, {waiting} elsewhere", "jobs/s", "drain deep", (none, "drain small"), Floor(at_least=0.9)),
        row("memory per live idle host", "KB", "live KB", floor=Floor(at_most=6)),
        row("memory per host without agent", "KB", "row KB", floor=Floor(at_most=0.05)),
        row("actors of hosts without agent", "", "row actors", floor=Floor(at_most=0)),
        row("start, none waiting", "s", "start small"),
        row(f"start, {waiting} waiting", "s", "start deep", floor=Floor(at_most=10)),
    ]
