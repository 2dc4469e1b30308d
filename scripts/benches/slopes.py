"""Whether something grows: the straight line through samples, and a verdict that says when there are too few of them."""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

FEWEST = 5  # samples of which anything is said
SURE = 2.0  # standard errors that a slope must be away from a bound to be on its other side

Verdict = Literal["flat", "grows", "unsure"]


class Slope(NamedTuple):
    """The line through samples: what they grow by for each 1 on the other axis, and how far that may be off."""

    per_unit: float
    error: float  # one standard error; infinite with fewer than three samples


def slope(at: Sequence[float], values: Sequence[float]) -> Slope:
    """The line with the least squares through `values` taken `at` those places; `ValueError` unless there are two places."""
    count = len(values)
    if len(at) != count or len(set(at)) < 2:  # noqa: PLR2004 - a line has two points
        raise ValueError("a slope needs samples at two places at least")
    middle, mean = sum(at) / count, sum(values) / count
    spread = sum((x - middle) ** 2 for x in at)
    per_unit = sum((x - middle) * (y - mean) for x, y in zip(at, values, strict=True)) / spread
    rest = sum((y - mean - per_unit * (x - middle)) ** 2 for x, y in zip(at, values, strict=True))
    freedom = count - 2
    return Slope(per_unit, math.sqrt(rest / freedom / spread) if freedom else math.inf)


def verdict(line: Slope, count: int, most: float) -> Verdict:
    """Whether what was sampled `count` times grows by more than `most` for each 1 on the other axis.

    `flat`: it certainly does not; `grows`: it certainly does; `unsure`: too few samples, or too uneven ones.
    """
    if count < FEWEST:
        return "unsure"
    if line.per_unit + SURE * line.error <= most:
        return "flat"
    return "grows" if line.per_unit - SURE * line.error > most else "unsure"
