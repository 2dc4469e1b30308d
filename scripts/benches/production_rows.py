"""The rows of `bench production`: what was measured, beside its yardstick and the floor that it must reach."""

from collections.abc import Mapping, Sequence

from benches.figures import Floor, Row, Yardstick
from benches.production_sizes import ProductionSizes

_END_TO_END, _DEPTH, _GUARD = Floor(at_least=0.06), Floor(at_least=0.9), Floor(at_most=1.15)
_READY, _FIRST = Floor(at_most=10), Floor(at_most=1)


def production_rows(sizes: ProductionSizes, of: Mapping[str, Sequence[float]]) -> list[Row]:
    """The medians beside their yardsticks and floors."""
    waiting = f"{sizes.others * sizes.pending_each:,}"

    def row(name: str, unit: str, key: str, stick: tuple[str, str] | None = None, floor: Floor | None = None) -> Row:
        yardstick = None if stick is None else Yardstick(stick[0], of[stick[1]])
        return Row(name=name, unit=unit, values=of[key], yardstick=yardstick, floor=floor)

    def deep(engine: str, prefix: str) -> list[Row]:
        none = "with none waiting", f"{prefix}drain small"
        return [
            row(f"drain, {waiting} elsewhere, {engine}", "jobs/s", f"{prefix}drain deep", none, _DEPTH),
            row(f"restart, {waiting} waiting, {engine}", "s", f"{prefix}restart", None, _READY),
            row(f"then the first job of any host, {engine}", "s", f"{prefix}first job", None, _FIRST),
        ]

    def guarded(name: str, key: str, bare_key: str) -> Row:
        return row(f"fence and events, {name}", "µs/job", key, ("without", bare_key), _GUARD)

    bare, cpu = ("bare POST/s", "bare"), ("bare µs/request", "bare CPU")
    return [
        row("end to end, PostgreSQL", "jobs/s", "pg", bare, _END_TO_END),
        row("end to end, PostgreSQL and Redis", "jobs/s", "pg redis", bare, _END_TO_END),
        row("server CPU, PostgreSQL", "µs/job", "pg server CPU", cpu),
        row("server CPU, PostgreSQL and Redis", "µs/job", "pg redis server CPU", cpu),
        row("the same with the engines' CPU", "µs/job", "pg redis all CPU", cpu),
        *deep("SQLite", ""),
        *deep("PostgreSQL", "pg "),
        guarded("SQLite, single creates", "single CPU", "single unguarded CPU"),
        guarded("SQLite, batches", "batch CPU", "batch unguarded CPU"),
        guarded("PostgreSQL and Redis", "pg redis server CPU", "pg unguarded server CPU"),
        guarded("the same with the engines' CPU", "pg redis all CPU", "pg unguarded all CPU"),
        row("owner killed, next job elsewhere, p50", "s", "takeover p50", None, Floor(at_most=2)),
        row("owner killed, next job elsewhere, p99", "s", "takeover p99", None, Floor(at_most=8)),
        row("owner killed, next job elsewhere, longest", "s", "takeover p100"),
    ]
