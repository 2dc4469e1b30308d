"""What was measured, beside its yardstick and its floor: percentiles, verdicts, the table and the JSON document."""

import math
import statistics
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple

import msgspec


class Floor(NamedTuple):
    """What a figure must reach: `at_least`, or `at_most` where less is better."""

    at_least: float | None = None
    at_most: float | None = None

    def holds(self, figure: float) -> bool:
        """Whether the figure reaches it."""
        high = self.at_least is None or figure >= self.at_least
        return high and (self.at_most is None or figure <= self.at_most)

    def __str__(self) -> str:
        signs = (("≥", self.at_least), ("≤", self.at_most))
        return " ".join(f"{sign} {number(bound)}" for sign, bound in signs if bound is not None)


class Cores(NamedTuple):
    """How many cores were kept busy meanwhile, and by whom."""

    server: float
    driver: float
    others: float  # everybody else on the machine
    engines: float = 0.0  # the database and the broker, where they are processes of their own


class Yardstick(NamedTuple):
    """What a figure is compared with, round by round."""

    name: str
    values: Sequence[float]


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One figure: a value from each round. Its ratio is the median of the rounds' ratios: the two that are divided were
    measured within seconds of each other, so a machine that grows slower between rounds does not count.
    """

    name: str
    unit: str
    values: Sequence[float]
    yardstick: Yardstick | None = None
    floor: Floor | None = None

    @property
    def value(self) -> float:
        """The median of the rounds."""
        return statistics.median(self.values)

    @property
    def ratio(self) -> float | None:
        """How many yardsticks long it is."""
        if self.yardstick is None:
            return None
        pairs = zip(self.values, self.yardstick.values, strict=True)
        return statistics.median(value / stick if stick else math.inf for value, stick in pairs)

    @property
    def passed(self) -> bool | None:
        """Whether the floor is reached, by the ratio if there is one; None when there is no floor."""
        if self.floor is None:
            return None
        return self.floor.holds(self.value if self.ratio is None else self.ratio)


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest of the values that at least `percent` of them do not exceed (the nearest rank)."""
    if not values:
        raise ValueError("there is no percentile of nothing")
    rank = math.ceil(len(values) * percent / 100)
    return sorted(values)[max(rank, 1) - 1]


def number(value: float) -> str:
    """Three significant digits, thousands apart."""
    if not math.isfinite(value):
        return str(value)
    if abs(value) >= 100:  # noqa: PLR2004 - from here on whole numbers are exact enough
        return f"{value:,.0f}"
    return f"{value:.3g}"


def loads(cores: Mapping[str, Sequence[Cores]]) -> str:
    """Who was busy during each load, as aligned text: medians."""
    lines: list[Sequence[str]] = [("load", *Cores._fields)]
    for load, times in cores.items():
        medians = map(statistics.median, zip(*times, strict=True))
        lines.append([load, *(f"{median:.2f}" for median in medians)])
    return _table(lines, right={1, 2, 3, 4})


_HEAD = ("figure", "median", "unit", "of the rounds", "yardstick", "ratio", "floor", "")


def table(rows: Sequence[Row]) -> str:
    """The rows as aligned text."""
    return _table([_HEAD, *(_cells(row) for row in rows)], right={1, 5})


def _cells(row: Row) -> tuple[str, ...]:
    stick = row.yardstick
    named = "" if stick is None else f"{stick.name} {number(statistics.median(stick.values))}"
    verdict = {None: "", True: "pass", False: "MISS"}[row.passed]
    ratio = "" if row.ratio is None else number(row.ratio)
    spread = f"{number(min(row.values))} - {number(max(row.values))}"
    floor = "" if row.floor is None else str(row.floor)
    return row.name, number(row.value), row.unit, spread, named, ratio, floor, verdict


def _table(lines: Sequence[Sequence[str]], right: AbstractSet[int]) -> str:
    """The first line is the head; the columns in `right` end where they end, the others begin where they begin."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rule = ["-" * width for width in widths]
    return "\n".join(_aligned(line, widths, right) for line in (lines[0], rule, *lines[1:]))


def _aligned(cells: Sequence[str], widths: Sequence[int], right: AbstractSet[int]) -> str:
    padded = [
        cell.rjust(width) if column in right else cell.ljust(width)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "  ".join(padded).rstrip()


def document(row: Row) -> dict[str, Any]:
    """The row for JSON."""
    stick = row.yardstick
    return {
        "name": row.name,
        "unit": row.unit,
        "median": row.value,
        "rounds": list(row.values),
        "yardstick": None if stick is None else {"name": stick.name, "rounds": list(stick.values)},
        "ratio": row.ratio,
        "floor": None if row.floor is None else str(row.floor),
        "passed": row.passed,
    }
